"""LiveSettings: the mounted settings document, read again on change and brought into force in one piece.

A kubelet replaces the files of a mounted ConfigMap by moving one symbolic link, so a poll of `stat` sees
each change whole; inotify would need a watch per link target and gains nothing over half a second.

Order: read, check the document, check every value, apply to every subscriber, wait until the subscribers have
settled (a shrink is in force only when the excess is gone), and only then acknowledge by metric. Whatever
fails before that leaves the last good setting in force and is counted with its reason.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry

from pegbox.live.document import (
    MAX_BYTES,
    RejectedLoad,
    RejectReason,
    SettingsDocument,
    parse,
    values_hash,
)
from pegbox.live.knobs import Declaration, Knob, Values
from pegbox.live.metrics import Acknowledgement, SettingsMetrics

DEFAULT_PATH = Path("/etc/pegbox/settings.json")

Apply = Callable[[Values, Values], None]
Settled = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class SettingsSource:
    """Where the document is mounted, who reads it, and how often it is looked at (seconds)."""

    path: Path = DEFAULT_PATH
    pod_name: str = ""
    poll_interval: float = 0.5

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> SettingsSource:
        """PEGBOX_SETTINGS (a path) and POD_NAME (by the downward API; without it no cohort can name this
        pod).
        """
        return cls(
            path=Path(environment.get("PEGBOX_SETTINGS", str(DEFAULT_PATH))),
            pod_name=environment.get("POD_NAME", ""),
        )


@dataclass
class _Subscriber:
    apply: Apply
    settled: Settled | None


@dataclass(frozen=True)
class InForce:
    """A setting that the subscribers run with, and the document that it came from."""

    values: Values
    strings: Mapping[str, str]
    profile_uid: str = ""
    generation: int = 0

    def same_profile(self, document: SettingsDocument) -> bool:
        return self.generation > 0 and self.profile_uid == document.profile_uid


@dataclass
class _Watch:
    """What the poll remembers between two looks: the file's signature, and whether it ever was there."""

    signature: tuple[object, ...] | None = None
    seen: bool = field(default=False)


