"""The parts of a load run that decide what is measured: order, lateness, memory, faults."""

from __future__ import annotations

import json
import random

import pytest

from benchmarks.load import faults, memory
from benchmarks.load.application import wish
from benchmarks.load.book import Standing
from benchmarks.load.faults import Fault, Faults
from benchmarks.load.looks import Looks
from benchmarks.load.memory import Sample
from benchmarks.load.proxy import Call
from benchmarks.load.run import Plan
from benchmarks.load.shops import HARMFUL, start
from benchmarks.load.watching import Ordered
from tests.unit.benchmarks.load.test_book import tenant

# --- order


def test_changes_of_two_kinds_are_told_in_stored_order_whichever_came_first() -> None:
    ordered, told = Ordered(hold=3.0), list[str]()
    ordered.came(8, 0.0, lambda: told.append("document 8"))
    ordered.beside(0.5, lambda: told.append("read"))
    ordered.came(7, 1.0, lambda: told.append("ledger 7"))
    ordered.release(2.9)
    assert told == []
    ordered.release(4.0)
    assert told == ["ledger 7", "document 8", "read"] and ordered.late == 0


def test_a_change_that_comes_after_its_successor_was_told_is_counted() -> None:
    ordered = Ordered(hold=3.0)
    ordered.came(8, 0.0, lambda: None)
    ordered.release(3.0)
    ordered.came(7, 3.5, lambda: None)
    assert ordered.late == 1


# --- lateness


def test_a_look_is_late_by_what_exceeds_the_interval() -> None:
    """Looks at 0, 30, 61 and 93.5: gaps of 30, 31 and 32.5; by nearest rank the middle one is 1 s late."""
    looks = Looks(0.0)
    for at in (0.0, 30.0, 61.0, 93.5):
        looks.came("a", at)
    late = looks.late(["a"], 30.0, 0.0)
    assert (late.p50, late.p99, late.most, late.gaps) == (1.0, 2.5, 2.5, 3)
    assert looks.late(["a"], 30.0, since=70.0).gaps == 1
    assert looks.late(["nobody"], 30.0, 0.0).gaps == 0


def test_two_reads_of_one_look_count_once_from_the_later() -> None:
    looks = Looks(0.0)
    for at in (10.0, 10.4, 12.0):
        looks.came("a", at)
    assert looks.seen["a"] == [10.4, 12.0]


def test_who_is_not_looked_at_is_named_also_before_the_first_look() -> None:
    looks = Looks(5.0)
    looks.came("a", 50.0)
    assert looks.waiting(["a", "b"], 100.0, bound=60.0) == ["b"]
    assert looks.longest(["a", "b"], 100.0) == 95.0


def test_time_without_an_operator_is_its_own_and_is_not_held_against_looks() -> None:
    """Gone from 40 until another process looks at b at 75, so 35 s: of 100 s since its look at 0, a waits 65 with one."""
    looks = Looks(0.0)
    for key in ("a", "b"):
        looks.came(key, 0.0)
    looks.ended(40.0)
    assert looks.longest_away(60.0) == 20.0
    looks.ended(50.0)  # a second one, which ended before it looked at anything
    looks.came("b", 75.0)
    assert looks.longest_away(100.0) == 35.0
    assert looks.waiting(["a", "b"], 100.0, bound=64.0) == ["a"]
    assert looks.waiting(["a", "b"], 100.0, bound=66.0) == []


def test_to_say_once_that_one_waits_is_no_look() -> None:
    looks = Looks(0.0)
    looks.ended(10.0)
    looks.note("a", 90.0)
    assert looks.longest_away(100.0) == 90.0


# --- memory


def line(per_hour: float, count: int = 400, noise: float = 2.0**20) -> list[Sample]:
    """Every 5 s, with an error of a MiB."""
    chance = random.Random(3)
    return [Sample(5.0 * n, 1, 2**27 + per_hour * 5.0 * n / 3600 + chance.gauss(0, noise)) for n in range(count)]


def test_a_flat_line_is_flat_and_a_steep_one_is_not() -> None:
    flat, steep = memory.slope(line(0.0), 0.0), memory.slope(line(60 * 2**20), 0.0)
    assert flat is not None and flat.flat and flat.low < 0 < flat.high
    assert steep is not None and not steep.flat and steep.low < 60 * 2**20 < steep.high


def test_the_start_is_left_out_and_too_little_says_nothing() -> None:
    started = [Sample(each.at, 1, 0.0) if each.at < 100 else each for each in line(0.0)]
    warm, cold = memory.slope(started, 120.0), memory.slope(started, 0.0)
    assert warm is not None and warm.flat and cold is not None and not cold.flat
    assert memory.slope(line(0.0, count=30), 0.0) is None and memory.slope([], 0.0) is None


