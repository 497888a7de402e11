"""Stages: the settings to pass through on the way from one to another, so that no instant exceeds a budget.

What lowers a budget's use is written first and must be in force before what raises it. Where one budget's knobs move
both ways, the setting in between takes the smaller of old and new for each of them; every other change waits for
the last stage. Budgets are monotone (only + and *), so the setting in between uses no more than either side.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fractions import Fraction

from pegbox.model.knobs import KnobValue, Setting


def stages(old: Setting, new: Setting, budgets: Sequence[Collection[str]]) -> tuple[Setting, ...]:
    """Settings to write in order, the last one being `new`. `budgets` are the knob names of each budget."""
    lower: dict[str, KnobValue] = {}
    for names in budgets:
        moves = [_direction(old, new, name) for name in names]
        if 1 in moves and -1 in moves:
            lower |= {n: new[n] for n, move in zip(names, moves, strict=True) if move == -1}
    if not lower:
        return (new,)
    between = old.with_values(**lower)
    return (new,) if between == new else (between, new)


def _direction(old: Setting, new: Setting, name: str) -> int:
    before, after = old.get(name), new.get(name)
    if not isinstance(before, Fraction) or not isinstance(after, Fraction):
        return 0
    return (after > before) - (after < before)
