"""The single door: (snapshot, proposal, now) -> Decision. Pure; the same input gives the same decision.

The decision's ledger is stored before the workload is touched, and `desired` is what the workload is then made to
match. Both may be repeated: a wake that was killed half-way is simply run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction

from pegbox.core import (
    brakes,
    breaker,
    cut_short,
    deploys,
    error_budget,
    force,
    guards,
    looks,
    narrowed,
    overdrawn,
    owed,
    requests,
    restoring,
    room,
    sized_back,
    transitions,
    under_way,
    upkeep,
    usage,
    verify,
)
from pegbox.core import incumbent as incumbents
from pegbox.core.baseline import baseline_of
from pegbox.core.cohorts import standing
from pegbox.core.guards.workload import unhealthy
from pegbox.core.transitions import Begin
from pegbox.core.wording import in_words
from pegbox.model.decisions import Action, Admission, Decision, Event, Verdict
from pegbox.model.knobs import Knob, KnobValue, LocationKind, Setting
from pegbox.model.observations import Missing
from pegbox.model.prediction import Prediction
from pegbox.model.profile import Mode, ProfileSpec
from pegbox.model.proposals import Proposal
from pegbox.model.reasons import SENTENCES, Reason
from pegbox.model.settings_document import MAX_GENERATION
from pegbox.model.snapshot import Snapshot, Workload
from pegbox.model.trials import BreakerState, IntentKind, Ledger, TrialState


@dataclass(frozen=True, slots=True)
class Chance:
    """Randomness as an argument: `jitter` in [0, 1) stretches breaker times."""

    jitter: float = 0.0


def decide(snapshot: Snapshot, proposal: Proposal | Missing, now: datetime, chance: Chance = Chance()) -> Decision:
    """What this wake does. `proposal` is Missing while none was asked for (see `wants_proposal`)."""
    replaced = _replaced(snapshot)
    snapshot = replace(snapshot, ledger=_current(snapshot, now))
    if snapshot.let_go:
        return restoring.let_go(snapshot)
    if snapshot.deleting:
        return brakes.keeps(snapshot, now) or restoring.delete(snapshot, now)
    if isinstance(snapshot.workload, Missing):
        return _hold(snapshot, snapshot.workload.reason, snapshot.workload.detail)
    workload = snapshot.workload
    snapshot = replace(snapshot, ledger=deploys.noted(snapshot.spec.space, snapshot.ledger, workload))
    snapshot, note = requests.absorb(snapshot, now)
    snapshot = cut_short.note_sample(snapshot)
    braked = brakes.overrule(snapshot, workload, now)
    if braked is not None:
        decision = braked
    elif snapshot.ledger.intent is not None:
        decision = requests.not_later(snapshot, under_way.proceed(snapshot, workload, now, chance.jitter))
    elif _needs_adopting(snapshot):
        decision = _adopt(snapshot, workload, now)
    else:
        decision = upkeep.needed(snapshot, _at_rest(snapshot, workload, proposal, now, chance.jitter), now)
    ledger = error_budget.remembered(snapshot.spec, snapshot.ledger, decision.ledger, now)
    return replace(decision, ledger=ledger, events=replaced + note + decision.events)


def wants_proposal(snapshot: Snapshot, now: datetime) -> bool:
    """Is a proposal of use? Not while an intent is under way or the breaker is Open, nor in Observe."""
    ledger = _current(snapshot, now)
    if ledger.intent is not None or snapshot.deleting or ledger.breaker.state is BreakerState.OPEN:
        return False
    if _needs_adopting(replace(snapshot, ledger=ledger)):
        return False
    return snapshot.spec.mode is not Mode.OBSERVE and not isinstance(snapshot.workload, Missing)


def _current(snapshot: Snapshot, now: datetime) -> Ledger:
    """The ledger as of now: the breaker's clock ticked, and a recreated target forgotten."""
    ledger = transitions.not_ahead(snapshot.spec.guards, snapshot.ledger, now)
    ledger = replace(ledger, breaker=breaker.tick(ledger.breaker, now))
    uid = snapshot.workload.uid if isinstance(snapshot.workload, Workload) else ""
    if uid and ledger.target_uid and uid != ledger.target_uid:
        ledger = _for_another_target(snapshot, ledger, now)
    document = snapshot.document
    if not isinstance(document, Missing) and document.profile_uid == snapshot.spec.uid:
        ahead = document.generation > ledger.generation and not document.foreign
        if ahead and ledger.intent is None and ledger.incumbent is not None:
            # We wrote it and the ledger is older than that: what it holds is nobody else's change.
            own = [k.name for k in snapshot.spec.space.knobs if k.location.kind.in_own_config_map]
            ledger = replace(ledger, incumbent=transitions.keeping(ledger.incumbent, snapshot.known(own)))
        ledger = transitions.catch_up(ledger, document.generation)
    elif isinstance(document, Missing):
        ledger = transitions.catch_up(ledger, _read_by_pods(snapshot))
    return replace(ledger, target_uid=uid or ledger.target_uid)


