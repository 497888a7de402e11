"""A profile reaches its own namespace and what it names, and nothing beside: every write of the loop is looked at."""

from __future__ import annotations

import pytest

from pegbox.api.translate import to_model
from pegbox.model.errors import InvalidInput
from pegbox.ports import CONFIG_MAP, DEPLOYMENT, HPA, LEDGER, PROFILE, Ref
from pegbox.testing.faults import WriteRecord
from tests.adversarial.test_runtime_storms import server, shop
from tests.loop import documents
from tests.loop.world import World
from tests.unit.api.documents import CLASS, knob, profile

TWIN, BYSTANDER = "billing", "bystander"
OURS = {
    ("Deployment", "checkout"),
    ("HorizontalPodAutoscaler", "checkout"),
    ("ConfigMap", "app-config"),
    ("ConfigMap", "checkout-pegbox"),
    ("PerformanceProfile", "checkout"),
    ("TuningLedger", "checkout"),
    ("SharedBudget", "postgres"),
}
"""What the profile of this shop names, and what Pegbox makes for it."""


async def beside(world: World) -> None:
    """The same names in another namespace, other names in the same one."""
    there = (documents.config_map(), documents.hpa(), documents.deployment())
    for body in there:
        await world.outside.apply(documents.placed(body, TWIN), force=True)
    await world.apply(
        documents.config_map(BYSTANDER), documents.deployment(BYSTANDER), documents.hpa(BYSTANDER, target=BYSTANDER)
    )


async def others(world: World) -> list[object]:
    refs = [
        Ref(kind, TWIN, name)
        for kind, name in ((CONFIG_MAP, "app-config"), (HPA, "checkout"), (DEPLOYMENT, "checkout"))
    ]
    refs += [Ref(kind, world.namespace, BYSTANDER) for kind in (CONFIG_MAP, HPA, DEPLOYMENT)]
    return [await world.outside.get(ref) for ref in refs]


async def test_from_adoption_through_trial_rollback_and_deletion_only_its_own_objects_are_written() -> None:
    world = await shop()
    await beside(world)
    before, written = await others(world), set[tuple[str, str, str]]()

    def note(moment: str, record: WriteRecord) -> None:
        if moment == "before":
            written.add((record.kind, record.namespace, record.name))

    server(world).faults.on_write(note)
    await world.steady()
    await world.annotate("try", "workers=3,cache=3,threads=3,max_replicas=5")
    await world.turns(20)
    await world.rest(limit=80)
    await world.annotate("rollback")
    await world.turns(20)
    await world.delete()
    for _ in range(20):
        if await world.exists():
            await world.turn()
    server(world).faults._watchers.clear()
    pods = {entry for entry in written if entry[0] == "Pod"}
    assert all(namespace == world.namespace and name.startswith("checkout-") for _, namespace, name in pods)
    touched = {(kind, name) for kind, namespace, name in written - pods if namespace == world.namespace}
    assert {namespace for _, namespace, _ in written} == {world.namespace}
    assert touched <= OURS
    assert {("ConfigMap", "app-config"), ("HorizontalPodAutoscaler", "checkout")} <= touched, "nothing was tried at all"
    assert await others(world) == before


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"targetRef": {"kind": "Deployment", "name": "checkout", "namespace": TWIN}}, id="a target in another namespace"),
        pytest.param({"targetRef": {"kind": "Deployment", "name": "../../billing/deployments/checkout"}}, id="a target that is a path"),
        pytest.param({"targetRef": {"kind": "DaemonSet", "name": "checkout"}}, id="a target of another kind"),
        pytest.param({"autoscaler": {"ref": {"name": "checkout", "namespace": TWIN}}}, id="an HPA in another namespace"),
        pytest.param({"classRef": {"name": "worker/../x"}}, id="a class that is a path"),
        pytest.param({"budgets": [{"name": "b", "uses": "pods", "budgetRef": {"name": "db", "namespace": TWIN}}]}, id="a budget in another namespace"),
        pytest.param({"matchLabels": [{"name": 'a"}) or x{b', "value": "c"}]}, id="a matcher that is PromQL"),
        pytest.param({"matchLabels": [{"name": "__name__ ", "value": "up"}]}, id="a matcher's name with a space"),
    ],
)  # fmt: skip
def test_a_profile_cannot_name_what_is_not_its_own(spec: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        to_model(profile(**spec), CLASS)


@pytest.mark.parametrize("name", ["../other", "a/b", "A", "", "a" * 254, "a\nb"])
def test_nor_can_a_knob_name_a_config_map_by_a_path(name: str) -> None:
    body = knob(name="workers", location={"configMap": name, "key": "k"})
    with pytest.raises(InvalidInput, match="configMap"):
        to_model(body, CLASS)


async def test_the_ledger_of_a_deleted_profile_of_this_name_is_not_believed() -> None:
    """Whoever makes a profile of a name that was used before takes over no intent of the one before."""
    world = await shop()
    await world.steady()
    body = await world.outside.get(Ref(LEDGER, world.namespace, "checkout"))
    old = (await world.profile())["metadata"]["uid"]
    await world.delete()
    for _ in range(20):
        if await world.exists():
            await world.turn()
    await world.add(documents.profile("checkout", documents.hot()), workers=2)
    await world.turns(10)
    ledger = await world.ledger()
    fresh = (await world.outside.get(Ref(PROFILE, world.namespace, "checkout")))["metadata"]["uid"]
    assert body["metadata"]["labels"]["pegbox.dev/profile-uid"] == old != fresh
    assert ledger is not None and ledger.profile_uid == fresh
