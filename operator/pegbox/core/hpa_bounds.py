"""An HPA's minimum is never above its maximum: the API server refuses that, and a way back through it has no end."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction

from pegbox.model.knobs import LocationKind, Setting
from pegbox.model.profile import ProfileSpec


def crossed(spec: ProfileSpec, setting: Setting) -> str:
    """What is wrong, in words; "" where nothing is. A bound that is no knob counts where the HPA is ours."""
    scaler = spec.autoscaler
    low, high = (_of(spec, setting, kind) for kind in (LocationKind.HPA_MIN, LocationKind.HPA_MAX))
    if scaler is not None and scaler.create:
        low = ("minReplicas", Fraction(scaler.min_replicas)) if low is None else low
        high = ("maxReplicas", Fraction(scaler.max_replicas)) if high is None else high
    if low is None or high is None or low[1] <= high[1]:
        return ""
    return f"{low[0]} {low[1]} is above {high[0]} {high[1]}: no HPA can have that"


def uncrossed(spec: ProfileSpec, wanted: Setting, kept: Collection[str] = ()) -> Setting:
    """The setting with both bounds in order: the minimum lowered to the maximum, which uses no more of anything.

    Where the minimum is of `kept`, those that somebody else set, it stays and the maximum follows it.
    """
    low, high = (_of(spec, wanted, kind) for kind in (LocationKind.HPA_MIN, LocationKind.HPA_MAX))
    if low is None or high is None or low[1] <= high[1]:
        return wanted
    return wanted.with_values(**({high[0]: low[1]} if low[0] in kept else {low[0]: high[1]}))


def _of(spec: ProfileSpec, setting: Setting, kind: LocationKind) -> tuple[str, Fraction] | None:
    named = ((knob.name, setting.get(knob.name)) for knob in spec.space.at(kind))
    return next(((name, value) for name, value in named if isinstance(value, Fraction)), None)
