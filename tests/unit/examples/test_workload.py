"""Claims of the workload file: all numbers in one place, wrong ones refused by name."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

import pytest

from issue_service.workload import read

EXAMPLE = Path(__file__).parents[3] / "examples" / "issue-service"


def test_both_shipped_workloads_are_read() -> None:
    assert read(EXAMPLE / "workload.toml").name == "workload-1"
    assert read(EXAMPLE / "workload-2.toml").name == "workload-2"


def test_the_second_workload_has_other_seeds_other_limits_and_another_latency() -> None:
    one, two = read(EXAMPLE / "workload.toml"), read(EXAMPLE / "workload-2.toml")
    assert (one.arrivals.seed, one.upstream.seed) != (two.arrivals.seed, two.upstream.seed)
    assert one.upstream.latency_median != two.upstream.latency_median
    assert one.upstream.rate_limit != two.upstream.rate_limit
    assert one.upstream.concurrency_limit != two.upstream.concurrency_limit
    assert one.database.connection_limit != two.database.connection_limit
    assert not set(astuple(one.upstream)) & set(astuple(two.upstream)) - {1.0}, "only the window is the same"


@pytest.mark.parametrize("name", ["workload.toml", "workload-2.toml"])
def test_a_well_set_service_can_meet_the_demo_by_arithmetic(name: str) -> None:
    """By hand for workload.toml: one at a time 1 / 0.195 s = 5.1/s, so 56/s is 10.9-fold; P95 of a call is
    0.195 s x e^(1.645 x 0.20) = 0.271 s; calls a second 56 < 80; at once 56 x 0.2 s = 11 < 32 and < 40."""
    numbers = read(EXAMPLE / name)
    call = numbers.upstream.latency_median
    assert numbers.arrivals.rate * call >= 10.5
    assert call * 2.718 ** (1.645 * numbers.upstream.latency_sigma) < 0.300
    assert numbers.arrivals.rate < 0.75 * numbers.upstream.rate_limit / numbers.upstream.window
    assert 1.5 * numbers.arrivals.rate * call < numbers.database.connection_limit
    assert 1.5 * numbers.arrivals.rate * call < numbers.upstream.concurrency_limit


WRONG = [
    ("a section is missing", "[issue]", "[issues]", r"\[issue\]: the section is missing"),
    ("a key is missing", "cpu_ms", "cpu", r"cpu: unknown"),
    ("a number is negative", "cpu_ms = 1.5", "cpu_ms = -1", "cpu_ms: -1 is not a number of at least 0"),
    ("a number is a word", "cpu_ms = 1.5", 'cpu_ms = "1.5"', "cpu_ms: '1.5' is not a number"),
    ("a count has decimals", "statements = 3", "statements = 3.5", "statements: 3.5 is not a whole number"),
    ("too few statements", "statements = 3", "statements = 1", "the claim and the commit are 2"),
]


@pytest.mark.parametrize(("old", "new", "message"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_file_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (EXAMPLE / "workload.toml").read_text()
    assert old in text
    path = tmp_path / "workload.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=message):
        read(path)
