"""A trial half-way while nothing is known of the service: nothing new is written, and nothing is lost for it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.trials import IntentKind
from pegbox.ports import SignalQuery, SignalRow
from tests.loop import documents
from tests.loop.service import answering
from tests.loop.test_mode_table import PARENT, STATES, stands
from tests.loop.world import World, make, written

HALF_WAY = ["trial, being written", "trial, between stages", "trial, restarting pods", "canary, beside the rest"]
half_way = pytest.mark.parametrize("state", HALF_WAY)
RESTART = ("evict", "Pod", "eviction")
LOST = Missing(Reason.METRICS_UNREACHABLE, "refused")


def silent(world: World) -> None:
    """Every query is answered, with no series at all."""

    def nothing(query: SignalQuery, at: object) -> Iterable[SignalRow] | Missing:
        return []

    world.metrics.scenario = nothing


def well(world: World) -> None:
    answering(world.metrics, world.services)


@half_way
async def test_nothing_is_written_while_nothing_is_known_and_then_it_goes_on(state: str) -> None:
    case = await STATES[state]()
    world = case.world
    silent(world)
    before, restarts = await stands(world), written(world.pegbox).count(RESTART)
    await world.turns(8)
    intent = await world.intent()
    assert intent is not None and intent.kind is IntentKind.TRIAL
    assert (await stands(world), written(world.pegbox).count(RESTART)) == (before, restarts)

    well(world)
    await world.rest()
    ledger = await world.ledger()
    assert ledger is not None
    assert ledger.trials[-1].state.value == "Accepted", await world.why()
    assert (await world.document()).values.items() <= case.target.items()


@half_way
async def test_one_lost_answer_ends_no_trial(state: str) -> None:
    case = await STATES[state]()
    case.world.metrics.down = LOST
    await case.world.turn()
    case.world.metrics.down = None
    ledger = await case.world.rest()
    assert ledger.trials[-1].state.value == "Accepted"


async def test_a_silence_that_lasts_goes_back_when_it_is_told_to_revert() -> None:
    case = await STATES["trial, between stages"]()
    slo = {"name": "fast", "signal": "duration", "threshold": "500ms", "goal": "50%", "window": "1m"}
    await case.world.edit(slos=[slo | {"onNoData": "Revert"}])
    silent(case.world)
    await case.world.rest()
    ledger = await case.world.ledger()
    assert ledger is not None
    assert (ledger.trials[-1].state.value, ledger.trials[-1].reason) == ("Reverted", Reason.NO_DATA)
    assert await case.world.values() == PARENT


@pytest.mark.parametrize(
    ("hours", "counts"),
    [pytest.param(8, False, id="a night of silence"), pytest.param(0.25, True, id="the twin: a quarter of an hour")],
)
async def test_what_was_before_a_long_silence_is_no_baseline(hours: float, counts: bool) -> None:
    """Half as slow again in the morning: three windows are too few to outweigh those of the evening, if these count."""
    world = await make()
    await world.add(documents.profile(), workers=2)
    await world.steady()
    await world.turns(6)
    silent(world)
    world.clock.skip(hours * 3600)
    await world.turns(2)
    well(world)
    world.apps["checkout"].service.slowed = 1.5
    await world.turns(3)
    await world.annotate("try", "workers=3")
    await world.turn()
    intent = await world.intent()
    assert intent is not None and intent.baseline is not None
    assert (intent.baseline.latency != pytest.approx(1.5 * 0.3)) is counts
