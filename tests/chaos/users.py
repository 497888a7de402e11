"""What people and their tools do to a profile and its workload: edits, upgrades, deletions, verbs."""

from __future__ import annotations

import json
import random
from datetime import timedelta

from pegbox.model.brakes import OPT_OUT_ANNOTATION
from pegbox.model.errors import WriteConflict
from pegbox.model.knobs import values_hash
from pegbox.ports import CLASS, HPA, LEDGER, PROFILE, Object, Ref
from pegbox.testing.copying import copied
from tests.chaos import limits
from tests.chaos.faults import Act, fault
from tests.chaos.shops import MOST
from tests.chaos.world import NAMESPACE, World
from tests.loop import documents


@fault("user edits our ConfigMap", "users", 4)
async def _edits_ours(world: World, chance: random.Random, tenant: str) -> str:
    app = world.apps[tenant]
    document = app.document
    if document is None:
        return "it does not exist"
    knob = chance.choice(sorted(document["values"]))
    document["values"][knob] = str(chance.randrange(1, 5))
    if chance.random() < 0.5:
        document["hash"] = values_hash(document["values"])
    where = ""
    if document.get("cohorts") and chance.random() < 0.5:  # a canary's, beside
        where = next(iter(document["cohorts"]))
        document["cohorts"][where]["values"][knob] = str(chance.randrange(1, 5))
    text = json.dumps(document)
    await world.patch(app.own_ref, "/data/settings.json", text)
    return f"{knob}={document['values'][knob]}" + (f", and in cohort {where}" if where else "")


@fault("user edits the HPA", "users", 4)
async def _edits_hpa(world: World, chance: random.Random, tenant: str) -> str:
    hpa = world.apps[tenant].hpa()
    if hpa is None:
        return "there is none"
    value = chance.randrange(int(hpa["spec"]["minReplicas"]), 7)
    await world.patch(Ref(HPA, NAMESPACE, hpa["metadata"]["name"]), "/spec/maxReplicas", value)
    return f"maxReplicas={value}"


@fault("user edits his ConfigMap", "users", 3)
async def _edits_theirs(world: World, chance: random.Random, tenant: str) -> str:
    app, value = world.apps[tenant], chance.randrange(1, 6)
    if world.server.peek(app.theirs_ref) is None:
        return "there is none"
    await world.patch(app.theirs_ref, "/data/app.yaml", documents.APP.replace("size: 2", f"size: {value}"))
    return f"cache={value}"


@fault("user scales the target", "users", 2)
async def _scales(world: World, chance: random.Random, tenant: str) -> str:
    app, value = world.apps[tenant], chance.randrange(1, 5)
    if world.server.peek(app.target) is None or app.hpa() is not None:
        return "there is no target, or an HPA has it"
    ops: list[Object] = [{"op": "replace", "path": "/spec/replicas", "value": value}]
    await world.alice.json_patch(app.target, ops, subresource="scale")
    return f"replicas={value}"


@fault("user edits the requests of the template", "users", 2)
async def _edits_requests(world: World, chance: random.Random, tenant: str) -> str:
    app, cores = world.apps[tenant], chance.randrange(1, 5)
    if world.server.peek(app.target) is None or not world.tenant(tenant).sizes:
        return "there is no target, or they are not tuned"
    await world.patch(app.target, "/spec/template/spec/containers/0/resources", {"requests": {"cpu": str(cores)}})
    return f"cpu={cores}"


@fault("self-heal puts values back", "users", 3)
async def _heals(world: World, chance: random.Random, tenant: str) -> str:
    world.healing ^= {tenant}
    return "begins" if tenant in world.healing else "ends"


@fault("helm upgrade without force", "users", 3)
async def _upgrade(world: World, chance: random.Random, tenant: str) -> str:
    refused = 0
    for body in world.charted(tenant):
        try:
            await world.helm.apply(body)
        except WriteConflict:
            refused += 1
    return f"{refused} of {len(world.charted(tenant))} objects conflict"


@fault("helm upgrade with force", "users", 3)
async def _forced(world: World, chance: random.Random, tenant: str) -> str:
    await world.heal(tenant)
    return "the chart's values"


