"""Two profiles on one shared budget: never above capacity minus reserve, one trial at a time."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pegbox.api import budgets
from pegbox.model.decisions import Action
from pegbox.model.errors import NotAvailable, WriteConflict
from pegbox.model.knobs import values_hash
from pegbox.model.observations import Missing
from pegbox.model.proposals import Proposal
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import IntentKind
from pegbox.ports import BUDGET, CONFIG_MAP, DEPLOYMENT, LEDGER, Ref
from pegbox.runtime.memory import Memory
from pegbox.runtime.predicting import Predicting
from pegbox.testing.cluster import FakeCluster
from tests.loop import documents
from tests.loop.world import Quiet, World, make

NAMES = "checkout", "basket"
USES = {"name": "postgres", "uses": "pods * workers", "budgetRef": {"name": "postgres"}}


async def two(capacity: int, reserve: int = 0, workers: int = 2, **built: Any) -> World:
    """Two pods each, two workers each: 4 units each."""
    world = await make(**built)
    await world.apply(documents.budget(capacity=capacity, reserve=reserve))
    for name in NAMES:
        await world.add(documents.profile(name, documents.hot(initial=workers), budgets=[USES]), workers=workers)
    for name in NAMES:
        await world.steady(name)
    return world


async def both(world: World, turns: int) -> list[int]:
    """Turns of both in alternation; what was claimed after each wake."""
    claimed = []
    for _ in range(turns):
        for name in NAMES:
            await world.wake(name)
            await world.pods_step(world.apps[name])
            claimed.append(sum(amount for amount, _ in (await world.claims()).values()))
            slots = [slot for _, slot in (await world.claims()).values()]
            assert slots.count("Holding") <= 1
        await world.clock.advance(5)
    return claimed


async def test_the_incumbents_are_claimed_and_a_raise_takes_the_slot_while_it_is_tried() -> None:
    world = await two(capacity=20)
    assert await world.claims() == {"checkout": (4, "None"), "basket": (4, "None")}
    await world.annotate("try", "workers=3")
    await world.turn()
    assert await world.claims() == {"checkout": (6, "Holding"), "basket": (4, "None")}
    await world.annotate("try", "workers=3", "basket")
    await world.turn("basket")
    assert (await world.claims())["basket"] == (4, "None")
    assert await world.values("basket") == {"workers": "2"}
    await both(world, 15)
    assert (await world.claims())["checkout"] == (6, "None")


async def test_what_is_left_after_the_reserve_is_never_exceeded() -> None:
    """10 - 1 = 9 units: 4 + 4 are claimed, and a raise by two does not fit."""
    world = await two(capacity=10, reserve=1)
    await world.annotate("try", "workers=3")
    await world.turn()
    assert "RequestRefused" in world.events.reasons()
    assert max(await both(world, 10)) == 8


async def test_what_an_accepted_trial_gives_up_is_free_only_once_the_acceptance_is_recorded() -> None:
    """16 of 16 units are claimed, and checkout does with 4 of its 8. As long as its ledger cannot be written it may have
    to go back, after a kill too: basket is refused the rest."""
    world = await two(capacity=16, workers=4)
    server = world.pegbox
    assert isinstance(server, FakeCluster)
    await world.annotate("try", "workers=2")
    await world.turns(2)
    for _ in range(3):
        server.faults.fail_next("apply", LEDGER, NotAvailable("timeout"))
        await world.turn()
    intent = await world.intent()
    assert intent is not None and intent.in_force_at is not None
    assert world.reconciler.decisions["shop/checkout"].action is Action.ACCEPT, "which is not recorded"
    assert (await world.claims())["checkout"][0] == 8
    world.restart()
    await world.annotate("try", "workers=6", "basket")
    await world.turn("basket")
    assert await world.values("basket") == {"workers": "4"}
    await world.annotate("rollback")
    await world.turns(6)
    assert await world.values() == {"workers": "4"}
    assert await world.claims() == {"checkout": (8, "None"), "basket": (8, "None")}


async def test_a_claim_that_moved_is_read_again_and_one_that_keeps_moving_gives_up_for_now() -> None:
    world = await two(capacity=20)
    await world.annotate("try", "workers=3")
    server = world.pegbox
    assert isinstance(server, FakeCluster)
    server.faults.fail_next("json_patch", BUDGET, WriteConflict("moved"))
    await world.turn()
    assert (await world.claims())["checkout"] == (6, "Holding")
    await world.rest()
    await world.annotate("try", "workers=4")
    server.faults.fail_next("json_patch", BUDGET, WriteConflict("moved"), times=5)
    assert await world.wake() == -1.0
    assert await world.values() == {"workers": "3"}


async def test_the_slot_taken_between_decision_and_claim_holds_the_trial_back() -> None:
    """The other one claims after this wake read the budget: compare-and-swap refuses, nothing is written."""
    world = await two(capacity=20)
    before = await world.document()
    server = world.pegbox
    assert isinstance(server, FakeCluster)
    rival = (await world.profile("basket"))["metadata"]["uid"]
    reads = 0

    original = server.get

    async def get(ref: Ref) -> dict[str, object]:
        nonlocal reads
        if ref.kind == BUDGET:
            reads += 1
            if reads == 2:  # the claim's own reading
                await _take_slot(world, rival)
        return await original(ref)

    server.get = get  # type: ignore[method-assign]
    await world.annotate("try", "workers=3")
    await world.turn()
    assert await world.document() == before
    assert "WaitingForBudget" in await world.why()


async def _take_slot(world: World, uid: str) -> None:
    from datetime import timedelta

    ref = Ref(BUDGET, world.namespace, "postgres")
    body = await world.outside.get(ref)
    wish = budgets.Wish(uid, f"{world.namespace}/basket", 4, world.clock.now() + timedelta(hours=1), True)
    granted = budgets.claim(body, wish, world.clock.now())
    assert isinstance(granted, dict)
    operation = {"op": "add", "path": "/status", "value": granted["status"]}
    await world.outside.json_patch(ref, [operation], subresource="status")


async def test_what_somebody_raised_in_a_document_that_pods_cannot_read_is_claimed_while_it_is_written_anew() -> None:
    """8 units: 4 + 4 are claimed when somebody sets workers=4 under the old hash. Two pods use 8 of it then: 12 in all, and
    nothing is left for anybody else to raise. The other one gives way instead: 8 + 2."""
    world = await two(capacity=10)
    await set_by_hand(world, 4, hashed=False)
    await world.wake()
    ledger = await world.ledger()
    assert ledger is not None and ledger.intent is not None and ledger.intent.kind is IntentKind.ADOPT
    assert (await world.claims())["checkout"][0] == 8
    await world.annotate("try", "workers=3", "basket")
    await world.turn("basket")
    assert await world.values("basket") == {"workers": "1"}


async def set_by_hand(world: World, workers: int, *, hashed: bool, number: int = 1) -> None:
    """Somebody edits the document of `checkout`; `hashed`: as pods can read it, under a number and a hash of its own. One
    that is no larger (`number` is 0) they know."""
    own = Ref(CONFIG_MAP, world.namespace, "checkout-pegbox")
    document = json.loads((await world.outside.get(own))["data"]["settings.json"])
    document["values"]["workers"] = str(workers)
    if hashed:
        document |= {"hash": values_hash(document["values"]), "generation": document["generation"] + number}
    await world.patch(own, "/data/settings.json", json.dumps(document))


async def lowered_by_hand(*, hashed: bool, silent: bool = False) -> World:
    """12 units. Two pods run 3 workers each, 6 are claimed. Somebody sets 2, and no pod has read that yet."""
    world = await two(capacity=12)
    world.apps["checkout"].silent = silent
    await set_by_hand(world, 3, hashed=True)
    await world.turn()
    await world.turn()
    assert (await world.claims())["checkout"][0] == 6
    await set_by_hand(world, 2, hashed=hashed)
    await world.wake()
    return world


@pytest.mark.parametrize("hashed", [True, False])
async def test_what_somebody_lowers_stays_claimed_until_every_pod_has_read_it(hashed: bool) -> None:
    """8 for the other one beside 6 would be 14 of 12. (Schedule 4010703.)"""
    world = await lowered_by_hand(hashed=hashed)
    assert (await world.claims())["checkout"][0] == 6
    await world.annotate("try", "workers=4", "basket")
    await world.turn("basket")
    assert await world.values("basket") == {"workers": "2"}
    assert "RequestRefused" in world.events.reasons()


@pytest.mark.parametrize("hashed", [True, False])
async def test_once_every_pod_has_read_it_others_may_have_it(hashed: bool) -> None:
    world = await lowered_by_hand(hashed=hashed)
    await world.pods_step(world.apps["checkout"])
    await world.rest()
    assert (await world.claims())["checkout"][0] == 4
    await world.annotate("try", "workers=4", "basket")
    await world.turn("basket")
    assert await world.values("basket") == {"workers": "4"}


async def test_pods_that_fell_silent_hold_what_they_may_still_use() -> None:
    world = await lowered_by_hand(hashed=True, silent=True)
    await world.turns(20)
    assert (await world.claims())["checkout"] == (6, "None")


async def scaled(world: World, replicas: int) -> None:
    """Somebody scales `checkout`, its controller follows, and the operator sees it."""
    app = world.apps["checkout"]
    await world.patch(Ref(DEPLOYMENT, world.namespace, "checkout"), "/spec/replicas", replicas)
    await world.pods_step(app)
    await world.turn()


async def test_who_is_scaled_to_zero_finds_his_share_when_he_comes_back() -> None:
    """10 units, 4 + 4 are claimed. 8 for the other one while this one has no pods would be 12 of 10 with them.
    (Schedule 8003879.)"""
    world = await two(capacity=10)
    await scaled(world, 0)
    assert "ScaledToZero" in await world.why()
    assert (await world.claims())["checkout"] == (4, "None")
    await world.annotate("try", "workers=4", "basket")
    await both(world, 10)
    assert await world.values("basket") == {"workers": "2"}
    await scaled(world, 2)
    await both(world, 10)
    assert await world.values() == {"workers": "2"}
    assert "BudgetExceeded" not in world.events.reasons()


async def test_who_stays_at_zero_for_a_day_gives_his_share_back() -> None:
    """His claim is not renewed while he has no pods; the other one's is."""
    world = await two(capacity=10)
    await scaled(world, 0)
    for _ in range(25):
        await both(world, 1)
        await world.clock.advance(3600)
    await both(world, 1)
    assert await world.claims() == {"checkout": (0, "None"), "basket": (4, "None")}
    await world.annotate("try", "workers=4", "basket")
    await world.turn("basket")
    assert await world.values("basket") == {"workers": "4"}


