"""The table of recovery times, and which cases there are."""

from __future__ import annotations

from benchmarks.load.shops import OWN_LIMIT
from benchmarks.recovery import run, strikes
from benchmarks.recovery.run import Recovered, Row
from benchmarks.recovery.world import CAPACITY, TRIAL
from pegbox.runtime.points import Point, killer


def test_a_row_has_its_middle_its_ends_and_its_notes() -> None:
    seen = [Recovered(1.0, each, each, "note") for each in (30.0, 10.0, 17.0)]
    lines = run.table([Row("one", seen), Row("two", seen[:1]), Row("three", [], ["a look: not within 240 s"])])
    assert lines.splitlines()[2:] == [
        "| one | 3 | 1 s (1 to 1) | 17 s (10 to 30) | note |",
        "| two | 1 | 1 s | 30 s | note |",
        "| three | 1 | never | never | a look: not within 240 s |",
    ]


def test_a_point_is_struck_before_and_after() -> None:
    named = {point.value.partition("-")[2] for point in strikes.ON_THE_WAY}
    assert {Point(f"{side}-{name}") for name in named for side in ("before", "after")} == set(strikes.ON_THE_WAY)


def test_the_operator_understands_what_it_is_told() -> None:
    """The value of the environment variable names a point and a count; anything else is an error in `killer`."""
    for point in strikes.ON_THE_WAY:
        (value,) = strikes.killed_at(point).values()
        killer(value)


def test_the_trial_lowers_before_it_raises_and_harms() -> None:
    wanted = {name: int(value) for name, value in (part.split("=") for part in TRIAL.split(","))}
    before = {"worker_count": 8, "http_pool": 10, "max_replicas": 3}
    use = [v["max_replicas"] * v["worker_count"] * v["http_pool"] for v in (before, wanted, wanted | {"http_pool": 10})]
    assert use == [240, 240, 480]
    assert use[1] <= OWN_LIMIT < use[2]
    assert wanted["max_replicas"] * wanted["worker_count"] <= CAPACITY
