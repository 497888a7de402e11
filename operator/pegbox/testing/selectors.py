"""Label selectors, in both forms of the API: the text of a LIST and the object of a workload or budget."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Labels = Mapping[str, str]
_TERM = re.compile(r"\s*(!?)([\w./-]+)\s*+(?:(==|=|!=)\s*([\w.-]*)|(in|notin)\s*\(([^)]*)\))?\s*+(?:,|$)")


def matches_text(selector: str, labels: Labels) -> bool:
    """`app=web,tier in (a,b),!canary`. Raises ValueError where it cannot be read."""
    at = 0
    while at < len(selector):
        term = _TERM.match(selector, at)
        if term is None or term.end() == at:
            raise ValueError(f"label selector {selector!r} cannot be read at {selector[at:]!r}")
        absent, key, sign, value, word, values = term.groups()
        listed = [each.strip() for each in values.split(",")] if values is not None else [value]
        operator = {"=": "In", "==": "In", "!=": "NotIn", "in": "In", "notin": "NotIn", None: "Exists"}[sign or word]
        if not _holds("DoesNotExist" if absent else operator, key, listed, labels):
            return False
        at = term.end()
    return True


def matches(selector: Mapping[str, Any], labels: Labels) -> bool:
    """`{matchLabels, matchExpressions}`; an empty selector matches everything."""
    exact = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    return exact and all(
        _holds(each["operator"], each["key"], each.get("values", ()), labels)
        for each in selector.get("matchExpressions", ())
    )


def _holds(operator: str, key: str, values: Sequence[str], labels: Labels) -> bool:
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    return (key in labels) is (operator == "Exists")
