"""A team that deploys ten times a day: the loop still gets there, and never judges across a deploy.

The whole reconciler with the default guards (settle 60 s, windows of 120 s, cool-down 10 minutes) on the fakes, for a day of
virtual time. The service: two pods; an event holds a worker for 0.4 s; 40 events/s arrive, which need 8 workers a pod. It
starts with two, which serve 10 events/s.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from pegbox.model.reasons import Reason
from pegbox.model.trials import IntentKind, Ledger, TrialState
from pegbox.runtime.predicting import Predicting
from tests.loop import documents
from tests.loop.service import Service
from tests.loop.world import World, make

DAY = timedelta(days=1)
ARRIVING, HELD = 40.0, 0.4
GUARDS = {"settle": "60s", "trialWindow": "2m", "cooldown": "10m", "trialTimeout": "30m", "ackTimeout": "2m"}


@dataclass
class Crowded(Service):
    """Workers are all there is: what is not served waits."""

    load: float = ARRIVING

    def throughput(self) -> float:
        return min(self.load, self.pods * self.values["workers"] / HELD)

    def latency(self) -> float:
        busy = self.throughput() / max(self.pods * self.values["workers"] / HELD, 1e-9)
        return HELD * 5 if busy > 0.99 else HELD * (1 + 0.2 * busy)

    @property
    def harmed(self) -> bool:
        return False


async def started() -> World:
    world = await make(predicting=Predicting())
    slo = {"name": "ok", "signal": "success", "goal": "99%", "minimumEvents": 10}
    profile = documents.profile(guards=GUARDS, interval="30s", slos=[slo], knobs=[documents.hot(max=32)])
    app = await world.add(profile, workers=2)
    served = Crowded(app.service.profile, app.service.values, app.service.pods)
    app.service = world.services["checkout"] = served
    await world.pods_step(app)
    return world


async def deploy(world: World, number: int) -> None:
    body = documents.deployment()
    body["spec"]["template"]["spec"]["containers"][0]["image"] = f"example.invalid/app:{number}"
    await world.apply(body)


async def in_trial(world: World) -> str:
    """The trial that every pod runs now, if there is one."""
    intent = await world.intent()
    judged = intent is not None and intent.kind is IntentKind.TRIAL and intent.in_force_at is not None
    return intent.id if judged and intent is not None else ""


def enough(ledger: Ledger | None) -> bool:
    """95 of 100 events are served."""
    incumbent = ledger.incumbent if ledger is not None else None
    return incumbent is not None and 2 * incumbent.number("workers") / HELD >= 0.95 * ARRIVING


async def test_ten_deploys_a_day_each_in_the_middle_of_a_trial_and_it_still_converges() -> None:
    """The worst that ten deploys can do: each of them takes a trial that was about to be judged."""
    world, hit = await started(), [""]
    start = world.clock.now()
    while world.clock.now() - start < DAY and not (len(hit) == 11 and enough(await world.ledger())):
        if len(hit) < 11 and await in_trial(world) not in hit:
            hit.append(await in_trial(world))
            await deploy(world, len(hit))
        await world.turn()
    ledger = await world.ledger()
    assert ledger is not None
    assert enough(ledger), [t.setting for t in ledger.trials]
    taken = [t for t in ledger.trials if t.reason is Reason.DEPLOYED]
    assert len(taken) == 10 and {t.state for t in taken} == {TrialState.INCONCLUSIVE}
    assert ledger.breaker.failures == 0, "nobody's fault"
    said = [event.message for _, event in world.events.emitted if event.reason is Reason.TRIAL_INCONCLUSIVE]
    assert len(said) == 10 and all("Deployed" in text for text in said)


async def test_who_deploys_faster_than_a_trial_can_be_judged_keeps_what_he_has() -> None:
    """The twin: every four minutes, and settling and two windows take five."""
    world, deploys = await started(), 0
    start = world.clock.now()
    while world.clock.now() - start < timedelta(hours=3):
        if world.clock.now() - start > deploys * timedelta(minutes=4):
            deploys += 1
            await deploy(world, deploys)
        await world.turn()
    ledger = await world.ledger()
    assert ledger is not None
    assert {(t.state, t.reason) for t in ledger.trials} == {(TrialState.INCONCLUSIVE, Reason.DEPLOYED)}
    assert ledger.adopted is not None and ledger.adopted.number("workers") == 2
    assert ledger.intent is not None or (await world.values())["workers"] == "2"
    gaps = [after.started_at - before.ended_at for before, after in pairwise(ledger.trials)]
    assert gaps and all(gap >= timedelta(minutes=10) for gap in gaps), "the cool-down holds between them"
