"""A plant of the user's own is loaded, or refused with the reason."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pegbox.bench.plant_file import load
from pegbox.model.errors import InvalidInput
from pegbox.testing.plants import SHIPPED, protocol
from pegbox.testing.plants.protocol import MEMBERS

Write = Callable[[str], str]


def example() -> str:
    """The example in the protocol's own words."""
    text = (protocol.__doc__ or "").split(":Queue`:\n", 1)[1]
    return "\n".join(line.removeprefix("    ") for line in text.splitlines())


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str) -> str:
        (tmp_path / "mine.py").write_text(text, encoding="utf-8")
        return f"{tmp_path / 'mine.py'}:Queue"

    return written


def test_the_example_of_the_documentation_loads_and_runs(write: Write) -> None:
    name, make = load(write(example()))
    plant = make(7)

    assert name.endswith("mine.py:Queue")
    assert plant.slo.holds(plant.advance(plant.start))
    assert plant.steady(plant.start, 0).money == pytest.approx(12 * (0.01 + 0.04 + 0.0025))


def test_a_shipped_plant_is_named() -> None:
    assert load("slow-leak") == ("slow-leak", SHIPPED["slow-leak"])


@pytest.mark.parametrize("text", ["mine", "mine.py", "mine.txt:Queue", "mine.py:", "mine.py:a b"])
def test_another_way_of_writing_it_is_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"write FILE.py:Class, or one of the shipped plants: .*slow-leak"):
        load(text)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="name a Python file that exists"):
        load(f"{tmp_path / 'nowhere.py'}:Queue")


def test_a_missing_class_is_refused_with_those_that_are_there(write: Write) -> None:
    with pytest.raises(InvalidInput, match=r"no class Queue; it has: Line, Row$"):
        load(write("from pathlib import Path\nclass Row: ...\nclass Line: ...\n"))
    with pytest.raises(InvalidInput, match="no class Queue; it has: none"):
        load(write("Queue = 3\n"))


def test_a_file_that_fails_is_refused_with_its_error(write: Write) -> None:
    with pytest.raises(InvalidInput, match="does not run: ZeroDivisionError: division by zero"):
        load(write("1 / 0\n"))
    with pytest.raises(InvalidInput, match="does not run: SyntaxError"):
        load(write("class\n"))


def test_a_file_corrected_within_the_same_second_runs_as_corrected(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found with bytecode written: equal size and second, and the old file ran again."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    with pytest.raises(InvalidInput, match=r"it has: Line$"):
        load(write("class Line: ...\n"))
    with pytest.raises(InvalidInput, match=r"it has: Rows$"):
        load(write("class Rows: ...\n"))
    assert [file.name for file in tmp_path.iterdir()] == ["mine.py"], "and nothing is written beside it"


def test_a_class_that_takes_no_seed_is_refused(write: Write) -> None:
    with pytest.raises(InvalidInput, match=r"cannot be made with a seed, Queue\(0\): TypeError"):
        load(write("class Queue: ...\n"))


@pytest.mark.parametrize("member", MEMBERS)
def test_each_member_that_lacks_is_named(member: str, write: Write) -> None:
    there = "\n".join(f"    {name} = 1" for name in MEMBERS if name != member)

    with pytest.raises(InvalidInput, match=f"it lacks {member};"):
        load(write(f"class Queue:\n    def __init__(self, seed): ...\n{there}\n"))


def test_a_start_outside_its_own_space_is_refused(write: Write) -> None:
    with pytest.raises(InvalidInput, match="its start is not in its own space: replicas is outside its limits"):
        load(write(example().replace('integer("replicas", 1, 20)', 'integer("replicas", 1, 10)')))
    with pytest.raises(InvalidInput, match="the rule worker_count <= 1 is broken"):
        load(write(example().replace("    def begin", '    rules = ("worker_count <= 1",)\n\n    def begin', 1)))


def test_a_space_of_another_kind_is_refused(write: Write) -> None:
    members = "\n".join(f"    {name} = {{}}" for name in MEMBERS)

    with pytest.raises(InvalidInput, match="its space is no SearchSpace"):
        load(write(f"class Queue:\n    def __init__(self, seed): ...\n{members}\n"))


def test_a_start_of_another_kind_is_refused(write: Write) -> None:
    late = "\n    def __init__(self, seed=0):\n        super().__init__(seed)\n        self.start = 3\n\n    def begin"

    with pytest.raises(InvalidInput, match="its start is no Setting"):
        load(write(example().replace("\n    def begin", late, 1)))
