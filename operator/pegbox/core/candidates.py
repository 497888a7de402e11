"""Candidates: every setting that one trial could reach and that is worth asking the model about.

Joint raises are cut to rules and budgets here; `possible` says what may be tried. Choosing is not done here.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pegbox.core.steps import reach, too_far
from pegbox.model.knobs import Knob, KnobType, KnobValue, Setting
from pegbox.model.proposals import ProposalKind, ProposeRequest
from pegbox.model.roles import Role, demand_coefficient

USED = 0.5  # a limit that is busy for less than half gains nothing by being raised
TARGET_BUSY = 0.65  # busy share that a limit is sized for
RANDOM_MOVES = 16
FRACTIONS = (Fraction(1), Fraction(1, 2), Fraction(0))  # of the step; 0 stands for the smallest one
CUTS = (Fraction(1), Fraction(1, 2), Fraction(1, 4))  # parts of the way down
COMMON = (Fraction(3, 4), Fraction(1, 2), Fraction(1, 4))
BISECTIONS = 32
SHOWN = (Fraction(1, 4), Fraction(1, 2), Fraction(2), Fraction(4))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A reachable setting; `wish` is what was wanted before limits, step and budgets cut it. `estimated` names the
    knobs whose wish rests on physics alone."""

    setting: Setting
    kind: ProposalKind
    wish: Setting
    estimated: tuple[str, ...] = ()

    @property
    def capped(self) -> bool:
        return self.setting != self.wish


def knobs_with(request: ProposeRequest, *wanted: Role) -> tuple[Knob, ...]:
    """Tunable numeric knobs of the incumbent that have one of the roles, by name."""
    return tuple(
        knob
        for knob in sorted(request.space.tunable, key=lambda k: k.name)
        if knob.type.numeric
        and isinstance(request.incumbent.get(knob.name), Fraction)
        and request.roles.get(knob.name, Role.NONE) in wanted
    )


def limits_of(request: ProposeRequest) -> tuple[Knob, ...]:
    return knobs_with(request, Role.CONCURRENCY, Role.POOL)


def ladder(knob: Knob, now: Fraction) -> tuple[Fraction, ...]:
    """Values at which a curve is shown: the one in force, its halves and doubles twice over, inside the limits."""
    return tuple(sorted({now, *(knob.clamp(now * factor) for factor in SHOWN)}))


def joint_raise(
    request: ProposeRequest, knobs: Sequence[Knob], share: Fraction, targets: Mapping[str, Fraction]
) -> Candidate | None:
    """All of `knobs` up by a share of their step (towards their target, where one is known).

    Budgets: the largest admissible setting on the way to the wish, so that a limit whose budget is used up
    stays and the others rise. None where nothing can rise.
    """
    parent, wish, raw = request.incumbent, request.incumbent, request.incumbent
    for knob in knobs:
        now = parent.number(knob.name)
        top = reach(knob, now, smallest=request.smallest_step or share == 0)[1]
        goal = now + (top - now) * (share or 1)
        if knob.name in targets:
            goal = min(goal, max(now, targets[knob.name]))
        raw = raw.with_values(**{knob.name: max(now, targets.get(knob.name, top))})
        wish = wish.with_values(**{knob.name: _between(knob, now, top, goal)})
    found = largest_admissible(request, knobs, wish)
    if found == parent:
        return None
    kind = ProposalKind.JOINT if len(parent.diff(found)) > 1 else ProposalKind.ONE_KNOB
    return Candidate(found, kind, raw)


def largest_admissible(request: ProposeRequest, knobs: Sequence[Knob], wish: Setting) -> Setting:
    """The wish, or the largest common share of it and then as much of each knob as still fits."""
    if request.admissible(wish):
        return wish
    base = request.incumbent
    for share in COMMON:
        part = base.with_values(**{k.name: _part(k, base.number(k.name), wish.number(k.name), share) for k in knobs})
        if part != base and request.admissible(part):
            base = part
            break
    for knob in knobs:
        base = _fill(request, knob, base, wish.number(knob.name))
    return base


