"""A schedule: named faults in an order drawn from a seed, the recovery after them, and what was found."""

from __future__ import annotations

import gc
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pegbox.model.errors import Refused
from tests.chaos import faults
from tests.chaos import users as users  # its faults are in the table
from tests.chaos.ending import at_last_known_good, budget_holds_or_is_said
from tests.chaos.invariants import Violation, Watch
from tests.chaos.said import Said
from tests.chaos.shops import CANARIES, HOLD, NO_DATA, SHOPS, TIGHT
from tests.chaos.world import NAMESPACE, World
from tests.loop.service import LOAD

STEPS = (3, 6)  # faults per schedule, least and most
TIGHT_EVERY = 8  # seeds, of which one is for the shop with narrow limits
RECOVERY = (
    130  # wakes per profile until all is in one piece once faults have stopped: a trial may run to its timeout of
)
# 2 minutes, which are 48 looks at 2.5 s, as a canary and again in all pods, and its rollback waits up to ackTimeout
# twice, 30 s each
CALM = 2  # wakes in a row at which it is


@dataclass(frozen=True)
class Step:
    """A fault with its own chance, so that leaving one step out does not change the others. `turns` follow it."""

    name: str
    seed: int
    turns: int


@dataclass(frozen=True)
class Schedule:
    seed: int
    shop: str
    steps: tuple[Step, ...]
    no_data: str = HOLD  # what every SLO says of it


@dataclass
class Outcome:
    schedule: Schedule
    violations: list[str] = field(default_factory=list)
    log: list[tuple[str, str, str]] = field(default_factory=list)  # step, what it did, what the operator said
    recovery: int = 0  # wakes until all was in one piece
    reasons: dict[str, set[str]] = field(default_factory=dict)  # fault -> what was said in its steps
    seen: dict[str, set[Said]] = field(default_factory=dict)  # fault -> all that was said since it struck, and where


def draw(seed: int, shop: str = "") -> Schedule:
    """`shop`: this one, whatever the seed would choose."""
    chance = random.Random(seed)
    drawn = chance.choices(list(SHOPS), [s.weight for s in SHOPS.values()])[0]
    drawn = TIGHT.name if seed % TIGHT_EVERY == TIGHT_EVERY - 1 else drawn
    often = SHOPS[shop or drawn].drawn
    names, weights = zip(*((f.name, often.get(f.name, f.weight)) for f in faults.TABLE.values()), strict=True)
    steps = [Step("proposal of the model", chance.randrange(1 << 30), chance.randrange(3))]
    for name in chance.choices(names, weights, k=chance.randint(*STEPS) - 1):
        steps.append(Step(name, chance.randrange(1 << 30), chance.choice((0, 0, 1, 1, 2))))
    drawn = drawn + CANARIES if seed % 3 == 1 else drawn
    return Schedule(seed, shop or drawn, tuple(steps), chance.choice(NO_DATA))


class Runner:
    """Worlds at rest are built once and copied."""

    def __init__(self) -> None:
        self.rested: dict[str, World] = {}

    async def world(self, shop: str) -> World:
        if shop not in self.rested:
            self.rested[shop] = World(SHOPS[shop])
            await self.rested[shop].build()
            gc.freeze()  # worlds are copied thousands of times, and never freed
        return self.rested[shop].copy()

    async def run(self, schedule: Schedule) -> Outcome:
        world = await self.world(schedule.shop)
        if schedule.no_data != HOLD:
            await world.without_data(schedule.no_data)
        watch, out = Watch(world), Outcome(schedule)
        world.on_wake, world.on_slept = watch.woken, watch.slept
        tenants, struck = [t.name for t in world.shop.tenants], dict[str, int]()
        for step in schedule.steps:
            chance = random.Random(step.seed)
            struck.setdefault(step.name, len(world.said))
            try:
                did = await faults.TABLE[step.name].act(world, chance, chance.choice(tenants))
            except Refused as error:  # somebody's own write, in a namespace that terminates
                did = str(error)
            watch.others()
            for _ in range(step.turns):
                await world.turn()
            watch.stepped()
            out.log.append((step.name, did, " ".join(world.told)))
            out.reasons.setdefault(step.name, set()).update(world.told)
            world.told.clear()
            if watch.found:
                break
        if not watch.found:
            await self._recover(world, watch, out)
        out.violations = watch.found
        out.seen = {name: set(world.said[at:]) for name, at in struck.items()}
        return out

    async def _recover(self, world: World, watch: Watch, out: Outcome) -> None:
        """Faults stop; within RECOVERY wakes everything is in one piece."""
        await stop_faults(world)
        watch.others()
        left: list[str] = ["not looked yet"]
        calm = 0
        for count in range(RECOVERY):
            await world.turn()
            watch.stepped()
            left = unfinished(world, watch)
            calm = 0 if left else calm + 1
            if calm == CALM or watch.found:
                out.recovery = count + 1
                break
        else:
            watch.found += left
        out.log.append(("faults stop", f"{out.recovery or RECOVERY} wakes", " ".join(world.told)))


