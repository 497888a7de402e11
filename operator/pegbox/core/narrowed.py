"""Limits that were narrowed past the setting in force: the way back into them, step by step, without any model.

A profile or a class may narrow a knob's limits at any time, and an adopted value may lie outside of them. What lies
outside is walked back in trials: each is judged, but only for damage, errors and SLOs, since the limits are the
profile's word and not a wish for something better.
"""

from __future__ import annotations

from fractions import Fraction

from pegbox.core import steps
from pegbox.model.knobs import Knob, KnobType, KnobValue
from pegbox.model.observations import Missing
from pegbox.model.proposals import Proposal, ProposalKind
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import BreakerState


def proposal(snapshot: Snapshot) -> Proposal | None:
    """One step towards the nearest setting within the limits, which is the wish; None where nothing is outside.

    Knobs that are not ours to write stay. Numbers move together; a choice moves alone, and after them.
    """
    incumbent = snapshot.ledger.incumbent
    if incumbent is None:
        return None
    numbers: dict[str, KnobValue] = {}
    choices: dict[str, KnobValue] = {}
    for knob in snapshot.spec.space.tunable:
        held, value = snapshot.held.get(knob.name), incumbent.get(knob.name)
        if value is None or held is None or held.refusal is not None or knob.admits(value):
            continue
        inside = _inside(knob, value)
        if inside is not None:
            (numbers if knob.type.numeric else choices)[knob.name] = inside
    moved = numbers or dict(sorted(choices.items())[:1])
    if not moved:
        return None
    wish = incumbent.with_values(**moved)
    smallest = snapshot.ledger.breaker.state is BreakerState.HALF_OPEN
    step = steps.nearest(snapshot.spec.space, incumbent, wish, smallest=smallest) or wish
    kind = ProposalKind.JOINT if len(moved) > 1 else ProposalKind.ONE_KNOB
    why = f"outside of the limits: {', '.join(sorted(moved))}"
    return Proposal(step, kind, why, Missing(Reason.LIMITS_NARROWED, "asked of no model"), wish)


def _inside(knob: Knob, value: KnobValue) -> KnobValue | None:
    if isinstance(value, Fraction) and knob.type.numeric:
        low = value if knob.minimum is None else max(value, knob.minimum)
        return low if knob.maximum is None else min(low, knob.maximum)
    if knob.type is KnobType.CHOICE and knob.choices:
        return knob.default if knob.default in knob.choices else knob.choices[0]
    return None


def nearer(knob: Knob, before: KnobValue, after: KnobValue) -> bool:
    """Does the move lead towards the limits from outside of them, without passing them?"""
    if not isinstance(before, Fraction) or not isinstance(after, Fraction):
        return False
    from_below = knob.minimum is not None and before < after <= knob.minimum
    return from_below or (knob.maximum is not None and before > after >= knob.maximum)
