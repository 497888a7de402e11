"""One value inside a text of YAML: where it stands, and how its successor is written.

Only events are read, never objects built: nothing is expanded, and no tag constructs anything. Whatever
would make an edit reach further than one value is refused: anchors, aliases, tags, several documents,
scalars over several lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

from pegbox.model.errors import InvalidInput
from pegbox.model.textpath import MAX_DEPTH, Span, Step, Style, spell

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER = yaml.resolver.Resolver()
_NULL, _INT, _FLOAT, _STR = (f"tag:yaml.org,2002:{each}" for each in ("null", "int", "float", "str"))
_PLAIN = re.compile(r"[A-Za-z0-9_+.-][A-Za-z0-9_+./%-]*")
"""What is written unquoted: nothing that any YAML parser could take for a sign (libyaml and PyYAML do differ)."""
_STYLES = {"'": Style.SINGLE, '"': Style.DOUBLE}
_OPEN = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSE = (yaml.MappingEndEvent, yaml.SequenceEndEvent)

Events = Sequence[Any]


def parse(text: str, path: str) -> Events:
    """The events of one document. Raises InvalidInput where it cannot be read, or holds more than one."""
    events: list[Any] = []
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            depth += isinstance(event, _OPEN) - isinstance(event, _CLOSE)
            if depth > MAX_DEPTH:
                raise InvalidInput("path", path, f"the text is nested deeper than {MAX_DEPTH} levels")
            events.append(event)
    except (yaml.YAMLError, RecursionError) as error:
        # The parser's own words quote the text, which is somebody's. So does its traceback.
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise InvalidInput("path", path, f"the text is neither JSON nor YAML{where}: mend it") from None
    documents = sum(isinstance(each, yaml.DocumentStartEvent) for each in events)
    if documents != 1:
        raise InvalidInput("path", path, f"the text holds {documents} YAML documents: Pegbox edits texts of one")
    return events


def find(text: str, events: Events, steps: tuple[Step, ...]) -> tuple[int, Span]:
    """The scalar at a path: its event's index and where it stands in the text. Raises InvalidInput."""
    at = next(i for i, each in enumerate(events) if isinstance(each, yaml.DocumentStartEvent)) + 1
    for depth, step in enumerate(steps):
        _check_single_use(events[at], spell(steps[:depth]))
        here = spell(steps[: depth + 1])
        found = _children(events, at, step)
        if not found:
            remedy = "no such value in the YAML text: correct the path or add the value (merge keys are not followed)"
            raise InvalidInput("path", here, remedy)
        if len(found) > 1:
            raise InvalidInput("path", here, f"the key stands {len(found)} times in one mapping: keep one of them")
        at = found[0]
    return at, _span(text, events[at], spell(steps))


def _check_single_use(event: Any, path: str) -> None:
    """An anchored node may be used elsewhere, and an alias is: an edit would change both."""
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise InvalidInput("path", path, "the value is shared by an anchor or alias: write it out")


def _children(events: Events, at: int, step: Step) -> list[int]:
    """Indexes of the events that start what a step leads to, inside the node at `at`."""
    parent = events[at]
    if not isinstance(parent, yaml.MappingStartEvent if isinstance(step, str) else yaml.SequenceStartEvent):
        return []
    found, index = [], 0
    at += 1
    while not isinstance(events[at], _CLOSE):
        if isinstance(step, str):
            key = events[at]
            at = _after(events, at)
            if isinstance(key, yaml.ScalarEvent) and key.value == step:
                found.append(at)
        elif index == step:
            found.append(at)
        at = _after(events, at)
        index += 1
    return found


def _after(events: Events, at: int) -> int:
    """The index after the node that starts at `at`."""
    depth = 0
    while True:
        depth += isinstance(events[at], _OPEN) - isinstance(events[at], _CLOSE)
        at += 1
        if depth == 0:
            return at


def _span(text: str, event: Any, path: str) -> Span:
    _check_single_use(event, path)
    if not isinstance(event, yaml.ScalarEvent):
        raise InvalidInput("path", path, "points at a mapping or a list: point at one string, number or boolean")
    start, end = _index(event.start_mark), _index(event.end_mark)
    style = _STYLES.get(event.style or "", Style.PLAIN)
    if event.tag is not None:
        raise InvalidInput("path", path, "the value has a tag: remove it")
    if event.style in ("|", ">") or "\n" in text[start:end] or "\r" in text[start:end]:
        raise InvalidInput("path", path, "the value stands on several lines: write it on one")
    if style is Style.PLAIN and tag_of(event.value) == _NULL:
        raise InvalidInput("path", path, "the value is empty (null): write one")
    return Span(start, end, event.value, style)


def _index(mark: Any) -> int:
    """The character's offset in the text; both parsers of PyYAML give it."""
    return int(mark.index)


def written(span: Span, new: str, path: str) -> str:
    """The new value in the style of the old one. Raises InvalidInput where its type would change."""
    if any(not each.isprintable() for each in new):
        raise InvalidInput(path, new, "the new value holds a line break or control character")
    if span.style is Style.SINGLE:
        return "'" + new.replace("'", "''") + "'"
    if span.style is Style.DOUBLE:
        return '"' + new.replace("\\", "\\\\").replace('"', '\\"') + '"'
    old_tag, new_tag = tag_of(span.value), tag_of(new)
    numbers = {_INT, _FLOAT}
    if old_tag != new_tag and not {old_tag, new_tag} <= numbers:
        old_type, new_type = (each.rpartition(":")[2] for each in (old_tag, new_tag))
        raise InvalidInput(path, new, f"the text holds a value of type {old_type} there, this would be {new_type}")
    if not _PLAIN.fullmatch(new):
        raise InvalidInput(path, new, "unquoted, parsers may read this differently: quote the value in the text")
    return new


def tag_of(value: str) -> str:
    """The type of an unquoted scalar in YAML 1.1, as PyYAML and Go's yaml.v2 read it."""
    return str(_RESOLVER.resolve(yaml.ScalarNode, value, (True, False)))  # type: ignore[no-untyped-call]


def shape(events: Events) -> list[tuple[Any, ...]]:
    """What a parser sees, without positions: to compare two texts."""
    names = ("anchor", "tag", "implicit", "value", "style", "flow_style", "explicit")
    return [(type(each).__name__, *(getattr(each, name, None) for name in names)) for each in events]
