"""What a benchmark says: JSON without NaN, a report, pictures that repeat, and how much time is left."""

from __future__ import annotations

import io
import json
import math
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import pytest

from pegbox.bench import arguments, progress
from pegbox.bench.outcome import Outcome, meta, sha256
from pegbox.bench.pictures import lines
from pegbox.bench.progress import Progress, clock
from pegbox.bench.report import report
from pegbox.commands import bench
from pegbox.model.errors import InvalidInput

ROW: dict[str, Any] = {
    "spec": "made", "model_seed": 0, "start": "good", "tuner": "pegbox", "seed": 0, "steps": 60, "unsafe": 0.05,
    "worst": 0.7, "below_075": 2, "regret": 3.0, "regret_static": 6.0, "gap20": 0.1, "gap40": 0.05, "gap60": None,
    "steps_to_5": 40, "settings_tried": 9, "knobs_moved": 3, "hold_step": None, "failed": 1, "suggest_ms_p50": 4.0,
}  # fmt: skip


def test_what_is_not_finite_becomes_null() -> None:
    found = Outcome(
        {"a": math.nan, "b": (1, 2.5)}, [{"c": math.inf, "d": -math.inf, "e": 0.1 + 0.2, "f": None, "g": True}]
    )
    assert json.loads(found.json()) == {
        "meta": {"a": None, "b": [1, 2.5]},
        "runs": [{"c": None, "d": None, "e": 0.3, "f": None, "g": True}],
    }


def test_meta_has_versions_and_the_hash_of_each_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    found = meta("tune", {"a.csv": tmp_path / "a"}, seeds=3)
    assert found["sha256"] == {"a.csv": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}
    assert (found["bench"], found["seeds"]) == ("tune", 3)
    assert set(found["libraries"]) == {"numpy", "scipy", "scikit-learn", "optuna"}
    with pytest.raises(InvalidInput, match="name a file that can be read: No such file"):
        sha256(tmp_path / "b")


def test_pictures_stand_beside_the_json(tmp_path: Path) -> None:
    path = tmp_path / "new" / "found.json"
    written = Outcome({}, [], pictures={"regret": "<svg/>"}).write(path)
    assert written == [path, path.parent / "found-regret.svg"]
    assert written[1].read_text() == "<svg/>"
    with pytest.raises(InvalidInput, match=r"--json: .*name a file that can be written"):
        Outcome({}, []).write(path / "under-a-file.json")


def test_pictures_are_the_same_bytes_twice() -> None:
    series = {"pegbox": [(0.0, 20.0), (20.0, 5.0)], "tpe": [(0.0, 20.0), (20.0, 9.0)]}
    first, again = (lines("A title", ("steps", "percent"), series, dots=True) for _ in range(2))
    assert first == again
    assert first.startswith("<?xml") and "A title" in first and "tpe" in first


def test_a_report_has_means_medians_and_dashes() -> None:
    other = {**ROW, "seed": 1, "unsafe": 0.0, "worst": 0.9, "regret": 1.0, "steps_to_5": None, "gap20": 0.2}
    text, pictures = report([ROW, other])
    line = next(line for line in text.splitlines() if line.startswith("pegbox"))

    assert line.split() == [
        "pegbox", "2.5%", "0.70", "2.00", "0.33", "10.0%", "15.0%", "5.0%", "-", "40", "9", "3", "-", "2", "4",
    ]  # fmt: skip
    pooled = text.splitlines()[_heading(text, "all of them") + 2].split()
    assert pooled[:2] == ["pegbox", "2.50%"] and pooled[-3:] == ["4", "of", "120"]
    assert set(pictures) == {"regret"}


def _heading(text: str, begin: str) -> int:
    return next(i for i, line in enumerate(text.splitlines()) if line.startswith(begin))


def test_pooled_figures_are_told_with_each_spec_left_out() -> None:
    """Without `made`: 0 of 60 unsafe, 1 of 4; without `other`: 3 of 60 unsafe, 3 of 6."""
    text, _ = report([ROW, {**ROW, "spec": "other", "unsafe": 0.0, "regret": 1.0, "regret_static": 4.0}])
    line = text.splitlines()[_heading(text, "the same with each spec left out") + 2]
    assert line.split() == ["pegbox", "0.00%", "5.00%", "0.25", "0.50"]


def test_one_spec_alone_cannot_be_left_out() -> None:
    text, _ = report([ROW])
    assert text.splitlines()[_heading(text, "the same with each spec left out") + 2].split() == ["pegbox", *"----"]


