"""Sizes of containers: what a setting would make of the pods, what forbids it, and which pods do not have it yet.

Rules of the quality of service class: Kubernetes, "Pod Quality of Service Classes". Guaranteed: every container has
limits of cpu and memory, and requests equal to them; BestEffort: none states anything; else Burstable. A resize that
would change the class is refused by the API server.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from pegbox.core import usage
from pegbox.model.knobs import Knob, KnobValue, LocationKind, ResourceName, SearchSpace, Setting, Side, Size
from pegbox.model.observations import Missing, Observation
from pegbox.model.reasons import Reason
from pegbox.model.roles import busy_signal
from pegbox.model.snapshot import ContainerSizes, Held, PodFacts, Snapshot, Workload
from pegbox.model.trials import Intent

MARGIN = Fraction(5, 4)  # a memory limit stays at a quarter more than what is in use: usage is a mean, peaks are above
_ZERO = Fraction(0)


def knobs(space: SearchSpace) -> tuple[Knob, ...]:
    return space.at(LocationKind.CONTAINER_RESOURCE)


def writable(space: SearchSpace, held: Mapping[str, Held]) -> tuple[Knob, ...]:
    """Those that may be written now."""
    return tuple(k for k in knobs(space) if k.tunable and k.name in held and held[k.name].refusal is None)


def sized(containers: Sequence[ContainerSizes], space: SearchSpace, setting: Setting) -> tuple[ContainerSizes, ...]:
    """The pod's containers under a setting."""
    wanted = {k.location.size: v for k in knobs(space) if isinstance(v := setting.get(k.name), Fraction)}
    changes = {size: value for size, value in wanted.items() if size is not None}
    return tuple(replace(c, sizes={**c.sizes, **changes}) if c.tuned else c for c in containers)


def quality(containers: Sequence[ContainerSizes]) -> str:
    """The pod's quality of service class."""
    stated = [v for c in containers for v in c.sizes.values() if v > 0]
    if not stated:
        return "BestEffort"
    for each in containers:
        for resource in ResourceName:
            limit = each.sizes.get(Size(Side.LIMITS, resource), _ZERO)
            if limit <= 0 or each.sizes.get(Size(Side.REQUESTS, resource), _ZERO) != limit:
                return "Burstable"
    return "Guaranteed"


def objection(snapshot: Snapshot, parent: Setting, wanted: Setting) -> Missing | None:
    """Why the pods cannot be made what a setting asks for, at any stage on the way there."""
    spec, moved = snapshot.spec, set(parent.diff(wanted))
    if not any(k.name in moved for k in knobs(spec.space)):
        return None
    before = quality(snapshot.containers)
    for stage in usage.stages(spec, parent, wanted):
        after = sized(snapshot.containers, spec.space, stage)
        above = _above(after)
        if above is not None:
            return above
        if quality(after) != before:
            detail = f"{before} would become {quality(after)}: move requests and limits together, or not as far"
            return Missing(Reason.QOS_CHANGE, detail)
    return _too_little_memory(snapshot, parent, wanted)


def _above(containers: Sequence[ContainerSizes]) -> Missing | None:
    for each in containers:
        for resource in ResourceName:
            limit = each.sizes.get(Size(Side.LIMITS, resource))
            request = each.sizes.get(Size(Side.REQUESTS, resource), _ZERO)
            if limit is not None and request > limit:
                detail = (
                    f"{resource.value} of container {each.name}: requests {float(request):g}, limits {float(limit):g}"
                )
                return Missing(Reason.REQUESTS_ABOVE_LIMITS, f"{detail}: raise the limit with it, or request less")
    return None


def _too_little_memory(snapshot: Snapshot, parent: Setting, wanted: Setting) -> Missing | None:
    """A limit below what is in use kills. What is in use: the knob's Busy signal (a share of the limit) times it."""
    for knob in knobs(snapshot.spec.space):
        old, new = parent.get(knob.name), wanted.get(knob.name)
        if knob.location.size != Size(Side.LIMITS, ResourceName.MEMORY):
            continue
        if not isinstance(old, Fraction) or not isinstance(new, Fraction) or new >= old:
            continue
        seen = snapshot.observation
        share = seen.signals.get(busy_signal(knob.name)) if isinstance(seen, Observation) else None
        if share is None or isinstance(share, Missing):
            return Missing(
                Reason.MEMORY_IN_USE,
                f"{knob.name}: what is in use is not known: give the class a Busy signal for this knob",
            )
        needed = Fraction(share) * old * MARGIN
        if new < needed:
            detail = f"{knob.name}: {knob.type.format(new)} is less than {knob.type.format(knob.clamp(needed))}"
            return Missing(Reason.MEMORY_IN_USE, f"{detail}, what is in use and a quarter more")
    return None


