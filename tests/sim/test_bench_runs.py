"""Whole runs of `pegbox bench`, small ones: what their rows, their words and their files hold."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from pegbox.bench import decide, forecast, running, scale_out, tune
from pegbox.bench.forecast import BEST
from pegbox.bench.replay import OURS
from pegbox.bench.tuners import COMPANY
from tests.unit.bench.made import asked_of, small_forests, write_spec
from tests.unit.bench.test_forecast_bench import arguments, noisy
from tests.unit.bench.test_running import KEYS


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_forests(monkeypatch)


def test_a_forecast_run_gives_one_row_for_each_trace_model_and_quantile(tmp_path: Path) -> None:
    (tmp_path / "traces").mkdir()
    (tmp_path / "traces" / "made.txt").write_text("\n".join(str(int(x)) for x in noisy(300)))
    outcome = forecast.run(arguments(tmp_path, horizon=1, json=tmp_path / "out.json"))
    rows = [row for row in outcome.runs if row["model"] == OURS]
    assert [row["nominal"] for row in rows] == [0.9, 0.95, 0.98, 0.99]
    assert set(rows[0]) == {"trace", "model", "horizon_min", "wape", "nominal", "coverage"}
    assert {row["model"] for row in outcome.runs} >= {"last", "mean15", "regression", BEST}
    assert outcome.meta["traces"]["made"]["held_out"] == 120
    assert "WAPE" in outcome.text and outcome.pictures["made"].startswith("<?xml")
    read = json.loads(outcome.json())
    assert next(row for row in read["runs"] if row["model"] == "yesterday")["wape"] is None


def test_a_scale_out_run_gives_one_row_for_each_policy(tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    loads = np.round(300 + 200 * np.sin(np.arange(300) / 40) + 20 * chance.normal(size=300))
    (tmp_path / "made.txt").write_text("\n".join(str(int(x)) for x in loads))
    outcome = scale_out.run(
        Namespace(trace=[tmp_path / "made.txt"], seeds=6, data=tmp_path, json=tmp_path / "out.json")
    )
    assert len({row["policy"] for row in outcome.runs}) == len(outcome.runs)
    assert set(outcome.runs[0]) == {"trace", "policy", "bad_minutes", "replica_ratio"}
    assert sum(row["policy"].startswith("hpa") for row in outcome.runs) == 61 + 4
    assert "clairvoyant" in outcome.text
    assert {"against_hpa", "alone_against_last_value", "worse_elsewhere"} <= set(outcome.meta["traces"]["made"])
    assert outcome.pictures["made"].startswith("<?xml")


def test_every_name_has_a_row_at_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide, "COMPANY", {n: COMPANY[n] for n in ("nothing", "one-knob")})
    outcome = decide.run(Namespace(rounds=2))
    assert [(r["name"], r["n_observations"], r["n_knobs"]) for r in outcome.runs] == [
        (name, n, k) for name in ("decision", "nothing", "one-knob") for n in (50, 200) for k in (6, 19)
    ]
    assert set(outcome.runs[0]) == {"name", "n_observations", "n_knobs", "ms_p50", "ms_p99", "rss_mib"}
    assert all(r["ms_p99"] >= r["ms_p50"] > 0 and r["rss_mib"] > 1 for r in outcome.runs)
    assert len(outcome.text.splitlines()) == 1 + len(outcome.runs)


@pytest.mark.usefixtures("small")
def test_the_json_has_meta_with_hashes_and_runs_with_the_keys(tmp_path: Path) -> None:
    spec = write_spec(tmp_path)
    outcome = tune.run(asked_of(spec, models=2))
    said = json.loads(outcome.json())

    assert set(said) == {"meta", "runs"}
    assert said["meta"]["bench"] == "tune"
    assert set(said["meta"]["sha256"]) == {"made.yaml", "made.csv"}
    assert set(said["meta"]["surrogates"]) == {"made/0", "made/1"}
    assert len({*said["meta"]["surrogates"].values(), *said["meta"]["sha256"].values()}) == 4
    assert len(said["runs"]) == 2 * 2 * 2
    assert all(set(row) >= KEYS and "surrogate_sha256" not in row for row in said["runs"])
    assert [(r["model_seed"], r["tuner"], r["seed"]) for r in said["runs"]] == [
        (model, tuner, seed) for model in (0, 1) for tuner in ("nothing", "one-knob") for seed in (0, 1)
    ]
    still = [r for r in said["runs"] if r["tuner"] == "nothing"]
    assert all(r["regret"] == r["regret_static"] and r["unsafe"] == 0 and r["hold_step"] == 1 for r in still)
    assert all(r["gap20"] is None and r["knobs_moved"] == 0 for r in still)
    assert "made, start good" in outcome.text and "one-knob" in outcome.text
    assert set(outcome.pictures) == {"regret"}


@pytest.mark.usefixtures("small")
def test_figures_repeat_but_for_the_clock(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, mode="TableSafe", starts=None, steps=12)
    first, again = (tune.run(asked_of(spec)).runs for _ in range(2))
    assert [{k: v for k, v in r.items() if "_ms_" not in k} for r in first] == [
        {k: v for k, v in r.items() if "_ms_" not in k} for r in again
    ]


@pytest.mark.usefixtures("small")
def test_outliers_reach_the_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured with them: `tests/unit/bench/test_tasks.py`."""
    seen: list[bool] = []
    plain = running.run
    monkeypatch.setattr(running, "run", lambda task, *more: (seen.append(task.outliers), plain(task, *more))[1])
    for on in (False, True):
        tune.run(asked_of(write_spec(tmp_path), seeds=1, tuners="nothing", outliers=on))
    assert seen == sorted(seen) and seen.count(True) == seen.count(False) > 0
