"""Leader election over a Lease: who holds it may act, who loses it must end its process.

As client-go's leaderelection: what others write is only watched for change, and expiry is counted on our own
monotonic clock from the moment at which we saw a change. Timestamps of other machines are never compared
with our clock. A Lease fences nothing: writes carry their own preconditions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass

from pegbox.model.errors import NotFound, PegboxError, Refused, WriteConflict
from pegbox.ports import LEASE, Clock, Cluster, Object, Ref

log = logging.getLogger(__name__)

Heard = Callable[[Mapping[str, str], bool], None]
"""(annotations of the Lease, whether we lead): told at every reading, so every `retry` seconds."""


def _unheard(annotations: Mapping[str, str], leading: bool) -> None:
    """Nobody asks what stands on the Lease."""


Ended = Callable[[str], bool]
"""Whether the process of this identity is known to have ended."""


def _nobody(holder: str) -> bool:
    """Of no process it is known."""
    return False


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, as client-go's defaults: a holder that has not renewed for `renew` gives up, which must be
    before others may take over after `lease`. `retry` lies between attempts.
    """

    lease: float = 15.0
    renew: float = 10.0
    retry: float = 2.0

    @property
    def hung(self) -> float:
        """Seconds after which one attempt counts as hung: half of `renew`, as client-go's timeout for its Lease."""
        return self.renew / 2

    def __post_init__(self) -> None:
        if not 0 < self.retry < self.renew < self.lease:
            raise ValueError(f"lease timing {self}: it must hold that 0 < retry < renew < lease")


@dataclass(frozen=True, slots=True)
class _Seen:
    """The Lease as last read: its identity, who holds it, and when (monotonic) we first saw it renewed so.

    What others note on it moves its version and is no renewal: else a note would keep a dead holder in office.
    """

    uid: str
    version: str
    holder: str
    duration: float
    at: float
    renewed: str


