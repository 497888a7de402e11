"""Everything is stopped and restored by the command, in mid-trial, while the installed operator runs; then started again."""

from __future__ import annotations

import time

from tests.e2e import sizes, variables
from tests.e2e.running import Running
from tests.e2e.scenarios import Seen, last, written
from tests.e2e.uninstalls import SMALL
from tests.e2e.worlds import World, command


def stopped(worlds: Running) -> Seen:
    """One world in mid-trial, one with an accepted value, one whose accepted values live in its pods."""
    trial, rest, pods = worlds["trial"], worlds["rest"], worlds["pods"]
    trial.measured()
    before = trial.document()
    trial.try_(f"worker_count={int(before['values']['worker_count']) + 1}")
    document, intent = written(trial, before), trial.intent()
    accepted = rest.setting(), pods.setting()
    started = time.monotonic()
    said = command("stop", "--all", "--restore")
    seconds = {world.name: _restored(world, started) for world in (trial, rest)}
    pods.until("its template's variable", lambda: set(variables.lanes(pods).values()) == {4.0}, variables.SLOW)
    pods.until("its template's sizes", lambda: sizes.sized(pods, SMALL))
    seconds[pods.name] = time.monotonic() - started
    seen: Seen = {"said": said, "seconds": seconds, "intent": intent, "tried": document, "accepted": accepted}
    for world in (trial, rest, pods):
        world.until("rest", lambda world=world: world.condition("Progressing").get("reason") == "Stopped")
        seen[world.name] = world.condition("Progressing"), world.condition("Degraded"), world.setting()
    trial.try_("worker_count=2")
    seen |= {"last": last(trial), "refused": trial.events(), "started": command("start", "--all")}
    rest.until("work again", lambda: rest.condition("Progressing").get("reason") != "Stopped")
    return seen | {"again": rest.condition("Progressing"), "setting": rest.setting()}


def _restored(world: World, started: float) -> float:
    """Seconds until every pod runs what stood at the adoption, and says so."""
    world.until("the adoption's value", lambda: world.document()["values"] == {"worker_count": "1"})
    world.until("acknowledgement", lambda: world.in_force() and set(world.reported("worker_count")) == {1.0})
    return time.monotonic() - started
