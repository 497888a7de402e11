"""Limits and steps as class and profile state them: read from the objects themselves, edited, and held against what a trial
writes. Called by `Watch`, but for the edits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from pegbox.model import units
from pegbox.model.trials import BreakerState, Intent, IntentKind
from pegbox.ports import CLASS, Object, Ref
from pegbox.testing.copying import copied
from tests.chaos.violation import Violation
from tests.chaos.world import World

Written = Iterable[tuple[str, int]]
PROBE = Fraction(1, 10)


@dataclass(frozen=True)
class Limit:
    """Of one knob, the narrower of class and profile; `share` is its maxStep. All of these knobs count in whole units."""

    low: Fraction
    high: Fraction
    share: Fraction

    def admits(self, start: Fraction, value: int) -> bool:
        """Inside, or on the way back to it from a start that lies outside."""
        return min(self.low, start) <= value <= max(self.high, start)

    def reaches(self, start: Fraction, value: int, *, probe: bool) -> bool:
        """In one trial. One unit may always be moved; a probe, while the breaker is HalfOpen, moves a tenth at the most."""
        share = min(PROBE, self.share) if probe else self.share
        up = math.floor(share * start) if probe else math.ceil(share * start)
        return start - max(1, math.floor(share * start)) <= value <= start + max(1, up)


@dataclass(frozen=True)
class Begun:
    """The newest trial of a profile, and the limits as the wake read them that began it."""

    trial: Intent
    limits: Mapping[str, Limit]


def class_of(world: World, name: str) -> Object | None:
    profile = world.profile(name)
    return None if profile is None else world.server.peek(Ref(CLASS, "", profile["spec"]["classRef"]["name"]))


def stated(world: World, name: str) -> dict[str, Limit]:
    """As a wake that begins now reads them; none without profile and class."""
    profile, class_, tenant = world.profile(name), class_of(world, name), world.tenant(name)
    if profile is None or class_ is None:
        return {}
    own = {knob["name"]: knob for knob in profile["spec"]["knobs"]}
    general = profile["spec"].get("guards", {})
    knobs = (k for k in class_["spec"]["knobs"] if k["name"] in (*tenant.knobs, *tenant.sizes))
    return {k["name"]: _merged(k, own.get(k["name"], {}), general) for k in knobs}


def _merged(class_: Object, own: Object, general: Object) -> Limit:
    low, high = ([_number(each[side]) for each in (class_, own) if side in each] for side in ("min", "max"))
    shares = [_share(each["maxStep"]) for each in (class_, general) if "maxStep" in each] or [Fraction(1, 2)]
    return Limit(max(low), min(high), _share(own["maxStep"]) if "maxStep" in own else min(shares))


def _number(raw: str | int) -> Fraction:
    return Fraction(units.parse_quantity(str(raw), "a limit"))


def _share(text: str) -> Fraction:
    return Fraction(text.rstrip("%")) / 100


# --- edits


async def by_profile(world: World, name: str, knob: str, wanted: Object) -> str:
    """As it makes sense beside the class of the shop: within its limits, and with an `initial` within the new ones."""
    profile = world.profile(name)
    if profile is None:
        return "there is no profile"
    knobs, widest = (
        copied(profile["spec"]["knobs"]),
        next(k for k in world.shop.class_["spec"]["knobs"] if k["name"] == knob),
    )
    entry = next(k for k in knobs if k["name"] == knob)
    for side, value in wanted.items():
        bound = side in ("min", "max")
        entry[side] = min(max(value, widest["min"]), widest["max"]) if bound else value
    low, high = entry.get("min", widest["min"]), entry.get("max", widest["max"])
    if low > high:  # the newer word holds
        entry |= {"min": high} if "max" in wanted else {"max": low}
    if "initial" in entry:
        entry["initial"] = min(max(entry["initial"], entry.get("min", low)), entry.get("max", high))
    await world.edit_spec(name, knobs=knobs)
    return f"the profile has {knob} {wanted}"


async def by_class(world: World, name: str, knob: str, wanted: Object) -> str:
    """A profile that states more for itself is refused from then on."""
    stands = class_of(world, name)
    if stands is None:
        return "there is no class"
    body = copied(world.shop.class_) | {"spec": copied(stands["spec"])}
    entry = next(k for k in body["spec"]["knobs"] if k["name"] == knob)
    entry |= wanted
    await world.helm.apply(body, force=True)
    return f"the class has {knob} {wanted}"


# --- the invariants at each write


def trial_of(world: World, name: str) -> Intent | None:
    ledger = world.ledger(name)
    intent = ledger.intent if ledger is not None else None
    return intent if intent is not None and intent.kind is IntentKind.TRIAL else None


def limits_in_force_hold(world: World, name: str, written: Written, read: Mapping[str, Limit]) -> None:
    """No trial writes a value, in a cohort or to a pod neither, outside of the limits of class and profile as its wake read
    them, but for a step towards them from outside."""
    trial = trial_of(world, name)
    for knob, value in written if trial is not None else ():
        if trial is None or knob not in trial.parent:
            continue
        limit, start = read.get(knob), trial.parent.number(knob)
        if limit is None or not limit.admits(start, value):
            raise Violation(f"{name}: trial {trial.id} writes {knob}={value} from {start}, the limits are {limit}")


def steps_hold(world: World, name: str, written: Written, begun: Begun | None) -> None:
    """No write of a trial, in a cohort or to a pod neither, takes a value further from its parent's than maxStep, as the
    wake read it that began the trial; a probe's, while the breaker is HalfOpen, no further than a tenth. One unit may always
    be moved; what puts back is exempt."""
    ledger, trial = world.ledger(name), trial_of(world, name)
    if ledger is None or trial is None:
        return
    probe, limits = ledger.breaker.state is BreakerState.HALF_OPEN, begun.limits if begun is not None else {}
    for knob, value in written:
        limit = limits.get(knob)
        if limit is None or knob not in trial.parent:
            continue
        start = trial.parent.number(knob)
        if not limit.reaches(start, value, probe=probe):
            raise Violation(f"{name}: {knob} goes from {start} to {value} in one trial, by {limit}")
