"""The selectors of a PromQL text, read as servers read it and without the library that the operator proves it by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`)|(?P<comment>\#[^\n]*)|(?P<space>\s+)"""
    r"""|(?P<number>\d[\w.]*)|(?P<name>[a-zA-Z_:][\w:]*)|(?P<sign>=~|!~|!=|==|<=|>=|[\s\S])"""
)
_WORDS = frozenset({"and", "or", "unless", "atan2", "bool", "offset", "inf", "nan"})
_LISTS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_ESCAPE = re.compile(r"""\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([\s\S]))""")
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class Selector(NamedTuple):
    """A metric with its (label, operator, value); `alternatives` where `or` joins them."""

    name: str
    matchers: frozenset[tuple[str, str, str]]
    alternatives: bool


def selectors(text: str) -> Iterator[Selector]:
    """Fails on a text that breaks off inside braces or a string."""
    tokens = [(m.lastgroup, m.group()) for m in _TOKEN.finditer(text) if m.lastgroup not in ("space", "comment")]
    at = 0
    while at < len(tokens):
        kind, word = tokens[at]
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        assert word not in ('"', "'", "`"), f"a string without an end: {text}"
        if word in _LISTS and following == "(":
            at = tokens.index(("sign", ")"), at)
        elif word == "[":  # a range, or a range and a step: `:1m` is no metric there
            at = tokens.index(("sign", "]"), at)
        elif word == "{":
            end = tokens.index(("sign", "}"), at)
            before = tokens[at - 1] if at else ("", "")
            named = before[0] == "name" and before[1] not in _WORDS
            yield _read(before[1] if named else "", tokens[at + 1 : end])
            at = end
        elif kind == "name" and following not in ("(", "{") and word not in _WORDS | _LISTS:
            modified = word in ("sum", "avg", "min", "max", "count", "group", "topk") and following in ("by", "without")
            if not modified:
                yield Selector(word, frozenset(), False)
        at += 1


def _read(name: str, tokens: list[tuple[str | None, str]]) -> Selector:
    matchers, alternatives = set(), False
    for at, (kind, word) in enumerate(tokens):
        if word in ("=", "!=", "=~", "!~") and kind == "sign":
            (of, label), (_, value) = tokens[at - 1], tokens[at + 1]
            matchers.add((_meant(label) if of == "string" else label, word, _meant(value)))
        alternatives |= (kind, word) == ("name", "or")
    return Selector(name, frozenset(matchers), alternatives)


def _meant(literal: str) -> str:
    if literal[0] == "`":
        return literal[1:-1]
    return _ESCAPE.sub(_character, literal[1:-1])


def _character(found: re.Match[str]) -> str:
    x, u, wide, octal, simple = found.groups()
    if simple is not None:
        return _SIMPLE.get(simple, simple)
    return chr(int(octal, 8)) if octal is not None else chr(int(x or u or wide, 16))
