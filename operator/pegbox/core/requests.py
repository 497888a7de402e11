"""Verbs: what a person asked for by annotation or command line. A token is acted on once."""

from __future__ import annotations

from dataclasses import replace
from datetime import MAXYEAR, datetime, timedelta

from pegbox.core import cut_short, freeze, guards, incumbent, tokens, transitions, under_way
from pegbox.core.baseline import baseline_of
from pegbox.core.transitions import Begin
from pegbox.core.wording import in_words
from pegbox.model import units
from pegbox.model.decisions import Action, Admission, Decision, Event
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import KnobValue, Setting
from pegbox.model.observations import Missing
from pegbox.model.profile import Mode
from pegbox.model.reasons import SENTENCES, Reason
from pegbox.model.snapshot import Request, Snapshot, Workload
from pegbox.model.trials import Breaker, IntentKind, Ledger

AT_ONCE = frozenset({"pause", "resume", "reset"})
KNOWN = AT_ONCE | {"try", "rollback"}


def absorb(snapshot: Snapshot, now: datetime) -> tuple[Snapshot, tuple[Event, ...]]:
    """pause, resume and reset change only the ledger, at any time."""
    ledger, events = snapshot.ledger, []
    for verb in sorted(AT_ONCE):
        request = tokens.fresh(snapshot, verb)
        if request is None:
            continue
        ledger, event = _at_once(ledger, request, now)
        ledger = tokens.done(ledger, request)
        events.append(event)
    return replace(snapshot, ledger=ledger), tuple(events)


def _at_once(ledger: Ledger, request: Request, now: datetime) -> tuple[Ledger, Event]:
    if request.verb == "resume":
        return replace(ledger, paused_until=None), Event(Reason.REQUESTED, "resumed")
    if request.verb == "reset":
        ledger = transitions.unproven(ledger)  # held against its old record, it would be halted again at once
        ledger = replace(ledger, breaker=Breaker(), cooldown_until=None, halted=None, halted_at=None)
        fresh = replace(ledger, trials=(), rows=(), forecasts=())
        return fresh, Event(Reason.REQUESTED, "reset: breaker closed, failures and learned figures forgotten")
    if not request.argument:
        far = datetime.max.replace(tzinfo=now.tzinfo)
        return replace(ledger, paused_until=far), Event(Reason.PAUSED, "paused until resumed")
    try:
        until = pause_until(request.argument, now)
    except InvalidInput as error:
        return ledger, Event(Reason.REQUEST_REFUSED, str(error), warning=True)
    return replace(ledger, paused_until=until), Event(Reason.PAUSED, f"paused until {until.isoformat()}")


def pause_until(text: str, now: datetime) -> datetime:
    """The end of a pause: a duration from now on, or a time with its offset. Raises InvalidInput."""
    try:
        if "T" not in text:
            return now + timedelta(seconds=float(units.parse_duration(text, "pause")))
        until = freeze.moment(text, "pause")
        if until > now:
            return until.astimezone(now.tzinfo)
    except OverflowError as error:
        raise InvalidInput("pause", text, f"end it before the year {MAXYEAR}, or leave the time out") from error
    raise InvalidInput("pause", text, f"write a time after {now.isoformat(timespec='seconds')}, or a duration")


def pending(snapshot: Snapshot) -> Request | None:
    """A try or rollback that was not acted on yet."""
    return tokens.fresh(snapshot, "rollback") or tokens.fresh(snapshot, "try")


def too_early(snapshot: Snapshot, request: Request, now: datetime) -> bool:
    """A try waits for a measured parent: without one no guard could see that it does harm. And for the end of what is
    bad already: that would be held against it."""
    measured = baseline_of(snapshot.baseline_windows) is not None and cut_short.bad_before(snapshot, now) is None
    return request.verb == "try" and snapshot.spec.mode is Mode.AUTO and not measured


def serve(snapshot: Snapshot, workload: Workload, request: Request, now: datetime) -> Decision:
    """Act on a try or rollback while nothing else is under way, or refuse it with the reason."""
    snapshot = replace(snapshot, ledger=tokens.done(snapshot.ledger, request))
    if snapshot.spec.mode is not Mode.AUTO:
        return _refuse(snapshot, _needs_auto(snapshot, request))
    if snapshot.brakes.opted_out:
        return _refuse(snapshot, f"{SENTENCES[Reason.OPTED_OUT]}: {snapshot.brakes.opt_out_text}")
    return _rollback(snapshot, workload, now) if request.verb == "rollback" else _try(snapshot, workload, request, now)