class LeaseElection:
    """One candidate. `wait` returns as leader; `hold` returns when the lease is lost; `release` gives it up."""

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        ref: Ref,
        *,
        identity: str,
        timing: Timing | None = None,
        ended: Ended | None = None,
    ) -> None:
        """`identity` must be unique per process. A holder that has `ended` for certain is not waited for."""
        if ref.kind != LEASE:
            raise ValueError(f"{ref} is no Lease")
        self._cluster, self._clock, self._ref, self._identity = cluster, clock, ref, identity
        self._timing = timing if timing is not None else Timing()
        self._ended = ended if ended is not None else _nobody
        self._seen: _Seen | None = None
        self._renewed_at: float | None = None
        self._read_at = float("-inf")  # when the attempt began whose reading was the newest to come
        self.heard: Heard = _unheard
        self.carried: Callable[[], dict[str, str]] = dict
        """Annotations that the leader keeps on the Lease: what the next one has to know. They cost no extra write."""
        self.kept: Callable[[], dict[str, str]] = dict
        """Annotations of others that a Lease made anew gets again: deleting it must not release a brake."""

    @property
    def leading(self) -> bool:
        """Whether our last renewal is young enough that nobody else can lead. Ask right before each write."""
        renewed = self._renewed_at
        return renewed is not None and self._clock.monotonic() - renewed < self._timing.renew

    async def run(self, on_lost: Callable[[], None]) -> None:
        """Wait until leading, then hold; on loss call `on_lost`, which must end the process. Cancel to release."""
        try:
            await self.wait()
            await self.hold()
        except asyncio.CancelledError:
            await self.release()
            raise
        on_lost()

    async def wait(self) -> None:
        """Try every `retry` seconds until we lead."""
        while not await self._attempt_within(self._timing.hung):
            await self._clock.sleep(self._timing.retry)
        log.info("leading: %s holds %s", self._identity, self._ref)

    async def hold(self) -> None:
        """Renew every `retry` seconds. Returns once the lease is lost: taken, or not renewed for `renew` seconds.

        What failed is tried again sooner, and beside a call that hangs the next attempt begins all the same: whoever
        loses the lease ends its process.
        """
        attempts: set[asyncio.Task[bool]] = set()
        pause = self._timing.retry
        try:
            while self.leading:
                await self._clock.sleep(pause)
                if not self.leading:
                    break
                attempts.add(asyncio.create_task(self._attempt()))
                ended = await self._first(attempts, min(self._timing.retry, self._left))
                renewed = any(each.result() for each in ended if not each.cancelled())
                attempts = await _without(attempts, attempts if renewed else ended)
                if not renewed and self._taken():
                    break
                pause = self._timing.retry if renewed else self._timing.retry / 4 if ended else 0.0
        finally:
            await _without(attempts, attempts)
        self._renewed_at = None
        log.error("%s lost %s", self._identity, self._ref)

    @property
    def _left(self) -> float:
        """Seconds for which we still lead."""
        return max(0.0, (self._renewed_at or 0.0) + self._timing.renew - self._clock.monotonic())

    async def _first(self, attempts: set[asyncio.Task[bool]], seconds: float) -> set[asyncio.Task[bool]]:
        """Those that ended once one of them has, or after `seconds`."""
        limit = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({*attempts, limit}, return_when=asyncio.FIRST_COMPLETED)
            return {each for each in attempts if each.done()}
        finally:
            limit.cancel()
            await asyncio.gather(limit, return_exceptions=True)

    async def release(self) -> None:
        """Give the lease up, so that the next leader need not wait for its expiry. Never raises a PegboxError."""
        self._renewed_at = None
        if not await self._within(self._timing.hung, self._give_up()):
            log.warning("%s was not released: the next leader waits until it ran out", self._ref)

    async def _give_up(self) -> bool:
        """By what stands there: what ended us may have come between a renewal and its answer, or before we knew that we
        lead. A renewal that is still on its way meets another version, or moves the one that we name: then once more.
        """
        while True:
            try:
                self._observe(await self._cluster.get(self._ref))
                if self._seen is not None and self._seen.holder == self._identity:
                    await self._cluster.apply(self._body("", 1.0, self._seen), force=True)
                return True
            except NotFound:
                return True
            except WriteConflict:
                await self._clock.sleep(self._timing.retry / 20)
            except PegboxError as error:
                log.warning("%s could not be released: %s", self._ref, error)
                return False

    async def _attempt_within(self, seconds: float) -> bool:
        """An attempt that a call without an answer cannot keep: neither past the moment at which we stop leading, nor
        so long that no second one fits before it. What it wrote all the same is ours, and seen at the next reading.
        """
        return await self._within(seconds, self._attempt())

    async def _within(self, seconds: float, doing: Coroutine[None, None, bool]) -> bool:
        """What it says, or False where it took longer."""
        attempt = asyncio.ensure_future(doing)
        limit = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({attempt, limit}, return_when=asyncio.FIRST_COMPLETED)
            return attempt.done() and attempt.result()
        finally:
            for task in (attempt, limit):
                task.cancel()
            await asyncio.gather(attempt, limit, return_exceptions=True)

    async def _attempt(self) -> bool:
        """One try to take or renew; False where another holds it, or the server could not be asked."""
        started = self._clock.monotonic()
        try:
            body = await self._cluster.get(self._ref)
            if started < self._read_at:
                return False  # one that began later has read already: this is old, and may lack a stop
            self._read_at = started
            self._observe(body)
            self.heard(body["metadata"].get("annotations") or {}, self.leading)
        except NotFound:
            self._seen = None
        except PegboxError as error:
            log.warning("%s cannot be read: %s", self._ref, error)
            return False
        seen = self._seen
        if seen is not None and self._taken() and started < seen.at + seen.duration and not self._ended(seen.holder):
            return False
        try:
            await self._write(seen)
        except WriteConflict:
            return False  # somebody was faster: look again
        except PegboxError as error:
            log.warning("%s cannot be written: %s", self._ref, error)
            return False
        # From before the request: the server may have stored it at any time since.
        self._renewed_at = max(started, self._renewed_at or started)
        self._ended = _nobody  # whoever holds it after us came after us
        return True

    def _taken(self) -> bool:
        return self._seen is not None and self._seen.holder not in ("", self._identity)

    def _observe(self, body: Object) -> None:
        version = str(body["metadata"]["resourceVersion"])
        if self._seen is None or self._seen.version != version:
            spec = body.get("spec") or {}
            duration = float(spec.get("leaseDurationSeconds") or self._timing.lease)
            uid, before, at = str(body["metadata"]["uid"]), self._seen, self._clock.monotonic()
            holder, renewed = str(spec.get("holderIdentity") or ""), str(spec.get("renewTime") or "")
            if before is not None and (before.uid, before.holder, before.renewed) == (uid, holder, renewed):
                at = before.at
            self._seen = _Seen(uid, version, holder, duration, at, renewed)

    async def _write(self, seen: _Seen | None) -> None:
        """Compare-and-swap: create where there is none, else replace the very version that was read."""
        if seen is None:
            stored = await self._cluster.create(self._body(self._identity, self._timing.lease))
        else:
            body = self._body(self._identity, self._timing.lease, seen)
            stored = await self._cluster.apply(body, force=True)
        self._observe(stored)

    def _body(self, holder: str, duration: float, seen: _Seen | None = None) -> Object:
        metadata: Object = {"name": self._ref.name, "namespace": self._ref.namespace}
        if seen is not None:
            metadata |= {"uid": seen.uid, "resourceVersion": seen.version}
        notes = self.carried() if seen is not None else self.kept() | self.carried()
        if notes:
            metadata["annotations"] = notes
        now = self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": holder, "leaseDurationSeconds": int(duration), "renewTime": now}
        return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}


class LeaseReader:
    """For an operator that elects nobody: what stands on the Lease is heard all the same.

    Where there is no Lease, one is made that nobody holds: people must find something to annotate.
    """

    def __init__(self, cluster: Cluster, clock: Clock, ref: Ref, heard: Heard, *, every: float = 2.0) -> None:
        """`every` seconds it is looked at, as often as a leader would renew it."""
        self._cluster, self._clock, self._ref, self._heard, self._every = cluster, clock, ref, heard, every
        self._refused = ""

    async def look(self) -> bool:
        """False where it is not known what stands there. An account without the right to look is told, once."""
        try:
            body = await self._body()
        except Refused as error:
            if str(error) != self._refused:
                log.warning("%s may not be read, so that no global stop is heard: %s", self._ref, error)
            self._refused = str(error)
            return True
        except PegboxError as error:
            log.warning("%s cannot be read: %s", self._ref, error)
            return False
        self._heard(body["metadata"].get("annotations") or {}, True)
        return True

    async def first(self) -> None:
        """Until it was looked at once: nothing may be written before."""
        while not await self.look():
            await self._clock.sleep(self._every)

    async def run(self) -> None:
        """For ever. While the server cannot be asked, what was heard last holds."""
        while True:
            await self._clock.sleep(self._every)
            await self.look()

    async def _body(self) -> Object:
        try:
            return await self._cluster.get(self._ref)
        except NotFound:
            metadata = {"name": self._ref.name, "namespace": self._ref.namespace}
            body: Object = {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": {}}
            return await self._cluster.create(body)


async def _without(tasks: set[asyncio.Task[bool]], some: set[asyncio.Task[bool]]) -> set[asyncio.Task[bool]]:
    """The others, once these are ended."""
    for each in some:
        each.cancel()
    await asyncio.gather(*some, return_exceptions=True)
    return tasks - some
