"""An urgent trial through a freeze: its own first stage mends the SLO, and that does not take it back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.loop import documents
from tests.loop.test_mode_table import ADOPTED, PARENT, TRADE, Case, rest

BUDGET = {"name": "postgres", "uses": "pods * workers * pool", "limit": 12}
SLO = {"name": "fast", "signal": "duration", "threshold": "500ms", "goal": "90%", "minimumEvents": 10, "window": "30s"}
URGENT, NOTHING = documents.ALWAYS | {"allow": "Urgent"}, documents.ALWAYS | {"allow": "None"}


async def staged() -> Case:
    """Workers go down before the pool goes up: one budget counts both."""
    return await rest(TRADE, budgets=[BUDGET], slos=[SLO])


async def beside_the_rest() -> Case:
    return await rest(pods=5, slos=[SLO])


async def restarting() -> Case:
    return await rest(PARENT | {"threads": "3"}, pods=3, variables={"threads": "2"}, slos=[SLO])


async def missed(case: Case) -> None:
    """More load than anything was proven under, and it is slow; until the SLO's own window says so."""
    service = case.world.apps["checkout"].service
    service.load, service.slowed = 2 * service.load, 5.0

    async def said() -> bool:
        return (await case.world.condition("SLOMet"))[0] == "False"

    await case.world.until(said)


async def mended(case: Case) -> None:
    case.world.apps["checkout"].service.slowed = 1.0


async def begun(case: Case) -> None:
    case.wish()
    await case.world.turn()
    await case.begun()


KINDS = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(staged, id="staged"),
        pytest.param(beside_the_rest, id="canary"),
        pytest.param(restarting, id="restarting"),
    ],
)
Make = Callable[[], Awaitable[Case]]


@KINDS
async def test_it_starts_and_ends_through_a_freeze_that_lets_what_is_urgent_through(kind: Make) -> None:
    case = await kind()
    await missed(case)
    await case.world.edit(freezes=[URGENT])
    await begun(case)
    intent = await case.world.intent()
    assert intent is not None and intent.urgent
    await mended(case)
    ledger = await case.world.rest(limit=200)
    assert ledger.trials[-1].state.value == "Accepted", ledger.trials[-1]
    assert await case.world.values() == {name: case.target[name] for name in PARENT}
    case.wish()
    await case.world.turns(8)
    assert await case.world.intent() is None, "the SLO is met by now: another trial waits for the end of the freeze"


@KINDS
@pytest.mark.parametrize(
    ("late", "freeze"),
    [
        pytest.param(False, NOTHING, id="it_was_urgent_and_nothing_is_let_through"),
        pytest.param(True, URGENT, id="it_was_not_urgent_when_it_began"),
        pytest.param(True, NOTHING, id="neither"),
    ],
)
async def test_a_freeze_still_takes_back(kind: Make, late: bool, freeze: dict[str, Any]) -> None:
    """The twins: a freeze begins in mid-trial, and the SLO is met."""
    case = await kind()
    before = await case.world.values()
    if not late:
        await missed(case)
    await begun(case)
    intent = await case.world.intent()
    assert intent is not None and intent.urgent is not late
    await mended(case)
    await case.world.edit(freezes=[freeze])
    ledger = await case.world.rest(limit=200)
    assert (ledger.trials[-1].state.value, ledger.trials[-1].reason.value) == ("Inconclusive", "Frozen")
    assert await case.world.values() == before
    assert ledger.breaker.failures == 0


async def test_it_stays_urgent_for_the_process_that_takes_over() -> None:
    case = await staged()
    await missed(case)
    await case.world.edit(freezes=[URGENT])
    await begun(case)
    assert await case.world.values() == ADOPTED
    case.world.restart()
    await mended(case)
    assert (await case.world.rest(limit=200)).trials[-1].state.value == "Accepted"
