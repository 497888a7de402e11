"""Pods that say nothing of what they run, at rest: what the others serve is less than what was served.

Load 8; two pods with two workers each serve all of it, one of them half.
"""

from __future__ import annotations

from fractions import Fraction

import pytest

from pegbox.model.knobs import Setting
from pegbox.model.trials import Ledger
from pegbox.ports import DEPLOYMENT, Ref
from pegbox.runtime.memory import Memory
from tests.loop import documents
from tests.loop.world import App, Wishing, World, make

GUARDS = documents.QUICK | {"trialWindow": "20s"}
LOAD = 8.0


async def shop(*, silent: bool = False, replicas: int = 2) -> tuple[World, App]:
    world = await make(predicting=Wishing())
    world._app("checkout", "checkout").silent = silent
    app = await world.add(documents.profile(guards=GUARDS), documents.deployment(replicas=replicas), workers=2)
    app.service.load = LOAD
    await world.rest()
    await world.turns(20)
    return world, app


def memory(world: World) -> Memory:
    return world.reconciler.memories[f"{world.namespace}/checkout"]


def known(world: World) -> Ledger:
    found = memory(world).ledger
    assert found is not None
    return found


def learned(world: World) -> int:
    return sum(row.count for row in known(world).rows)


def quiet(world: World, app: App) -> None:
    """One pod's series of settings are gone; the other's stay as they are."""
    app.silent = True
    app.pods.metrics.forget(world.namespace, sorted(app.pods.metrics.acks[world.namespace])[0])


async def begun(world: World) -> bool:
    return await world.intent() is not None


async def test_what_a_part_of_the_pods_served_is_neither_learned_nor_a_trials_parent() -> None:
    """Half of the throughput was learned as of one pod, and a trial began that it was held against."""
    world, app = await shop()
    quiet(world, app)
    await world.turn()
    before, rungs, windows = learned(world), known(world).ladder, tuple(memory(world).windows)
    wishes = world.predicting
    assert isinstance(wishes, Wishing)
    wishes.wish = Setting({"workers": Fraction(3)})
    await world.turns(20)
    assert (learned(world), known(world).ladder, tuple(memory(world).windows)) == (before, rungs, windows)
    assert all(row.throughput == pytest.approx(LOAD) for row in known(world).rows)
    assert await world.intent() is None and not known(world).trials
    assert "part of the pods" in await world.why()

    app.silent = False
    await world.turns(2)
    assert tuple(memory(world).windows) == windows, "it reaches back to before all pods told"
    await world.until(lambda: begun(world))
    await world.rest()
    wishes.wish = None
    assert [t.state.value for t in known(world).trials] == ["Reverted"], "the twin: not better, but tried"
    assert known(world).breaker.failures == 0


@pytest.mark.parametrize("silent", [True, False], ids=["that never report", "that report"])
async def test_applications_of_which_all_pods_do_alike_are_learned(silent: bool) -> None:
    """The twin: what reports nothing at all is known as a whole."""
    world, _ = await shop(silent=silent)
    await world.turns(20)
    assert learned(world) > 3 and known(world).ladder[0].replicates >= 3
    assert all(row.throughput == pytest.approx(LOAD) for row in known(world).rows)
    wishes = world.predicting
    assert isinstance(wishes, Wishing)
    wishes.wish = Setting({"workers": Fraction(3)})
    await world.turn()
    assert await world.intent() is not None


@pytest.mark.parametrize("silent", [True, False], ids=["that never report", "that report"])
@pytest.mark.parametrize("replicas", [1, 3])
async def test_other_pods_than_before_are_learned_once_all_of_them_tell(replicas: int, silent: bool) -> None:
    """The twin."""
    world, _ = await shop(silent=silent)
    target = Ref(DEPLOYMENT, world.namespace, "checkout")
    operation = {"op": "replace", "path": "/spec/replicas", "value": replicas}
    await world.outside.json_patch(target, [operation], subresource="scale")
    await world.turns(20)
    assert [row.count > 0 for row in known(world).rows if row.pods == pytest.approx(replicas)] == [True]
