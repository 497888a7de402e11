"""One value inside a text of JSON: where it stands, and how its successor is written."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from pegbox.model.errors import InvalidInput
from pegbox.model.textpath import MAX_DEPTH, Span, Step, Style, spell

_SPACE = re.compile(r"[ \t\n\r]*")
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\Z)|[\[\]{}]', re.DOTALL)
"""A whole string, so that brackets in it do not count, or one bracket."""
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def is_json(text: str) -> bool:
    """Whether the whole text is one JSON value (RFC 8259), nested no deeper than a path can lead."""
    if too_deep(text):
        return False
    try:
        json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False
    return True


def too_deep(text: str) -> bool:
    """Whether brackets outside of strings are nested deeper than MAX_DEPTH, in one pass and before any parser."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for found in _BRACKET.finditer(text):
        depth += (found[0] in "[{") - (found[0] in "]}")
        if depth > MAX_DEPTH:
            return True
    return False


def find(text: str, steps: tuple[Step, ...]) -> Span:
    """The scalar at a path of valid JSON. Raises InvalidInput where there is none, or more than one."""
    at = _after_space(text, 0)
    for depth, step in enumerate(steps):
        found = _children(text, at, step)
        here = spell(steps[: depth + 1])
        if not found:
            raise InvalidInput("path", here, "no such value in the JSON text: correct the path or add the value")
        if len(found) > 1:
            raise InvalidInput("path", here, f"the key stands {len(found)} times in one object: keep one of them")
        at = found[0]
    value, end = _DECODER.raw_decode(text, at)
    return _span(text[at:end], value, (at, end), spell(steps))


def _span(raw: str, value: Any, at: tuple[int, int], path: str) -> Span:
    if isinstance(value, str):
        return Span(*at, value, Style.STRING)
    if isinstance(value, bool):
        return Span(*at, raw, Style.BOOLEAN)
    if isinstance(value, (int, float)):
        return Span(*at, raw, Style.NUMBER)
    found = "null" if value is None else "an object or a list"
    raise InvalidInput("path", path, f"points at {found}: point at one string, number or boolean")


def _children(text: str, at: int, step: Step) -> list[int]:
    """Where the values start that a step leads to, inside the object or list at `at`."""
    opening = text[at]
    if opening != ("{" if isinstance(step, str) else "["):
        return []
    found, index = [], 0
    at = _after_space(text, at + 1)
    while text[at] not in "}]":
        name: Step = index
        if opening == "{":
            name, at = _DECODER.raw_decode(text, at)
            at = _after_space(text, _after_space(text, at) + 1)
        if name == step:
            found.append(at)
        _, at = _DECODER.raw_decode(text, at)
        at = _after_space(text, at)
        if text[at] == ",":
            at = _after_space(text, at + 1)
        index += 1
    return found


def written(span: Span, new: str, path: str) -> str:
    """The new value as JSON of the same type. Raises InvalidInput where it cannot be."""
    if span.style is Style.STRING:
        return json.dumps(new, ensure_ascii=False)
    if span.style is Style.BOOLEAN and new not in ("true", "false"):
        raise InvalidInput(path, new, "the text holds a boolean there: give true or false")
    if span.style is Style.NUMBER and not _NUMBER.fullmatch(new):
        raise InvalidInput(path, new, "the text holds a number there: give a JSON number")
    return new


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
