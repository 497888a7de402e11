"""Claims on SharedBudgets: compare-and-swap on the budget's status, before anything that raises use is written.

Others' claims may move while a wake decides, and are read anew. Our own entry may not: whoever wrote it meanwhile was
another process of ours, which goes on from other facts. A process that takes over therefore renews each claim that it
finds, before its first write: a late write of the former one is a conflict from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import ceil

from pegbox.api import budgets as budget_api
from pegbox.api.budget_wire import Claim, TrialSlot
from pegbox.api.packing import stamp
from pegbox.core import force, overdrawn, slots, usage
from pegbox.model.errors import WriteConflict
from pegbox.model.knobs import LocationKind, Setting
from pegbox.model.observations import Missing
from pegbox.model.snapshot import Workload
from pegbox.model.trials import Intent, IntentKind, Ledger
from pegbox.ports import BUDGET, Cluster, Object, Ref
from pegbox.runtime.points import Point, Reached
from pegbox.runtime.reading import Objects

EXPIRY = timedelta(hours=24)  # a stopped operator must not lose what its pods still use
RENEW = timedelta(hours=12)


def _holds(found: Objects, intent: Intent | None, now: datetime) -> bool:
    """Does the intent hold the trial slot of a shared budget? A way back whose pods stay silent keeps what they may
    use, and not the slot: others may be the only ones who can make room."""
    if intent is None or intent.kind not in (IntentKind.TRIAL, IntentKind.ROLLBACK):
        return False
    patience = timedelta(seconds=float(found.spec.guards.ack_timeout))
    stuck = intent.kind is IntentKind.ROLLBACK and intent.applied_at is not None and now > intent.applied_at + patience
    return slots.moves(found.spec, intent) and not stuck


def wanted(found: Objects, ledger: Ledger, recorded: Ledger, now: datetime) -> dict[str, tuple[int, bool]]:
    """ref -> (units, trial slot): the larger of parent and trial until the trial is resolved, and that is recorded: who
    is killed before may still have to go back.

    With a canary, too: a mixture of settings uses no more than the largest of them in all pods.
    """
    if isinstance(found.workload, Missing) or ledger.incumbent is None:
        return {}
    settings = [*_settings(ledger), *_settings(recorded)]
    # Others see the room that is gained and the slot that is free at the same moment, or would make up for it, too.
    trial = any(_holds(found, intent, now) for intent in (ledger.intent, recorded.intent))
    out: dict[str, tuple[int, bool]] = {}
    for item in found.spec.budgets:
        if item.ref:
            out[item.ref] = (max(_units(found, found.workload, item.name, s) for s in settings), trial)
    return out


def _settings(ledger: Ledger) -> list[Setting]:
    """What may be in force, or written next."""
    under_way = () if ledger.intent is None else ledger.intent.settings
    return [*under_way, *((ledger.incumbent,) if ledger.incumbent is not None else ())]


def _units(found: Objects, workload: Workload, name: str, setting: Setting) -> int:
    item = next(b for b in found.spec.budgets if b.name == name)
    pods = usage.pods_bound(found.spec, workload, {}, setting)
    return ceil(usage.amount(found.spec, item, setting, pods))


def _may_use_more(found: Objects, ledger: Ledger, ref: str) -> bool:
    """May pods still run what stood before? Somebody lowered a value in our document, and not all of them have read
    that: what they used stays claimed until they have."""
    if isinstance(found.workload, Missing) or not force.unread(found.spec, ledger, found.document, found.workload):
        return False
    settings = {k.name for k in found.spec.space.at(LocationKind.SETTINGS)}
    return any(settings.intersection(usage.knob_names(found.spec, b)) for b in found.spec.budgets if b.ref == ref)


def _kept(
    found: Objects, ledger: Ledger, ref: str, amount: int, standing: Claim, now: datetime, *, ours: bool
) -> tuple[int, datetime]:
    """The amount to claim where one stands already, and its end: what may still be needed is not given back. `ours`:
    this process wrote it.

    Who scales to zero pauses: what comes back finds its share. That claim is not renewed, so that it ends within a day,
    as that of a target which is gone: what stays away for weeks holds nothing.
    """
    ends, less = datetime.fromisoformat(standing.expires), amount < standing.amount
    if less and not isinstance(found.workload, Missing) and found.workload.scaled_to_zero:
        return standing.amount, ends
    if less and _may_use_more(found, ledger, ref):
        amount = standing.amount
    fresh = ours and amount == standing.amount and ends - now > RENEW
    return amount, ends if fresh else now + EXPIRY


async def claim(
    cluster: Cluster,
    found: Objects,
    ledger: Ledger,
    recorded: Ledger,
    mine: dict[str, Claim],
    now: datetime,
    reached: Reached,
) -> Missing | None:
    """Claim what the intent or incumbent needs, of this ledger and of the one that is recorded so far; the reason where
    it cannot be had now. `mine` keeps what this process wrote.

    A way back claims what it raises beside another's trial, too, without the slot. It was cut to the room that was
    read: where others took that since, it is decided anew (WriteConflict). A refusal by what was read already holds
    nothing up: what lowers has to be written.

    Nothing is written where the claim stands already and is fresh. Raises NotAvailable, WriteConflict.
    """
    # An adoption writes what is in force already: others may have raised it, and its pods use it in any case. A way
    # down begins at such a use, also while another profile has the trial slot.
    down = overdrawn.lowers(ledger.intent)
    stands = ledger.intent is None or ledger.intent.kind is IntentKind.ADOPT or down
    back = ledger.intent is not None and ledger.intent.kind.goes_back
    for ref, (amount, trial) in wanted(found, ledger, recorded, now).items():
        body = found.shared.get(ref)
        if body is None:
            continue
        trial = trial and not (back and budget_api.slot_of_others(body, found.spec.uid, now))
        standing = budget_api.held_by(body, found.spec.uid, now)
        expires = now + EXPIRY
        if standing is not None:
            amount, expires = _kept(found, ledger, ref, amount, standing, now, ours=standing == mine.get(ref))
            stands_so = standing.amount, standing.expires, standing.trial is TrialSlot.HOLDING
            if stands_so == (amount, stamp(expires), trial):
                continue
        wish = budget_api.Wish(found.spec.uid, found.spec.key, amount, expires, trial, standing=stands)
        refused = await _swap(cluster, Ref(BUDGET, found.spec.namespace, ref), wish, standing, now, reached)
        if refused is not None:
            cut = back and not found.deleting  # a deletion promises the originals, whatever stands beside them
            if cut and not isinstance(budget_api.claim(body, wish, now), Missing):
                raise WriteConflict(f"{ref}: others were granted what it had left: {refused.detail}")
            return refused
        mine[ref] = wish.granted()
    return None


async def _swap(
    cluster: Cluster, ref: Ref, wish: budget_api.Wish, standing: Claim | None, now: datetime, reached: Reached
) -> Missing | None:
    """Read, grant, write with the resourceVersion read; another profile's write in between means reading again."""
    for _ in range(5):
        body = await cluster.get(ref)
        _check_unmoved(ref, budget_api.held_by(body, wish.uid, now), standing)
        granted = budget_api.claim(body, wish, now)
        if isinstance(granted, Missing):
            return granted
        reached(Point.BEFORE_CLAIM)
        try:
            await _put_status(cluster, ref, body, granted)
        except WriteConflict:
            continue
        reached(Point.AFTER_CLAIM)
        return None
    raise WriteConflict(f"{ref}: claims kept moving: trying again later")


