"""A budget that is exceeded at rest: somebody raised an autoscaler by hand, scaled, edited, or lowered the limit. Pure.

What he set stays. What is ours is lowered in the wake that sees it, by as much as makes everything fit again and no
more, without a trial and without a step limit: it is a way back to where the budget holds.

Of a shared budget whoever looks first makes up for all, at once, where that is enough. Where it is not, since the
capacity was cut far below what is claimed, each profile gives way by its share of what is claimed. Then the others have
the time that a look and their pods take; what is still exceeded after it is lowered as far as may be.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction

from pegbox.core import guards, hpa_bounds, transitions, usage
from pegbox.core.transitions import Begin
from pegbox.core.usage import Use
from pegbox.model.decisions import Admission
from pegbox.model.knobs import Knob, KnobValue, LocationKind, Setting
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import SharedBudgetFacts, Snapshot, Workload
from pegbox.model.trials import Intent, IntentKind, Ledger

PATIENCES = 3  # within which others have given way as well, or may not
GRAIN = 256  # parts of the way from a knob's value to its least
COUNTS = frozenset({LocationKind.HPA_MAX, LocationKind.REPLICAS})


def exceeded(snapshot: Snapshot) -> tuple[Use, ...]:
    """Budgets that what stands exceeds: not what a rollout's surge adds for a moment."""
    incumbent, workload = snapshot.ledger.incumbent, snapshot.workload
    if incumbent is None or not isinstance(workload, Workload):
        return ()
    return _over(snapshot, workload, transitions.keeping(incumbent, snapshot.known()))


def in_words(over: tuple[Use, ...]) -> str:
    return ", ".join(f"{use.name}: {float(use.used):g} of {float(use.limit):g}" for use in over)


def begun(snapshot: Snapshot, workload: Workload, now: datetime) -> Ledger | None:
    """The ledger with the way down begun; None where nothing is exceeded, or nothing that is ours would mend it."""
    incumbent, over = snapshot.ledger.incumbent, exceeded(snapshot)
    if incumbent is None or not over or not _may(snapshot, over, now):
        return None
    wanted = _lowered(snapshot, workload, incumbent, over) or _by_share(snapshot, workload, incumbent, over, now)
    if wanted is None:
        return None
    item = Begin(
        IntentKind.ROLLBACK, wanted, Reason.BUDGET_EXCEEDED, now, why=in_words(over), revision=workload.revision
    )
    ledger = transitions.owing(snapshot.ledger, incumbent, wanted)  # it returns once it fits again
    return transitions.begin(snapshot.spec, ledger, incumbent, item)


def lowers(intent: Intent | None) -> bool:
    """Is the intent such a way down? It has no trial behind it."""
    if intent is None:
        return False
    return intent.kind is IntentKind.ROLLBACK and intent.state is None and intent.reason is Reason.BUDGET_EXCEEDED


def _may(snapshot: Snapshot, over: tuple[Use, ...], now: datetime) -> bool:
    """Not against a brake, nor a freeze that lets nothing through. Nor while another profile holds the slot of a budget
    of which this one uses no more than it claimed: then it is the other one's to lower."""
    if not guards.brakes.free(snapshot):
        return False
    if guards.waiting.frozen(guards.as_urgent(snapshot), now).admission is Admission.REFUSE:
        return False
    names = {use.name for use in over}
    for item in snapshot.spec.budgets:
        facts = snapshot.budgets.get(item.ref) if item.ref and item.name in names else None
        if not isinstance(facts, SharedBudgetFacts) or facts.trial_holder in ("", snapshot.spec.key):
            continue
        if all(use.used <= facts.claimed for use in over if use.name == item.name):
            return False
    return True


def _cut(snapshot: Snapshot, over: tuple[Use, ...]) -> Mapping[str, int]:
    """Of budgets that are shared, and exceeded though this profile uses no more than it claimed: its share."""
    found = dict[str, int]()
    for item in snapshot.spec.budgets:
        facts = snapshot.budgets.get(item.ref) if item.ref else None
        if isinstance(facts, SharedBudgetFacts):
            found |= {use.name: facts.share for use in over if use.name == item.name and use.used <= facts.claimed}
    return found


def _lately(snapshot: Snapshot, now: datetime, times: int) -> bool:
    """Was anything lowered so within that many times of what a look of others and their pods' acknowledgement take?"""
    patience = snapshot.spec.interval + snapshot.spec.guards.ack_timeout
    since = now - timedelta(seconds=float(times * patience))
    return any(t.reason is Reason.BUDGET_EXCEEDED and since < t.ended_at <= now for t in snapshot.ledger.trials)


