"""What must hold after every write and every step, whatever fails: one function and one sentence each.

A function raises Violation. `Watch` calls the first group at each write of the operator, as the server carries it out,
and the second group after each step of a schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pegbox.core.baseline import served
from pegbox.model.reasons import Reason
from pegbox.model.trials import Intent, IntentKind, TrialState
from pegbox.ports import ABSENT, Object, Ref
from pegbox.testing.faults import WriteRecord
from pegbox.testing.finite import not_finite
from tests.chaos import beginnings, evidence, limits, places, silence
from tests.chaos.application import RESTARTS, cores
from tests.chaos.shops import MOST, Tenant
from tests.chaos.violation import Violation
from tests.chaos.world import World

OURS = frozenset({"PerformanceProfile", "TuningLedger", "SharedBudget", "Event", "Lease"})
TARGETS = frozenset({"Deployment", "StatefulSet"})
IDENTIFIED = TARGETS | {"ConfigMap", "HorizontalPodAutoscaler", "PodEnvironment"}
LIMITS: Mapping[str, tuple[int, int]] = {
    "workers": (1, 8),
    "pool": (1, 8),
    "threads": (1, 64),
    "lanes": (1, 8),
    "cache": (1, 8),
    "replicas": (0, MOST),  # none: scaled to zero by its owner
    "min_replicas": (1, MOST),
    "max_replicas": (1, MOST),
    "cpu_request": (1, 4),
}
IN_PLACE = "the values of the adoption are in place"  # as the operator says it of a global restore


@dataclass
class Watch:
    """What was seen before, to compare with. `others` is called after every act of anybody but the operator."""

    world: World
    allowed: int = 0
    generations: dict[str, int] = field(default_factory=dict)
    modes: dict[str, str] = field(default_factory=dict)
    foreign: dict[str, dict[str, tuple[int, str]]] = field(default_factory=dict)  # knob -> value, intent
    before: dict[str, dict[str, int]] = field(default_factory=dict)
    looking: dict[str, int] = field(default_factory=dict)  # use of the budget that the wake under way can count
    known: dict[str, int] = field(default_factory=dict)  # what the last wake which told others could, and what we added
    waking: str = ""
    worsts: dict[str, int] = field(default_factory=dict)  # use of the budget at the most, of each profile
    good: dict[str, set[tuple[str, int]]] = field(default_factory=dict)  # values that somebody stands for
    accepted: dict[str, set[str]] = field(default_factory=dict)  # trials, by their ids
    templates: dict[tuple[str, str], str] = field(default_factory=dict)  # profile and trial -> its first pod template
    read: dict[str, str] = field(default_factory=dict)  # the pod template when the wake under way began
    trials: dict[str, Intent] = field(default_factory=dict)  # the newest of each profile, as it was last written
    begun: beginnings.Begun = field(default_factory=beginnings.Begun)
    policies: dict[str, str] = field(default_factory=dict)  # of deletion, as the newest wake read it
    theirs: dict[str, set[tuple[str, int]]] = field(default_factory=dict)  # values that others set, or had at first
    braked: dict[str, str] = field(default_factory=dict)  # the brake on the wake under way, as it reads it
    frozen: dict[str, bool] = field(default_factory=dict)
    stated: dict[str, Mapping[str, limits.Limit]] = field(default_factory=dict)  # as the wake under way reads them
    begun_within: dict[str, limits.Begun] = field(default_factory=dict)
    blind: dict[str, str] = field(default_factory=dict)  # the lie that the wake under way reads, where it hides all
    silence: silence.Silence = field(default_factory=silence.Silence)
    evidence: evidence.Evidence = field(default_factory=evidence.Evidence)
    was: Object | None = None  # what the write under way is about, before it
    moved: dict[str, Moved] = field(default_factory=dict)  # where the newest write left everything that trials move
    found: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world.server.faults.on_write(self.wrote)
        self.world.network.seen = self.sent
        self.world.network.late = self.landed
        self.world.on_others = self.others
        self.before = {t.name: self.world.values(t.name) for t in self.world.shop.tenants}
        self.good = {name: set(values.items()) for name, values in self.before.items()}
        self.theirs = {name: set(values.items()) for name, values in self.before.items()}
        self.moved = {name: _moved(self.world, name) for name in self.before}
        self.worsts = {t.name: self._worst(t.name) for t in self.world.shop.tenants}
        self.known = dict(self.worsts)
        self.others()

    # --- at each write

    def sent(self, verb: str, what: Ref | Object, body: Any) -> None:
        self._check(identity_stated, verb, what, body)

    def landed(self, ref: Ref, fenced: frozenset[Ref]) -> None:
        self._check(stale_leader_is_fenced, ref, fenced)

    def wrote(self, when: str, record: WriteRecord) -> None:
        if when != "after":
            self.was = places.written(self.world, record)
            return
        if record.kind == "PerformanceProfile":
            self._check(no_nan, self.world, record.name)
            self._let_go(record.name)
        if record.kind == "SharedBudget" and self.waking:
            self.told(self.waking)
        if record.kind == "TuningLedger":
            known, read = self.accepted.get(record.name, set()), self.read.get(record.name, "")
            if not self.world.resumes:  # it decides on what it read before it was stopped (seed 151001083)
                self._check(accepted_on_one_template, self.world, record.name, self.templates, read, known)
            self._check(silence.accepted_unseen, self.world, record.name, self.silence, known)
            self._check(silence.put_back_unseen, self.world, record.name, self.silence)
            self._check(serves_what_arrives, self.world, record.name, self.trials)
            self._check(accepted_on_evidence, self.world, record.name, self.accepted)
            self._begun(record.name)
            self._accepted(record.name)  # at once: a ledger may be lost within the same step
            self._check(beginnings.only_what_may_begin, self.world, record.name, self.begun)
        if record.kind in OURS:
            return
        name = tenant_of(self.world, record)
        after = places.written(self.world, record)
        self._check(only_its_places, self.world.tenant(name), record, self.was, after)
        moves = _moved(self.world, name) != self.moved[name]
        touched = places.content(self.was) != places.content(after)
        self._check(still_under_a_brake, self.world, name, self.braked.get(name, ""), record, moves, touched)
        restarts = record.verb == "evict" or (touched and record.kind in TARGETS)
        self._check(nothing_new_in_a_freeze, self.world, name, self.frozen.get(name, False) and (moves or restarts))
        self._check(nothing_new_unseen, self.world, name, self.blind.get(name, "") if moves or restarts else "")
        restored = self.braked.get(name) == "restore"
        self._check(nothing_written_without_auto, self.world, name, record, self.modes, restored)
        self._check(bounds_hold, self.world, name)
        written = _written(self.world, name, self.before[name], self.moved[name])
        self._check(limits.limits_in_force_hold, self.world, name, written, self.stated.get(name, {}))
        self._check(limits.steps_hold, self.world, name, written, self.begun_within.get(name))
        unseen = self._unseen(name)
        excused = max(self._originals(name), self._restarting(name))
        self._check(budgets_hold, self.world, max(self.allowed + unseen, excused))
        if unseen:  # what one could not know of stays, until it fits again, also once another knows
            self.allowed = max(self.allowed, min(self.world.worst(), self.allowed + unseen))
        self._check(generation_grows, self.world, name, self.generations)
        self._check(foreign_kept, self.world, name, self.foreign)
        if record.kind in TARGETS:
            self._check(target_is_the_recorded_one, self.world, name)
        before, self.worsts[name] = self.worsts[name], self._worst(name)
        for seen in (self.known, self.looking):  # what we raise was claimed before
            seen[name] = seen.get(name, before) + max(0, self.worsts[name] - before)
        self.before[name] = self.world.values(name)
        self.moved[name] = _moved(self.world, name)

    def _begun(self, name: str) -> None:
        """A trial is in the ledger: its steps are held against what the wake read that began it. Nobody edits class or profile
        while a leader is stopped in mid-wake, so that all wakes under way read alike."""
        trial, known = limits.trial_of(self.world, name), self.begun_within.get(name)
        if trial is not None and (known is None or trial.id != known.trial.id):
            self._check(silence.begun_unseen, name, trial, self.silence)
        if trial is not None and (known is None or not _same(trial, known.trial)):
            self.begun_within[name] = limits.Begun(trial, self.stated.get(name, {}))

    def _let_go(self, name: str) -> None:
        """The profile may have gone, and what it leaves follows from what its last wake read."""
        if self.world.profile(name) is None and self.braked.get(name) == "opt-out":
            self.world.lapsed[name] = "deleted while its workload was opted out: nothing is restored"

    def _worst(self, name: str) -> int:
        return self.world.apps[name].worst(self.world.tenant(name).per_pod)

    def woken(self, name: str) -> None:
        """A wake begins: what it may write follows from the mode that it reads. Who is scaled to zero keeps his claim."""
        self.modes[name], self.read[name] = self.world.mode(name), places.template(self.world, name)
        profile = self.world.profile(name)
        if profile is not None:
            self.policies[name] = profile["spec"].get("deletionPolicy", "Restore")
        self.stated[name] = limits.stated(self.world, name)
        self.braked[name], self.frozen[name] = self.world.brake_of(name), self.world.frozen(name)
        self.blind[name] = self.world.blinded()
        self.silence.woken(self.world, name)
        self.evidence.woken(self.world, name)
        paused = self.world.apps[name].written().get("replicas") == 0
        self.looking[name], self.waking = max(self._worst(name), self.known[name] if paused else 0), name

    def told(self, name: str) -> None:
        """What the wake could see is claimed: it wrote its claim, or went through and had none to write. A wake that
        fails before that told nobody (seed 5101851: a conflict storm kept its claim from landing)."""
        self.known[name] = self.looking.get(name, self.known[name])
        self._check(adoption_is_in_place, self.world, name, self.theirs[name])

    def slept(self, name: str) -> None:
        """The wake went through, to its last word: a claim is written before that (seed 131000568)."""
        self.told(name)
        self._check(silence.ends_unseen, self.world, name, self.silence)
        self._check(evidence.clean_windows_are, self.world, name, self.evidence)
        if self.braked.get(name) == "restore":
            self._check(beginnings.restored_or_said, self.world, name, self.theirs[name])

    # --- after each act of others

    def others(self) -> None:
        for tenant in self.world.shop.tenants:
            name, now = tenant.name, self.world.values(tenant.name)
            changed = {n: v for n, v in now.items() if self.before[name].get(n, v) != v}
            self.before[name] |= now
            self.worsts[name] = self._worst(name)
            self.moved[name] = _moved(self.world, name)
            if changed:
                self.good[name] |= set(changed.items())
                self.theirs[name] |= set(changed.items())
                self._note(name, changed)
        self._allow()
        self.evidence.noted(self.world)

    def _allow(self) -> None:
        """What others made it, until it fits again with nothing under way: a rollback may go back to what they set.

        Whoever edits `values` sets them for all pods: that a cohort does not take them yet is of no avail.
        """
        worst, intents = (
            self.world.worst(alike=True),
            any(self.world.intent_text(t.name) for t in self.world.shop.tenants),
        )
        within = worst <= self.world.shop.limit and not intents
        self.allowed = self.world.shop.limit if within else max(self.allowed, worst)

    def _unseen(self, writer: str) -> int:
        """Excluded on purpose (docs/critiques.md): what others add, pods by a deploy's surge or by hand, or a value that
        they raise, is claimed at the next wake of their own profile that gets so far; until then another profile of the same budget
        cannot know of it. Not what comes back from zero: that stayed claimed."""
        others = (t.name for t in self.world.shop.tenants if t.name != writer)
        return sum(max(0, self._worst(name) - self.known[name]) for name in others)

    def _originals(self, name: str) -> int:
        """Excluded on purpose (docs/critiques.md): a deletion promises the originals, whatever stands beside them by now."""
        profile, ledger, tenant = self.world.profile(name), self.world.ledger(name), self.world.tenant(name)
        if (
            profile is None
            or "deletionTimestamp" not in profile["metadata"]
            or ledger is None
            or ledger.adopted is None
        ):
            return 0
        here = self.world.values(name)
        first = here | {n: int(ledger.adopted.number(n)) for n in here if n in ledger.adopted}
        pods = self.world.apps[name].bound() + ("threads" in here)
        others = self.world.worst() - self.world.apps[name].worst(tenant.per_pod)
        return max(tenant.per_pod(first), tenant.per_pod(here)) * pods + others

    def _restarting(self, name: str) -> int:
        """Excluded on purpose (docs/critiques.md): somebody raised, in mid-trial, what a way back has to leave as he set it,
        and now there is no room for the one pod that its restart adds. No more than that pod, beside the incumbent's values
        and what only that restart takes away; nothing where these alone leave no room for it."""
        ledger, tenant = self.world.ledger(name), self.world.tenant(name)
        intent = ledger.intent if ledger is not None else None
        if ledger is None or intent is None or ledger.incumbent is None or not RESTARTS & intent.moved:
            return 0
        if intent.kind not in (IntentKind.ROLLBACK, IntentKind.RESTORE):
            return 0

        app = self.world.apps[name]
        replicas = app.written().get("replicas", 0)

        def use(values: Mapping[str, int]) -> int:
            told, pods = tenant.per_pod(values), values.get("max_replicas", values.get("replicas", replicas))
            more = (max(0, tenant.per_pod({**values, **p.env}) - told) for p in app.own())
            return told * (pods + 1) + sum(sorted(more, reverse=True)[:pods])

        here, others = self.world.values(name), self.world.worst() - app.worst(tenant.per_pod)
        ours = {n: min(v, int(ledger.incumbent.number(n))) for n, v in here.items() if n in ledger.incumbent}
        theirs = {n: here[n] for n in intent.keep if n in here}
        return use(here | ours | theirs) + others if use(here | ours) + others <= self.world.shop.limit else 0

    def _note(self, name: str, changed: Mapping[str, int]) -> None:
        """Values that others changed in mid-trial, but for those that nobody could tell from our own."""
        ledger = self.world.ledger(name)
        intent = ledger.intent if ledger is not None else None
        mine = self.foreign.setdefault(name, {})
        for knob in changed:
            mine.pop(knob, None)
        if intent is None or intent.kind is IntentKind.ADOPT:
            return
        known = (intent.parent, *intent.stages)
        for knob, value in changed.items():
            if value in {s.number(knob) for s in known if knob in s}:
                continue
            mine[knob] = (value, intent.id)

    # --- after each step

    def stepped(self) -> None:
        self._check(nothing_escapes, self.world)
        for tenant in self.world.shop.tenants:
            self._check(beginnings.no_wake_needs_a_source, self.world, tenant.name)
        for tenant in self.world.shop.tenants:
            self._accepted(tenant.name)

    def _accepted(self, name: str) -> None:
        ledger = self.world.ledger(name)
        for trial in ledger.trials if ledger is not None else ():
            if trial.state is TrialState.ACCEPTED:
                self.good[name] |= {(n, int(trial.setting.number(n))) for n in trial.setting}

    def _check(self, check: Callable[..., None], *args: Any) -> None:
        try:
            check(*args)
        except Violation as error:
            self.found.append(f"{check.__name__}: {error}")


@dataclass(frozen=True)
class Moved:
    """What trials move, wherever it lives."""

    values: Mapping[str, int]
    cohorts: Any
    sizes: Mapping[str, int]


def _moved(world: World, name: str) -> Moved:
    return Moved(world.values(name), (world.apps[name].document or {}).get("cohorts"), world.sizes(name))


def _written(world: World, name: str, before: Mapping[str, int], was: Moved) -> list[tuple[str, int]]:
    """What the newest write changed: values, what the document tells a cohort, sizes of pods."""
    now = _moved(world, name)
    values = [(n, v) for n, v in now.values.items() if before.get(n, v) != v]
    told = _cohorts(world, name) if now.cohorts != was.cohorts else []
    sizes = [("cpu_request", v) for pod, v in now.sizes.items() if v != was.sizes.get(pod, v)]
    return [*values, *(item for cohort in told for item in cohort.items()), *sizes]


def _same(one: Intent, other: Intent) -> bool:
    """An id comes again once an older ledger was put back."""
    return (one.id, one.started_at) == (other.id, other.started_at)


def tenant_of(world: World, record: WriteRecord) -> str:
    """Whose object it is; the first one's where it is nobody's, so that a write to it is found."""
    owners = (t.name for t in world.shop.tenants if record.name.startswith(t.name))
    return next(owners, world.shop.tenants[0].name)


# --- the invariants at each write


def nothing_written_without_auto(
    world: World, name: str, record: WriteRecord, modes: Mapping[str, str], restored: bool
) -> None:
    """In Observe and Recommend nothing is written but objects of pegbox.dev, Events and the Lease; a deletion restores,
    and so does a stop with restore (`restored`: also where its ledger was corrupted, since the process remembers what it
    began; seed 710005785), and goes on when that has ended."""
    profile, ledger = world.profile(name), world.ledger(name)
    deleting = profile is None or "deletionTimestamp" in profile["metadata"]
    intent = ledger.intent if ledger is not None else None
    restoring = intent is not None and intent.kind is IntentKind.RESTORE and intent.reason is Reason.RESTORE_PENDING
    if record.kind not in OURS and modes.get(name) != "Auto" and not (deleting or restored or restoring):
        raise Violation(f"{record.verb} {record.kind} {record.name} in mode {modes.get(name)}")


def bounds_hold(world: World, name: str) -> None:
    """Every value that stands on the server is within the limits of class and profile."""
    for knob, value in world.values(name).items():
        low, high = LIMITS[knob]
        if not low <= value <= high:
            raise Violation(f"{name}: {knob}={value} is outside of {low} to {high}")
    for pod, requested in world.sizes(name).items():
        if not LIMITS["cpu_request"][0] <= requested <= LIMITS["cpu_request"][1]:
            raise Violation(f"{pod}: a request of {requested} cores is out of bounds")
    for told in _cohorts(world, name):
        for knob, value in told.items():
            if not LIMITS[knob][0] <= value <= LIMITS[knob][1]:
                raise Violation(f"{name}: {knob}={value} in a cohort is out of bounds")


def _cohorts(world: World, name: str) -> list[dict[str, int]]:
    """What the settings document tells each cohort."""
    cohorts = ((world.apps[name].document or {}).get("cohorts") or {}).values()
    return [{n: int(text) for n, text in cohort["values"].items()} for cohort in cohorts]


def only_its_places(tenant: Tenant, record: WriteRecord, before: Object | None, after: Object | None) -> None:
    """No write changes a byte of an object of others, but for the values of its knobs, its notes, and what restarts pods."""
    done = places.intruded(tenant, record, before, after)
    if done:
        raise Violation(f"{record.verb} {record.kind} {record.name}: {done}")


def still_under_a_brake(world: World, name: str, brake: str, record: WriteRecord, moves: bool, touched: bool) -> None:
    """Where all is stopped, or the workload opted out, nothing is written but a way back, or what fences it; pods are
    restarted for no other. A stop lets the rest of what is ours be put right, an opt-out nothing at all."""
    ledger = world.ledger(name)
    kind = ledger.intent.kind if ledger is not None and ledger.intent is not None else None
    if not brake or ledger is None or kind in (IntentKind.ROLLBACK, IntentKind.RESTORE):
        return
    if moves or record.verb == "evict" or (touched and (kind is not None or brake == "opt-out")):
        raise Violation(
            f"{name}: {record.verb} {record.kind} {record.name} under {brake}, in {world.intent_text(name)}"
        )


def nothing_new_in_a_freeze(world: World, name: str, moves: bool) -> None:
    """In a freeze that lets nothing through no trial of our own accord writes a value or restarts a pod; what stands is
    judged, or goes back."""
    ledger = world.ledger(name)
    intent = ledger.intent if ledger is not None else None
    if moves and intent is not None and intent.kind is IntentKind.TRIAL and not intent.requested:
        raise Violation(f"{name}: trial {intent.id} writes, or restarts a pod, in a freeze")


def nothing_new_unseen(world: World, name: str, lie: str) -> None:
    """While nothing can be known of the service no trial, asked for or not, writes a value or restarts a pod: no data moves
    a workload only back. `lie`: what hides it from a wake that does so, "" where nothing does."""
    ledger = world.ledger(name)
    intent = ledger.intent if ledger is not None else None
    if lie and intent is not None and intent.kind is IntentKind.TRIAL:
        raise Violation(f"{name}: trial {intent.id} writes, or restarts a pod, while Prometheus is {lie}")


def adoption_is_in_place(world: World, name: str, theirs: set[tuple[str, int]]) -> None:
    """Where all is stopped and restored, and the operator says that it is done, every value is one that others set, and
    every pod has the size of the template that it was made of: a rollout may be under way (seed 94000527)."""
    said = str(world.condition_message(name, "Progressing"))
    if IN_PLACE not in said or name in world.lapsed:
        return
    left = {n: v for n, v in world.values(name).items() if (n, v) not in theirs}
    app = world.apps[name]
    begun = {pod.name: cores(app.templates[pod.revision]) for pod in app.own()}
    left |= {pod: v for pod, v in world.sizes(name).items() if begun[pod] not in (None, v)}
    if left:
        raise Violation(f"{name}: the adoption's values are said to be in place, but {left} stands")


def accepted_on_evidence(world: World, name: str, seen: dict[str, set[str]]) -> None:
    """No trial is accepted but on something that the metrics server said since it began: no data is no consent. What makes up
    for a budget that others exceeded is no trial (seeds 52003873, 62004751)."""
    ledger, known = world.ledger(name), seen.setdefault(name, set())
    for trial in ledger.trials if ledger is not None else ():
        judged = trial.state is TrialState.ACCEPTED and trial.reason is not Reason.BUDGET_EXCEEDED
        fresh = judged and trial.id not in known
        told_at = world.metrics.told_at
        if fresh and (told_at is None or told_at <= trial.started_at):
            raise Violation(
                f"{name}: trial {trial.id} of {trial.started_at} was accepted; the last answer is of {told_at}"
            )
        known.add(trial.id)


def accepted_on_one_template(
    world: World, name: str, templates: dict[tuple[str, str], str], read: str, known: set[str]
) -> None:
    """No trial is accepted but on pods of one template: nobody changed it between the trial's start and the wake that
    accepts. Our own note in it is nobody's change."""
    ledger = world.ledger(name)
    intent = ledger.intent if ledger is not None else None
    if intent is not None and intent.kind is IntentKind.TRIAL:
        templates.setdefault((name, intent.id), places.template(world, name))
    for trial in ledger.trials if ledger is not None else ():
        fresh = trial.state is TrialState.ACCEPTED and trial.id not in known
        if fresh and templates.get((name, trial.id), read) != read:
            raise Violation(f"{name}: trial {trial.id} was accepted on another pod template than it began with")


