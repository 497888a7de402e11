"""Budget use of a setting: what `pods` means, and whether a change stays within every budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from pegbox.core import budget, hpa_bounds, plan
from pegbox.model.knobs import Effect, KnobValue, LocationKind, Setting
from pegbox.model.observations import Missing
from pegbox.model.profile import BudgetSpec, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Held, SharedBudgetFacts, Snapshot, Workload


@dataclass(frozen=True, slots=True)
class Use:
    """One budget at one setting: `used` of `limit`, both in the budget's own unit."""

    name: str
    used: Fraction
    limit: Fraction

    @property
    def fits(self) -> bool:
        return self.used <= self.limit


def pods_bound(spec: ProfileSpec, workload: Workload, held: Mapping[str, Held], setting: Setting) -> int:
    """The most pods that may run: the unfinished ones now, and all that our own writes can add.

    That is the HPA's maximum or the replicas in the setting, and where a knob needs a restart the surge of a
    rollout, or the one pod by which an eviction exceeds the replicas of a Deployment (its replacement starts while it
    drains). Foreign changes beyond that are a condition, not a bound.
    """
    restarts = any(k.effect is Effect.RESTART and k.tunable for k in spec.space.knobs)
    evicted = 0 if workload.kind == "StatefulSet" else 1
    surge = max(workload.surge, evicted) if restarts else 0
    return most_pods(spec, workload, held, setting) + surge


def most_pods(spec: ProfileSpec, workload: Workload, held: Mapping[str, Held], setting: Setting) -> int:
    """The same without what a restart of ours adds for a moment. A bound that is somebody else's to write counts as he
    set it, also where the setting knows another. Pods of a former target of this name come on top: no bound of the one
    that stands holds for them. But of a StatefulSet none is started before the old one of its name has gone."""
    former = [p for p in workload.unfinished if p.former]
    bound = max(len(workload.unfinished) - len(former), workload.replicas)
    for knob in spec.space.at(LocationKind.HPA_MAX, LocationKind.REPLICAS):
        theirs = held.get(knob.name)
        for value in (setting.get(knob.name), theirs.value if theirs is not None and theirs.refusal else None):
            if isinstance(value, Fraction):
                bound = max(bound, int(value))
    if spec.autoscaler is not None and not spec.space.at(LocationKind.HPA_MAX):
        bound = max(bound, spec.autoscaler.max_replicas)
    if workload.kind != "StatefulSet":
        return bound + len(former)
    awaited = {f"{spec.target.name}-{number}" for number in range(workload.first, workload.first + bound)}
    beside = sum(p.name not in awaited for p in former)
    return max(bound, len(workload.unfinished) - beside) + beside


def scaled(spec: ProfileSpec, workload: Workload, setting: Setting) -> Workload:
    """The workload once there are no more pods than the setting lets live, and none of a former target: a later stage
    waits for that."""
    workload = replace(workload, pods=tuple(p for p in workload.unfinished if not p.former))
    bounds = [setting.get(k.name) for k in spec.space.at(LocationKind.HPA_MAX, LocationKind.REPLICAS)]
    most = max((int(b) for b in bounds if isinstance(b, Fraction)), default=workload.replicas)
    if most >= max(len(workload.unfinished), workload.replicas):
        return workload
    return replace(workload, replicas=min(workload.replicas, most), pods=workload.unfinished[:most])


def knob_names(spec: ProfileSpec, item: BudgetSpec) -> tuple[str, ...]:
    """The knobs that a budget counts; `pods` stands for the knobs that bound the number of pods."""
    names = budget.parse(item.uses).names
    out = sorted(n for n in names if n in spec.space)
    sizes = [k.name for k in spec.space.at(LocationKind.CONTAINER_RESOURCE) if k.tunable]
    if any(n in sizes for n in out):
        out += sizes  # stages never lower a limit below a request that is lowered later: one container, one write
    if "pods" in names:
        out += [k.name for k in spec.space.at(LocationKind.HPA_MAX, LocationKind.REPLICAS)]
    return tuple(dict.fromkeys(out))


def stages(spec: ProfileSpec, old: Setting, new: Setting) -> tuple[Setting, ...]:
    """The settings to write in order, so that no budget of the profile is exceeded in between (`core.plan`).

    Where an HPA's maximum is lowered first, a minimum that would be above it goes down with it: one object, one write.
    """
    found = plan.stages(old, new, [knob_names(spec, item) for item in spec.budgets])
    return (*(hpa_bounds.uncrossed(spec, stage) for stage in found[:-1]), found[-1])


def amount(spec: ProfileSpec, item: BudgetSpec, setting: Setting, pods: int) -> Fraction:
    """What a setting uses of one budget."""
    return budget.parse(item.uses).evaluate(setting, pods)


def uses(snapshot: Snapshot, workload: Workload, setting: Setting) -> tuple[Use | Missing, ...]:
    """Every budget of the profile at a setting. Missing where a SharedBudget could not be read."""
    pods = pods_bound(snapshot.spec, workload, snapshot.held, setting)
    return tuple(_use(snapshot, item, setting, pods) for item in snapshot.spec.budgets)


