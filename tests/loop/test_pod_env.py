"""Variables that admission puts into new pods, through the whole runtime: the Deployment is never written."""

from __future__ import annotations

from typing import Any

import pytest

from pegbox.adapters.kube import environment
from pegbox.model.reasons import Reason
from pegbox.model.trials import TrialState
from pegbox.ports import (
    ADMISSION_BINDING,
    ADMISSION_POLICY,
    DEPLOYMENT,
    LEDGER,
    POD,
    POD_ENVIRONMENT,
    PROFILE,
    STATEFUL_SET,
    Object,
    Ref,
)
from pegbox.testing.cluster import FakeCluster
from tests.loop import documents
from tests.loop.world import App, World, make, written

TAKE = {"conflictPolicy": "Take"}
STATED = {"name": "LANES", "value": "2"}
EVICT = ("evict", "Pod", "eviction")
WRITE = ("apply", "PodEnvironment", "")
GONE = ("delete", "PodEnvironment", "")


async def start(
    *knobs: Object, target: Object | None = None, policy: bool = True, world: World | None = None, **spec: Any
) -> tuple[World, App]:
    """At rest with evidence; the variable, beside a hot knob."""
    world = world or await make()
    if policy:
        for body in documents.policy():
            await world.outside.apply(body)
    knobs = knobs or (documents.variable(),)
    kind = (target or {}).get("kind", "Deployment")
    profile = documents.profile("checkout", documents.hot(), *knobs, kind=kind, **spec)
    app = await world.add(profile, target, workers=2, lanes=2)
    await world.steady()
    return world, app


def server(world: World) -> FakeCluster:
    assert isinstance(world.pegbox, FakeCluster)
    return world.pegbox


async def variables(app: App) -> list[str | None]:
    """LANES of each pod; None where it has none."""
    return [environment.stated(pod, "app").get("LANES") for pod in await app.pods.pods()]


async def parameter(world: World, name: str = "checkout") -> dict[str, str] | None:
    """What the object says for new pods; None where it does not exist."""
    body = await world.find(Ref(POD_ENVIRONMENT, world.namespace, name))
    return None if body is None else {n: e["value"] for n, e in environment.entries(body).items()}


async def target(world: World, kind: Any = DEPLOYMENT) -> Object:
    body = await world.outside.get(Ref(kind, world.namespace, "checkout"))
    body.pop("status", None)
    body["metadata"].pop("resourceVersion")
    body["metadata"]["managedFields"] = [
        e for e in body["metadata"].get("managedFields", []) if e.get("subresource") != "status"
    ]
    return body


async def trial(world: World, argument: str) -> tuple[TrialState, Reason]:
    await world.annotate("try", argument)
    await world.turn()
    ledger = await world.rest()
    assert ledger.trials, world.events.emitted
    return ledger.trials[-1].state, ledger.trials[-1].reason


async def _gone(world: World) -> bool:
    return await world.find(Ref(PROFILE, world.namespace, "checkout")) is None


async def _let_go(world: World) -> None:
    """A deletion without a target: what still stands is put back first."""
    for _ in range(40):
        if await _gone(world):
            return
        await world.turn_without_pods()
    raise AssertionError(await world.why())


async def test_adoption_writes_no_variable_and_restarts_nobody() -> None:
    world, app = await start()
    assert await parameter(world) is None and await variables(app) == [None, None]
    assert not {EVICT, WRITE} & set(written(world.pegbox))


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
async def test_an_accepted_value_is_in_every_pod_and_the_workload_is_as_its_owner_wrote_it(kind: str) -> None:
    body, ref = (documents.deployment(), DEPLOYMENT)
    if kind == "StatefulSet":
        body, ref = documents.stateful_set(), STATEFUL_SET
    world, app = await start(target=body)
    before = await target(world, ref)
    assert (await trial(world, "lanes=3"))[0] is TrialState.ACCEPTED
    assert await variables(app) == ["3", "3"] and await parameter(world) == {"LANES": "3"}
    assert await target(world, ref) == before
    assert written(world.pegbox).count(EVICT) == 2
    assert kind not in {kind for _, kind, _ in written(world.pegbox)}


async def test_a_harmful_value_is_put_back_and_pods_have_no_variable_again() -> None:
    world, app = await start()
    assert (await trial(world, "lanes=4"))[0] is TrialState.REVERTED
    assert await variables(app) == [None, None] and await parameter(world) == {}


