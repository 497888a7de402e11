"""What must hold at every instant, checked over each version of each object in the order in which they were stored.

The observer reads the API server for itself and gives every change to `Book.changed`; what pods say that they run
comes by `Book.acknowledged`. Nothing here is taken from the operator's own words, but for the ledger: it must name
what stands in the cluster before it stands there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pegbox.api import ledger_codec
from pegbox.model import settings_document
from pegbox.model.errors import InvalidInput
from pegbox.model.snapshot import Document
from pegbox.model.trials import IntentKind, Ledger
from pegbox.ports import FIELD_MANAGER, Object
from pegbox.testing.finite import not_finite

Values = Mapping[str, int]
OURS = frozenset({"PerformanceProfile", "TuningLedger", "SharedBudget", "PerformanceClass", "Event", "Lease"})
MAXIMUM = "max_replicas"
KEPT = 50  # of the broken ones, with their text; all are counted


@dataclass(frozen=True)
class Tenant:
    """One profile: its mode, its limits, and what one pod uses of the shared and of its own budget.

    `start` is what its pods run before any document; `pods` run all the time, `maximum` is its HPA's (0: it has none).
    """

    key: str
    mode: str
    pods: tuple[str, ...]
    start: Values
    limits: Mapping[str, tuple[int, int]]
    shared: Callable[[Values], int]
    own: Callable[[Values], int]
    own_limit: int
    maximum: int = 0

    @property
    def namespace(self) -> str:
        return self.key.partition("/")[0]


@dataclass
class Standing:
    """What stands of one tenant. `written` are the documents that a pod may still run, oldest first."""

    tenant: Tenant
    ledger: Ledger | None = None
    document: Document | None = None
    generation: int = 0
    maximum: int = 0
    written: list[tuple[int, Values]] = field(default_factory=list)
    runs: dict[str, int] = field(default_factory=dict)  # pod -> generation that it acknowledged

    def __post_init__(self) -> None:
        self.maximum = self.tenant.maximum
        self.written = [(0, dict(self.tenant.start))]
        self.runs = dict.fromkeys(self.tenant.pods, 0)

    def worst(self, use: Callable[[Values], int]) -> int:
        """Each pod at the most that it may run: what it acknowledged, or anything written since."""
        at_most = max(len(self.tenant.pods), self.maximum)
        last = use(self.written[-1][1])
        used = [max((use(v) for g, v in self.written if g >= runs), default=last) for runs in self.runs.values()]
        return sum(used) + (at_most - len(used)) * last


@dataclass
class Book:
    """`capacity` by namespace. `broken` holds what did not hold, as "invariant: what was seen"."""

    capacity: Mapping[str, int]
    tenants: dict[str, Standing] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    checked: int = 0
    trials: Counter[str] = field(default_factory=Counter)
    _ended: dict[str, frozenset[str]] = field(default_factory=dict)
    _sharing: dict[str, list[Standing]] = field(default_factory=dict)  # namespace -> those in Auto

    def add(self, tenant: Tenant) -> None:
        standing = self.tenants[tenant.key] = Standing(tenant)
        if tenant.mode == "Auto":
            self._sharing.setdefault(tenant.namespace, []).append(standing)

    # --- what happens

    def changed(self, kind: str, event: str, body: Object) -> None:
        """One version of one object as it was stored; `event` is ADDED, MODIFIED or DELETED."""
        self.checked += 1
        meta = body["metadata"]
        standing = self._of(meta)
        if standing is None:
            return
        tenant = standing.tenant
        if kind not in OURS and tenant.mode != "Auto" and _ours(meta):
            self.say("nothing written without Auto", f"{event} {kind} {meta['name']} in mode {tenant.mode}")
        if kind == "TuningLedger":
            self._ledger(standing, event, body)
        elif kind == "ConfigMap":
            self._document(standing, event, body)
        elif kind == "HorizontalPodAutoscaler":
            standing.maximum = int(body["spec"]["maxReplicas"])
        elif kind == "PerformanceProfile":
            where = not_finite(body.get("status", {}), "status")
            if where:
                self.say("statuses are finite", f"{tenant.key}: {where}")
        self._hold(standing)

    def acknowledged(self, key: str, pod: str, generation: int) -> None:
        """The pod runs this document from now on."""
        standing = self.tenants[key]
        standing.runs[pod] = max(generation, standing.runs.get(pod, 0))
        oldest = min(standing.runs.values())
        standing.written = [each for each in standing.written if each[0] >= oldest] or standing.written[-1:]

    def forwarded(self, kind: str, namespace: str, name: str) -> None:
        """A write that went from the operator to the server, whatever was answered."""
        if kind in OURS_PLURAL:
            return
        standing = self._of({"namespace": namespace, "name": name})
        mode = standing.tenant.mode if standing is not None else "that nobody has"
        if mode != "Auto":
            self.say("nothing written without Auto", f"sent: {kind} {namespace}/{name} in mode {mode}")

    # --- what is asked

    def under_way(self) -> Iterator[str]:
        """Keys with an intent."""
        return (k for k, s in self.tenants.items() if s.ledger is not None and s.ledger.intent is not None)

    def adopted(self) -> int:
        """Profiles in Auto whose document stands."""
        return sum(1 for each in self.tenants.values() if each.document is not None)

    def unsettled(self) -> list[str]:
        """Once everything is over: who is not at his incumbent, and why. Where nothing was written nothing is to do."""
        out = []
        for key, each in self.tenants.items():
            ledger, document = each.ledger, each.document
            if ledger is not None and ledger.intent is not None:
                out.append(f"{key}: {ledger.intent.kind.value} {ledger.intent.id} is under way")
            elif document is not None and set(each.runs.values()) != {document.generation}:
                out.append(f"{key}: pods run {sorted(each.runs.values())}, written is {document.generation}")
        return out

    # --- the invariants

    def _ledger(self, standing: Standing, event: str, body: Object) -> None:
        key = standing.tenant.key
        if event == "DELETED":
            self.say("the ledger stays", f"{key}: the ledger was deleted")
            return
        try:
            standing.ledger = ledger_codec.decode(body)
        except InvalidInput as error:
            self.say("the ledger is whole", f"{key}: {error}")
            return
        ended = frozenset(t.id for t in standing.ledger.trials)
        for trial in standing.ledger.trials:
            if trial.id not in self._ended.get(key, frozenset()):
                self.trials[f"{trial.state.value} {trial.reason.value}"] += 1
        self._ended[key] = ended

    def _document(self, standing: Standing, event: str, body: Object) -> None:
        key, text = standing.tenant.key, (body.get("data") or {}).get(settings_document.KEY)
        if event == "DELETED" or text is None:
            self.say("the document stays", f"{key}: {event} {body['metadata']['name']} without a document")
            return
        document = settings_document.parse(text)
        if document.generation < standing.generation:
            self.say("generation grows", f"{key}: {document.generation} after {standing.generation}")
        if document.foreign:
            self.say("the document is whole", f"{key}: the hash does not fit")
        if document.generation != standing.generation or not standing.document:
            values = {**standing.tenant.start, **{k: int(v) for k, v in document.values.items() if v.isdigit()}}
            standing.written.append((document.generation, values))
        standing.document, standing.generation = document, document.generation

    def _hold(self, standing: Standing) -> None:
        self._explained(standing)
        self._bounds(standing)
        tenant = standing.tenant
        own = standing.worst(tenant.own)
        if own > tenant.own_limit:
            self.say("own budgets hold", f"{tenant.key}: {own} of {tenant.own_limit}")
        total = sum(s.worst(s.tenant.shared) for s in self._sharing.get(tenant.namespace, ()))
        if total > self.capacity[tenant.namespace]:
            self.say("shared budgets hold", f"{tenant.namespace}: {total} of {self.capacity[tenant.namespace]}")

    def _explained(self, standing: Standing) -> None:
        """What stands is the incumbent, or a stage of the one intent that the ledger records."""
        ledger, document, tenant = standing.ledger, standing.document, standing.tenant
        if tenant.mode != "Auto":
            return
        if document is not None and ledger is None:
            self.say("recorded before written", f"{tenant.key}: a document and no ledger")
        if ledger is None or (ledger.incumbent is None and ledger.intent is None):
            return
        intent, known = ledger.intent, [] if ledger.incumbent is None else [ledger.incumbent]
        known += [] if intent is None else [intent.parent, *intent.stages]
        if document is not None:
            seen = {n: v for n, v in document.values.items() if v.isdigit()}
            if not any(all(n not in s or s.number(n) == int(v) for n, v in seen.items()) for s in known):
                self.say("what stands is recorded", f"{tenant.key}: {seen}, but the ledger knows {known}")
        adopting = intent is not None and intent.kind is IntentKind.ADOPT
        with_maximum = [s for s in known if MAXIMUM in s]
        there = any(s.number(MAXIMUM) == standing.maximum for s in with_maximum)
        if tenant.maximum and with_maximum and not adopting and not there:
            self.say("what stands is recorded", f"{tenant.key}: {MAXIMUM} {standing.maximum}, but {known}")

    def _bounds(self, standing: Standing) -> None:
        tenant, document = standing.tenant, standing.document
        seen = dict(document.values) if document is not None else {}
        seen |= {MAXIMUM: str(standing.maximum)} if tenant.maximum else {}
        for name, (low, high) in tenant.limits.items():
            if name in seen and not low <= int(seen[name]) <= high:
                self.say("bounds hold", f"{tenant.key}: {name}={seen[name]} is outside of {low} to {high}")

    # --- words

    def _of(self, meta: Mapping[str, Any]) -> Standing | None:
        """Whose it is: by its name, or by the two words that pods, ReplicaSets and our ConfigMap begin with."""
        namespace, name = meta.get("namespace", ""), meta["name"]
        found = self.tenants.get(f"{namespace}/{name}")
        if found is not None:
            return found
        return self.tenants.get(f"{namespace}/{'-'.join(name.split('-')[:2])}")

    def say(self, invariant: str, text: str) -> None:
        self.counts[invariant] += 1
        if len(self.broken) < KEPT:
            self.broken.append(f"{invariant}: {text}")


OURS_PLURAL = frozenset(
    {"performanceprofiles", "tuningledgers", "sharedbudgets", "performanceclasses", "events", "leases"}
    | {"selfsubjectaccessreviews", "selfsubjectreviews"}
)


def _ours(meta: Mapping[str, Any]) -> bool:
    return any(each.get("manager") == FIELD_MANAGER for each in meta.get("managedFields") or ())
