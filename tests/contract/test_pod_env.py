"""Variables by admission on a real API server: in every pod, with a Deployment that nobody touched, beside its owners."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dev.cluster.control import ControlPlane
from pegbox.adapters.kube import environment
from pegbox.model.errors import Refused
from pegbox.model.trials import TrialState
from pegbox.ports import DEPLOYMENT, POD, POD_ENVIRONMENT, PROFILE, Cluster, Object, Ref
from pegbox.testing.suites.world import raised
from tests.contract.conftest import Connect
from tests.loop import documents
from tests.loop.world import World

STATED = {"name": "LANES", "value": "2"}
TAKE = {"conflictPolicy": "Take"}


async def start(world: World, helm: Cluster, body: Object, **knob: Any) -> None:
    """Helm 4 applies the workload server-side; the profile comes after it."""
    await helm.apply(documents.placed(body, world.namespace))
    profile = documents.profile("checkout", documents.hot(), documents.variable(**knob))
    app = world._app("checkout", "checkout")
    app.service.values, app.without = {"workers": 2.0, "lanes": 2.0}, {"lanes": 2.0}
    await world.apply(profile)
    await world.pods_step(app)
    await world.steady()


async def variables(world: World) -> list[str | None]:
    pods = await world.apps["checkout"].pods.pods()
    return [environment.stated(pod, "app").get("LANES") for pod in pods]


async def deployment(world: World) -> tuple[int, Object, list[Object]]:
    """Generation, spec, and who holds what; status is the controllers'."""
    body = await world.outside.get(Ref(DEPLOYMENT, world.namespace, "checkout"))
    held = [{k: e[k] for k in e if k != "time"} for e in body["metadata"]["managedFields"]]
    return body["metadata"]["generation"], body["spec"], [e for e in held if e.get("subresource") != "status"]


async def trial(world: World, argument: str) -> TrialState:
    await world.annotate("try", argument)
    await world.turn()
    return (await world.rest(limit=120)).trials[-1].state


async def gone(world: World) -> bool:
    return await world.find(Ref(PROFILE, world.namespace, "checkout")) is None


@pytest.mark.parametrize("text", [None, "2"], ids=["no variable in the template", "the owner states it, and consents"])
async def test_every_pod_has_it_the_deployment_is_untouched_and_everything_comes_back(
    shop: World, client: Connect, text: str | None
) -> None:
    body, knob = documents.deployment(), TAKE
    if text is not None:
        body = documents.with_variables(body, STATED, {"name": "OTHER", "value": "x"})
    await start(shop, await client("helm"), body, **knob)
    before = await deployment(shop)
    assert {entry["manager"] for entry in before[2]} == {"helm"}
    assert await trial(shop, "lanes=3") is TrialState.ACCEPTED
    assert await variables(shop) == ["3", "3"] and await deployment(shop) == before
    assert await trial(shop, "lanes=4") is TrialState.REVERTED
    assert await variables(shop) == ["3", "3"] and await deployment(shop) == before
    await shop.delete()
    await shop.until(lambda: gone(shop))
    assert await variables(shop) == [text, text] and await deployment(shop) == before
    assert await shop.find(Ref(POD_ENVIRONMENT, shop.namespace, "checkout")) is None


async def highest(world: World, limit: int = 240) -> tuple[TrialState, list[int]]:
    """How the trial that was asked for ends, and how many pods had a variable at each look until then."""
    counts: list[int] = []
    for _ in range(limit):
        await world.turn()
        counts.append(sum(text is not None for text in await variables(world)))
        ledger = await world.ledger()
        assert ledger is not None
        if ledger.intent is None and ledger.trials:
            return ledger.trials[-1].state, counts
    raise AssertionError(f"not within {limit} wakes: {await world.why()}")


async def test_one_pod_of_five_takes_it_first_and_new_pods_beside_it_do_not(shop: World, client: Connect) -> None:
    """The policy mutates; while it is closed again, a pod that somebody else makes is as the rest."""
    await start(shop, await client("helm"), documents.deployment(replicas=5))
    before = await deployment(shop)
    await shop.annotate("try", "lanes=3")

    async def compared() -> bool:
        intent = await shop.intent()
        return intent is not None and intent.compared and intent.in_force_at is not None

    await shop.until(compared)
    intent = await shop.intent()
    assert intent is not None and intent.cohort is not None and len(intent.cohort.pods) == 1
    assert sorted(await variables(shop), key=str) == ["3", None, None, None, None]
    parameter = await shop.outside.get(Ref(POD_ENVIRONMENT, shop.namespace, "checkout"))
    assert environment.entries(parameter) == {} and "pegbox.dev/parents" not in parameter["metadata"]["annotations"]
    other = next(p for p in await shop.apps["checkout"].pods.pods() if p["metadata"]["name"] not in intent.cohort.pods)
    await shop.outside.delete(Ref(POD, shop.namespace, other["metadata"]["name"]))
    await shop.pods_step(shop.apps["checkout"])
    assert sorted(await variables(shop), key=str) == ["3", None, None, None, None]
    ended, counts = await highest(shop)
    assert ended is TrialState.ACCEPTED and counts[-1] == 5
    assert await variables(shop) == ["3"] * 5 and await deployment(shop) == before


async def test_a_value_that_hurts_is_never_in_more_pods_than_the_share(shop: World, client: Connect) -> None:
    await start(shop, await client("helm"), documents.deployment(replicas=5))
    before = await deployment(shop)
    await shop.annotate("try", "lanes=4")
    ended, counts = await highest(shop)
    assert ended is TrialState.REVERTED and max(counts) == 1
    assert await variables(shop) == [None] * 5 and await deployment(shop) == before


