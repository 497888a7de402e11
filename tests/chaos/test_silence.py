"""Each rule of no data is able to fail, and finds nothing where the SLO's policy is kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from pegbox.model.reasons import Reason
from pegbox.model.trials import IntentKind, Ledger, TrialState, TrialSummary
from tests.chaos.application import Application
from tests.chaos.invariants import Watch
from tests.chaos.planting import remembered
from tests.chaos.prometheus import ONE_SIGNAL
from tests.chaos.schedule import Runner
from tests.chaos.silence import MOST, TRIAL_TIMEOUT
from tests.chaos.world import World

NAME = "checkout"
RUNNER = Runner()
Change = Callable[[World, Ledger], Ledger]


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("pegbox").setLevel(logging.CRITICAL)


async def _in_force(policy: str) -> tuple[World, Watch]:
    """A trial of two hot knobs, in force in every pod."""
    world = await RUNNER.world("hot")
    await world.without_data(policy)
    watch = Watch(world)
    world.on_wake = watch.woken
    world.wishes[NAME] = {"workers": -1, "pool": 1}
    for _ in range(6):
        await world.turn()
        ledger = world.ledger(NAME)
        if ledger is not None and ledger.intent is not None and ledger.intent.in_force_at is not None:
            return world, watch
    raise AssertionError(world.intent_text(NAME))


def _lies(world: World, lie: str, ago: float = 0.0) -> None:
    world.metrics.lie, world.metrics.since = lie, world.own_clock.now() - timedelta(seconds=ago)


def _written(policy: str, lie: str, ago: float, change: Change, *, deaf: bool = False) -> list[str]:
    async def run() -> list[str]:
        world, watch = await _in_force(policy)
        _lies(world, lie, ago)
        world.apps[NAME].deaf = deaf
        watch.woken(NAME)
        ledger = world.ledger(NAME)
        assert ledger is not None and not watch.found
        await remembered(world, change(world, ledger))
        return [line.partition(":")[0] for line in watch.found if "unseen" in line.partition(":")[0]]

    return asyncio.run(run())


def _accepts(world: World, ledger: Ledger) -> Ledger:
    assert ledger.intent is not None
    intent, now = ledger.intent, world.own_clock.now()
    head = intent.id, intent.target, intent.parent, TrialState.ACCEPTED, Reason.TRIAL_ACCEPTED, intent.started_at
    return replace(ledger, intent=None, trials=(*ledger.trials, TrialSummary(*head, now)))


@pytest.mark.parametrize(
    ("policy", "lie", "found"),
    [
        pytest.param("Hold", "empty", ["accepted_unseen"], id="Hold, and nothing is known"),
        pytest.param("Revert", "no join", ["accepted_unseen"], id="Revert, and nothing is known"),
        pytest.param("Hold", ONE_SIGNAL, ["accepted_unseen"], id="Hold, and an SLO alone is silent"),
        pytest.param("Ignore", ONE_SIGNAL, [], id="Ignore judges without it"),
        pytest.param("Hold", "scrape gaps", [], id="a lie that tells some of it"),
        pytest.param("Hold", "", [], id="the truth"),
    ],
)
def test_a_trial_that_is_accepted_without_data_of_an_slo_is_found(policy: str, lie: str, found: list[str]) -> None:
    assert _written(policy, lie, 0, _accepts) == found


def _puts_back(reason: Reason, after: float) -> Change:
    def change(world: World, ledger: Ledger) -> Ledger:
        assert ledger.intent is not None and ledger.intent.in_force_at is not None
        late = ledger.intent.in_force_at + timedelta(seconds=after) - world.own_clock.now()
        world.own_clock.ahead += late.total_seconds()
        back = replace(ledger.intent, kind=IntentKind.ROLLBACK, reason=reason, state=TrialState.REVERTED)
        return replace(ledger, intent=back)

    return change


LATE = TRIAL_TIMEOUT.total_seconds()


@pytest.mark.parametrize(
    ("policy", "lie", "reason", "after", "found"),
    [
        pytest.param("Hold", "empty", Reason.NO_DATA, 119, ["put_back_unseen"], id="Hold, before trialTimeout"),
        pytest.param("Hold", "empty", Reason.NO_DATA, LATE, [], id="Hold, at trialTimeout"),
        pytest.param("Hold", "empty", Reason.OOM_KILLED, 1, [], id="Hold, for another reason"),
        pytest.param("Revert", "empty", Reason.NO_DATA, 6, [], id="Revert"),
        pytest.param("Ignore", ONE_SIGNAL, Reason.NO_DATA, LATE, ["put_back_unseen"], id="Ignore, an SLO alone"),
        pytest.param("Ignore", "empty", Reason.NO_DATA, LATE, [], id="Ignore, all is silent"),
    ],
)
def test_a_trial_that_is_put_back_for_want_of_data_is_found(
    policy: str, lie: str, reason: Reason, after: float, found: list[str]
) -> None:
    assert _written(policy, lie, 3600, _puts_back(reason, after)) == found


@pytest.mark.parametrize(
    ("policy", "lie", "most", "mode", "found"),
    [
        pytest.param("Revert", "nan", MOST["Revert", False], "Auto", True, id="Revert, and nothing is known"),
        pytest.param("Revert", ONE_SIGNAL, MOST["Revert", True], "Auto", True, id="Revert, and an SLO is silent"),
        pytest.param("Ignore", ONE_SIGNAL, MOST["Ignore", True], "Auto", True, id="Ignore, and an SLO is silent"),
        pytest.param("Ignore", "nan", 20, "Auto", False, id="Ignore, and nothing is known"),
        pytest.param("Hold", "nan", 20, "Auto", False, id="Hold"),
        pytest.param("Revert", "", 20, "Auto", False, id="the truth"),
        pytest.param("Revert", "nan", 20, "Recommend", False, id="in Recommend nothing goes back"),
    ],
)
def test_a_trial_that_stands_without_data_is_found(policy: str, lie: str, most: int, mode: str, found: bool) -> None:
    """Its wakes go through, and change nothing."""

    async def run() -> tuple[list[str], list[str]]:
        world, watch = await _in_force(policy)
        await world.edit_spec(NAME, mode=mode)
        _lies(world, lie)
        for _ in range(most):
            watch.woken(NAME)
            watch.slept(NAME)
        before = list(watch.found)
        watch.woken(NAME)
        watch.slept(NAME)
        return before, [line.partition(":")[0] for line in watch.found]

    assert asyncio.run(run()) == ([], ["ends_unseen"] if found else [])


def _deaf(app: Application) -> None:
    app.deaf = True


def _hang(app: Application) -> None:
    app.service.well, app.service.serves = {"workers": 0.0}, 0.0


@pytest.mark.parametrize("befalls", [_deaf, _hang])
def test_under_ignore_nobody_judges_by_pods_that_tell_nothing(befalls: Callable[[Application], None]) -> None:
    """Seeds 1800001354, 2700005413: of pods that acknowledge no canary no figure is known, whatever the SLOs say of it; nor
    of such as serve nothing."""

    async def run() -> list[str]:
        world, watch = await _in_force("Ignore")
        _lies(world, ONE_SIGNAL)
        befalls(world.apps[NAME])
        for _ in range(MOST["Ignore", True] + 1):
            watch.woken(NAME)
            watch.slept(NAME)
        return watch.found

    assert asyncio.run(run()) == []


def test_looks_at_other_pods_are_counted_anew() -> None:
    async def run() -> list[str]:
        world, watch = await _in_force("Revert")
        _lies(world, "nan")
        for look in range(2 * MOST["Revert", False]):
            world.apps[NAME].pods[0].restarts = look // MOST["Revert", False]
            watch.woken(NAME)
            watch.slept(NAME)
        return watch.found

    assert asyncio.run(run()) == []


@pytest.mark.parametrize(
    ("policy", "lie", "asked", "found"),
    [
        pytest.param("Hold", "empty", False, ["begun_unseen"], id="nothing is known"),
        pytest.param("Ignore", "no join", False, ["begun_unseen"], id="nothing of the setting in force"),
        pytest.param("Ignore", "old pods", False, ["begun_unseen"], id="of another generation alone"),
        pytest.param("Revert", ONE_SIGNAL, False, ["begun_unseen"], id="an SLO is silent"),
        pytest.param("Ignore", ONE_SIGNAL, False, [], id="one that is ignored"),
        pytest.param("Hold", "empty", True, [], id="a trial that was asked for"),
        pytest.param("Hold", "", False, [], id="the truth"),
    ],
)
def test_a_trial_that_begins_without_data_is_found(policy: str, lie: str, asked: bool, found: list[str]) -> None:
    assert _written(policy, lie, 0, _begins(asked)) == found


def test_of_pods_that_acknowledge_nothing_rows_of_another_generation_are_the_truth() -> None:
    """Seed 2600013817: theirs are of none."""
    assert _written("Revert", "old pods", 0, _begins(asked=False), deaf=True) == []
    assert _written("Revert", "no join", 0, _begins(asked=False), deaf=True) == ["begun_unseen"]


def _begins(asked: bool) -> Change:
    def change(world: World, ledger: Ledger) -> Ledger:
        assert ledger.intent is not None
        return replace(ledger, intent=replace(ledger.intent, id="another", requested=asked))

    return change
