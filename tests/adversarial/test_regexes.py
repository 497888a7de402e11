"""No regular expression of the operator can hang: each is met with texts made to make it go back, and steps are counted.

Patterns are found in the source, so that a new one is held to this from its first commit. Patterns of wire models run in
pydantic's engine and in the API server's, both linear by construction; they are counted all the same.
"""

from __future__ import annotations

import ast
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from pegbox.api import wire
from tests.adversarial.regex_steps import Counted, TooMany

OPERATOR = Path(__file__).resolve().parents[2] / "operator" / "pegbox"
FUNCTIONS = {"compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}
SIZE = 120
"""Characters. The matcher below recurses once per repeat; going back without end shows far earlier."""
PER_CHARACTER = 60
"""Steps that a linear pattern may need for one character: its alternatives, and the frames around them."""
FROM_USERS_COMMAND_LINE = {("commands/recommend.py", "pods"), ("commands/windows.py", "self.scope.pods")}
"""Expressions that a person gives to his own process. The server gets them as RE2."""


@dataclass(frozen=True)
class Pattern:
    file: str
    text: str
    flags: int = 0

    def __str__(self) -> str:
        return f"{self.file}: {self.text[:40]}"


def _found() -> tuple[list[Pattern], set[tuple[str, str]]]:
    patterns: list[Pattern] = []
    others: set[tuple[str, str]] = set()
    for file in sorted(OPERATOR.rglob("*.py")):
        name = str(file.relative_to(OPERATOR))
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called.startswith("re.") and called[3:] in FUNCTIONS:
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    text = first.value.decode() if isinstance(first.value, bytes) else first.value
                    flags = re.DOTALL if "DOTALL" in ast.unparse(node) else 0
                    patterns.append(Pattern(name, text, flags))
                else:
                    others.add((name, ast.unparse(first)))
    return patterns, others


COMPILED, OTHERS = _found()
ON_THE_WIRE = [
    Pattern("api/wire.py", text) for name, text in sorted(vars(wire).items()) if name.endswith("_PATTERN")
]  # fmt: skip
ALL = sorted({*COMPILED, *ON_THE_WIRE}, key=str)


def _alphabet(pattern: Pattern) -> list[str]:
    """Characters that the pattern speaks of, one of each common sort, and one that it does not know."""
    spoken = [c for c in dict.fromkeys(pattern.text) if c not in "()|*+?"]
    return list(dict.fromkeys([*spoken, "a", "0", " ", '"', "\\", "\n", "é"]))[:24]


def _attacks(pattern: Pattern) -> list[str]:
    """Pumps: one or two characters over and over, after nothing or a beginning, before an end that fits nothing."""
    letters = _alphabet(pattern)
    pairs = [a + b for a, b in itertools.permutations(letters[:12], 2)]
    texts = []
    for pump in [*letters, *pairs]:
        for before in ("", '"', "{", "1", "$", 'conflict with "'):
            texts.append((before + pump * SIZE)[:SIZE] + "\x00")
    return texts


def test_every_pattern_is_written_out_where_it_is_used() -> None:
    assert OTHERS == FROM_USERS_COMMAND_LINE
    assert len(ALL) >= 20, "the search above finds nothing any more"


@pytest.mark.parametrize("pattern", ALL, ids=str)
def test_steps_grow_with_the_length_of_the_text_and_not_faster(pattern: Pattern) -> None:
    counted = Counted(pattern.text, pattern.flags)
    for text in _attacks(pattern):
        try:
            counted.steps(text, PER_CHARACTER * len(text))
        except TooMany as error:
            pytest.fail(f"{pattern.file}: {pattern.text} goes back too often on {text[:30]!r}...: {error}")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(r"(a+)+b", id="a repeat of a repeat"),
        pytest.param(r"(a|a)+b", id="two ways to take one character"),
        pytest.param(r"a*a*a*b", id="three repeats side by side: cubic"),
        pytest.param(r'"(?:\\.|[^"])*"', id="an escape that is also a character"),
    ],
)
def test_a_pattern_that_can_hang_is_seen(text: str) -> None:
    pattern = Pattern("x", text)
    with pytest.raises(pytest.fail.Exception, match="goes back too often"):
        test_steps_grow_with_the_length_of_the_text_and_not_faster(pattern)


@pytest.mark.parametrize("pattern", ALL, ids=str)
def test_the_counting_matcher_agrees_with_re(pattern: Pattern) -> None:
    """What is counted is the same pattern: on short texts both say the same of a whole match."""
    ours, theirs = Counted(pattern.text, pattern.flags), re.compile(pattern.text, pattern.flags)
    for letters in itertools.product(_alphabet(pattern)[:7], repeat=3):
        text = "".join(letters)
        assert ours.matches(text) == bool(theirs.fullmatch(text)), (pattern.text, text)