async def test_who_is_scaled_down_to_one_gives_the_rest_back_at_once() -> None:
    """That is a size, and no pause."""
    world = await two(capacity=10)
    await scaled(world, 1)
    assert (await world.claims())["checkout"] == (2, "None")


async def test_who_is_scaled_to_zero_in_mid_trial_keeps_no_trial_slot() -> None:
    world = await two(capacity=20)
    await world.annotate("try", "workers=3")
    await world.turn()
    assert (await world.claims())["checkout"] == (6, "Holding")
    await scaled(world, 0)
    await world.annotate("rollback")
    await world.rest()
    await world.turn()
    assert (await world.claims())["checkout"] == (6, "None")


async def grown_beside(world: World) -> None:
    """Somebody scales `checkout` to three pods: 3 x 2 = 6 units, 4 were claimed. No pod takes anything else meanwhile."""
    await world.patch(Ref(DEPLOYMENT, world.namespace, "checkout"), "/spec/replicas", 3)
    await world.wake()
    assert "BudgetExceeded" in await world.why()
    assert await world.values() == {"workers": "1"}  # 3 pods are to use 3 units


async def test_what_pods_use_before_a_way_down_is_claimed_also_beside_a_trial_of_another() -> None:
    """10 units: 4, and 6 for the other one's trial, whose raise could not be written yet. Until 3 pods have read that they
    are to use less, that raise would make it 6 + 6 = 12."""
    world = await two(capacity=10)
    server = world.pegbox
    assert isinstance(server, FakeCluster)
    server.faults.fail_next("apply", CONFIG_MAP, NotAvailable("timeout"))
    await world.annotate("try", "workers=3", "basket")
    await world.wake("basket")
    assert (await world.claims())["basket"] == (6, "Holding")
    await grown_beside(world)
    assert (await world.claims())["checkout"] == (6, "None")
    await world.wake("basket")
    assert await world.values("basket") == {"workers": "2"}


