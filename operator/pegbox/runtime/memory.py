"""What the process remembers of one profile between wakes. All of it may be lost: a restart only waits longer."""

from __future__ import annotations

from asyncio import Future
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pegbox.api.budget_wire import Claim
from pegbox.core import error_share, force, statistics, transitions
from pegbox.core.guards.data import missing_figure, of_a_part
from pegbox.core.slo import SloState, judge
from pegbox.model.knobs import SearchSpace, Setting
from pegbox.model.observations import Missing, Observation, Split
from pegbox.model.prediction import Forecast, Predictor, Row
from pegbox.model.profile import Guards, OnNoData, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.roles import Roles
from pegbox.model.searching import Suggestion
from pegbox.model.snapshot import Document, Workload
from pegbox.model.trials import Intent, Ledger
from pegbox.runtime.loads import Loads
from pegbox.runtime.parsed import Parsed

MAX_WINDOWS = 12
REWRITE = timedelta(seconds=5)  # a document that somebody set again is written at once, then after 5 s, 10 s, 20 s ...
NEXT_TO = 2.0  # seconds: so shortly after a look nothing new is to be seen
SELDOM = timedelta(minutes=10)  # ... and no less often than this: he may be gone


@dataclass(frozen=True, slots=True)
class Fitted:
    """What the predictor in memory was fitted to."""

    space: SearchSpace
    roles: Roles
    rows: tuple[Row, ...]
    forecasts: tuple[Forecast, ...]
    recent: tuple[Forecast, ...]  # those that the model is judged by