def _check_unmoved(ref: Ref, entry: Claim | None, *known: Claim | None) -> None:
    """Is our entry as this wake knows it? Raises WriteConflict."""
    if entry not in known:
        raise WriteConflict(f"{ref}: another process of ours wrote the claim meanwhile")


def holds(found: Objects, now: datetime) -> bool:
    """Does the profile hold any claim? It is kept true in every mode: a slot that nobody lowers blocks others."""
    return any(budget_api.held_by(body, found.spec.uid, now) is not None for body in found.shared.values())


async def release(cluster: Cluster, found: Objects, mine: Mapping[str, Claim], now: datetime) -> None:
    """Give every claim back: after a restore, when nothing of the profile runs any more. Read anew: this wake
    may have moved the budget itself."""
    for ref, read in found.shared.items():
        target = Ref(BUDGET, found.spec.namespace, ref)
        body = await cluster.get(target)
        entry = budget_api.held_by(body, found.spec.uid, now)
        if entry is not None:
            _check_unmoved(target, entry, budget_api.held_by(read, found.spec.uid, now), mine.get(ref))
            await _put_status(cluster, target, body, budget_api.release(body, found.spec.uid, now))


async def _put_status(cluster: Cluster, ref: Ref, before: Object, after: Object) -> None:
    operation = "replace" if "status" in before else "add"
    await cluster.json_patch(
        ref,
        [
            {"op": "test", "path": "/metadata/resourceVersion", "value": before["metadata"]["resourceVersion"]},
            {"op": operation, "path": "/status", "value": after["status"]},
        ],
        subresource="status",
    )