@fault("profile edited", "users", 3)
async def _profile_edited(world: World, chance: random.Random, tenant: str) -> str:
    if world.profile(tenant) is None:
        return "it does not exist"
    change = chance.choice(
        ({"interval": "7s"}, {"deletionPolicy": "Keep"}, {"deletionPolicy": "Restore"}, {"preset": "Balanced"})
    )
    if change.get("deletionPolicy") == "Keep" and world.unsettled(tenant):
        world.lapsed[tenant] = "Keep in mid-trial: a deletion keeps what stands"
    await world.edit_spec(tenant, **change)
    return str(change)


@fault("knob turned to Recommend, or back", "users", 3)
async def _knob_turned(world: World, chance: random.Random, tenant: str) -> str:
    """What stands there may be Pegbox's: a restore puts it back all the same."""
    await _begin(world, chance, tenant)
    profile = world.profile(tenant)
    if profile is None:
        return "it does not exist"
    knobs = copied(profile["spec"]["knobs"])
    knob = chance.choice(knobs)
    knob["mode"] = "Tune" if knob.get("mode") == "Recommend" else "Recommend"
    await world.edit_spec(tenant, knobs=knobs)
    return f"{knob['name']}: {knob['mode']}"


@fault("profile suspended (mode Recommend)", "users", 4)
async def _suspended(world: World, chance: random.Random, tenant: str) -> str:
    if world.profile(tenant) is None:
        return "it does not exist"
    mode = chance.choice(("Recommend", "Recommend", "Observe"))
    await world.edit_spec(tenant, mode=mode)
    return mode


@fault("profile resumed (mode Auto)", "users", 4)
async def _resumed(world: World, chance: random.Random, tenant: str) -> str:
    if world.profile(tenant) is None:
        return "it does not exist"
    await world.edit_spec(tenant, mode="Auto")
    return "Auto"


@fault("profile deleted", "users", 2)
async def _deleted(world: World, chance: random.Random, tenant: str) -> str:
    if world.profile(tenant) is None:
        return "it does not exist"
    if (world.profile(tenant) or {})["spec"].get("deletionPolicy") == "Keep" and world.unsettled(tenant):
        world.lapsed[tenant] = "deleted with Keep in mid-trial: what stands is kept"
    await world.alice.delete(Ref(PROFILE, NAMESPACE, tenant))
    return "deletion begins"


async def _begin(world: World, chance: random.Random, tenant: str) -> None:
    """A trial begins, most of the time, and goes on for a while: what follows strikes in its middle."""
    if chance.random() < 0.7:
        await _wish(world, chance, tenant)
        for _ in range(chance.choice((1, 1, 2, 3))):
            await world.turn()


@fault("class changed", "users", 2)
async def _class_changed(world: World, chance: random.Random, tenant: str) -> str:
    """Wider, or narrower than a trial may want; narrower than the profile allows itself, too, which is then refused."""
    await _begin(world, chance, tenant)
    body, name = copied(world.shop.class_), chance.choice(("workers", "threads", "cache", "lanes"))
    knob = next(k for k in body["spec"]["knobs"] if k["name"] == name)
    knob["max"] = chance.choice((2, 3, 16, 32))
    await world.helm.apply(body, force=True)
    return f"{knob['name']} up to {knob['max']}"


