"""Model and propose: fits run in a thread of their own, one after the other.

In the operator no look waits for one: it goes on with the model that there is, and a later look takes the new one.
After a start every profile wants a fit, and a look that waited for its turn would keep a worker from all the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256

from pegbox import learning
from pegbox.core import ahead, decide, forecasts, guards, lacking, propose, searching, slo, statistics, transitions
from pegbox.model.knobs import Setting
from pegbox.model.observations import Missing, Observation
from pegbox.model.prediction import Forecast
from pegbox.model.profile import ProfileSpec
from pegbox.model.proposals import Proposal, ProposeRequest
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import SharedBudgetFacts, Snapshot, Workload
from pegbox.model.trials import Ledger
from pegbox.runtime.memory import Asked, Fitted, Fitting, Memory, Searching


@dataclass
class Predicting:
    """One thread: two fits at a time would only slow each other and everything else.

    `waits` makes each look wait for its own fit: where one profile is looked at, or time is not real.
    """

    waits: bool = True
    threads: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="fit"))

    def close(self) -> None:
        """Fits that wait for their turn are not made any more."""
        self.threads.shutdown(wait=False, cancel_futures=True)

    async def proposal(self, snapshot: Snapshot, memory: Memory, now: datetime) -> Proposal | Missing:
        """A proposal, or why there is none. Asked for only where one is of use."""
        if not decide.wants_proposal(snapshot, now):
            return Missing(Reason.TRIAL_IN_FLIGHT if snapshot.ledger.intent else Reason.MODE_OBSERVE)
        refused = [v for v in guards.readiness(snapshot, now) if v.admission.value == "Refuse"]
        waiting = [v for v in refused if v.reason is not Reason.MODE_RECOMMEND]
        if waiting:
            return Missing(waiting[0].reason, waiting[0].detail)
        slot = next((f for f in snapshot.budgets.values() if _taken(f, snapshot.spec.key)), None)
        if isinstance(slot, SharedBudgetFacts):  # nothing is admissible now: "no raise is left" would be another story
            return Missing(Reason.WAITING_FOR_BUDGET, f"{slot.name}: a trial of {slot.trial_holder} is in flight")
        recent = forecasts.of_the_last_day(snapshot.ledger, now)
        await self._fit(snapshot, memory, recent)
        if not _of(memory.fitted, snapshot):
            memory.predictor = Missing(Reason.LEARNING, "the model is being fitted")
            return memory.predictor
        predictor = memory.predictor
        if not isinstance(predictor, Missing) and not trusted(recent):
            predictor = Missing(Reason.MODEL_INACCURATE)
        asked = request(snapshot)
        needed = ahead.needed(snapshot, asked, predictor)
        raised = ahead.proposal(snapshot, asked, needed)
        if raised is not None:
            return raised
        asked = replace(asked, least_replicas=ahead.kept(needed))
        found = propose.propose(asked, predictor)
        if isinstance(found, Missing) and found.reason in searching.LEAVES_ROOM:
            return await self._search(snapshot, memory, asked, found)
        return found

    async def _search(
        self, snapshot: Snapshot, memory: Memory, asked: ProposeRequest, found: Missing
    ) -> Proposal | Missing:
        """What the search would try where physics sees nothing better; `found` where it would not, or still thinks."""
        wanted = searching.request(snapshot, asked)
        if isinstance(wanted, Missing):
            return searching.answer(asked, found, wanted)
        to = Asked(
            wanted.incumbent,
            wanted.moving,
            wanted.rows,
            wanted.failed,
            wanted.misses,
            wanted.throughput,
            wanted.least,
            statistics.load_bin(wanted.load),
            round(wanted.pods),
        )
        _take_search(memory)
        if memory.searching is None and (memory.searched is None or not to.says_no_more(memory.searched[0])):
            coming = asyncio.get_running_loop().run_in_executor(self.threads, learning.suggest, wanted)
            memory.searching = Searching(to, coming)
        if self.waits and memory.searching is not None:
            await asyncio.wait({memory.searching.coming})
            _take_search(memory)
        if memory.searched is None or not to.says_no_more(memory.searched[0]):
            return searching.answer(asked, found, Missing(Reason.LEARNING, "the search is thinking"))
        suggested = memory.searched[1]
        if not isinstance(suggested, Missing) and not wanted.admissible(suggested.setting):
            suggested = Missing(Reason.NOTHING_BETTER, "what the search wanted does not fit any more")
        return searching.answer(asked, found, suggested)

    async def _fit(self, snapshot: Snapshot, memory: Memory, recent: Sequence[Forecast]) -> None:
        """Refit when the statistics, or what came of predictions, say something new."""
        spec, ledger = snapshot.spec, snapshot.ledger
        _take(memory, spec)
        if memory.fitting is None and (not _of(memory.fitted, snapshot) or _tells_more(ledger, recent, memory)):
            to = Fitted(spec.space, spec.roles, ledger.rows, ledger.forecasts, tuple(recent))
            told = (to.space, to.roles, to.rows, to.forecasts, to.recent)
            coming = asyncio.get_running_loop().run_in_executor(self.threads, learning.fit, *told)
            memory.fitting = Fitting(to, coming)
        if self.waits and memory.fitting is not None:
            await asyncio.wait({memory.fitting.coming})
            _take(memory, spec)


def _of(fitted: Fitted | None, snapshot: Snapshot) -> bool:
    """Is the model one of this search space?"""
    return fitted is not None and (fitted.space, fitted.roles) == (snapshot.spec.space, snapshot.spec.roles)


def _tells_more(ledger: Ledger, recent: Sequence[Forecast], memory: Memory) -> bool:
    """Where windows are still too few, each is news."""
    fitted, found = memory.fitted, memory.predictor
    if isinstance(found, Missing) and found.reason is Reason.LEARNING and fitted and fitted.rows != ledger.rows:
        return True
    if fitted is None or (fitted.forecasts, fitted.recent) != (ledger.forecasts, recent):
        return True
    return statistics.tell_more(ledger.rows, fitted.rows)


def _take(memory: Memory, spec: ProfileSpec) -> None:
    """The fit that was made meanwhile, if any. Raises what the fit raised, once: the next look begins another."""
    fitting = memory.fitting
    if fitting is not None and fitting.coming.done():
        memory.fitting = None
        found = fitting.coming.result()
        memory.predictor = lacking.with_time(found, spec, fitting.to.rows) if isinstance(found, Missing) else found
        memory.fitted = fitting.to


def _take_search(memory: Memory) -> None:
    """The answer that came meanwhile, if any. Raises what the search raised, once: the next look asks again."""
    under_way = memory.searching
    if under_way is not None and under_way.coming.done():
        memory.searching = None
        memory.searched = under_way.to, under_way.coming.result()


def request(snapshot: Snapshot) -> ProposeRequest:
    """What core.propose may know, from a snapshot at rest."""
    spec, ledger, seen = snapshot.spec, snapshot.ledger, snapshot.observation
    incumbent = ledger.incumbent
    assert incumbent is not None
    observation = seen if isinstance(seen, Observation) else None

    def admissible(wanted: Setting) -> bool:
        return guards.admissible(snapshot, incumbent, wanted)

    failed = [t.setting for t in guards.limits.recent_failures(snapshot)]
    pods = len(snapshot.workload.unfinished) if isinstance(snapshot.workload, Workload) else 1
    return ProposeRequest(
        space=spec.space,
        roles=spec.roles,
        incumbent=incumbent,
        observation=observation,
        objective=spec.objective.value,
        slo_headroom=slo.headroom(snapshot),
        load=ahead.sized_for(observation.offered_load, snapshot.forecast) if observation else Missing(Reason.NO_DATA),
        pods=float(pods),
        recent_failures=tuple(failed),
        seed=int.from_bytes(sha256(f"{spec.uid}/{ledger.generation}".encode()).digest()[:4], "big"),
        admissible=admissible,
        smallest_step=transitions.smallest_step(ledger),
    )


def _taken(facts: SharedBudgetFacts | Missing, key: str) -> bool:
    """Does another profile hold the shared budget's trial slot?"""
    return isinstance(facts, SharedBudgetFacts) and facts.trial_holder not in ("", key)


def trusted(recent: Sequence[Forecast]) -> bool:
    """A model that did worse than its baseline over the last day does not act; before any outcome is known it may."""
    from pegbox.learning.evaluate import accuracy, trust

    return trust(accuracy(recent)) is not Reason.MODEL_INACCURATE
