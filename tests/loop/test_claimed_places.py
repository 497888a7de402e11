"""Two profiles never write one field, however they name it; and what nobody may claim, nobody loses."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pegbox.ports import LEDGER, Object, Ref
from tests.loop import documents
from tests.loop.world import World, make

TAKE = {"conflictPolicy": "Take"}


def _class_with_place() -> Object:
    class_ = copy.deepcopy(documents.CLASS)
    knob = next(k for k in class_["spec"]["knobs"] if k["name"] == "cache")
    knob["location"] |= {"configMap": "app-config", "key": "app.yaml", "path": "cache.size"}
    return class_


def _whole_key(name: str = "backlog") -> Object:
    return documents.plain(name, key="app.yaml", **TAKE)


SAME = [
    ("one path, in two spellings", documents.path(**TAKE), documents.path(at='["cache"].size', **TAKE)),
    ("a path, and the whole key that holds it", documents.path(**TAKE), _whole_key()),
    ("the whole key, and a path in it", _whole_key(), documents.path(**TAKE)),
    ("a place that only the class names", {"name": "cache", **TAKE}, documents.path(**TAKE)),
    ("a place that the class names, twice", {"name": "cache", **TAKE}, {"name": "cache", **TAKE}),
    (
        "the other one's settings document",
        documents.hot(),
        {"name": "backlog", "location": {"configMap": "elder-pegbox", "key": "settings.json"}, **TAKE},
    ),
]
APART = [
    ("two paths of one key", documents.path(**TAKE), documents.path(at="cache.sizes", **TAKE)),
    ("two keys of one ConfigMap", documents.path(**TAKE), documents.plain(**TAKE)),
    ("a settings document each", documents.hot(), documents.hot()),
]


async def two(elder: Object, younger: Object) -> World:
    world = await make({"service": _class_with_place()})
    texts = {"app.yaml": documents.APP + "  sizes: 2\n", "BACKLOG": "2\n"}
    await world.apply(documents.config_map(**texts))
    await world.add(elder, workers=2, cache=2, backlog=2)
    world.clock.skip(5)
    await world.add(younger, workers=2, cache=2, backlog=2)
    await world.turn("elder")
    await world.turn("younger")
    return world


@pytest.mark.parametrize(("elder", "younger"), [row[1:] for row in SAME], ids=[row[0] for row in SAME])
async def test_of_two_that_write_one_field_the_younger_is_refused(elder: Object, younger: Object) -> None:
    world = await two(documents.profile("elder", elder), documents.profile("younger", younger))
    status, reason, message = await world.condition("Accepted", "younger")
    assert (status, reason) == ("False", "TargetClaimedByOther") and "profile elder tunes" in message
    assert await world.find(Ref(LEDGER, world.namespace, "younger")) is None


@pytest.mark.parametrize(("elder", "younger"), [row[1:] for row in APART], ids=[row[0] for row in APART])
async def test_two_that_write_beside_each_other_are_accepted(elder: Object, younger: Object) -> None:
    world = await two(documents.profile("elder", elder), documents.profile("younger", younger))
    assert [(await world.condition("Accepted", name))[0] for name in ("elder", "younger")] == ["True", "True"]


async def test_a_deployment_and_a_stateful_set_of_one_name_would_share_our_config_map() -> None:
    """Both would write `web-pegbox`, at each look anew."""
    younger = documents.profile("younger", documents.hot(initial=5), target="web", kind="StatefulSet")
    world = await make()
    await world.add(documents.profile("elder", target="web"), documents.deployment("web"), workers=2)
    world.clock.skip(5)
    await world.add(younger, documents.stateful_set("web"), workers=5)
    for _ in range(5):
        await world.turn("elder")
        await world.turn("younger")
    status, reason, message = await world.condition("Accepted", "younger")
    assert (status, reason) == ("False", "TargetClaimedByOther") and "ConfigMap web-pegbox" in message
    assert (await world.document("web")).values["workers"] == "2"


# --- who may claim


async def in_trial_beside(elder: dict[str, Any]) -> World:
    """A younger profile in mid-trial at a path; the elder, of another target, is edited to name that path, too."""
    world = await make()
    await world.apply(documents.config_map())
    await world.add(documents.profile("elder", documents.hot(), **elder), workers=2)
    world.clock.skip(5)
    knobs = documents.path(**TAKE), documents.hot()
    await world.add(documents.profile("checkout", *knobs), workers=2, cache=2)
    await world.rest("elder")
    await world.steady()
    await world.annotate("try", "cache=3")
    await world.turns(2)
    assert "size: 3" in await world.theirs()
    await world.edit("elder", knobs=[documents.path()])
    return world


async def test_an_older_profile_that_may_not_write_claims_nothing() -> None:
    """Nobody asked its author for rights on that ConfigMap: an edit of his must not strand a running trial."""
    world = await in_trial_beside({"mode": "Recommend"})
    await world.rest()
    assert (await world.condition("Accepted"))[0] == "True"
    await world.delete()
    for _ in range(20):
        if await world.exists():
            await world.turn()
    assert not await world.exists() and "size: 2" in await world.theirs()


async def test_an_older_one_in_auto_does_once_the_trial_has_gone_back() -> None:
    world = await in_trial_beside({})
    await world.turn("elder")
    assert (await world.condition("Accepted", "elder"))[:2] == ("False", "TargetClaimedByOther")
    await world.annotate("rollback")
    await world.rest()
    await world.turn("elder")
    await world.wake()
    assert (await world.condition("Accepted", "elder"))[0] == "True"
    assert (await world.condition("Accepted"))[:2] == ("False", "TargetClaimedByOther")


async def test_an_older_one_that_has_written_keeps_its_places_in_any_mode() -> None:
    """Its deletion puts originals back there. What it only names since, without Auto, is not its own."""
    world = await make()
    await world.apply(documents.config_map())
    await world.add(documents.profile("elder", documents.path(**TAKE)), cache=2)
    await world.steady("elder")
    await world.annotate("try", "cache=3", "elder")
    await world.rest("elder")
    await world.edit("elder", mode="Recommend", knobs=[documents.plain(**TAKE)])
    world.clock.skip(5)
    await world.add(documents.profile("younger", documents.path(**TAKE)), cache=2)
    await world.add(documents.profile("third", documents.plain(**TAKE)), backlog=2)
    await world.turn("younger")
    await world.turn("third")
    assert (await world.condition("Accepted", "younger"))[:2] == ("False", "TargetClaimedByOther")
    assert (await world.condition("Accepted", "third"))[0] == "True"


# --- an HPA by name


async def with_hpa_of(target: str) -> World:
    world = await make()
    await world.apply(documents.deployment("victim"))
    await world.apply(documents.hpa("bounds", 2, 4, target=target))
    knobs = {"name": "max_replicas", "min": 1, "max": 8}, documents.hot()
    named = {"autoscaler": {"ref": {"name": "bounds"}}, "conflictPolicy": "Take"}
    await world.add(documents.profile("checkout", *knobs, **named), workers=2)
    await world.turns(4)
    await world.annotate("try", "max_replicas=6")
    await world.turns(3)
    return world


async def test_the_hpa_of_another_workload_is_not_written_whatever_names_it() -> None:
    world = await with_hpa_of("victim")
    assert await world.bounds("bounds") == (2, 4)
    status, _, message = await world.condition("Conflict")
    assert status == "True" and "HPA bounds does not scale Deployment checkout" in message


async def test_the_targets_own_is() -> None:
    world = await with_hpa_of("checkout")
    assert await world.bounds("bounds") == (2, 6)