def _fill(request: ProposeRequest, knob: Knob, base: Setting, wanted: Fraction) -> Setting:
    """`base` with one knob as close to `wanted` as is admissible (bisection: budgets are monotone)."""
    best, low = base, base.number(knob.name)
    units = int((wanted - low) / knob.unit)
    lowest, highest = 1, units
    for _ in range(BISECTIONS):
        if lowest > highest:
            break
        # the whole wish first: most often only one knob is short of budget
        middle = highest if best == base and highest == units else (lowest + highest) // 2
        tried = base.with_values(**{knob.name: low + knob.unit * middle})
        if request.admissible(tried):
            best, lowest = tried, middle + 1
        else:
            highest = middle - 1
    return best


def _part(knob: Knob, low: Fraction, high: Fraction, share: Fraction) -> Fraction:
    return low + knob.unit * math.floor((high - low) * share / knob.unit)


def _between(knob: Knob, low: Fraction, high: Fraction, value: Fraction) -> Fraction:
    """The value on the grid of whole units above `low`, inside [low, high]."""
    return min(high, low + knob.unit * math.ceil((min(high, max(low, value)) - low) / knob.unit))


def targets(request: ProposeRequest, coefficients: Mapping[str, float], load: float) -> dict[str, Fraction]:
    """Units that each limit needs for `load` at the target busy share, where its demand is known.

    Utilisation law: units per pod = load x demand / (pods x busy share).
    """
    found: dict[str, Fraction] = {}
    for knob in limits_of(request):
        demand = coefficients.get(demand_coefficient(knob.name))
        if demand is None or not 0.0 < demand < math.inf or request.pods <= 0:
            continue
        units = load * demand / (request.pods * TARGET_BUSY) / float(knob.unit)
        if math.isfinite(units):
            found[knob.name] = knob.clamp(knob.unit * max(1, math.ceil(units)))
    return found


def shrinks(request: ProposeRequest, busy: Mapping[str, float]) -> Iterator[Candidate]:
    """Limits that are less than half busy, down to the target busy share or a part of the way: together and
    one by one; and one pod less."""
    parent = request.incumbent
    unused = {k.name: _unused(k, parent.number(k.name), busy.get(k.name)) for k in limits_of(request)}
    raw = {name: needed for name, needed in unused.items() if needed is not None}
    for share in CUTS:
        lower: dict[str, KnobValue] = {}
        for name, needed in raw.items():
            knob, now = request.space[name], parent.number(name)
            goal = max(reach(knob, now, smallest=request.smallest_step)[0], needed)
            cut = knob.unit * math.floor((now - goal) * share / knob.unit)
            if cut > 0:
                lower[name] = now - cut
        if len(lower) > 1:
            wish = parent.with_values(**{n: raw[n] for n in lower})
            yield Candidate(parent.with_values(**lower), ProposalKind.SHRINK, wish)
        for name, value in lower.items():
            wish = parent.with_values(**{name: raw[name]})
            yield Candidate(parent.with_values(**{name: value}), ProposalKind.SHRINK, wish)
    for knob in knobs_with(request, Role.REPLICAS):
        now = parent.number(knob.name)
        if reach(knob, now)[0] <= now - knob.unit:
            fewer = parent.with_values(**{knob.name: now - knob.unit})
            yield Candidate(fewer, ProposalKind.SHRINK, fewer)


def _unused(knob: Knob, now: Fraction, share: float | None) -> Fraction | None:
    """The units that would be busy for the target share; None where the limit is used, or nothing says."""
    if share is None or not 0.0 <= share < USED:
        return None
    units = math.ceil(float(now) * share / TARGET_BUSY / float(knob.unit))
    needed = knob.clamp(knob.unit * max(1, units))
    return needed if needed < now else None


def one_knob_moves(request: ProposeRequest) -> Iterator[Candidate]:
    """Each knob alone: by a whole step, half of one and the smallest, both ways; one step of a choice."""
    parent = request.incumbent
    for knob in sorted(request.space.tunable, key=lambda k: k.name):
        if knob.name not in parent:
            continue
        for value in _moves(request, knob, parent[knob.name]):
            moved = parent.with_values(**{knob.name: value})
            yield Candidate(moved, ProposalKind.ONE_KNOB, moved)


