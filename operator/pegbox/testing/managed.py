"""Who owns which field of one object, and server-side apply over it.

Verified against a real API server by the suites: equal values make co-owners, other values a 409 that names
the owner, a released field that nobody else owns is removed (never restored), and an update takes what it
changes from everybody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from pegbox.model.errors import FieldOwner, WriteConflict
from pegbox.ports import Object
from pegbox.testing import fields
from pegbox.testing.copying import copied
from pegbox.testing.fields import PRESENT, Fields, Path

_NOTHING = object()


class Writer(NamedTuple):
    """One entry of managedFields: the same name counts as another writer per operation and subresource."""

    manager: str
    operation: str  # Apply | Update
    subresource: str = ""


@dataclass(frozen=True)
class Claim:
    """What a writer owns, and since when (RFC 3339)."""

    paths: frozenset[Path]
    time: str
    api_version: str

    @cached_property
    def fields_v1(self) -> Object:
        """Every read renders the owners again, and they hardly change: to be read only."""
        return fields.encode(self.paths)


@dataclass
class Managed:
    claims: dict[Writer, Claim] = field(default_factory=dict)

    def copy(self) -> Managed:
        return Managed(dict(self.claims))

    def render(self) -> list[Object]:
        """The `metadata.managedFields` of the object."""
        entries = []
        for writer, claim in self.claims.items():
            entry: Object = {
                "manager": writer.manager,
                "operation": writer.operation,
                "apiVersion": claim.api_version,
                "time": claim.time,
                "fieldsType": "FieldsV1",
                "fieldsV1": claim.fields_v1,
            }
            if writer.subresource:
                entry["subresource"] = writer.subresource
            entries.append(entry)
        return entries

    @classmethod
    def parse(cls, entries: list[Any]) -> Managed:
        """Entries that a client wrote by hand. `[{}]` clears them all, as on the server."""
        claims = {}
        for entry in entries:
            if entry.get("manager"):
                writer = Writer(entry["manager"], entry["operation"], entry.get("subresource", ""))
                paths = frozenset(fields.decode(entry.get("fieldsV1", {})))
                claims[writer] = Claim(paths, entry.get("time", ""), entry.get("apiVersion", ""))
        return cls(claims)

    def own(self, writer: Writer, paths: frozenset[Path], time: str, api_version: str, *, moved: bool = False) -> None:
        """Record what a writer owns; the entry keeps its time where neither that nor (moved) a value changes."""
        if not paths:
            self.claims.pop(writer, None)
            return
        held = self.claims.get(writer)
        if moved or held is None or held.paths != paths or held.api_version != api_version:
            self.claims[writer] = Claim(paths, time, api_version)

    def take(self, paths: frozenset[Path], *, but: Writer) -> None:
        """Every other writer loses these paths."""
        for writer, claim in list(self.claims.items()):
            if writer != but and claim.paths & paths:
                self.own(writer, claim.paths - paths, claim.time, claim.api_version)

    def owned_by_others(self, path: Path, writer: Writer) -> bool:
        return any(each != writer and fields.covered(path, claim.paths) for each, claim in self.claims.items())


@dataclass(frozen=True)
class Stamp:
    """What an entry of managedFields carries beside its fields."""

    writer: Writer
    time: str
    api_version: str


def apply(live: Object, body: Object, managed: Managed, stamp: Stamp, *, force: bool) -> Object:
    """Merge an applied body into the live object and move ownership. A WriteConflict changes nothing."""
    writer = stamp.writer
    wanted, standing = fields.flatten(body), fields.flatten({name: live[name] for name in body if name in live})
    changed = _changed(wanted, standing)
    conflicts = _conflicts(changed, managed, writer)
    if conflicts and not force:
        named = ", ".join(f'conflict with "{owner.manager}": {owner.field}' for owner in conflicts)
        raise WriteConflict(f"Apply failed with {len(conflicts)} conflict(s): {named}", owners=conflicts)
    merged: Object = copied(live)
    for path in sorted((each for each in wanted if each in changed), key=len):
        value = wanted[path]
        fields.put(merged, path, None if value is PRESENT else value)
    held = managed.claims.get(writer)
    # Items before what is in them: an item that lost its key could not be found any more.
    for path in sorted((held.paths if held else frozenset()) - wanted.keys(), key=len):
        kept = managed.owned_by_others(path, writer) or fields.covered(path, wanted) or fields.is_key(path)
        if not kept:
            fields.drop(merged, path)
    managed.take(frozenset(changed), but=writer)
    managed.own(writer, frozenset(wanted), stamp.time, stamp.api_version, moved=bool(changed))
    return merged


def _changed(wanted: Fields, standing: Fields) -> set[Path]:
    """Most are as they were, which one comparison tells."""
    moved = ((path, value) for path, value in wanted.items() if standing.get(path, _NOTHING) != value)
    return {path for path, value in moved if _differs(path, value, standing)}


def _differs(path: Path, value: Any, standing: Fields) -> bool:
    if path in standing:
        return value is not PRESENT and standing[path] != value
    return not (value == {} and fields.covered(path, standing))


def _conflicts(changed: set[Path], managed: Managed, writer: Writer) -> tuple[FieldOwner, ...]:
    found = []
    for other, claim in managed.claims.items():
        if other != writer:
            found += [FieldOwner(other.manager, fields.spell(path)) for path in sorted(changed & claim.paths)]
    return tuple(found)


def update(before: Object, after: Object, managed: Managed, stamp: Stamp) -> None:
    """Ownership after an update: what changed is the writer's, what vanished is nobody's."""
    moved = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    old, new = (fields.flatten({n: body[n] for n in moved if n in body}) for body in (before, after))
    changed = frozenset(_changed(new, old))
    gone = frozenset(old.keys() - new.keys())
    managed.take(changed | gone, but=stamp.writer)
    held = managed.claims.get(stamp.writer)
    kept = (held.paths if held else frozenset()) - gone
    managed.own(stamp.writer, kept | changed, stamp.time, stamp.api_version)
