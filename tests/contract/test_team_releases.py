"""A team upgrades and rolls back its own release in mid-trial: the real Helm 3 and 4 on a real API server.

The operator's loop runs in this process, in virtual time. Pods that really run are in tests/e2e.
"""

from __future__ import annotations

import copy
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from dev.cluster.control import ControlPlane
from pegbox.adapters.kube import environment, owners
from pegbox.ports import CONFIG_MAP, HPA, POD, Object, Ref
from pegbox.runtime.reading import KINDS
from pegbox.testing.clock import FakeClock
from tests import releases
from tests.contract import test_pod_env as admission
from tests.contract.conftest import Connect
from tests.levels import cannot_run
from tests.loop import documents
from tests.loop.world import VARIABLES, World
from tests.releases import HELM_3, HELM_4, Release, Said

MAX = {"name": "max_replicas", "min": 1, "max": 8}
TEAM = {"ref": {"name": "checkout"}}
TAKE: dict[str, Any] = {"autoscaler": TEAM, "conflictPolicy": "Take"}
FORCE = ("--force-conflicts",)
BOTH = pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"], indirect=True)
ONLY_HELM_4 = pytest.mark.parametrize("shop", [HELM_4], indirect=True, ids=["Helm 4"])  # 3 has no conflicts


@dataclass
class Shop:
    """The world, and the team's chart as it stands: `parts` by kind."""

    world: World
    release: Release
    kind: str = "Deployment"
    parts: dict[str, Object] = field(default_factory=dict)

    @property
    def helm_4(self) -> bool:
        return self.release.helm == HELM_4

    def upgrade(self, *, force: bool = False, **changes: Callable[[Object], None]) -> Said:
        """The chart's next version: `changes` by kind."""
        for kind, change in changes.items():
            change(self.parts[self.kind.lower() if kind == "workload" else kind])
        return self.release.upgrade(*self.parts.values(), options=FORCE if force and self.helm_4 else ())

    def rollback(self, revision: int, *, force: bool = False) -> Said:
        return self.release.rollback(revision, options=FORCE if force and self.helm_4 else ())

    async def begin(self, *knobs: Object, **spec: Any) -> None:
        """The profile joins what the release installed; its setting is adopted and measured."""
        world = self.world
        app = world._app("checkout", "checkout", self.kind)
        app.service.values = {"workers": 2.0} | {name: 2.0 for name in VARIABLES if name in {k["name"] for k in knobs}}
        app.without = dict(app.service.values)
        await world.apply(documents.profile("checkout", documents.hot(), *knobs, kind=self.kind, **spec))
        await world.pods_step(app)
        await world.steady()

    async def trial(self, argument: str) -> None:
        """A trial that is written and read back."""
        await self.world.annotate("try", argument)

        async def under_way() -> bool:
            intent = await self.world.intent()
            return intent is not None and intent.applied_at is not None

        await self.world.until(under_way)

    async def ended(self) -> tuple[str, str]:
        """(state, reason) of the last trial, once all is at rest."""
        ledger = await self.world.rest()
        return ledger.trials[-1].state.value, ledger.trials[-1].reason.value

    async def on_trial(self) -> bool:
        intent = await self.world.intent()
        return intent is not None and intent.kind.value == "Trial"

    async def hpa(self) -> Object:
        return await self.world.outside.get(Ref(HPA, self.world.namespace, "checkout"))

    async def workload(self) -> Object:
        return await self.world.outside.get(Ref(KINDS[self.kind], self.world.namespace, "checkout"))

    async def versions(self) -> dict[str, str]:
        """resourceVersion of everything that the team owns."""
        names = {KINDS[self.kind]: "checkout", HPA: "checkout", CONFIG_MAP: "flags"}
        refs = [Ref(kind, self.world.namespace, name) for kind, name in names.items()]
        found = [await self.world.find(ref) for ref in refs]
        return {b["kind"]: b["metadata"]["resourceVersion"] for b in found if b is not None}


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """Of the team's workload."""
    return str(getattr(request, "param", "Deployment"))


