"""An HPA's minimum is never above its maximum: the API server refuses that, and a way back through it has no end.

A bound that no knob of ours moves counts as it stands: the other one yields to it.
"""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from typing import NamedTuple

from pegbox.model.knobs import LocationKind, Setting
from pegbox.model.profile import ProfileSpec


class Bound(NamedTuple):
    name: str
    value: Fraction
    ours: bool  # a knob that may move


def crossed(spec: ProfileSpec, setting: Setting) -> str:
    """What is wrong, in words; "" where nothing is. Where the HPA is ours, its template counts, too: it may have to be
    made anew."""
    for stands in dict.fromkeys((spec.scaled_between, _template(spec))):
        low, high = _bounds(spec, setting, stands)
        if low is not None and high is not None and low.value > high.value:
            return f"{low.name} {low.value} is above {high.name} {high.value}: no HPA can have that"
    return ""


def uncrossed(spec: ProfileSpec, wanted: Setting, kept: Collection[str] = ()) -> Setting:
    """The setting with both bounds in order: the minimum lowered to the maximum, which uses no more of anything.

    Where the minimum is of `kept`, those that somebody else set, or no knob, it stays and the maximum follows it.
    """
    low, high = _bounds(spec, wanted, spec.scaled_between or _template(spec))
    if low is None or high is None or low.value <= high.value:
        return wanted
    yields, stays = (low, high) if low.ours and low.name not in kept else (high, low)
    return wanted.with_values(**{yields.name: stays.value}) if yields.ours else wanted


def _bounds(spec: ProfileSpec, setting: Setting, stands: tuple[int, int] | None) -> tuple[Bound | None, Bound | None]:
    low, high = stands or (None, None)
    return (
        _bound(spec, setting, LocationKind.HPA_MIN, "minReplicas", low),
        _bound(spec, setting, LocationKind.HPA_MAX, "maxReplicas", high),
    )


def _bound(spec: ProfileSpec, setting: Setting, kind: LocationKind, field: str, stands: int | None) -> Bound | None:
    for knob in spec.space.at(kind):
        value = setting.get(knob.name)
        if isinstance(value, Fraction) and (knob.tunable or stands is None):
            return Bound(knob.name, value, knob.tunable)
    return None if stands is None else Bound(field, Fraction(stands), False)


def _template(spec: ProfileSpec) -> tuple[int, int] | None:
    scaler = spec.autoscaler
    return (scaler.min_replicas, scaler.max_replicas) if scaler is not None and scaler.create else None
