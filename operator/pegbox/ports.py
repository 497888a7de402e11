"""Protocols of the outside world: what the shell needs, whoever gives it. Fakes are in pegbox.testing.

Objects of the cluster are plain dicts, as the API server sends them; nothing is dropped or defaulted.
Every call may raise NotAvailable (try later; NotServed where the resource type is not there); the rest is said per
call.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

from pegbox.model.decisions import Event
from pegbox.model.observations import Missing
from pegbox.model.profile import Signal
from pegbox.model.snapshot import Acknowledgement

Object = dict[str, Any]

FIELD_MANAGER = "pegbox"
ABSENT = "1"
"""A resourceVersion that no object has, since etcd begins to count at 2: an apply that names it makes what is not
there, and is a conflict where anything is. A create would leave its fields to another entry of managedFields, beside
which no later apply takes one away."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource type. `plural` and `api_version` make the path; cluster-scoped kinds have no namespace."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    def __hash__(self) -> int:
        return hash(self.plural)  # which hardly two kinds share: they are keys of nearly every table


PROFILE = Kind("pegbox.dev/v1alpha1", "PerformanceProfile", "performanceprofiles")
CLASS = Kind("pegbox.dev/v1alpha1", "PerformanceClass", "performanceclasses", namespaced=False)
BUDGET = Kind("pegbox.dev/v1alpha1", "SharedBudget", "sharedbudgets")
LEDGER = Kind("pegbox.dev/v1alpha1", "TuningLedger", "tuningledgers")
POD_ENVIRONMENT = Kind("pegbox.dev/v1alpha1", "PodEnvironment", "podenvironments")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
POD = Kind("v1", "Pod", "pods")
NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
EVENT = Kind("events.k8s.io/v1", "Event", "events")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
STATEFUL_SET = Kind("apps/v1", "StatefulSet", "statefulsets")
REPLICA_SET = Kind("apps/v1", "ReplicaSet", "replicasets")
HPA = Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")
PDB = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
ADMISSION_POLICY = Kind(
    "admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies", namespaced=False
)
ADMISSION_BINDING = Kind(
    "admissionregistration.k8s.io/v1",
    "MutatingAdmissionPolicyBinding",
    "mutatingadmissionpolicybindings",
    namespaced=False,
)


@dataclass(frozen=True, slots=True)
class Ref:
    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind.kind} {self.name}"


class Cluster(Protocol):
    """The API server. Every write names the field manager `pegbox` and asks for strict field validation."""

    async def get(self, ref: Ref) -> Object:
        """Raises NotFound."""
        ...

    async def list(self, kind: Kind, namespace: str = "", *, labels: str = "", limit: int = 500) -> list[Object]:
        """All pages. `labels` is a label selector. Namespace "" lists the whole cluster."""
        ...

    async def apply(self, body: Object, *, force: bool = False, subresource: str = "") -> Object:
        """Server-side apply. Raises WriteConflict (with owners) on 409, Refused on 403 and 422.

        `metadata.uid` in the body makes a recreated object a conflict; `metadata.resourceVersion` locks.
        """
        ...

    async def create(self, body: Object) -> Object:
        """Raises WriteConflict when it exists."""
        ...

    async def json_patch(self, ref: Ref, operations: Sequence[Object], *, subresource: str = "") -> Object:
        """RFC 6902; put `test` operations on uid and resourceVersion first. Raises WriteConflict, Refused, NotFound."""
        ...

    async def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> None:
        """Raises NotFound; WriteConflict when the uid or, where one is named, the resourceVersion differs."""
        ...

    async def evict(self, pod: Ref, *, uid: str) -> None:
        """The eviction API. Raises NotEvicted (a disruption budget forbids it), NotFound, WriteConflict (uid)."""
        ...

    async def allowed(
        self, verb: str, group: str, resource: str, *, namespace: str = "", subresource: str = ""
    ) -> bool:
        """A SelfSubjectAccessReview."""
        ...


@dataclass(frozen=True, slots=True)
class SignalQuery:
    """One distinct question to the metrics server; its rows serve every profile of the class."""

    class_name: str
    signal: Signal
    window: int  # seconds
    matchers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SignalRow:
    """`part` is "value", "good", "all", "sum", "count" or "bucket"; `le` is set for buckets only.

    `profile` is namespace/name; `setting` the short generation, "" for unjoined signals (offered load).
    """

    profile: str
    cohort: str
    setting: str
    part: str
    value: float
    le: float | None = None
    pods: int = 0


@dataclass(frozen=True)
class SignalRows:
    """`refused` says by (profile, cohort, setting) why rows that the server sent are not among `rows`."""

    rows: tuple[SignalRow, ...]
    at: datetime
    refused: Mapping[tuple[str, str, str], Missing] = field(default_factory=dict)

    def of(self, profile: str) -> Sequence[SignalRow]:
        """One profile's rows, in their order. All profiles of a class ask this of the same answer."""
        return self._by_profile.get(profile, ())

    @cached_property
    def _by_profile(self) -> Mapping[str, Sequence[SignalRow]]:
        found: dict[str, list[SignalRow]] = defaultdict(list)
        for row in self.rows:
            found[row.profile].append(row)
        return found


class MetricsSource(Protocol):
    """A Prometheus-compatible server. Answers are values or Missing(reason); nothing is ever zero for want of data."""

    async def fetch(
        self, query: SignalQuery, at: datetime, *, namespace: str = "", max_age: float | None = None
    ) -> SignalRows | Missing:
        """Rows of every profile of the class. Answers up to `max_age` seconds old may be reused; 0: none.

        Who asks names his `namespace`: its rows come also where those of others spoil the answer for all.
        """
        ...

    async def acknowledgements(
        self, namespace: str, at: datetime, *, max_age: float | None = None
    ) -> Mapping[str, Acknowledgement] | Missing:
        """pod name -> what it says it runs, from samples fresher than the lookback."""
        ...

    async def setting_values(
        self, namespace: str, knobs: Collection[str], at: datetime, *, max_age: float | None = None
    ) -> Mapping[str, Mapping[str, float]] | Missing:
        """pod name -> knob -> value in base units, from `pegbox_setting_value`. Of these knobs only."""
        ...

    async def check(self) -> Missing | None:
        """None when the server answers `vector(1)`."""
        ...


class EventSink(Protocol):
    async def emit(self, regarding: Object, event: Event) -> None:
        """Never raises: an event that cannot be written is logged and dropped."""
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware UTC."""
        ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...
