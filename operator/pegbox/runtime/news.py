"""What was not heard of an object before, whoever tells it: a watch, the list that begins it anew, or our own list."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any


class News:
    """What is known of each object, by a key of the caller's: a digest, since annotations may be as long as books."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def heard(self, key: str, seen: object) -> bool:
        """Is it anything new? It is known from now on."""
        digest = hashlib.sha256(repr(seen).encode(errors="replace")).digest()
        new = self._known.get(key) != digest
        self._known[key] = digest
        return new

    def gone(self, key: str) -> None:
        self._known.pop(key, None)

    def only(self, prefix: str, keys: Iterable[str]) -> None:
        """Of the keys that begin so there are only these: a watch that was silent did not say what is gone."""
        there = set(keys)
        self._known = {k: v for k, v in self._known.items() if k in there or not k.startswith(prefix)}


def changeable(meta: Mapping[str, Any]) -> object:
    """Of an object's metadata: what a person may have changed of it. Our own writes to its status are no news."""
    names = ("uid", "generation", "deletionTimestamp")
    annotations = tuple(sorted((meta.get("annotations") or {}).items()))
    return tuple(str(meta.get(n)) for n in names), annotations, tuple(meta.get("finalizers") or ())


def version(meta: Mapping[str, Any]) -> object:
    """Every write is news, and being listed again is none."""
    return str(meta.get("uid")), str(meta.get("resourceVersion"))


def profile_key(namespace: str | None, name: str) -> str:
    return f"profile {namespace}/{name}"