@fault("limits narrowed in mid-trial", "users", 0)  # where a shop says how often
async def _narrowed(world: World, chance: random.Random, tenant: str) -> str:
    """Limits or the step of a knob that the trial under way moves, where there is one; of one that it has still to write,
    if it can be. By the profile, or by its class alone."""
    for _ in range(12):  # until what is under way has ended
        world.wishes.pop(tenant, None)
        if world.intent_text(tenant):
            await world.turn()
    did = await _nearby(world, chance, tenant)
    for _ in range(chance.choice((1, 1, 2, 3))):
        await world.turn()
    here, trial = limits.stated(world, tenant), limits.trial_of(world, tenant)
    if not here:
        return f"{did}; there is nothing to narrow"
    knobs, up, start = sorted(here), chance.random() < 0.5, 2
    if trial is not None:
        moved, values = sorted(here.keys() & trial.moved), world.tunable(tenant)
        knobs = [n for n in moved if values.get(n) != trial.target.number(n)] or moved or knobs
    knob = chance.choice(knobs)
    if trial is not None and knob in trial.parent:
        start = int(trial.parent.number(knob))
        up = trial.target.number(knob) > start or (up and knob not in trial.moved)
    at = start + chance.choice((0, 0, 0, 1, -1))  # what stands, or its target, or past what stands
    bound: Object = {"max": max(1, at)} if up else {"min": max(1, at)}
    wanted = chance.choice((bound, bound, bound, bound, {"maxStep": "10%"}))
    edit = chance.choice((limits.by_profile, limits.by_profile, limits.by_class))
    return f"{did}; {await edit(world, tenant, knob, wanted)}"


async def _nearby(world: World, chance: random.Random, tenant: str) -> str:
    """A trial within limits and steps, most of the time; of one knob for whose sake another one is lowered first."""
    values = world.tunable(tenant)
    if world.profile(tenant) is None or not values:
        return "there is no profile"
    moves = {
        n: chance.choice((-1, 1)) for n in chance.sample(sorted(values), k=min(len(values), chance.choice((1, 2))))
    }
    if {"pool", "max_replicas"} <= values.keys() and chance.random() < 0.7 and values["pool"] > 1:
        moves, world.apps[tenant].lag = {"pool": -1, "max_replicas": 1}, chance.choice((3, 6))
    text = ",".join(f"{n}={max(1, values[n] + by)}" for n, by in moves.items())
    await world.ask(tenant, "try", text)
    return text


@fault("a freeze begins in mid-trial", "users", 3)
async def _freeze(world: World, chance: random.Random, tenant: str) -> str:
    await _begin(world, chance, tenant)
    if world.profile(tenant) is None:
        return "there is no profile"
    now, lasts = world.own_clock.now(), chance.choice((60, 600, 86_400))
    dates = {"from": now.isoformat(), "until": (now + timedelta(seconds=lasts)).isoformat()}
    allow = chance.choice(("None", "None", "None", "Urgent"))
    await world.edit_spec(tenant, freezes=[{"name": "now", **dates, "allow": allow}])
    return f"for {lasts} s, {allow} goes through"


@fault("a freeze ends", "users", 1)
async def _thaw(world: World, chance: random.Random, tenant: str) -> str:
    if world.profile(tenant) is None:
        return "there is no profile"
    await world.edit_spec(tenant, freezes=[])
    return "none is left"


@fault("workload opts out in mid-trial", "users", 3)
async def _opts_out(world: World, chance: random.Random, tenant: str) -> str:
    await _begin(world, chance, tenant)
    return await opted(world, tenant, chance.choice(("true", "true", "yes")))


@fault("workload opts in again", "users", 2)
async def _opts_in(world: World, chance: random.Random, tenant: str) -> str:
    return await opted(world, tenant, chance.choice((None, "false")))


async def opted(world: World, tenant: str, text: str | None) -> str:
    """The owner's note on his workload."""
    app = world.apps[tenant]
    body = world.server.peek(app.target)
    if body is None:
        return "there is no target"
    notes = {n: t for n, t in (body["metadata"].get("annotations") or {}).items() if n != OPT_OUT_ANNOTATION}
    await world.patch(app.target, "/metadata/annotations", notes | ({OPT_OUT_ANNOTATION: text} if text else {}))
    return str(text)


@fault("everything is stopped", "platform", 3)
async def _stop(world: World, chance: random.Random, tenant: str) -> str:
    await _begin(world, chance, tenant)
    text = chance.choice(("stop", "stop", "no"))
    world.brake(text)
    return text


@fault("everything is stopped and restored", "platform", 4)
async def _stop_and_restore(world: World, chance: random.Random, tenant: str) -> str:
    await _begin(world, chance, tenant)
    world.brake("restore")
    turns = chance.choice((0, 4, 12, 30))
    for _ in range(turns):
        await world.turn()
    return f"{turns} turns"