def unsized(
    snapshot: Snapshot, workload: Workload, setting: Setting, names: Collection[str] | None = None
) -> tuple[str, ...]:
    """Pods whose kubelet does not say yet that they have a setting's sizes. `names`: only of these knobs.

    Pods that somebody else sized, and pods that leave, are not waited for; on the way back neither is a new one that
    the server will not resize, nor what else a pod is asked for.
    """
    intent = snapshot.ledger.intent
    back = intent is not None and intent.kind.goes_back
    found = set()
    for knob in writable(snapshot.spec.space, snapshot.held):
        value, size = setting.get(knob.name), knob.location.size
        if size is None or not isinstance(value, Fraction) or (names is not None and knob.name not in names):
            continue
        for pod in workload.unfinished:
            if pod.terminating or pod.name in snapshot.held[knob.name].odd or (back and _left(snapshot, pod, knob)):
                continue
            if (pod.resizing and not back) or pod.sizes.get(size) != value:
                found.add(pod.name)
    return tuple(sorted(found))


def as_made(held: Held, intent: Intent, name: str, value: KnobValue | None) -> bool:
    """Is a pod's size what the template gave it, and nothing that this intent gave to any pod?"""
    return value is not None and value == held.start and all(s.get(name) != value for s in intent.settings)


def _left(snapshot: Snapshot, pod: PodFacts, knob: Knob) -> bool:
    """Will the server not resize a pod that is as the template made it? A way back has nothing to put right in it."""
    intent, size = snapshot.ledger.intent, knob.location.size
    if intent is None or size is None or not pod.resizing.startswith("Infeasible"):
        return False
    return as_made(snapshot.held[knob.name], intent, knob.name, pod.sizes.get(size))


def holds_up(snapshot: Snapshot, intent: Intent, name: str) -> bool:
    """Has a knob to be written before the stage under way is? All but sizes that a way back may leave."""
    workload, held, knob = snapshot.workload, snapshot.held[name], snapshot.spec.space[name]
    if (
        not intent.kind.goes_back
        or not held.behind
        or isinstance(workload, Missing)
        or knob not in knobs(snapshot.spec.space)
    ):
        return True
    left = {p.name for p in workload.unfinished if _left(snapshot, p, knob)}
    return not left.issuperset(held.behind)


def impossible(snapshot: Snapshot, workload: Workload) -> str:
    """The first pod whose node has no room for what was asked, with the kubelet's words; "" without any."""
    if not writable(snapshot.spec.space, snapshot.held):
        return ""
    pods = (p for p in workload.unfinished if p.resizing.startswith(("Infeasible", "Deferred")) and not p.terminating)
    return next((f"{p.name}: {p.resizing}" for p in pods), "")


def behind(snapshot: Snapshot) -> tuple[str, ...]:
    """Pods that have to be resized to what the ledger wants."""
    names = {p for k in writable(snapshot.spec.space, snapshot.held) for p in snapshot.held[k.name].behind}
    return tuple(sorted(names))


def refused(snapshot: Snapshot, names: Collection[str]) -> Missing | None:
    """Why a size that a trial moves may not be written any more: somebody else sizes the pods by now."""
    held = (snapshot.held.get(k.name) for k in knobs(snapshot.spec.space) if k.name in names)
    return next((h.refusal for h in held if h is not None and h.refusal is not None), None)


def odd(snapshot: Snapshot) -> str:
    """Pods that somebody else sized, in words; "" without any."""
    held = ((k.name, snapshot.held.get(k.name)) for k in knobs(snapshot.spec.space))
    return "; ".join(f"{name}: {', '.join(item.odd)}" for name, item in held if item is not None and item.odd)


def mixed(snapshot: Snapshot, setting: Setting) -> bool:
    """Do pods have other sizes than a setting's, so that what is measured is not of that alone?"""
    workload = snapshot.workload
    return bool(odd(snapshot)) or (isinstance(workload, Workload) and bool(unsized(snapshot, workload, setting)))