def _read_by_pods(snapshot: Snapshot) -> int:
    """The largest number of ours that a pod says it has read: readers refuse a smaller one. It is all that is left of
    it where our document is gone, and the ledger is an older one. What no metric tells from its neighbour is none."""
    if isinstance(snapshot.workload, Missing):
        return 0
    acks = (p.ack for p in snapshot.workload.unfinished if p.ack is not None and p.ack.profile_uid == snapshot.spec.uid)
    return max((ack.generation for ack in acks if ack.generation < MAX_GENERATION), default=0)


def _for_another_target(snapshot: Snapshot, ledger: Ledger, now: datetime) -> Ledger:
    """Another object of the same name: nothing recorded for the old one may be written to it. What a trial wrote
    elsewhere (our ConfigMap, an HPA) still stands there, and is still put back."""
    spec, intent = snapshot.spec, ledger.intent
    theirs = snapshot.known({k.name for k in spec.space.at(LocationKind.REPLICAS, LocationKind.CONTAINER_RESOURCE)})
    fresh = Ledger(
        profile_uid=ledger.profile_uid,
        generation=ledger.generation,
        tokens=ledger.tokens,
        paused_until=ledger.paused_until,
        adopted=None if ledger.adopted is None else transitions.keeping(ledger.adopted, theirs),
        originals=tuple(o for o in ledger.originals if o.uid != ledger.target_uid),
        owed=transitions.owing(ledger, foreign=theirs).owed,
        way_back=ledger.way_back,
        spent=ledger.spent,  # by trials, of the same service
    )
    if intent is None or intent.kind is IntentKind.ADOPT:
        return fresh
    fresh = replace(fresh, intent=intent, incumbent=transitions.keeping(ledger.incumbent or intent.parent, theirs))
    if intent.kind is not IntentKind.TRIAL:
        return transitions.yield_to(spec, fresh, intent, theirs)
    goal = intent.parent
    if isinstance(snapshot.workload, Workload):
        goal = room.affordable(snapshot, snapshot.workload, intent.current, intent.parent)
    ending = transitions.Ending(TrialState.INCONCLUSIVE, Reason.TARGET_REPLACED, now, foreign=theirs, goal=goal)
    return transitions.turn_back(spec, fresh, intent, ending)


def _replaced(snapshot: Snapshot) -> tuple[Event, ...]:
    known, workload = snapshot.ledger.target_uid, snapshot.workload
    if isinstance(workload, Missing) or not known or workload.uid == known:
        return ()
    return (Event(Reason.TARGET_REPLACED, SENTENCES[Reason.TARGET_REPLACED], warning=True),)


