"""What stands on the API server in the end: every state of an intent, every mode, brake and deletion. One test per cell.

The table is the one of docs/architecture.md, as tests/unit/core/test_mode_table.py decides each of its cells. Two of each
were adopted, three workers are the parent, and the target has more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from pegbox.core.fleet import Fleet
from pegbox.model.errors import NotAvailable
from pegbox.model.reasons import Reason
from pegbox.model.trials import Breaker, BreakerState, IntentKind
from pegbox.ports import CONFIG_MAP, DEPLOYMENT, Ref
from pegbox.testing.cluster import FakeCluster
from tests.loop import documents
from tests.loop.world import Wishing, World, make, written
from tests.unit.core.build import at, setting
from tests.unit.core.test_mode_table import SAYS, TABLE, TRIALS, cells

ADOPTED, PARENT = {"workers": "2", "pool": "2", "buffer": "2"}, {"workers": "3", "pool": "2", "buffer": "2"}
PLAIN, TRADE = {"workers": "3", "pool": "3", "buffer": "2"}, {"workers": "2", "pool": "3", "buffer": "3"}
GUARDS = documents.QUICK | {"settle": "10s", "trialWindow": "20s", "trialTimeout": "5m"}


@dataclass
class Case:
    """`target` is what the trial is about; `variables` are of pods that restart for it, as they were adopted."""

    world: World
    wishing: Wishing
    target: dict[str, str]
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def server(self) -> FakeCluster:
        assert isinstance(self.world.pegbox, FakeCluster)
        return self.world.pegbox

    def wish(self) -> None:
        self.wishing.wish = setting(**{name: int(text) for name, text in self.target.items()})

    async def begun(self) -> None:
        """The trial is in the ledger, and nothing else is wished for."""
        intent = await self.world.intent()
        assert intent is not None and intent.kind is IntentKind.TRIAL, await self.world.why()
        self.wishing.wish = None

    async def unwritten(self, kind: IntentKind) -> None:
        """One wake whose write the server does not take: the intent is in the ledger and nowhere else."""
        before = await stands(self.world)
        self.server.faults.fail_next("apply", CONFIG_MAP, NotAvailable("503"))
        assert await self.world.turn() == -1.0
        intent = await self.world.intent()
        assert intent is not None and intent.kind is kind, await self.world.why()
        assert await stands(self.world) == before

    async def look(self) -> None:
        """A wake of which no pod takes note."""
        self.world.clock.skip(await self.world.wake() or 0.0)


async def stands(world: World) -> dict[str, str] | None:
    """Our ConfigMap's data; None where it does not exist."""
    body = await world.find(Ref(CONFIG_MAP, world.namespace, "checkout-pegbox"))
    return None if body is None else dict(body["data"])


async def rest(
    target: dict[str, str] = PLAIN, pods: int = 2, variables: dict[str, str] | None = None, **spec: Any
) -> Case:
    """Two of each were adopted; three workers were accepted, and measured."""
    variables = variables or {}
    wishing = Wishing()
    world = await make(predicting=wishing)
    knobs = [documents.hot(name) for name in ADOPTED] + [documents.env(name) for name in variables]
    body = documents.profile("checkout", *knobs, **({"guards": GUARDS} | spec))
    values = dict.fromkeys((*ADOPTED, *variables), 2.0)
    await world.add(body, documents.deployment(replicas=pods), **values)
    await world.steady()
    case = Case(world, wishing, PARENT | variables, variables)
    case.wish()
    await world.turn()
    await case.begun()
    assert (await world.rest()).trials[-1].state.value == "Accepted"
    await world.turns(12)
    assert await world.values() == PARENT and await world.intent() is None
    case.target = target
    return case


# --- states


async def with_a_wish() -> Case:
    case = await rest()
    case.wish()
    return case


async def being_written() -> Case:
    case = await with_a_wish()
    await case.unwritten(IntentKind.TRIAL)
    await case.begun()
    return case