def unfinished(world: World, watch: Watch) -> list[str]:
    left = []
    for tenant in world.shop.tenants:
        try:
            at_last_known_good(world, watch, tenant.name)
        except Violation as error:
            left.append(f"at_last_known_good: {error}")
    try:
        budget_holds_or_is_said(world)
    except Violation as error:
        left.append(f"budget_holds_or_is_said: {error}")
    return left


async def stop_faults(world: World) -> None:
    """Everything is well again; nobody wishes for anything."""
    faults.clear(world.server.faults)
    world.kill_in, world.kill_at, world.network.gone_until = 0, None, 0.0
    world.network.storm = 0
    world.metrics.lie, world.metrics.down = "", None
    world.wishes.clear()
    world.healing.clear()
    world.switch(writes=True)
    world.brake(None)
    await world.helm.apply(world.shop.class_, force=True)
    world.server.recreate(NAMESPACE)
    for name, app in world.apps.items():
        app.deaf = app.stuck = app.crashing = app.idle = False
        app.kills_at, app.lag, app.no_room = 0, 1, ""
        app.service.load, app.service.well = LOAD, {}
        if world.server.peek(app.target) is None:
            await world.helm.apply(world.tenant(name).target())
        target = world.server.peek(app.target)
        if target is not None and target["spec"]["replicas"] == 0:
            operation = {"op": "replace", "path": "/spec/replicas", "value": 2}
            await world.alice.json_patch(app.target, [operation], subresource="scale")
        profile = world.profile(name)
        if profile is not None and "deletionTimestamp" not in profile["metadata"]:
            knobs = [{**knob, "mode": "Tune"} for knob in profile["spec"]["knobs"]]
            slos = world.tenant(name).profile["spec"]["slos"]
            await world.edit_spec(name, mode="Auto", freezes=[], slos=slos, knobs=knobs)
        await users.opted(world, name, None)


def table(outcome: Outcome) -> str:
    """The schedule as it ran, for people."""
    head = f"seed {outcome.schedule.seed}, shop {outcome.schedule.shop}, onNoData {outcome.schedule.no_data}"
    rows = [f"  {n:>2}  {name:<48} {did:<46} {said}" for n, (name, did, said) in enumerate(outcome.log)]
    found = [f"  ** {line}" for line in outcome.violations]
    replay = f"  replay: python -m tests.chaos --seed {outcome.schedule.seed} --schedules 1"
    return "\n".join([head, *rows, *found, replay])


async def minimise(runner: Runner, schedule: Schedule) -> Schedule:
    """Leave steps and turns out while the same invariant still fails."""
    kind = _kinds((await runner.run(schedule)).violations)
    steps: Sequence[Step] = schedule.steps
    shrunk = True
    while shrunk:
        shrunk = False
        for at in range(len(steps)):
            fewer = replace(schedule, steps=(*steps[:at], *steps[at + 1 :]))
            if _kinds((await runner.run(fewer)).violations) & kind:
                steps, shrunk = fewer.steps, True
                break
    return replace(schedule, steps=tuple(steps))


def _kinds(violations: Sequence[str]) -> set[str]:
    return {v.partition(":")[0] for v in violations}