async def test_beside_nobodys_trial_the_way_down_holds_the_slot() -> None:
    """So that others leave it to this one: 9 units, 6 + 4."""
    world = await two(capacity=9)
    await grown_beside(world)
    assert (await world.claims())["checkout"] == (6, "Holding")
    await world.wake("basket")
    assert await world.values("basket") == {"workers": "2"}


RAISED = {"name": "max_replicas", "min": 1, "max": 6}
OWN = {"name": "db", "uses": "pods * workers", "limit": 13}


async def edited(*, number: int) -> World:
    """4 pods run 3 workers: 4 x 3 = 12 of 13. Somebody sets 2 and raises the document's number by `number`;
    no pod has read that yet."""
    world = await make()
    await world.apply(documents.hpa())
    tuned = documents.profile(
        "checkout",
        documents.hot("workers"),
        RAISED,
        budgets=[OWN],
        autoscaler={"ref": {"name": "checkout"}},
        conflictPolicy="Take",
        guards=documents.QUICK,
    )
    await world.add(tuned, workers=2)
    await world.steady()
    await set_by_hand(world, 3, hashed=True)
    await world.turns(30)
    await set_by_hand(world, 2, hashed=True, number=number)
    await world.annotate("try", "max_replicas=6")  # 6 x 2 = 12 would fit, beside pods that run 3 it does not
    return world