async def test_the_way_back_restarts_no_pod_that_has_the_old_value_still() -> None:
    world, app = await start(target=documents.deployment(replicas=4))
    await world.annotate("try", "lanes=4")

    async def first() -> bool:
        return written(world.pegbox).count(EVICT) == 1

    await world.until(first)
    await world.annotate("rollback")
    await world.turn()
    await world.rest()
    assert await variables(app) == [None] * 4
    assert written(world.pegbox).count(EVICT) == 2  # the one that was evicted, and its successor


async def test_both_kinds_of_restart_in_one_trial_are_waited_for() -> None:
    world, app = await start(documents.variable(), documents.env())
    before = {p["metadata"]["uid"] for p in await app.pods.pods()}
    app.service.values["threads"] = 2.0
    assert (await trial(world, "lanes=3,threads=3"))[0] is TrialState.ACCEPTED
    assert await variables(app) == ["3", "3"]
    assert not before & {p["metadata"]["uid"] for p in await app.pods.pods()}


# Informers lag; what was missed is seen in the pod, and never restarted for ever.


async def test_a_pod_made_of_old_variables_is_evicted_again() -> None:
    world, app = await start()
    await world.annotate("try", "lanes=3")
    server(world).admission.lag(2)  # the first two successors are made as if nothing had been written
    await world.turn()
    ledger = await world.rest()
    assert ledger.trials[-1].state is TrialState.ACCEPTED
    assert await variables(app) == ["3", "3"]
    assert written(world.pegbox).count(EVICT) == 4


async def test_where_admission_goes_on_missing_pods_the_trial_ends_and_evictions_do() -> None:
    world, app = await start()
    await world.annotate("try", "lanes=3")
    await world.wake()
    server(world).admission.failing = True
    await world.turn()
    ledger = await world.rest(limit=200)
    assert (ledger.trials[-1].state, ledger.trials[-1].reason) == (TrialState.INCONCLUSIVE, Reason.ADMISSION_MISSED)
    assert await variables(app) == [None, None] and await parameter(world) == {}
    evicted = written(world.pegbox).count(EVICT)
    assert evicted <= 2 + 30 // 2  # each pod once, and at most one every look within the 30 s of an informer's lag
    await world.turns(30)
    assert written(world.pegbox).count(EVICT) == evicted


async def test_at_rest_a_pod_without_the_accepted_value_is_said_and_left_and_other_knobs_wait_for_no_ever() -> None:
    world, app = await start()
    assert (await trial(world, "lanes=3"))[0] is TrialState.ACCEPTED
    world.clock.skip(120)
    server(world).admission.failing = True
    name = (await app.pods.pods())[0]["metadata"]["name"]
    await world.outside.delete(Ref(POD, world.namespace, name))
    await world.pods_step(app)
    count = written(world.pegbox).count(EVICT)
    await world.turns(3)
    status, reason, message = await world.condition("Conflict")
    assert (status, reason) == ("True", "AdmissionMissed") and "LANES" in message
    assert written(world.pegbox).count(EVICT) == count


# No policy, or an old server: a reason, for this knob alone.


@pytest.mark.parametrize("what", ["no policy", "no binding", "an old server", "an old CRD"])
async def test_without_the_policy_the_knob_is_recommend_only_and_others_are_tuned(what: str) -> None:
    world, _ = await start(policy=what not in ("no policy",))
    if what == "no binding":
        await world.outside.delete(Ref(ADMISSION_BINDING, "", environment.POLICY))
    if what == "an old server":
        server(world).faults.uninstall(ADMISSION_POLICY)
    if what == "an old CRD":
        server(world).faults.uninstall(POD_ENVIRONMENT)
    await world.annotate("try", "lanes=3")
    await world.turns(2)
    assert not (await world.ledger()).trials  # type: ignore[union-attr]
    status, reason, message = await world.condition("Conflict")
    assert (status, reason) == ("True", "AdmissionUnavailable") and "lanes" in message
    assert (await trial(world, "workers=3"))[0] is TrialState.ACCEPTED
    assert WRITE not in written(world.pegbox)


async def test_a_policy_that_goes_in_mid_trial_ends_it_and_everything_is_put_back() -> None:
    world, app = await start()
    await world.annotate("try", "lanes=3")

    async def half() -> bool:
        return "3" in await variables(app)

    await world.until(half)
    await world.outside.delete(Ref(ADMISSION_POLICY, "", environment.POLICY))
    ledger = await world.rest()
    assert ledger.trials[-1].reason is Reason.ADMISSION_UNAVAILABLE
    assert await variables(app) == [None, None] and await parameter(world) == {}