@pytest_asyncio.fixture(params=releases.HELMS, ids=releases.IDS.get)
async def shop(
    request: pytest.FixtureRequest, client: Connect, cluster: object, namespace: str, tmp_path: Path,
    control_plane: ControlPlane, kind: str,
) -> Shop:  # fmt: skip
    """The first version of a team's release: its workload, a ConfigMap that nobody tunes, and an HPA."""
    missing = releases.unbuilt() if request.param == HELM_3 else ""
    if missing:
        cannot_run(f"CONTRACT TESTS NOT RUN: {missing}")
    environment = {"PATH": os.environ["PATH"], "KUBECONFIG": str(control_plane.kubeconfig), "HOME": str(tmp_path)}

    def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    outside = await client("kubelet")
    await outside.apply(documents.CLASS, force=True)
    world = World(cluster, outside, FakeClock(auto=False), namespace=namespace)  # type: ignore[arg-type]
    hpa = documents.hpa(low=1, high=2, kind=kind)
    bodies = (documents.config_map("flags", theme="dark"), documents.workload(kind), hpa)
    parts = {b["kind"].lower(): documents.placed(copy.deepcopy(b), namespace) for b in bodies}
    made = Shop(world, Release(request.param, namespace, tmp_path / "chart", run), kind, parts)
    said = made.upgrade()
    assert said.passed, said.text
    return made


def theme(body: Object) -> None:
    body["data"]["theme"] = "light"


