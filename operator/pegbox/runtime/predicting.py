"""Model and propose: fits run in a thread of their own, one after the other.

In the operator no look waits for one: it goes on with the model that there is, and a later look takes the new one.
After a start every profile wants a fit, and a look that waited for its turn would keep a worker from all the others.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256

from pegbox import learning
from pegbox.core import ahead, decide, guards, propose, slo, statistics, transitions
from pegbox.model.knobs import Setting
from pegbox.model.observations import Missing, Observation
from pegbox.model.proposals import Proposal, ProposeRequest
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import SharedBudgetFacts, Snapshot, Workload
from pegbox.model.trials import Ledger
from pegbox.runtime.memory import Fitted, Fitting, Memory


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
        await self._fit(snapshot, memory)
        if not _of(memory.fitted, snapshot):
            memory.predictor = Missing(Reason.LEARNING, "the model is being fitted")
            return memory.predictor
        predictor = memory.predictor
        if not isinstance(predictor, Missing) and not _trusted(snapshot):
            predictor = Missing(Reason.MODEL_INACCURATE)
        asked = request(snapshot)
        needed = ahead.needed(snapshot, asked, predictor)
        raised = ahead.proposal(snapshot, asked, needed)
        if raised is not None:
            return raised
        return propose.propose(replace(asked, least_replicas=ahead.kept(needed)), predictor)

    async def _fit(self, snapshot: Snapshot, memory: Memory) -> None:
        """Refit when the statistics, or what came of predictions, say something new."""
        spec, ledger = snapshot.spec, snapshot.ledger
        _take(memory)
        if memory.fitting is None and (not _of(memory.fitted, snapshot) or _tells_more(ledger, memory.fitted)):
            to = Fitted(spec.space, spec.roles, ledger.rows, ledger.forecasts)
            loop = asyncio.get_running_loop()
            coming = loop.run_in_executor(self.threads, learning.fit, to.space, to.roles, to.rows, to.forecasts)
            memory.fitting = Fitting(to, coming)
        if self.waits and memory.fitting is not None:
            await asyncio.wait({memory.fitting.coming})
            _take(memory)


def _of(fitted: Fitted | None, snapshot: Snapshot) -> bool:
    """Is the model one of this search space?"""
    return fitted is not None and (fitted.space, fitted.roles) == (snapshot.spec.space, snapshot.spec.roles)


def _tells_more(ledger: Ledger, fitted: Fitted | None) -> bool:
    if fitted is None or fitted.forecasts != ledger.forecasts:
        return True
    return statistics.tell_more(ledger.rows, fitted.rows)


def _take(memory: Memory) -> None:
    """The fit that was made meanwhile, if any. Raises what the fit raised, once: the next look begins another."""
    fitting = memory.fitting
    if fitting is not None and fitting.coming.done():
        memory.fitting = None
        memory.predictor, memory.fitted = fitting.coming.result(), fitting.to


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


def _trusted(snapshot: Snapshot) -> bool:
    """A model that did worse than its baseline does not act; before any outcome is known it may."""
    from pegbox.learning.evaluate import accuracy, trust

    return trust(accuracy(snapshot.ledger.forecasts)) is not Reason.MODEL_INACCURATE