# What the owner states is his.


async def test_a_variable_of_the_template_is_tuned_only_by_consent() -> None:
    body = documents.with_variables(documents.deployment(), STATED)
    world, app = await start(target=body)
    await world.annotate("try", "lanes=3")
    await world.turns(2)
    status, reason, message = await world.condition("Conflict")
    assert (status, reason) == ("True", "OwnedByOther") and "kubelet" in message and "conflictPolicy" in message
    assert await variables(app) == ["2", "2"] and WRITE not in written(world.pegbox)


async def test_with_consent_it_is_overridden_in_pods_and_its_text_comes_back() -> None:
    body = documents.with_variables(documents.deployment(), STATED, {"name": "OTHER", "value": "x"})
    world, app = await start(documents.variable(**TAKE), target=body)
    before = await target(world)
    assert (await trial(world, "lanes=3"))[0] is TrialState.ACCEPTED
    assert await variables(app) == ["3", "3"] and await target(world) == before
    await world.delete()
    await world.until(lambda: _gone(world))
    assert await variables(app) == ["2", "2"] and await target(world) == before and await parameter(world) is None


async def test_a_value_taken_from_elsewhere_is_not_tuned() -> None:
    source = {"name": "LANES", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    world, _ = await start(target=documents.with_variables(documents.deployment(), source))
    assert (await world.condition("Conflict"))[1] == "EnvUnreadable"


@pytest.mark.parametrize("when", ["at rest", "in mid-trial"])
async def test_a_value_that_the_owner_states_by_now_wins_from_its_first_pod_on(when: str) -> None:
    world, app = await start(documents.variable(**TAKE))
    if when == "at rest":
        assert (await trial(world, "lanes=3"))[0] is TrialState.ACCEPTED
    else:
        await world.annotate("try", "lanes=3")
        await world.turns(3)
    body = documents.with_variables(documents.deployment(), {"name": "LANES", "value": "1"})
    await world.apply(body)
    await world.pods_step(app)
    assert await variables(app) == ["1", "1"]
    ledger = await world.rest()
    assert ledger.incumbent is not None and ledger.incumbent.number("lanes") == 1
    await world.delete()
    await world.until(lambda: _gone(world))
    assert await variables(app) == ["1", "1"] and await parameter(world) is None


@pytest.mark.parametrize("manager", ["argocd", "helm"])
async def test_applying_the_same_manifest_again_neither_fights_nor_removes_it(manager: str) -> None:
    """As self-heal and Helm 4 do, in mid-trial and at rest."""
    world, app = await start(
        documents.variable(**TAKE), target=documents.with_variables(documents.deployment(), STATED)
    )
    owner = server(world).as_manager(manager)
    body = documents.placed(documents.with_variables(documents.deployment(), STATED), world.namespace)
    await owner.apply(body, force=True)
    await world.annotate("try", "lanes=3")
    for _ in range(8):
        await world.turn()
        await owner.apply(body)  # without force: a conflict would be an error
    assert (await world.rest()).trials[-1].state is TrialState.ACCEPTED
    await owner.apply(body)
    await world.turns(3)
    assert await variables(app) == ["3", "3"]
    assert (await world.condition("Conflict"))[1] == "NoConflict"


# Whoever touches our own object.


async def test_an_edited_value_of_our_object_is_left_to_its_editor() -> None:
    world, _ = await start()
    assert (await trial(world, "lanes=3"))[0] is TrialState.ACCEPTED
    await world.patch(Ref(POD_ENVIRONMENT, world.namespace, "checkout"), "/spec/env/0/value", "5")
    await world.turns(2)
    status, reason, message = await world.condition("Conflict")
    assert (status, reason) == ("True", "OwnedByOther") and "PodEnvironment" in message
    writes = written(world.pegbox).count(WRITE)
    await world.annotate("try", "lanes=6")
    await world.turns(3)
    assert written(world.pegbox).count(WRITE) == writes and await parameter(world) == {"LANES": "5"}


async def test_a_deleted_object_is_written_again_before_new_pods_lack_it() -> None:
    world, app = await start()
    assert (await trial(world, "lanes=3"))[0] is TrialState.ACCEPTED
    await world.outside.delete(Ref(POD_ENVIRONMENT, world.namespace, "checkout"))
    await world.turns(2)
    assert await parameter(world) == {"LANES": "3"} and await variables(app) == ["3", "3"]
    assert (await world.ledger()).incumbent.number("lanes") == 3  # type: ignore[union-attr]


async def test_in_mode_recommend_a_deleted_object_is_not_written_again() -> None:
    world, _ = await start()
    assert (await trial(world, "lanes=3"))[0] is TrialState.ACCEPTED
    await world.edit(mode="Recommend")
    await world.outside.delete(Ref(POD_ENVIRONMENT, world.namespace, "checkout"))
    await world.turns(3)
    assert await parameter(world) is None


# Restore.


@pytest.mark.parametrize("how", ["deleted", "deleted in mid-trial", "deleted without the policy", "a global restore"])
async def test_restored_every_pod_is_as_before_and_our_object_is_gone(how: str) -> None:
    world, app = await start()
    before = await target(world)
    assert (await trial(world, "lanes=3"))[0] is TrialState.ACCEPTED
    if how == "deleted in mid-trial":
        await world.annotate("try", "lanes=5")
        await world.turns(3)
    if how == "deleted without the policy":
        await world.outside.delete(Ref(ADMISSION_POLICY, "", environment.POLICY))
    if how == "a global restore":
        world.brake("restore")

        async def removed() -> bool:
            return await parameter(world) is None

        await world.until(removed)
    else:
        await world.delete()
        await world.until(lambda: _gone(world))
    assert await variables(app) == [None, None] and await parameter(world) is None
    assert await target(world) == before


async def test_with_keep_the_object_stays_and_belongs_to_nobody() -> None:
    world, app = await start(deletionPolicy="Keep")
    assert (await trial(world, "lanes=3"))[0] is TrialState.ACCEPTED
    await world.delete()
    await world.until(lambda: _gone(world))
    assert await variables(app) == ["3", "3"] and await parameter(world) == {"LANES": "3"}
    body = await world.outside.get(Ref(POD_ENVIRONMENT, world.namespace, "checkout"))
    assert not body["metadata"].get("ownerReferences")


async def test_what_a_profile_kept_is_what_the_next_one_restores() -> None:
    world, app = await start(deletionPolicy="Keep")
    assert (await trial(world, "lanes=3"))[0] is TrialState.ACCEPTED
    await world.delete()
    await world.until(lambda: _gone(world))
    await world.apply(documents.profile("checkout", documents.hot(), documents.variable()))
    await world.steady()
    assert (await world.ledger()).adopted.number("lanes") == 3  # type: ignore[union-attr]
    assert (await trial(world, "lanes=2"))[0] is not TrialState.ACCEPTED
    await world.delete()
    await world.until(lambda: _gone(world))
    assert await variables(app) == ["3", "3"] and await parameter(world) == {"LANES": "3"}


async def test_a_lost_ledger_finds_the_original_on_our_object() -> None:
    world, app = await start()
    assert (await trial(world, "lanes=3"))[0] is TrialState.ACCEPTED
    await world.outside.delete(Ref(LEDGER, world.namespace, "checkout"))
    world.restart()
    ledger = await world.steady()
    assert ledger.incumbent is not None and ledger.incumbent.number("lanes") == 3
    assert ledger.adopted is not None and ledger.adopted.number("lanes") == 2
    await world.delete()
    await world.until(lambda: _gone(world))
    assert await variables(app) == [None, None] and await parameter(world) is None


async def test_a_profile_may_choose_the_place_for_a_knob_of_its_class() -> None:
    world = await make()
    for body in documents.policy():
        await world.outside.apply(body)
    knob = {"name": "workers", "initial": 2, "location": {"kind": "PodEnv", "key": "WORKER_COUNT"}}
    app = await world.add(documents.profile("checkout", knob), workers=2)
    await world.steady()
    await world.annotate("try", "workers=3")
    await world.turns(10)
    texts = [environment.stated(pod, "app") for pod in await app.pods.pods()]
    assert texts == [{"WORKER_COUNT": "3"}] * 2


# Where eviction cannot be had, and where the target goes.


@pytest.mark.parametrize("why", ["one pod", "a disruption budget"])
async def test_a_rollout_replaces_the_pods_and_writes_nothing_but_its_annotation(why: str) -> None:
    replicas = 1 if why == "one pod" else 2
    world, app = await start(target=documents.deployment(replicas=replicas))
    if why != "one pod":
        await world.apply(documents.pdb())
    before = await target(world)
    assert (await trial(world, "lanes=3"))[0] is TrialState.ACCEPTED
    assert await variables(app) == ["3"] * replicas
    after = await target(world)
    notes = after["spec"]["template"]["metadata"].pop("annotations")
    assert set(notes) == {"pegbox.dev/restarted-for"} and after["spec"] == before["spec"]
    assert written(world.pegbox).count(("apply", "Deployment", "")) == 1


async def test_a_target_that_is_gone_leaves_no_variable_for_another_one_of_its_name() -> None:
    world, _ = await start()
    assert (await trial(world, "lanes=3"))[0] is TrialState.ACCEPTED
    await world.outside.delete(Ref(DEPLOYMENT, world.namespace, "checkout"))
    await world.delete()
    await _let_go(world)
    assert await parameter(world) is None


async def test_a_profile_deleted_by_an_install_that_may_not_write_is_let_go_and_its_object_has_an_owner() -> None:
    """The object then goes as the profile's dependant; nobody waits for a right that was taken away."""
    world, _ = await start()
    assert (await trial(world, "lanes=3"))[0] is TrialState.ACCEPTED
    server(world).faults.deny("delete", "pegbox.dev", "podenvironments")
    await world.outside.delete(Ref(DEPLOYMENT, world.namespace, "checkout"))
    body = await world.outside.get(Ref(POD_ENVIRONMENT, world.namespace, "checkout"))
    profile = await world.profile()
    assert [owner["uid"] for owner in body["metadata"]["ownerReferences"]] == [profile["metadata"]["uid"]]
    await world.delete()
    await _let_go(world)


async def test_a_target_made_anew_is_adopted_with_what_its_pods_have() -> None:
    world, app = await start()
    assert (await trial(world, "lanes=3"))[0] is TrialState.ACCEPTED
    await world.outside.delete(Ref(DEPLOYMENT, world.namespace, "checkout"))
    for pod in await world.outside.list(POD, world.namespace):
        await world.outside.delete(Ref(POD, world.namespace, pod["metadata"]["name"]))
    await world.turn_without_pods()
    await world.apply(documents.deployment())
    await world.pods_step(app)
    ledger = await world.steady()
    assert ledger.incumbent is not None and ledger.incumbent.number("lanes") == 3
    await world.delete()
    await world.until(lambda: _gone(world))
    assert await variables(app) == [None, None] and await parameter(world) is None


@pytest.mark.parametrize("mode", ["Observe", "Recommend"])
async def test_in_other_modes_than_auto_no_variable_is_ever_written(mode: str) -> None:
    world, app = await start(mode=mode)
    await world.annotate("try", "lanes=3")
    await world.turns(5)
    kinds = {kind for _, kind, _ in written(world.pegbox)}
    assert not {"PodEnvironment", "Pod", "Deployment"} & kinds and await variables(app) == [None, None]


async def test_where_nothing_may_be_written_the_gate_lets_no_variable_through() -> None:
    world = await make(allow_writes=False)
    for body in documents.policy():
        await world.outside.apply(body)
    app = await world.add(documents.profile("checkout", documents.hot(), documents.variable()), workers=2, lanes=2)
    await world.turns(8)
    await world.annotate("try", "lanes=3")
    await world.turns(8)
    assert await parameter(world) is None and await variables(app) == [None, None]


async def test_a_variable_of_a_knob_that_was_taken_out_stays_until_the_profile_goes() -> None:
    world, app = await start()
    assert (await trial(world, "lanes=3"))[0] is TrialState.ACCEPTED
    await world.edit(knobs=[documents.hot()])
    await world.rest()
    assert (await trial(world, "workers=3"))[0] is TrialState.ACCEPTED
    assert await parameter(world) == {"LANES": "3"} and await variables(app) == ["3", "3"]
    await world.delete()
    await world.until(lambda: _gone(world))
    assert await parameter(world) is None


async def test_pods_that_an_autoscaler_adds_have_the_accepted_value_at_once() -> None:
    world, app = await start(target=documents.without_replicas(documents.deployment()))
    assert (await trial(world, "lanes=3"))[0] is TrialState.ACCEPTED
    ref = Ref(DEPLOYMENT, world.namespace, "checkout")
    await world.outside.json_patch(ref, [{"op": "replace", "path": "/spec/replicas", "value": 4}], subresource="scale")
    await world.pods_step(app)
    assert await variables(app) == ["3"] * 4
    await world.turns(2)
    assert (await world.condition("Conflict"))[1] == "NoConflict"


# A trial that lost its ledger, its mode or its leader in mid-course.


@pytest.mark.parametrize("what", ["the ledger", "the mode"])
async def test_pods_from_before_the_write_are_replaced_at_rest_where_a_trial_was_cut_off(what: str) -> None:
    world, app = await start()
    await world.annotate("try", "lanes=3")
    await world.wake()  # written, and no pod replaced yet
    if what == "the ledger":
        await world.outside.delete(Ref(LEDGER, world.namespace, "checkout"))
        world.restart()
    else:
        await world.edit(mode="Recommend")
        await world.turn()
        await world.edit(mode="Auto")
    await world.turns(8)
    ledger = await world.ledger()
    assert ledger is not None and ledger.intent is None and ledger.incumbent is not None
    wanted = str(ledger.incumbent.number("lanes"))
    assert await variables(app) == [None if wanted == "2" else wanted] * 2
    evicted = written(world.pegbox).count(EVICT)
    await world.turns(10)
    assert written(world.pegbox).count(EVICT) == evicted


async def test_in_a_freeze_no_pod_is_replaced_at_rest() -> None:
    world, _ = await start()
    await world.annotate("try", "lanes=3")
    await world.wake()
    await world.edit(mode="Recommend")
    await world.turn()
    await world.edit(mode="Auto", freezes=[documents.ALWAYS])
    count = written(world.pegbox).count(EVICT)
    await world.turns(6)
    assert written(world.pegbox).count(EVICT) == count


async def test_a_variable_that_somebody_else_puts_into_pods_is_said_and_never_fought() -> None:
    """A webhook does so to each pod: replacing them would go on for ever."""
    world, app = await start()
    name = (await app.pods.pods())[0]["metadata"]["name"]
    body = await world.outside.get(Ref(POD, world.namespace, name))
    env = [{"op": "add", "path": "/spec/containers/0/env", "value": [{"name": "LANES", "value": "9"}]}]
    await world.outside.json_patch(Ref(POD, world.namespace, body["metadata"]["name"]), env)
    await world.turns(10)
    assert EVICT not in written(world.pegbox) and WRITE not in written(world.pegbox)
    assert (await world.condition("Conflict"))[1] == "AdmissionMissed"


async def test_a_leader_paused_before_its_first_write_does_not_make_it_after_another_one_was_here() -> None:
    """It read that there is no object. The new one puts back, and so leaves one: the late write is a conflict."""
    world, app = await start()
    await world.annotate("try", "lanes=3")
    stale = world.reconciler

    async def new_leader() -> None:
        world.restart()
        await world.annotate("rollback")
        await world.turns(4)

    kept = stale.actuator

    async def paused(change: Any) -> bool:
        await new_leader()
        return await kept(change)

    stale.actuator = paused
    await stale(f"{world.namespace}/checkout")
    await world.rest()
    assert await parameter(world) == {} and await variables(app) == [None, None]


@pytest.mark.parametrize("argument", ["threads=3", "threads=3,lanes=4"], ids=["another knob alone", "that knob, too"])
async def test_a_pod_without_its_variable_is_restarted_for_another_knob(argument: str) -> None:
    """The policy's binding goes in mid-trial, and a node is drained: no pod in its place would have the variable either."""
    world, app = await start(documents.variable(), documents.env(), target=documents.deployment(replicas=3))
    app.without["threads"] = app.service.values["threads"] = 2.0
    await world.turns(6)
    assert (await trial(world, "lanes=3"))[0] is TrialState.ACCEPTED
    await world.steady()
    await world.annotate("try", argument)
    await world.until(lambda: _evicted(world, 6))
    binding = next(body for body in documents.policy() if body["kind"] == ADMISSION_BINDING.kind)
    await world.outside.delete(Ref(ADMISSION_BINDING, "", binding["metadata"]["name"]))
    world.clock.skip(60.0)
    await app.pods._end((await app.pods.pods())[0])
    await world.pods_step(app)
    assert None in await variables(app)
    await world.annotate("rollback")
    await world.turns(40)
    pods = await app.pods.pods()
    assert [app.started_with[p["metadata"]["uid"]]["threads"] for p in pods] == [2.0] * 3
    evictions = written(world.pegbox).count(EVICT)
    await world.turns(20)
    assert written(world.pegbox).count(EVICT) == evictions, "what was missed is not restarted for ever"


async def _evicted(world: World, count: int) -> bool:
    return written(world.pegbox).count(EVICT) >= count
