"""Brakes above one profile, as the leading process knows them: the Lease's annotation, the fleet breaker, the slots.

Nothing here may be lost by a restart: the stop stands on the Lease, the breaker's state too, harm and intents under
way stand in the ledgers. What happens between a check and its reservation is one step without an await.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from pegbox.adapters.telemetry import Telemetry
from pegbox.api import ledger_codec
from pegbox.core import fleet as fleets
from pegbox.core import slots
from pegbox.core.fleet import Ended, Facts, Fleet
from pegbox.core.slots import Entry, Flight, SlotLimits
from pegbox.model import brakes as model
from pegbox.model import units
from pegbox.model.brakes import Stop
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import SearchSpace
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.trials import Amount, Amounts, BreakerState, Intent, IntentKind, Ledger
from pegbox.ports import LEDGER, Clock, Cluster, Object
from pegbox.runtime.reading import opt_out
from pegbox.runtime.settings import Settings

log = logging.getLogger(__name__)

FLEET_ANNOTATION = "pegbox.dev/fleet-breaker"
FORGOTTEN = 900.0  # seconds: a profile that nobody could work on for so long gives its slot up
REPLACING = Flight(restarts=True)
READING = Missing(Reason.WAITING_FOR_SLOT, "what is under way elsewhere is still being read")
PATIENCE = 60.0  # seconds: a metrics server that gave no answer for so long is sick


@dataclass(frozen=True, slots=True)
class BrakeLimits:
    """From the operator's settings."""

    slots: SlotLimits = SlotLimits()
    fleet: fleets.Limits = fleets.Limits()
    write_failure_share: float = 0.5


def limits(settings: Settings) -> BrakeLimits:
    breaker = settings.fleetBreaker
    return BrakeLimits(
        SlotLimits(settings.maxConcurrentTrials, settings.maxConcurrentRestarts, _hourly(settings)),
        fleets.Limits(
            breaker.profiles,
            timedelta(seconds=breaker.withinSeconds),
            timedelta(seconds=breaker.baseSeconds),
            timedelta(seconds=breaker.longestSeconds),
        ),
        breaker.writeFailureShare,
    )


def _hourly(settings: Settings) -> Amounts:
    return Amounts(
        _amount(settings.maxReplicasAddedPerHour, settings.maxCpuAddedPerHour, settings.maxMemoryAddedPerHour),
        _amount(settings.maxReplicasRemovedPerHour, settings.maxCpuRemovedPerHour, settings.maxMemoryRemovedPerHour),
    )


def _amount(pods: int, cores: str, count: str) -> Amount:
    return Amount(pods, math.ceil(units.parse_quantity(cores) * 1000), math.ceil(units.parse_quantity(count)))


