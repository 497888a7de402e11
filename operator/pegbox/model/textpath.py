"""Paths into a text of JSON or YAML, such as `pools[0].size` or `servers["eu.west"].workers`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pegbox.model.errors import InvalidInput

Step = str | int
MAX_DEPTH = 64
MAX_PATH = 512

_STEP = re.compile(r'\.?([A-Za-z_][\w-]*)|\[([0-9]{1,6})\]|\["((?:[^"\\]|\\["\\])*)"\]')
_REMEDY = 'write keys with dots, items with [index], other keys quoted, such as pools[0].size or servers["a.b"].n'


class Style(StrEnum):
    """How a value is written: decides how its successor is."""

    STRING = "JSON string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    PLAIN = "plain YAML"
    SINGLE = "single-quoted YAML"
    DOUBLE = "double-quoted YAML"


@dataclass(frozen=True, slots=True)
class Span:
    """Where a value stands in the text: `text[start:end]`, quotes included, and what it says."""

    start: int
    end: int
    value: str
    style: Style


def parse_path(path: str) -> tuple[Step, ...]:
    """The steps of a path. Raises InvalidInput, naming the form that is wanted."""
    if not path or len(path) > MAX_PATH:
        raise InvalidInput("path", path[:64], f"between 1 and {MAX_PATH} characters: {_REMEDY}")
    steps: list[Step] = []
    at = 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None or (found.group(1) and (path[at] == ".") is not bool(at)):
            raise InvalidInput("path", path, f"not readable at {path[at:]!r}: {_REMEDY}")
        name, index, quoted = found.groups()
        if index is not None:
            steps.append(int(index))
        else:
            steps.append(name if name is not None else re.sub(r"\\(.)", r"\1", quoted))
        at = found.end()
    if len(steps) > MAX_DEPTH:
        raise InvalidInput("path", path, f"at most {MAX_DEPTH} steps")
    return tuple(steps)


def steps(path: str) -> tuple[Step, ...]:
    """The same for telling places apart: none for a whole text, and one for a path that cannot be read, which is said
    where the text is."""
    try:
        return parse_path(path) if path else ()
    except InvalidInput:
        return (path,)


def overlap(one: Sequence[object], other: Sequence[object]) -> bool:
    """Of two places, each a path from the whole to the part: are they one, or does one lie within the other?"""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def spell(steps: tuple[Step, ...]) -> str:
    """Steps as a path again, for error texts."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[A-Za-z_][\w-]*", step):
            text += f".{step}" if text else step
        else:
            text += '["' + step.replace("\\", "\\\\").replace('"', '\\"') + '"]'
    return text
