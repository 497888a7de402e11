"""Brakes above one profile, as one decision sees them: the global stop, the workload's opt-out, the fleet breaker."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pegbox.model.observations import Missing

STOP_ANNOTATION = "pegbox.dev/stop"  # on the operator's own Lease
OPT_OUT_ANNOTATION = "pegbox.dev/opt-out"  # on a Deployment or StatefulSet


class Stop(StrEnum):
    """What the global stop asks for. RESTORE includes STOP."""

    STOP = "stop"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class Brakes:
    """`stop` and `opted_out` with what was written there, for people; `held` says why no new trial may start.

    `opened`: the fleet breaker is Open, so that those under way end, too; not while it is half open.
    """

    stop: Stop | None = None
    stop_text: str = ""
    opted_out: bool = False
    opt_out_text: str = ""
    held: Missing | None = None
    opened: bool = False


def parse_stop(text: str | None) -> tuple[Stop | None, str]:
    """The annotation on the Lease. None: it is not there. A brake that is misspelt must brake all the same."""
    if text is None:
        return None, ""
    word = text.strip().lower()
    if word in (Stop.STOP.value, Stop.RESTORE.value):
        return Stop(word), f"{STOP_ANNOTATION}={word} on the operator's Lease"
    why = f"{STOP_ANNOTATION}: {text[:64]!r} is neither stop nor restore: it counts as stop; remove it to go on"
    return Stop.STOP, why


def parse_opt_out(text: str | None) -> tuple[bool, str]:
    """The annotation on a workload. None: it is not there. What cannot be read counts as opted out."""
    if text is None or text.strip().lower() == "false":
        return False, ""
    if text.strip().lower() == "true":
        return True, f"{OPT_OUT_ANNOTATION}: true on the target"
    why = f"{OPT_OUT_ANNOTATION}: {text[:64]!r} is neither true nor false: it counts as opted out; correct or remove it"
    return True, why
