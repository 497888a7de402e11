"""Random sequences over several profiles: what trials add and take away within any hour, as the API server sees it,
stays in the limits."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from fractions import Fraction as F

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pegbox.adapters.kube import resources
from pegbox.api import ledger_codec
from pegbox.core.slots import SlotLimits
from pegbox.model.knobs import ResourceName, Side, Size
from pegbox.model.trials import Amount, Amounts, IntentKind
from pegbox.ports import HPA, LEDGER, POD, Ref
from pegbox.runtime.brakes import BrakeLimits
from pegbox.testing.cluster import FakeCluster
from pegbox.testing.faults import WriteRecord
from tests.loop import documents
from tests.loop.world import World, make

CPU = Size(Side.REQUESTS, ResourceName.CPU)
LIMIT, LESS = F(3, 2), F(1)  # cores per hour that may be added, and taken away
START = {"requests": {"cpu": "500m"}, "limits": {"cpu": "4"}}
START_AT = 4  # pods of an HPA at the most
RESIZED, SCALED = ("a", "b"), ("c", "d")
SIZE = {"name": "cpu_request", "conflictPolicy": "Take"}
BOUND = {"name": "max_replicas", "min": 1, "max": 8, "conflictPolicy": "Take"}
STEPS = st.one_of(
    st.tuples(st.sampled_from(RESIZED), st.sampled_from(["600m", "750m", "1", "400m", "250m"])).map(
        lambda pair: ("try", pair[0], f"cpu_request={pair[1]}")
    ),
    st.tuples(st.sampled_from(RESIZED), st.just("cpu_request=700m,workers=4")).map(lambda p: ("try", *p)),  # harm
    st.tuples(st.sampled_from(SCALED), st.integers(2, 8)).map(lambda p: ("try", p[0], f"max_replicas={p[1]}")),
    st.tuples(st.just("rollback"), st.sampled_from(RESIZED + SCALED), st.just("")),
    st.tuples(st.just("turns"), st.sampled_from(RESIZED + SCALED), st.sampled_from(["1", "3", "9"])),
    st.tuples(st.just("wait"), st.just(""), st.sampled_from(["600", "1700", "3600"])),
    st.tuples(st.just("restart"), st.just(""), st.just("")),
    st.tuples(st.just("again"), st.sampled_from(RESIZED), st.just("")),  # deleted with Keep, and applied anew
)


class Observer:
    """Stands at the API server and knows no limit: what each write raises or lowers while the ledger says that a trial runs."""

    def __init__(self, world: World) -> None:
        assert isinstance(world.pegbox, FakeCluster)
        self.world, self.store = world, world.pegbox
        self.moved: list[tuple[datetime, F]] = []
        self.before = F(0)
        world.pegbox.faults.on_write(self._note)

    def _note(self, when: str, write: WriteRecord) -> None:
        if write.manager != "pegbox" or write.kind not in ("Pod", "HorizontalPodAutoscaler"):
            return
        if when == "before":
            self.before = self._requested(write)
        elif self._in_trial(write):
            self.moved.append((self.world.clock.now(), self._requested(write) - self.before))

    def _requested(self, write: WriteRecord) -> F:
        """A pod's request; or that of all pods which an HPA may run."""
        kind = POD if write.kind == "Pod" else HPA
        body = self.store.peek(Ref(kind, write.namespace, write.name))
        assert body is not None
        if kind is HPA:
            return F(body["spec"]["maxReplicas"]) / 2  # cores: 500m each
        return resources.sizes_of(body["spec"]["containers"][0])[CPU]

    def _in_trial(self, write: WriteRecord) -> bool:
        name = write.name[:1]
        body = self.store.peek(Ref(LEDGER, write.namespace, name))
        assert body is not None
        ledger = ledger_codec.decode(body)
        return ledger.intent is not None and ledger.intent.kind is IntentKind.TRIAL

    def worst(self, sign: int = 1) -> F:
        """The most of any hour that ends at a write: added, or with -1 taken away."""
        hour = timedelta(hours=1)
        parts = [(at, max(F(0), sign * n)) for at, n in self.moved]
        return max((sum((n for at, n in parts if end - hour < at <= end), F(0)) for end, _ in parts), default=F(0))

    def within(self) -> bool:
        return self.worst() <= LIMIT and self.worst(-1) <= LESS


async def add(world: World, name: str) -> None:
    target = documents.sized(documents.deployment(name), **START)
    if name in RESIZED:
        body = documents.profile(name, documents.hot(), SIZE, deletionPolicy="Keep")
    else:
        await world.apply(documents.hpa(name, target=name, high=START_AT))
        body = documents.profile(name, documents.hot(), BOUND, autoscaler={"ref": {"name": name}})
    await world.add(body, target, workers=2)
    await world.steady(name)


async def run(steps: list[tuple[str, str, str]]) -> None:
    world = await make(
        limits=BrakeLimits(SlotLimits(0, 0, Amounts(*(Amount(cpu=int(limit * 1000)) for limit in (LIMIT, LESS)))))
    )
    for name in RESIZED + SCALED:
        await add(world, name)
    observer = Observer(world)
    for what, name, value in steps:
        match what:
            case "try":
                await world.annotate("try", value, name)
                await world.turns(2, name)
            case "rollback":
                await world.annotate("rollback", "", name)
                await world.turns(2, name)
            case "turns":
                await world.turns(int(value), name)
            case "wait":
                await world.clock.advance(float(value))
            case "restart":
                world.restart()
                await world.recall()
            case "again":
                await world.rest(name)
                await world.delete(name)
                await world.turns(2, name)
                if not await world.exists(name):
                    await add(world, name)
        assert observer.within(), observer.moved
    for name in RESIZED + SCALED:
        await world.turns(3, name)
    assert observer.within(), observer.moved


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=3, max_size=14))
def test_no_hour_adds_or_takes_away_more_than_the_limits_whatever_is_asked_restarted_deleted_or_put_back(
    steps: list[tuple[str, str, str]],
) -> None:
    asyncio.run(run(steps))


@pytest.mark.parametrize(
    ("size", "most", "sign", "expected"),
    [
        ("1", 6, 1, F(2)),  # 2 pods x 500m more, and 2 more pods x 500m
        ("250m", 2, -1, F(3, 2)),  # 2 pods x 250m less, and 2 pods fewer x 500m
    ],
    ids=["added", "taken_away"],
)
def test_the_observer_sees_what_goes_beyond_the_limits(size: str, most: int, sign: int, expected: F) -> None:
    """Its adversarial twin: without limits the same sequence is beyond them."""

    async def unlimited() -> F:
        world = await make(limits=BrakeLimits(SlotLimits(0, 0)))
        for name in ("a", "c"):
            await add(world, name)
        observer = Observer(world)
        for name, value in (("a", f"cpu_request={size}"), ("c", f"max_replicas={most}")):
            await world.annotate("try", value, name)
            await world.turns(2, name)
        return observer.worst(sign)

    assert asyncio.run(unlimited()) == expected > (LIMIT if sign == 1 else LESS)
