"""What the operator says, and where: Events, conditions as its statuses tell them, and failed wakes as it counts them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from pegbox.adapters.telemetry import Telemetry
from pegbox.model.decisions import ConditionType
from pegbox.model.reasons import Reason
from pegbox.ports import Object

EVENT, ERRORS = "Event", "pegbox_reconcile_errors"
ELSEWHERE = frozenset({"Kubernetes' own events", "Helm's own output"})  # said by others
FAILED = frozenset({Reason.WRITE_FAILED, Reason.WRITE_REFUSED, Reason.INTERNAL_ERROR})
PLAIN = {ConditionType.ACCEPTED: "False", ConditionType.METRICS_AVAILABLE: "False", ConditionType.DEGRADED: "True"}
"""What a condition says where a table names nothing but its type: that something is wrong. Any other: either."""


class Said(NamedTuple):
    """`where` is EVENT, ERRORS or a condition's type; `status` is that condition's."""

    where: str
    reason: str = ""
    status: str = ""


class Place(NamedTuple):
    """Where a fault is to be seen: a reason, on a condition of this type or anywhere; or a type alone."""

    where: str
    reason: str

    def __str__(self) -> str:
        return " ".join(filter(None, self))


def changed(before: Object | None, after: Object | None) -> list[Said]:
    """The conditions of a profile that one write changed."""
    known = set(_conditions(before))
    return [said for said in _conditions(after) if said not in known]


def _conditions(profile: Object | None) -> list[Said]:
    listed = (profile or {}).get("status", {}).get("conditions", [])
    return [Said(str(c["type"]), str(c["reason"]), str(c["status"])) for c in listed]


def failures(telemetry: Telemetry) -> float:
    """Wakes that failed, as the metric counts them."""
    counted = telemetry.registry.restricted_registry([f"{ERRORS}_total"]).collect()  # of all: a twentieth of a schedule
    return sum(each.value for family in counted for each in family.samples if each.labels["reason"] in FAILED)


def places(column: str) -> list[Place]:
    """What the table's column names: a condition's type goes with the reason that follows it."""
    words, found = [w for w in re.split("[,;] *", column) if w not in ELSEWHERE], list[Place]()
    for word in words:
        bare = found and found[-1].where and not found[-1].reason and found[-1].where != ERRORS
        if word == ERRORS or word in set(ConditionType):
            found.append(Place(word, ""))
        elif bare:
            found[-1] = found[-1]._replace(reason=word)
        else:
            found.append(Place("", word))
    return found


def unseen(column: str, told: Iterable[Said]) -> list[Place]:
    """Of what the column names: where nothing of it was said."""
    heard = list(told)
    return [place for place in places(column) if not any(_is(place, said) for said in heard)]


def _is(place: Place, said: Said) -> bool:
    if place.where and place.where != said.where:
        return False
    if place.reason:
        return place.reason == said.reason
    return said.status == PLAIN[ConditionType(said.where)] if said.where in PLAIN else True
