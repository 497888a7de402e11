"""The runtime against a hostile world: killed at every write, and in storms of faults, on the fake API server.

`tests/contract/test_kill_points.py` does the first with SIGKILL on a real server; here each single write is met.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pegbox.model.errors import NotAvailable, Refused, WriteConflict
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.ports import CONFIG_MAP, HPA, LEDGER, PROFILE, Ref
from pegbox.testing.cluster import FakeCluster
from pegbox.testing.faults import Killed, WriteRecord
from tests.loop import documents
from tests.loop.world import World, make

USES = {"name": "postgres", "uses": "pods * workers", "budgetRef": {"name": "postgres"}}
ERRORS = (NotAvailable("no answer"), WriteConflict("moved"), Refused("not now", status=403))
CAPACITY = 100


async def shop() -> World:
    """A knob in four kinds of place, and a shared budget."""
    world = await make()
    await world.apply(documents.config_map(), documents.budget(capacity=CAPACITY), documents.hpa())
    # Neither a breaker that opens is the point here, nor an error budget that is used up.
    guards = documents.QUICK | {"failuresToOpen": 50, "errorBudgetShare": "100%"}
    knobs = documents.hot(), documents.path(), documents.env(), {"name": "max_replicas", "min": 1, "max": 8}
    body = documents.profile(
        "checkout",
        *knobs,
        conflictPolicy="Take",
        autoscaler={"ref": {"name": "checkout"}},
        budgets=[USES],
        guards=guards,
    )
    await world.add(body, workers=2, cache=2, threads=2)
    return world


def server(world: World) -> FakeCluster:
    assert isinstance(world.pegbox, FakeCluster)
    return world.pegbox


class Watch:
    """What must hold at every instant, whatever happens."""

    def __init__(self, world: World) -> None:
        self.world, self.generation = world, 0

    async def look(self) -> None:
        if await self.world.find(Ref(CONFIG_MAP, self.world.namespace, "checkout-pegbox")) is None:
            return
        document = await self.world.document()
        assert document.generation >= self.generation, "a document's number only grows"
        assert not document.foreign and 1 <= int(document.values["workers"]) <= 64
        self.generation = document.generation
        low, high = await self.world.bounds()
        assert 1 <= low <= high <= 8
        assert sum(amount for amount, _ in (await self.world.claims()).values()) <= CAPACITY


async def consistent(world: World) -> None:
    """At rest: every place holds the incumbent, which is where it began or what was accepted."""
    ledger = await world.rest(limit=80)
    incumbent = ledger.incumbent
    assert incumbent is not None
    good = {trial.setting for trial in ledger.trials if trial.state.value == "Accepted"} | {ledger.adopted}
    assert incumbent in good
    texts = {name: str(value) for name, value in incumbent.items()}
    assert await world.values() == {"workers": texts["workers"]}
    assert (await world.own())["data"]["THREADS"] == texts["threads"]
    assert await world.theirs() == documents.APP.replace("size: 2 ", f"size: {texts['cache']} ")
    assert (await world.bounds())[1] == int(texts["max_replicas"])


@asynccontextmanager
async def killing(world: World, at: int, when: str) -> AsyncIterator[None]:
    """The operator's `at`-th write from now ends it, before or after it was carried out."""
    left = at

    def reached(moment: str, record: WriteRecord) -> None:
        nonlocal left
        if moment == when:
            left -= 1
            if left == 0:
                raise Killed

    server(world).faults.on_write(reached)
    yield
    server(world).faults._watchers.clear()


@pytest.mark.parametrize(
    ("wish", "when"),
    [("workers=3,max_replicas=5", "after"), ("workers=4,cache=3,max_replicas=5", "before")],
    ids=["accepted, killed after the write", "put back, killed before the write"],
)
async def test_killed_at_each_single_write_of_a_trial_it_ends_in_one_piece(wish: str, when: str) -> None:
    world, killed, at = await shop(), 0, 1
    await world.steady()
    while at <= 40:
        watch = Watch(world)
        await world.steady()
        await world.annotate("try", wish)
        async with killing(world, at, when):
            try:
                for _ in range(30):
                    await world.turn()
                    await watch.look()
                break  # the trial ended with fewer writes than that: every one was met
            except Killed:
                killed += 1
        world.restart()
        for _ in range(4):
            await world.turn()
            await watch.look()
        await consistent(world)
        await _back(world)
        at += 1
    assert killed >= 8, killed


