"""Intent, trial summaries, the last-known-good ladder, the breaker and the ledger that holds them.

The ledger is the whole memory of a profile's loop. It is a value: a decision yields the next ledger, the shell
stores it before it touches the workload, and any step may be killed and run again from the stored one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise

from pegbox.model.knobs import Effect, KnobType, Location, Setting
from pegbox.model.observations import Attainment
from pegbox.model.prediction import Row
from pegbox.model.profile import Autoscaler, BudgetSpec, Target
from pegbox.model.reasons import Reason

MAX_TRIALS = 50
MAX_LADDER = 5


class IntentKind(StrEnum):
    ADOPT = "Adopt"  # write our own ConfigMap with exactly the values in force
    TRIAL = "Trial"
    ROLLBACK = "Rollback"  # put the parent back, whatever ended the trial
    RESTORE = "Restore"  # put the values recorded at adoption back

    @property
    def goes_back(self) -> bool:
        return self in (IntentKind.ROLLBACK, IntentKind.RESTORE)


class TrialState(StrEnum):
    ACCEPTED = "Accepted"
    REVERTED = "Reverted"
    INCONCLUSIVE = "Inconclusive"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the parent did before the trial: the comparison's other side. Means over `windows` clean windows."""

    load: float
    throughput: float
    latency: float
    errors: float | None = None  # share of failed events; None where the class has no such signal
    slo_shares: Mapping[str, float] = field(default_factory=dict)
    latency_sd: float = 0.0  # of the log of window means
    windows: int = 1
    pods: int = 0  # that `load` and `throughput` are of; 0 in a ledger of before


@dataclass(frozen=True, slots=True)
class Cohort:
    """Pods that run other values than the rest while an intent is under way: those of a canary.

    `parent` is what they ran before the first stage, `stages` what they run in each stage of the intent. Where that is
    the rest's setting, the document has no cohort. Pods that go away leave it; none joins.

    Pods that admission gives other variables are new ones: in the first stage nobody knows them yet, only how many they
    are to be (`size`, else 0).
    """

    pods: tuple[str, ...]
    parent: Setting
    stages: tuple[Setting, ...]
    size: int = 0


@dataclass(frozen=True, slots=True)
class Amount:
    """Pods, and what they request in all."""

    pods: int = 0
    cpu: int = 0  # millicores
    memory: int = 0  # bytes


@dataclass(frozen=True, slots=True)
class Amounts:
    """The most that is added to the cluster, and the most that is taken away; neither makes up for the other."""

    added: Amount = Amount()
    removed: Amount = Amount()