def serves_what_arrives(world: World, name: str, trials: dict[str, Intent]) -> None:
    """No trial is accepted whose pods serve less than nine tenths of what arrives, and have done so since it began, where
    its parent served it: what completes may be as quick as ever. Limits may cost throughput."""
    ledger, service, trial = world.ledger(name), world.apps[name].service, trials.pop(name, None)
    if ledger is None:
        return
    if ledger.intent is not None and ledger.intent.kind is IntentKind.TRIAL:
        trials[name] = ledger.intent
    if trial is None or trial.baseline is None or not served(trial.baseline):
        return
    taken = [t for t in ledger.trials if t.id == trial.id and t.state is TrialState.ACCEPTED]
    excused = trial.reason is Reason.LIMITS_NARROWED or service.since is None or service.since > trial.started_at
    if taken and not excused and service.pods and service.stalled and service.throughput() < 0.9 * service.load:
        rates = f"{service.throughput():g} of {service.load:g}/s"
        raise Violation(f"{name}: trial {trial.id} of {trial.started_at} was accepted, and serves {rates}")


def budgets_hold(world: World, allowed: int) -> None:
    """After no write is the worst case, over all pods and profiles, above the limit, or above what others made it."""
    worst = world.worst()
    if worst > max(world.shop.limit, allowed):
        raise Violation(
            f"{worst} of {world.shop.limit} connections, {allowed} allowed: others exceeded the limit so far"
        )


