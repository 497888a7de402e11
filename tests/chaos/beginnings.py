"""What may begin at all, by whom it was asked for and by what is known; and what may not stay unsaid. Called by `Watch`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pegbox.model.trials import Intent, IntentKind
from tests.chaos.violation import Violation
from tests.chaos.world import World


@dataclass(frozen=True)
class Paused:
    """The verbs of a person that the ledger acted on last, and what they made of the pause."""

    asked: tuple[str, ...] = ("", "")
    until: datetime | None = None


@dataclass
class Begun:
    """Of each profile the newest intent, by its id, and its pause."""

    newest: dict[str, str] = field(default_factory=dict)
    paused: dict[str, Paused] = field(default_factory=dict)


def only_what_may_begin(world: World, name: str, begun: Begun) -> None:
    """What the ledger holds now. Excluded on purpose: one that was replaced by an older one has not heard of verbs since,
    and acts on `pause` and `resume` anew, in this order."""
    ledger = world.ledger(name)
    if ledger is None:
        return
    if name in world.replaced:
        world.replaced.discard(name)
        begun.paused.pop(name, None)
    asked = tuple(ledger.tokens.get(verb, "") for verb in ("pause", "resume"))
    paused = begun.paused.get(name, Paused())
    begun.paused[name] = paused = paused if asked == paused.asked else Paused(asked, ledger.paused_until)
    intent = ledger.intent
    if intent is None or intent.id == begun.newest.get(name, ""):
        return
    begun.newest[name] = intent.id
    a_pause_lasts(name, intent, paused, world.own_clock.now())
    nothing_begins_unwritable(name, intent, allowed=world.allow_writes)


def a_pause_lasts(name: str, intent: Intent, paused: Paused, now: datetime) -> None:
    """No trial of our own accord begins before the end of a person's pause, also with its ledger lost."""
    if intent.kind is IntentKind.TRIAL and not intent.requested and paused.until is not None and now < paused.until:
        raise Violation(f"{name}: trial {intent.id} began, but all is paused until {paused.until}")


def nothing_begins_unwritable(name: str, intent: Intent, *, allowed: bool) -> None:
    """Where the install may not write, neither a trial nor an adoption begins that would have to be written."""
    if not allowed and intent.kind in (IntentKind.TRIAL, IntentKind.ADOPT):
        raise Violation(f"{name}: {intent.kind.value} {intent.id} began, but nothing may be written")


def restored_or_said(world: World, name: str, theirs: set[tuple[str, int]]) -> None:
    """Where all is stopped and restored, a profile that cannot be read has nothing under way only with its adoption's values
    in place, or says that these are pending."""
    ledger, profile = world.ledger(name), world.profile(name)
    if profile is None or "deletionTimestamp" in profile["metadata"] or name in world.lapsed:
        return
    unreadable = world.condition(name, "Accepted") in {("False", "ClassNotFound"), ("False", "InvalidSpec")}
    moving = world.condition(name, "Progressing")[0] == "True" or (ledger is not None and ledger.intent is not None)
    pending = world.condition(name, "Degraded") == ("True", "RestorePending")
    if not unreadable or moving or pending or world.server.peek(world.apps[name].target) is None:
        return
    left = {n: v for n, v in world.values(name).items() if (n, v) not in theirs}
    if left:
        raise Violation(f"{name}: all is stopped and restored, but {left} stands, and nothing is said of it")


def no_wake_needs_a_source(world: World, name: str) -> None:
    """A class that names an unknown metrics source fails no wake: rollback, stop, restore and deletion go on."""
    said = world.condition_message(name, "Degraded")
    if "sourceRef" in said:
        raise Violation(f"{name}: {said}")
