"""Snapshot: the frozen input of one decision. Read once per wake; versions are checked again before a write."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from pegbox.model.brakes import Brakes
from pegbox.model.knobs import KnobValue, Size
from pegbox.model.observations import Attainment, Missing, Observation, Split
from pegbox.model.prediction import LoadForecast
from pegbox.model.profile import ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.trials import Ledger


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What one pod says it runs: from `pegbox_settings_generation{profile_uid, hash}`."""

    profile_uid: str
    generation: int
    hash: str


@dataclass(frozen=True, slots=True)
class PodFacts:
    """One pod of the target. `finished` pods (Succeeded, Failed) are listed but count nowhere.

    `former`: of a target of this name that was deleted. The garbage collector takes it, whatever the one that stands
    wants; until then it reads our document and holds its share of every budget.
    """

    name: str
    uid: str
    ready: bool
    revision: str
    started_at: datetime | None
    restarts: int = 0
    waiting: str = ""  # e.g. CrashLoopBackOff
    oom_killed_at: datetime | None = None
    terminating: bool = False
    ends_at: datetime | None = None  # when its grace period is over: one whose node is gone goes on terminating
    former: bool = False
    finished: bool = False
    container_started_at: datetime | None = None
    ack: Acknowledgement | None = None
    sizes: Mapping[Size, Fraction] = field(default_factory=dict)  # what the kubelet says that the container has
    admitted: Mapping[str, KnobValue] = field(default_factory=dict)  # knob -> what the pod's own env makes of it
    start_up: float | None = None  # seconds from its creation until it became Ready (last); None while it is not
    resizing: str = ""  # why these are not what was asked for yet: "Infeasible: ...", "Deferred: ...", "InProgress"


@dataclass(frozen=True, slots=True)
class Workload:
    """The target as it stands. `rolling` while a rollout has not finished.

    `template` names the pod template without what we write into it, `revision` is its controller's name for all of it:
    "" until the controller has seen the newest. `rolled_out` is the template that this name stands for: another one
    while a Deployment is paused, and where a deploy came between the reads of two objects; "" says `template`.
    `first` is the number of a StatefulSet's first pod. `unmade` says why a Deployment's next pod cannot be made, in the
    server's words: a quota, a LimitRange, admission.
    """

    kind: str
    uid: str
    replicas: int
    revision: str
    rolling: bool
    stuck: bool  # ProgressDeadlineExceeded
    surge: int  # pods that a rollout may add on top of replicas
    pods: tuple[PodFacts, ...]
    generation: int = 0
    first: int = 0
    template: str = ""
    rolled_out: str = ""
    unmade: str = ""

    @property
    def named(self) -> str:
        """The template that `revision` stands for; "" without a name."""
        return (self.rolled_out or self.template) if self.revision else ""

    @property
    def unfinished(self) -> tuple[PodFacts, ...]:
        return tuple(p for p in self.pods if not p.finished)

    @property
    def scaled_to_zero(self) -> bool:
        return self.replicas == 0


@dataclass(frozen=True, slots=True)
class Held:
    """One knob's value as it stands where it lives, and who holds it.

    `value` is Missing where the object or field does not exist or cannot be read. `owners` are the field
    managers other than us, `entries` the same with operation and subresource, as they are recorded for giving the
    field back; `refusal` says why we may not write it (None: we may).

    A resource of a container stands in every pod by itself. `behind` names pods that have one of our earlier values,
    or what the template gives to a new pod: no foreign change, they are resized. `odd` names pods with a value that
    nobody recorded: theirs, never written; on the way back also those of the template's that no kubelet can resize.
    `start` is what a new pod begins with.

    A variable that admission puts into pods: `start` is what a pod has without it. `behind` says that the object with
    our variables is gone. `stale` names pods that started with another value than the next one will, `missed` those of
    them that were created when admission had to know: another one in their place would be no better.
    """

    value: KnobValue | Missing
    raw: str | None = None
    owners: tuple[str, ...] = ()
    refusal: Missing | None = None
    object_uid: str = ""
    entries: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()
    start: KnobValue | None = None
    stale: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContainerSizes:
    """Requests and limits of one container as the template states them; what is not stated is absent."""

    name: str
    sizes: Mapping[Size, Fraction]
    tuned: bool = False
    init: bool = False  # runs to its end before the others start
    sidecar: bool = False  # an init container that goes on beside the others


@dataclass(frozen=True, slots=True)
class Listed:
    """One cohort of the settings document: its pods, and the values that they run in place of the document's."""

    pods: tuple[str, ...]
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Document:
    """Our own ConfigMap's settings document, parsed. `foreign`: somebody else edited it (its hash does not fit, or a
    pod stands in two cohorts).
    """

    generation: int
    hash: str
    values: Mapping[str, str]
    profile_uid: str
    foreign: bool = False
    cohorts: Mapping[str, Listed] = field(default_factory=dict)

    def values_for(self, pod: str) -> Mapping[str, str]:
        """What a pod runs by this document: the incumbent's values, overlaid by those of the cohort that lists it."""
        overlay = next((c.values for c in self.cohorts.values() if pod in c.pods), {})
        return {**self.values, **overlay}


@dataclass(frozen=True, slots=True)
class SharedBudgetFacts:
    """A SharedBudget as read: what is left for this profile, and whether another holds the trial slot."""

    name: str
    available: int  # capacity - reserve - other profiles' unexpired claims
    claimed: int  # by this profile
    share: int = 0  # what that would be if more is claimed than there is, and all claims were cut alike; else 0
    trial_holder: str = ""  # key of the profile that holds the one trial slot


@dataclass(frozen=True, slots=True)
class Request:
    """A verb from an annotation: `try`, `rollback`, `reset`, `approve`, `pause`, `resume`, with its token."""

    verb: str
    token: str
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    spec: ProfileSpec
    ledger: Ledger
    workload: Workload | Missing
    held: Mapping[str, Held]
    document: Document | Missing
    observation: Observation | Missing  # newest window, of the setting in force
    baseline_windows: tuple[Observation, ...] = ()  # earlier windows of the same setting, oldest first
    budgets: Mapping[str, SharedBudgetFacts | Missing] = field(default_factory=dict)
    requests: tuple[Request, ...] = ()
    deleting: bool = False
    let_go: bool = False  # deleting, and our finalizer is not there: nothing waits for a restore
    read_at: datetime | None = None
    written: int = 0  # document generation of the newest stage that this process wrote whole; 0: none it knows of
    slos: Mapping[str, Attainment | Missing] = field(default_factory=dict)  # each over its own window
    refusal: Missing | None = None  # why the profile cannot be used as it stands: this is of the spec read before
    containers: tuple[ContainerSizes, ...] = ()  # of the target's template, init containers too
    acks: Missing | None = None  # why acknowledgements could not be read; None when they were
    brakes: Brakes = Brakes()
    split: Split | None = None  # the newest window by cohort; while a canary runs, `baseline_windows` are its own
    splits: tuple[Split, ...] = ()  # clean and disjoint ones since the canary is in force, oldest first
    forecast: LoadForecast | Missing = Missing(Reason.NO_DATA, "no load was looked at yet")
    claimed: frozenset[str] = frozenset()  # knobs whose place another profile has by now: never written any more
    writes: bool = True  # may this install write to workloads at all?

    def known(self, names: Container[str] | None = None) -> dict[str, KnobValue]:
        """Held values that could be read, of these knobs or of all."""
        wanted = {n: h.value for n, h in self.held.items() if names is None or n in names}
        return {n: value for n, value in wanted.items() if not isinstance(value, Missing)}
