"""Answers -> rows: what is data, what is refused and why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pegbox.adapters.prometheus import decode
from pegbox.adapters.prometheus.decode import Dated
from pegbox.model.observations import Missing
from pegbox.model.profile import Purpose, Signal, SignalKind
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Acknowledgement
from pegbox.ports import SignalQuery, SignalRow, SignalRows

AT = datetime(2026, 1, 1, tzinfo=UTC)
RATE = Signal("done", SignalKind.RATE, Purpose.THROUGHPUT, "rate(a{$matchers}[$window])")
LEVEL = Signal("busy", SignalKind.GAUGE, Purpose.BUSY, "avg_over_time(a{$matchers}[$window])")
RATIO = Signal("ok", SignalKind.RATIO, Purpose.ERRORS, RATE.expr, count_expr=RATE.expr)
HISTOGRAM = Signal("took", SignalKind.HISTOGRAM, Purpose.LATENCY, RATE.expr, RATE.expr, RATE.expr)


def sample(part: str, value: str, profile: str = "shop/a", **labels: str) -> dict[str, Any]:
    return {"metric": {"profile": profile, "setting": "7", "part": part, **labels}, "value": [1.0, value]}


SOUND = [sample("fresh", "2"), sample("sound", "2")]


def rows(signal: Signal, *samples: dict[str, Any]) -> SignalRows:
    found = decode.rows(SignalQuery("c", signal, 20), samples, AT)
    assert isinstance(found, SignalRows)
    return found


def refusal(signal: Signal, *samples: dict[str, Any]) -> Missing:
    found = rows(signal, *samples)
    assert found.rows == ()
    return found.refused["shop/a", "", "7"]


def test_a_row_carries_its_sound_pods() -> None:
    assert rows(RATE, *SOUND, sample("value", "3.5")).rows == (SignalRow("shop/a", "", "7", "value", 3.5, pods=2),)


def test_a_level_is_the_sum_over_the_pods_that_gave_it() -> None:
    # Three pods gave 0.2, 0.4 and 0.9; one of them has too few scrapes and is not sound.
    [row] = rows(LEVEL, *SOUND, sample("value", "1.5"), sample("pods", "3")).rows
    assert (row.value, row.pods) == (0.5, 2)


def test_bounds_are_numbers_and_two_spellings_of_one_are_added() -> None:
    found = rows(
        HISTOGRAM,
        *SOUND,
        sample("sum", "1"),
        sample("count", "4"),
        sample("bucket", "1", le="1"),
        sample("bucket", "2", le="1.0"),
        sample("bucket", "4", le="+Inf"),
    )
    buckets = [(row.le, row.value) for row in found.rows if row.part == "bucket"]
    assert buckets == [(1.0, 3.0), (float("inf"), 4.0)]


@pytest.mark.parametrize("text", ["NaN", "+Inf", "-Inf", "Inf", "abc", ""])
def test_what_is_no_finite_number_is_refused(text: str) -> None:
    assert refusal(RATE, *SOUND, sample("value", text)).reason is Reason.NOT_A_NUMBER


def test_one_nan_bucket_refuses_the_whole_signal_of_that_profile_only() -> None:
    good = [sample(p, "2", "shop/b") for p in ("fresh", "sound", "value")]
    found = rows(RATE, *SOUND, sample("value", "NaN"), *good)
    assert {row.profile for row in found.rows} == {"shop/b"}
    assert set(found.refused) == {("shop/a", "", "7")}


@pytest.mark.parametrize(
    ("signal", "samples", "reason"),
    [
        pytest.param(RATE, [sample("value", "1")], Reason.STALE_DATA, id="values_of_nobody_fresh"),
        pytest.param(RATE, [sample("value", "1"), sample("fresh", "1")], Reason.PARTIAL_DATA, id="few_scrapes"),
        pytest.param(RATE, [sample("fresh", "1")], Reason.PARTIAL_DATA, id="one_scrape_gives_no_rate"),
        pytest.param(RATIO, [*SOUND, sample("all", "5")], Reason.PARTIAL_DATA, id="no_series_of_good_events"),
        pytest.param(HISTOGRAM, [*SOUND, sample("sum", "5")], Reason.PARTIAL_DATA, id="no_buckets"),
        pytest.param(RATE, [*SOUND, sample("value", "-1")], Reason.NOT_A_NUMBER, id="negative_rate"),
        pytest.param(LEVEL, [*SOUND, sample("value", "1"), sample("pods", "0")], Reason.NO_DATA, id="level_of_no_pod"),
        pytest.param(
            LEVEL, [*SOUND, sample("value", "1"), sample("pods", "5e-324")], Reason.NO_DATA, id="less_than_a_pod"
        ),
        pytest.param(RATE, [*SOUND, *[sample("value", "1e308")] * 2], Reason.NOT_A_NUMBER, id="sum_too_large"),
        pytest.param(
            RATE,
            [*SOUND, sample("value", "1"), *[sample("sound", "1e308")] * 2],
            Reason.NOT_A_NUMBER,
            id="pods_too_many",
        ),
        pytest.param(
            HISTOGRAM,
            [*SOUND, sample("sum", "1"), sample("count", "1"), sample("bucket", "1", le="x")],
            Reason.NOT_A_NUMBER,
            id="bound_that_is_no_number",
        ),
        pytest.param(
            RATE,
            [*SOUND, {"metric": sample("value", "1")["metric"], "histogram": [1.0, {"count": "3"}]}],
            Reason.NOT_A_NUMBER,
            id="native_histogram",
        ),
    ],
)
def test_what_cannot_be_relied_on_is_refused(signal: Signal, samples: list[Any], reason: Reason) -> None:
    assert refusal(signal, *samples).reason is reason


def test_an_empty_vector_is_no_data_and_never_zero() -> None:
    found = decode.rows(SignalQuery("c", RATE, 20), [], AT)
    assert isinstance(found, Missing)
    assert found.reason is Reason.NO_DATA


def test_a_level_may_be_negative() -> None:
    [row] = rows(LEVEL, *SOUND, sample("value", "-1"), sample("pods", "1")).rows
    assert row.value == -1.0


def series(pod: str, generation: float, at: float, digest: str = "h", instance: str = "i") -> Dated:
    return Dated({"pod": pod, "instance": instance, "profile_uid": "u", "hash": digest}, generation, at)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([series("a", 7, 10), series("a", 8, 9, "g")], 7, id="the_fresher_one"),
        pytest.param([series("a", 7, 10), series("a", 8, 10, "g")], 8, id="equally_fresh_the_higher"),
        pytest.param([series("a", 8, 9), series("a", 7, 10, "h", "j")], 7, id="of_processes_the_slowest"),
    ],
)
def test_what_a_pod_says_it_runs(found: list[Dated], expected: int) -> None:
    for order in (found, found[::-1]):
        assert decode.acknowledgements(order, "pod")["a"].generation == expected


def test_series_without_a_pod_acknowledge_nothing() -> None:
    assert decode.acknowledgements([series("", 7, 10)], "pod") == {}


def test_value_and_time_are_put_together_and_the_old_dropped() -> None:
    epoch = AT.timestamp()

    def pair(pod: str, at: float) -> list[dict[str, Any]]:
        labels = {"pod": pod, "profile_uid": "u", "hash": "h"}
        return [
            {"metric": {**labels, "part": "value"}, "value": [0, "3"]},
            {"metric": {**labels, "part": "at"}, "value": [0, str(at)]},
        ]

    found = decode.dated([*pair("new", epoch - 60), *pair("old", epoch - 61)], AT, lookback=60)
    assert decode.acknowledgements(found, "pod") == {"new": Acknowledgement("u", 3, "h")}


def test_of_two_values_of_a_knob_the_fresher_counts() -> None:
    found = [Dated({"pod": "a", "knob": "k"}, 4, 10), Dated({"pod": "a", "knob": "k", "instance": "j"}, 5, 11)]
    assert decode.setting_values(found, "pod") == {"a": {"k": 5.0}}