def _needs_adopting(snapshot: Snapshot) -> bool:
    """Is there no incumbent for the profile's knobs yet, or are our own objects not as the profile wants them?"""
    incumbent, space = snapshot.ledger.incumbent, snapshot.spec.space
    if incumbent is None or any(k.name not in incumbent for k in space.tunable) or set(incumbent) - set(space.names):
        return True
    return _own_objects_missing(snapshot) or (_may_write(snapshot) and bool(_pins(snapshot.spec, incumbent)))


def _pins(spec: ProfileSpec, setting: Setting) -> dict[str, KnobValue]:
    """Pinned knobs of our own ConfigMap that the setting holds at another value; elsewhere a pin is the owner's."""
    return {
        k.name: k.pinned
        for k in spec.space.knobs
        if k.pinned is not None and k.location.kind.in_own_config_map and setting.get(k.name, k.pinned) != k.pinned
    }


def _may_write(snapshot: Snapshot) -> bool:
    return guards.brakes.free(snapshot) and unhealthy(snapshot.workload) is None


def _our_document(snapshot: Snapshot) -> bool:
    """A document that pods can read: of this profile, with a hash that fits its values, and at rest without cohorts."""
    document = snapshot.document
    if isinstance(document, Missing) or document.profile_uid != snapshot.spec.uid:
        return False
    return not document.foreign and not document.cohorts


def _own_objects_missing(snapshot: Snapshot) -> bool:
    """In Auto our ConfigMap (and the HPA that the profile creates) must exist, with the values in force."""
    spec = snapshot.spec
    if not _may_write(snapshot):
        return False
    lost = bool(spec.space.at(LocationKind.SETTINGS, LocationKind.ENV)) and not _our_document(snapshot)
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
    counted = {name for item in snapshot.spec.budgets for name in usage.knob_names(snapshot.spec, item)}
    for knob in snapshot.spec.space.knobs:
        held = snapshot.held.get(knob.name)
        if held is not None and not isinstance(held.value, Missing):
            values[knob.name] = held.value
        elif (chosen := _first_value(snapshot.spec, knob)) is not None:
            values[knob.name] = chosen
        elif knob.tunable or knob.name in counted:
            unknown.append(knob.name)
    if unknown:
        return Missing(Reason.BASELINE_UNKNOWN, ", ".join(unknown))
    return Setting(values)


def _first_value(spec: ProfileSpec, knob: Knob) -> KnobValue | None:
    """What the profile says it starts from: its pin, `initial`, or the bounds of the HPA that it creates."""
    scaler = spec.autoscaler
    if knob.pinned is not None:
        return knob.pinned
    if knob.initial is None and scaler is not None and scaler.create:
        if knob.location.kind is LocationKind.HPA_MIN:
            return Fraction(scaler.min_replicas)
        if knob.location.kind is LocationKind.HPA_MAX:
            return Fraction(scaler.max_replicas)
    return knob.initial


def _adopt(snapshot: Snapshot, workload: Workload, now: datetime) -> Decision:
    """Take what is in force as the incumbent; in Auto also write our own objects with exactly those values."""
    found = baseline_setting(snapshot)
    if isinstance(found, Missing):
        return _hold(snapshot, found.reason, found.detail)
    incumbent = _remembered(snapshot, found)
    if guards.budgets_guard.budgets(snapshot, found, incumbent).reason is Reason.BUDGET_EXCEEDED:
        incumbent = found  # beside what others changed, the remembered values would no longer fit
    known = snapshot.ledger.incumbent or incumbent
    changes = {n: v for n, v in incumbent.items() if n in known and known[n] != v}
    ledger = transitions.left_to_others(snapshot.ledger, changes)
    before = {**(ledger.adopted or found), **_of_template(snapshot)}
    ledger = replace(
        ledger,
        incumbent=incumbent,
        adopted=found.with_values(**{n: v for n, v in before.items() if n in found}),
    )
    snapshot = replace(snapshot, ledger=ledger)
    pins = _pins(snapshot.spec, incumbent) if _may_write(snapshot) else {}
    if not pins and not _own_objects_missing(snapshot):
        event = Event(Reason.ADOPTED, f"adopted {in_words(snapshot.spec.space, incumbent)}")
        return Decision(Action.ADOPT, Reason.ADOPTED, SENTENCES[Reason.ADOPTED], ledger, events=(event,))
    wanted = incumbent.with_values(**pins)
    over = guards.budgets_guard.budgets(snapshot, incumbent, wanted)
    if pins and over.reason is Reason.BUDGET_EXCEEDED:
        return _hold(snapshot, over.reason, over.detail, (over,))
    left = standing(snapshot, incumbent)
    item = Begin(IntentKind.ADOPT, wanted, Reason.ADOPTED, now, revision=workload.revision, cohort=left)
    ledger = transitions.begin(snapshot.spec, ledger, incumbent, item)
    return under_way.write(replace(snapshot, ledger=ledger), workload, now, Action.ADOPT)


