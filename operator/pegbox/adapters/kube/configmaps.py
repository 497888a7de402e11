"""Byte-exact edits of one value inside the JSON or YAML text of a ConfigMap's key. Pure.

Only the bytes of that one value change, quotes and comments and all else stay; where that cannot be held,
the edit is refused. What was written is parsed again and compared before it is given out.
"""

from __future__ import annotations

from dataclasses import dataclass

from pegbox.adapters.kube import jsontext, yamltext
from pegbox.model.errors import InvalidInput
from pegbox.model.textpath import MAX_DEPTH, Span, Step, parse_path

MAX_JSON_BYTES = 1024 * 1024
"""A ConfigMap holds no more."""
MAX_YAML_BYTES = 128 * 1024
"""YAML is parsed some ten times slower than JSON, on the event loop."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A value in its text. `events` are those of a YAML text, `at` the value's; () for JSON."""

    span: Span
    events: yamltext.Events = ()
    at: int = 0


def read_path(text: str, path: str) -> str:
    """The value at a path: the text of a number or boolean, the content of a string.

    Raises InvalidInput, naming path and remedy, where there is no such value or no single one.
    """
    return _locate(text, path, parse_path(path)).span.value


def write_path(text: str, path: str, new: str) -> str:
    """The text with that one value replaced, its type and quoting kept. Raises InvalidInput as `read_path`."""
    steps = parse_path(path)
    found = _locate(text, path, steps)
    spelled = yamltext.written if found.events else jsontext.written
    span = found.span
    after = text[: span.start] + spelled(span, new, path) + text[span.end :]
    if not _only_changed(found, after, steps, new):
        raise InvalidInput(path, new, "the value cannot stand there unquoted: quote the value in the text")
    return after


def _locate(text: str, path: str, steps: tuple[Step, ...]) -> _Found:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidInput("path", path, "the text holds half of a character (a surrogate): write it anew") from None
    if size > MAX_JSON_BYTES:
        raise InvalidInput("path", path, f"the text has {size} bytes, over the limit of {MAX_JSON_BYTES}")
    if text.lstrip()[:1] in ("[", "{") and jsontext.too_deep(text):
        raise InvalidInput("path", path, f"the text is nested deeper than {MAX_DEPTH} levels")
    if jsontext.is_json(text):
        return _Found(jsontext.find(text, steps))
    if size > MAX_YAML_BYTES:
        raise InvalidInput("path", path, f"the YAML text has {size} bytes, over the limit of {MAX_YAML_BYTES}")
    events = yamltext.parse(text, path)
    at, span = yamltext.find(text, events, steps)
    return _Found(span, events, at)


def _only_changed(before: _Found, after: str, steps: tuple[Step, ...], new: str) -> bool:
    """The last guard: a parser sees the same as before, but for this value."""
    if not before.events:
        return jsontext.is_json(after) and jsontext.find(after, steps).value == new
    try:
        found = _locate(after, str(steps), steps)
    except InvalidInput:
        return False
    old, seen = yamltext.shape(before.events), yamltext.shape(found.events)
    return (
        found.span.value == new
        and found.at == before.at
        and len(old) == len(seen)
        and all(i == found.at or a == b for i, (a, b) in enumerate(zip(old, seen, strict=True)))
    )
