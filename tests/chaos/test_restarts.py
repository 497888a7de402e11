"""A way back that has to restart pods, where somebody left no room for the one pod more: that is excused, and nothing else."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping

import pytest

from pegbox.adapters.kube.workload import RESTARTED
from pegbox.ports import HPA, POD_ENVIRONMENT, Ref
from pegbox.testing.faults import WriteRecord
from tests.chaos.invariants import Watch
from tests.chaos.schedule import Runner
from tests.chaos.world import NAMESPACE, World
from tests.loop import documents

NAME = "checkout"
RUNNER = Runner()


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("pegbox").setLevel(logging.CRITICAL)


async def _way_back(trial: Mapping[str, int], shop: str = "places") -> tuple[World, Watch]:
    """At most four pods of 2 workers, of 18, of which none may be evicted. A trial begins; somebody sets 4 workers, and the
    way back is written. No pod is told of it yet."""
    world = await RUNNER.world(shop)
    watch = Watch(world)
    world.on_wake, world.on_slept = watch.woken, watch.slept
    world.wishes[NAME] = trial
    await world.turn()
    if shop == "admitted":
        await world.turn()  # one pod is replaced for it
    await world.others_step()  # the autoscaler has spoken: now pods follow
    await world.helm.apply(documents.placed(documents.pdb(NAME), NAMESPACE))
    world.wishes.clear()
    app = world.apps[NAME]
    document = app.document
    assert document is not None and "Trial" in world.intent_text(NAME)
    document["values"]["workers"] = "4"
    await world.patch(app.own_ref, "/data/settings.json", json.dumps(document))
    watch.others()
    await world.wake(NAME)
    assert "Rollback" in world.intent_text(NAME)
    return world, watch


async def _rolls_out(world: World) -> None:
    """The operator's own client changes the template."""
    path = "/spec/template/metadata/annotations"
    await world.server.json_patch(
        world.apps[NAME].target, [{"op": "add", "path": path, "value": {RESTARTED: "planted"}}]
    )


def test_the_way_back_is_not_lost_to_it_and_counts_one_pod_more() -> None:
    """(4 + 1) x 4 = 20 of 18: seed 30005347."""
    most: list[int] = []

    async def run() -> list[str]:
        world, watch = await _way_back({"workers": 1, "threads": 2})

        def seen(when: str, record: WriteRecord) -> None:
            if when == "after" and record.kind == "Deployment":
                most.append(world.worst())

        world.server.faults.on_write(seen)
        for _ in range(8):
            await world.turn()
        assert world.intent_text(NAME) == "" and {p.env["threads"] for p in world.apps[NAME].pods} == {2}
        return watch.found

    assert asyncio.run(run()) == []
    assert most == [20]


def test_a_rollout_while_the_trials_own_pod_is_still_there_is_found() -> None:
    """(5 + 1) x 4 = 24, of which 20 are excused. The operator waits for the fifth to go."""

    async def run(planted: bool) -> list[str]:
        world, watch = await _way_back({"max_replicas": 1, "threads": 1})
        assert len(world.apps[NAME].pods) == 5
        await (_rolls_out(world) if planted else world.wake(NAME))
        return watch.found

    assert [line.partition(":")[0] for line in asyncio.run(run(planted=True))] == ["budgets_hold"]
    assert asyncio.run(run(planted=False)) == []


def test_a_raise_of_our_own_beside_it_is_found() -> None:
    """An HPA's maximum of 6 is not what somebody set: 6 x 4 = 24."""

    async def run() -> list[str]:
        world, watch = await _way_back({"workers": 1, "threads": 2})
        await world.server.json_patch(
            Ref(HPA, NAMESPACE, NAME), [{"op": "replace", "path": "/spec/maxReplicas", "value": 6}]
        )
        return watch.found

    assert [line.partition(":")[0] for line in asyncio.run(run())] == ["budgets_hold"]


def test_without_a_restart_under_way_nothing_is_excused() -> None:
    """The way back moves a hot knob alone: one pod more is a rollout that nobody needs."""

    async def run() -> list[str]:
        world, watch = await _way_back({"workers": 1})
        await _rolls_out(world)
        return watch.found

    assert [line.partition(":")[0] for line in asyncio.run(run())] == ["budgets_hold"]


@pytest.mark.parametrize(("planted", "expected"), [(False, []), (True, ["budgets_hold"])])
def test_what_only_the_restart_takes_away_is_excused_with_it(planted: bool, expected: list[str]) -> None:
    """Admission gave one of two pods 3 lanes, 2 stand: 4 x 3 + 4 x 2, and as much again for the pod of a rollout are 28 of 27.
    With the trial's lanes written again all three may have 3: 36."""

    async def run() -> list[str]:
        world, watch = await _way_back({"lanes": 1}, "admitted")
        assert sorted(p.env["lanes"] for p in world.apps[NAME].pods) == [2, 3]
        if planted:
            entry = [{"op": "add", "path": "/spec/env", "value": [{"name": "LANES", "value": "3"}]}]
            await world.server.json_patch(Ref(POD_ENVIRONMENT, NAMESPACE, NAME), entry)
            await _rolls_out(world)
        for _ in range(0 if planted else 8):
            await world.turn()
        return watch.found

    assert [line.partition(":")[0] for line in asyncio.run(run())][:1] == expected
