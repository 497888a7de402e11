"""The table of recovery times, and which cases there are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.load.shops import OWN_LIMIT
from benchmarks.recovery import run, strikes, world
from benchmarks.recovery.run import Recovered, Row
from benchmarks.recovery.world import CAPACITY, LONGEST, TRIAL, Slow, World
from pegbox.runtime.points import Point, killer


def test_a_row_has_its_middle_its_ends_its_losses_and_its_notes() -> None:
    seen = [Recovered(0.4, 1.0, each, "note") for each in (30.0, 10.0, 17.0)]
    never = ["a look: not within 240 s"]
    lines = run.table([Row("one", seen), Row("two", seen[:1], never), Row("three", [], never)])
    assert lines.splitlines()[2:] == [
        "| one | 3 | 0 | 0 s (0 to 0) | 1 s (1 to 1) | 17 s (10 to 30) | note |",
        "| two | 2 | 1 | 0 s | 1 s | 30 s | a look: not within 240 s; note |",
        "| three | 1 | 1 | never | never | never | a look: not within 240 s |",
    ]


class Asking(World):
    """A trial that is asked for, and what becomes of it: one word per question that the bench puts."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = list(answers), 0

    async def ask(self) -> int:
        self.asked += 1
        self.answers.pop(0)
        return self.asked

    def over(self) -> bool:
        return self.answers[0] == "over"

    async def until(self, holds: Callable[[], bool], what: str, limit: float = LONGEST) -> float:
        while not holds():
            if len(self.answers) == 1:
                raise Slow(what)
            self.answers.pop(0)
        return 0.0


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "AGAIN", 0.0)


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        pytest.param(("", "done"), 0, id="it comes about"),
        pytest.param(("", "over", "", "done"), 1, id="refused: asked again"),
        pytest.param(("over", "", "over", "", "done"), 2, id="refused twice"),
    ],
)
async def test_a_request_that_was_refused_is_made_again(answers: tuple[str, ...], asked: int) -> None:
    """Once a refused request made a case wait for ever: `never began its trial` was all that was known."""
    found = Asking(*answers)
    await found.bring(lambda: found.answers[0] == "done", "it")
    assert found.asked == asked


async def test_what_never_comes_about_is_told_with_what_was_waited_for() -> None:
    with pytest.raises(Slow, match=r"it, asked 1 times"):
        await Asking("").bring(lambda: False, "it")


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
