"""`pegbox bench rollback` from a stream to its rows, and the intervals of its shares."""

from __future__ import annotations

import json
import math
from argparse import Namespace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pegbox.bench import rollback
from pegbox.bench.regressions import rules, simulated
from pegbox.bench.regressions.scores import SHIFTS, Score, blocks, exact
from pegbox.model.errors import InvalidInput


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two watches of each simulated stream, and only a few rules."""
    monkeypatch.setattr(rollback, "SIMULATED", tuple(partial(make, days=0.07) for make in simulated.SIMULATED))
    kept = ("CUSUM", "mSPRT with floor")
    monkeypatch.setattr(rules, "COMPANY", {name: rules.COMPANY[name] for name in kept})


def stream(folder: Path, count: int = 104) -> Path:
    path = folder / "one.csv"
    rows = [f"{30 * n},{100 * math.exp(0.15 * math.sin(2.4 * n)):.3f}" for n in range(count)]
    path.write_text("\n".join(["t_s,p99_ms", *rows]), encoding="utf-8")
    return path


def asked(**changes: object) -> Namespace:
    return Namespace(**{"stream": [], "seeds": 1, "data": None, "json": None, **changes})


def test_a_run_tells_every_rule_shift_and_time(tmp_path: Path) -> None:
    outcome = rollback.run(asked(stream=[stream(tmp_path)]))
    rows = [r for r in outcome.runs if r["stream"] == "one"]
    assert len(rows) == 2 * 3 * len(SHIFTS) * 5  # overlapping and disjoint, three rules, four shifts, five times
    ours = [r for r in rows if (r["rule"], r["watches_cut"]) == ("pegbox", "overlapping")]
    assert {r["watches"] for r in ours} == {5}
    assert {r["false_per_watch"] for r in ours} == {0.0}
    found = {(r["shift"], r["within_min"]): r["found"] for r in ours}
    assert found[0.0, 30] == 0.0
    assert found[0.25, 8] == found[1.0, 2] == 1.0
    assert [found[0.5, m] for m in (1, 2, 3, 8, 30)] == sorted(found[0.5, m] for m in (1, 2, 3, 8, 30))
    assert json.loads(outcome.json())["meta"]["sha256"].keys() == {"one.csv"}
    assert "reached  one: +50% found within 3 min" in outcome.text


def test_simulated_streams_say_so_and_show_what_control_and_load_are_worth() -> None:
    outcome = rollback.run(asked(data=Path("nowhere"), seeds=2))
    names = {r["stream"] for r in outcome.runs}
    assert len(names) == 4
    assert all(name.startswith("simulated: ") for name in names)
    without = {r["stream"] for r in outcome.runs if r["rule"] == rollback.WITHOUT}
    assert without == names - {"simulated: daily drift"}
    assert "it can be had from github.com" in outcome.text


def test_a_false_alarm_is_claimed_only_over_enough_watches() -> None:
    claims = rollback.run(asked(data=Path("nowhere"))).meta["claims"]
    few = [c for c in claims if "false rollbacks" in c["claim"]]
    assert len(few) == 4
    assert not any(c["reached"] for c in few)


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    path = stream(tmp_path)
    assert rollback.run(asked(stream=[path])).json() == rollback.run(asked(stream=[path])).json()


def test_a_stream_that_is_too_short_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="50 minutes"):
        rollback.run(asked(stream=[stream(tmp_path, 99)]))


def made(found: list[float], starts: list[float] | None = None, tick: float = 30.0) -> Score:
    """The same ticks for every shift."""
    table = np.repeat(np.array(found)[:, None], len(SHIFTS), axis=1)
    places = np.arange(len(found)) * 100.0 if starts is None else np.array(starts)
    return Score("one", "pegbox", starts is not None, tick, places, 100, table)


def test_shares_and_delays_by_worked_rows() -> None:
    score = made([2.0, 16.0, 17.0, 0.0])
    assert [score.share(0.25, m) for m in (1, 8, 30)] == [0.25, 0.5, 0.75]
    assert score.delay(0.25) == 16 * 30.0
    assert math.isnan(made([0.0]).delay(0.25))


def test_the_tick_nearest_to_the_minute_counts_as_within_it() -> None:
    assert made([2.0], tick=30.5).share(1.0, 1) == 1.0  # after 61 s
    assert made([3.0], tick=30.5).share(1.0, 1) == 0.0
    assert made([1.0], tick=150.0).share(1.0, 1) == 1.0  # no sample comes sooner


def test_exact_bounds_by_known_values() -> None:
    assert exact(0, 300) == (0.0, pytest.approx(1 - 0.05 ** (1 / 300)))
    assert exact(5, 5) == (pytest.approx(0.05 ** (1 / 5)), 1.0)
    low, high = exact(5, 948)
    assert 0.002 < low < 5 / 948 < high < 0.012


def test_blocks_keep_what_hangs_together() -> None:
    # ten blocks of a hundred, one of them all hits: as wide as ten watches, not as a thousand
    hits = np.zeros(1000)
    hits[300:400] = 1.0
    low, high = blocks(hits, np.arange(1000) // 100)
    assert low == 0.0
    assert high >= 0.2


def test_the_worst_cut_into_disjoint_watches_is_found() -> None:
    # watches at 0, 7, 100, 107: at offset 7 both hit
    score = made([0.0, 3.0, 0.0, 3.0], starts=[0.0, 7.0, 100.0, 107.0])
    assert score.worst(0.0, 30) == (2, 2)