def at_rest(snapshot: Snapshot, workload: Workload, setting: Setting) -> tuple[Use | Missing, ...]:
    """The same without what a restart of ours adds for a moment."""
    pods = most_pods(snapshot.spec, workload, snapshot.held, setting)
    return tuple(_use(snapshot, item, setting, pods) for item in snapshot.spec.budgets)


def split_uses(
    snapshot: Snapshot, workload: Workload, rest: Setting, cohort: Setting, pods: int
) -> tuple[Use | Missing, ...]:
    """Every budget while so many pods run the cohort's setting and all others the rest's: the sum over both.

    Of n pods each uses a n-th of what all would use at its setting. So a mixture never uses more than the larger of the
    two in all pods, whatever the budget's form.
    """
    bound = max(pods_bound(snapshot.spec, workload, snapshot.held, s) for s in (rest, cohort))
    share = Fraction(min(pods, bound), max(bound, 1))
    out: list[Use | Missing] = []
    for item in snapshot.spec.budgets:
        one, other = (_use(snapshot, item, s, bound) for s in (rest, cohort))
        if isinstance(one, Missing) or isinstance(other, Missing):
            out.append(one if isinstance(one, Missing) else other)
        else:
            out.append(replace(one, used=(1 - share) * one.used + share * other.used))
    return tuple(out)


def fits_beside(
    snapshot: Snapshot, workload: Workload, silent: int, old: Sequence[Setting], new: Sequence[Setting]
) -> bool:
    """Do the budgets hold while so many pods say nothing, and all others take a new setting?"""
    return all(isinstance(use, Use) and use.fits for use in beside(snapshot, workload, silent, old, new))


def beside(
    snapshot: Snapshot,
    workload: Workload,
    silent: int,
    old: Sequence[Setting],
    new: Sequence[Setting],
    count: Callable[[ProfileSpec, Workload, Mapping[str, Held], Setting], int] = pods_bound,
) -> tuple[Use | Missing, ...]:
    """Every budget while so many pods say nothing, and all others take a new setting. `count` says how many there are.

    Nobody knows what a silent pod runs, so it counts at the largest of old and new. With a cohort there are several
    of each. What a budget counts per pod adds up; what it counts once is counted twice here, which errs on the safe
    side. But what it counts of values that a pod reads at once, from one document, is no more than the largest.
    """
    bound = max(count(snapshot.spec, workload, snapshot.held, s) for s in (*old, *new))
    out: list[Use | Missing] = []
    for item in snapshot.spec.budgets:
        quiet = [_use(snapshot, item, setting, silent) for setting in (*old, *new)]
        loud = [_use(snapshot, item, setting, max(bound - silent, 0)) for setting in new]
        known = [use for use in (*quiet, *loud) if isinstance(use, Use)]
        if len(known) < len(quiet) + len(loud):
            out.append(next(use for use in (*quiet, *loud) if isinstance(use, Missing)))
            continue
        parts = [known] if _read_at_once(snapshot.spec, item) else [known[: len(quiet)], known[len(quiet) :]]
        out.append(replace(known[0], used=sum((max(u.used for u in part) for part in parts), Fraction())))
    return tuple(out)


def _read_at_once(spec: ProfileSpec, item: BudgetSpec) -> bool:
    """Does a budget count nothing but values of the settings document, and no pods?"""
    return budget.parse(item.uses).names <= {k.name for k in spec.space.at(LocationKind.SETTINGS)}


def per_pod(snapshot: Snapshot, setting: Setting) -> Mapping[str, Fraction]:
    """budget -> what one pod uses of it at a setting; only of those that are known."""
    uses = (_use(snapshot, item, setting, 1) for item in snapshot.spec.budgets)
    return {use.name: use.used for use in uses if isinstance(use, Use)}


def _use(snapshot: Snapshot, item: BudgetSpec, setting: Setting, pods: int) -> Use | Missing:
    unknown = sorted(budget.parse(item.uses).knobs - set(setting))
    if unknown:
        return Missing(Reason.BASELINE_UNKNOWN, f"budget {item.name}: {', '.join(unknown)}")
    used = amount(snapshot.spec, item, _with_new_pods(snapshot, setting), pods)
    if item.limit is not None:
        return Use(item.name, used, item.limit)
    facts = snapshot.budgets.get(item.ref, Missing(Reason.BUDGET_NOT_FOUND, item.ref))
    if not isinstance(facts, SharedBudgetFacts):
        return facts
    return Use(item.name, used, Fraction(facts.available))


def _with_new_pods(snapshot: Snapshot, setting: Setting) -> Setting:
    """A new pod has the sizes of its template until it is resized: each counts at the larger of the two."""
    larger: dict[str, KnobValue] = {}
    for knob in snapshot.spec.space.at(LocationKind.CONTAINER_RESOURCE):
        held, value = snapshot.held.get(knob.name), setting.get(knob.name)
        start = held.start if held is not None else None
        if isinstance(start, Fraction) and isinstance(value, Fraction) and start > value:
            larger[knob.name] = start
    return setting.with_values(**larger)
