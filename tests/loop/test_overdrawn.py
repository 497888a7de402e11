"""Somebody raises what a budget counts, by hand and at rest: said, and lowered at the next look, within one interval."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from pegbox.model.knobs import Setting
from pegbox.ports import CONFIG_MAP, HPA, PROFILE, Ref
from tests.loop import documents
from tests.loop.world import World, make

USES = {"name": "postgres", "uses": "pods * workers", "limit": 16}
BY_HAND = {"autoscaler": {"ref": {"name": "checkout"}}, "budgets": [USES]}


async def scaled(*more: Any, **spec: Any) -> World:
    """At most 4 pods of 4 workers each: 16 of 16. The HPA is its owner's."""
    world = await make()
    await world.apply(documents.hpa())
    knobs = documents.hot(initial=4), {"name": "max_replicas"}, *more
    await world.add(documents.profile("checkout", *knobs, **(BY_HAND | spec)), workers=4, pool=2)
    await world.steady()
    return world


async def test_an_hpa_raised_by_hand_is_said_and_made_up_for_within_one_interval() -> None:
    """At most 8 pods now: 32 of 16. Two workers each are 16. The next look is at most an interval (5 s) away, and nobody
    tells the operator of an HPA."""
    world = await scaled()
    raised_at, due = world.clock.now(), await world.wake()
    assert due is not None and due <= 5.0
    await world.apply(documents.hpa(high=8))
    world.clock.skip(due)
    assert (await world.values(), await world.bounds()) == ({"workers": "4"}, (2, 8))
    await world.wake()
    assert (await world.values(), await world.bounds()) == ({"workers": "2"}, (2, 8)), "what he set stays"
    assert (world.clock.now() - raised_at).total_seconds() <= 5.0, "said and written within one interval"
    status, reason, message = await world.condition("Degraded")
    assert (status, reason) == ("True", "BudgetExceeded") and "postgres: 32 of 16" in message
    ledger = await world.rest()
    assert ledger.incumbent is not None and ledger.incumbent.number("workers") == 2
    await world.turns(2)
    assert (await world.condition("Degraded"))[0] == "False"


async def test_in_recommend_it_is_said_and_nothing_is_written() -> None:
    world = await scaled()
    await world.edit(mode="Recommend")
    await world.apply(documents.hpa(high=8))
    before = await world.own()
    await world.turns(3)
    assert (await world.condition("Degraded"))[1] == "BudgetExceeded"
    assert await world.own() == before


async def test_killed_right_after_it_began_the_next_process_ends_it() -> None:
    world = await scaled()
    await world.apply(documents.hpa(high=8))
    await world.turn()
    world.restart()
    ledger = await world.rest()
    assert await world.values() == {"workers": "2"}
    assert ledger.incumbent is not None and ledger.incumbent.number("workers") == 2


async def test_deleted_afterwards_the_originals_come_back() -> None:
    world = await scaled()
    await world.apply(documents.hpa(high=8))
    await world.rest()
    await world.delete()
    await world.turns(8)
    assert await world.find(Ref(PROFILE, world.namespace, "checkout")) is None
    assert await world.values() == {"workers": "4"}


async def test_a_restore_without_room_for_the_rest_says_so_from_the_look_that_ends_it() -> None:
    """Adopted 4 workers of 4 pods; at most 8 pods now, so that 2 are all that fits. A pool of 3 was accepted since."""
    world = await scaled(documents.hot("pool"))
    await world.apply(documents.hpa(high=8))
    await world.rest()
    await world.annotate("try", "pool=3")
    await world.turn()
    await world.rest()
    assert await world.values() == {"workers": "2", "pool": "3"}
    world.brake("restore")
    said = []
    for _ in range(8):
        await world.turn()
        ledger = await world.ledger()
        if ledger is not None and ledger.intent is None:
            said.append((await world.condition("Degraded"))[:2])
    assert await world.values() == {"workers": "2", "pool": "2"}
    assert len(said) >= 3 and set(said) == {("True", "RestorePending")}
    texts = [event.message for _, event in world.events.emitted]
    assert any(e.startswith("restored") and "until it fits, less than workers=4" in e for e in texts)


@pytest.mark.parametrize("deleted", ["under way", "at its end"])
async def test_deleted_after_a_restore_that_had_no_room_for_the_rest_the_originals_come_back(deleted: str) -> None:
    """Adopted 4 workers of 4 pods; 2 of 8 were accepted. While all is restored somebody raises the HPA to 8 again: 2 are
    all that fits. Seed 700003494: they were left of a deleted profile where the stop's restore was still under way."""
    world = await make()
    await world.apply(documents.hpa())
    knobs = documents.hot(initial=4), {"name": "max_replicas", "conflictPolicy": "Take"}
    await world.add(documents.profile("checkout", *knobs, **BY_HAND), workers=4)
    await world.steady()
    await world.annotate("try", "workers=2,max_replicas=8")
    await world.turn()
    await world.rest()
    assert (await world.values(), await world.bounds()) == ({"workers": "2"}, (2, 8))
    world.brake("restore")
    await world.turn()
    assert await world.bounds() == (2, 4)
    await world.apply(documents.hpa(high=8))
    await world.turn()
    if deleted == "at its end":
        await world.turns(4)
    ledger = await world.ledger()
    assert ledger is not None and ledger.owed == Setting({"workers": Fraction(4)})
    assert (ledger.intent is not None) == (deleted == "under way")
    await world.delete()
    await world.turns(8)
    assert await world.find(Ref(PROFILE, world.namespace, "checkout")) is None
    assert (await world.values(), await world.bounds()) == ({"workers": "4"}, (2, 8)), "what he set stays"


