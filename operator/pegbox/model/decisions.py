"""Decision: the value that one wake of the loop produces. It can be printed, compared, refused and replayed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction

from pegbox.model.knobs import Setting
from pegbox.model.reasons import Reason
from pegbox.model.trials import Ledger


class Admission(StrEnum):
    ADMIT = "Admit"
    CAP = "Cap"
    REFUSE = "Refuse"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one guard said of a proposal. A Cap carries the setting that the guard would let through."""

    guard: str
    admission: Admission
    reason: Reason
    detail: str = ""
    capped: Setting | None = None


class Action(StrEnum):
    HOLD = "Hold"
    ADOPT = "Adopt"
    START = "Start"  # a trial: new intent
    CONTINUE = "Continue"  # an intent under way: next stage, or waiting
    ACCEPT = "Accept"
    REVERT = "Revert"  # the intent becomes a rollback
    CLOSE = "Close"  # the intent ends; nothing more is written
    RESTORE = "Restore"


class ConditionType(StrEnum):
    ACCEPTED = "Accepted"
    METRICS_AVAILABLE = "MetricsAvailable"
    MODEL_TRUSTED = "ModelTrusted"
    PROGRESSING = "Progressing"
    SLO_MET = "SLOMet"
    DEGRADED = "Degraded"
    CONFLICT = "Conflict"
    READY = "Ready"


class Truth(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    type: ConditionType
    status: Truth
    reason: Reason
    message: str
    observed_generation: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for `kubectl describe`. `warning` decides the Event's type."""

    reason: Reason
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """`ledger` is stored first; then, where `desired` is set, the workload is made to match it.

    `replaces` are the pods of which one may be replaced at this look, at rest (`core.upkeep`).
    """

    action: Action
    reason: Reason
    message: str
    ledger: Ledger
    desired: Setting | None = None
    replaces: frozenset[str] = frozenset()
    proposal: Setting | None = None  # the uncapped wish, for status
    verdicts: tuple[Verdict, ...] = ()
    conditions: tuple[Condition, ...] = ()
    events: tuple[Event, ...] = ()
    wake_after: Fraction = Fraction(30)
