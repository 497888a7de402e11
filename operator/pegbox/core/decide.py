"""The single door: (snapshot, proposal, now) -> Decision. Pure; the same input gives the same decision.

The decision's ledger is stored before the workload is touched, and `desired` is what the workload is then made to
match. Both may be repeated: a wake that was killed half-way is simply run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction

from pegbox.core import breaker, guards, requests, transitions, under_way
from pegbox.core.guards.workload import unhealthy
from pegbox.core.transitions import Begin
from pegbox.core.verify import baseline_of
from pegbox.core.wording import in_words
from pegbox.model.decisions import Action, Admission, Decision, Event, Verdict
from pegbox.model.knobs import Knob, KnobValue, LocationKind, Setting
from pegbox.model.observations import Missing, Observation
from pegbox.model.profile import Mode, ProfileSpec
from pegbox.model.proposals import Proposal
from pegbox.model.reasons import SENTENCES, Reason
from pegbox.model.snapshot import Snapshot, Workload
from pegbox.model.trials import IntentKind, Ledger


@dataclass(frozen=True, slots=True)
class Chance:
    """Randomness as an argument: `jitter` in [0, 1) stretches breaker times."""

    jitter: float = 0.0


def decide(snapshot: Snapshot, proposal: Proposal | Missing, now: datetime, chance: Chance = Chance()) -> Decision:
    """What this wake does. `proposal` is Missing while none was asked for (see `wants_proposal`)."""
    snapshot = replace(snapshot, ledger=_current(snapshot, now))
    if snapshot.deleting:
        return under_way.delete(snapshot, now)
    if isinstance(snapshot.workload, Missing):
        return _hold(snapshot, snapshot.workload.reason, snapshot.workload.detail)
    workload = snapshot.workload
    snapshot, note = requests.absorb(snapshot, now)
    if snapshot.ledger.intent is not None:
        decision = under_way.proceed(under_way.note_sample(snapshot), workload, now, chance.jitter)
    elif snapshot.ledger.incumbent is None or _own_objects_missing(snapshot):
        decision = _adopt(snapshot, workload, now)
    else:
        decision = _at_rest(snapshot, workload, proposal, now)
    return replace(decision, events=note + decision.events)


def wants_proposal(snapshot: Snapshot, now: datetime) -> bool:
    """Is a proposal of use? Not while an intent is under way or the breaker is Open, nor in Observe."""
    ledger = _current(snapshot, now)
    if ledger.intent is not None or ledger.incumbent is None or snapshot.deleting:
        return False
    return snapshot.spec.mode is not Mode.OBSERVE and not isinstance(snapshot.workload, Missing)


def _current(snapshot: Snapshot, now: datetime) -> Ledger:
    """The ledger as of now: the breaker's clock ticked, and a recreated target forgotten."""
    ledger = replace(snapshot.ledger, breaker=breaker.tick(snapshot.ledger.breaker, now))
    uid = snapshot.workload.uid if isinstance(snapshot.workload, Workload) else ""
    if uid and ledger.target_uid and uid != ledger.target_uid:
        # Another object of the same name: nothing recorded for the old one may be written to it.
        ledger = Ledger(profile_uid=ledger.profile_uid, generation=ledger.generation, tokens=ledger.tokens)
    return replace(ledger, target_uid=uid or ledger.target_uid)


def _own_objects_missing(snapshot: Snapshot) -> bool:
    """In Auto our ConfigMap (and the HPA that the profile creates) must exist, with the values in force."""
    spec = snapshot.spec
    if spec.mode is not Mode.AUTO or unhealthy(snapshot.workload) is not None:
        return False
    own = spec.space.at(LocationKind.SETTINGS, LocationKind.ENV)
    lost = bool(own) and isinstance(snapshot.document, Missing)
    hpa = spec.space.at(LocationKind.HPA_MIN, LocationKind.HPA_MAX)
    created = spec.autoscaler is not None and spec.autoscaler.create
    return lost or (created and any(_absent(snapshot, k.name) for k in hpa))


def _absent(snapshot: Snapshot, name: str) -> bool:
    held = snapshot.held.get(name)
    return held is not None and isinstance(held.value, Missing)


def baseline_setting(snapshot: Snapshot) -> Setting | Missing:
    """The setting in force, from what was read; a created HPA's bounds come from its template.

    Missing(BaselineUnknown) names every knob whose value is known to no source.
    """
    values, unknown = {}, []
    for knob in snapshot.spec.space.knobs:
        held = snapshot.held.get(knob.name)
        if knob.pinned is not None:
            values[knob.name] = knob.pinned
        elif held is not None and not isinstance(held.value, Missing):
            values[knob.name] = held.value
        elif (chosen := _first_value(snapshot.spec, knob)) is not None:
            values[knob.name] = chosen
        elif knob.tunable:
            unknown.append(knob.name)
    if unknown:
        return Missing(Reason.BASELINE_UNKNOWN, ", ".join(unknown))
    return Setting(values)


def _first_value(spec: ProfileSpec, knob: Knob) -> KnobValue | None:
    """What the profile says it starts from: `initial`, or the bounds of the HPA that it creates."""
    scaler = spec.autoscaler
    if knob.initial is None and scaler is not None and scaler.create:
        if knob.location.kind is LocationKind.HPA_MIN:
            return Fraction(scaler.min_replicas)
        if knob.location.kind is LocationKind.HPA_MAX:
            return Fraction(scaler.max_replicas)
    return knob.initial


