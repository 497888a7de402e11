"""Random schedules around resized pods: scaling, deploys, full nodes, kills, hands of others. What holds at every write."""

from __future__ import annotations

import asyncio
from fractions import Fraction as F

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pegbox.adapters.kube import resources
from pegbox.core.sizing import quality
from pegbox.model.knobs import ResourceName, Side, Size
from pegbox.model.snapshot import ContainerSizes
from pegbox.ports import DEPLOYMENT, Object, Ref
from pegbox.testing.cluster import FakeCluster
from pegbox.testing.faults import WriteRecord
from tests.loop import documents
from tests.loop.world import App, World, make

CPU_R, CPU_L = (Size(side, ResourceName.CPU) for side in (Side.REQUESTS, Side.LIMITS))
KNOBS = (
    documents.hot(),
    {"name": "cpu_request", "conflictPolicy": "Take"},
    {"name": "cpu_limit", "conflictPolicy": "Take"},
)
SIZES = ("cpu_request=750m", "cpu_limit=1500m", "cpu_request=800m,cpu_limit=800m", "cpu_request=1200m,cpu_limit=2")
WISHES = tuple(f"{size},workers={count}" for size in SIZES for count in (3, 5))  # 5 does harm and is put back
STEPS = st.one_of(
    st.sampled_from(WISHES).map(lambda wish: ("try", wish)),
    st.sampled_from([1, 2, 5, 12]).map(lambda turns: ("turns", turns)),
    st.integers(1, 4).map(lambda count: ("scale", count)),
    st.sampled_from(["", "Deferred", "Infeasible"]).map(lambda why: ("room", why)),
    st.sampled_from([("restart", 0), ("rollback", 0), ("deploy", 0), ("frozen", True), ("frozen", False)]),
    st.sampled_from([("mode", "Recommend"), ("mode", "Auto")]),
)


class Case:
    """A world whose every write to a pod is looked at."""

    def __init__(self, world: World, app: App) -> None:
        self.world, self.app, self.image = world, app, 1
        assert isinstance(world.pegbox, FakeCluster)
        self.cluster = world.pegbox
        self.seen: list[WriteRecord] = []
        self.cluster.faults.on_write(self._note)

    def _note(self, when: str, write: WriteRecord) -> None:
        if when == "after" and write.kind in ("Pod", "Deployment"):
            self.seen.append(write)

    async def sizes(self) -> list[dict[Size, F]]:
        return [resources.sizes_of(pod["spec"]["containers"][0]) for pod in await self.app.pods.pods()]

    async def do(self, what: str, value: object) -> None:
        world, ref = self.world, Ref(DEPLOYMENT, self.world.namespace, "checkout")
        match what:
            case "try":
                await world.annotate("try", str(value))
            case "rollback":
                await world.annotate("rollback")
            case "scale":
                await world.patch(ref, "/spec/replicas", value)
            case "room":
                self.app.pods.no_room = str(value)
            case "frozen":
                self.app.pods.frozen = bool(value)
            case "restart":
                world.restart()
            case "deploy":
                self.image += 1
                path = "/spec/template/spec/containers/0/image"
                await world.patch(ref, path, f"example.invalid/app:{self.image}")
            case "mode":
                await world.edit(mode=value)
        for _ in range(value if what == "turns" and isinstance(value, int) else 1):
            await world.turn()
            await self.check()

    async def check(self) -> None:
        """At every turn, whatever is under way."""
        for sizes in await self.sizes():
            assert sizes[CPU_R] <= sizes[CPU_L]
            assert quality((ContainerSizes("app", sizes),)) == "Burstable"
        assert all(write.subresource == "resize" for write in self.seen), self.seen


async def run(steps: list[tuple[str, object]]) -> None:
    world = await make()
    target = documents.sized(documents.deployment(), requests={"cpu": "0.5"}, limits={"cpu": "1", "memory": "1Gi"})
    app = await world.add(documents.profile("checkout", *KNOBS), target, workers=2)
    await world.steady()
    case = Case(world, app)
    for what, value in steps:
        await case.do(what, value)
    app.pods.no_room, app.pods.frozen = "", False
    if (await world.profile())["spec"]["mode"] != "Auto":
        await world.edit(mode="Auto")
    await world.rest()
    await world.patch(Ref(DEPLOYMENT, world.namespace, "checkout"), "/spec/replicas", 5)  # all of them new, or some
    await world.turns(4)
    ledger = await world.rest()
    assert ledger.incumbent is not None and ledger.adopted is not None
    good = [t.setting for t in ledger.trials if t.state.value == "Accepted"] + [ledger.adopted]
    wanted = {CPU_R: ledger.incumbent.number("cpu_request"), CPU_L: ledger.incumbent.number("cpu_limit")}
    for sizes in await case.sizes():
        assert {size: sizes[size] for size in wanted} == wanted, (await world.why(), ledger.incumbent)
    modes = [value for what, value in steps if what == "mode"]
    assert "Recommend" in modes or ledger.incumbent in good, (ledger.incumbent, good)
    await check_template(world)
    await world.delete()
    for _ in range(30):
        if not await world.exists():
            break
        await world.turn()
    assert [(s[CPU_R], s[CPU_L]) for s in await case.sizes()] == [(F(1, 2), F(1))] * len(await case.sizes())
    await check_template(world)


async def check_template(world: World) -> None:
    body: Object = await world.outside.get(Ref(DEPLOYMENT, world.namespace, "checkout"))
    stated = body["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert stated == {"requests": {"cpu": "0.5"}, "limits": {"cpu": "1", "memory": "1Gi"}}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=2, max_size=12))
def test_whatever_happens_pods_end_at_the_accepted_size_and_then_at_the_original(
    steps: list[tuple[str, object]],
) -> None:
    asyncio.run(run(steps))
