"""Looks: when a profile with an intent under way is looked at again, and how old answers may be by then. Pure.

A trial must be watched closely and must not cost the metric source much. So signals are asked once per interval, and
beside that only where an answer would decide something: when a window has become whole, and again soon after a bad
sample. Acknowledgements alone are asked more often, until the pods have taken what was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from zlib import crc32

from pegbox.core import verify
from pegbox.model.observations import Missing, Observation
from pegbox.model.profile import ProfileSpec
from pegbox.model.trials import Intent, IntentKind

LEAST = Fraction(2)  # seconds between two looks
SOON = Fraction(5)  # the longest that a rollback waits for its next look
SCRAPES = 4  # least number of scrapes in a window: a quarter of it holds a new one
SLACK = 0.9  # answers of the look before are too old for this one, in spite of jitter
AT_REST = 0.99  # the same at rest, where every part of an interval less would be asked for by a large fleet


def share(uid: str) -> float:
    """Where in a round this profile's turn is, at least 0 and below 1: spread evenly, and the same after a restart."""
    return crc32(uid.encode()) / 2**32


def at_rest(spec: ProfileSpec) -> Fraction:
    """Seconds until the next look at a profile with nothing under way."""
    return max(spec.interval, Fraction(1))


def pace(spec: ProfileSpec, intent: Intent) -> Fraction:
    """Seconds between looks until what was written is in force: a third of the interval, for what leads back sooner."""
    wait = spec.interval / 3
    return max(LEAST, wait if intent.kind is IntentKind.TRIAL else min(wait, SOON))


def wake_after(spec: ProfileSpec, intent: Intent, windows: Sequence[Observation | Missing], now: datetime) -> Fraction:
    """Seconds until the next look. `windows` are those kept of the setting in force, oldest first."""
    if intent.kind is IntentKind.ADOPT and intent.stage_at is not None:
        # Nothing is tried and nothing goes back: as long again as it has waited. A fleet that is adopted at once would
        # else ask for all that the API server grants us, until kubelets have refreshed their volumes.
        waited = Fraction((now - intent.stage_at).total_seconds())
        return max(pace(spec, intent), min(waited, spec.interval))
    if intent.in_force_at is None or intent.kind is not IntentKind.TRIAL:
        return pace(spec, intent)
    if intent.bad_samples:
        # Half an interval at most: both bad samples are then seen within two intervals of the first bad scrape.
        return max(LEAST, min(spec.interval / 2, spec.guards.trial_window / SCRAPES))
    ahead = Fraction((window_due(spec, intent, windows) - now).total_seconds())
    if ahead <= 0:  # it is due and is not there: not clean, or no data
        return max(LEAST, min(spec.interval, spec.guards.trial_window / 2))
    return max(LEAST, min(spec.interval, ahead))


def window_due(spec: ProfileSpec, intent: Intent, windows: Sequence[Observation | Missing]) -> datetime:
    """When the next whole window that may be judged can have ended."""
    assert intent.in_force_at is not None
    start = intent.in_force_at + timedelta(seconds=float(spec.guards.settle))
    judged = verify.after_settling(spec, intent, windows)
    if judged:
        start = max(start, judged[-1].window.end)
    return start + timedelta(seconds=float(spec.guards.trial_window))


def signal_age(
    spec: ProfileSpec, intent: Intent | None, windows: Sequence[Observation | Missing], now: datetime
) -> float:
    """Seconds: how old answers to signal queries may be.

    About a whole interval at rest: wakes are spread over it, and with half of one every question would be asked twice.
    """
    interval = float(spec.interval)
    if intent is None:
        return AT_REST * interval
    if intent.in_force_at is None or intent.kind is not IntentKind.TRIAL:
        return SLACK * interval
    if intent.bad_samples or now >= window_due(spec, intent, windows):
        return 0.0
    return interval / 2  # another profile's answer from right before the first bad scrape must not hide it for long


def acknowledgement_age(spec: ProfileSpec, intent: Intent | None) -> float:
    """Seconds: how old acknowledgements may be. Once in force they are asked like everything else."""
    if intent is None or intent.in_force_at is not None:
        return AT_REST * float(spec.interval)
    return SLACK * float(pace(spec, intent))