@dataclass(frozen=True, slots=True)
class Fitting:
    """A fit under way: what it is fitted to, and the predictor once it is there."""

    to: Fitted
    coming: Future[Predictor | Missing]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the search was asked: the same again gives the same answer."""

    incumbent: Setting
    moving: frozenset[str]
    rows: tuple[Row, ...]
    failed: tuple[tuple[Setting, Setting], ...]
    misses: int
    throughput: bool
    least: float
    load_bin: int
    pods: int

    def says_no_more(self, other: Asked) -> bool:
        """But for a few more windows of rows that were known?"""
        same = replace(self, rows=other.rows) == other
        return same and not statistics.tell_more(self.rows, other.rows)


@dataclass(frozen=True, slots=True)
class Searching:
    """A search under way: what it was asked, and its answer once it is there."""

    to: Asked
    coming: Future[Suggestion | Missing]


@dataclass
class Memory:
    """Of one profile. `label` names the setting whose windows are kept; another one starts afresh."""

    label: str = ""
    measured: str = ""  # what was measured at the last look (core.measure)
    windows: deque[Observation] = field(default_factory=lambda: deque(maxlen=MAX_WINDOWS))
    splits: deque[Split] = field(default_factory=lambda: deque(maxlen=MAX_WINDOWS))  # of a canary, while it runs
    newest: Observation | Missing = Missing(Reason.NO_DATA, "not observed yet")
    in_force_at: datetime | None = None
    pods: frozenset[str] = frozenset()
    pods_at: datetime | None = None  # when other pods than before were seen
    disturbed_at: datetime | None = None
    settled_at: datetime | None = None  # end of the settle time of what no intent tells of
    ledger: Ledger | None = None
    ledger_version: str = ""
    ledger_saved_at: datetime | None = None
    ledger_text: str = ""
    status_saved_at: datetime | None = None
    undeclared: frozenset[tuple[str, ...]] = frozenset()  # fields of the status that the server's definition lacks
    predictor: Predictor | Missing = Missing(Reason.LEARNING, "no window yet")
    fitted: Fitted | None = None
    fitting: Fitting | None = None
    searched: tuple[Asked, Suggestion | Missing] | None = None
    searching: Searching | None = None
    fenced: str = ""  # the intent under way that this process began, or fenced
    claims: dict[str, Claim] = field(default_factory=dict)  # SharedBudget -> our entry, as this process wrote it
    written: int = 0  # generation of the newest stage whose every place was written
    rewrites: int = 0  # how often that stage's document was written again, since somebody had set another one
    rewritten_at: datetime | None = None
    unsized: Mapping[str, str] = field(default_factory=dict)  # uid -> why the server refused a resize at the last look
    forbidden_since: datetime | None = None  # at rest, nothing may be evicted
    conflicts: int = 0  # wakes in a row that ended because an object moved
    intent: Intent | None = None  # under way, as it was last read or written
    reported: frozenset[str] | None = None
    spec: ProfileSpec | None = None  # as it was last read
    source: str = ""  # the metrics source that its class named then
    looked_at: datetime | None = None
    turn: float | None = None  # monotonic: when the next look at rest is planned
    parsed: Parsed = field(default_factory=Parsed)
    loads: Loads = field(default_factory=Loads)

    def note_time(self, now: datetime) -> bool:
        """Is nothing known of what was before, when a rollback ended say? At a first look, and when the clock was set
        back: windows and moments that lie ahead would shut out all that comes."""
        first, back = self.looked_at is None, self.looked_at is not None and now < self.looked_at
        if back:
            self.windows.clear()
            self.splits.clear()
            self.newest = Missing(Reason.NO_DATA, "the clock was set back")
            self.disturbed_at, self.settled_at, self.pods_at = now, None, None
            self.ledger_saved_at = self.status_saved_at = None
        self.looked_at = now
        return first or back

    def next_turn(self, interval: float, share: float, now: float) -> float:
        """Seconds until the next look at rest, an interval at most. `now` is monotonic.

        What looks at many profiles in the same moment (a start, an edited class, a stop) must not make them due in the
        same moment for ever after: the first turn comes after between a half and all of the interval, by `share`, and
        a look out of turn leaves the turn where it was.
        """
        if self.turn is None:
            self.turn = now + interval * (1 + share) / 2
        elif not NEXT_TO <= self.turn - now <= interval:
            self.turn = now + interval
        return self.turn - now

    def documents(self, generation: int, standing: Document | Missing, now: datetime) -> bool:
        """May the document of this generation be written, beside the one that stands there?

        Who sets it again for ever (a repository that holds our ConfigMap, and heals) is not fought at his own pace.
        """
        if generation != self.written:
            self.rewrites, self.rewritten_at = 0, None
        elif isinstance(standing, Missing) or standing.generation != generation:
            wait = min(REWRITE * (1 << min(self.rewrites, 20)), SELDOM)
            if self.rewritten_at is not None and self.rewritten_at <= now < self.rewritten_at + wait:
                return False
            self.rewrites, self.rewritten_at = self.rewrites + (self.rewritten_at is not None), now
        return True

    def note_pods(self, workload: Workload | Missing, now: datetime, unhealthy: bool) -> None:
        """Windows that reach back before the newest disturbance are not clean."""
        names = frozenset(p.uid for p in workload.unfinished) if isinstance(workload, Workload) else frozenset()
        if names and self.pods and names != self.pods:  # at a first look nobody knows
            self.pods_at = now
        if unhealthy or names != self.pods:
            self.disturbed_at = now
        self.pods = names

    def note_others(self, spec: ProfileSpec, before: Ledger, after: Ledger, now: datetime) -> None:
        """What others changed at rest, as this look took note of it.

        Of code before a deploy nothing is held against a trial. A value of theirs came into force at some time since
        the look before, or comes yet where no pod tells that it took it; then it settles, as one of ours does.
        """
        if after.deployed_at != before.deployed_at:
            self.disturbed_at = now
            self.windows.clear()
        if before.intent is None and before.incumbent is not None and after.incumbent is not None:
            changed = [n for n in before.incumbent.diff(after.incumbent) if n in before.incumbent]
            if changed:
                self.settle_from(now, spec.guards, untold=force.untold(spec.space, after, changed))

    def settle_from(self, now: datetime, guards: Guards, *, untold: bool = False) -> None:
        """What is in force settles from now on; `untold` values of others from `ackTimeout` on."""
        wait = guards.settle + (guards.ack_timeout if untold else 0)
        until = now + timedelta(seconds=float(wait))
        self.settled_at = max(until, self.settled_at or until)

    def note_incident(self, seen: Observation | Missing, now: datetime) -> None:
        """An incident is a disturbance, too. It began within the first window that shows it: what reaches into that is
        held against no trial."""
        if isinstance(seen, Missing) or not _of_incident(seen):
            return
        self.disturbed_at = now
        while self.windows and self.windows[-1].window.end > seen.window.start:
            self.windows.pop()

    def settle(self, label: str, in_force_at: datetime | None) -> None:
        """The setting in force, as its rows are labelled. A new one forgets the windows of the old."""
        if label != self.label:
            self.windows.clear()
            self.splits.clear()
            self.newest = Missing(Reason.NO_DATA, "not observed yet")
        self.label, self.in_force_at = label, in_force_at

    def take(self, spec: ProfileSpec, ledger: Ledger, seen: Observation | Missing, setting: Setting) -> Ledger:
        """Keep a window that is disjoint from the last, and learn from it. Returns the ledger with what was learned.

        One of a part of the pods serves less than was served: a trial says so of it, at rest it is no window at all.
        """
        if not _of_incident(self.newest) or _tells(spec, ledger, seen):  # what is not known ends none
            self.newest = seen
        if isinstance(seen, Missing):
            return ledger
        if ledger.intent is None and of_a_part(seen):
            self.disturbed_at = max(seen.window.end, self.disturbed_at or seen.window.end)  # until all of them tell
            return ledger
        if not seen.clean:
            return ledger
        if self.windows and seen.window.start < self.windows[-1].window.end:
            return ledger
        self.windows.append(seen)
        return learn(spec, ledger, seen, setting)

    def take_split(self, seen: Split) -> None:
        """Keep a window of canary and rest. Nothing is learned from it: what load each side had, nobody knows."""
        own, rest = seen.cohort, seen.rest
        if isinstance(own, Missing) or isinstance(rest, Missing) or not (own.clean and rest.clean):
            return
        last = self.splits[-1].cohort if self.splits else None
        if not isinstance(last, Observation) or own.window.start >= last.window.end:
            self.splits.append(seen)

    def own_windows(self) -> tuple[Observation, ...]:
        """The windows that are looked at: while a canary runs, its own."""
        own = tuple(s.cohort for s in self.splits if isinstance(s.cohort, Observation))
        return own or tuple(self.windows)


def learn(spec: ProfileSpec, ledger: Ledger, seen: Observation, setting: Setting) -> Ledger:
    """Statistics always; a rung of the ladder only for the incumbent at rest that meets every SLO.

    One without data whose policy is Ignore is left out. Nothing of a part of the pods.
    """
    if of_a_part(seen):
        return ledger
    ledger = replace(ledger, rows=statistics.merge(ledger.rows, seen, setting))
    at_rest = ledger.intent is None and setting == ledger.incumbent
    if at_rest and all(_met(spec, seen, name) for name in (s.name for s in spec.slos)):
        ledger = transitions.climb(spec, ledger, seen)
    return ledger


def _of_incident(seen: Observation | Missing) -> bool:
    return not isinstance(seen, Missing) and seen.unclean_reason is Reason.LAST_KNOWN_GOOD_FAILING


def _tells(spec: ProfileSpec, ledger: Ledger, seen: Observation | Missing) -> bool:
    """Does this look know all by which an incident is told (`core.incumbent.watch`)?"""
    if isinstance(seen, Missing) or missing_figure(seen) is not None:
        return False
    counted = next((r.counted for r in ledger.ladder if r.setting == ledger.incumbent), {})
    return error_share.told(spec, counted, seen)


def _met(spec: ProfileSpec, seen: Observation, name: str) -> bool:
    slo = next(s for s in spec.slos if s.name == name)
    found = seen.slos.get(name, Missing(Reason.NO_DATA))
    verdict = judge(slo, found)
    if isinstance(found, Missing) and slo.on_no_data is OnNoData.IGNORE:
        return True
    return not isinstance(verdict, Missing) and verdict.state is SloState.MET