async def test_who_sets_the_value_again_and_again_is_written_once_and_then_only_said() -> None:
    """A key of his own ConfigMap, by consent: 2 pods of 8 are all there is to 16. He writes 12, again and again;
    the value is left to him for 10 times window and cool-down."""
    world = await make()
    await world.apply(documents.config_map(BACKLOG="2\n"))
    budget = {"name": "postgres", "uses": "pods * backlog", "limit": 16}
    knob, slow = documents.plain(conflictPolicy="Take"), documents.QUICK | {"cooldown": "10m"}
    await world.add(documents.profile("checkout", knob, budgets=[budget], guards=slow), backlog=2)
    await world.steady()
    ref, seen = Ref(CONFIG_MAP, world.namespace, "app-config"), []
    for _ in range(4):
        await world.patch(ref, "/data/BACKLOG", "12\n")
        await world.turns(14)
        seen.append((await world.theirs("BACKLOG")).strip())
    assert seen == ["8", "12", "12", "12"]
    assert (await world.condition("Degraded"))[:2] == ("True", "BudgetExceeded")


async def test_of_a_shared_budget_the_one_whose_use_grew_gives_way_and_the_other_keeps_his() -> None:
    """Capacity 32, 16 each. One autoscaler is raised to 8: only its own workers are halved."""
    world = await make()
    shared = {"name": "postgres", "uses": "pods * workers", "budgetRef": {"name": "postgres"}}
    await world.apply(documents.budget(capacity=32))
    for name in ("checkout", "basket"):
        await world.apply(documents.hpa(name, target=name))
        knobs = documents.hot(initial=4), {"name": "max_replicas"}
        scaler = {"ref": {"name": name}}
        await world.add(documents.profile(name, *knobs, autoscaler=scaler, budgets=[shared]), workers=4)
        await world.steady(name)
    await world.apply(documents.hpa(high=8))
    for _ in range(12):
        for name in ("checkout", "basket"):
            await world.turn(name)
    assert (await world.values(), await world.values("basket")) == ({"workers": "2"}, {"workers": "4"})
    assert sum(amount for amount, _ in (await world.claims()).values()) == 32


LOWERED = [
    pytest.param(20, ["1", "4"], "False", id="whoever_looks_first_where_that_is_enough"),
    pytest.param(16, ["2", "2"], "False", id="both_by_their_shares_where_it_is_not"),
    pytest.param(4, ["1", "1"], "True", id="as_far_as_may_be_and_the_rest_is_said"),
]


BOTH = "checkout", "basket"


async def two_of_32() -> World:
    """Four pods of four workers each."""
    world = await make()
    shared = {"name": "postgres", "uses": "pods * workers", "budgetRef": {"name": "postgres"}}
    await world.apply(documents.budget(capacity=32))
    for name in BOTH:
        body = documents.profile(name, documents.hot(initial=4), budgets=[shared])
        await world.add(body, documents.deployment(name, replicas=4), workers=4)
        await world.steady(name)
    return world


async def values(world: World, capacity: int, turns: int = 20) -> list[str]:
    await world.apply(documents.budget(capacity=capacity))
    for _ in range(turns):
        for name in BOTH:
            await world.turn(name)
    return [(await world.values(name))["workers"] for name in BOTH]


@pytest.mark.parametrize(("capacity", "after", "degraded"), LOWERED)
async def test_a_shared_capacity_that_somebody_lowers_lowers_values_without_a_trial(
    capacity: int, after: list[str], degraded: str
) -> None:
    """Of 32, 16 each, in one step of more than maxStep, and nobody is asked for a right on a workload: docs/security.md says
    to whom to give that on SharedBudgets."""
    world = await two_of_32()
    assert await values(world, 32) == ["4", "4"]
    assert await values(world, capacity) == after
    assert [(await world.condition("Degraded", name))[0] for name in BOTH] == [degraded] * 2
    assert await values(world, 32) == ["4", "4"], "what was lowered returns with the room"


async def test_who_makes_up_for_all_has_the_slot_until_others_see_the_room() -> None:
    """4 x 3 + 4 x 4 = 28 of 30. The slot and the claim fall at one look: in between nobody makes up for it once more."""
    world = await two_of_32()
    before = await world.document("basket")
    assert await values(world, 30) == ["3", "4"]
    assert await world.document("basket") == before