@dataclass
class Brakes:
    """Of one process. `recalled` False: the ledgers of other profiles are not known yet, so nothing may start."""

    clock: Clock
    telemetry: Telemetry
    limits: BrakeLimits = BrakeLimits()
    jitter: Callable[[], float] = lambda: 0.0
    recalled: bool = True
    changed: Callable[[], None] = lambda: None
    stop: Stop | None = field(default=None, init=False)
    stop_text: str = field(default="", init=False)
    fleet: Fleet = field(default=Fleet(), init=False)
    _flights: dict[str, tuple[float, Flight]] = field(default_factory=dict, init=False)
    _replacing: dict[str, float] = field(default_factory=dict, init=False)  # profile -> when it last could, at rest
    _entries: dict[tuple[str, str], Entry] = field(default_factory=dict, init=False)  # (profile, trial)
    _reserved: dict[str, str] = field(default_factory=dict, init=False)  # profile -> trial, until its ledger was seen
    _unseen: dict[str, float] = field(default_factory=dict, init=False)  # recalled, but its knobs are not known yet
    _ended: dict[str, Ended] = field(default_factory=dict, init=False)
    _writes: dict[str, tuple[float, bool]] = field(default_factory=dict, init=False)
    _sources: dict[str, tuple[float, float | None]] = field(default_factory=dict, init=False)

    # --- what is heard

    def notice(self, annotations: Mapping[str, str], leading: bool) -> None:
        """The operator's Lease was read. Until we lead, the breaker is what the leader says of it."""
        if not leading:
            self.fleet = fleets.of_text(annotations.get(FLEET_ANNOTATION, ""))
        stop, text = model.parse_stop(annotations.get(model.STOP_ANNOTATION))
        if (stop, text) == (self.stop, self.stop_text):
            return
        log.warning("stopped: %s" if stop is not None else "no longer stopped%s", text)
        if stop is None and leading:
            self.fleet = Fleet(since=self.clock.now())  # a person looked, and lets everything go on
        self.stop, self.stop_text = stop, text
        self.telemetry.stopped(stop)
        self.changed()

    def carried(self) -> dict[str, str]:
        """Annotations for the Lease: what the next leader has to know."""
        text = fleets.to_text(self.fleet)
        return {FLEET_ANNOTATION: text} if text else {}

    def kept(self) -> dict[str, str]:
        """What a Lease that somebody deleted has to say again."""
        return {model.STOP_ANNOTATION: self.stop.value} if self.stop is not None else {}

    def wrote(self, what: str, answered: bool) -> None:
        """A write to the API server ended."""
        now = self.clock.monotonic()
        self._writes.pop(what, None)
        self._writes[what] = (now, answered)  # so the oldest stands first
        while now - next(iter(self._writes.values()))[0] > fleets.WRITES_FOR:
            del self._writes[next(iter(self._writes))]

    def asked(self, source: str, answered: bool) -> None:
        """A metrics server was asked."""
        now = self.clock.monotonic()
        _, since = self._sources.get(source, (now, None))
        self._sources[source] = (now, None if answered else now if since is None else since)

    def seen(self, key: str, space: SearchSpace | None, ledger: Ledger, *, moves: bool = True) -> None:
        """One profile's ledger as it stands: its intent holds slots, if it `moves` and is not put off by the mode. Its
        trials' ends move the breaker."""
        flight = slots.flight(ledger.intent if moves else None, space)
        self._flights.pop(key, None)
        if flight != Flight():
            self._flights[key] = (self.clock.monotonic(), flight)
        if space is None:
            self._unseen[key] = self.clock.monotonic()
        else:
            self._unseen.pop(key, None)
        self._enter(key, space, ledger)
        self._ended[key] = fleets.ended(ledger)
        self._step()

    async def recall(self, cluster: Cluster, namespaces: Sequence[str], profiles: Mapping[str, str]) -> None:
        """At a start: every ledger once, of profiles that exist (key -> uid). Raises NotAvailable, Refused."""
        bodies = [body for namespace in namespaces for body in await cluster.list(LEDGER, namespace)]
        for body in bodies:
            key = f"{body['metadata']['namespace']}/{body['metadata']['name']}"
            ledger = _decoded(body)
            if ledger is None or key in self._ended:
                continue
            if profiles.get(key) == ledger.profile_uid:
                self.seen(key, None, ledger)
            else:
                self._enter(key, None, ledger)  # what a profile changed within the hour outlives the profile
        self.recalled = True
        self._step()

    def forget(self, key: str) -> None:
        """The profile is gone."""
        self._flights.pop(key, None)
        self._replacing.pop(key, None)
        self._ended.pop(key, None)
        self._unseen.pop(key, None)

    # --- what is said

    def of(self, key: str, target: Object | None) -> model.Brakes:
        """For one decision."""
        self._step()
        opted_out, text = opt_out(target)
        is_open = self.fleet.state is BreakerState.OPEN
        return model.Brakes(self.stop, self.stop_text, opted_out, text, self._held(key), is_open)

    def reserve(self, key: str, space: SearchSpace, intent: Intent) -> Missing | None:
        """Take the slots of an intent that is about to begin, or say why it has to wait."""
        wanted = slots.flight(intent, space)
        if wanted == Flight():
            return None
        if self.stop is not None:
            return Missing(Reason.STOPPED, self.stop_text)
        if not self.recalled:
            return READING
        held = self._held(key) if intent.kind is IntentKind.TRIAL else None
        refused = held or slots.refusal(self._others(key), wanted, self.limits.slots)
        if refused is None and intent.kind is IntentKind.TRIAL:
            refused = self._book(key, slots.entry(intent))
        if refused is not None:
            return refused
        self._flights[key] = (self.clock.monotonic(), wanted)
        if self.fleet.state is BreakerState.HALF_OPEN and wanted.trial:
            self.fleet = replace(self.fleet, probe=key)
        return None

    def release(self, key: str) -> None:
        """What was reserved does not begin after all."""
        self._flights.pop(key, None)
        self._entries.pop((key, self._reserved.pop(key, "")), None)
        self._step()

    def replaces(self, key: str, *, waits: bool) -> Missing | None:
        """Take a slot for pods that are replaced at rest, or keep it; or say why they have to wait."""
        now = self.clock.monotonic()
        held = now - self._replacing.get(key, -math.inf) < FORGOTTEN
        if waits and self.stop is not None:
            return Missing(Reason.STOPPED, self.stop_text)
        if waits and not held:
            refused = slots.refusal(self._others(key), REPLACING, self.limits.slots) if self.recalled else READING
            if refused is not None:
                return refused
        self._replacing[key] = now
        return None

    def rests(self, key: str) -> None:
        """No pod of it is replaced at rest, or none any more."""
        self._replacing.pop(key, None)

    # --- parts

    def _others(self, key: str) -> dict[str, Flight]:
        """What others have under way. A profile that is not looked at, or cannot go on, is forgotten after a while."""
        now = self.clock.monotonic()
        found = {k: f for k, (at, f) in self._flights.items() if now - at < FORGOTTEN}
        found |= {k: REPLACING for k, at in self._replacing.items() if k not in found and now - at < FORGOTTEN}
        return {k: f for k, f in found.items() if k != key}

    def _enter(self, key: str, space: SearchSpace | None, ledger: Ledger) -> None:
        """What the ledger records; only what was reserved and never recorded is taken back. A ledger that was lost, or
        is another profile's of the same name, makes nothing undone."""
        self._entries.pop((key, self._reserved.pop(key, "")), None)
        now = self.clock.now()
        self._entries |= {(key, e.id): e for e in slots.entries(ledger, space) if now - e.at < slots.HOUR}

    def _book(self, key: str, wanted: Entry) -> Missing | None:
        """Room for so much change within this hour; where there is, it is taken."""
        now, limits = self.clock.now(), self.limits.slots
        if slots.limited(wanted.change, limits):
            if any(self.clock.monotonic() - at < FORGOTTEN for at in self._unseen.values()):
                return Missing(Reason.WAITING_FOR_SLOT, "what changed elsewhere in the last hour is still being read")
            refused = slots.too_much(self._entries.values(), wanted.change, limits, now)
            if refused is not None:
                return refused
        self._entries[key, wanted.id] = wanted
        self._reserved[key] = wanted.id
        return None

    def _held(self, key: str) -> Missing | None:
        fleet = self.fleet
        if fleet.state is BreakerState.OPEN and fleet.until is not None:
            until = fleet.until.replace(microsecond=0).isoformat()
            return Missing(Reason.FLEET_BREAKER_OPEN, f"open until {until}: {fleet.why}")
        if fleet.state is BreakerState.HALF_OPEN and fleet.probe not in ("", key):
            return Missing(Reason.FLEET_BREAKER_OPEN, f"half open, {fleet.probe} tries first: {fleet.why}")
        return None

    def _step(self) -> None:
        if not self.recalled:
            return  # harm and trials of other profiles are not known yet
        flights = self._others("")
        flying = frozenset(k for k, f in flights.items() if f.trial)
        facts = Facts(self._ended, flying, self._sick())
        before = self.fleet
        self.fleet = fleets.step(before, facts, self.limits.fleet, self.clock.now(), self.jitter())
        if self.fleet.state is not before.state:
            log.warning("fleet breaker %s: %s", self.fleet.state.value, self.fleet.why or "a probe did no harm")
        self.telemetry.fleet_breaker(self.fleet.state)
        self.telemetry.in_flight(len(flying), sum(f.restarts for f in flights.values()))
        now = self.clock.now()
        self._entries = {k: e for k, e in self._entries.items() if now - e.at < slots.HOUR}
        self.telemetry.changed(slots.lately(self._entries.values(), now))

    def _sick(self) -> str:
        now = self.clock.monotonic()
        in_use = [since for asked, since in self._sources.values() if now - asked < FORGOTTEN]
        if in_use and all(since is not None and now - since >= PATIENCE for since in in_use):
            return "no metrics server answers"
        return fleets.failing_writes(self._writes, now, self.limits.write_failure_share)


def _decoded(body: Object) -> Ledger | None:
    """A ledger that cannot be read is told by its own profile; it holds up no other."""
    try:
        return ledger_codec.decode(body)
    except InvalidInput:
        return None