def generation_grows(world: World, name: str, seen: dict[str, int]) -> None:
    """The number of the settings document only ever grows, per profile."""
    document = world.apps[name].document
    if document is None:
        return
    key, number = str(document["profileUID"]), int(document["generation"])
    if number < seen.get(key, 0):
        raise Violation(f"{name}: generation {number} after {seen[key]}")
    seen[key] = number


def foreign_kept(world: World, name: str, foreign: dict[str, dict[str, tuple[int, str]]]) -> None:
    """A value that somebody else set in mid-trial is not written over while that trial and its rollback last."""
    mine, intent = foreign.get(name, {}), world.intent_text(name)
    for knob, (value, noted) in list(mine.items()):
        if not intent.endswith(noted):
            del mine[knob]
            continue
        now = world.values(name).get(knob)
        if now is not None and now != value:
            raise Violation(f"{name}: {knob} was set to {value} by somebody else in {noted}, and is {now} now")


def identity_stated(verb: str, what: Ref | Object, body: Any) -> None:
    """Every write to a workload names the uid of the object that was read, so that a recreated one is a conflict, or says
    that none was there."""
    if verb == "create":
        return
    kind = what.kind.kind if isinstance(what, Ref) else str(what["kind"])
    if verb in ("evict", "delete"):
        stated = bool(body)
    elif isinstance(what, Ref):
        operations, _ = body if isinstance(body, tuple) else ((), "")
        stated = any(o.get("path") == "/metadata/uid" for o in operations)
    else:
        stated = bool(what["metadata"].get("uid")) or what["metadata"].get("resourceVersion") == ABSENT
    name = what.name if isinstance(what, Ref) else what["metadata"]["name"]
    if kind in IDENTIFIED and not stated:
        raise Violation(f"{verb} {kind} {name} names no uid")


def stale_leader_is_fenced(ref: Ref, fenced: frozenset[Ref]) -> None:
    """Once a new leader went on with a recorded intent, the former one changes nothing that the intent names."""
    if ref in fenced:
        raise Violation(f"{ref} was changed by a leader that had been replaced")


def target_is_the_recorded_one(world: World, name: str) -> None:
    """Nothing is written to a target that is not the one which the ledger recorded."""
    ledger, target = world.ledger(name), world.server.peek(world.apps[name].target)
    if ledger is None or target is None or not ledger.target_uid:
        return
    if ledger.target_uid != target["metadata"]["uid"]:
        raise Violation(f"{name}: written for target {ledger.target_uid}, but {target['metadata']['uid']} stands")


def no_nan(world: World, name: str) -> None:
    """A status never holds NaN or an infinite number."""
    profile = world.profile(name)
    where = not_finite((profile or {}).get("status", {}), "status")
    if where:
        raise Violation(f"{name}: {where}")


def nothing_escapes(world: World) -> None:
    """No exception leaves the reconciler, and none of its own making is told as InternalError."""
    if world.escaped:
        raise Violation("; ".join(world.escaped))
