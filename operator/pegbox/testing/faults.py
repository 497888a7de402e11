"""Faults on demand: errors, lost answers, missing rights, kill points, and the log of writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pegbox.model.errors import NotServed, Refused
from pegbox.ports import Kind


class Killed(BaseException):
    """The process ended here. No PegboxError and no Exception: nothing may catch it and carry on."""


@dataclass(frozen=True, slots=True)
class WriteRecord:
    """One write. `changed` is False for a no-op, which does not move resourceVersion."""

    verb: str
    kind: str
    namespace: str
    name: str
    subresource: str
    manager: str
    changed: bool = False


@dataclass
class _Due:
    verb: str
    kind: Kind | None
    error: BaseException
    times: int
    lost: bool


Reached = Callable[[str, WriteRecord], None]


@dataclass
class Faults:
    """What goes wrong, and when. Verbs are the port's: get, list, apply, create and so on; `*` is any."""

    log: list[WriteRecord] = field(default_factory=list)
    _due: list[_Due] = field(default_factory=list)
    _denied: set[tuple[str, str, str, str]] = field(default_factory=set)
    _uninstalled: set[Kind] = field(default_factory=set)
    _watchers: list[Reached] = field(default_factory=list)

    def fail_next(
        self, verb: str, kind: Kind | None, error: BaseException, times: int = 1, *, lost: bool = False
    ) -> None:
        """The next `times` calls fail. With `lost` the write is carried out and only its answer is lost."""
        self._due.append(_Due(verb, kind, error, times, lost))

    def deny(self, verb: str, group: str, resource: str, namespace: str = "*") -> None:
        """RBAC does not allow it: calls are Refused (403) and access reviews say no. `*` stands for any."""
        self._denied.add((verb, group, resource, namespace))

    def grant_all(self) -> None:
        self._denied.clear()

    def uninstall(self, kind: Kind) -> None:
        """The CustomResourceDefinition is not there."""
        self._uninstalled.add(kind)

    def install(self, kind: Kind) -> None:
        self._uninstalled.discard(kind)

    def on_write(self, reached: Reached) -> None:
        """Called with "before" or "after" at every write; raising Killed there ends the writer."""
        self._watchers.append(reached)

    def is_uninstalled(self, kind: Kind) -> bool:
        return kind in self._uninstalled

    def denies(self, *asked: str) -> bool:
        return any(all(held in ("*", each) for held, each in zip(row, asked, strict=True)) for row in self._denied)

    def enter(self, verb: str, kind: Kind, namespace: str, subresource: str = "") -> None:
        """What a call meets on its way in: an error that is due, a kind that is not there, a right that is missing."""
        self.raise_due(verb, kind)
        if self.is_uninstalled(kind):
            raise NotServed(f"{kind.plural} ({kind.api_version}) is not installed: apply its CustomResourceDefinition")
        group = kind.api_version.rpartition("/")[0]
        resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
        rbac = {"apply": "patch", "json_patch": "patch", "evict": "create"}.get(verb, verb)
        if self.denies(rbac, group, resource, namespace):
            raise Refused(f"RBAC does not allow {rbac} {resource} in {namespace!r}", status=403)

    def raise_due(self, verb: str, kind: Kind) -> None:
        self._raise(verb, kind, lost=False)

    def raise_lost(self, verb: str, kind: Kind) -> None:
        self._raise(verb, kind, lost=True)

    def _raise(self, verb: str, kind: Kind, *, lost: bool) -> None:
        for due in self._due:
            if due.lost is lost and due.verb in ("*", verb) and due.kind in (None, kind):
                due.times -= 1
                if due.times <= 0:
                    self._due.remove(due)
                raise due.error

    def record(self, write: WriteRecord, changed: bool) -> None:
        self.log.append(replace(write, changed=changed))

    def reach(self, when: str, write: WriteRecord) -> None:
        for each in list(self._watchers):
            each(when, write)
