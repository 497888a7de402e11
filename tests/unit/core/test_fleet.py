"""The breaker over all profiles: every row of its table. Limits here: 3 profiles in 900 s, base 600 s, an hour."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pegbox.core.fleet import (
    LEAST_FAILING,
    Ended,
    Facts,
    Fleet,
    Limits,
    ended,
    failing_writes,
    open_time,
    step,
)
from pegbox.model.reasons import Reason
from pegbox.model.trials import BreakerState, TrialState, TrialSummary
from tests.unit.core.build import T0, at, ledger, setting

LIMITS = Limits(3, timedelta(seconds=900), timedelta(seconds=600), timedelta(hours=1))
CLOSED = Fleet()
OPEN = Fleet(BreakerState.OPEN, 1, at(600), at(0), why="harm")
HALF = Fleet(BreakerState.HALF_OPEN, 1, since=at(600), why="harm")
PROBED = replace(HALF, probe="shop/a")


def harm(*seconds: float) -> Facts:
    """Harm in shop/a, shop/b, ..., at these times."""
    return Facts({f"shop/{name}": Ended(harm=at(s)) for name, s in zip("abcdefgh", seconds, strict=False)})


def well(key: str, seconds: float, *, flying: tuple[str, ...] = ()) -> Facts:
    return Facts({key: Ended(well=at(seconds))}, frozenset(flying))


SICK = Facts(sick="no metrics server answers")


@pytest.mark.parametrize(
    ("before", "facts", "now", "state", "until"),
    [
        pytest.param(CLOSED, Facts(), 0, "Closed", None, id="closed_with_nothing_seen_stays"),
        pytest.param(CLOSED, harm(0, 0), 1, "Closed", None, id="harm_in_two_profiles_is_not_enough"),
        # until 1 + 600 s
        pytest.param(CLOSED, harm(0, 0, 0), 1, "Open", 601, id="harm_in_three_opens"),
        pytest.param(CLOSED, harm(0, 0, 899), 899, "Open", 1499, id="at_899_s_apart_it_still_counts"),
        pytest.param(CLOSED, harm(0, 900, 900), 901, "Closed", None, id="at_901_s_the_first_is_too_old"),
        pytest.param(CLOSED, SICK, 0, "Open", 600, id="what_is_sick_opens_at_once"),
        pytest.param(replace(CLOSED, since=at(1)), harm(0, 1, 2), 3, "Closed", None, id="answered_harm_is_not_counted"),
        pytest.param(OPEN, harm(1, 2, 3, 4, 5), 599, "Open", 600, id="open_is_not_opened_further"),
        pytest.param(OPEN, SICK, 600, "Open", 1200, id="still_sick_when_its_time_is_up_it_waits_base_again"),
        pytest.param(OPEN, Facts(), 600, "HalfOpen", None, id="well_when_its_time_is_up_it_half_opens"),
        pytest.param(OPEN, harm(1, 2, 3), 600, "HalfOpen", None, id="harm_while_open_was_no_probes"),
        pytest.param(
            replace(OPEN, until=at(9000)), Facts(), 0, "HalfOpen", None, id="a_clock_set_back_waits_no_longer"
        ),
        pytest.param(PROBED, well("shop/a", 700), 701, "Closed", None, id="a_good_probe_closes"),
        pytest.param(PROBED, well("shop/a", 500), 701, "HalfOpen", None, id="an_older_success_closes_nothing"),
        pytest.param(PROBED, well("shop/b", 700), 701, "HalfOpen", None, id="another_profiles_success_closes_nothing"),
        # opened once before: 600 s doubled once
        pytest.param(PROBED, harm(700), 701, "Open", 701 + 1200, id="a_harmful_probe_doubles_the_wait"),
        pytest.param(PROBED, harm(500), 701, "HalfOpen", None, id="older_harm_opens_nothing"),
        pytest.param(HALF, SICK, 701, "Open", 701 + 1200, id="sick_while_half_open_doubles_the_wait"),
    ],
)
def test_the_table(before: Fleet, facts: Facts, now: float, state: str, until: float | None) -> None:
    after = step(before, facts, LIMITS, at(now))
    assert after.state.value == state
    assert after.until == (at(until) if until is not None else None)


def test_a_probe_that_ends_without_a_verdict_makes_room_for_another() -> None:
    assert step(PROBED, Facts(flying=frozenset({"shop/a"})), LIMITS, at(701)).probe == "shop/a"
    assert step(PROBED, Facts(), LIMITS, at(701)).probe == ""


def test_a_closed_breaker_forgets_its_openings() -> None:
    assert step(PROBED, well("shop/a", 700), LIMITS, at(701)).opened == 0


def test_waiting_while_sick_counts_no_opening() -> None:
    assert step(OPEN, SICK, LIMITS, at(600)).opened == 1


def test_0_profiles_turn_it_off_even_where_it_was_open() -> None:
    off = replace(LIMITS, profiles=0)
    assert step(OPEN, harm(1, 2, 3), off, at(4)) == Fleet() == step(CLOSED, SICK, off, at(4))


@pytest.mark.parametrize(
    ("opened", "jitter", "seconds"),
    [
        pytest.param(0, 0.0, 600, id="first"),
        pytest.param(1, 0.0, 1200, id="doubled"),
        pytest.param(2, 0.0, 2400, id="twice"),
        pytest.param(0, 1.0, 660, id="stretched_by_a_tenth"),
        # 600 x 2^3 = 4800 are cut to 3600 / 1.1 = 3272.73
        pytest.param(3, 0.0, 3272.727273, id="cut_before_it_is_stretched"),
        pytest.param(3, 0.5, 3436.363636, id="two_fleets_that_were_cut_still_probe_apart"),
        pytest.param(3, 1.0, 3600, id="an_hour_at_the_most"),
        pytest.param(10**6, 1.0, 3600, id="after_very_many"),
    ],
)
def test_how_long_it_stays_open(opened: int, jitter: float, seconds: float) -> None:
    assert open_time(LIMITS, opened, jitter).total_seconds() == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("state", "reason", "found"),
    [
        pytest.param(TrialState.REVERTED, Reason.REGRESSION, Ended(harm=at(9)), id="a_regression_is_harm"),
        pytest.param(TrialState.REVERTED, Reason.OOM_KILLED, Ended(harm=at(9)), id="a_kill_is_harm"),
        pytest.param(TrialState.REVERTED, Reason.NOT_BETTER, Ended(well=at(9)), id="not_better_is_well"),
        pytest.param(TrialState.REVERTED, Reason.REQUESTED, Ended(), id="a_requested_rollback_is_neither"),
        pytest.param(TrialState.REVERTED, Reason.NO_DATA, Ended(), id="reverted_for_want_of_data_is_neither"),
        pytest.param(TrialState.ACCEPTED, Reason.TRIAL_ACCEPTED, Ended(well=at(9)), id="accepted_is_well"),
        pytest.param(TrialState.INCONCLUSIVE, Reason.DEPLOYED, Ended(), id="inconclusive_is_neither"),
        pytest.param(TrialState.INCONCLUSIVE, Reason.STOPPED, Ended(), id="stopped_is_neither"),
    ],
)
def test_what_a_ledger_says_of_its_trials(state: TrialState, reason: Reason, found: Ended) -> None:
    trial = TrialSummary("t", setting(workers=5), setting(workers=4), state, reason, T0, at(9))
    older = replace(trial, ended_at=at(3))
    assert ended(ledger(trials=(older, trial))) == found


@pytest.mark.parametrize(
    ("failing", "fine", "share", "sick"),
    [
        pytest.param(LEAST_FAILING, 0, 0.5, True, id="all_of_three_fail"),
        pytest.param(LEAST_FAILING - 1, 0, 0.5, False, id="two_broken_objects_are_no_sick_server"),
        pytest.param(5, 5, 0.5, False, id="half_is_not_more_than_half"),
        pytest.param(6, 5, 0.5, True, id="more_than_half_is"),
        pytest.param(9, 0, 1.0, False, id="a_share_of_1_never_opens"),
    ],
)
def test_when_the_api_server_is_sick(failing: int, fine: int, share: float, sick: bool) -> None:
    newest = {f"o{n}": (0.0, n >= failing) for n in range(failing + fine)}
    assert bool(failing_writes(newest, 120.0, share)) == sick
    assert not failing_writes(newest, 120.1, share)  # too long ago to say anything
