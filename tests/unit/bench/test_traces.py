"""Load traces are read by their shape: any file of it, and no file that is broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pegbox.bench.traces import Trace, read
from pegbox.model.errors import InvalidInput


def _read(folder: Path, text: str, name: str = "trace.csv") -> Trace:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read(path)


def _minutes(rows: int, form: str = "2026-05-01 {h:02d}:{m:02d}:00,{n}", head: str = "minute,requests") -> str:
    return "\n".join([head, *(form.format(h=i // 60, m=i % 60, n=i + 1, i=i) for i in range(rows))]) + "\n"


FORMS = {
    "written times": _minutes(800),
    "with a zone": _minutes(800, "2026-05-01T{h:02d}:{m:02d}:00+00:00,{n}"),
    "of a web server's log": _minutes(800, "01/May/2026:{h:02d}:{m:02d},{n}"),
    "other names and an index": _minutes(800, "{i},2026-05-01 {h:02d}:{m:02d},{n}", ",period,count"),
    "a column of numbers that is no count": _minutes(800, "2026-05-01 {h:02d}:{m:02d},{n},200", "time,requests,status"),
    "numbered minutes": _minutes(800, "{i},{n}"),
    "semicolons": _minutes(800, "2026-05-01 {h:02d}:{m:02d};{n}", "time;hits"),
    "no header": _minutes(800, head="").lstrip(),
    "comments and empty lines": "# made up\n\n" + _minutes(800),
    "a mark of byte order": "\ufeff" + _minutes(800),
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_a_csv_of_minutes_is_read_however_it_writes_them(tmp_path: Path, text: str) -> None:
    trace = _read(tmp_path, text)
    assert trace.step == 60.0
    assert trace.loads.tolist() == [float(i + 1) for i in range(800)]


def test_epochs_in_seconds_and_in_milliseconds_are_times(tmp_path: Path) -> None:
    seconds = _minutes(800, "{i},{n}", "timestamp,count").splitlines()
    rows = [line.split(",") for line in seconds[1:]]
    for factor in (1, 1000):
        text = "\n".join(["timestamp,count", *(f"{(1_700_000_000 + 60 * int(i)) * factor},{n}" for i, n in rows)])
        assert _read(tmp_path, text).loads.tolist() == [float(i + 1) for i in range(800)]


def test_rows_of_one_minute_are_added_up_in_any_order(tmp_path: Path) -> None:
    lines = _minutes(800).splitlines()
    trace = _read(tmp_path, "\n".join([lines[0], *reversed(lines[1:]), lines[5]]))
    assert trace.loads[3:6].tolist() == [4.0, 10.0, 6.0]


def test_a_minute_that_is_not_there_is_a_gap_and_not_zero(tmp_path: Path) -> None:
    lines = _minutes(800).splitlines()
    lines[8] = lines[8].split(",")[0] + ","
    trace = _read(tmp_path, "\n".join(lines[:4] + lines[6:]))
    assert np.flatnonzero(np.isnan(trace.loads)).tolist() == [3, 4, 7]


def test_a_written_zero_is_zero(tmp_path: Path) -> None:
    lines = _minutes(800).splitlines()
    lines[8] = lines[8].split(",")[0] + ",0"
    assert _read(tmp_path, "\n".join(lines)).loads[7] == 0.0


def test_a_file_of_five_minutes_keeps_its_step(tmp_path: Path) -> None:
    rows = "\n".join(f"{5 * i},{i + 1}" for i in range(300))
    trace = _read(tmp_path, f"minute,requests\n{rows}\n")
    assert (trace.step, len(trace.loads)) == (300.0, 300)


@pytest.mark.parametrize(
    ("seconds", "step"),
    [
        pytest.param(280 * 60, 60.0, id="280 minutes: in minutes"),
        pytest.param(3600, 10.0, id="an hour: the longest step that leaves 280 of them"),
        pytest.param(1475, 5.0, id="half an hour"),
        pytest.param(300, 1.0, id="five minutes: as it is"),
    ],
)
def test_a_text_of_seconds_gets_the_step_that_it_can_bear(tmp_path: Path, seconds: int, step: float) -> None:
    trace = _read(tmp_path, "7\n" * seconds, "trace.txt")
    assert trace.step == step
    assert set(trace.loads.tolist()) == {7.0 * step}


def test_half_a_step_is_scaled_up_and_less_is_a_gap(tmp_path: Path) -> None:
    """Steps of 10 s: in the first one five seconds are known, in the second four."""
    counts = ["10"] * 5 + ["nan"] * 5 + ["10"] * 4 + ["nan"] * 6 + ["10"] * 3600
    loads = _read(tmp_path, "\n".join(counts), "trace.txt").loads
    assert loads[0] == pytest.approx(100.0)
    assert np.isnan(loads[1])


BROKEN = {
    "a word for a count": (_minutes(800).replace(",7\n", ",seven\n"), "line 8"),
    "less than nothing": (_minutes(800).replace(",7\n", ",-7\n"), "line 8"),
    "endless": (_minutes(800).replace(",7\n", ",inf\n"), "line 8"),
    "a broken time": (_minutes(800).replace("00:06:00,7", "noon,7"), "line 8"),
    "a cell too few": (_minutes(800).replace(",7\n", "\n"), "line 8"),
    "a time that lies off": (_minutes(800).replace("2026-05-01 00:06:00,7", "0226-05-01 00:06:00,7"), "span"),
    "no counts": ("time,what\n" + "2026-05-01,x\n" * 800, "line 2"),
    "no time": ("what,count\n" + "x,5\n" * 800, "line 2"),
    "only a header": ("minute,requests\n", "only a header"),
    "only gaps": ("nan\n" * 800, "only gaps"),
    "too short": ("5\n" * 59, "59 steps"),
    "nothing": ("", "no line"),
}


@pytest.mark.parametrize(("text", "named"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_refused_with_its_line(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        _read(tmp_path, text)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_bytes(b"\xff\xfe\x00\x01")
    for path in (tmp_path / "trace.csv", tmp_path / "none.csv", tmp_path):
        with pytest.raises(InvalidInput, match="trace"):
            read(path)
