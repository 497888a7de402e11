"""Streams of latencies: which columns are read, what a gap is, and how watches are cut."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pegbox.bench.regressions import simulated
from pegbox.bench.regressions.streams import Stream, cut, read
from pegbox.model.errors import InvalidInput


def written(folder: Path, header: str, rows: Sequence[str]) -> Path:
    path = folder / "a-stream.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "row", "latency"),
    [
        pytest.param("t_s,load_rps,mean_ms,p99_ms", "{t},5,10,99", 99.0, id="the_tail_before_the_mean"),
        pytest.param("t_s,mean_ms", "{t},10", 10.0, id="the_mean_where_there_is_no_tail"),
        pytest.param("time,stddev_latency,avg_latency", "{t},7,10", 10.0, id="a_deviation_is_no_latency"),
        pytest.param("timestamp,p95_ms,p99_ms", "{t},95,99", 99.0, id="the_further_tail"),
        pytest.param(" t_s , P99 ", "{t}, 99", 99.0, id="blanks_and_capitals"),
        pytest.param("t_ms,latency_ms", "{t}000,10", None, id="no_time_column_that_is_known"),
        pytest.param("time_s,offered_latency", "{t},10", None, id="no_latency"),
    ],
)
def test_the_columns_that_are_read(tmp_path: Path, header: str, row: str, latency: float | None) -> None:
    path = written(tmp_path, header, [row.format(t=30 * n) for n in range(5)])
    if latency is None:
        with pytest.raises(InvalidInput, match="p99_ms"):
            read(path)
        return
    found = read(path)
    assert (found.name, found.tick, found.latency.tolist()) == ("a-stream", 30.0, [latency] * 5)
    assert (found.control, found.load) == (None, None)


def test_load_is_used_only_where_it_is_offered_and_a_control_where_it_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "t_s,offered_rps,control_p99_ms,p99_ms", ["0,5,80,90", "30,6,81,91"])
    found = read(path)
    assert found.latency.tolist() == [90.0, 91.0]
    assert found.load is not None
    assert found.load.tolist() == [5.0, 6.0]
    assert found.control is not None
    assert found.control.tolist() == [80.0, 81.0]


def test_gaps_and_what_is_no_number_are_missing_and_never_zero(tmp_path: Path) -> None:
    rows = ["0,10", "30,", "60,0", "90,NaN", "120,-3", "150,12", "240,15", "210,14"]
    found = read(written(tmp_path, "t_s,mean_ms", rows))
    expected = [10.0, *[np.nan] * 4, 12.0, np.nan, 14.0, 15.0]
    np.testing.assert_array_equal(found.latency, expected)


def test_dates_are_times_too(tmp_path: Path) -> None:
    rows = ["2026-11-21T10:00:00+00:00,1", "2026-11-21T10:01:00+00:00,2"]
    assert read(written(tmp_path, "time,latency", rows)).tick == 60.0


@pytest.mark.parametrize("rows", [[], ["0,1"], ["0,1", "0,2"], ["0,1", "600,2"], ["x,1", "y,2"]])
def test_what_cannot_be_judged_is_refused(tmp_path: Path, rows: list[str]) -> None:
    with pytest.raises(InvalidInput):
        read(written(tmp_path, "t_s,mean_ms", rows))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="CSV"):
        read(tmp_path / "none.csv")


def test_watches_are_twenty_minutes_and_thirty_whatever_the_tick() -> None:
    thirty, odd = Stream("a", 30.0, np.ones(300)), Stream("a", 30.5, np.ones(300))
    assert (thirty.baseline_ticks, thirty.watch_ticks) == (40, 60)
    assert (odd.baseline_ticks, odd.watch_ticks) == (39, 59)
    assert [w.start for w in cut(thirty, thirty.length)] == [0, 100, 200]
    assert len(list(cut(thirty, 1))) == 201


def test_a_watch_without_most_of_its_baseline_is_left_out() -> None:
    latency = np.ones(200)
    latency[:9] = np.nan  # 31 of 40 are known: below 80 %
    assert [w.start for w in cut(Stream("a", 30.0, latency), 100)] == [100]


def test_simulated_streams_are_the_same_for_the_same_seed_and_nothing_else() -> None:
    for make in simulated.SIMULATED:
        one, same, other = make(1), make(1), make(2)
        np.testing.assert_array_equal(one.latency, same.latency)
        assert not np.array_equal(one.latency, other.latency)
        assert one.name.startswith("simulated")
        assert np.isfinite(one.latency).all()
        assert len(list(cut(one, one.length))) == 158
