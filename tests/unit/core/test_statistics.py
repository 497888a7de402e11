"""Rows: what is merged, what is left out, what is forgotten."""

from __future__ import annotations

import math
import statistics as reference
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from pegbox.core.statistics import MAX_ROWS, decay, load_bin, merge, tell_more
from pegbox.model.knobs import Setting
from pegbox.model.observations import Missing, Observation, Window
from pegbox.model.prediction import Row
from pegbox.model.reasons import Reason

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
AT = Setting({"workers": Fraction(4)})


def window(second: int = 0, **changes: object) -> Observation:
    seen = Observation(
        window=Window(EPOCH + timedelta(seconds=second), EPOCH + timedelta(seconds=second + 20)),
        setting_hash="",
        offered_load=60.0,
        throughput=13.0,
        latency=0.5,
        errors=0.0,
        pods=1,
    )
    return replace(seen, **changes)  # type: ignore[arg-type]


def merged(*windows: Observation) -> tuple[Row, ...]:
    rows: tuple[Row, ...] = ()
    for seen in windows:
        rows = merge(rows, seen, AT)
    return rows


def test_windows_of_one_setting_and_load_become_one_row() -> None:
    """Means of 12, 13, 17 are 14; squared deviations 4 + 1 + 9 = 14."""
    (row,) = merged(*(window(20 * i, throughput=x) for i, x in enumerate((12.0, 13.0, 17.0))))
    assert row.count == 3
    assert row.throughput == pytest.approx(14.0)
    assert row.throughput_m2 == pytest.approx(14.0)
    assert row.throughput_m2 / (row.count - 1) == pytest.approx(reference.variance([12, 13, 17]))
    assert row.last_seen == (EPOCH + timedelta(seconds=60)).timestamp()


def test_latency_is_weighted_by_events() -> None:
    """10 events/s at 0.2 s and 30 events/s at 0.6 s: (10 x 0.2 + 30 x 0.6) / 40 = 0.5 s."""
    (row,) = merged(window(throughput=10.0, latency=0.2), window(20, throughput=30.0, latency=0.6))
    assert row.latency == pytest.approx(0.5)


def test_signals_are_averaged_and_one_that_fails_keeps_its_mean() -> None:
    rows = merged(
        window(signals={"busy:workers": 0.4, "cpu": 1.0}),
        window(20, signals={"busy:workers": 0.8, "cpu": Missing(Reason.NO_DATA)}),
    )
    assert rows[0].signals == {"busy:workers": pytest.approx(0.6), "cpu": 1.0}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"clean": False, "unclean_reason": Reason.SETTLING}, id="unclean"),
        pytest.param({"offered_load": Missing(Reason.NO_DATA)}, id="load_missing"),
        pytest.param({"throughput": Missing(Reason.STALE_DATA)}, id="throughput_missing"),
        pytest.param({"latency": Missing(Reason.TOO_FEW_EVENTS)}, id="latency_missing"),
        pytest.param({"offered_load": 0.0, "throughput": 0.0}, id="no_load"),
        pytest.param({"throughput": 0.0}, id="nothing_served"),
        pytest.param({"latency": 0.0}, id="no_latency"),
        pytest.param({"pods": 0}, id="no_pods"),
        pytest.param({"throughput": math.nan}, id="nan"),
        pytest.param({"latency": math.inf}, id="infinite"),
    ],
)
def test_a_window_that_teaches_nothing_changes_nothing(changes: dict[str, object]) -> None:
    rows = merged(window())
    assert merge(rows, window(20, **changes), AT) == rows


@pytest.mark.parametrize(
    ("second", "rows"),
    [
        pytest.param(window(20, offered_load=64.0), 1, id="same_bin"),  # 1.25^18 = 55.5 to 1.25^19 = 69.4
        pytest.param(window(20, offered_load=70.0), 2, id="next_bin"),
        pytest.param(window(20, pods=2), 2, id="other_pods"),
    ],
)
def test_other_loads_and_other_pods_make_other_rows(second: Observation, rows: int) -> None:
    assert len(merged(window(), second)) == rows


@pytest.mark.parametrize(
    ("load", "number"),
    [(1.0, 0), (1.24, 0), (1.25, 1), (0.79, -2), (0.8, -1), (1.5625, 2), (60.0, 18)],
)
def test_load_bins_are_25_percent_wide(load: float, number: int) -> None:
    assert load_bin(load) == number


def test_the_oldest_row_is_dropped_beyond_the_cap() -> None:
    rows: tuple[Row, ...] = ()
    for n in range(MAX_ROWS + 5):
        rows = merge(rows, window(20 * n), Setting({"workers": Fraction(n + 1)}))
    assert len(rows) == MAX_ROWS
    assert min(row.setting.number("workers") for row in rows) == 6


def test_a_row_that_was_seen_again_is_not_the_oldest() -> None:
    rows: tuple[Row, ...] = ()
    for n in range(MAX_ROWS):
        rows = merge(rows, window(20 * n), Setting({"workers": Fraction(n + 1)}))
    rows = merge(rows, window(20 * MAX_ROWS), Setting({"workers": Fraction(1)}))
    rows = merge(rows, window(20 * MAX_ROWS + 20), Setting({"workers": Fraction(1000)}))
    assert Setting({"workers": Fraction(1)}) in {row.setting for row in rows}
    assert Setting({"workers": Fraction(2)}) not in {row.setting for row in rows}


def test_decay_keeps_mean_and_variance_and_cuts_the_weight() -> None:
    (row,) = merged(*(window(20 * i, throughput=x) for i, x in enumerate((12.0, 13.0, 17.0, 14.0))))
    (old,) = decay((row,), 0.5)
    assert old.count == 2
    assert old.throughput == row.throughput
    assert old.throughput_m2 / (old.count - 1) == pytest.approx(row.throughput_m2 / (row.count - 1))


def test_decay_drops_what_is_less_than_a_window() -> None:
    assert decay(merged(window()), 0.5) == ()
    assert decay(merged(window()), 1.0) == merged(window())


@pytest.mark.parametrize("factor", [-0.1, 1.1, math.nan])
def test_a_decay_factor_outside_of_0_to_1_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match=r"outside of 0\.\.1"):
        decay((), factor)


TEN = merged(*(window(20 * i) for i in range(10)))
ELSEWHERE = merge(TEN, window(300), Setting({"workers": Fraction(5)}))
WORTH_A_FIT = [
    ("nine more windows of ten are not", (replace(TEN[0], count=19),), False),
    ("ten more of ten are", (replace(TEN[0], count=20),), True),
    ("another setting is", ELSEWHERE, True),
    ("fewer windows, after a deploy, are", (replace(TEN[0], count=9),), True),
    ("a vanished row is", (), True),
    ("the same is not", TEN, False),
]


@pytest.mark.parametrize(("rows", "worth"), [r[1:] for r in WORTH_A_FIT], ids=[r[0] for r in WORTH_A_FIT])
def test_what_is_worth_another_fit(rows: tuple[Row, ...], worth: bool) -> None:
    assert tell_more(rows, TEN) is worth


def test_a_young_row_that_doubled_is_worth_a_fit_however_many_windows_an_old_one_holds() -> None:
    old, young = ELSEWHERE  # ten windows and one
    assert tell_more((old, replace(young, count=2)), ELSEWHERE)
    assert not tell_more((replace(old, count=19), young), ELSEWHERE)


def test_the_first_window_is_worth_a_fit() -> None:
    assert tell_more(TEN, ())