def _by_share(
    snapshot: Snapshot, workload: Workload, here: Setting, over: tuple[Use, ...], now: datetime
) -> Setting | None:
    """What this profile gives where it cannot make up for all, and others give way, too."""
    cut = _cut(snapshot, over)
    own = tuple(use for use in over if use.name not in cut)
    if own and cut:  # what the profile itself exceeds waits for nobody else
        alone = tuple(item for item in snapshot.spec.budgets if item.name not in cut)
        return _lowered(replace(snapshot, spec=replace(snapshot.spec, budgets=alone)), workload, here, own)
    if not cut or _lately(snapshot, now, 1):
        return None
    return _lowered(snapshot, workload, here, over, {} if _lately(snapshot, now, PATIENCES) else cut)


def _lowered(
    snapshot: Snapshot,
    workload: Workload,
    here: Setting,
    over: tuple[Use, ...],
    cut: Mapping[str, int] | None = None,
) -> Setting | None:
    """All of them lowered by the same part of their way to the least, as little as fits. With `cut` as little as these
    shares ask for, and where that is not to be had, all of it."""
    names = {use.name for use in over}
    counted = {n for item in snapshot.spec.budgets if item.name in names for n in usage.knob_names(snapshot.spec, item)}
    ways = {n: least for n in sorted(counted) if (least := _least(snapshot, here, n)) is not None}
    if not ways:
        return None

    def after(parts: int) -> Setting:
        moved: dict[str, KnobValue] = {}
        for name, least in ways.items():
            unit = snapshot.spec.space[name].unit
            span = (here.number(name) - least) * Fraction(GRAIN - parts, GRAIN)
            moved[name] = least + unit * (span // unit)
        return here.with_values(**moved)

    def enough(parts: int) -> bool:
        return all(use.used <= (cut or {}).get(use.name, 0) for use in _over(snapshot, workload, after(parts)))

    steps = range(1, GRAIN + 1)
    first = bisect_left(steps, True, key=enough)
    if first == len(steps) and cut is None:
        return None
    wanted = _ordered(snapshot, after(steps[min(first, GRAIN - 1)]))
    checks = (
        guards.ownership.owned(snapshot, here, wanted),
        guards.limits.bounds(snapshot, here, wanted),
        guards.limits.rules(snapshot, here, wanted),
    )
    return wanted if guards.first_refusal(checks) is None else None


def _least(snapshot: Snapshot, here: Setting, name: str) -> Fraction | None:
    """How far the knob may be lowered. A bound of pods never below what its owner set, nor an HPA's maximum below a
    minimum that is not ours; and no container's size at all: to take memory away from what runs is no way to safety."""
    knob, value = snapshot.spec.space[name], here.get(name)
    if not isinstance(value, Fraction) or not knob.tunable or knob.location.kind is LocationKind.CONTAINER_RESOURCE:
        return None
    least = _floor(snapshot, knob) if _ours(snapshot, name) else None
    if least is None:
        return None
    least = _ordered(snapshot, here.with_values(**{name: least})).number(name)
    return least if least < value else None


def _ours(snapshot: Snapshot, name: str) -> bool:
    held = snapshot.held.get(name)
    free = held is not None and held.refusal is None and name not in snapshot.claimed
    return free and name not in guards.limits.left_alone(snapshot)


def _ordered(snapshot: Snapshot, wanted: Setting) -> Setting:
    """With the bounds of an HPA in order, and those that are not ours as they are."""
    theirs = [n for n in wanted if n in snapshot.spec.space and not _ours(snapshot, n)]
    return hpa_bounds.uncrossed(snapshot.spec, wanted, theirs)


def _floor(snapshot: Snapshot, knob: Knob) -> Fraction | None:
    if knob.location.kind not in COUNTS:
        return knob.unit if knob.minimum is None else knob.minimum
    adopted = None if snapshot.ledger.adopted is None else snapshot.ledger.adopted.get(knob.name)
    return adopted if isinstance(adopted, Fraction) else None


def _over(snapshot: Snapshot, workload: Workload, setting: Setting) -> tuple[Use, ...]:
    """Without the pods of a rollout, of others or of ours: those come and go."""
    workload = usage.scaled(snapshot.spec, workload, setting)
    listed = workload.unfinished[: max(workload.replicas, 0)]
    workload = replace(workload, pods=listed)
    return tuple(u for u in usage.at_rest(snapshot, workload, setting) if isinstance(u, Use) and not u.fits)
