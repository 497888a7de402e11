"""The share of failed events that a setting has, and whether it is far above what it was. Pure.

Counted are the class's errors (purpose Errors) and each SLO of a Ratio signal: events that were good, of all. Slow
events are the latency's matter. With b the share of bad events before, of n0 events, k of n now are a surge where

    k >= 10,   k > 2 x b x n,   k > b x n + 3 x sqrt(2 x b x n x (1 + n / n0))

and where they matter: 2 points more than before, or for an SLO more than its goal allows. The chance is that of
`core.bad_events`; a count below ten is no figure at all.

Worked: 0.1 % before of 12000, 1200 now. 2.4 are twice that, 1.2 + 3 x sqrt(2 x 1.2 x 1.1) = 6.1 is chance, and 2 points
more are 25.2: 26 failed events are a surge, 25 are not. For an SLO of 99 % more than 12 are.
"""

from __future__ import annotations

from collections.abc import Mapping

from pegbox.core import bad_events
from pegbox.model.observations import Attainment, Missing, Observation
from pegbox.model.profile import ProfileSpec, SignalKind

ALL = ""  # the class's own errors, beside the names of SLOs
LEAST = 10.0  # failed events in a window; fewer are chance
FAR = 2.0  # times the share of before
MATTERS = 0.02  # more than before, where no SLO says what matters; as `verify.ERROR_RISE`
WINDOWS = 20  # that a record is of: older ones fade


def counted(spec: ProfileSpec, seen: Observation) -> Mapping[str, Attainment]:
    """Good and all events of the window, by SLO and of the class's errors; what is not known is left out."""
    ratios = {s.name for s in spec.signals if s.kind is SignalKind.RATIO}
    found = {s.name: seen.slos.get(s.name) for s in spec.slos if s.signal in ratios}
    known = {name: each for name, each in found.items() if isinstance(each, Attainment) and each.total > 0}
    if not isinstance(seen.errors, Missing) and not isinstance(seen.throughput, Missing) and seen.throughput > 0:
        total = seen.throughput * seen.window.seconds
        known[ALL] = Attainment((1 - seen.errors) * total, total)
    return known


def kept(record: Mapping[str, Attainment], fresh: Mapping[str, Attainment], windows: int) -> Mapping[str, Attainment]:
    """The record with one window more, the `windows`th; beyond WINDOWS each takes its part of the older ones away."""
    fade = 1.0 if windows <= WINDOWS else 1 - 1 / WINDOWS
    none = Attainment(0.0, 0.0)
    return {**record, **{n: _sum(record.get(n, none), fade, each) for n, each in fresh.items()}}


def _sum(old: Attainment, fade: float, new: Attainment) -> Attainment:
    return Attainment(old.good * fade + new.good, old.total * fade + new.total)


def surged(spec: ProfileSpec, record: Mapping[str, Attainment], seen: Observation) -> bool:
    """Is any share of failed events far above the record's?"""
    goals = {s.name: 1 - float(s.goal) for s in spec.slos}
    return any(_far(record[n], now, goals.get(n)) for n, now in counted(spec, seen).items() if n in record)


def told(spec: ProfileSpec, record: Mapping[str, Attainment], seen: Observation) -> bool:
    """Is all of the record that the profile still counts known of this window?"""
    names = {ALL, *(s.name for s in spec.slos)} & set(record)
    return names <= set(counted(spec, seen))


def _far(before: Attainment, now: Attainment, allowed: float | None) -> bool:
    if before.total <= 0:
        return False
    share = bad_events.share(1 - before.share, before.total)
    bad, expected = now.total - now.good, share * now.total
    chance = bad_events.chance(bad_events.variance(share, now.total, before.total))
    matters = expected + MATTERS * now.total if allowed is None else allowed * now.total
    return bad >= LEAST and bad > max(FAR * expected, expected + chance, matters)