def test_what_was_foretold_is_pooled_over_moves() -> None:
    """19 of 20 and 9 of 10 moves; scores 0.1 and 0.4 make (20 x 0.1 + 10 x 0.4) / 30 = 0.2."""
    keys = ("moves_foretold", "moves_covered", "moves_score", "moves_score_raw", "repeats_foretold", "repeats_covered")
    one = {**ROW, **dict(zip(keys, (20, 19, 0.1, 0.2, 4, 3), strict=True))}
    other = {**ROW, **dict(zip(keys, (10, 9, 0.4, 0.5, None, None), strict=True))}
    text, _ = report([one, other, {**ROW, "tuner": "tpe"}])
    assert text.splitlines()[-1] == (
        "pegbox: 93.3% of 30 moves, 75.0% of 4 repeats; interval score 0.200, of the model alone 0.300"
    )


def test_who_foretells_nothing_has_no_line() -> None:
    assert "interval" not in report([ROW])[0]


def test_a_run_without_head_room_has_no_ratio() -> None:
    text, _ = report([{**ROW, "regret_static": 0.0, "unsafe": 0.0}])
    assert text.splitlines()[2].split()[4] == "-"
    assert report([])[1] == {}


def test_the_time_left_is_told() -> None:
    assert Progress("runs", 10, done=2).line(60) == "runs: 2 of 10, 1 min 00 s so far, about 4 min 00 s left"
    assert Progress("runs", 10).line(0) == "runs: 0 of 10, 0 s so far, about 0 s left"
    assert [clock(s) for s in (0.4, 59.4, 200, 7500)] == ["0 s", "59 s", "3 min 20 s", "2 h 05 min"]


def test_a_log_gets_a_line_now_and_then_and_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    told = Progress("runs", 100, out=out, started=100.0)
    for _ in range(100):
        now[0] += 1.0
        told.step()
    lines_ = out.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines_] == [f"runs: {n} of 100" for n in (1, 31, 61, 91, 100)]
    assert lines_[-1].endswith("about 0 s left")


def test_a_terminal_gets_one_line_that_is_written_over() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    told = Progress("runs", 2, out=out)
    told.step(), told.step()
    assert out.getvalue().count("\r") == 2 and out.getvalue().count("\n") == 1
    assert out.getvalue().endswith("left\n")


def parsed(*words: str) -> Namespace:
    made = ArgumentParser()
    arguments.add(made)
    return made.parse_args(words)


def test_every_benchmark_has_its_arguments() -> None:
    for name in arguments.BENCHES:
        found = parsed(name, "--seeds", "3", "--json", "x.json", "--data", "d")
        assert (found.bench, found.seeds, found.json, found.data) == (name, 3, Path("x.json"), Path("d"))


def test_tune_takes_specs_or_plants_and_not_both(capsys: pytest.CaptureFixture[str]) -> None:
    found = parsed("tune", "--spec", "a.yaml", "b.yaml", "--tuners", "tpe,gp-ei", "--shards", "s", "--processes", "1")
    assert (found.spec, found.plant) == ([Path("a.yaml"), Path("b.yaml")], [])
    assert (found.tuners, found.shards, found.processes, found.seeds, found.models) == ("tpe,gp-ei", Path("s"), 1, 6, 1)
    assert parsed("tune", "--plant", "shipped", "mine.py:Queue").plant == ["shipped", "mine.py:Queue"]
    with pytest.raises(SystemExit):
        parsed("tune", "--plant", "shipped", "--spec", "a.yaml")
    assert "not allowed with argument" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "10001", "", "²"])
def test_a_count_is_a_number_within_bounds(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("tune", f"--seeds={text}")
    assert f"--seeds: {text!r}: write a number from 1 to 10000" in capsys.readouterr().err


def test_the_command_prints_the_table_and_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Outcome({}, [], "a table", {"p": "<svg/>"})
    monkeypatch.setattr(bench, "BENCHES", {"tune": lambda arguments: made})
    assert bench.main(Namespace(bench="tune", json=tmp_path / "x.json")) == 0
    assert capsys.readouterr().out.split("\n") == ["a table", f"{tmp_path / 'x.json'}", f"{tmp_path / 'x-p.svg'}", ""]
    assert bench.main(Namespace(bench="tune", json=None)) == 0
    assert capsys.readouterr().out == "a table\n"


def test_the_command_knows_only_benchmarks_that_the_command_line_offers() -> None:
    assert {"tune", "decide"} <= set(bench.BENCHES) <= set(arguments.BENCHES)
