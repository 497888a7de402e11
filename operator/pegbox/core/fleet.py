"""The breaker over all profiles: Closed, Open, HalfOpen as a transition function of what the ledgers say.

| state    | what is seen                                                 | next                                   |
|----------|--------------------------------------------------------------|----------------------------------------|
| Closed   | harm in fewer different profiles than the limit              | Closed                                 |
| Closed   | harm in as many profiles as the limit, within the time       | Open until now + base                  |
| Closed   | the API server or every metrics source is sick               | Open until now + base                  |
| Open     | more harm                                                    | Open, unchanged                        |
| Open     | time is up, still sick                                       | Open until now + base                  |
| Open     | time is up, well                                             | HalfOpen: one profile may try          |
| HalfOpen | the probe was accepted, or was merely not better             | Closed, no openings                    |
| HalfOpen | the probe ended without a verdict                            | HalfOpen: another profile may try      |
| HalfOpen | harm in any profile, or sick                                 | Open until now + base x 2^openings     |

Harm is a trial that was reverted for what it did, or an accepted setting that was taken back: what a profile's own
breaker counts. Open times are stretched by up to a tenth, and end at `longest`. Rollbacks are no business of this.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction

from pegbox.core import breaker
from pegbox.model.reasons import Reason
from pegbox.model.trials import BreakerState, Ledger, TrialState

# Reverted for want of something, not for harm: a profile's breaker does not count these either.
_NO_HARM = frozenset(
    {
        Reason.NOT_BETTER,
        Reason.REQUESTED,
        Reason.NO_DATA,
        Reason.STALE_DATA,
        Reason.NOT_A_NUMBER,
        Reason.PARTIAL_DATA,
        Reason.TOO_FEW_EVENTS,
        Reason.METRICS_UNREACHABLE,
        Reason.QUERY_INVALID,
        Reason.QUERY_NOT_ANSWERED,
        Reason.QUERY_NOT_SENT,
        Reason.NOT_REPORTED,
    }
)


@dataclass(frozen=True, slots=True)
class Limits:
    """`profiles` with harm `within` this time open it; 0 profiles: nothing ever does."""

    profiles: int = 3
    within: timedelta = timedelta(minutes=15)
    base: timedelta = timedelta(minutes=10)
    longest: timedelta = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Fleet:
    """`since` is the last transition: harm from before it was answered by it. `probe` is a profile's key."""

    state: BreakerState = BreakerState.CLOSED
    opened: int = 0
    until: datetime | None = None
    since: datetime | None = None
    probe: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """The newest ends of one profile's trials: for harm, and with no fault found."""

    harm: datetime | None = None
    well: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is seen of all profiles. `sick` says in words what is sick; "" where nothing is."""

    ended: Mapping[str, Ended] = field(default_factory=dict)
    flying: frozenset[str] = frozenset()  # profiles with a trial, or its way back, under way
    sick: str = ""


def ended(ledger: Ledger) -> Ended:
    """From the summaries that a ledger keeps: so a restart forgets no harm."""
    harm = [t.ended_at for t in ledger.trials if t.state is TrialState.REVERTED and t.reason not in _NO_HARM]
    fine = (Reason.NOT_BETTER, Reason.TRIAL_ACCEPTED)
    well = [t.ended_at for t in ledger.trials if t.state is not TrialState.INCONCLUSIVE and t.reason in fine]
    return Ended(max(harm, default=None), max(well, default=None))


def step(fleet: Fleet, facts: Facts, limits: Limits, now: datetime, jitter: float = 0.0) -> Fleet:
    """The state as of now. Without anything new it is the same value."""
    if limits.profiles == 0:
        return Fleet()
    match fleet.state:
        case BreakerState.CLOSED:
            why = facts.sick or _several(fleet, facts, limits, now)
            return _open(fleet, why, limits, now, jitter) if why else fleet
        case BreakerState.OPEN:
            return _waited(fleet, facts, limits, now, jitter)
        case BreakerState.HALF_OPEN:
            return _tried(fleet, facts, limits, now, jitter)


def open_time(limits: Limits, opened: int, jitter: float) -> timedelta:
    """As of a profile's own breaker, with these limits."""
    return breaker.open_time(Fraction(limits.base.total_seconds()), opened, jitter, limits.longest)


