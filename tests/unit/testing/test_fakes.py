"""Virtual time, selectors, metrics, and pods without a kubelet."""

import asyncio

import pytest

from pegbox.adapters.kube.workload import decode
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.settings_document import KEY, render
from pegbox.model.snapshot import Acknowledgement
from pegbox.ports import DEPLOYMENT, POD, REPLICA_SET, Object, Ref
from pegbox.testing.clock import START, FakeClock
from pegbox.testing.cluster import FakeCluster
from pegbox.testing.metrics import FakeMetrics
from pegbox.testing.pods import FakePods
from pegbox.testing.selectors import matches, matches_text
from pegbox.testing.suites.cluster import ClusterWorld


async def test_a_lone_sleeper_wakes_after_exactly_its_time() -> None:
    clock = FakeClock()
    await clock.sleep(90)
    assert clock.monotonic() == 90.0 and (clock.now() - START).total_seconds() == 90.0


async def test_sleepers_wake_in_the_order_of_their_deadlines() -> None:
    clock = FakeClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    await asyncio.gather(sleeper("late", 5), sleeper("early", 1), sleeper("second", 1), sleeper("now", 0))
    assert woken == [("now", 0.0), ("early", 1.0), ("second", 1.0), ("late", 5.0)]


async def test_without_auto_only_advance_moves_time() -> None:
    clock = FakeClock(auto=False)
    task = asyncio.ensure_future(clock.sleep(10))
    await clock.advance(9.9)
    assert not task.done()
    await clock.advance(0.1)
    assert task.done() and clock.monotonic() == 10.0


async def test_a_sleeper_that_sleeps_again_is_woken_within_one_advance() -> None:
    clock = FakeClock(auto=False)
    ticks: list[float] = []

    async def ticker() -> None:
        while True:
            await clock.sleep(2)
            ticks.append(clock.monotonic())

    task = asyncio.ensure_future(ticker())
    await clock.advance(7)
    task.cancel()
    assert ticks == [2.0, 4.0, 6.0]


async def test_a_cancelled_sleeper_holds_nobody_up() -> None:
    clock = FakeClock()
    task = asyncio.ensure_future(clock.sleep(1))
    await asyncio.sleep(0)
    task.cancel()
    await clock.sleep(10)
    assert clock.monotonic() == 10.0


@pytest.mark.parametrize(
    ("selector", "matched"),
    [
        ("app=web", True),
        ("app==web,tier!=db", True),
        ("app!=web", False),
        ("app in (web, api),!canary", True),
        ("app notin (web)", False),
        ("tier", True),
        ("canary", False),
        ("absent!=x", True),
    ],
)
def test_selectors_in_text(selector: str, matched: bool) -> None:
    assert matches_text(selector, {"app": "web", "tier": "front"}) is matched