async def test_an_edit_under_a_number_that_pods_know_is_first_of_all_written_under_another() -> None:
    """Readers refuse such an edit (rule 4 of the settings document), so that 2 would stand and 3 would run for good."""
    world = await edited(number=0)
    before = (await world.document()).generation
    await world.wake()
    after, intent = await world.document(), await world.intent()
    assert (after.generation, after.values["workers"]) == (before + 1, "2")
    assert intent is not None and intent.kind is IntentKind.ADOPT
    assert "ForeignChange" in world.events.reasons()
    assert (await world.bounds())[1] == 4
    await world.turns(10)  # every pod has read it, and was measured with it: now it may
    assert (await world.bounds())[1] == 6


async def test_an_edit_under_a_number_of_its_own_is_left_as_it_is() -> None:
    world = await edited(number=1)
    before = await world.document()
    await world.wake()
    assert await world.document() == before and await world.intent() is None


class Racing(Quiet):
    """The other one's whole look falls between the reading of `checkout` and its claim."""

    def __init__(self) -> None:
        self.other: Callable[[], Awaitable[object]] | None = None

    async def proposal(self, snapshot: Snapshot, memory: Memory, now: Any) -> Proposal | Missing:
        other, self.other = self.other, None
        if other is not None:
            await other()
        return await super().proposal(snapshot, memory, now)


async def cut_below_both(predicting: Predicting) -> World:
    """Both were adopted at 4 workers (8 units each), and have accepted 2; of 16 units 12 are left: one has room to go back."""
    world = await two(capacity=16, workers=4, predicting=predicting)
    for name in NAMES:
        await world.annotate("try", "workers=2", name)
        await world.rest(name)
        await world.turns(5, name)
    await world.apply(documents.budget(capacity=12))
    for name in NAMES:
        await world.turn(name)
    assert await world.claims() == {"checkout": (4, "None"), "basket": (4, "None")}
    return world


@pytest.mark.parametrize("way", ["a global restore", "rollbacks that persons ask for"])
async def test_of_two_ways_back_at_the_same_moment_only_one_takes_the_room_that_both_saw(way: str) -> None:
    racing = Racing()
    world = await cut_below_both(racing)
    if way == "a global restore":
        world.brake("restore")
    else:
        for name in NAMES:
            await world.annotate("rollback", name=name)
    racing.other = lambda: world.turn("basket")
    for _ in range(6):
        for name in NAMES:
            await world.turn(name)
            used = [2 * int((await world.values(each))["workers"]) for each in NAMES]
            assert sum(used) <= 12, used
    assert used == [4, 8], "who came second stays below what it was"
    assert (await world.claims()) == {"checkout": (4, "None"), "basket": (8, "None")}


async def test_a_rollback_whose_slot_another_took_meanwhile_is_not_written_into_what_it_did_not_claim() -> None:
    """8 of 12 for the way back; the other one begins a trial of 1 worker in between, and has the slot."""
    racing = Racing()
    world = await cut_below_both(racing)
    await world.annotate("rollback")
    await world.annotate("try", "workers=1", "basket")
    racing.other = lambda: world.turn("basket")
    await world.turn()
    assert await world.claims() == {"checkout": (4, "None"), "basket": (4, "Holding")}
    await world.turns(2)
    assert await world.values() == {"workers": "2"}, "it may be asked for again once that trial has ended"