async def _back(world: World) -> None:
    """To where it began, for the next kill: by whoever may, as any user could."""
    ledger = await world.ledger()
    assert ledger is not None and ledger.incumbent is not None
    if ledger.incumbent != ledger.adopted:
        await world.steady()
        await world.annotate("rollback")
        await world.turn()
        await world.rest(limit=80)


@pytest.mark.parametrize("seed", range(6))
async def test_in_a_storm_of_faults_nothing_leaves_its_bounds_and_after_it_all_is_in_one_piece(seed: int) -> None:
    chance, world = random.Random(seed), await shop()
    await world.steady()
    watch, whole = Watch(world), world.metrics.scenario
    for turn in range(60):
        if turn % 12 == 0:
            wish = chance.choice(["workers=3", "workers=4", "cache=3,workers=2", "threads=3", "max_replicas=6"])
            await world.annotate("try", wish)
        await _fault(world, chance)
        try:
            await world.turn()
        except Killed:
            world.restart()
        await watch.look()
    server(world).faults._due.clear()
    server(world).faults._watchers.clear()
    world.metrics.down, world.metrics.scenario = None, whole
    world.apps["checkout"].silent = False
    world.restart()
    await world.turns(40)
    await watch.look()
    ledger = await world.rest(limit=80)
    assert await world.values() == {"workers": str(ledger.incumbent["workers"]) if ledger.incumbent else ""}
    assert {slot for _, slot in (await world.claims()).values()} == {"None"}


async def _fault(world: World, chance: random.Random) -> None:
    """One of what can go wrong, or nothing."""
    faults = server(world).faults
    match chance.randrange(8):
        case 0:
            verb, kind = chance.choice(["apply", "json_patch", "get", "list"]), chance.choice([CONFIG_MAP, HPA, None])
            faults.fail_next(verb, kind, chance.choice(ERRORS), lost=chance.random() < 0.3 and verb == "apply")
        case 1:
            faults.fail_next("apply", LEDGER, chance.choice(ERRORS), lost=chance.random() < 0.5)
        case 2:
            world.restart()
        case 3:
            world.metrics.down = Missing(Reason.METRICS_UNREACHABLE) if world.metrics.down is None else None
        case 4:
            left = chance.randrange(1, 4)

            def reached(when: str, record: WriteRecord) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    raise Killed

            faults._watchers[:] = [reached]
        case 5:
            app = world.apps["checkout"]
            app.silent = not app.silent
        case _:
            world.apps["checkout"].silent = False


async def test_a_user_who_changes_a_value_in_mid_trial_keeps_it_and_the_rest_goes_back() -> None:
    world = await shop()
    await world.steady()
    await world.annotate("try", "workers=3,max_replicas=5,cache=3")
    await world.turn()
    await world.turn()
    await world.patch(Ref(HPA, world.namespace, "checkout"), "/spec/maxReplicas", 7)
    ledger = await world.rest()
    assert ledger.trials[-1].reason is Reason.FOREIGN_CHANGE
    assert await world.bounds() == (2, 7)
    assert await world.values() == {"workers": "2"} and await world.theirs() == documents.APP


@pytest.mark.parametrize(
    "text", ["", "t9", "t9 ", "t9 workers", "t9 workers=", "t9 workers=99", "t9 =3", "t9 " + "x" * 5000]
)
async def test_a_senseless_try_is_refused_once_with_a_reason(text: str) -> None:
    world = await shop()
    await world.steady()
    await world.patch(Ref(PROFILE, world.namespace, "checkout"), "/metadata/annotations", {"pegbox.dev/try": text})
    before = await world.document()
    await world.turns(5)
    assert await world.document() == before
    assert world.events.reasons().count("RequestRefused") == (1 if text.strip() else 0)