async def test_a_helm_upgrade_and_self_heal_in_mid_trial_neither_fight_nor_remove_it(
    shop: World, client: Connect
) -> None:
    helm, healer = await client("helm"), await client("argocd-controller")
    body = documents.with_variables(documents.deployment(), STATED)
    placed = documents.placed(body, shop.namespace)
    await start(shop, helm, body, **TAKE)
    await healer.apply(placed)
    before = await deployment(shop)
    await shop.annotate("try", "lanes=3")
    for _ in range(8):
        await shop.turn()
        await helm.apply(placed)  # neither is forced: a conflict would be an error
        await healer.apply(placed)
    assert (await shop.rest(limit=120)).trials[-1].state is TrialState.ACCEPTED
    await healer.apply(placed)
    await shop.turns(3)
    assert await variables(shop) == ["3", "3"] and await deployment(shop) == before
    assert (await shop.condition("Conflict"))[1] == "NoConflict"


async def test_what_the_owner_states_by_an_upgrade_wins_at_once(shop: World, client: Connect) -> None:
    helm = await client("helm")
    await start(shop, helm, documents.with_variables(documents.deployment(), STATED), **TAKE)
    assert await trial(shop, "lanes=3") is TrialState.ACCEPTED
    theirs = documents.with_variables(documents.deployment(), {"name": "LANES", "value": "1"})
    await helm.apply(documents.placed(theirs, shop.namespace))
    await shop.pods_step(shop.apps["checkout"])
    assert await variables(shop) == ["1", "1"]
    ledger = await shop.rest()
    assert ledger.incumbent is not None and ledger.incumbent.number("lanes") == 1


async def test_the_time_of_our_entry_moves_with_every_value(cluster: Cluster, namespace: str) -> None:
    """A pod made after it and without the value was missed: so the time has to be that of the last change."""
    body = {
        "apiVersion": POD_ENVIRONMENT.api_version,
        "kind": POD_ENVIRONMENT.kind,
        "metadata": {"name": "web", "namespace": namespace},
    }
    spec = {"profileUID": "u", "target": {"kind": "Deployment", "name": "web"}, "container": "app"}
    first, times = None, set()
    for number in range(4000):  # times are whole seconds: written until one has passed
        env = [{"name": "LANES", "value": str(number)}]
        made = await cluster.apply({**body, "spec": {**spec, "env": env}})
        times.add(environment.written_at(made))
        first = first or environment.written_at(made)
        if len(times) > 1:
            break
    assert len(times) == 2 and first is not None
    again = await cluster.apply({**body, "spec": {**spec, "env": env}})
    assert environment.written_at(again) == max(t for t in times if t is not None)


async def test_names_and_kinds_that_nobody_should_write_are_refused(cluster: Cluster, namespace: str) -> None:
    body: Object = {
        "apiVersion": POD_ENVIRONMENT.api_version,
        "kind": POD_ENVIRONMENT.kind,
        "metadata": {"name": "web", "namespace": namespace},
    }
    good: Object = {"profileUID": "u", "target": {"kind": "Deployment", "name": "web"}, "container": "app"}
    wrong: list[Object] = [
        {"env": [{"name": "1ST", "value": "1"}]},
        {"env": [{"name": "A-B", "value": "1"}]},
        {"env": [{"name": "A", "value": "1" * 1025}]},
        {"target": {"kind": "Job", "name": "web"}},
        {"container": "../app"},
    ]
    for part in wrong:
        await raised(Refused, cluster.create({**body, "spec": {**good, **part}}))


FACT = "facts.pegbox.dev"
SAYS: Object = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "MutatingAdmissionPolicy",
    "metadata": {"name": FACT},
    "spec": {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": {
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            ]
        },
        "matchConditions": [{"name": "asked", "expression": "'fact' in object.metadata.?labels.orValue({})"}],
        "mutations": [
            {
                "patchType": "ApplyConfiguration",
                "applyConfiguration": {
                    "expression": "Object{metadata: Object.metadata{annotations: {'name': "
                    "'<' + object.metadata.?name.orValue('') + '>', 'uid': '<' + object.metadata.?uid.orValue('') + '>'}}}"
                },
            }
        ],
    },
}
BOUND: Object = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "MutatingAdmissionPolicyBinding",
    "metadata": {"name": FACT},
    "spec": {"policyName": FACT},
}


async def test_a_deployments_pod_has_no_name_yet_when_admission_looks_at_it(
    shop: World, control_plane: ControlPlane
) -> None:
    """So no policy can tell a share of the pods by their names: the parameter stands only while a share is made."""
    for body in (SAYS, BOUND):
        control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(body))
    try:
        found: dict[str, Object] = {}
        for name in ("name", "generateName"):
            for attempt in range(2000):
                head = {"namespace": shop.namespace, "labels": {"fact": name}, name: f"web-{attempt}"}
                spec = {"containers": [{"name": "app", "image": "example.invalid/app:1"}]}
                pod = {"apiVersion": "v1", "kind": "Pod", "metadata": head, "spec": spec}
                out = control_plane.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(pod))
                found[name] = json.loads(out.stdout)["metadata"]
                if "annotations" in found[name]:  # a server takes note of a policy a moment later
                    break
        notes = {name: meta.get("annotations") for name, meta in found.items()}
        assert notes["name"] == {"name": f"<{found['name']['name']}>", "uid": "<>"}
        assert notes["generateName"] == {"name": "<>", "uid": "<>"}
        assert found["generateName"]["name"].startswith("web-0") and found["generateName"]["uid"]
    finally:
        for kind in ("mutatingadmissionpolicybindings", "mutatingadmissionpolicies"):
            control_plane.kubectl("delete", kind, FACT)
