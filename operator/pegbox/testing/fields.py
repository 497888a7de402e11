"""Field ownership as the API server keeps it: paths in the notation of FieldsV1, and the merge over them.

A path is a tuple of elements as managedFields spells them: `f:spec`, `k:{"name":"app"}`, `v:"x"`. What the
server reads from its schema is given here as rules: which lists are maps by key, which maps are atomic.
Source of the rules: the `x-kubernetes-list-type` and `x-kubernetes-map-type` marks of Kubernetes' OpenAPI.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from pegbox.ports import Object
from pegbox.testing.copying import copied

Path = tuple[str, ...]
Fields = dict[Path, Any]

PRESENT = object()
"""The value of a list item's own path: it says that the item is there, and is equal to itself only."""

LIST_KEYS: Mapping[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "volumeMounts": ("mountPath",),
    "ports": ("containerPort", "protocol"),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
    "claims": ("uid",),
}
KEY_DEFAULTS: Mapping[str, Any] = {"protocol": "TCP"}
ATOMIC_MAPS = frozenset({"selector", "scaleTargetRef", "nodeSelector", "fieldRef", "resourceFieldRef"})
SETS = frozenset({"finalizers"})
IDENTITY = frozenset({"apiVersion", "kind"})
SERVER_METADATA = frozenset(
    {
        *("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"),
        *("deletionTimestamp", "deletionGracePeriodSeconds", "generateName", "selfLink"),
    }
)


def flatten(body: Object) -> Fields:
    """Every field that an object states, by path: what an apply of it would own."""
    fields: Fields = {}
    for name, value in body.items():
        if name in IDENTITY:
            continue
        if name == "metadata":
            value = {key: each for key, each in value.items() if key not in SERVER_METADATA}
            if not value:
                continue
        _flatten(value, name, (f"f:{name}",), fields)
    return fields


def _flatten(value: Any, name: str, path: Path, fields: Fields) -> None:
    if isinstance(value, dict) and value and name not in ATOMIC_MAPS:
        _flatten_map(value, path, fields)
    elif isinstance(value, list) and name in SETS:
        for each in value:
            fields[*path, f"v:{_text(each)}"] = each
    elif isinstance(value, list) and (keys := list_keys(name, value)):
        for item in value:
            here = (*path, item_element(item, keys))
            fields[here] = PRESENT
            _flatten_map(item, here, fields)
    else:
        fields[path] = value


def _flatten_map(value: Mapping[str, Any], path: Path, fields: Fields) -> None:
    for key, each in value.items():
        here = (*path, f"f:{key}")
        if isinstance(each, dict | list):
            _flatten(each, key, here, fields)
        else:
            fields[here] = each


def list_keys(name: str, value: list[Any]) -> tuple[str, ...]:
    """The keys that make a list a map, or () for an atomic list.

    Lists of our own API are maps by name; so is any list of objects that all have one, which the server's
    schemas say of nearly every such list.
    """
    if not value or not all(isinstance(item, dict) for item in value):
        return ()
    keys = LIST_KEYS.get(name, ("name",))
    needed = [key for key in keys if key not in KEY_DEFAULTS]
    return keys if all(key in item for item in value for key in needed) else ()


def item_element(item: Mapping[str, Any], keys: Iterable[str]) -> str:
    return _element(tuple((key, item.get(key, KEY_DEFAULTS.get(key))) for key in sorted(keys)))


@lru_cache(maxsize=4096, typed=True)
def _element(key: tuple[tuple[str, Any], ...]) -> str:
    return "k:" + _text(dict(key))


@lru_cache(maxsize=4096)
def _key(element: str) -> Mapping[str, Any]:
    """What a `k:` element says: to be read only."""
    found: Mapping[str, Any] = json.loads(element[2:])
    return found


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def put(root: Object, path: Path, value: Any) -> None:
    """Set the value at a path, making the maps, lists and items on the way."""
    here: Any = root
    for element, following in zip(path, (*path[1:], ""), strict=True):
        if element.startswith("f:"):
            name = element[2:]
            if not following:
                here[name] = copied(value)
                return
            empty: Any = [] if following[:2] in ("k:", "v:") else {}
            if not isinstance(here.get(name), type(empty)):
                here[name] = empty
            here = here[name]
        elif element.startswith("v:"):
            if value not in here:
                here.append(value)
            return
        else:
            here = _item(here, element)


def _item(items: list[Any], element: str) -> Any:
    wanted = _key(element)
    found = next((item for item in items if _is(item, wanted)), None)
    if found is None:
        found = {key: each for key, each in wanted.items() if each is not None}
        items.append(found)
    return found


def _is(item: Any, wanted: Mapping[str, Any]) -> bool:
    if not isinstance(item, dict):
        return False
    return all(item.get(key, KEY_DEFAULTS.get(key)) == each for key, each in wanted.items())


def drop(root: Object, path: Path) -> None:
    """Remove what is at a path, and the containers that become empty by it; nothing where it is absent."""
    trail: list[tuple[Any, Any]] = []
    here: Any = root
    for element in path:
        key: Any = element[2:]
        if element[:2] != "f:":
            if not isinstance(here, list):
                return
            wanted = _key(element) if element[:2] == "k:" else json.loads(key)
            match = [
                at for at, item in enumerate(here) if (_is(item, wanted) if element[:2] == "k:" else item == wanted)
            ]
            if not match:
                return
            key = match[0]
        elif not isinstance(here, dict) or key not in here:
            return
        trail.append((here, key))
        here = here[key]
    holder, key = trail.pop()
    del holder[key]
    while trail and not holder:
        holder, key = trail.pop()
        if not isinstance(holder, dict):
            return
        del holder[key]


def encode(paths: Iterable[Path]) -> Object:
    """FieldsV1: a tree of path elements; `.` marks an element that is owned itself and has owned parts.

    Equal paths share one tree: it is to be read, and never changed in place.
    """
    return _encoded(frozenset(paths))


@lru_cache(maxsize=4096)  # every read renders the owners again, and they hardly change
def _encoded(paths: frozenset[Path]) -> Object:
    tree: Object = {}
    owned = sorted(paths)
    for path in owned:
        here = tree
        for element in path:
            here = here.setdefault(element, {})
    for path in owned:
        here = tree
        for element in path:
            here = here[element]
        if here or path[-1].startswith("k:"):
            here["."] = {}
    return tree


def decode(tree: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    """The owned paths of a FieldsV1 tree."""
    for element, below in tree.items():
        if element == ".":
            yield path
        elif not below:
            yield (*path, element)
        else:
            yield from decode(below, (*path, element))


def spell(path: Path) -> str:
    """A path as the server names it in a conflict: `.spec.template.spec.containers[name="app"].image`."""
    text = ""
    for element in path:
        body = element[2:]
        if element.startswith("f:"):
            text += f".{body}"
        elif element.startswith("k:"):
            text += "[" + ",".join(f"{key}={_text(each)}" for key, each in json.loads(body).items()) + "]"
        else:
            text += f"[={body}]"
    return text


def is_key(path: Path) -> bool:
    """Whether this is the key field of a list's item: it lives and dies with the item."""
    return len(path) > 1 and path[-2].startswith("k:") and path[-1][2:] in _key(path[-2])


def covered(path: Path, owned: Iterable[Path]) -> bool:
    """Whether a set of owned paths holds this path or something inside it."""
    return any(each[: len(path)] == path for each in owned)