@dataclass(frozen=True, slots=True)
class Intent:
    """What is being done to the workload, written before the first write and dropped after the last.

    `stages` are the settings to pass through, in order; the last is the target. What lowers a budget's use comes
    first and must be in force before what raises it. `generation` is the settings document's number for the
    stage under way. Times are None until they happen.
    """

    id: str
    kind: IntentKind
    parent: Setting
    stages: tuple[Setting, ...]
    started_at: datetime
    generation: int
    stage: int = 0
    stage_at: datetime | None = None  # when the stage was first written
    applied_at: datetime | None = None  # when the stage was first read back from the cluster
    in_force_at: datetime | None = None  # when every pod had acknowledged the last stage
    reason: Reason = Reason.REQUESTED
    why: str = ""
    revision: str = ""  # the controller's name for the pod template when the trial began (core.deploys)
    template: str = ""  # that template; "" in a ledger of before
    pods: int = 0
    baseline: Baseline | None = None
    state: TrialState | None = None  # how the trial ended; set on the rollback that follows it
    counted: bool = False  # does the breaker count it?
    requested: bool = False  # by the verb `try`: judged by the same rules
    urgent: bool = False  # it began while an SLO was breached, which its own first stage may mend
    predicted: float | None = None  # throughput that the model expected, events per second
    bad_samples: int = 0  # consecutive wakes at which a hard guard's condition held
    disturbed: int = 0  # of these, how many while others changed the pods of a trial that had settled
    first_bad_at: datetime | None = None
    last_sample_at: datetime | None = None  # end of the newest window that a hard guard looked at
    spent: Mapping[str, float] = field(default_factory=dict)  # SLO -> bad events beyond the parent's, since started_at
    variance: Mapping[str, float] = field(default_factory=dict)  # of `spent`, where only chance is at work
    looks: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)  # (seconds, spent) of a window
    old_containers: tuple[str, ...] | None = None  # that ran when a stage which needs a restart was read back
    keep: tuple[str, ...] = ()  # knobs that somebody else changed meanwhile: theirs, never written
    cohort: Cohort | None = None  # `parent` and `stages` are the rest's then
    added: Amount | None = None  # the most that it may add; None in a ledger of before: what the settings tell is known
    removed: Amount | None = None  # the most that it may take away; likewise
    measured: str = ""  # of a trial: what is measured, and was of its parent (core.measure); "" in a ledger of before

    @property
    def target(self) -> Setting:
        return self.stages[-1]

    @property
    def current(self) -> Setting:
        return self.stages[self.stage]

    @property
    def before(self) -> Setting:
        """The setting that the stage under way starts from."""
        return self.parent if self.stage == 0 else self.stages[self.stage - 1]

    @property
    def in_cohort(self) -> Setting:
        """What the cohort runs in the stage under way; without one, what everybody runs."""
        return self.current if self.cohort is None else self.cohort.stages[self.stage]

    @property
    def cohort_before(self) -> Setting:
        """What the cohort runs before the stage under way; without one, what everybody runs."""
        if self.cohort is None:
            return self.before
        return self.cohort.parent if self.stage == 0 else self.cohort.stages[self.stage - 1]

    @property
    def split(self) -> bool:
        """Does the stage under way have a cohort with values of its own?"""
        return self.in_cohort != self.current

    @property
    def canary(self) -> bool:
        """Does the trial run in its cohort alone, beside pods that run its parent?"""
        return self.kind is IntentKind.TRIAL and self.split and self.current == self.parent

    @property
    def compared(self) -> bool:
        """Is this the stage that compares the target in the cohort with the parent in the rest: the canary's last?"""
        return self.canary and self.parent not in self.stages[self.stage + 1 : self.stage + 2]

    @property
    def opening(self) -> bool:
        """Do new pods take the cohort's variables, until there are enough of them?"""
        cohort = self.cohort
        return self.kind is IntentKind.TRIAL and cohort is not None and cohort.size > 0 and not cohort.pods

    @property
    def written(self) -> Setting:
        """What is to stand in every place in the stage under way, but for the document's cohorts."""
        return self.in_cohort if self.opening else self.current

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Every setting that a pod may run while it is under way."""
        others = () if self.cohort is None else (self.cohort.parent, *self.cohort.stages)
        return tuple(dict.fromkeys((self.parent, *self.stages, *others)))

    @property
    def moved(self) -> frozenset[str]:
        """Knobs that any of its stages changes, in any pod."""
        ways = [(self.parent, *self.stages)]
        if self.cohort is not None:
            ways.append((self.cohort.parent, *self.cohort.stages))
        return frozenset(n for way in ways for a, b in pairwise(way) for n in a.diff(b))


@dataclass(frozen=True, slots=True)
class TrialSummary:
    id: str
    setting: Setting
    parent: Setting
    state: TrialState
    reason: Reason
    started_at: datetime
    ended_at: datetime
    predicted_throughput: float | None = None
    throughput: float | None = None
    latency: float | None = None
    added: Amount | None = None
    removed: Amount | None = None
    foreign: tuple[str, ...] = ()  # knobs that somebody else set again, in mid-course or once it was accepted


@dataclass(frozen=True, slots=True)
class Rung:
    """A setting proven good up to an offered load (events per second) by `replicates` clean windows."""

    setting: Setting
    proven_load: float
    replicates: int
    latency: float
    proven_at: datetime
    counted: Mapping[str, Attainment] = field(default_factory=dict)  # by SLO, "" by the class (core.error_share)


@dataclass(frozen=True, slots=True)
class Spending:
    """What trials that ended from `since` to `until` spent of an SLO's error budget: bad events beyond their parents',
    and the variance of that count where only chance is at work."""

    since: datetime
    until: datetime
    events: float
    variance: float


class BreakerState(StrEnum):
    CLOSED = "Closed"
    OPEN = "Open"
    HALF_OPEN = "HalfOpen"


@dataclass(frozen=True, slots=True)
class Breaker:
    """`failures` counts consecutive counted failures while Closed; `opened` consecutive openings."""

    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    opened: int = 0
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Original:
    """A value as it stood at adoption: raw text at a location, and the field manager who owned it."""

    location: str
    raw: str | None  # None: the field did not exist
    owner: str = ""
    uid: str = ""  # of the object that held it


@dataclass(frozen=True, slots=True)
class Place:
    """Where a knob lives, and what else of it a way back has to know: it moves a value, and chooses none."""

    knob: str
    type: KnobType
    location: Location
    effect: Effect
    minimum: Fraction | None = None
    maximum: Fraction | None = None
    tunable: bool = True  # False: it stands in our document, and is not written on its own
    take: bool = False  # by the owner's consent


@dataclass(frozen=True, slots=True)
class WayBack:
    """What a rollback or a restore has to know of class and profile, so that it can be finished without them."""

    target: Target
    places: tuple[Place, ...]
    autoscaler: Autoscaler | None = None
    budgets: tuple[BudgetSpec, ...] = ()
    ack_timeout: Fraction = Fraction(180)
    source: str = ""  # of the metrics that tell what the pods have read


@dataclass(frozen=True, slots=True)
class Ledger:
    """The memory of one profile's loop. Stored in a TuningLedger object; hard cap 64 KiB."""

    profile_uid: str
    target_uid: str = ""
    generation: int = 0  # settings documents written so far; only ever grows
    incumbent: Setting | None = None
    adopted: Setting | None = None  # the setting at adoption: what the deletion policy Restore puts back
    originals: tuple[Original, ...] = ()
    ladder: tuple[Rung, ...] = ()
    intent: Intent | None = None
    breaker: Breaker = Breaker()
    trials: tuple[TrialSummary, ...] = ()
    rows: tuple[Row, ...] = ()
    cooldown_until: datetime | None = None
    paused_until: datetime | None = None  # datetime.max for "until resumed"
    tokens: Mapping[str, str] = field(default_factory=dict)  # verb -> last token acted on
    reporting: bool = False  # has any pod ever acknowledged?
    revision: str = ""  # the controller's name for the pod template that the incumbent was measured on (core.deploys)
    template: str = ""  # that template; "" in a ledger of before
    deployed_at: datetime | None = None  # when the newest deploy was seen; None in a ledger of before, too
    halted: Reason | None = None
    halted_at: datetime | None = None  # since when; None in a ledger of before
    owed: Setting | None = None  # of some knobs: what a way back left lowered, since a budget had no room for more
    forecasts: tuple[tuple[float, float, float], ...] = ()  # (model, baseline, outcome) throughput, newest last
    way_back: WayBack | None = None  # None in a ledger of before, until its class was read once
    spent: Mapping[str, tuple[Spending, ...]] = field(default_factory=dict)  # by SLO, oldest first (core.error_budget)
