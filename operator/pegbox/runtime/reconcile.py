"""Reconcile one profile: read, observe, model, decide, claim, record, act, tell. Level-based; never raises.

Every wake works out where the profile stands from the ledger and the cluster, so that it may end between any two
lines and simply be run again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pegbox.adapters.kube import resources
from pegbox.adapters.pod_settings import PodSetting, PodSettings
from pegbox.adapters.telemetry import Telemetry
from pegbox.api import ledger_codec
from pegbox.api import status as status_api
from pegbox.core import (
    cohorts,
    decide,
    error_budget,
    evictions,
    force,
    looks,
    measure,
    read_back,
    sizing,
    slots,
    transitions,
    under_way,
    way_back,
)
from pegbox.core import incumbent as incumbents
from pegbox.core.baseline import recent
from pegbox.core.guards.workload import unhealthy
from pegbox.model.brakes import Stop
from pegbox.model.decisions import Action, Decision, Event
from pegbox.model.errors import (
    NotAvailable,
    NotFound,
    PegboxError,
    Refused,
    ResizeRefused,
    WriteConflict,
)
from pegbox.model.knobs import values_hash
from pegbox.model.observations import Missing
from pegbox.model.profile import Mode
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot, Workload
from pegbox.model.trials import IntentKind, Ledger, Original
from pegbox.ports import PROFILE, Clock, Cluster, EventSink, MetricsSource, Object, Ref
from pegbox.runtime import (
    braking,
    claims,
    finishing,
    leaving,
    observing,
    pod_env,
    reading,
    remembering,
    saying,
    sizes,
    sources,
    splitting,
    telling,
)
from pegbox.runtime import fence as fencing
from pegbox.runtime.actuate import Actuator, Change
from pegbox.runtime.brakes import Brakes
from pegbox.runtime.holding import held as hold
from pegbox.runtime.memory import Memory
from pegbox.runtime.points import Point, Reached
from pegbox.runtime.predicting import Predicting
from pegbox.runtime.reading import Objects, ProfileGone, Unacceptable
from pegbox.runtime.saying import SAVE_EVERY

log = logging.getLogger(__name__)

CONFLICTS = 3  # one is nothing: somebody else wrote at the same moment
AGAIN = -1.0  # the queue's sign for "failed: back off"


@dataclass
class Reconciler:
    """All that one process needs to work on any profile. `actuator` writes; `allow_writes` False forbids it."""

    cluster: Cluster
    sources: Mapping[str, MetricsSource]
    events: EventSink
    clock: Clock
    actuator: Actuator
    predicting: Predicting
    telemetry: Telemetry
    pod_settings: PodSettings
    allow_writes: bool
    reached: Reached
    jitter: Callable[[], float]
    brakes: Brakes
    leading: Callable[[], bool] = lambda: True
    identity: str = "pegbox"

    def __post_init__(self) -> None:
        self.memories: dict[str, Memory] = {}
        self.decisions: dict[str, Decision] = {}
        self.classes: dict[str, str] = {}

    async def __call__(self, key: str) -> float | None:
        """One wake. Seconds until the next, None when the profile is gone, AGAIN after a failure."""
        started = self.clock.monotonic()
        try:
            after = await self._reconcile(key)
            if key in self.memories:
                self.memories[key].conflicts = 0
            return after
        except ProfileGone:
            await self._forget(key)
            return None
        except (WriteConflict, NotFound) as error:
            log.info("the object moved, reading again", extra={"profile": key, "error": str(error)})
            self.telemetry.failed(Reason.WRITE_FAILED)
            memory = self.memories.setdefault(key, Memory())
            memory.conflicts += 1
            if memory.conflicts >= CONFLICTS:
                text = f"{memory.conflicts} times in a row an object moved before the write: {error}"
                await self._tell_failure(key, Reason.WRITE_FAILED, text)
            return AGAIN
        except (NotAvailable, Refused) as error:
            reason = Reason.WRITE_REFUSED if isinstance(error, Refused) else Reason.WRITE_FAILED
            self.telemetry.failed(reason)
            log.warning("reconcile did not go through", extra={"profile": key, "error": str(error)})
            await self._tell_failure(key, reason, str(error))
            return AGAIN
        except Exception as error:  # one broken profile never stops another
            log.exception("reconcile failed", extra={"profile": key})
            self.telemetry.failed(Reason.INTERNAL_ERROR)
            await self._tell_failure(key, Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
            return AGAIN
        finally:
            self.telemetry.reconciled(self.clock.monotonic() - started, self.clock.now())

    async def _reconcile(self, key: str) -> float | None:
        namespace, _, name = key.partition("/")
        memory, restoring = self.memories.setdefault(key, Memory()), self.brakes.stop is Stop.RESTORE
        try:
            found = await reading.read_spec(self.cluster, namespace, name, memory.reported, memory.parsed)
            found = replace(found, restoring=restoring)
        except Unacceptable as refusal:
            before = await finishing.last_read(self.cluster, memory, refusal, restoring=restoring)
            if before is None:
                return await self._unacceptable(key, memory, refusal)
            found = before
        if memory.ledger is not None and memory.ledger.profile_uid != found.spec.uid:
            memory = self.memories[key] = Memory()  # another profile of this name: nothing of the one before is its own
        if found.refusal is None:
            memory.spec, memory.source = found.spec, found.source
        self.classes[key] = found.spec.class_name
        try:
            found = await self._fenced(await reading.read_rest(self.cluster, found, memory.parsed), memory)
        except Unacceptable as refusal:
            return await self._unacceptable(key, memory, refusal)
        snapshot, found = await self._snapshot(key, memory, found)
        now = self.clock.now()
        proposal = await self.predicting.proposal(snapshot, memory, now)
        decision = decide.decide(snapshot, proposal, now, decide.Chance(self.jitter()))
        decision = _with_originals(snapshot, decision)
        noted = way_back.recorded(snapshot, decision.ledger, found.source)
        decision = replace(decision, ledger=noted)
        self.decisions[key] = decision
        self.telemetry.decided(decision.action, decision.reason)
        memory.note_others(snapshot.spec, snapshot.ledger, decision.ledger, now)
        decision = await self._act(found, snapshot, decision, memory, now)
        ended = snapshot.ledger.intent
        if ended is not None and decision.action is Action.CLOSE:
            untold = force.untold(snapshot.spec.space, decision.ledger, ended.keep)
            memory.settle_from(now, snapshot.spec.guards, untold=untold)
        await self._tell(found, snapshot, decision, memory, now)
        if snapshot.deleting and decision.action is Action.CLOSE:
            ledger, mine = decision.ledger, memory.claims
            await leaving.release(self.cluster, found, snapshot.held, ledger, mine, now, self.reached)
            return None
        if decision.ledger.intent is None and decision.wake_after >= looks.at_rest(found.spec):
            share = looks.share(found.spec.uid)
            return memory.next_turn(float(decision.wake_after), share, self.clock.monotonic())
        return float(decision.wake_after)

    def class_of(self, key: str) -> str:
        """The class that a profile used when it was last worked on."""
        return self.classes.get(key, "")

    # --- read

    async def _fenced(self, found: Objects, memory: Memory) -> Objects:
        """An intent that another process began is fenced once, before anything of it is decided or written. That may be
        one which a stale leader wrote down only after this process took over."""
        intent = found.stored.intent if found.stored is not None else None
        if not self.leading() or found.let_go:
            return found
        if intent is None or intent.id == memory.fenced:
            free = reading.gate_reads_writes(found.spec, self.allow_writes) and not reading.opt_out(found.target)[0]
            if not free or not await fencing.clear(self.cluster, found, self.reached):
                return found
            return await reading.read_rest(self.cluster, await reading.target_again(self.cluster, found), memory.parsed)
        restoring = intent.kind is IntentKind.RESTORE and self.allow_writes
        if not restoring and not reading.gate_reads_writes(found.spec, self.allow_writes):
            return found  # nothing of it is written now
        await fencing.fence(self.cluster, found, intent, self.identity, self.reached)
        memory.fenced = intent.id
        again = await reading.target_again(self.cluster, found)
        return fencing.patient(await reading.read_rest(self.cluster, again, memory.parsed), intent.id, self.clock.now())

    async def _snapshot(self, key: str, memory: Memory, found: Objects) -> tuple[Snapshot, Objects]:
        source, spec, now = sources.named(self.sources, found), found.spec, self.clock.now()
        intent = found.stored.intent if found.stored is not None else None
        unknown = memory.note_time(now) or found.ledger_version != memory.ledger_version
        if unknown and intent is None:  # this process did not see how what was under way ended
            memory.settle_from(now, spec.guards)
        acks = await source.acknowledgements(spec.namespace, now, max_age=looks.acknowledgement_age(spec, intent))
        reported = await source.setting_values(
            spec.namespace, found.known or spec.space.names, now, max_age=looks.AT_REST * float(spec.interval)
        )
        found = sizes.with_refused(reading.with_acknowledgements(found, acks), memory.unsized)
        memory.unsized = {}
        if not isinstance(reported, Missing):
            mine = {p.name for p in found.workload.unfinished} if isinstance(found.workload, Workload) else set()
            known = memory.reported or frozenset()
            names = (known | {n for pod, values in reported.items() if pod in mine for n in values}) & found.known
            if (
                names != known and found.refusal is None
            ):  # only ever more: a gap in the metrics must not shrink the space
                memory.reported = names
                again = await reading.read_spec(self.cluster, spec.namespace, spec.name, names, memory.parsed)
                found = reading.respecified(found, again.spec)
                spec = found.spec
        ledger = remembering.current(memory, found, now)
        memory.intent = ledger.intent
        self.brakes.seen(key, spec.space, ledger, moves=slots.moves(spec, ledger.intent))
        if found.source in self.sources:
            self.brakes.asked(found.source, braking.answered(acks, reported))
        if isinstance(found.workload, Workload) and any(p.ack for p in found.workload.pods):
            ledger = replace(ledger, reporting=True)
        held = hold(found, reported, ledger)
        found = pod_env.with_admitted(found, held, ledger)
        if not isinstance(acks, Missing) or acks.reason is Reason.NOT_REPORTED:
            self._show_pods(found, ledger, now)  # not while acknowledgements are unknown: real rows would vanish
        sick = unhealthy(found.workload) is not None or any(h.behind or h.stale for h in held.values())
        unread = cohorts.unread(found.document, spec.uid, found.workload)
        snapshot = Snapshot(
            spec=spec,
            ledger=ledger,
            workload=found.workload,
            held=held,
            document=found.document,
            observation=sources.not_asked_yet(source),
            budgets=reading.budget_facts(found, now),
            requests=reading.requests(found),
            containers=resources.template_sizes(found.target, spec.target.container),
            deleting=found.deleting,
            let_go=found.let_go,
            read_at=now,
            written=memory.written,
            acks=acks if isinstance(acks, Missing) else None,
            refusal=found.refusal,
            claimed=found.claimed,
            writes=self.allow_writes,
            brakes=self.brakes.of(key, found.target),
        )
        theirs = ledger.intent is None and bool(decide.changed_by_others(snapshot))
        setting = observing.in_force(snapshot)
        mixed = setting is not None and sizing.mixed(snapshot, setting)
        memory.note_pods(found.workload, now, sick or unread or theirs or mixed)
        return await self._observe(source, snapshot, memory), found

    async def _observe(self, source: MetricsSource, snapshot: Snapshot, memory: Memory) -> Snapshot:
        """The newest window of the setting in force, and the disjoint clean ones before it, but for old ones."""
        spec, setting, now = snapshot.spec, observing.in_force(snapshot), self.clock.now()
        if setting is None:
            return snapshot
        intent = snapshot.ledger.intent
        settled = None
        if intent is not None:  # what is not in force yet has not settled either
            settled = (intent.in_force_at or now) + timedelta(seconds=float(spec.guards.settle))
        since = _later(settled, memory.disturbed_at, memory.settled_at)
        # Applications that do not report are always labelled "0": the setting itself tells their windows apart.
        beside = " canary" if intent is not None and intent.split else ""
        told = values_hash(spec.space.format(setting))
        measured = measure.digest(spec)
        if snapshot.refusal is None:  # what cannot be read says of no measure that it is another one
            if memory.measured not in ("", measured):  # what was proven by another one is no record for this
                snapshot = replace(snapshot, ledger=transitions.outdated(snapshot.ledger))
            memory.measured = measured
        memory.settle(f"{observing.setting_label(snapshot)} {told}{beside} {measured}", since)
        # An SLO's own window is shared by all profiles of the class and judges no trial: it is never asked anew.
        ages = observing.Ages(looks.signal_age(spec, intent, memory.own_windows(), now), float(spec.interval))
        question = observing.question(snapshot, setting, since, now, memory.pods_at)
        seen = await observing.look(source, question, ages)
        newest = seen.observation
        split = intent is not None and intent.split
        if setting == snapshot.ledger.incumbent and not split:  # a canary's harm is no incident of the rest
            newest = incumbents.set_apart(spec, snapshot.ledger, newest, memory.newest)
            memory.note_incident(newest, now)
        ahead = memory.loads.look(snapshot, newest, now)
        snapshot = replace(snapshot, observation=newest, slos=seen.slos, forecast=ahead)
        if split and intent is not None and intent.applied_at is not None:
            return splitting.by_cohort(snapshot, memory, question, seen.evidence)
        ledger = memory.take(spec, snapshot.ledger, newest, setting)
        return replace(snapshot, ledger=ledger, baseline_windows=recent(spec, memory.windows, now))

    def _show_pods(self, found: Objects, ledger: Ledger, now: datetime) -> None:
        if isinstance(found.workload, Missing):
            return
        document, uid = found.document, found.spec.uid
        written = -1 if isinstance(document, Missing) else document.generation
        # Only generations that were written: an application that makes numbers up makes no label values of them.
        pods: dict[str, PodSetting] = {}
        for pod in found.workload.unfinished:
            ack = pod.ack
            known = ack is not None and ack.profile_uid == uid and ack.generation <= written
            cohort = cohorts.label(found.spec.space, ledger.intent, document, uid, pod)
            pods[pod.name] = PodSetting(cohort, str(ack.generation) if known and ack is not None else "0")
        self.pod_settings.show(found.spec.key, found.spec.class_name, pods, now)

    # --- act

    async def _act(
        self, found: Objects, snapshot: Snapshot, decision: Decision, memory: Memory, now: datetime
    ) -> Decision:
        """Claim, record, write, read back: in this order, each of them repeatable."""
        if not self.leading():
            raise NotAvailable("leadership was lost")
        auto = snapshot.spec.mode is Mode.AUTO
        if decision.action is Action.CLOSE and decision.desired is not None:
            decision = await self._last_write(found, snapshot, decision, memory, now)
        if not self.allow_writes:
            decision = replace(decision, replaces=frozenset())
        decision = braking.with_slot(self.brakes, snapshot, decision)
        if decision.action is Action.START or auto or claims.holds(found, now):
            known, mine = snapshot.ledger, memory.claims
            refused = await claims.claim(self.cluster, found, decision.ledger, known, mine, now, self.reached)
            if refused is not None and decision.action is Action.START:
                self.brakes.release(found.spec.key)
                decision = braking.waiting(snapshot, decision, refused)
        if braking.ends_restore(snapshot, decision):
            await leaving.give_back(self.cluster, found, snapshot.held, snapshot.ledger, self.reached)
            await leaving.remove_variables(self.cluster, found, snapshot.ledger, self.reached)
        writes = decision.desired is not None and reading.gate_reads_writes(snapshot.spec, self.allow_writes)
        restoring = decision.ledger.intent is not None and decision.ledger.intent.kind is IntentKind.RESTORE
        writes = writes or (decision.desired is not None and restoring and self.allow_writes)
        if writes and not found.deleting:
            await leaving.ensure_finalizer(self.cluster, found.profile, self.reached)
        seen = _reads_back(snapshot)
        if seen:
            self.reached(Point.BEFORE_READ_BACK)
        if found.ledger_version or not (snapshot.deleting and decision.action is Action.CLOSE):
            # A terminating namespace takes no new object, and has deleted the ledger: nothing is left to remember.
            await self._save(found, decision.ledger, memory, now)
        if seen:
            self.reached(Point.AFTER_READ_BACK)
        if not self.allow_writes:
            decision = telling.pending(snapshot, decision)
        if writes and decision.desired is not None:
            decided = replace(snapshot, ledger=decision.ledger)  # at adoption it alone knows the originals
            intent = decision.ledger.intent or transitions.upkeep(decision.ledger, decision.desired, now)
            due = memory.documents(intent.generation, found.document, now)
            change = Change(found, decided, intent, decision.desired, memory.forbidden_since, decision.replaces, due)
            try:
                acted = await self.actuator(change)
            except ResizeRefused as refusal:
                memory.unsized = refusal.pods  # the next look tells it, and ends a trial
                if intent.kind.goes_back:  # of what it has to put right, everything was written
                    memory.written = intent.generation
            else:
                resting = acted.forbidden is not None and decision.ledger.intent is None
                memory.forbidden_since = (memory.forbidden_since or now) if resting else None
                if acted.forbidden is not None and not acted.rolls_out:
                    self.brakes.rests(found.spec.key)  # nothing restarts: whoever waits for a slot may have it
                if acted.forbidden is not None:
                    decision = evictions.told(snapshot.spec, decision, acted.forbidden, rolls_out=acted.rolls_out)
                memory.written = change.intent.generation
        return decision

    async def _last_write(
        self, found: Objects, snapshot: Snapshot, decision: Decision, memory: Memory, now: datetime
    ) -> Decision:
        """Before a restore ends beside pods that still want their restart, it is tried: a refusal holds the end up, as
        that of any other write does, and whatever was written is waited for."""
        intent, desired, closed = snapshot.ledger.intent, decision.desired, replace(decision, desired=None)
        if intent is None or desired is None or not self.allow_writes:
            return closed
        due = memory.documents(intent.generation, found.document, now)
        if not (await self.actuator(Change(found, snapshot, intent, desired, documents=due))).wrote:
            return closed  # nothing is left that we could do
        return under_way.restarted_once_more(snapshot, now)

    async def _save(self, found: Objects, ledger: Ledger, memory: Memory, now: datetime) -> None:
        """Compare-and-swap by resourceVersion; statistics alone wait for half an hour."""
        transition = _transition(ledger) != _transition(memory.ledger)
        stale = memory.ledger_saved_at is None or now - memory.ledger_saved_at > SAVE_EVERY
        lost = found.stored is None  # then it is written whatever we know: the next process knows nothing
        fitted = ledger_codec.fitted(ledger) if transition or stale or lost else None
        if fitted is None or (not lost and fitted.state == memory.ledger_text):
            memory.ledger, memory.ledger_version = ledger, found.ledger_version
            return
        body = ledger_codec.encode(
            fitted, namespace=found.spec.namespace, name=found.spec.name, profile=found.spec.name, written_at=now
        )
        if found.ledger_version:
            # A resourceVersion alone does not stop an apply from creating what was deleted meanwhile.
            body["metadata"] |= {"resourceVersion": found.ledger_version, "uid": found.ledger_uid}
        self.reached(Point.BEFORE_LEDGER)
        if found.ledger_version:
            saved = await self.cluster.apply(body, force=True)
        else:
            saved = await self.cluster.create(body)
        self.reached(Point.AFTER_LEDGER)
        # Only now: what was decided but not stored must not pass for stored on the next wake.
        memory.ledger, memory.ledger_version = ledger, str(saved["metadata"]["resourceVersion"])
        memory.intent = ledger.intent
        memory.ledger_saved_at, memory.ledger_text = now, fitted.state
        stored = found.stored.intent if found.stored is not None else None
        if ledger.intent is None:
            memory.fenced = ""
        elif stored is None or stored.id == memory.fenced:  # what another process began is fenced before it is written
            memory.fenced = ledger.intent.id

    # --- tell

    async def _tell(
        self, found: Objects, snapshot: Snapshot, decision: Decision, memory: Memory, now: datetime
    ) -> None:
        body = telling.status_of(found, snapshot, decision, memory, now)
        if found.refusal is not None:
            await self.events.emit(found.profile, Event(found.refusal.reason, found.refusal.detail, warning=True))
        lost = reading.ledger_lost(found)
        if lost:
            event = Event(Reason.LEDGER_LOST, lost, warning=True)
            await self.events.emit(found.profile, event)
        known = {t.id for t in snapshot.ledger.trials}
        for ended in (t for t in decision.ledger.trials if t.id not in known):
            self.telemetry.trial_ended(ended.state, ended.reason)
        for event in decision.events:
            log.info("%s: %s", event.reason.value, event.message, extra={"profile": found.spec.key})
            await self.events.emit(found.profile, event)
        moves = slots.moves(snapshot.spec, decision.ledger.intent)
        self.brakes.seen(found.spec.key, found.spec.space, decision.ledger, moves=moves)
        held_up = telling.held_up(found, decision)
        if held_up is not None:
            await self.events.emit(found.profile, held_up)
        where = snapshot.spec.namespace, snapshot.spec.name
        self.telemetry.breaker(*where, decision.ledger.breaker.state)
        self.telemetry.rollback_pending(*where, moves and telling.goes_back(decision.ledger.intent))
        self.telemetry.conditions(*where, status_api.read_conditions(body).values())
        await self._write_status(found.profile, body, memory)

    async def _write_status(self, profile: Object, status: Object, memory: Memory) -> None:
        await saying.write(self.cluster, profile, status, memory, self.clock.now(), self.reached)

    async def _unacceptable(self, key: str, memory: Memory, refusal: Unacceptable) -> float | None:
        """Said in conditions; looked at again when it changes, and now and then. Nothing of the workload moves."""
        if not self.leading():
            raise NotAvailable("leadership was lost")
        profile = refusal.profile
        if profile["metadata"].get("deletionTimestamp"):
            return await self._abandon(profile)
        restoring = self.brakes.stop is Stop.RESTORE
        waits = await finishing.waiting(self.cluster, profile, restoring=restoring)
        text = f"{refusal}; {waits.text}" if waits.text else str(refusal)
        pending = waits.text if waits.restore else ""
        status = telling.refusal_status(profile, refusal.reason, text, self.clock.now(), pending)
        await self.events.emit(profile, Event(refusal.reason, text, warning=True))
        meta = profile["metadata"]
        self.telemetry.rollback_pending(meta["namespace"], meta["name"], waits.goes_back)
        self.telemetry.conditions(meta["namespace"], meta["name"], status_api.read_conditions(status).values())
        await self._write_status(profile, status, memory)
        return 60.0

    async def _abandon(self, profile: Object) -> float | None:
        """Deleted while unusable: what was written stays as it is, and is said; deletion is not held up for ever."""
        if await leaving.drop_finalizer(self.cluster, profile):
            text = "the profile cannot be read, so nothing was restored: the originals stand on our ConfigMap"
            await self.events.emit(profile, Event(Reason.RESTORE_PENDING, text, warning=True))
        return None

    async def _tell_failure(self, key: str, reason: Reason, text: str) -> None:
        """A failed reconcile is visible on the object too; failing to say so is only logged."""
        if not self.leading():
            return  # another process leads: it says what is so
        namespace, _, name = key.partition("/")
        memory = self.memories.setdefault(key, Memory())
        reason, text = telling.failure(reason, text, memory.intent)
        self.telemetry.degraded(namespace, name, reason)  # also where the API server takes no word of it
        self.telemetry.rollback_pending(namespace, name, telling.goes_back(memory.intent))
        try:
            profile = await self.cluster.get(Ref(PROFILE, namespace, name))
            await self.events.emit(profile, Event(reason, text[:500], warning=True))
            status = telling.failure_status(profile, reason, text, self.clock.now())
            await self._write_status(profile, status, memory)
        except PegboxError as error:
            log.info("could not report the failure", extra={"profile": key, "error": str(error)})

    async def _forget(self, key: str) -> None:
        self.memories.pop(key, None)
        self.decisions.pop(key, None)
        self.classes.pop(key, None)
        self.brakes.forget(key)
        namespace, _, name = key.partition("/")
        self.telemetry.forget(namespace, name)


def _transition(ledger: Ledger | None) -> tuple[object, ...] | None:
    """What must be durable at once: all but statistics."""
    if ledger is None:
        return None
    intent = ledger.intent
    if intent is not None:
        spent = error_budget.told(intent)
        intent = replace(intent, last_sample_at=None, spent=spent, variance={}, looks={})
    settings = tuple((r.setting, r.replicates >= transitions.REPLICATES) for r in ledger.ladder)
    return replace(ledger, rows=(), ladder=(), intent=intent), settings


def _with_originals(snapshot: Snapshot, decision: Decision) -> Decision:
    """At adoption: raw text and owner of every value outside our own objects, for an exact restore."""
    ledger = decision.ledger
    if ledger.originals or ledger.adopted is None:
        return decision
    originals = tuple(
        Original(str(knob.location), held.raw, leaving.SEPARATOR.join(held.entries), held.object_uid)
        for knob in snapshot.spec.space.knobs
        if not knob.location.kind.in_own_config_map and (held := snapshot.held.get(knob.name)) is not None
    )
    return replace(decision, ledger=replace(ledger, originals=originals))


def _reads_back(snapshot: Snapshot) -> bool:
    """Is this the wake that first sees the stage under way as it was written?"""
    intent = snapshot.ledger.intent
    if intent is None or intent.applied_at is not None or intent.stage_at is None:
        return False
    return not read_back.unwritten(snapshot, intent)


def _later(*moments: datetime | None) -> datetime | None:
    known = [m for m in moments if m is not None]
    return max(known) if known else None