def _moves(request: ProposeRequest, knob: Knob, now: KnobValue) -> list[KnobValue]:
    if isinstance(now, bool):
        return [not now]
    if isinstance(now, str):
        if knob.type is not KnobType.CHOICE or now not in knob.choices:
            return []
        at = knob.choices.index(now)
        return [knob.choices[i] for i in (at - 1, at + 1) if 0 <= i < len(knob.choices)]
    low, high = reach(knob, now, smallest=request.smallest_step)
    least = reach(knob, now, smallest=True)
    found: list[KnobValue] = []
    for share in FRACTIONS:
        up = _between(knob, now, high, now + ((high - now) * share or least[1] - now))
        down = now - knob.unit * max(1, math.floor(((now - low) * share or now - least[0]) / knob.unit))
        found += [value for value in (up, down) if value not in found and value != now]
    return found


def random_moves(request: ProposeRequest) -> Iterator[Candidate]:
    """Two or three numeric knobs at once, drawn from the seed: combinations that no rule would think of."""
    knobs = knobs_with(request, *Role)
    if len(knobs) < 2:
        return
    chance = _draws(request.seed)
    for _ in range(RANDOM_MOVES):
        count = 2 + int(next(chance) * min(2, len(knobs) - 1))
        picked = sorted(range(len(knobs)), key=lambda _: next(chance))[:count]
        changes: dict[str, KnobValue] = {}
        for knob in (knobs[i] for i in picked):
            now = request.incumbent.number(knob.name)
            low, high = reach(knob, now, smallest=request.smallest_step)
            steps = math.floor((high - low) / knob.unit)
            start = now - knob.unit * math.floor((now - low) / knob.unit)
            changes[knob.name] = min(high, start + knob.unit * round(next(chance) * steps))
        moved = request.incumbent.with_values(**changes)
        kind = ProposalKind.JOINT if len(request.incumbent.diff(moved)) > 1 else ProposalKind.ONE_KNOB
        yield Candidate(moved, kind, moved)


def _draws(seed: int) -> Iterator[float]:
    """Numbers in [0, 1) that follow from the seed alone, on every platform and Python version."""
    counter = 0
    while True:
        block = hashlib.sha256(f"{seed}:{counter}".encode()).digest()
        yield from (int.from_bytes(block[i : i + 4], "big") / 2**32 for i in range(0, 32, 4))
        counter += 1


def possible(request: ProposeRequest, candidate: Candidate) -> bool:
    """Inside limits, step, rules and budgets, and not the incumbent itself."""
    setting, space = candidate.setting, request.space
    changed = request.incumbent.diff(setting)
    return (
        bool(changed)
        and all(name in space and space[name].tunable and space[name].admits(setting[name]) for name in changed)
        and not too_far(space, request.incumbent, setting)
        and not _starves(request, setting)
        and request.admissible(setting)
    )


def _starves(request: ProposeRequest, setting: Setting) -> bool:
    """Does it lower replicas, or a bound of them, below what a coming load needs?"""
    return any(
        setting.number(knob.name) < request.incumbent.number(knob.name)
        and setting.number(knob.name) < request.least_replicas
        for knob in knobs_with(request, Role.REPLICAS)
    )


def failed_before(request: ProposeRequest, setting: Setting) -> bool:
    """Did this setting fail lately, or one that moved the same knobs less far in the same directions?"""
    return any(_beyond(request.incumbent, failure, setting) for failure in request.recent_failures)


def _beyond(parent: Setting, failure: Setting, setting: Setting) -> bool:
    if setting == failure:
        return True
    moved = parent.diff(failure)
    if not moved or moved != parent.diff(setting):
        return False
    for name in moved:
        start, bad, tried = parent.get(name), failure.get(name), setting.get(name)
        if isinstance(start, Fraction) and isinstance(bad, Fraction) and isinstance(tried, Fraction):
            if (bad > start) != (tried > start) or abs(tried - start) < abs(bad - start):
                return False
        elif bad != tried:
            return False
    return True
