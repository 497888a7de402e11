"""What was bad before a trial is blamed on none: it begins once the newest window, into which its first ones reach back,
would not be held against it.

The parent: ten windows of 120 s, 10 events/s, 0.1 s each, 99 % fast of 95 %. The newest is the last of them.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core.decide import decide
from pegbox.model.decisions import Action
from pegbox.model.observations import Attainment, Missing, Observation
from pegbox.model.profile import ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Request, Snapshot
from pegbox.model.trials import Spending
from tests.unit.core.build import (
    FAST,
    NO_WISH,
    T0,
    at,
    ledger,
    setting,
    snapshot,
    spec,
    window,
    wish,
)

PROFILE = spec(slos=(replace(FAST, window=F(300)),))
WANTED = wish(setting(workers=5, pool=4))
AHEAD = replace(WANTED, expected=Missing(Reason.AHEAD_OF_LOAD))
BEFORE = tuple(window(-120.0 * n) for n in range(9, 0, -1))
TRY = (Request("try", "t1", "workers=5"),)


def seen(profile: ProfileSpec = PROFILE, before: tuple[Observation, ...] = BEFORE, **newest: Any) -> Snapshot:
    last = window(**newest)
    return snapshot(profile, observation=last, baseline_windows=(*before, last), slos={"fast": Attainment(2970, 3000)})


def bad(events: float) -> dict[str, Any]:
    """So many of the newest window's 1200 events."""
    return {"slos": {"fast": Attainment(1200 - events, 1200)}}


@pytest.mark.parametrize(
    ("newest", "held"),
    [
        pytest.param({}, None, id="as_ever"),
        pytest.param({"latency": 0.24}, Reason.REGRESSION, id="twice_as_slow"),
        pytest.param({"latency": 0.15}, None, id="half_as_slow_again"),
        pytest.param({"errors": 0.05}, Reason.ERROR_SURGE, id="errors"),
        pytest.param(bad(140), Reason.SLO_BREACHED, id="an_slo_lost"),
        pytest.param({"throughput": 4.0}, Reason.REGRESSION, id="half_of_the_load_is_not_served"),
        # base share 1.1 %; 5 % of the 5 % of 3000 events are 7.5, chance among 100 adds 3 sqrt(2 x 0.01 x 100) = 4
        pytest.param(bad(28), Reason.SLO_BREACHED, id="more_than_an_error_budget"),
        pytest.param(bad(20), None, id="a_few_bad_events_are_chance"),
        pytest.param({"latency": 0.3, "offered_load": 20.0, "throughput": 20.0}, Reason.REGRESSION, id="a_surge_of_load"),
    ],
)  # fmt: skip
def test_a_trial_begins_when_its_first_windows_would_not_be_held_against_it(
    newest: dict[str, Any], held: Reason | None
) -> None:
    found = decide(seen(**newest), WANTED, T0)
    assert found.action is (Action.START if held is None else Action.HOLD)
    assert found.ledger.breaker.failures == 0
    if held is not None:
        assert (found.reason, found.ledger.intent) == (held, None)
        assert [v.guard for v in found.verdicts][-1] == "steady"


@pytest.mark.parametrize("newest", [{"latency": 0.24}, bad(140), bad(28)], ids=["slow", "lost", "spent"])
def test_what_a_person_asks_for_waits_for_it_and_is_done_then(newest: dict[str, Any]) -> None:
    found = decide(replace(seen(**newest), requests=TRY), NO_WISH, T0)
    assert found.ledger.intent is None and "try" not in found.ledger.tokens, "it is not refused"
    assert "before any trial" in found.message, "and one sees what it waits for"
    after = decide(replace(seen(), requests=TRY), NO_WISH, T0)
    assert (after.action, after.ledger.tokens["try"]) == (Action.START, "t1")


def test_what_the_trial_would_not_be_blamed_for_keeps_it_back_no_longer() -> None:
    """Pods made ready ahead of a load are not blamed for what more load does."""
    more = {"latency": 0.3, "offered_load": 12.0, "throughput": 12.0}
    assert decide(seen(**more), AHEAD, T0).action is Action.START
    assert decide(seen(**more), WANTED, T0).action is Action.HOLD, "the twin"


def test_what_is_as_bad_for_long_is_how_it_is_and_may_be_mended() -> None:
    slow = tuple(replace(w, latency=0.3, slos={"fast": Attainment(600, 1200)}) for w in BEFORE)
    assert decide(seen(before=slow, latency=0.3, **bad(600)), WANTED, T0).action is Action.START
    assert decide(seen(before=(), latency=0.3, **bad(600)), WANTED, T0).action is Action.START, "nothing else is known"


def test_of_a_budget_that_was_spent_less_is_left() -> None:
    known = ledger(spent={"fast": (Spending(at(-60), at(-60), 5.0, 0.0),)})
    given = seen(**bad(20))
    assert decide(replace(given, ledger=known), WANTED, T0).reason is Reason.SLO_BREACHED
    assert decide(given, WANTED, T0).action is Action.START, "the twin"


def test_few_events_prove_nothing_before_its_windows_are_its_own() -> None:
    few = replace(PROFILE, slos=(replace(FAST, window=F(300), minimum_events=1201),))
    assert decide(seen(few, **bad(28)), WANTED, T0).action is Action.START


def test_in_the_backlog_of_a_parent_bad_events_say_nothing() -> None:
    backlog = tuple(replace(w, offered_load=20.0) for w in BEFORE)
    found = decide(seen(before=backlog, offered_load=20.0, latency=0.9), WANTED, T0)
    assert found.action is Action.START


def test_an_old_answer_is_no_reason_to_wait() -> None:
    """It says nothing of now: freshness, or sight, holds the trial for that."""
    found = decide(replace(seen(latency=0.24), requests=TRY), NO_WISH, at(61))
    assert found.reason is Reason.REQUEST_REFUSED
