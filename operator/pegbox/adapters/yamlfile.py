"""YAML that a person wrote, as plain values: bounded in size and depth, without aliases or duplicate keys.

An alias is refused, since what it repeats may repeat aliases again: nine lines of it spell a billion values.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

from pegbox.model.errors import InvalidInput

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_DOCUMENTS = 256
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_OPEN = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSE = (yaml.MappingEndEvent, yaml.SequenceEndEvent)
_ODD = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
"""PyYAML lets errors of its constructors through: a date of month 13, `!!bool perhaps`, a number of many digits."""


class _Loader(_LOADER):  # type: ignore[misc]  # untyped
    """Safe, and without a key twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[Hashable] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str):
                raise yaml.YAMLError(f"the key {name!r:.60} is no text: write it in quotes")
            if name in seen:
                raise yaml.YAMLError(f"the key {name!r:.60} stands twice: keep one")
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


def load_all(raw: bytes, field: str, shown: str) -> list[Any]:
    """Every document that is not empty. `shown` names the source in the error. Raises InvalidInput."""
    if len(raw) > MAX_BYTES:
        raise InvalidInput(field, shown, f"give at most {MAX_BYTES} bytes of YAML")
    try:
        _check_form(raw)
        return [document for document in yaml.load_all(raw, Loader=_Loader) if document is not None]
    except _ODD as error:
        raise InvalidInput(field, shown, f"write YAML: {' '.join(str(error).split())[:300]}") from error


def _check_form(raw: bytes) -> None:
    """Before anything is built: events alone cost no more than the text is long."""
    depth = documents = 0
    for event in yaml.parse(raw, Loader=_LOADER):
        documents += isinstance(event, yaml.DocumentStartEvent)
        depth += isinstance(event, _OPEN) - isinstance(event, _CLOSE)
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias (*): write out what it stands for")
        if depth > MAX_DEPTH:
            raise yaml.YAMLError(f"it is nested deeper than {MAX_DEPTH} levels")
        if documents > MAX_DOCUMENTS:
            raise yaml.YAMLError(f"it holds more than {MAX_DOCUMENTS} documents")