def _try(snapshot: Snapshot, workload: Workload, request: Request, now: datetime) -> Decision:
    parent = snapshot.ledger.incumbent
    assert parent is not None
    try:
        wanted = parent.with_values(**parse_assignments(snapshot, request.argument, parent))
    except InvalidInput as error:
        return _refuse(snapshot, str(error))
    if wanted == parent:
        return _refuse(snapshot, "the setting is in force already")
    verdicts = guards.readiness(snapshot, now, requested=True) + guards.setting(
        snapshot, parent, wanted, requested=True
    )
    objections = [v for v in verdicts if v.admission is not Admission.ADMIT]
    if objections:
        first = objections[0]
        return replace(_refuse(snapshot, f"{SENTENCES[first.reason]}: {first.detail}"), verdicts=verdicts)
    baseline = baseline_of(snapshot.baseline_windows)
    item = Begin(
        IntentKind.TRIAL,
        wanted,
        Reason.TRIAL_STARTED,
        now,
        why="requested",
        requested=True,
        baseline=baseline,
        revision=snapshot.ledger.revision,
        template=snapshot.ledger.template,
        pods=len(workload.unfinished),
    )
    return replace(under_way.start(snapshot, workload, item, now), verdicts=verdicts)


def _rollback(snapshot: Snapshot, workload: Workload, now: datetime) -> Decision:
    ledger, goal = snapshot.ledger, incumbent.goal(snapshot)
    assert ledger.incumbent is not None
    if isinstance(goal, Missing):
        return _refuse(snapshot, goal.detail)
    item = Begin(IntentKind.ROLLBACK, goal, Reason.REQUESTED, now, why="requested", revision=workload.revision)
    snapshot = replace(snapshot, ledger=replace(ledger, owed=None))  # this is what a person wants
    decision = under_way.start(snapshot, workload, item, now)
    text = f"rolling back {in_words(snapshot.spec.space, goal, ledger.incumbent)}: requested"
    return replace(decision, action=Action.REVERT, message=text, events=(Event(Reason.ROLLING_BACK, text),))


def parse_assignments(snapshot: Snapshot, text: str, known_now: Setting | None = None) -> dict[str, KnobValue]:
    """`worker_count=4,pool_size=8` as values. Raises InvalidInput."""
    out: dict[str, KnobValue] = {}
    for part in text.split(","):
        name, sign, raw = part.strip().partition("=")
        unknown = name not in snapshot.spec.space or (known_now is not None and name not in known_now)
        if not sign or unknown:
            known = ", ".join(k.name for k in snapshot.spec.space.tunable)
            raise InvalidInput("try", part.strip(), f"write knob=value with a knob of this profile: {known}")
        out[name] = snapshot.spec.space[name].type.parse(raw, f"try {name}")
    return out


def refused(snapshot: Snapshot, request: Request, why: str) -> Decision:
    """Answer a try or rollback that nothing may come of."""
    return _refuse(replace(snapshot, ledger=tokens.done(snapshot.ledger, request)), why)


def not_later(snapshot: Snapshot, decision: Decision) -> Decision:
    """Out of Auto a `try` is refused beside a way back that is put off, too, and not done by surprise after it."""
    request = tokens.fresh(snapshot, "try")
    if snapshot.spec.mode is Mode.AUTO or request is None:
        return decision
    known = tokens.done(decision.ledger, request)
    answer = _refuse(replace(snapshot, ledger=known), _needs_auto(snapshot, request))
    return replace(decision, ledger=known, events=(*decision.events, *answer.events))


def _needs_auto(snapshot: Snapshot, request: Request) -> str:
    return f"{request.verb} needs mode Auto, the mode is {snapshot.spec.mode.value}"


def _refuse(snapshot: Snapshot, why: str) -> Decision:
    event = Event(Reason.REQUEST_REFUSED, why, warning=True)
    return Decision(
        Action.HOLD,
        Reason.REQUEST_REFUSED,
        why,
        snapshot.ledger,
        events=(event,),
        wake_after=snapshot.spec.interval,
    )
