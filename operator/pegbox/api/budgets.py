"""SharedBudget as a value: what is left for one profile, and the next status that grants or releases a claim.

Everything here is pure. The caller writes the returned body with its resourceVersion: of two writers that read the same
version, one is refused by the server, reads again and asks again. That is what keeps grants within the capacity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pegbox.api.budget_wire import MAX_CLAIMS, Claim, SharedBudgetSpec, SharedBudgetStatus, TrialSlot
from pegbox.api.packing import stamp
from pegbox.api.wire import API_VERSION, read
from pegbox.model.errors import InvalidInput
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import SharedBudgetFacts


@dataclass(frozen=True, slots=True)
class Wish:
    """What one profile wants of a budget: `amount` units until `expires`, and the trial slot with them or not.

    `uid` is the profile's, `holder` its namespace/name. While a trial is unresolved, amount is the larger of parent and
    trial. The expiry of an incumbent is long and renewed: a stopped operator must not lose what its pods still use.
    """

    uid: str
    holder: str
    amount: int
    expires: datetime
    trial: bool = False
    standing: bool = False  # pods use it already, whoever raised it: it is told, and others find that much less

    def granted(self) -> Claim:
        """The entry that it is once it is granted."""
        trial = TrialSlot.HOLDING if self.trial else TrialSlot.NONE
        return Claim(uid=self.uid, holder=self.holder, amount=self.amount, expires=stamp(self.expires), trial=trial)


def facts(obj: Mapping[str, Any], uid: str, now: datetime) -> SharedBudgetFacts:
    """What the profile with this uid may claim. Raises InvalidInput for an object that does not parse."""
    spec, claims = _parse(obj, now)
    others = sum(claim.amount for claim in claims if claim.uid != uid)
    own = next((claim.amount for claim in claims if claim.uid == uid), 0)
    slot = next((claim.holder for claim in claims if claim.trial is TrialSlot.HOLDING), "")
    total = max(0, spec.capacity - spec.reserve)
    share = own * total // (own + others) if own + others > total else 0
    return SharedBudgetFacts(_name(obj), max(0, total - others), own, share, slot)


def claim(obj: Mapping[str, Any], wish: Wish, now: datetime) -> dict[str, Any] | Missing:
    """The body that grants the wish, or why it cannot be granted now.

    Keeping or lowering a claim is always granted, also where the capacity was cut below what is claimed: pods hold it
    whatever the budget says.
    """
    spec, claims = _parse(obj, now)
    others = [entry for entry in claims if entry.uid != wish.uid]
    own = next((entry for entry in claims if entry.uid == wish.uid), None)
    slot = next((entry.holder for entry in others if entry.trial is TrialSlot.HOLDING), "")
    if wish.trial and slot:
        return Missing(Reason.WAITING_FOR_BUDGET, f"{slot} holds the trial slot of {_name(obj)}")
    left = spec.capacity - spec.reserve - sum(entry.amount for entry in others)
    if wish.amount > left and not wish.standing and (own is None or wish.amount > own.amount):
        detail = f"{wish.amount} {spec.unit} of {_name(obj)} wanted, {max(0, left)} left"
        return Missing(Reason.BUDGET_EXCEEDED, detail)
    if own is None and len(others) >= MAX_CLAIMS:
        return Missing(Reason.WAITING_FOR_BUDGET, f"{_name(obj)} has {MAX_CLAIMS} claims, the most that it can hold")
    return _body(obj, [*others, wish.granted()])


def release(obj: Mapping[str, Any], uid: str, now: datetime) -> dict[str, Any]:
    """The body without the profile's claim: after a restore, when nothing of it runs any more."""
    _, claims = _parse(obj, now)
    return _body(obj, [entry for entry in claims if entry.uid != uid])


def held_by(obj: Mapping[str, Any], uid: str, now: datetime) -> Claim | None:
    """The profile's claim while it has not expired."""
    return next((entry for entry in _parse(obj, now)[1] if entry.uid == uid), None)


def slot_of_others(obj: Mapping[str, Any], uid: str, now: datetime) -> bool:
    """Does another profile hold the trial slot?"""
    return any(entry.trial is TrialSlot.HOLDING and entry.uid != uid for entry in _parse(obj, now)[1])


def _parse(obj: Mapping[str, Any], now: datetime) -> tuple[SharedBudgetSpec, list[Claim]]:
    """The spec, and the claims that have not expired: one that expires this instant still counts."""
    where = f"SharedBudget {_name(obj)}"
    spec = read(SharedBudgetSpec, obj.get("spec", {}), f"{where} spec")
    status = read(SharedBudgetStatus, obj.get("status") or {}, f"{where} status")
    return spec, [entry for entry in status.claims if _time(entry.expires, f"{where} status") >= now]


def _time(text: str, where: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{where}.claims[].expires", text, "write an RFC 3339 time") from error
    if when.tzinfo is None:
        raise InvalidInput(f"{where}.claims[].expires", text, "write an RFC 3339 time with its zone, such as Z")
    return when


def _body(obj: Mapping[str, Any], claims: list[Claim]) -> dict[str, Any]:
    slot = next((entry.holder for entry in claims if entry.trial is TrialSlot.HOLDING), "")
    status = SharedBudgetStatus(
        claimed=sum(entry.amount for entry in claims),
        trial=slot,
        claims=sorted(claims, key=lambda entry: entry.uid),
    )
    metadata = obj.get("metadata", {})
    kept = {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion") if key in metadata}
    return {
        "apiVersion": API_VERSION,
        "kind": "SharedBudget",
        "metadata": kept,
        "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
    }


def _name(obj: Mapping[str, Any]) -> str:
    return str(obj.get("metadata", {}).get("name", ""))
