"""What a fake API server keeps: objects, their versions and generations, subresources, deletion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pegbox import ports
from pegbox.model.errors import NotEvicted, NotFound, Refused
from pegbox.ports import Clock, Kind, Object, Ref
from pegbox.testing import selectors, sizing
from pegbox.testing.copying import copied
from pegbox.testing.managed import Managed

STATUS_KINDS = frozenset(
    {
        *(ports.DEPLOYMENT, ports.STATEFUL_SET, ports.REPLICA_SET, ports.POD, ports.HPA, ports.PDB),
        *(ports.NAMESPACE, ports.PROFILE, ports.BUDGET),
    }
)
"""Kinds whose status is written by the subresource only."""
REPLICAS_KINDS = frozenset({ports.DEPLOYMENT, ports.STATEFUL_SET, ports.REPLICA_SET})
NO_GENERATION = frozenset({ports.CONFIG_MAP, ports.LEASE, ports.EVENT, ports.HPA, ports.NAMESPACE})


@dataclass
class Entry:
    """One object: its body without managedFields, and who owns what. `stored` after the first commit."""

    ref: Ref
    body: Object
    managed: Managed = field(default_factory=Managed)
    stored: bool = False

    def render(self, subresource: str = "") -> Object:
        """A copy, as the server sends it; for `scale` the Scale object."""
        if subresource == "scale":
            return _scale(self.body)
        shown: Object = copied(self.body)
        if self.managed.claims:
            shown["metadata"]["managedFields"] = self.managed.render()
        return shown


class Store:
    """Objects by reference, in the order of their creation."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[Ref, Entry] = {}
        self._version = 1000
        self._uids = 0
        self.terminating: set[str] = set()  # namespaces that take no new object

    def timestamp(self) -> str:
        return self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def peek(self, ref: Ref) -> Entry | None:
        return self._entries.get(ref)

    def find(self, ref: Ref) -> Entry:
        entry = self._entries.get(ref)
        if entry is None:
            raise NotFound(f"{ref} does not exist")
        return entry

    def all(self, kind: Kind, namespace: str) -> Iterator[Entry]:
        for ref, entry in list(self._entries.items()):
            if ref.kind == kind and namespace in ("", ref.namespace):
                yield entry

    def all_of(self, namespace: str) -> list[Entry]:
        """Every object of a namespace."""
        return [e for ref, e in self._entries.items() if ref.kind.namespaced and ref.namespace == namespace]

    def new(self, ref: Ref) -> Entry:
        """An entry with a fresh uid, not yet stored. Raises Refused (403) in a namespace that terminates."""
        if ref.kind.namespaced and ref.namespace in self.terminating:
            why = f"unable to create new content in namespace {ref.namespace} because it is being terminated"
            raise Refused(f"{ref.kind.plural} {ref.name!r} is forbidden: {why}", status=403)
        self._uids += 1
        metadata: Object = {"name": ref.name, "uid": f"00000000-0000-4000-8000-{self._uids:012d}"}
        if ref.kind.namespaced:
            metadata["namespace"] = ref.namespace
        metadata["creationTimestamp"] = self.timestamp()
        metadata["resourceVersion"] = ""
        return Entry(ref, {"apiVersion": ref.kind.api_version, "kind": ref.kind.kind, "metadata": metadata})

    def part(self, kind: Kind, body: Object, subresource: str) -> Object:
        """What of a body a write to this endpoint is about; the rest is ignored, as on the server."""
        head = {key: body[key] for key in ("apiVersion", "kind")}
        if subresource == "status":
            return head | {"status": body.get("status", {})}
        return {key: each for key, each in body.items() if key != "status" or kind not in STATUS_KINDS}

    def merged(self, entry: Entry, patched: Object, subresource: str) -> Object:
        """The whole object after an update of one endpoint."""
        after: Object
        if subresource:
            after = copied(entry.body)
        if subresource == "scale":
            after["spec"]["replicas"] = patched["spec"]["replicas"]
        elif subresource == "resize":
            sizing.resize(entry.ref, after, patched)
        elif subresource == "status":
            after["status"] = copied(patched.get("status", {}))
        else:
            after = copied(patched)
            if entry.ref.kind == ports.POD:
                sizing.refuse_outside_of_resize(entry.ref, entry.body, after)
            if entry.ref.kind in STATUS_KINDS:
                after.pop("status", None)
                if entry.body.get("status") is not None:
                    after["status"] = copied(entry.body["status"])
        return after

    def commit(self, entry: Entry, after: Object, claims: Managed) -> bool:
        """Store the object, if anything changed. Versions and generation move only then."""
        before = entry.body
        _default(entry.ref.kind, after)
        if entry.stored and after == before and claims.claims == entry.managed.claims:
            return False
        _check_immutable(entry, after)
        _check_bounds(entry.ref, after)
        metadata = after["metadata"]
        if entry.ref.kind not in NO_GENERATION:
            held = before["metadata"].get("generation", 0)
            moved = not entry.stored or _content(before) != _content(after) or _renoted(entry.ref.kind, before, after)
            metadata["generation"] = held + 1 if moved else held
        metadata["resourceVersion"] = self._next_version()
        entry.body, entry.managed, entry.stored = after, claims, True
        self._entries[entry.ref] = entry
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            del self._entries[entry.ref]
        return True

    def delete(self, entry: Entry) -> Object:
        metadata = entry.body["metadata"]
        if metadata.get("finalizers"):
            metadata.setdefault("deletionTimestamp", self.timestamp())
            metadata["resourceVersion"] = self._next_version()
        else:
            del self._entries[entry.ref]
        return entry.render()

    def spend_disruption(self, pod: Entry) -> None:
        """Ask the PodDisruptionBudget of a pod, as the eviction API does. Raises NotEvicted."""
        if pod.body["status"]["phase"] != "Running":
            return  # a pod that serves nothing yet, or no more, is not protected
        labels = pod.body["metadata"].get("labels", {})
        budgets = [
            entry
            for entry in self.all(ports.PDB, pod.ref.namespace)
            if selectors.matches(entry.body["spec"].get("selector", {}), labels)
        ]
        if len(budgets) > 1:
            raise NotEvicted(f"{pod.ref}: This pod has more than one PodDisruptionBudget", status=500, lasting=True)
        for entry in budgets:
            status = entry.body.get("status", {})
            if not _ready(pod.body) and status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0) > 0:
                return  # it does not count as healthy, and the budget holds without it
            if status.get("observedGeneration", 0) < entry.body["metadata"]["generation"]:
                raise _forbidden(pod.ref, entry.ref, "is still being processed by the server.")
            if status.get("disruptionsAllowed", 0) < 1:
                raise _forbidden(pod.ref, entry.ref, "does not allow evicting pods currently")
            status["disruptionsAllowed"] -= 1
            entry.body["metadata"]["resourceVersion"] = self._next_version()

    def _next_version(self) -> str:
        self._version += 1
        return str(self._version)