class LiveSettings:
    """Typed settings of one process. Subscribe first, then `start`; `current` always holds a full setting."""

    def __init__(
        self,
        knobs: Iterable[Knob[Any]],
        source: SettingsSource | None = None,
        *,
        registry: CollectorRegistry = REGISTRY,
        logger: logging.Logger | None = None,
    ) -> None:
        self._declaration = Declaration(knobs)
        self._source = source or SettingsSource.from_environment()
        self._logger = logger or logging.getLogger("pegbox.live")
        self._metrics = SettingsMetrics(registry)
        self._subscribers: list[_Subscriber] = []
        self._watch = _Watch()
        self._in_force = InForce(self._declaration.defaults(), {})
        self._metrics.show_values(self._in_force.values.by_name())
        self._poll: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None

    @property
    def current(self) -> Values:
        """The setting that was applied last; the application's defaults until a document was read."""
        return self._in_force.values

    @property
    def generation(self) -> int:
        """Generation of the document in force; 0 while the defaults are."""
        return self._in_force.generation

    def subscribe(self, apply: Apply, settled: Settled | None = None) -> None:
        """Call `apply(old, new)` on each change, in the order of subscription.

        `apply` must be quick and may raise to refuse the setting: those applied before it are then put back.
        `settled` returns when the new setting is in force (for a shrink: when the excess is gone); the
        acknowledgement waits for it. A newer document does not wait: it is applied over one that still
        settles.
        """
        if self._poll is not None:
            raise RuntimeError("subscribe() after start(): a setting was already acknowledged; subscribe first")
        self._subscribers.append(_Subscriber(apply, settled))

    async def start(self) -> None:
        """Bring the mounted document into force and acknowledge it, then keep looking."""
        self.refresh()
        if self._settling is not None:
            await self._settling
        self._poll = asyncio.get_running_loop().create_task(self._keep_looking(), name="pegbox-settings")

    async def stop(self) -> None:
        """Stop looking. The setting stays in force."""
        tasks = [task for task in (self._poll, self._settling) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._poll = self._settling = None

    async def __aenter__(self) -> LiveSettings:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def refresh(self) -> bool:
        """Look once; True when a new document was applied. It is acknowledged when its subscribers have
        settled.

        Blocking on purpose: the file is local, at most 256 KiB, and is read only when its signature changed.
        """
        try:
            raw = self._read_if_changed()
            if raw is None:
                return False
            document = parse(raw)
            strings = document.values_for(self._source.pod_name)
            if not self._is_news(document, strings):
                return False
            self._apply(self._declaration.parse(strings))
        except RejectedLoad as rejected:
            self._metrics.rejected(rejected.reason.value)
            self._logger.warning(
                "settings rejected (%s), generation %d stays in force: %s",
                rejected.reason.value,
                self._in_force.generation,
                rejected,
            )
            return False
        self._in_force = InForce(self._declaration.parse(strings), strings, document.profile_uid, document.generation)
        self._acknowledge_when_settled()
        return True

    def _read_if_changed(self) -> bytes | None:
        path = self._source.path
        try:
            found = path.stat()
            signature = (str(path.resolve()), found.st_ino, found.st_mtime_ns, found.st_size)
            if signature == self._watch.signature:
                return None
            with path.open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            self._nothing_there()
            return None
        except OSError as error:
            self._unreadable(error)
            return None
        self._watch = _Watch(signature, seen=True)
        return raw

    def _nothing_there(self) -> None:
        """Before the first document that is normal (the mount is optional); after it, the last good one
        stays.
        """
        seen, self._watch = self._watch.seen, _Watch()
        if seen:
            raise RejectedLoad(RejectReason.VANISHED, f"{self._source.path}: the file is gone; is the ConfigMap?")

    def _unreadable(self, error: OSError) -> None:
        signature = ("unreadable", error.errno)
        if self._watch.signature != signature:
            self._watch = _Watch(signature, self._watch.seen)
            raise RejectedLoad(RejectReason.UNREADABLE, f"{self._source.path}: {error.strerror}; check the mount")

    def _is_news(self, document: SettingsDocument, strings: Mapping[str, str]) -> bool:
        """Whether a document goes on; raises for one that may not replace the one in force."""
        held = self._in_force
        if not held.same_profile(document):
            return True
        if document.generation < held.generation:
            raise RejectedLoad(
                RejectReason.STALE_GENERATION,
                f"generation: {document.generation} is older than {held.generation}, which is in force; "
                f"generations "
                "of one profile only ever grow, in rollbacks too",
            )
        if document.generation > held.generation:
            return True
        if dict(strings) != dict(held.strings):
            raise RejectedLoad(
                RejectReason.GENERATION_REUSED,
                f"generation: {document.generation} is in force with other values; a new setting needs a new one",
            )
        return False

    def _apply(self, new: Values) -> None:
        old = self._in_force.values
        applied: list[_Subscriber] = []
        try:
            for subscriber in self._subscribers:
                applied.append(subscriber)
                subscriber.apply(old, new)
        except Exception as error:
            self._put_back(applied, new, old)
            raise RejectedLoad(
                RejectReason.APPLY_FAILED,
                f"a subscriber refused the setting: {error!r}; the old one is put back",
            ) from error

    def _put_back(self, applied: list[_Subscriber], new: Values, old: Values) -> None:
        for subscriber in reversed(applied):
            try:
                subscriber.apply(new, old)
            except Exception:
                self._logger.exception("a subscriber failed to put the old setting back")

    def _acknowledge_when_settled(self) -> None:
        held = self._in_force
        if self._settling is not None:
            self._settling.cancel()
        self._settling = asyncio.get_running_loop().create_task(self._settle(held), name="pegbox-settling")

    async def _settle(self, held: InForce) -> None:
        try:
            for subscriber in self._subscribers:
                if subscriber.settled is not None:
                    await subscriber.settled()
        except Exception:
            self._logger.exception("generation %d did not settle and is not acknowledged", held.generation)
            return
        self._metrics.acknowledge(
            Acknowledgement(held.profile_uid, values_hash(held.strings), held.generation, held.values.by_name())
        )
        self._logger.info("settings generation %d of %s in force", held.generation, held.profile_uid)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._source.poll_interval)
            try:
                self.refresh()
            except Exception:
                self._logger.exception("looking at the settings failed; the last good ones stay in force")
