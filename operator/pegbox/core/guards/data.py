"""Freshness and no-data: a trial starts only on fresh, finite, complete figures of the setting in force."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction

from pegbox.core.baseline import baseline_of
from pegbox.model.decisions import Admission, Verdict
from pegbox.model.observations import Missing, Observation
from pegbox.model.profile import OnNoData, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot

NOT_YET = frozenset({Reason.NO_DATA, Reason.PARTIAL_DATA, Reason.TOO_FEW_EVENTS})


def oldest_allowed(spec: ProfileSpec) -> Fraction:
    """Seconds: a window that ended longer ago than two intervals (at least 30 s) decides nothing."""
    return max(2 * spec.interval, Fraction(30))


def missing_figure(observation: Observation | Missing) -> Missing | None:
    """The first figure without which no verdict is possible, or None."""
    if isinstance(observation, Missing):
        return observation
    for figure in (observation.offered_load, observation.throughput, observation.latency):
        if isinstance(figure, Missing):
            return figure
    return None


def missing_slo(spec: ProfileSpec, observation: Observation) -> Missing | None:
    """The first SLO that could not judge a trial: it would only wait, or be put back, for want of data."""
    for item in spec.slos:
        seen = observation.slos.get(item.name, Missing(Reason.NO_DATA))
        if isinstance(seen, Missing) and item.on_no_data is not OnNoData.IGNORE:
            return Missing(seen.reason, f"SLO {item.name}: {seen.detail}")
    return None


def unclean(observation: Observation) -> Missing | None:
    """Why the figures of this window are not those of all that the setting does now, or None."""
    if of_a_part(observation):
        return Missing(Reason.PARTIAL_DATA, "the newest window is of a part of the pods")
    if not observation.clean:
        return Missing(observation.unclean_reason or Reason.LEARNING, "the newest window is not clean")
    return None


def of_a_part(observation: Observation) -> bool:
    """Is throughput of a part of the pods, though none of them changed? Then some do not tell what they run."""
    same = observation.clean or observation.unclean_reason is Reason.SETTLING
    return same and not observation.whole and not isinstance(observation.throughput, Missing)


def unseen(spec: ProfileSpec, seen: Observation | Missing, now: datetime) -> Missing | None:
    """Why nothing at all is known of now, or None."""
    if isinstance(seen, Missing):
        return seen
    age = (now - seen.window.end).total_seconds()
    return Missing(Reason.STALE_DATA, f"newest window ended {age:.0f} s ago") if age > oldest_allowed(spec) else None


def blind(spec: ProfileSpec, seen: Observation | Missing, now: datetime) -> Missing | None:
    """Why the figures of this look are of no use at all, or None.

    All but load are told by setting: that there are none yet of a new one, or of few pods, is no silence.
    """
    missing = unseen(spec, seen, now)
    if missing is not None or isinstance(seen, Missing):
        return missing
    if isinstance(seen.offered_load, Missing):
        return seen.offered_load
    told = (seen.throughput, seen.latency)
    return next((figure for figure in told if isinstance(figure, Missing) and figure.reason not in NOT_YET), None)


def sight(snapshot: Snapshot, now: datetime) -> Verdict:
    """What a person asks for waits for no clean window, but nobody could judge it where metrics are broken."""
    return _verdict("sight", blind(snapshot.spec, snapshot.observation, now))


def _verdict(guard: str, missing: Missing | None) -> Verdict:
    if missing is None:
        return Verdict(guard, Admission.ADMIT, Reason.DATA_AVAILABLE)
    return Verdict(guard, Admission.REFUSE, missing.reason, missing.detail)


def freshness(snapshot: Snapshot, now: datetime) -> Verdict:
    seen = snapshot.observation
    missing = missing_figure(seen) or unseen(snapshot.spec, seen, now)
    if missing is None and isinstance(seen, Observation):
        missing = unclean(seen) or missing_slo(snapshot.spec, seen)
        if missing is None and baseline_of(snapshot.baseline_windows) is None:
            missing = Missing(Reason.LEARNING, "no clean and steady window of the setting in force yet")
    return _verdict("freshness", missing)