async def test_whose_pods_stay_silent_keeps_what_they_may_use_and_no_slot_for_ever() -> None:
    """Of 16: half of it is written and read by no pod, so that 16 stay claimed. The other one lowers its own all the same."""
    world = await two_of_32()
    world.apps["checkout"].silent = True
    assert await values(world, 16, turns=4) == ["2", "4"], "it has the time that pods are given to read it"
    assert (await values(world, 16, turns=60))[0] == "2"
    assert (await world.claims())["checkout"] == (16, "None")
    assert (await world.values("basket"))["workers"] == "1", "beside 16 of 16 nothing fits"


async def test_beside_one_who_may_not_be_lowered_it_is_lowered_as_far_as_may_be_once_that_one_had_its_time() -> None:
    """Of 16: by its share 8, beside 16 that are in nobody's hand. A look of the other and its pods may take 5 s + 30 s."""
    world = await two_of_32()
    await world.edit("basket", mode="Recommend")
    cut_at = world.clock.now()
    assert await values(world, 16, turns=4) == ["2", "4"]
    while (await world.values())["workers"] == "2":
        await world.turn()
    assert 35 <= (world.clock.now() - cut_at).total_seconds() <= 60
    assert await values(world, 16) == ["1", "4"]
    assert (await world.condition("Degraded"))[1] == "BudgetExceeded", "4 and 16 of 16"


async def test_once_there_is_room_again_what_was_lowered_returns() -> None:
    world = await scaled()
    await world.apply(documents.hpa(high=8))
    await world.rest()
    assert await world.values() == {"workers": "2"}
    await world.apply(documents.hpa(high=4))
    await world.turns(20)
    assert await world.values() == {"workers": "4"}
    assert (await world.condition("Degraded"))[0] == "False"


@pytest.mark.parametrize("put_off", [False, True], ids=["while it is written", "while it is put off"])
async def test_a_way_back_without_room_for_a_maximum_leaves_the_minimum_below_it_too(put_off: bool) -> None:
    """From 1 to 2 pods back to 3 to 4, of 4 each: 16 of 16. Somebody makes it 8 each, so that 2 pods have room: a minimum of
    3 beside that maximum is refused by the server, for ever."""
    world = await make()
    await world.apply(documents.hpa(low=3, high=4), documents.config_map(BACKLOG="4"))
    bounds = ({"name": n, "min": 1, "max": 8, "conflictPolicy": "Take"} for n in ("min_replicas", "max_replicas"))
    knobs = documents.hot(initial=2), documents.plain(conflictPolicy="Take"), *bounds
    uses = [USES | {"uses": "pods * backlog"}]
    await world.add(documents.profile("checkout", *knobs, **(BY_HAND | {"budgets": uses})), workers=2, backlog=4)
    await world.steady()
    await world.annotate("try", "min_replicas=1,max_replicas=2,workers=3")
    await world.turn()
    if put_off:
        await world.edit(mode="Recommend")
        await world.turns(2)
    else:
        world.brake("stop")
        await world.wake()
    await set_backlog(world, 8)
    await world.turns(2)
    world.brake(None)
    await world.edit(mode="Auto")
    await world.rest()
    assert await world.bounds() == (2, 2)
    await set_backlog(world, 4)
    await world.turns(30)
    assert await world.bounds() == (3, 4), "what was left lowered returns"


async def set_backlog(world: World, value: int) -> None:
    await world.patch(Ref(CONFIG_MAP, world.namespace, "app-config"), "/data/BACKLOG", str(value))


@pytest.mark.parametrize(
    ("consent", "limit", "expected"),
    [
        pytest.param({}, 12, (6, 6), id="the maximum comes down to a minimum that is its owner's"),
        pytest.param({}, 8, (6, 8), id="where that is not enough it is only said"),
        pytest.param({"conflictPolicy": "Take"}, 8, (4, 4), id="with his consent the minimum comes down with it"),
    ],
)
async def test_a_maximum_is_lowered_no_further_than_a_minimum_of_others(
    consent: dict[str, str], limit: int, expected: tuple[int, int]
) -> None:
    """From 2 to 8 pods of 2 were accepted; 4 were adopted. The owner sets a minimum of 6, and less is allowed than the 16 of
    now. To lower his minimum without consent was tried, and refused, for ever."""
    world = await make()
    await world.apply(documents.hpa(), documents.config_map(BACKLOG="2"))
    bounds = {"name": "min_replicas"} | consent, {"name": "max_replicas", "max": 8, "conflictPolicy": "Take"}
    uses = USES | {"uses": "pods * backlog"}
    knobs = documents.hot(initial=2), documents.plain(), *bounds
    await world.add(documents.profile("checkout", *knobs, **(BY_HAND | {"budgets": [uses]})), workers=2, backlog=2)
    await world.steady()
    await world.annotate("try", "max_replicas=8")
    assert (await world.rest()).trials[-1].state.value == "Accepted"
    await world.patch(Ref(HPA, world.namespace, "checkout"), "/spec/minReplicas", 6)
    await world.turns(6)
    await world.edit(budgets=[uses | {"limit": limit}])
    await world.turns(10)
    assert await world.bounds() == expected
    assert (await world.intent()) is None
    over = "BudgetExceeded" if expected[1] * 2 > limit else "Stable"
    assert (await world.condition("Degraded"))[1] == over
