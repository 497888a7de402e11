"""Guards, in the fixed order in which they are asked. Each says Admit, Cap or Refuse; all verdicts are recorded.

`READINESS` guards look at the snapshot alone: may any trial start now? `SETTING` guards look at one proposed setting.
A refusal does not stop the later ones, so that `explain` can show every objection at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from pegbox.core.guards import brakes, data, limits, ownership, sizes, waiting, workload
from pegbox.core.guards import budgets as budgets_guard
from pegbox.model.decisions import Admission, Verdict
from pegbox.model.knobs import Setting
from pegbox.model.snapshot import Snapshot

ReadinessGuard = Callable[[Snapshot, datetime], Verdict]
SettingGuard = Callable[[Snapshot, Setting, Setting], Verdict]

READINESS: tuple[ReadinessGuard, ...] = (
    brakes.stopped,
    brakes.opted_out,
    waiting.mode,
    waiting.writes,
    waiting.paused,
    waiting.halted,
    waiting.breaker,
    brakes.fleet,
    waiting.cooldown,
    waiting.frozen,
    waiting.spent,
    workload.rollout_health,
    data.freshness,
)
SETTING: tuple[SettingGuard, ...] = (
    ownership.owned,
    limits.bounds,
    limits.step,
    limits.rules,
    sizes.sizes,
    limits.recently_failed,
    budgets_guard.budgets,
)
# A person's `try` waits for nothing that only protects against the tuner's own zeal; of data it needs `data.sight`.
SKIPPED_BY_TRY = frozenset({waiting.cooldown, waiting.frozen, data.freshness})
SKIPPED_IF_URGENT = frozenset({waiting.cooldown})
TRY_SKIPS_SETTING = frozenset({limits.recently_failed})


def readiness(
    snapshot: Snapshot, now: datetime, *, requested: bool = False, urgent: bool = False
) -> tuple[Verdict, ...]:
    """Verdicts of every readiness guard, in order. What is urgent waits for no cool-down, nor for freezes that let it
    through."""
    skipped = SKIPPED_BY_TRY if requested else SKIPPED_IF_URGENT if urgent else frozenset()
    snapshot = as_urgent(snapshot) if urgent else snapshot
    guards = [g for g in READINESS if g not in skipped] + ([data.sight] if requested else [])
    return tuple(guard(snapshot, now) for guard in guards)


def as_urgent(snapshot: Snapshot) -> Snapshot:
    """The snapshot without the freezes that let through what is urgent."""
    freezes = tuple(item for item in snapshot.spec.freezes if not item.allow_urgent)
    return replace(snapshot, spec=replace(snapshot.spec, freezes=freezes))


def setting(snapshot: Snapshot, parent: Setting, wanted: Setting, *, requested: bool = False) -> tuple[Verdict, ...]:
    """Verdicts of every setting guard on a move from parent to wanted, in order."""
    guards = [g for g in SETTING if not (requested and g in TRY_SKIPS_SETTING)]
    return tuple(guard(snapshot, parent, wanted) for guard in guards)


def first_refusal(verdicts: tuple[Verdict, ...]) -> Verdict | None:
    return next((v for v in verdicts if v.admission is Admission.REFUSE), None)


def admissible(snapshot: Snapshot, parent: Setting, wanted: Setting) -> bool:
    """Would every setting guard let this through as it is?"""
    return all(v.admission is Admission.ADMIT for v in setting(snapshot, parent, wanted))
