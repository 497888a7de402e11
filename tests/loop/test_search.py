"""A knob that no physics knows: the safe search moves it, in the same small verified steps as everything else."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pegbox.model.trials import Ledger, TrialState
from pegbox.ports import CONFIG_MAP, Ref
from pegbox.runtime.predicting import Predicting
from tests.loop import documents
from tests.loop.service import Service
from tests.loop.world import World, make

BEST = 256.0


@dataclass
class Buffered(Service):
    """All load is served; the mean latency is least, 100 ms, with a buffer of BEST, and grows to both sides."""

    load: float = 20.0
    noise: float = 0.0  # sd of the log of a window's mean latency
    chance: Random = field(default_factory=lambda: Random(1))

    @property
    def harmed(self) -> bool:
        return False

    def throughput(self) -> float:
        return self.load

    def latency(self) -> float:
        return slow(self.values["buffer"]) * math.exp(self.chance.gauss(0.0, self.noise))


def slow(buffer: float) -> float:
    return 0.1 * (1 + 0.1 * math.log2(buffer / BEST) ** 2)


async def buffered(objective: str, buffer: int = 16, noise: float = 0.0, **spec: Any) -> World:
    world = await make(predicting=Predicting())
    await world.apply(documents.deployment("checkout"))
    app = world._app("checkout", "checkout")
    app.service = world.services["checkout"] = Buffered(app.service.profile, noise=noise)
    workers = {"name": "workers", "value": 4}
    profile = documents.profile("checkout", workers, documents.hot("buffer", buffer), objective=objective, **spec)
    profile["spec"]["guards"] |= {"maxStep": "50%"}
    await world.add(profile, workers=4, buffer=buffer)
    return world


async def after(world: World, trials: int, limit: int = 2000) -> Ledger:
    async def enough() -> bool:
        ledger = await world.ledger()
        return ledger is not None and len(ledger.trials) >= trials and ledger.intent is None

    await world.until(enough, limit=limit)
    ledger = await world.ledger()
    assert ledger is not None
    return ledger


async def test_a_knob_without_a_role_is_moved_step_by_step_to_lower_latency() -> None:
    world = await buffered("MinimizeLatency")
    ledger = await after(world, 8)
    assert ledger.incumbent is not None
    assert slow(float(ledger.incumbent.number("buffer"))) < 0.75 * slow(16), "from 260 ms"
    accepted = [t for t in ledger.trials if t.state is TrialState.ACCEPTED]
    assert len(accepted) >= 3
    for trial in ledger.trials:
        before, tried = (float(s.number("buffer")) for s in (trial.parent, trial.setting))
        assert before / 2 <= tried <= math.ceil(before * 1.5), "no step is larger than maxStep"


async def test_noise_of_five_percent_makes_it_slower_and_no_worse() -> None:
    world = await buffered("MinimizeLatency", noise=0.05)
    ledger = await after(world, 8)
    assert ledger.incumbent is not None
    assert slow(float(ledger.incumbent.number("buffer"))) < 0.85 * slow(16)
    assert any(t.state is TrialState.ACCEPTED for t in ledger.trials)


async def test_where_nothing_is_left_to_gain_it_holds_and_says_so() -> None:
    world = await buffered("MinimizeLatency", buffer=int(BEST))

    async def holding() -> bool:
        return "the search" in await world.why()

    ledger = await after(world, 1)
    await world.until(holding, limit=2000)
    await world.turns(10)
    ledger = await world.rest()
    count = len(ledger.trials)
    await world.turns(300)
    ledger = await world.rest()
    assert len(ledger.trials) == count, await world.why()
    assert ledger.incumbent is not None
    assert slow(float(ledger.incumbent.number("buffer"))) < 1.05 * slow(BEST)


async def test_to_be_cheap_at_ease_nothing_is_tried_that_saves_no_money() -> None:
    world = await buffered("MinimizeCost")
    await world.turns(100)
    ledger = await world.ledger()
    assert ledger is not None and not ledger.trials
    assert "NothingBetter" in str(await world.condition("Progressing"))


async def test_in_mode_recommend_the_step_is_shown_and_nothing_is_written() -> None:
    world = await buffered("MinimizeLatency", mode="Recommend")

    async def proposed() -> bool:
        return bool((await world.status()).get("proposal"))

    await world.until(proposed)
    shown = {e["name"]: int(e["value"]) for e in (await world.status())["proposal"]}
    assert shown["buffer"] in (8, 12, 24), "a half or a whole step from 16"
    await world.turns(50)
    assert not await world.find(Ref(CONFIG_MAP, world.namespace, "checkout-pegbox"))