@fault("the stop ends", "platform", 3)
async def _stop_ends(world: World, chance: random.Random, tenant: str) -> str:
    world.brake(None)
    return "everything goes on"


@fault("class deleted", "users", 1)
async def _class_deleted(world: World, chance: random.Random, tenant: str) -> str:
    ref = Ref(CLASS, "", world.shop.class_["metadata"]["name"])
    if world.server.peek(ref) is None:
        await world.helm.apply(world.shop.class_)
        return "it is back"
    await world.alice.delete(ref)
    return "it is gone"


@fault("class names an unknown source in mid-trial", "users", 3)
async def _source_renamed(world: World, chance: random.Random, tenant: str) -> str:
    """A chart that renames a metrics source takes the same path."""
    await _begin(world, chance, tenant)
    body = copied(world.shop.class_)
    body["spec"]["sourceRef"] = "renamed"
    await world.helm.apply(body, force=True)
    return "renamed"


@fault("class names its source again", "users", 1)
async def _source_back(world: World, chance: random.Random, tenant: str) -> str:
    await world.helm.apply(world.shop.class_, force=True)
    return "the source is known"


@fault("allowWrites switched off", "platform", 2)
async def _writes_off(world: World, chance: random.Random, tenant: str) -> str:
    """Most often at rest: a trial is wished for, and must not begin."""
    if chance.random() < 0.3:
        await _begin(world, chance, tenant)
    world.switch(writes=False)
    did = await _wish(world, chance, tenant)
    for _ in range(chance.choice((1, 4, 12))):
        await world.turn()
    return f"nothing may be written; wished {did}"


@fault("allowWrites switched on", "platform", 2)
async def _writes_on(world: World, chance: random.Random, tenant: str) -> str:
    world.switch(writes=True)
    return "all may be written"


UNREADABLE = [{"name": "x", "signal": "nosuch", "goal": "90%"}]


@fault("stopped and restored, class or profile unusable", "platform", 4)
async def _restore_unreadable(world: World, chance: random.Random, tenant: str) -> str:
    await _begin(world, chance, tenant)
    for _ in range(chance.choice((0, 12, 12))):  # it may be accepted by then
        await world.turn()
    ref, gone = Ref(CLASS, "", world.shop.class_["metadata"]["name"]), chance.random() < 0.5
    if gone and world.server.peek(ref) is not None:
        await world.alice.delete(ref)
    elif world.profile(tenant) is not None:
        await world.edit_spec(tenant, slos=UNREADABLE)
    if chance.random() < 0.5:
        world.restart()
    for _ in range(chance.choice((0, 2))):
        await world.turn()
    world.brake("restore")
    for _ in range(chance.choice((4, 12, 30))):
        await world.turn()
    return "the class is gone" if gone else "the profile makes no sense"


@fault("paused, then the ledger is lost", "users", 3)
async def _paused_and_lost(world: World, chance: random.Random, tenant: str) -> str:
    if world.profile(tenant) is None:
        return "there is no profile"
    argument = chance.choice(("24h", "24h", ""))
    await world.ask(tenant, "pause", argument)
    for _ in range(chance.choice((1, 2, 8))):
        await world.turn()
    ref = _ledger(world, tenant)
    if ref is None:
        return "there is no ledger"
    await _until_read(world, tenant)
    await world.alice.delete(ref)
    if chance.random() < 0.7:
        world.restart()
    await _wish(world, chance, tenant)
    for _ in range(chance.choice((4, 12))):
        await world.turn()
    return f"paused {argument or 'until resumed'}"


def _ledger(world: World, tenant: str) -> Ref | None:
    ref = Ref(LEDGER, NAMESPACE, tenant)
    if world.server.peek(ref) is None:
        return None
    world.forgotten.add(tenant)
    if world.unsettled(tenant):
        world.lapsed[tenant] = "the ledger was lost in mid-trial: what stands is the incumbent"
    return ref


async def _until_read(world: World, tenant: str) -> None:
    """Excluded on purpose (docs/critiques.md): with the ledger lost in mid-trial, nobody knows which pods still run what
    stood before it; so each has read the document first, also one that does not read (seed 62000436)."""
    app = world.apps[tenant]
    deaf, app.deaf, app.lag = app.deaf, False, 1
    await world.others_step()
    app.deaf = deaf


