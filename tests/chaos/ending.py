"""What must hold at the end, once faults have stopped, or once the operator says that the adoption's values are in place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pegbox.model.knobs import Setting
from tests.chaos import limits, places
from tests.chaos.application import CACHE, RESTARTS, VARIABLE, cores
from tests.chaos.invariants import Violation, Watch
from tests.chaos.shops import MOST, Tenant
from tests.chaos.world import World
from tests.loop import documents


def at_last_known_good(world: World, watch: Watch, name: str) -> None:
    """The setting in the cluster is the incumbent, somebody stands for each value, and no intent is left."""
    profile, ledger = world.profile(name), world.ledger(name)
    if profile is None:
        restored(world, watch, name)
        return
    if ledger is None or ledger.incumbent is None:
        raise Violation(f"{name}: no ledger with an incumbent: {profile.get('status', {}).get('why')}")
    if ledger.intent is not None:
        raise Violation(f"{name}: {ledger.intent.kind.value} {ledger.intent.id} is left: {profile['status']['why']}")
    here = world.values(name)
    for knob, value in here.items():
        if knob in ledger.incumbent and ledger.incumbent.number(knob) != value:
            raise Violation(f"{name}: {knob} is {value}, but the incumbent has {ledger.incumbent.number(knob)}")
    if name not in world.lapsed:
        _somebody_stands(world, watch, name, here, ledger.owed or {})
    if (world.apps[name].document or {}).get("cohorts"):
        raise Violation(f"{name}: a cohort is left: {(world.apps[name].document or {})['cohorts']}")
    _every_pod_runs(world, name, ledger.incumbent)
    for left in places.fences_left(world, name):
        raise Violation(f"{name}: {left} still holds a fence")
    _only_our_bytes(world, name, here)


def _somebody_stands(world: World, watch: Watch, name: str, here: Mapping[str, int], owed: Mapping[str, Any]) -> None:
    """For each value somebody stands. Else it was lowered where the budget, or a maximum that somebody else set, had no
    room for the one that somebody stands for: the ledger owes that, and it does not fit yet, or not into narrowed limits
    (seed 610001079)."""
    stated = limits.stated(world, name)
    for knob, value in here.items():
        if (knob, value) in watch.good[name]:
            continue
        if knob not in owed or (knob, int(owed[knob])) not in watch.good[name]:
            raise Violation(
                f"{name}: nobody stands for {knob}={value}: neither adopted, nor accepted, nor set by others"
            )
        admitted = knob not in stated or stated[knob].low <= owed[knob] <= stated[knob].high
        if admitted and _fits(world, name, {**here, knob: int(owed[knob])}):
            raise Violation(f"{name}: {knob}={owed[knob]} is owed and fits, but {value} stands")


def _fits(world: World, name: str, wanted: Mapping[str, int]) -> bool:
    """Would these values fit the budget, beside what others use, and claim for the pod more of a restart? Never where an HPA's minimum would be above its maximum:
    the API server refuses that (seed 4010141)."""
    if wanted.get("min_replicas", 0) > wanted.get("max_replicas", MOST):
        return False
    tenant = world.tenant(name)
    others = world.worst() - world.apps[name].worst(tenant.per_pod) + _claimed_ahead(world, name)
    pods = max(len(world.apps[name].pods), wanted.get("max_replicas", wanted.get("replicas", 0)))
    pods += _added(tenant, wanted, pods)
    return tenant.per_pod(wanted) * pods + others <= world.shop.limit


def _claimed_ahead(world: World, name: str) -> int:
    """What the other profiles of the budget claim for the pods that a rollout adds (seed 860000338)."""
    claimed = 0
    for tenant in world.shop.tenants:
        if tenant.name != name and world.profile(tenant.name) is not None:
            here = world.values(tenant.name)
            claimed += tenant.per_pod(here) * _added(tenant, here, here.get("max_replicas", MOST))
    return claimed


def _added(tenant: Tenant, values: Mapping[str, int], pods: int) -> int:
    """What a rollout adds to so many pods: a quarter of them, so that 1 is added to 4, and 2 to 5 (seed 1700000549). Of a StatefulSet none are."""
    return math.ceil(pods / 4) if RESTARTS & values.keys() and tenant.kind != "StatefulSet" else 0


def budget_holds_or_is_said(world: World) -> None:
    """No budget is exceeded, whoever exceeded it: what is ours was lowered. Where even the least of that would not make it
    fit, a profile says BudgetExceeded."""
    worst, alive = world.worst(), [t.name for t in world.shop.tenants if world.profile(t.name) is not None]
    if worst <= world.shop.limit:
        return
    used = f"{worst} of {world.shop.limit} connections"
    for name in alive:
        least = _least(world, name)
        if _fits(world, name, world.values(name) | least):
            raise Violation(f"{name}: {used}, though {least} would fit")
    if not any(world.condition(name, "Degraded") == ("True", "BudgetExceeded") for name in alive):
        raise Violation(f"{used}, and nobody says so")


def _least(world: World, name: str) -> dict[str, int]:
    """How far what pods run may be lowered; bounds of pods are left as they stand."""
    here, stated = world.values(name), limits.stated(world, name)
    pods = ("replicas", "min_replicas", "max_replicas")
    return {n: min(v, math.ceil(stated[n].low)) for n, v in here.items() if n in stated and n not in pods}


def restored(world: World, watch: Watch, name: str) -> None:
    """A deleted profile leaves the values of its adoption, but for those that others set."""
    stand = watch.good[name] if watch.policies[name] == "Keep" else watch.theirs[name]
    for knob, value in world.values(name).items():
        if (knob, value) not in stand and name not in world.lapsed:
            raise Violation(f"{name}: {knob}={value} is left of a deleted profile")
    target = world.server.peek(world.apps[name].target)
    for pod, found in world.sizes(name).items() if target is not None and watch.policies[name] != "Keep" else ():
        if found != cores(target["spec"]["template"]) and name not in world.lapsed:
            raise Violation(f"{name}: {pod} requests {found} cores, which is left of a deleted profile")
    _only_our_bytes(world, name, world.values(name))


def _every_pod_runs(world: World, name: str, incumbent: Setting) -> None:
    app, space = world.apps[name], world.tenant(name).knobs
    hot = {n: int(incumbent.number(n)) for n in ("workers", "pool") if n in space and n in incumbent}
    for pod in app.pods:
        if {n: v for n, v in pod.runs.items() if n in hot} != hot:
            raise Violation(f"{pod.name} runs {pod.runs}, the incumbent has {hot}")
        former = VARIABLE in space and VARIABLE in incumbent and pod.env[VARIABLE] != incumbent.number(VARIABLE)
        if former and not _waits_for_room(world, name, pod.name):
            raise Violation(f"{pod.name} started with {pod.env}, the incumbent has {incumbent.number(VARIABLE)}")
    _every_pod_has(world, name, incumbent)


def _waits_for_room(world: World, name: str, pod: str) -> bool:
    """Somebody left no room for the pod more that a restart adds, and it is said which pods wait (docs/critiques.md; seed
    170003261)."""
    told = world.condition_message(name, "Progressing")
    waits = world.condition(name, "Progressing") == ("False", "WaitingForBudget") and pod in told
    return waits and not _fits(world, name, world.values(name))


def _every_pod_has(world: World, name: str, incumbent: Setting) -> None:
    """Each pod's container has the incumbent's size. Where a ledger that knew another one was lost (also one of the template
    that was, seed 71002894), nobody can tell that from one that somebody else gave the pod: it is left alone, and the
    condition Conflict names the pod (seed 901000199)."""
    known = name not in world.lapsed and name not in world.forgotten
    said = "" if known else world.condition_message(name, "Conflict")
    for pod in world.apps[name].pods if "cpu_request" in incumbent else ():
        at = cores({"spec": {"containers": [{"resources": pod.sizes}]}})
        if at is not None and at != incumbent.number("cpu_request") and pod.name not in said:
            raise Violation(f"{pod.name} has {at} cores, the incumbent {incumbent.number('cpu_request')}")


def _only_our_bytes(world: World, name: str, here: Mapping[str, int]) -> None:
    theirs = world.server.peek(world.apps[name].theirs_ref)
    if theirs is None or "cache" not in here:
        return
    expected = CACHE.sub(rf"\g<1>{here['cache']}", documents.APP)
    if theirs["data"]["app.yaml"] != expected:
        raise Violation(f"{name}: their ConfigMap reads {theirs['data']['app.yaml']!r}, not {expected!r}")
