"""The fake API server meets every claim that a real one meets, and its faults do what they say."""

import copy
from pathlib import Path

import pytest

from pegbox.model.errors import NotAvailable, Refused
from pegbox.ports import CONFIG_MAP, DEPLOYMENT, PROFILE, Object, Ref
from pegbox.testing.cluster import FakeCluster
from pegbox.testing.faults import Killed
from pegbox.testing.suites.cluster import CLAIMS, Claim, ClusterWorld
from tests.shipped import documents

POLICY = Path(__file__).parents[3] / "manifests" / "admission" / "podenvironments.yaml"
MAP: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}}
REF = Ref(CONFIG_MAP, "shop", "a")


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.__name__)
async def test_the_fake_holds(claim: Claim) -> None:
    cluster = FakeCluster()
    for body in documents(POLICY):
        await cluster.as_manager("helm").apply(copy.deepcopy(body))
    await claim(ClusterWorld(cluster, cluster.as_manager, "shop"))


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


async def test_the_next_calls_fail_as_often_as_asked_and_change_nothing(cluster: FakeCluster) -> None:
    cluster.faults.fail_next("apply", CONFIG_MAP, NotAvailable("down"), times=2)
    for _ in range(2):
        with pytest.raises(NotAvailable):
            await cluster.apply(MAP | {"data": {"a": "1"}})
    assert cluster.writes == []
    await cluster.apply(MAP | {"data": {"a": "1"}})
    assert [write.verb for write in cluster.writes] == ["apply"]


async def test_a_lost_answer_leaves_the_write_in_place(cluster: FakeCluster) -> None:
    cluster.faults.fail_next("apply", None, NotAvailable("timeout"), lost=True)
    with pytest.raises(NotAvailable):
        await cluster.apply(MAP | {"data": {"a": "1"}})
    assert (await cluster.get(REF))["data"] == {"a": "1"}


async def test_faults_hit_only_the_verb_and_kind_they_name(cluster: FakeCluster) -> None:
    cluster.faults.fail_next("get", DEPLOYMENT, NotAvailable("down"))
    await cluster.apply(MAP | {"data": {"a": "1"}})
    await cluster.get(REF)
    with pytest.raises(NotAvailable):
        await cluster.get(Ref(DEPLOYMENT, "shop", "web"))


@pytest.mark.parametrize(("when", "stored"), [("before", False), ("after", True)])
async def test_a_kill_point_ends_the_writer_before_or_after_the_write(
    cluster: FakeCluster, when: str, stored: bool
) -> None:
    def kill(reached: str, write: object) -> None:
        if reached == when:
            raise Killed

    cluster.faults.on_write(kill)
    with pytest.raises(Killed):
        await cluster.apply(MAP | {"data": {"a": "1"}})
    assert bool(await cluster.list(CONFIG_MAP)) is stored
    assert bool(cluster.writes) is stored


async def test_a_kill_cannot_be_caught_as_an_exception(cluster: FakeCluster) -> None:
    assert not issubclass(Killed, Exception)


async def test_other_managers_meet_no_faults_but_share_server_and_log(cluster: FakeCluster) -> None:
    cluster.faults.fail_next("*", None, NotAvailable("down"), times=100)
    cluster.faults.deny("*", "*", "*")
    await cluster.as_manager("helm").apply(MAP | {"data": {"a": "1"}})
    assert [(write.manager, write.kind, write.name) for write in cluster.writes] == [("helm", "ConfigMap", "a")]


async def test_the_log_tells_writes_that_changed_nothing(cluster: FakeCluster) -> None:
    for value in ("1", "1", "2"):
        await cluster.apply(MAP | {"data": {"a": value}})
    assert [write.changed for write in cluster.writes] == [True, False, True]


async def test_a_right_that_is_denied_is_refused_and_reviews_say_so(cluster: FakeCluster) -> None:
    cluster.faults.deny("patch", "apps", "deployments/scale", "shop")
    asked = [
        await cluster.allowed("patch", "apps", "deployments", namespace="shop", subresource="scale"),
        await cluster.allowed("patch", "apps", "deployments", namespace="shop"),
        await cluster.allowed("patch", "apps", "deployments", namespace="other", subresource="scale"),
    ]
    assert asked == [False, True, True]
    patch: list[Object] = [{"op": "replace", "path": "/spec/replicas", "value": 2}]
    with pytest.raises(Refused) as caught:
        await cluster.json_patch(Ref(DEPLOYMENT, "shop", "web"), patch, subresource="scale")
    assert caught.value.status == 403
    cluster.faults.grant_all()
    assert await cluster.allowed("patch", "apps", "deployments", namespace="shop", subresource="scale")


async def test_a_type_that_is_not_installed_is_not_available(cluster: FakeCluster) -> None:
    cluster.faults.uninstall(PROFILE)
    with pytest.raises(NotAvailable, match="CustomResourceDefinition"):
        await cluster.list(PROFILE)
    cluster.faults.install(PROFILE)
    assert await cluster.list(PROFILE) == []


async def test_what_is_given_out_is_a_copy(cluster: FakeCluster) -> None:
    given = await cluster.apply(MAP | {"data": {"a": "1"}})
    given["data"]["a"] = "spoiled"
    given["metadata"]["managedFields"].clear()
    read = await cluster.get(REF)
    assert read["data"] == {"a": "1"} and read["metadata"]["managedFields"]


async def test_what_is_given_in_may_be_changed_later(cluster: FakeCluster) -> None:
    body = MAP | {"data": {"a": {"b": "1"}}}
    await cluster.apply(body)
    body["data"]["a"]["b"] = "spoiled"
    assert (await cluster.get(REF))["data"] == {"a": {"b": "1"}}


async def test_an_immutable_config_map_is_refused(cluster: FakeCluster) -> None:
    await cluster.apply(MAP | {"data": {"a": "1"}, "immutable": True})
    with pytest.raises(Refused, match="immutable"):
        await cluster.apply(MAP | {"data": {"a": "2"}, "immutable": True})


async def test_a_namespace_that_terminates_loses_all_but_what_has_a_finalizer_and_takes_nothing_new(
    cluster: FakeCluster,
) -> None:
    await cluster.apply(MAP)
    kept = MAP | {"metadata": MAP["metadata"] | {"name": "kept", "finalizers": ["pegbox.dev/restore"]}}
    await cluster.apply(kept)
    elsewhere = MAP | {"metadata": MAP["metadata"] | {"namespace": "other"}}
    await cluster.apply(elsewhere)
    await cluster.terminate("shop")
    assert cluster.peek(REF) is None and cluster.peek(Ref(CONFIG_MAP, "other", "a")) is not None
    left = cluster.peek(Ref(CONFIG_MAP, "shop", "kept"))
    assert left is not None and left["metadata"]["deletionTimestamp"]
    for write in (cluster.apply(MAP), cluster.create(MAP)):
        with pytest.raises(Refused, match="because it is being terminated") as refused:
            await write
        assert refused.value.status == 403
    await cluster.apply(kept | {"data": {"a": "1"}})  # what is there may still change
    cluster.recreate("shop")
    await cluster.apply(MAP)
