"""The security page names tests as proof: each of them exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
CITED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", PAGE)))


def exists(cited: str) -> bool:
    file, _, name = cited.partition("::")
    if not (ROOT / file).is_file():
        return False
    tree = ast.parse((ROOT / file).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return not name or name in {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


@pytest.mark.parametrize("cited", CITED)
def test_a_test_that_the_page_names_exists(cited: str) -> None:
    assert exists(cited)


def test_the_page_names_tests_and_a_wrong_name_is_seen() -> None:
    assert len(CITED) >= 30
    assert not exists("tests/unit/test_security_page.py::test_that_does_not_exist")
    assert not exists("tests/unit/absent.py")


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    from pegbox.adapters.pod_settings import MAX_PODS
    from pegbox.api import promql_rules as rules
    from tests.adversarial.test_parsers import EXAMPLES
    from tests.adversarial.test_secrets import FAILURES

    said = " ".join(PAGE.split())
    for text in (
        f"| functions | {len(rules.FUNCTIONS)},",
        f"| aggregations | {' '.join(sorted(rules.AGGREGATIONS, key=('sum avg min max count group').index))} |",
        f"| metrics in one expression | {rules.MAX_SELECTORS} |",
        f"| {rules.MAX_NODES}, {rules.MAX_NESTING}, {rules.MAX_CHARACTERS} characters |",
        f"| one matcher's value | {rules.MAX_PATTERN} characters |",
        f"At most {MAX_PODS:,} pods",
        f"CI runs {EXAMPLES} inputs per parser",
        f"for {len(FAILURES)} ways to fail",
    ):
        assert text in said, text