def new_env(body: Object) -> None:
    body["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "FLAG", "value": "on"}]


def stating(*entries: Object) -> Callable[[Object], None]:
    def change(body: Object) -> None:
        body["spec"] = documents.with_variables(body, *entries)["spec"]

    return change


def most(count: int) -> Callable[[Object], None]:
    def change(body: Object) -> None:
        body["spec"]["maxReplicas"] = count

    return change


@BOTH
async def test_an_upgrade_that_does_not_touch_the_template_goes_through_and_the_trial_goes_on(shop: Shop) -> None:
    await shop.begin()
    await shop.trial("workers=3")
    said = shop.upgrade(configmap=theme)
    assert said.passed, said.text
    assert await shop.on_trial()
    assert await shop.ended() == ("Accepted", "TrialAccepted")
    assert await shop.world.values() == {"workers": "3"}


@BOTH
async def test_an_upgrade_of_the_template_goes_through_and_ends_the_trial_without_a_verdict(shop: Shop) -> None:
    await shop.begin()
    await shop.trial("workers=3")
    said = shop.upgrade(workload=new_env)
    assert said.passed, said.text
    assert await shop.ended() == ("Inconclusive", "Deployed")
    assert await shop.world.values() == {"workers": "2"}
    container = (await shop.workload())["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "FLAG", "value": "on"}]
    assert (await shop.world.ledger()).breaker.failures == 0  # type: ignore[union-attr]


@BOTH
async def test_a_rollback_of_the_template_is_a_deploy_like_any_other(shop: Shop) -> None:
    said = shop.upgrade(workload=new_env)
    assert said.passed, said.text
    await shop.begin()
    await shop.trial("workers=3")
    said = shop.rollback(1)
    assert said.passed, said.text
    assert await shop.ended() == ("Inconclusive", "Deployed")
    assert await shop.world.values() == {"workers": "2"}
    assert "env" not in (await shop.workload())["spec"]["template"]["spec"]["containers"][0]


async def test_a_rollback_that_changes_no_template_lets_the_trial_go_on(shop: Shop) -> None:
    assert shop.upgrade(configmap=theme).passed
    await shop.begin()
    await shop.trial("workers=3")
    said = shop.rollback(1)
    assert said.passed, said.text
    assert await shop.on_trial()
    assert await shop.ended() == ("Accepted", "TrialAccepted")


@BOTH
async def test_without_take_no_upgrade_is_ever_a_conflict_since_we_own_nothing_of_theirs(shop: Shop) -> None:
    """The same bound, tuned by nobody: theirs to raise in mid-trial, and the trial is about something else."""
    await shop.begin(MAX, autoscaler=TEAM)
    assert (await shop.world.condition("Conflict"))[:2] == ("True", "OwnedByOther")
    before = await shop.versions()
    await shop.trial("workers=3")
    assert await shop.versions() == before, "a trial writes nothing of theirs"
    said = shop.upgrade(horizontalpodautoscaler=lambda body: body["spec"].update(minReplicas=2))
    assert said.passed, said.text
    assert await shop.ended() == ("Accepted", "TrialAccepted")
    hpa = await shop.hpa()
    assert (hpa["spec"]["minReplicas"], hpa["spec"]["maxReplicas"]) == (2, 2)
    for body in (hpa, await shop.workload()):
        assert "pegbox" not in {entry["manager"] for entry in body["metadata"]["managedFields"]}


@ONLY_HELM_4
async def test_with_take_helm_4_refuses_any_upgrade_of_the_object_and_names_us_and_the_field(shop: Shop) -> None:
    """What Take costs: the chart states the value that it always stated, and that is a conflict now."""
    await shop.begin(MAX, **TAKE)
    await shop.trial("max_replicas=3")
    before = await shop.hpa()
    said = shop.upgrade(configmap=theme)
    assert not said.passed
    assert 'conflict with "pegbox"' in said.text and ".spec.maxReplicas" in said.text
    assert shop.release.status() == "failed"
    assert (await shop.hpa())["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert await shop.on_trial()
    assert (await shop.ended())[0] == "Accepted", "nobody changed a value"


@pytest.mark.parametrize("count", [2, 5], ids=["the value it always had", "another value"])
async def test_with_take_their_value_wins_and_ends_the_trial_and_is_not_written_again(shop: Shop, count: int) -> None:
    await shop.begin(MAX, **TAKE)
    await shop.trial("max_replicas=3")
    assert owners.ours(await shop.hpa(), owners.MAX_REPLICAS)
    said = shop.upgrade(force=True, horizontalpodautoscaler=most(count))
    assert said.passed, said.text
    theirs = await shop.hpa()
    assert theirs["spec"]["maxReplicas"] == count and not owners.ours(theirs, owners.MAX_REPLICAS)
    await shop.world.turn()
    assert (await shop.world.condition("Conflict"))[:2] == ("True", "ForeignChange")
    assert await shop.ended() == ("Inconclusive", "ForeignChange")
    await shop.world.turns(30)
    after = await shop.hpa()
    assert after["spec"] == theirs["spec"]
    assert "pegbox" not in owners.owners(after, owners.MAX_REPLICAS, ours="nobody"), "no second write"


@ONLY_HELM_4
async def test_with_take_helm_4_on_the_client_side_has_no_conflict_and_puts_its_value_back(shop: Shop) -> None:
    await shop.begin(MAX, **TAKE)
    await shop.trial("max_replicas=3")
    theme(shop.parts["configmap"])
    said = shop.release.upgrade(*shop.parts.values(), options=("--server-side=false",))
    assert said.passed, said.text
    assert (await shop.hpa())["spec"]["maxReplicas"] == 2, "though the chart's HPA did not change"
    assert await shop.ended() == ("Inconclusive", "ForeignChange")


async def test_with_take_a_rollback_of_the_release_wins_as_an_upgrade_does(shop: Shop) -> None:
    assert shop.upgrade(horizontalpodautoscaler=most(4)).passed
    await shop.begin(MAX, **TAKE)
    await shop.trial("max_replicas=3")
    if shop.helm_4:
        said = shop.rollback(1)
        assert not said.passed and 'conflict with "pegbox"' in said.text
    said = shop.rollback(1, force=True)
    assert said.passed, said.text
    assert await shop.ended() == ("Inconclusive", "ForeignChange")
    await shop.world.turns(10)
    hpa = await shop.hpa()
    assert hpa["spec"]["maxReplicas"] == 2 and not owners.ours(hpa, owners.MAX_REPLICAS)


@pytest.mark.parametrize("stated", [(), (admission.STATED,)], ids=["no variable in the chart", "the chart states it"])
async def test_a_variable_by_admission_outlives_every_upgrade_and_no_upgrade_meets_us_in_the_deployment(
    shop: Shop, stated: tuple[Object, ...]
) -> None:
    """Each upgrade states the whole Deployment, also the variable under Take, and none is forced."""
    world, three = shop.world, ["3", "3"]
    del shop.parts["horizontalpodautoscaler"]  # its scaling would take `replicas` from Helm 3
    said = shop.upgrade(deployment=stating(*stated))
    assert said.passed, said.text
    before = await admission.deployment(world)
    assert {entry["manager"] for entry in before[2]} == {"helm"}
    await shop.begin(documents.variable(conflictPolicy="Take"))
    await world.annotate("try", "lanes=3")

    async def in_a_pod() -> bool:
        return "3" in await admission.variables(world)

    await world.until(in_a_pod)
    said = shop.upgrade(configmap=theme)
    assert said.passed, said.text
    assert await shop.on_trial() and await in_a_pod() and await admission.deployment(world) == before
    assert await shop.ended() == ("Accepted", "TrialAccepted")
    assert await admission.variables(world) == three and await admission.deployment(world) == before

    app = world.apps["checkout"].pods
    old = {pod["metadata"]["uid"] for pod in await app.pods()}
    said = shop.upgrade(deployment=stating(*stated, {"name": "FLAG", "value": "on"}))
    assert said.passed, said.text
    theirs = await admission.deployment(world)
    pods = await app.settle()  # no wake of ours: what is in a new pod, the policy put there
    assert old.isdisjoint(pod["metadata"]["uid"] for pod in pods)
    assert [environment.stated(pod, "app") for pod in pods] == [{"LANES": "3", "FLAG": "on"}] * 2
    await world.rest()
    await world.outside.delete(Ref(POD, world.namespace, pods[0]["metadata"]["name"]))
    await app.settle()
    assert await admission.variables(world) == three and await admission.deployment(world) == theirs
    assert {entry["manager"] for entry in theirs[2]} == {"helm"}
    chart, template = shop.parts["deployment"]["spec"]["template"], theirs[1]["template"]
    assert template["spec"]["containers"][0]["env"] == chart["spec"]["containers"][0]["env"]
    assert template["metadata"] == chart["metadata"]
    assert (await world.condition("Conflict"))[1] == "NoConflict"


async def test_after_the_profile_is_gone_upgrades_pass_again_without_force(shop: Shop) -> None:
    """What was taken went back to its recorded owner."""
    await shop.begin(MAX, **TAKE)
    await shop.trial("max_replicas=3")
    await shop.world.delete()
    for _ in range(20):
        if not await shop.world.exists():
            break
        await shop.world.turn()
    assert (await shop.hpa())["spec"]["maxReplicas"] == 2
    said = shop.upgrade(horizontalpodautoscaler=most(6))
    assert said.passed, said.text
    assert (await shop.hpa())["spec"]["maxReplicas"] == 6


@BOTH
async def test_a_field_that_the_chart_began_to_state_is_theirs_from_then_on(shop: Shop) -> None:
    """Consent by leaving out ends with the version that states it, and that version is no conflict."""
    shop.release.name = "bare"
    bare = documents.placed(documents.without_replicas(documents.workload(shop.kind, "bare")), shop.world.namespace)
    assert shop.release.upgrade(bare).passed
    world = shop.world
    app = world._app("bare", "bare", shop.kind)
    app.service.values = {"workers": 2.0}
    knobs = documents.hot(), {"name": "replicas", "min": 1, "max": 6}
    await world.apply(documents.profile("bare", *knobs, kind=shop.kind))
    await world.pods_step(app)
    await world.steady("bare")
    if not shop.helm_4:  # a create that is no apply owns the server's defaults, too: left out is not given away
        status, reason, message = await world.condition("Conflict", "bare")
        assert (status, reason) == ("True", "OwnedByOther") and "helm" in message and "spec.replicas" in message
        return
    await world.annotate("try", "replicas=2", "bare")
    ref = Ref(KINDS[shop.kind], world.namespace, "bare")

    async def scaled() -> bool:
        return bool((await world.outside.get(ref))["spec"]["replicas"] == 2)

    await world.until(scaled, "bare")
    bare["spec"]["replicas"] = 4
    said = shop.release.upgrade(bare)
    assert said.passed, "a scale of a field that nobody held leaves it unowned: " + said.text
    ledger = await world.rest("bare")
    assert (ledger.trials[-1].state.value, ledger.trials[-1].reason.value) == ("Inconclusive", "ForeignChange")
    await world.turns(10, "bare")
    assert (await world.outside.get(ref))["spec"]["replicas"] == 4
    assert (await world.condition("Conflict", "bare"))[:2] == ("True", "OwnedByOther")
    assert (await world.ledger("bare")).incumbent.number("replicas") == 4  # type: ignore[union-attr]
