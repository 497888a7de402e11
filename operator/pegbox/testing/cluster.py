"""An API server in memory: the facts that Pegbox relies on, and faults on demand.

What is not here is said to be so: schemas and their validation, admission but for our own policy, controllers,
watches. The suite
`pegbox.testing.suites.cluster` holds this fake to the real server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsonpatch
import jsonpointer

from pegbox import ports
from pegbox.model.errors import InvalidInput, NotFound, Refused, WriteConflict
from pegbox.ports import POD, Clock, Kind, Object, Ref
from pegbox.testing import managed as ownership
from pegbox.testing import selectors
from pegbox.testing.admission import Admission
from pegbox.testing.clock import FakeClock
from pegbox.testing.copying import copied
from pegbox.testing.faults import Faults, WriteRecord
from pegbox.testing.managed import Managed, Stamp, Writer
from pegbox.testing.store import Entry, Store

__all__ = ["FakeCluster", "kind_of"]

REPLICAS = ("f:spec", "f:replicas")
_KINDS = {(k.api_version, k.kind): k for k in vars(ports).values() if isinstance(k, Kind)}


def kind_of(body: Mapping[str, Any]) -> Kind:
    """The resource type of an object, among those that the ports name."""
    key = (str(body.get("apiVersion", "")), str(body.get("kind", "")))
    if key not in _KINDS:
        raise Refused(f"{key[0]} {key[1]} is no resource type that this cluster serves", status=400)
    return _KINDS[key]


@dataclass(frozen=True, slots=True)
class _Call:
    """One request: what is asked of which object, by which verb of the port."""

    verb: str
    ref: Ref
    subresource: str = ""


class FakeCluster:
    """Implements ports.Cluster. `faults` injects errors and kill points; `writes` logs what was written.

    `as_manager("helm")` is another client of the same server: no faults, denials or kill points apply to it.
    """

    def __init__(self, clock: Clock | None = None, *, manager: str = ports.FIELD_MANAGER) -> None:
        self.manager = manager
        self.faults = Faults()
        self._store = Store(clock if clock is not None else FakeClock())
        self.admission = Admission(self._store)

    def as_manager(self, manager: str) -> FakeCluster:
        other = FakeCluster(manager=manager)
        other._store, other.admission = self._store, self.admission
        other.faults.log = self.faults.log
        return other

    @property
    def writes(self) -> list[WriteRecord]:
        """Every write that the server carried out, oldest first, of all managers; no-ops too."""
        return self.faults.log

    def peek(self, ref: Ref) -> Object | None:
        """The object as it is kept, without managedFields: to look at, never to change. No fault applies."""
        entry = self._store.peek(ref)
        return entry.body if entry is not None else None

    def peek_all(self, kind: Kind, namespace: str = "") -> list[Object]:
        return [entry.body for entry in self._store.all(kind, namespace)]

    async def terminate(self, namespace: str) -> None:
        """As the namespace controller does: everything in it is deleted, in the order of its creation; what has a
        finalizer stays until that is gone. Nothing new is taken."""
        self._store.terminating.add(namespace)
        for entry in self._store.all_of(namespace):
            self._store.delete(entry)

    def recreate(self, namespace: str) -> None:
        """The namespace was made anew: it takes objects again."""
        self._store.terminating.discard(namespace)

    # --- reading

    async def get(self, ref: Ref) -> Object:
        await self._travel()
        self._enter(_Call("get", ref))
        return self._store.find(ref).render()

    async def list(self, kind: Kind, namespace: str = "", *, labels: str = "", limit: int = 500) -> list[Object]:
        await self._travel()
        self._enter(_Call("list", Ref(kind, namespace, "")))
        found = []
        for entry in self._store.all(kind, namespace):
            if not labels or selectors.matches_text(labels, entry.body["metadata"].get("labels", {})):
                found.append(entry.render())
        return found

    async def allowed(
        self, verb: str, group: str, resource: str, *, namespace: str = "", subresource: str = ""
    ) -> bool:
        full = f"{resource}/{subresource}" if subresource else resource
        return not self.faults.denies(verb, group, full, namespace)

    # --- writing

    async def apply(self, body: Object, *, force: bool = False, subresource: str = "") -> Object:
        ref = _ref(body)
        if subresource == "scale":
            raise InvalidInput("subresource", subresource, "use json_patch on /scale")
        if body["metadata"].get("managedFields"):
            raise Refused(f"{ref}: metadata.managedFields must be nil", status=400)
        call = _Call("apply", ref, subresource)
        writer = Writer(self.manager, "Apply", subresource)

        def act() -> tuple[Object, bool]:
            entry = self._store.peek(ref)
            if entry is None:
                if subresource:
                    raise NotFound(f"{ref} does not exist")
                _check_absent(ref, body["metadata"])
                entry = self._store.new(ref)
            else:
                _check_identity(entry, body["metadata"])
            stated = self._store.part(ref.kind, body, subresource)
            claims = entry.managed.copy()
            stamp = Stamp(writer, self._store.timestamp(), body["apiVersion"])
            merged = ownership.apply(entry.body, stated, claims, stamp, force=force)
            return self._finish(entry, merged, claims, subresource)

        return await self._write(call, act)

    async def create(self, body: Object) -> Object:
        ref = _ref(body)

        def act() -> tuple[Object, bool]:
            if self._store.peek(ref) is not None:
                raise WriteConflict(f"{ref} already exists")
            entry = self._store.new(ref)
            stated = self._store.part(ref.kind, self.admission.admitted(body) if ref.kind == POD else body, "")
            after: Object = copied(entry.body)
            after["metadata"] |= {
                key: copied(each)
                for key, each in stated.get("metadata", {}).items()
                if key not in ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
            }
            after |= {key: copied(each) for key, each in stated.items() if key != "metadata"}
            claims = Managed()
            self._update(entry, after, claims, "")
            return self._finish(entry, after, claims, "")

        return await self._write(_Call("create", ref), act)

    async def json_patch(self, ref: Ref, operations: Sequence[Object], *, subresource: str = "") -> Object:
        def act() -> tuple[Object, bool]:
            entry = self._store.find(ref)
            shown = entry.render(subresource)
            patched = _patched(shown, operations)
            metadata = patched.get("metadata", {})
            if metadata.get("name") != ref.name:
                raise Refused(f"{ref}: metadata.name is immutable", status=422)
            _check_identity(entry, metadata)
            claims = entry.managed.copy()
            entries = metadata.pop("managedFields", [])
            if entries and not subresource:
                claims = Managed.parse(entries) if entries != entry.managed.render() else claims
            after = self._store.merged(entry, patched, subresource)
            self._update(entry, after, claims, subresource)
            return self._finish(entry, after, claims, subresource)

        return await self._write(_Call("json_patch", ref, subresource), act)

    async def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> None:
        def act() -> tuple[Object, bool]:
            entry = self._store.find(ref)
            _check_identity(entry, {"uid": uid, "resourceVersion": version})
            return self._store.delete(entry), True

        await self._write(_Call("delete", ref), act)

    async def evict(self, pod: Ref, *, uid: str) -> None:
        def act() -> tuple[Object, bool]:
            entry = self._store.find(pod)
            _check_identity(entry, {"uid": uid} if uid else {})
            self._store.spend_disruption(entry)
            return self._store.delete(entry), True

        await self._write(_Call("evict", pod, "eviction"), act)

    # --- parts

    async def _travel(self) -> None:
        """Others may act while a request is on its way, as with a real server; on the server it is one step."""
        await asyncio.sleep(0)

    def _enter(self, call: _Call) -> None:
        self.faults.enter(call.verb, call.ref.kind, call.ref.namespace, call.subresource)

    async def _write(self, call: _Call, act: Callable[[], tuple[Object, bool]]) -> Object:
        await self._travel()
        self._enter(call)
        record = WriteRecord(
            call.verb, call.ref.kind.kind, call.ref.namespace, call.ref.name, call.subresource, self.manager
        )
        self.faults.reach("before", record)
        answer, changed = act()
        self.faults.record(record, changed)
        self.faults.reach("after", record)
        self.faults.raise_lost(call.verb, call.ref.kind)
        return answer

    def _update(self, entry: Entry, after: Object, claims: Managed, subresource: str) -> None:
        writer = Writer(self.manager, "Update", subresource)
        stamp = Stamp(writer, self._store.timestamp(), entry.ref.kind.api_version)
        if subresource == "scale" and not claims.owned_by_others(REPLICAS, writer) and writer not in claims.claims:
            return  # the server keeps no owner of replicas that nobody owned before
        ownership.update(entry.body, after, claims, stamp)

    def _finish(self, entry: Entry, after: Object, claims: Managed, subresource: str) -> tuple[Object, bool]:
        changed = self._store.commit(entry, after, claims)
        return entry.render("scale" if subresource == "scale" else ""), changed


def _ref(body: Object) -> Ref:
    metadata = body.get("metadata", {})
    kind = kind_of(body)
    if not metadata.get("name") or (kind.namespaced and not metadata.get("namespace")):
        raise Refused(f"{kind.kind}: metadata.name and metadata.namespace are required", status=422)
    return Ref(kind, metadata.get("namespace", "") if kind.namespaced else "", metadata["name"])


def _check_absent(ref: Ref, metadata: Mapping[str, Any]) -> None:
    """Only a uid keeps an apply from creating: a resourceVersion alone does not, on the server either."""
    if metadata.get("uid"):
        raise WriteConflict(f"{ref}: uid mismatch: no existing object was found")


def _check_identity(entry: Entry, metadata: Mapping[str, Any]) -> None:
    held = entry.body["metadata"]
    for name in ("uid", "resourceVersion"):
        stated = metadata.get(name)
        if stated and stated != held[name]:
            raise WriteConflict(f"{entry.ref}: precondition failed: {name} is {held[name]}, not {stated}")


def _patched(shown: Object, operations: Sequence[Object]) -> Object:
    try:
        patched: Object = jsonpatch.apply_patch(shown, list(operations), in_place=True)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
        # The server answers a failed test and a path that is gone alike.
        raise WriteConflict(f"the patch cannot be applied: {error}") from error
    return patched
