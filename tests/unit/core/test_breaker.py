"""The breaker: every row of its table."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction as F
from pathlib import Path

import pytest

from pegbox.core.breaker import LONGEST, fail, open_time, succeed, tick
from pegbox.core.decide import decide
from pegbox.core.transitions import Ending, turn_back
from pegbox.model.profile import Guards
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Request
from pegbox.model.trials import Breaker, BreakerState, TrialState
from tests.unit.core.build import NO_WISH, T0, at, intent, ledger, snapshot, spec, under_way

GUARDS = Guards(failures_to_open=3, breaker_base=F(900))
OPEN = Breaker(BreakerState.OPEN, failures=3, opened=1, until=at(900))
HALF = Breaker(BreakerState.HALF_OPEN, failures=3, opened=1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(Breaker(), Breaker(failures=1), id="closed_counts_a_failure_below_the_limit"),
        pytest.param(Breaker(failures=2), OPEN, id="closed_opens_with_the_failure_that_meets_the_limit"),
        pytest.param(OPEN, OPEN, id="open_is_not_opened_further_by_a_requested_trial"),
        # base 900 s doubled once for the opening before: 1800 s
        pytest.param(HALF, Breaker(BreakerState.OPEN, 4, 2, at(1800)), id="a_failed_probe_doubles_the_wait"),
    ],
)
def test_a_failure(before: Breaker, after: Breaker) -> None:
    assert fail(before, GUARDS, T0, 0.0) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(Breaker(failures=2), Breaker(), id="closed_forgets_its_failures"),
        pytest.param(HALF, Breaker(), id="half_open_closes_and_forgets_its_openings"),
        pytest.param(OPEN, OPEN, id="open_stays_open"),
    ],
)
def test_a_success(before: Breaker, after: Breaker) -> None:
    assert succeed(before) == after


@pytest.mark.parametrize(
    ("seconds", "state"),
    [
        pytest.param(899, BreakerState.OPEN, id="one_second_before_its_time_it_is_open"),
        pytest.param(900, BreakerState.HALF_OPEN, id="at_its_time_it_half_opens"),
    ],
)
def test_time_half_opens(seconds: int, state: BreakerState) -> None:
    assert tick(OPEN, at(seconds)).state is state


def test_time_moves_neither_closed_nor_half_open() -> None:
    assert tick(Breaker(failures=2), at(10**6)) == Breaker(failures=2)
    assert tick(HALF, at(10**6)) == HALF


@pytest.mark.parametrize(
    ("opened", "jitter", "expected"),
    [
        pytest.param(0, 0.0, 900, id="the_base"),
        pytest.param(3, 0.0, 7200, id="eight_times_the_base"),
        pytest.param(0, 1.0, 990, id="stretched_by_a_tenth_at_most"),
        # 900 s x 2^7 = 115200 s; 86400 / 1.1 = 78545.45
        pytest.param(7, 0.0, 78545.454545, id="115200_seconds_are_cut_so_that_jitter_still_fits_into_a_day"),
        pytest.param(7, 0.5, 82472.727273, id="two_that_were_cut_still_probe_apart"),
        pytest.param(7, 1.0, 86400, id="and_none_waits_longer_than_a_day"),
        pytest.param(10**6, 1.0, 86400, id="any_number_of_openings_ends_at_a_day"),
    ],
)
def test_the_open_time_doubles_up_to_a_day(opened: int, jitter: float, expected: float) -> None:
    assert open_time(F(900), opened, jitter).total_seconds() == pytest.approx(expected)
    assert open_time(F(900), opened, jitter) <= LONGEST


def test_a_time_beyond_a_day_is_of_a_clock_that_was_set_back() -> None:
    far = replace(OPEN, until=at(10**8))
    first = tick(far, T0)
    assert first.until == T0 + LONGEST
    assert tick(first, at(3600)).until == first.until, "it does not move on with the clock"
    assert tick(first, T0 + LONGEST).state is BreakerState.HALF_OPEN


TABLE = """
| state | harmful trial, below the limit | harmful trial at the limit | accepted trial | other ending | time is up | reset |
|---|---|---|---|---|---|---|
| Closed | Closed | Open 900 s | Closed | Closed | Closed | Closed |
| Open | Open | Open | Open | Open | HalfOpen | Closed |
| HalfOpen | Open 1800 s | Open 1800 s | Closed | HalfOpen | HalfOpen | Closed |
"""


def cells(text: str) -> list[tuple[str, str, str]]:
    head, _, *rows = [[c.strip() for c in line.strip("|").split("|")] for line in text.strip().splitlines()]
    return [(row[0], name, word) for row in rows for name, word in zip(head[1:], row[1:], strict=True)]


def happened(state: str, event: str) -> Breaker:
    """The event at T0, or as long after as the state's time takes; by `decide`'s own ways where it is not the breaker's."""
    before = {"Closed": Breaker(), "Open": OPEN, "HalfOpen": HALF}[state]
    if event == "time is up":
        return tick(before, at(900))
    if event == "accepted trial":
        return succeed(before)
    if event == "reset":
        asked = snapshot(memory=ledger(breaker=before), requests=(Request("reset", "t1"),))
        return decide(asked, NO_WISH, T0).ledger.breaker
    if event == "other ending":
        ending = Ending(TrialState.INCONCLUSIVE, Reason.DEPLOYED, T0)
        return turn_back(spec(), under_way(breaker=before), intent(), ending).breaker
    at_the_limit = event == "harmful trial at the limit"
    if state == "Closed":
        before = replace(before, failures=2 if at_the_limit else 0)
    return fail(before, GUARDS, T0, 0.0)


@pytest.mark.parametrize(
    ("state", "event", "expected"), [pytest.param(*c, id=f"{c[0]}: {c[1]}: {c[2]}") for c in cells(TABLE)]
)
def test_every_cell_of_the_table(state: str, event: str, expected: str) -> None:
    found = happened(state, event)
    word, _, seconds = expected.partition(" ")
    assert found.state.value == word
    if seconds:
        assert found.until == at(int(seconds.removesuffix(" s")))
    elif word == "Open":
        assert found.until == OPEN.until
    else:
        assert found.until is None


def test_the_table_is_the_one_of_the_documentation() -> None:
    page = (Path(__file__).parents[3] / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| state \| harmful .*?(?=\n\n)", page, re.MULTILINE | re.DOTALL)
    assert [cells(text) for text in rows] == [cells(TABLE)]