def _adopt(snapshot: Snapshot, workload: Workload, now: datetime) -> Decision:
    """Take what is in force as the incumbent; in Auto also write our own objects with exactly those values."""
    ledger = snapshot.ledger
    setting = baseline_setting(snapshot)
    if isinstance(setting, Missing):
        return _hold(snapshot, setting.reason, setting.detail)
    ledger = replace(ledger, incumbent=ledger.incumbent or setting, adopted=ledger.adopted or setting)
    assert ledger.incumbent is not None
    if set(ledger.incumbent) != set(setting):  # knobs were added or removed
        shared = {n: v for n, v in ledger.incumbent.items() if n in setting}
        ledger = replace(ledger, incumbent=Setting({**setting, **shared}))
    if snapshot.spec.mode is not Mode.AUTO or unhealthy(workload) is not None or not _own_objects_missing(snapshot):
        event = Event(Reason.ADOPTED, f"adopted {in_words(snapshot.spec.space, setting)}")
        return Decision(Action.ADOPT, Reason.ADOPTED, SENTENCES[Reason.ADOPTED], ledger, events=(event,))
    incumbent = ledger.incumbent
    assert incumbent is not None
    item = Begin(IntentKind.ADOPT, incumbent, Reason.ADOPTED, now, revision=workload.revision)
    ledger = transitions.begin(snapshot.spec, ledger, incumbent, item)
    return under_way.write(replace(snapshot, ledger=ledger), workload, now, Action.ADOPT)


def _at_rest(snapshot: Snapshot, workload: Workload, proposal: Proposal | Missing, now: datetime) -> Decision:
    """No intent: learn who changed what, serve a request, or start a trial if every guard agrees."""
    snapshot, events = _take_note_of_changes(snapshot, workload)
    snapshot = replace(snapshot, ledger=_watch_incumbent(snapshot))
    incumbent = snapshot.ledger.incumbent
    assert incumbent is not None
    asked = requests.pending(snapshot)
    if asked is not None:
        decision = requests.serve(snapshot, workload, asked, now)
        return replace(decision, events=events + decision.events)
    ready = guards.readiness(snapshot, now)
    refused = guards.first_refusal(ready)
    if isinstance(proposal, Missing):
        why = refused or Verdict("propose", Admission.REFUSE, proposal.reason, proposal.detail)
        return replace(_hold(snapshot, why.reason, why.detail, ready), events=events)
    checks = guards.setting(snapshot, incumbent, proposal.setting)
    verdicts = ready + checks
    refused = guards.first_refusal(verdicts)
    if refused is not None:
        held = _hold(snapshot, refused.reason, refused.detail, verdicts)
        return replace(held, proposal=proposal.uncapped, events=events)
    wanted = _capped(proposal.setting, checks)
    decision = under_way.start(snapshot, workload, _trial(snapshot, workload, proposal, wanted, now), now)
    return replace(decision, proposal=proposal.uncapped, verdicts=verdicts, events=events + decision.events)


def _capped(wanted: Setting, verdicts: Sequence[Verdict]) -> Setting:
    caps = [v.capped for v in verdicts if v.admission is Admission.CAP and v.capped is not None]
    return caps[-1] if caps else wanted


def _trial(snapshot: Snapshot, workload: Workload, proposal: Proposal, wanted: Setting, now: datetime) -> Begin:
    expected = None if isinstance(proposal.expected, Missing) else proposal.expected
    return Begin(
        kind=IntentKind.TRIAL,
        target=wanted,
        reason=Reason.TRIAL_STARTED,
        now=now,
        why=proposal.why,
        predicted=min(expected.capacity.mean, expected.load) if expected else None,
        baseline=baseline_of(snapshot.baseline_windows),
        revision=workload.revision,
        pods=len(workload.unfinished),
    )


def _take_note_of_changes(snapshot: Snapshot, workload: Workload) -> tuple[Snapshot, tuple[Event, ...]]:
    """Values that somebody else changed at rest are theirs: they become the incumbent, and are said."""
    ledger = snapshot.ledger
    incumbent = ledger.incumbent
    assert incumbent is not None
    changes = {
        name: held.value
        for name, held in snapshot.held.items()
        if name in incumbent and not isinstance(held.value, Missing) and held.value != incumbent[name]
    }
    events: tuple[Event, ...] = ()
    if changes:
        after = incumbent.with_values(**changes)
        events = (
            Event(
                Reason.FOREIGN_CHANGE,
                f"changed by others: {in_words(snapshot.spec.space, after, incumbent)}",
                True,
            ),
        )
        ledger = replace(ledger, incumbent=after)
    if ledger.revision and workload.revision and ledger.revision != workload.revision:
        # New code answers otherwise: what the ladder proved no longer holds.
        ledger = replace(ledger, ladder=())
    ledger = replace(ledger, revision=workload.revision or ledger.revision)
    return replace(snapshot, ledger=ledger), events


def _watch_incumbent(snapshot: Snapshot) -> Ledger:
    """Halt while the last known good setting does worse than its own record at no more than its proven load."""
    ledger, seen = snapshot.ledger, snapshot.observation
    if not isinstance(seen, Observation) or isinstance(seen.latency, Missing) or isinstance(seen.offered_load, Missing):
        return ledger
    rung = next((r for r in ledger.ladder if r.setting == ledger.incumbent), None)
    if rung is None or rung.replicates < transitions.REPLICATES:
        return replace(ledger, halted=None)
    failing = seen.offered_load <= rung.proven_load * 1.1 and seen.latency > 2 * rung.latency
    return replace(ledger, halted=Reason.LAST_KNOWN_GOOD_FAILING if failing else None)


def _hold(snapshot: Snapshot, reason: Reason, detail: str, verdicts: tuple[Verdict, ...] = ()) -> Decision:
    message = f"{SENTENCES[reason]}: {detail}" if detail else SENTENCES[reason]
    wake = max(snapshot.spec.interval, Fraction(1))
    return Decision(Action.HOLD, reason, message, snapshot.ledger, verdicts=verdicts, wake_after=wake)