@pytest.mark.parametrize(
    ("interval", "minutes", "warm"),
    [
        pytest.param(60, 35, 900.0, id="12 windows of 60 s, and a quarter more for looks that fail"),
        pytest.param(120, 60, 1800.0, id="the same with 120 s"),
        pytest.param(120, 30, 900.0, id="a run shorter than that: its second half"),
    ],
)
def test_memory_is_judged_once_windows_are_full(interval: int, minutes: int, warm: float) -> None:
    assert Plan(seconds=60.0 * minutes, interval=interval).warm == warm


def test_the_process_that_lived_longest_is_looked_at() -> None:
    samples = [Sample(0.0, 1, 1.0), Sample(10.0, 1, 1.0), Sample(20.0, 2, 1.0), Sample(90.0, 2, 1.0)]
    assert [each.pid for each in memory.longest(samples)] == [2, 2]
    assert memory.longest([]) == []


# --- faults


def test_the_same_seed_draws_the_same_faults() -> None:
    one, two, other = Faults(1, 0.3), Faults(1, 0.3), Faults(2, 0.3)
    drawn = [[each.draw(faults.WRITES) for _ in range(200)] for each in (one, two, other)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_share_that_was_asked_for_is_broken() -> None:
    """1,000 draws of a tenth: 100, give or take four standard deviations of 9.5."""
    drawn = Faults(5, 0.1)
    for _ in range(1000):
        drawn.draw(faults.READS)
    assert 62 <= drawn.drawn.total() <= 138 and drawn.calls == 1000
    assert Faults(5, 0.0).draw(faults.READS) is None and Faults(5, 0.0).watch() is None


def test_every_kind_comes_up_where_it_may_and_nowhere_else() -> None:
    for among in (faults.READS, faults.WRITES, faults.QUERIES):
        drawn = Faults(1, 1.0)
        assert {drawn.draw(among) for _ in range(500)} == set(among)
    assert not {Fault.CONFLICT, Fault.INVALID} & {*faults.READS, *faults.QUERIES}
    assert {*faults.READS, *faults.WRITES, *faults.QUERIES, Fault.MUTE, Fault.DROPPED} == set(Fault)


ANSWER = json.dumps(
    {"status": "success", "data": {"resultType": "vector", "result": [{"value": [1, "2"]}, {"value": [1, "3"]}]}}
).encode()


@pytest.mark.parametrize(
    ("fault", "values", "warnings"),
    [(Fault.NAN, ["NaN", "NaN"], 0), (Fault.EMPTY, [], 0), (Fault.PARTIAL, ["2"], 1), (Fault.RESET, ["2", "3"], 0)],
)
def test_an_answer_is_spoiled_as_its_fault_says(fault: Fault, values: list[str], warnings: int) -> None:
    found = json.loads(faults.spoiled(fault, ANSWER))
    assert [row["value"][1] for row in found["data"]["result"]] == values
    assert len(found.get("warnings", [])) == warnings


def test_what_is_no_answer_stays_as_it_is() -> None:
    assert faults.spoiled(Fault.NAN, b"<html>") == b"<html>"


# --- calls and wishes


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/apis/pegbox.dev/v1alpha1/namespaces/s/performanceprofiles/a", ("performanceprofiles", "s", "a")),
        ("/apis/apps/v1/namespaces/s/deployments/a/scale?x=1", ("deployments", "s", "a")),
        ("/api/v1/namespaces/s/configmaps", ("configmaps", "s", "")),
        ("/api/v1/pods?limit=500", ("pods", "", "")),
        ("/api/v1/namespaces/s", ("namespaces", "", "s")),
    ],
)
def test_a_path_is_read_for_what_it_names(path: str, named: tuple[str, str, str]) -> None:
    assert Call(0.0, "GET", path).named == named


def test_some_wishes_harm_and_all_are_within_one_step() -> None:
    """A step is half of the value: from 8 workers to 12 at most, from 10 connections to 15."""
    standing, chance = Standing(tenant(maximum=3)), random.Random(1)
    texts = {wish(standing, chance) for _ in range(300)}
    wishes = [dict(part.split("=") for part in text.split(",")) for text in texts]
    assert any(int(each.get(name, "0")) >= least for each in wishes for name, least in HARMFUL.items())
    for name, value in start().items():
        assert all(value - value // 2 <= int(each.get(name, value)) <= value + (value + 1) // 2 for each in wishes)