@fault("ledger deleted", "users", 2)
async def _ledger_deleted(world: World, chance: random.Random, tenant: str) -> str:
    ref = _ledger(world, tenant)
    if ref is None:
        return "it does not exist"
    await _until_read(world, tenant)
    await world.alice.delete(ref)
    return "gone"


@fault("ledger corrupted", "users", 2)
async def _ledger_corrupted(world: World, chance: random.Random, tenant: str) -> str:
    ref = _ledger(world, tenant)
    if ref is None:
        return "it does not exist"
    await _until_read(world, tenant)
    text = str((world.server.peek(ref) or {})["data"]["state"])
    await world.patch(ref, "/data/state", chance.choice(("", text[: len(text) // 2], "[]", text.replace("2", "3"))))
    return "its sum does not fit"


@fault("ledger replaced by an older version", "users", 3)
async def _ledger_old(world: World, chance: random.Random, tenant: str) -> str:
    ref = _ledger(world, tenant)
    if ref is None:
        return "it does not exist"
    world.lapsed.setdefault(tenant, "the ledger is older than what stands: that was set by nobody it knows")
    await _until_read(world, tenant)
    world.replaced.add(tenant)
    await world.patch(ref, "/data", copied(world.old_ledgers[tenant]["data"]))
    return "the one from before the first step"


# --- verbs, and what there is to try


@fault("budget traded, pods read late", "verbs", 8)
async def _trade(world: World, chance: random.Random, tenant: str) -> str:
    """What a pod reads goes down and the HPA's maximum up, or the other way round. A document is read as a whole, so only
    what lives in two objects can be in force in the wrong order."""
    values = world.values(tenant)
    hot = [n for n in ("workers", "pool") if values.get(n, 0) > 1]
    if world.profile(tenant) is None or "max_replicas" not in values or not hot:
        return "there is nothing to trade"
    name, pods = chance.choice(hot), values["max_replicas"]
    world.apps[tenant].lag = chance.choice((3, 6, 9))
    text = f"{name}={values[name] // 2},max_replicas={min(MOST, pods * 2)}"
    if chance.random() < 0.3:
        text = f"{name}={values[name] * 2},max_replicas={max(1, pods // 2)}"
    await world.ask(tenant, "try", text)
    for _ in range(chance.choice((2, 4, 6))):
        await world.turn()
    return text


@fault("verb try", "verbs", 10)
async def _try(world: World, chance: random.Random, tenant: str) -> str:
    values = world.tunable(tenant)
    if world.profile(tenant) is None or not values:
        return "there is no profile"
    knobs = chance.sample(sorted(values), k=min(len(values), chance.choice((1, 1, 2, 3))))
    wanted = {n: max(1, values[n] + chance.choice(world.shop.asks)) for n in knobs}
    text = ",".join(f"{n}={v}" for n, v in wanted.items())
    await world.ask(tenant, "try", text)
    return text


@fault("proposal of the model", "verbs", 12)
async def _wish(world: World, chance: random.Random, tenant: str) -> str:
    knobs = (*world.tenant(tenant).knobs, *world.tenant(tenant).sizes)
    chosen = chance.sample(knobs, k=min(len(knobs), chance.choice((1, 2, 2, 3))))
    world.wishes[tenant] = {n: chance.choice(world.shop.wishes) for n in chosen}
    if chance.random() < 0.5:  # who shares a budget wants the same at the same time
        world.wishes.update({t.name: world.wishes[tenant] for t in world.shop.tenants})
    return str(world.wishes[tenant])


def _asks(verb: str) -> Act:
    async def act(world: World, chance: random.Random, tenant: str) -> str:
        if world.profile(tenant) is None:
            return "there is no profile"
        await world.ask(tenant, verb, "30s" if verb == "pause" and chance.random() < 0.5 else "")
        return "asked"

    return act


for _verb in ("rollback", "reset", "pause", "resume"):
    fault(f"verb {_verb}", "verbs", 2)(_asks(_verb))