@pytest.mark.parametrize("selector", ["app=web,,", "=x", "app in web", "app>1"])
def test_a_selector_that_cannot_be_read_is_no_match_but_an_error(selector: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        matches_text(selector, {"app": "web"})


def test_selectors_as_objects() -> None:
    expressions = [{"key": "tier", "operator": "In", "values": ["front"]}, {"key": "x", "operator": "DoesNotExist"}]
    assert matches({"matchLabels": {"app": "web"}, "matchExpressions": expressions}, {"app": "web", "tier": "front"})
    assert not matches({"matchExpressions": expressions}, {"tier": "front", "x": "1"})
    assert matches({}, {})


async def test_metrics_that_are_down_answer_everything_with_the_reason() -> None:
    metrics = FakeMetrics()
    metrics.acknowledge("shop", "web-1", Acknowledgement("u", 1, "h"), {"worker_count": 4.0})
    assert await metrics.check() is None
    assert (await metrics.setting_values("shop", ["worker_count"], START)) == {"web-1": {"worker_count": 4.0}}
    metrics.down = Missing(Reason.METRICS_UNREACHABLE)
    answers = [
        await metrics.check(),
        await metrics.acknowledgements("shop", START),
        await metrics.setting_values("shop", ["worker_count"], START),
    ]
    assert answers == [metrics.down] * 3


# --- pods

TARGET = Ref(DEPLOYMENT, "shop", "web")


class Shop:
    """A Deployment with our settings, its pods driven by FakePods."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cluster = FakeCluster(self.clock)
        self.world = ClusterWorld(self.cluster, self.cluster.as_manager, "shop")
        outside = self.cluster.as_manager("kubelet")
        self.pods = FakePods(outside, self.clock, TARGET, "web-pegbox")

    async def deploy(self, replicas: int, **env: str) -> None:
        await self.cluster.as_manager("kubectl").apply(self.world.deployment(replicas=replicas, env=env or None))

    async def write(self, generation: int, workers: str) -> str:
        text = render("u1", generation, {"worker_count": workers, "mode": "fast"})
        body = self.world.config_map("web-pegbox") | {"data": {KEY: text}}
        await self.cluster.apply(body)
        return text

    async def workload(self) -> object:
        everything = [await self.cluster.list(kind, "shop") for kind in (POD, REPLICA_SET)]
        return decode(await self.cluster.get(TARGET), *everything)

    def generations(self) -> list[int]:
        return sorted(ack.generation for ack in self.pods.metrics.acks.get("shop", {}).values())


@pytest.fixture
def shop() -> Shop:
    return Shop()


async def test_settled_pods_decode_as_a_workload_at_rest(shop: Shop) -> None:
    await shop.deploy(3)
    assert decode(await shop.cluster.get(TARGET)).rolling
    await shop.pods.settle()
    found = await shop.workload()
    assert isinstance(found, type(decode(await shop.cluster.get(TARGET))))
    assert not found.rolling and len(found.pods) == 3 and all(pod.ready for pod in found.pods)
    assert {pod.revision for pod in found.pods} == {found.revision}


async def test_settling_twice_changes_nothing(shop: Shop) -> None:
    await shop.deploy(2)
    await shop.pods.settle()
    seen = len(shop.cluster.writes)
    await shop.pods.settle()
    assert shop.cluster.writes[seen:] == [], "not even an apply of what stands there already"


async def test_a_status_that_somebody_else_wrote_is_told_again(shop: Shop) -> None:
    """The twin: what is left out is left out because the status says it, not because it was said once."""
    await shop.deploy(2)
    await shop.pods.settle()
    status = (await shop.cluster.get(TARGET))["status"]
    operations: list[Object] = [{"op": "replace", "path": "/status/readyReplicas", "value": 1}]
    await shop.cluster.json_patch(TARGET, operations, subresource="status")
    await shop.pods.settle()
    assert (await shop.cluster.get(TARGET))["status"] == status


async def test_a_new_template_replaces_all_pods_and_the_old_one_brings_its_revision_back(shop: Shop) -> None:
    async def revision() -> str:
        return decode(await shop.cluster.get(TARGET), [], await shop.cluster.list(REPLICA_SET)).revision

    await shop.deploy(2, WORKERS="4")
    first = {pod["metadata"]["name"] for pod in await shop.pods.settle()}
    before = await revision()
    await shop.deploy(2, WORKERS="8")
    second = {pod["metadata"]["name"] for pod in await shop.pods.settle()}
    assert not first & second and await revision() != before
    await shop.deploy(2, WORKERS="4")
    await shop.pods.settle()
    assert await revision() == before
    assert len(await shop.cluster.list(REPLICA_SET)) == 2


async def test_pods_acknowledge_the_document_that_they_read(shop: Shop) -> None:
    await shop.deploy(2)
    await shop.pods.step()
    assert shop.generations() == []
    await shop.write(1, "4")
    await shop.pods.step()
    await shop.write(2, "8")
    assert shop.generations() == [1, 1]
    await shop.pods.acknowledge(only=[(await shop.pods.pods())[0]["metadata"]["name"]])
    assert shop.generations() == [1, 2]
    await shop.pods.step()
    assert shop.generations() == [2, 2]
    assert list(shop.pods.metrics.values["shop"].values()) == [{"worker_count": 8.0}] * 2


async def test_without_hot_reload_a_pod_keeps_what_it_started_with(shop: Shop) -> None:
    shop.pods.hot = False
    await shop.write(1, "4")
    await shop.deploy(2)
    await shop.pods.step()
    await shop.write(2, "8")
    await shop.pods.step()
    assert shop.generations() == [1, 1]
    evicted = (await shop.pods.pods())[0]["metadata"]
    await shop.cluster.evict(Ref(POD, "shop", evicted["name"]), uid=evicted["uid"])
    await shop.pods.step()
    assert shop.generations() == [1, 2]
    assert evicted["name"] not in shop.pods.metrics.acks["shop"]


async def test_a_killed_container_shows_why_and_reads_anew(shop: Shop) -> None:
    shop.pods.hot = False
    await shop.write(1, "4")
    await shop.deploy(1)
    [pod] = await shop.pods.settle()
    await shop.write(2, "8")
    await shop.clock.advance(30)
    await shop.pods.kill(pod["metadata"]["name"])
    await shop.pods.step()
    assert shop.generations() == [2]
    [seen] = (await shop.workload()).pods  # type: ignore[attr-defined]
    assert seen.restarts == 1 and seen.oom_killed_at == shop.clock.now()
    assert seen.container_started_at == shop.clock.now() and seen.started_at == START


async def test_an_application_that_is_scaled_down_exports_less(shop: Shop) -> None:
    await shop.write(1, "4")
    await shop.deploy(3)
    await shop.pods.step()
    scale: list[Object] = [{"op": "replace", "path": "/spec/replicas", "value": 1}]
    await shop.cluster.json_patch(TARGET, scale, subresource="scale")
    await shop.pods.step()
    assert shop.generations() == [1]