def _open(fleet: Fleet, why: str, limits: Limits, now: datetime, jitter: float) -> Fleet:
    until = now + open_time(limits, fleet.opened, jitter)
    return Fleet(BreakerState.OPEN, fleet.opened + 1, until, now, why=why)


def _waited(fleet: Fleet, facts: Facts, limits: Limits, now: datetime, jitter: float) -> Fleet:
    """A clock that was set back must not make the wait longer than it may be."""
    if fleet.until is not None and now < fleet.until <= now + limits.longest:
        return fleet
    if facts.sick:
        return replace(fleet, until=now + open_time(limits, 0, jitter), since=now, why=facts.sick)
    return Fleet(BreakerState.HALF_OPEN, fleet.opened, since=now, why=fleet.why)


def _tried(fleet: Fleet, facts: Facts, limits: Limits, now: datetime, jitter: float) -> Fleet:
    harmed = sorted(key for key, each in facts.ended.items() if _newer(each.harm, fleet, now))
    why = facts.sick or (f"harm again, in {harmed[0]}" if harmed else "")
    if why:
        return _open(fleet, why, limits, now, jitter)
    probe = facts.ended.get(fleet.probe)
    if probe is not None and _newer(probe.well, fleet, now):
        return Fleet(since=now)
    return replace(fleet, probe="") if fleet.probe and fleet.probe not in facts.flying else fleet


def _several(fleet: Fleet, facts: Facts, limits: Limits, now: datetime) -> str:
    """Different profiles, each with harm in the time that counts."""
    harmed = sorted(
        key
        for key, each in facts.ended.items()
        if each.harm is not None and now - each.harm <= limits.within and _newer(each.harm, fleet, now)
    )
    if len(harmed) < limits.profiles:
        return ""
    named = ", ".join(harmed[:5]) + (", ..." if len(harmed) > 5 else "")
    return f"trials did harm in {len(harmed)} profiles within {limits.within}: {named}"


def _newer(when: datetime | None, fleet: Fleet, now: datetime) -> bool:
    """Not answered by a transition yet. A transition that lies in the future is one of a clock that was set back."""
    return when is not None and (fleet.since is None or when > fleet.since or fleet.since > now)


# --- the API server


WRITES_FOR = 120.0  # seconds: a failing profile tries again within 90
LEAST_FAILING = 3  # objects: fewer may be broken for reasons of their own


def failing_writes(newest: Mapping[str, tuple[float, bool]], now: float, share: float) -> str:
    """Is the API server sick? `newest` is the last write of each object: when (monotonic seconds), and whether the
    server answered. One object that fails for ever counts once."""
    recent = [went for at, went in newest.values() if now - at <= WRITES_FOR]
    failing = recent.count(False)
    if failing < LEAST_FAILING or failing <= share * len(recent):
        return ""
    return "the API server answers too few writes"


# --- how it survives a restart: one line on the operator's Lease


def to_text(fleet: Fleet) -> str:
    """ "" for a breaker that has nothing to remember."""
    if fleet == Fleet():
        return ""
    body = {
        "state": fleet.state.value,
        "opened": fleet.opened,
        "until": fleet.until.isoformat() if fleet.until else "",
        "since": fleet.since.isoformat() if fleet.since else "",
        "probe": fleet.probe,
        "why": fleet.why[:512],
    }
    return json.dumps(body, sort_keys=True)


def of_text(text: str) -> Fleet:
    """What cannot be read is forgotten: the ledgers still say what did harm. Times without a zone are no times."""
    try:
        body = json.loads(text or "{}")
        return Fleet(
            BreakerState(body.get("state", "Closed")),
            max(0, int(body.get("opened", 0))),
            _moment(body.get("until", "")),
            _moment(body.get("since", "")),
            str(body.get("probe", "")),
            str(body.get("why", "")),
        )
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return Fleet()


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found