async def between_stages() -> Case:
    """Workers go down before the pool goes up: one budget counts both."""
    budget = {"name": "postgres", "uses": "pods * workers * pool", "limit": 12}
    case = await rest(TRADE, budgets=[budget])
    case.wish()
    await case.world.turn()
    await case.begun()
    intent = await case.world.intent()
    assert intent is not None and (intent.stage, len(intent.stages)) == (0, 2)
    assert await case.world.values() == ADOPTED
    return case


async def restarting() -> Case:
    """One of three pods has restarted with what is tried."""
    case = await rest(PARENT | {"threads": "3"}, pods=3, variables={"threads": "2"})
    evicted = ("evict", "Pod", "eviction")
    before = written(case.world.pegbox).count(evicted)
    case.wish()
    await case.world.turn()
    await case.begun()

    async def one() -> bool:
        return written(case.world.pegbox).count(evicted) > before

    await case.world.until(one)
    intent = await case.world.intent()
    assert intent is not None and intent.in_force_at is None
    return case


async def read_back() -> Case:
    case = await with_a_wish()
    await case.look()
    await case.begun()
    await case.look()
    intent = await case.world.intent()
    assert intent is not None and intent.applied_at is not None and intent.in_force_at is None
    return case


async def settling() -> Case:
    case = await read_back()
    await case.world.pods_step(case.world.apps["checkout"])
    await case.world.turn()
    intent = await case.world.intent()
    assert intent is not None and intent.in_force_at is not None
    return case


async def evidence_complete() -> Case:
    """One wake before its twin accepts."""
    twin, case = await settling(), await settling()

    async def accepted() -> bool:
        return await twin.world.intent() is None

    await case.world.turns(await twin.world.until(accepted) - 1)
    assert await case.world.intent() is not None
    return case


async def canary() -> Case:
    case = await rest(pods=5)
    case.wish()
    await case.world.turn()
    await case.begun()

    async def compared() -> bool:
        intent = await case.world.intent()
        return intent is not None and intent.compared and intent.in_force_at is not None

    await case.world.until(compared)
    assert (await case.world.document()).cohorts and await case.world.values() == PARENT
    return case


async def rolling_back() -> Case:
    case = await settling()
    await case.world.annotate("rollback")
    await case.unwritten(IntentKind.ROLLBACK)
    return case


async def adopting() -> Case:
    """Somebody deleted our ConfigMap: it is about to be written again."""
    case = await rest()
    await case.world.outside.delete(Ref(CONFIG_MAP, case.world.namespace, "checkout-pegbox"))
    await case.unwritten(IntentKind.ADOPT)
    return case


async def restoring() -> Case:
    case = await rest()
    await case.world.delete()
    await case.unwritten(IntentKind.RESTORE)
    return case


STATES: dict[str, Callable[[], Awaitable[Case]]] = {
    "at rest, with a wish": with_a_wish,
    "trial, being written": being_written,
    "trial, between stages": between_stages,
    "trial, restarting pods": restarting,
    "trial, read back": read_back,
    "trial, settling": settling,
    "trial, evidence complete": evidence_complete,
    "canary, beside the rest": canary,
    "rolling back": rolling_back,
    "adopting": adopting,
    "restoring": restoring,
}


# --- what happens


async def opened(world: World) -> None:
    """The breaker of this profile, as its ledger says."""
    await world.amend(breaker=Breaker(BreakerState.OPEN, 3, 1, at(10**9)))


async def opened_for_all(world: World) -> None:
    now = world.clock.now()
    world.brakes.fleet = Fleet(BreakerState.OPEN, 1, now + timedelta(hours=1), now, why="others failed")


async def opted_out(world: World) -> None:
    await world.patch(
        Ref(DEPLOYMENT, world.namespace, "checkout"), "/metadata/annotations", {"pegbox.dev/opt-out": "true"}
    )


async def nothing(world: World) -> None:
    pass


async def braked(world: World, text: str) -> None:
    world.brake(text)


async def kept(world: World) -> None:
    await world.edit(deletionPolicy="Keep")
    await deleted(world)


