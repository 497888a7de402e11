"""How far one trial may move a knob: maxStep in units.

Up by max(1 unit, ceil(share x current)), down by max(1 unit, floor(share x current)) and never below one unit;
booleans, levels and choices move one step, alone. Rollback and restore are exempt.

The smallest step is a probe's, while the breaker is HalfOpen: a tenth of the value in whole units, at least one unit,
never more than maxStep. One unit alone would prove nothing for a knob with a fine unit: 250ms to 251ms is no step.
"""

from __future__ import annotations

import math
from fractions import Fraction

from pegbox.model.knobs import Knob, KnobValue, SearchSpace, Setting

PROBE = Fraction(1, 10)  # of the value: less than that drowns in noise


def reach(knob: Knob, current: Fraction, *, smallest: bool = False) -> tuple[Fraction, Fraction]:
    """The lowest and highest value that one trial may write, limits included. `smallest`: of a probe, each way."""
    share = min(PROBE, knob.max_step) if smallest else knob.max_step
    units = current / knob.unit
    up = knob.unit * max(1, math.floor(share * units) if smallest else math.ceil(share * units))
    down = knob.unit * max(1, math.floor(share * units))
    low = max(current - down, knob.unit if knob.minimum is None else knob.minimum)
    high = current + up if knob.maximum is None else min(current + up, knob.maximum)
    # A knob never drops below one unit by a step, unless its own limits put it there.
    if knob.minimum is None or knob.minimum >= 0:
        low = max(low, min(knob.unit, current))
    return min(low, current), max(high, current)


def within_step(knob: Knob, current: KnobValue, wanted: KnobValue, *, smallest: bool = False) -> bool:
    """May one trial move this knob from current to wanted?"""
    if current == wanted:
        return True
    if isinstance(current, Fraction) and isinstance(wanted, Fraction):
        low, high = reach(knob, current, smallest=smallest)
        return low <= wanted <= high
    if isinstance(current, str) and isinstance(wanted, str) and wanted in knob.choices:
        if current not in knob.choices:
            return True  # it was taken off the list: nothing on it is nearer than the rest
        return abs(knob.choices.index(current) - knob.choices.index(wanted)) == 1
    return isinstance(current, bool) and isinstance(wanted, bool)


def too_far(space: SearchSpace, parent: Setting, wanted: Setting, *, smallest: bool = False) -> tuple[str, ...]:
    """Names of the knobs that moved further than one trial may, or not alone where they must."""
    moved = [n for n in parent.diff(wanted) if n in space and n in parent and n in wanted]
    far = [n for n in moved if not within_step(space[n], parent[n], wanted[n], smallest=smallest)]
    alone = [n for n in moved if not space[n].type.numeric]
    return tuple(sorted(set(far) | (set(alone) if len(moved) > 1 else set())))


def nearest(space: SearchSpace, parent: Setting, wanted: Setting, *, smallest: bool = False) -> Setting | None:
    """The setting within one trial's reach that lies nearest to the wanted one; None where there is none."""
    moved = [n for n in parent.diff(wanted) if n in space and n in parent and n in wanted]
    alone = [n for n in moved if not space[n].type.numeric]
    if alone and len(moved) > 1:
        return None
    changes: dict[str, KnobValue] = {}
    for name in moved:
        before, after = parent[name], wanted[name]
        if isinstance(before, Fraction) and isinstance(after, Fraction):
            low, high = reach(space[name], before, smallest=smallest)
            changes[name] = min(max(after, low), high)
        elif not within_step(space[name], before, after):
            return None
    return parent.with_values(**changes) if changes else wanted