def _of_template(snapshot: Snapshot) -> dict[str, KnobValue]:
    """The originals of sizes: the template is left to its owner, so what it says counts, whatever it said before."""
    sizes = (k.name for k in snapshot.spec.space.at(LocationKind.CONTAINER_RESOURCE) if k.name in snapshot.held)
    return {n: start for n in sizes if (start := snapshot.held[n].start) is not None}


def _remembered(snapshot: Snapshot, found: Setting) -> Setting:
    """What was found, but for values of a ConfigMap of ours that is gone, and pods that are still to be resized:
    there the ledger knows better.
    """
    incumbent = snapshot.ledger.incumbent
    if incumbent is None:
        return found
    own = {n for n, held in snapshot.held.items() if held.behind}  # pods that are still to be resized decide nothing
    if isinstance(snapshot.document, Missing):
        own |= {k.name for k in snapshot.spec.space.knobs if k.location.kind.in_own_config_map}
    return found.with_values(**{n: incumbent[n] for n in own if n in found and n in incumbent})


def _at_rest(
    snapshot: Snapshot, workload: Workload, proposal: Proposal | Missing, now: datetime, jitter: float
) -> Decision:
    """No intent: learn who changed what, serve a request, or start a trial if every guard agrees."""
    snapshot, events = _take_note_of_changes(snapshot, workload, now)
    if events:  # it starts from values that somebody just changed, and would put them back
        proposal = Missing(Reason.FOREIGN_CHANGE, events[0].message)
    snapshot = replace(snapshot, ledger=incumbents.watch(snapshot, now))
    incumbent = snapshot.ledger.incumbent
    assert incumbent is not None
    back = _take_back(snapshot, workload, now, jitter) or _lower(snapshot, workload, now)
    back = back or _size_back(snapshot, workload, now)
    if back is not None:
        return replace(back, events=events + back.events)
    anew = _numbered_anew(snapshot, workload, incumbent, now)
    if anew is not None:
        return replace(anew, events=events)
    snapshot = replace(snapshot, ledger=owed.still(snapshot.spec, snapshot.ledger))
    returned = None if events else owed.returned(snapshot, workload, now)
    if returned is not None:
        return returned
    asked = requests.pending(snapshot)
    measured = snapshot if not events else replace(snapshot, baseline_windows=())  # of other values
    if asked is not None and not requests.too_early(measured, asked, now):
        decision = requests.serve(snapshot, workload, asked, now)
        return replace(decision, events=events + decision.events)
    ready = guards.readiness(snapshot, now)
    back_inside = narrowed.proposal(snapshot)
    if back_inside is not None and not guards.first_refusal(guards.setting(snapshot, incumbent, back_inside.setting)):
        proposal, ready = back_inside, guards.readiness(snapshot, now, urgent=True)
    refused = guards.first_refusal(ready)
    if isinstance(proposal, Missing):
        early = None if asked is None else cut_short.bad_before(snapshot, now)
        refused = refused or (None if early is None else _unsteady(early))
        why = refused or Verdict("propose", Admission.REFUSE, proposal.reason, proposal.detail)
        return replace(_hold(snapshot, why.reason, why.detail, ready), events=events)
    checks = guards.setting(snapshot, incumbent, proposal.setting)
    verdicts = ready + checks
    refused = guards.first_refusal(verdicts)
    if refused is not None:
        held = _hold(snapshot, refused.reason, refused.detail, verdicts)
        return replace(held, proposal=proposal.uncapped, events=events)
    wanted = _capped(proposal.setting, checks)
    if wanted != proposal.setting:
        checks = guards.setting(snapshot, incumbent, wanted)  # what lies in between is another setting
        objection = next((v for v in checks if v.admission is not Admission.ADMIT), None)
        if objection is not None:
            held = _hold(snapshot, objection.reason, objection.detail, verdicts + checks)
            return replace(held, proposal=proposal.uncapped, events=events)
    item = _trial(snapshot, workload, proposal, wanted, now)
    bad = cut_short.bad_before(snapshot, now, item.reason)
    if bad is not None:
        held = _hold(snapshot, bad.reason, bad.detail, (*verdicts, _unsteady(bad)))
        return replace(held, proposal=proposal.uncapped, events=events)
    decision = under_way.start(snapshot, workload, item, now)
    return replace(decision, proposal=proposal.uncapped, verdicts=verdicts, events=events + decision.events)


