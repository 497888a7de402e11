"""The exception tree.

PegboxError
├── InvalidInput      the user's text is wrong: names field, value and remedy
├── NotAvailable      an outside system could not be asked (server down, timeout)
├── WriteConflict     the object moved since it was read (409 on resourceVersion, uid or ownership)
├── Refused           the server understood and will not do it (403, 422, quota, webhook)
│   ├── NotEvicted    a PodDisruptionBudget, or a webhook in its place, keeps a pod from being evicted now
│   └── ResizeRefused it will not resize some pods; everything else was written
└── NotFound          the object is gone
"""

from __future__ import annotations

from collections.abc import Mapping

MAX_SHOWN = 300
"""Characters of a value that an error shows: it ends in conditions, Events and logs, which all have limits."""

MAX_REMEDY = 2000
"""Characters of a remedy: some list what is known, or say what another program said."""


class PegboxError(Exception):
    """Root of everything that Pegbox raises on purpose."""


class InvalidInput(PegboxError, ValueError):
    """User text that cannot be used. The text always names the field, the value and the remedy."""

    def __init__(self, field: str, value: object, remedy: str) -> None:
        self.field, self.value, self.remedy = field, value, remedy
        super().__init__(f"{_cut(field)}: {shown(value)} cannot be used: {remedy[:MAX_REMEDY]}")

    def __reduce__(self) -> tuple[type[InvalidInput], tuple[str, object, str]]:
        """Another process may raise it: copies are made of what it was made of, not of its text."""
        return type(self), (self.field, self.value, self.remedy)


def shown(value: object) -> str:
    """The value as an error shows it: escaped, cut, and of any value, also one nested too deep to be spelled."""
    try:
        return _cut(repr(value))
    except (RecursionError, ValueError):  # ValueError: a whole number of more than 4300 digits
        return f"a {type(value).__name__} that is too large to show"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


class NotAvailable(PegboxError):
    """An outside system could not be asked: try again later, decide nothing from it."""


class NotServed(NotAvailable):
    """The server does not know the resource type: an older server, or a CustomResourceDefinition that is missing."""


class NotFound(PegboxError):
    """The object does not exist (any more)."""


class Refused(PegboxError):
    """The server understood the request and will not do it; trying the same again will not help."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class NotEvicted(Refused):
    """Something keeps this one pod from being evicted now, and the server is well. `budget` names the
    PodDisruptionBudget where the server did. `lasting`: no time will change it, somebody has to; the message says what.
    """

    def __init__(self, message: str, *, status: int = 0, budget: str = "", lasting: bool = False) -> None:
        super().__init__(message, status=status)
        self.budget, self.lasting = budget, lasting


class ResizeRefused(Refused):
    """Pods that the server will not resize, by uid, with its words. Everything else was written."""

    def __init__(self, pods: Mapping[str, str]) -> None:
        super().__init__("; ".join(pods.values()))
        self.pods = pods


class WriteConflict(PegboxError):
    """The object moved, was recreated, or belongs to somebody else. `owners` names field managers."""

    def __init__(self, message: str, *, owners: tuple[FieldOwner, ...] = ()) -> None:
        super().__init__(message)
        self.owners = owners


class FieldOwner(tuple[str, str]):
    """(field manager, field path), as the server named them in a conflict."""

    __slots__ = ()

    def __new__(cls, manager: str, field: str) -> FieldOwner:
        return super().__new__(cls, (manager, field))

    @property
    def manager(self) -> str:
        return self[0]

    @property
    def field(self) -> str:
        return self[1]
