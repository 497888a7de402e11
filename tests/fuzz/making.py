"""Hostile inputs: texts and documents that are almost right, changed a little, and now and then a lot."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

ODD = (
    *("", " ", "\n", "\t", "\0", "\x1b[31m", "\\", '"', "'", "`", "#", "$", "$matchers", "$window", "${x}", "{{x}}", "%s"),
    *("\ud800", "\u202e", "\ufeff", "é", "٣", "𝟗", "\u2028", "\U0010ffff", "a\u0301"),
    *("[", "]", "{", "}", "(", ")", "[" * 200, "{" * 200, "(" * 200, '{"a":' * 200, "[" * 20000, "- " * 500, "-" * 500),
    *("0", "-0", "-1", "00", "1.", ".5", "1e999", "-1e999", "1e-999", "0x" + "f" * 5000, "9" * 300, "9" * 5000, "1_0"),
    *("NaN", "Infinity", "-Infinity", "inf", "null", "true", "True", "yes", "~", "None", "1:30:00", "2026-13-45"),
    *("1m", "1ms", "1h30m", "5d", "250m", "1Ki", "1E", "100%", "100.1%", "1" + "ms1" * 40, "*", "*/0", "*/5", "0-59/99"),
    *("&a", "*a", "!!python/object/apply:os.system [id]", "!!binary x", "!!timestamp x", "<<: *a", "? ", "---\n", "...\n", "%YAML 9.9\n"),
    *("max(", "min(", "+", "*", "**", "<", "<=", "==", ",", ";", "|", "||", "&&", "=~", "!=", "offset 5m", "@ end()", "[1h:1s]"),
    *("../", "/", "..", "a" * 300, "a" * 70000, "((a+)+)+$", "__class__", "__name__", "constructor", "x" + "\r\n" + "y: z"),
)  # fmt: skip


@st.composite
def near(draw: DrawFn, seeds: Sequence[str]) -> str:
    """A seed with up to five edits; sometimes any text at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.text(max_size=200))
    text = draw(st.sampled_from(list(seeds)))
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.integers(0, 12)))
        match draw(st.integers(0, 4)):
            case 0:
                text = text[:at] + draw(st.sampled_from(ODD)) + text[at:]
            case 1:
                text = text[:at] + draw(st.sampled_from(ODD)) + text[end:]
            case 2:
                text = text[:at] + text[end:]
            case 3:
                text = text[:at] + text[at:end] * draw(st.integers(2, 60)) + text[end:]
            case _:
                text = text[:at] + draw(st.characters()) + text[at:]
    return text[:200_000]


SCALARS: SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([63, 64, 1300, 20_000]).map(lambda bits: 2**bits),
    st.floats(),
    st.sampled_from(ODD),
    st.text(max_size=40),
)
VALUES: SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(ODD) | st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


def _deep() -> Any:
    value: Any = "bottom"
    for _ in range(3000):
        value = [value]
    return value


def _places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if len(path) > 10:
        return found
    if isinstance(node, dict):
        for key, item in node.items():
            found += _places(item, (*path, key))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            found += _places(item, (*path, index))
    return found


@st.composite
def edited(draw: DrawFn, document: dict[str, Any], *roots: str) -> dict[str, Any]:
    """A document with up to three places replaced, removed, added to, or nested without end.

    `roots` are the fields in which that happens; without them all of it.
    """
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(0, 3))):
        places = [place for place in _places(document) if not roots or place[0] in roots]
        if not places:
            break
        place = draw(st.sampled_from(places))
        parent = document
        for step in place[:-1]:
            parent = parent[step]
        old = parent[place[-1]]
        match draw(st.integers(0, 5)):
            case 0:
                del parent[place[-1]]
            case 1 if isinstance(old, dict):
                old[draw(st.sampled_from(ODD))] = draw(VALUES)
            case 2 if isinstance(old, list):
                old.extend([draw(VALUES)] * draw(st.integers(1, 100)))
            case 3 if isinstance(old, str):
                parent[place[-1]] = draw(near([old]))
            case 4 if draw(st.integers(0, 4)) == 0:
                parent[place[-1]] = _deep()
            case _:
                parent[place[-1]] = draw(VALUES)
    return document


@st.composite
def edited_json(draw: DrawFn, document: dict[str, Any]) -> str:
    """The text of such a document, or its own text with edits: both ways lead to other mistakes."""
    if draw(st.booleans()):
        return draw(near([json.dumps(document)]))
    try:
        return json.dumps(draw(edited(document)), ensure_ascii=draw(st.booleans()))
    except (ValueError, RecursionError):
        return "[" * 100_000