def _unsteady(bad: Missing) -> Verdict:
    return Verdict("steady", Admission.REFUSE, bad.reason, bad.detail)


def _numbered_anew(snapshot: Snapshot, workload: Workload, incumbent: Setting, now: datetime) -> Decision | None:
    """What somebody set in our document under a number that pods know is written again under a new one. Until every
    pod has it nothing else begins: what they run still counts."""
    if not _may_write(snapshot) or not force.number_reused(snapshot.spec.uid, snapshot.document, workload):
        return None
    item = Begin(IntentKind.ADOPT, incumbent, Reason.FOREIGN_CHANGE, now, revision=workload.revision)
    ledger = transitions.begin(snapshot.spec, snapshot.ledger, incumbent, item)
    return under_way.write(replace(snapshot, ledger=ledger), workload, now, Action.ADOPT)


def _take_back(snapshot: Snapshot, workload: Workload, now: datetime, jitter: float) -> Decision | None:
    """Down the ladder, where an accepted setting does worse than what stood before it."""
    incumbent, spec = snapshot.ledger.incumbent, snapshot.spec
    writes = spec.mode is Mode.AUTO and not snapshot.brakes.opted_out
    why = incumbents.degraded(snapshot, workload, now) if writes else None
    if why is None or incumbent is None:
        return None
    ledger = incumbents.take_back(snapshot, workload, why, now, jitter)
    if isinstance(ledger, Missing):
        return None
    words = "taking back what was accepted,", f": {why.reason.value}: {why.detail}"
    return _begun(snapshot, workload, ledger, now, words, why.reason)


def _lower(snapshot: Snapshot, workload: Workload, now: datetime) -> Decision | None:
    """Down to where every budget holds, where somebody else exceeded one."""
    ledger = overdrawn.begun(snapshot, workload, now)
    if ledger is None or ledger.intent is None:
        return None
    words = "lowering", f", since others exceeded a budget: {ledger.intent.why}"
    return _begun(snapshot, workload, ledger, now, words, Reason.BUDGET_EXCEEDED, Reason.BUDGET_EXCEEDED)


def _size_back(snapshot: Snapshot, workload: Workload, now: datetime) -> Decision | None:
    """Requests that an HPA scales on by now go back to the template's."""
    ledger = sized_back.begun(snapshot, workload, now)
    if ledger is None or ledger.intent is None:
        return None
    words = "putting back", f": {ledger.intent.why}"
    return _begun(snapshot, workload, ledger, now, words, Reason.ROLLING_BACK)


