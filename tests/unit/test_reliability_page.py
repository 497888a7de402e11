"""The reliability page has a row for each fault that it promises, and each row a test that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in re.search(
        r"^\| \| fault \| what happens \| seen as \| shown by \| cases \| lost \|\n.*?\n\n", PAGE, re.M | re.S
    )[0]  # type: ignore[index]
    .strip()
    .splitlines()[2:]
]
CITED = sorted(set(re.findall(r"`((?:tests|benchmarks)/[\w/]+\.py(?:::\w+)?)`", PAGE)))
FAULTS = (
    "watch dropped silently", "410", "etcd restarted", "SIGKILL at every", "two at once", "paused for a minute",
    "out of memory", "clock jumps", "upgraded", "downgraded", "slow", "503", "wrong tenant", "warning",
    "counter resets", "duplicate series", "scrape gaps", "old pod generation", "join metric missing",
    "killed for memory", "crash loop", "rollout stuck or paused", "PodDisruptionBudget", "HPA at its maximum",
    "deleted and recreated", "namespace terminating", "never acknowledge", "helm upgrade", "self-heal",
    "edited, suspended, deleted", "class changed under 50", "CRDs upgraded in place",
)  # fmt: skip


def exists(cited: str) -> bool:
    file, _, name = cited.partition("::")
    if not (ROOT / file).is_file():
        return False
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return not name or name in {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


@pytest.mark.parametrize("cited", CITED)
def test_a_test_that_the_page_names_exists(cited: str) -> None:
    assert exists(cited)


@pytest.mark.parametrize("row", ROWS, ids=[row[1][:60] for row in ROWS])
def test_a_fault_says_what_happens_where_it_is_seen_and_what_shows_it(row: list[str]) -> None:
    assert len(row) == 7 and all(row) and int(row[5]) > 0 and row[6] == "0"
    assert re.search(r"`(tests|benchmarks)/", row[4])


@pytest.mark.parametrize("fault", FAULTS)
def test_what_must_be_survived_has_its_row(fault: str) -> None:
    assert any(fault in row[1].replace("`", "") for row in ROWS)


def test_a_wrong_name_is_seen() -> None:
    assert len(CITED) >= 50
    assert not exists("tests/unit/test_reliability_page.py::test_that_does_not_exist")