async def deleted(world: World) -> None:
    if "deletionTimestamp" not in (await world.profile())["metadata"]:
        await world.delete()


HAPPENINGS: dict[str, Callable[[World], Awaitable[object]]] = {
    "Auto": nothing,
    "Observe": lambda world: world.edit(mode="Observe"),
    "Recommend": lambda world: world.edit(mode="Recommend"),
    "Auto again": lambda world: world.edit(mode="Auto"),
    "paused": lambda world: world.annotate("pause", "24h"),
    "frozen": lambda world: world.edit(freezes=[documents.ALWAYS]),
    "breaker Open": opened,
    "fleet breaker Open": opened_for_all,
    "deleted, Restore": deleted,
    "deleted, Keep": kept,
    "stopped": lambda world: braked(world, "stop"),
    "stopped, restore": lambda world: braked(world, "restore"),
    "opted out": opted_out,
}
PROGRESSING = {
    "Auto": "NothingBetter",
    "Observe": "ModeObserve",
    "Recommend": "ModeRecommend",
    "paused": "Paused",
    "frozen": "Frozen",
    "breaker Open": "BreakerOpen",
    "fleet breaker Open": "FleetBreakerOpen",
    "stopped": "Stopped",
    "stopped, restore": "Stopped",
    "opted out": "OptedOut",
}
FINISHED = {"rolling back": PARENT, "adopting": PARENT, "restoring": ADOPTED}  # the others end with their target


async def in_the_end(case: Case) -> bool:
    """The profile is gone, or nothing is under way and nothing will be."""
    world = case.world

    async def over() -> bool:
        return not await world.exists() or await world.intent() is None

    await world.turn()
    case.wishing.wish = None if await world.intent() is not None else case.wishing.wish
    await world.until(over, limit=200)
    if await world.exists():
        await world.turns(8)
    return not await world.exists()


@pytest.mark.parametrize(
    ("state", "happens", "word"), [pytest.param(*c, id=f"{c[0]}: {c[1]}: {c[2]}") for c in cells(TABLE)]
)
async def test_what_stands_in_the_end(state: str, happens: str, word: str) -> None:
    case = await STATES[state]()
    world, before = case.world, await stands(case.world)
    was = await world.ledger()
    await HAPPENINGS[happens](world)
    if word == "put off":
        await world.turns(8)
        assert await stands(world) == before, "not a byte of it moves"
        assert (await world.condition("Progressing"))[1] == PROGRESSING[happens]
        happens, word = "Auto", "goes back"
        await HAPPENINGS["Auto again"](world)
    gone = await in_the_end(case)
    assert gone == (happens.startswith("deleted") or state == "restoring")

    ends = {
        "starts": case.target,
        "accepts": case.target,
        "goes on": FINISHED.get(state, case.target),
        "goes back": PARENT,
        "restores": ADOPTED,
    }
    if word in ends:
        document = await world.document()
        data = await stands(world) or {}
        now = {**document.values, **{name: data[name.upper()] for name in case.variables}}
        assert (now, dict(document.cohorts)) == (case.variables | ends[word], {})
    else:
        assert await stands(world) == before, "not a byte of it moves"

    ledger = await world.ledger()
    assert ledger is not None and was is not None and ledger.intent is None
    if gone:
        return
    assert (await world.condition("Progressing"))[:2] == ("False", PROGRESSING[happens])
    assert ledger.breaker.failures == was.breaker.failures or happens == "breaker Open", "none of this is harm"
    ended = [(t.state.value, t.reason.value) for t in ledger.trials[len(was.trials) :]]
    if word in ("starts", "accepts") or (state in TRIALS and word == "goes on"):
        assert [how for how, _ in ended] == ["Accepted"]
    elif state in TRIALS:
        assert ended == [("Inconclusive", SAYS.get(happens, Reason.MODE_RECOMMEND).value)]
    else:
        assert ended == []


def test_every_state_and_happening_has_its_cell() -> None:
    assert {(s, h) for s, h, _ in cells(TABLE)} == {(s, h) for s in STATES for h in HAPPENINGS if h != "Auto again"}
