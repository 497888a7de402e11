"""Random sequences over several profiles: what trials add within any hour, seen at the API server, stays in the limit."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from fractions import Fraction as F

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pegbox.adapters.kube import resources
from pegbox.api import ledger_codec
from pegbox.core.slots import SlotLimits
from pegbox.model.knobs import ResourceName, Side, Size
from pegbox.model.trials import Added, IntentKind
from pegbox.ports import HPA, LEDGER, POD, Ref
from pegbox.runtime.brakes import BrakeLimits
from pegbox.testing.cluster import FakeCluster
from pegbox.testing.faults import WriteRecord
from tests.loop import documents
from tests.loop.world import World, make

CPU = Size(Side.REQUESTS, ResourceName.CPU)
LIMIT = F(3, 2)  # cores per hour
START = {"requests": {"cpu": "500m"}, "limits": {"cpu": "4"}}
RESIZED, SCALED = ("a", "b"), ("c", "d")
SIZE = {"name": "cpu_request", "conflictPolicy": "Take"}
BOUND = {"name": "max_replicas", "min": 1, "max": 8, "conflictPolicy": "Take"}
STEPS = st.one_of(
    st.tuples(st.sampled_from(RESIZED), st.sampled_from(["600m", "750m", "1", "250m"])).map(
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
    """Stands at the API server and knows no limit: what each write raises while the ledger says that a trial runs."""

    def __init__(self, world: World) -> None:
        assert isinstance(world.pegbox, FakeCluster)
        self.world, self.store = world, world.pegbox
        self.raised: list[tuple[datetime, F]] = []
        self.before = F(0)
        world.pegbox.faults.on_write(self._note)

    def _note(self, when: str, write: WriteRecord) -> None:
        if write.manager != "pegbox" or write.kind not in ("Pod", "HorizontalPodAutoscaler"):
            return
        if when == "before":
            self.before = self._requested(write)
        elif self._in_trial(write):
            self.raised.append((self.world.clock.now(), max(F(0), self._requested(write) - self.before)))

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

    def worst(self) -> F:
        """The most of any hour that ends at a write."""
        hour = timedelta(hours=1)
        sums = (sum((n for at, n in self.raised if end - hour < at <= end), F(0)) for end, _ in self.raised)
        return max(sums, default=F(0))


async def add(world: World, name: str) -> None:
    target = documents.sized(documents.deployment(name), **START)
    if name in RESIZED:
        body = documents.profile(name, documents.hot(), SIZE, deletionPolicy="Keep")
    else:
        await world.apply(documents.hpa(name, target=name, high=2))
        body = documents.profile(name, documents.hot(), BOUND, autoscaler={"ref": {"name": name}})
    await world.add(body, target, workers=2)
    await world.steady(name)


async def run(steps: list[tuple[str, str, str]]) -> None:
    world = await make(limits=BrakeLimits(SlotLimits(0, 0, Added(cpu=int(LIMIT * 1000)))))
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
        assert observer.worst() <= LIMIT, observer.raised
    for name in RESIZED + SCALED:
        await world.turns(3, name)
    assert observer.worst() <= LIMIT, observer.raised


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=3, max_size=14))
def test_no_hour_adds_more_than_the_limit_whatever_is_asked_restarted_deleted_or_put_back(
    steps: list[tuple[str, str, str]],
) -> None:
    asyncio.run(run(steps))


def test_the_observer_sees_what_goes_beyond_the_limit() -> None:
    """Its adversarial twin: without a limit the same sequence is beyond it."""

    async def unlimited() -> F:
        world = await make(limits=BrakeLimits(SlotLimits(0, 0)))
        for name in ("a", "c"):
            await add(world, name)
        observer = Observer(world)
        for name, value in (("a", "cpu_request=1"), ("c", "max_replicas=4")):
            await world.annotate("try", value, name)
            await world.turns(2, name)
        return observer.worst()

    assert asyncio.run(unlimited()) == 2  # 2 pods x 500m more, and 2 more pods x 500m
