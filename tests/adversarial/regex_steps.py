"""A matcher that counts: Python's own says nothing about how often it went back.

It walks the tree that `re` itself compiles, in the order in which `re` tries, so that a pattern that goes back
without end takes as many more steps here as it takes time there. Only what Pegbox's patterns use is known.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

DEEPEST = 20_000
"""Frames: some ten for each character of the texts that are tried. Python's own frames take no C stack."""

Then = Callable[[int], bool]


class TooMany(Exception):
    """More steps than the caller allows."""


class Counted:
    """One pattern, matched from the start of a text."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self._tree = list(_parser.parse(pattern, flags))
        self.flags = re.compile(pattern, flags).flags
        self._text, self._steps, self._limit = "", 0, 0

    def steps(self, text: str, limit: int) -> int:
        """Raises TooMany beyond `limit`. The pattern must match to the end of the text: the hardest wish."""
        self._text, self._steps, self._limit = text, 0, limit
        self._run(lambda at: at == len(text))
        return self._steps

    def matches(self, text: str) -> bool:
        """Whether the whole text matches."""
        self._text, self._steps, self._limit = text, 0, sys.maxsize
        return self._run(lambda at: at == len(text))

    def _run(self, then: Then) -> bool:
        usual = sys.getrecursionlimit()
        sys.setrecursionlimit(DEEPEST)
        try:
            return self._all(self._tree, 0, then)
        finally:
            sys.setrecursionlimit(usual)

    def _all(self, nodes: list[Any], at: int, then: Then) -> bool:
        if not nodes:
            return then(at)
        (kind, value), rest = nodes[0], nodes[1:]
        self._steps += 1
        if self._steps > self._limit:
            raise TooMany(f"more than {self._limit} steps for {len(self._text)} characters")
        onward: Then = lambda end: self._all(rest, end, then)  # noqa: E731  continuation, named for the reader
        if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            return self._repeat(value, at, onward)
        if kind is sre.POSSESSIVE_REPEAT:
            return self._possessive(value, at, onward)
        if kind is sre.SUBPATTERN:
            return self._all(list(value[3]), at, onward)
        if kind is sre.BRANCH:
            for branch in value[1]:  # noqa: SIM110  `any` would put a frame of C between two of Python
                if self._all(list(branch), at, onward):
                    return True
            return False
        if kind is sre.ASSERT_NOT:
            return not self._all(list(value[1]), at, lambda end: True) and onward(at)
        if kind is sre.AT:
            return self._stands(value, at) and onward(at)
        return at < len(self._text) and self._takes(kind, value, ord(self._text[at])) and onward(at + 1)

    def _repeat(self, value: Any, at: int, then: Then) -> bool:
        least, most, body = value[0], value[1], list(value[2])

        def again(count: int, here: int) -> bool:
            if count < most and self._all(body, here, lambda end: end > here and again(count + 1, end)):
                return True
            return count >= least and then(here)

        return again(0, at)

    def _possessive(self, value: Any, at: int, then: Then) -> bool:
        least, most, body, count = value[0], value[1], list(value[2]), 0
        while count < most:
            ends: list[int] = []
            if not self._all(body, at, lambda end, ends=ends: not ends.append(end)) or ends[0] == at:  # type: ignore[misc]
                break
            at, count = ends[0], count + 1
        return count >= least and then(at)

    def _stands(self, place: Any, at: int) -> bool:
        if place in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING):
            return at == 0
        if place in (sre.AT_END, sre.AT_END_STRING):
            return at == len(self._text)
        raise NotImplementedError(str(place))

    def _takes(self, kind: Any, value: Any, code: int) -> bool:
        if kind is sre.LITERAL:
            return bool(code == value)
        if kind is sre.NOT_LITERAL:
            return bool(code != value)
        if kind is sre.ANY:
            return code != ord("\n") or bool(self.flags & re.DOTALL)
        if kind is sre.IN:
            items = list(value)
            negated = bool(items) and items[0][0] is sre.NEGATE
            return any(self._in(item, code) for item in items[negated:]) != negated
        raise NotImplementedError(str(kind))

    def _in(self, item: Any, code: int) -> bool:
        kind, value = item
        if kind is sre.LITERAL:
            return bool(code == value)
        if kind is sre.RANGE:
            return bool(value[0] <= code <= value[1])
        if kind is sre.CATEGORY:
            character = chr(code)
            word, digit, space = character.isalnum() or character == "_", character.isdigit(), character.isspace()
            return {
                sre.CATEGORY_WORD: word, sre.CATEGORY_NOT_WORD: not word,
                sre.CATEGORY_DIGIT: digit, sre.CATEGORY_NOT_DIGIT: not digit,
                sre.CATEGORY_SPACE: space, sre.CATEGORY_NOT_SPACE: not space,
            }[value]  # fmt: skip
        raise NotImplementedError(str(kind))