def _begun(
    snapshot: Snapshot,
    workload: Workload,
    ledger: Ledger,
    now: datetime,
    words: tuple[str, str],
    reason: Reason,
    said: Reason = Reason.ROLLING_BACK,
) -> Decision:
    """The first write of a way back that nobody asked for. `words` stand before and behind what moves; `said`: as an
    Event."""
    intent = ledger.intent
    assert intent is not None
    decision = under_way.write(replace(snapshot, ledger=ledger), workload, now, Action.REVERT)
    text = f"{words[0]} {in_words(snapshot.spec.space, intent.target, intent.parent)}{words[1]}"
    return replace(decision, reason=reason, message=text, events=(Event(said, text, warning=True),))


def _capped(wanted: Setting, verdicts: Sequence[Verdict]) -> Setting:
    caps = [v.capped for v in verdicts if v.admission is Admission.CAP and v.capped is not None]
    return caps[-1] if caps else wanted


def _trial(snapshot: Snapshot, workload: Workload, proposal: Proposal, wanted: Setting, now: datetime) -> Begin:
    expected = None if isinstance(proposal.expected, Missing) else proposal.expected
    asked = proposal.expected.reason if isinstance(proposal.expected, Missing) else None
    return Begin(
        kind=IntentKind.TRIAL,
        target=wanted,
        reason=asked if asked in verify.WITHOUT_GAIN else Reason.TRIAL_STARTED,
        now=now,
        why=proposal.why,
        urgent=guards.waiting.urgent(snapshot),
        predicted=_promised(snapshot, expected),
        baseline=baseline_of(snapshot.baseline_windows),
        revision=snapshot.ledger.revision,
        template=snapshot.ledger.template,
        pods=len(workload.unfinished),
    )


def _promised(snapshot: Snapshot, expected: Prediction | None) -> float | None:
    """Throughput at the load of now: a larger one that was forecast may not come, which is not the model's fault."""
    if expected is None:
        return None
    seen = snapshot.observation
    load = expected.load if isinstance(seen, Missing) else seen.offered_load
    return min(expected.capacity.mean, expected.load if isinstance(load, Missing) else min(expected.load, load))


def _take_note_of_changes(snapshot: Snapshot, workload: Workload, now: datetime) -> tuple[Snapshot, tuple[Event, ...]]:
    """Values that somebody else changed at rest are theirs: they become the incumbent, and are said. After a deploy
    nothing begins against windows of the code before."""
    ledger = snapshot.ledger
    incumbent = ledger.incumbent
    assert incumbent is not None
    changes = changed_by_others(snapshot)
    events: tuple[Event, ...] = ()
    if changes:
        after = incumbent.with_values(**changes)
        text = f"changed by others: {in_words(snapshot.spec.space, after, incumbent)}"
        events = (Event(Reason.FOREIGN_CHANGE, text, warning=True),)
        ledger = transitions.undone(ledger, changes)
        ledger = replace(transitions.left_to_others(ledger, changes), incumbent=after)
    if deploys.came(ledger, workload):
        ledger = transitions.deployed(ledger, workload, now)
        snapshot = replace(snapshot, baseline_windows=())
    return replace(snapshot, ledger=ledger), events


def changed_by_others(snapshot: Snapshot) -> dict[str, KnobValue]:
    """What stands there now, where it is not the incumbent's; of values that are known."""
    incumbent = snapshot.ledger.incumbent or Setting({})
    return {
        name: held.value
        for name, held in snapshot.held.items()
        if name in incumbent and not isinstance(held.value, Missing) and held.value != incumbent[name]
        if not held.behind
    }


def _hold(snapshot: Snapshot, reason: Reason, detail: str, verdicts: tuple[Verdict, ...] = ()) -> Decision:
    message = f"{SENTENCES[reason]}: {detail}" if detail else SENTENCES[reason]
    wake = looks.at_rest(snapshot.spec)
    return Decision(Action.HOLD, reason, message, snapshot.ledger, verdicts=verdicts, wake_after=wake)
