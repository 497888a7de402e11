"""Three kills of the operator, each at its moment in a world of its own; the others go on meanwhile."""

from __future__ import annotations

from typing import Any

from tests.e2e.operators import Operator
from tests.e2e.scenarios import last, written
from tests.e2e.worlds import World

Seen = dict[str, Any]


def kills(operator: Operator, unacknowledged: World, judged: World, reverting: World) -> dict[str, Seen]:
    """Two worlds were measured before; their trials begin together, so that both know what to compare with."""
    worlds = {"written": unacknowledged, "judging": judged, "rollback": reverting}
    before = {name: (w.document(), w.values_text()) for name, w in worlds.items()}
    moments: dict[str, Seen] = {}

    judged.try_("worker_count=2")
    judged.until("the trial", lambda: judged.intent().startswith("Trial"), every=0.3)
    unacknowledged.try_("worker_count=2")
    document = written(unacknowledged, before["written"][0])
    moments["written"] = {
        "intent": unacknowledged.intent(),
        "acknowledged": unacknowledged.acknowledged(),
        "document": document,
    }
    moments["written"]["restart"] = operator.killed()

    judged.until("judging", lambda: judged.why().startswith("Judging"), 180, 0.5)
    moments["judging"] = {"intent": judged.intent(), "why": judged.why(), "restart": operator.killed()}

    reverting.measured()  # windows are the process's own memory: the next one has none to compare a trial with yet
    reverting.try_("worker_count=1")
    reverting.until("a rollback", lambda: reverting.intent().startswith("Rollback"), 240, 0.3)
    moments["rollback"] = {"intent": reverting.intent(), "values": reverting.values_text()}
    moments["rollback"]["restart"] = operator.killed()

    for name, world in worlds.items():
        seconds = world.at_rest(300)
        moments[name] |= {
            "seconds": seconds,
            "before": before[name],
            "after": (world.document(), world.values_text()),
            "acknowledged after": world.acknowledged(),
            "last": last(world),
            "setting": world.setting(),
            "workers": world.reported("worker_count"),
        }
    return moments