def _forbidden(pod: Ref, budget: Ref, why: str) -> NotEvicted:
    """In the server's words."""
    text = f"{pod}: Cannot evict pod as it would violate the pod's disruption budget. The disruption budget"
    return NotEvicted(f"{text} {budget.name} {why}", status=429, budget=budget.name)


def _ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def _content(body: Object) -> Object:
    """What generation counts: everything but metadata and status. A size in another form is the same size."""
    content = {key: each for key, each in body.items() if key not in ("metadata", "status")}
    return (
        content | {"spec": sizing.by_value(body["spec"])} if body.get("kind") == "Pod" and "spec" in body else content
    )


def _renoted(kind: Kind, before: Object, after: Object) -> bool:
    """A Deployment's generation moves with its annotations, too."""
    notes = [each["metadata"].get("annotations") or {} for each in (before, after)]
    return kind == ports.DEPLOYMENT and notes[0] != notes[1]


def _default(kind: Kind, body: Object) -> None:
    """Defaults that matter to ownership: a field that nobody states any more becomes these."""
    if kind in REPLICAS_KINDS:
        body.setdefault("spec", {}).setdefault("replicas", 1)
    elif kind == ports.HPA:
        body.setdefault("spec", {}).setdefault("minReplicas", 1)
    elif kind == ports.POD:
        body.setdefault("status", {}).setdefault("phase", "Pending")
        sizing.default(body)


def _check_bounds(ref: Ref, after: Object) -> None:
    if ref.kind == ports.HPA and after["spec"]["minReplicas"] > after["spec"].get("maxReplicas", 0):
        raise Refused(f"{ref}: spec.maxReplicas: must be greater than or equal to `minReplicas`", status=422)


def _check_immutable(entry: Entry, after: Object) -> None:
    if entry.stored and entry.body.get("immutable") is True and _content(entry.body) != _content(after):
        raise Refused(f"{entry.ref}: field is immutable when `immutable` is set", status=422)


def _scale(body: Object) -> Object:
    metadata: dict[str, Any] = body["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": body["spec"]["replicas"]},
        "status": {"replicas": body.get("status", {}).get("replicas", 0)},
    }
