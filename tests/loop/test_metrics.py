"""What the metrics server does to the loop: nothing is decided on what is not there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.trials import IntentKind
from pegbox.ports import SignalQuery, SignalRow, SignalRows
from pegbox.runtime.predicting import Predicting
from tests.loop import documents
from tests.loop.world import World, make

Answer = Iterable[SignalRow] | Missing
ANSWERS = {
    "the server is down": Missing(Reason.METRICS_UNREACHABLE, "connection refused"),
    "the server was not asked": Missing(Reason.QUERY_NOT_SENT, "others are slow"),
    "values are NaN": Missing(Reason.NOT_A_NUMBER, "duration"),
    "no series": (),
    "partial": Missing(Reason.PARTIAL_DATA, "warnings"),
    "stale": Missing(Reason.STALE_DATA, "300 s old"),
    "the query does not parse": Missing(Reason.QUERY_INVALID, "parse error"),
}


async def started(**options: object) -> World:
    world = await make(**options)
    await world.add(documents.profile(), workers=2)
    return world


def answer_with(world: World, answer: Answer) -> None:
    def scenario(query: SignalQuery, at: datetime) -> Answer:
        return answer

    world.metrics.scenario = scenario


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_without_data_no_trial_starts_the_condition_says_why_and_the_setting_stays(answer: Answer) -> None:
    """With the real proposer, which starts trials by itself where it may: see the twin below."""
    world = await started(predicting=Predicting())
    await world.rest()
    answer_with(world, answer)
    await world.turns(20)
    assert await world.values() == {"workers": "2"}
    status, reason, message = await world.condition("MetricsAvailable")
    assert status == ("Unknown" if reason in ("MetricsUnreachable", "QueryNotSent") else "False")
    assert reason == (answer.reason.value if isinstance(answer, Missing) else "NoData"), message


async def test_with_data_the_proposer_starts_trials_by_itself_and_throughput_rises() -> None:
    """From two workers towards where the service thrashes, and not into it."""
    world = await started(predicting=Predicting())

    async def accepted() -> bool:
        ledger = await world.ledger()
        return ledger is not None and any(t.state.value == "Accepted" for t in ledger.trials)

    await world.until(accepted, limit=60)
    assert await world.values() == {"workers": "3"}


async def test_partial_data_of_two_pods_is_no_data_of_the_profile() -> None:
    world = await started()
    await world.rest()
    whole = world.metrics.scenario

    def one_pod(query: SignalQuery, at: datetime) -> list[SignalRow]:
        rows = whole(query, at)
        assert not isinstance(rows, Missing)
        return [replace(row, pods=1) for row in rows]

    world.metrics.scenario = one_pod
    await world.turns(4)
    assert (await world.condition("MetricsAvailable"))[:2] == ("False", "PartialData")


@pytest.mark.parametrize("kind", ["down for good", "silent for good"])
async def test_a_trial_that_loses_its_data_ends_at_its_parent_or_waits_never_accepted(kind: str) -> None:
    world = await started()
    await world.steady()
    await world.annotate("try", "workers=3")
    await world.turn()
    if kind == "down for good":
        world.metrics.down = Missing(Reason.METRICS_UNREACHABLE, "connection refused")
    else:
        answer_with(world, ())
    await world.turns(90)  # past trialTimeout
    world.metrics.down = None
    ledger = await world.rest()
    assert [t.state.value for t in ledger.trials] == ["Inconclusive"]
    assert await world.values() == {"workers": "2"}


async def test_a_rollback_needs_no_metrics() -> None:
    world = await started()
    await world.steady()
    await world.annotate("try", "workers=4")
    await world.turn()

    async def rolling_back() -> bool:
        intent = await world.intent()
        return intent is not None and intent.kind is IntentKind.ROLLBACK

    await world.until(rolling_back)
    world.metrics.down = Missing(Reason.METRICS_UNREACHABLE, "connection refused")
    await world.turn()
    assert await world.values() == {"workers": "2"}


async def test_answers_that_stopped_moving_start_no_trial() -> None:
    """A server that answers at once, but with what it knew an hour ago."""
    world = await started(predicting=Predicting())
    await world.rest()
    old, fetch = world.clock.now(), world.metrics.fetch

    async def frozen(
        query: SignalQuery, at: datetime, *, namespace: str = "", max_age: float | None = None
    ) -> SignalRows | Missing:
        answer = await fetch(query, at, namespace=namespace, max_age=max_age)
        return replace(answer, at=old) if isinstance(answer, SignalRows) else answer

    world.metrics.fetch = frozen  # type: ignore[method-assign]
    await world.clock.advance(timedelta(hours=1).total_seconds())
    await world.turns(20)
    assert await world.values() == {"workers": "2"}
    assert "StaleData" in await world.why()
