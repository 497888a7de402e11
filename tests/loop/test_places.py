"""Each place of a value, through the whole runtime: written, put back, and nothing else of the object touched."""

from __future__ import annotations

import pytest

from pegbox.model.trials import TrialState
from pegbox.ports import CONFIG_MAP, DEPLOYMENT, HPA, POD, PROFILE, Object, Ref
from tests.loop import documents
from tests.loop.world import World, make, written

TAKE = {"conflictPolicy": "Take"}
JSON = '{"cache":{"size": 2},\n  "other" : [1,2 ]}'


async def tried(world: World, argument: str) -> TrialState:
    """At rest, something is tried; how it ended."""
    await world.steady()
    await world.annotate("try", argument)
    await world.turn()
    ledger = await world.rest()
    assert ledger.trials, world.events.emitted
    return ledger.trials[-1].state


@pytest.mark.parametrize(
    ("key", "text", "at"),
    [("app.yaml", documents.APP, "cache.size"), ("app.json", JSON, "cache.size")],
    ids=["YAML with comments", "JSON with odd spacing"],
)
async def test_only_the_bytes_of_the_value_change_and_come_back(key: str, text: str, at: str) -> None:
    world = await make()
    await world.apply(documents.config_map(**{key: text, "rest": "stays"}))
    knob = documents.path(at=at, key=key, **TAKE)
    await world.add(documents.profile("checkout", documents.hot(), knob), workers=2)
    await world.steady()
    await world.annotate("try", "cache=3,workers=4")
    await world.turn()
    assert await world.theirs(key) == text.replace("2", "3", 1)
    assert await world.theirs("rest") == "stays"
    ledger = await world.rest()
    assert ledger.trials[-1].state is TrialState.REVERTED
    assert await world.theirs(key) == text


async def test_a_plain_key_keeps_its_white_space() -> None:
    world = await make()
    await world.apply(documents.config_map(BACKLOG=" 2\n"))
    await world.add(documents.profile("checkout", documents.plain(**TAKE)), backlog=2)
    assert await tried(world, "backlog=3") is TrialState.ACCEPTED
    assert await world.theirs("BACKLOG") == " 3\n"


BYTES = "/wAB//4="
"""What is no text: base64 of FF 00 01 FF FE."""


async def test_what_is_no_text_beside_the_value_stays_byte_for_byte() -> None:
    world = await make()
    await world.apply(documents.config_map(BACKLOG="2") | {"binaryData": {"logo": BYTES}})
    await world.add(documents.profile("checkout", documents.plain(**TAKE)), backlog=2)
    assert await tried(world, "backlog=3") is TrialState.ACCEPTED
    ref = Ref(CONFIG_MAP, world.namespace, "app-config")
    body = await world.outside.get(ref)
    assert (body["data"], body["binaryData"]) == ({"BACKLOG": "3"}, {"logo": BYTES})
    await world.delete()
    await world.turns(30)
    body = await world.outside.get(ref)
    assert (body["data"], body["binaryData"]) == ({"BACKLOG": "2"}, {"logo": BYTES})


@pytest.mark.parametrize(
    "knob", [documents.plain(initial=2, **TAKE), documents.path(initial=2, key="BACKLOG", **TAKE)], ids=["key", "path"]
)
@pytest.mark.parametrize("data", [{}, {"data": {"other": "1"}}], ids=["alone", "beside text"])
async def test_a_value_that_stands_among_what_is_no_text_is_unreadable_and_stays(knob: Object, data: Object) -> None:
    """The server takes no key twice: a write of ours would be refused for ever, whatever `initial` says."""
    world = await make()
    whole = (
        {k: v for k, v in documents.config_map().items() if k != "data"} | data | {"binaryData": {"BACKLOG": "Mg=="}}
    )
    await world.apply(whole)
    await world.add(documents.profile("checkout", documents.hot(), knob), workers=2)
    await world.turns(5)
    assert "app-config holds BACKLOG in binaryData: move it to data" in " ".join(await world.condition("Conflict"))
    body = await world.outside.get(Ref(CONFIG_MAP, world.namespace, "app-config"))
    assert body.get("data") == data.get("data") and body["binaryData"] == {"BACKLOG": "Mg=="}
    assert not world.reconciler.memories[f"{world.namespace}/checkout"].conflicts


async def test_a_key_that_is_not_there_is_not_made_up_from_initial() -> None:
    world = await make()
    await world.apply(documents.config_map(other="1"))
    knob = documents.plain(initial=2, **TAKE)
    await world.add(documents.profile("checkout", documents.hot(), knob), workers=2, backlog=2)
    await world.turns(5)
    assert "app-config has no key BACKLOG: write it with the value in force" in " ".join(
        await world.condition("Conflict")
    )
    assert (await world.condition("Degraded"))[0] != "True"
    assert (await world.outside.get(Ref(CONFIG_MAP, world.namespace, "app-config")))["data"] == {"other": "1"}
    await world.apply(documents.config_map(other="1", BACKLOG="2"))
    assert await tried(world, "backlog=3") is TrialState.ACCEPTED


async def test_what_is_no_text_in_our_own_object_stays() -> None:
    world = await make()
    await world.add(documents.profile("checkout"), workers=2)
    await world.steady()
    own = await world.own()
    ref = Ref(CONFIG_MAP, world.namespace, own["metadata"]["name"])
    await world.outside.json_patch(ref, [{"op": "add", "path": "/binaryData", "value": {"logo": BYTES}}])
    assert await tried(world, "workers=3") is TrialState.ACCEPTED
    assert (await world.own())["binaryData"] == {"logo": BYTES}
    assert await world.values() == {"workers": "3"}


async def test_two_keys_of_one_config_map_tried_one_after_the_other_both_stay() -> None:
    """An apply releases what it leaves out: writing the second key alone would remove the first."""
    world = await make()
    await world.apply(documents.config_map())
    knobs = documents.path(**TAKE), documents.plain(**TAKE)
    await world.add(documents.profile("checkout", documents.hot(), *knobs), workers=2, cache=2, backlog=2)
    assert await tried(world, "cache=3") is TrialState.ACCEPTED
    assert await tried(world, "backlog=3") is TrialState.ACCEPTED
    assert await world.theirs("BACKLOG") == "3\n"
    assert await world.theirs() == documents.APP.replace("size: 2 ", "size: 3 ")


async def test_taking_one_knob_and_owning_another_nobody_holds_is_one_write() -> None:
    """Consent is per knob: the key that nobody holds must not make the taken one a conflict for ever."""
    world = await make()
    await world.apply(documents.config_map(**{"app.yaml": documents.APP}))
    ref = Ref(CONFIG_MAP, world.namespace, "app-config")
    await world.outside.json_patch(ref, [{"op": "add", "path": "/data/BACKLOG", "value": "2"}])
    await world.outside.json_patch(ref, [{"op": "add", "path": "/metadata/managedFields", "value": _only_yaml(world)}])
    knobs = documents.path(**TAKE), documents.plain()
    await world.add(documents.profile("checkout", *knobs), cache=2, backlog=2)
    assert await tried(world, "cache=3,backlog=3") is TrialState.ACCEPTED


def _only_yaml(world: World) -> list[object]:
    fields: dict[str, object] = {"f:data": {"f:app.yaml": {}}}
    entry = {"manager": "kubelet", "operation": "Apply", "apiVersion": "v1", "time": "2026-01-05T12:00:00Z"}
    return [entry | {"fieldsType": "FieldsV1", "fieldsV1": fields}]


async def test_without_consent_a_value_of_others_is_recommended_and_the_condition_names_its_owner() -> None:
    world = await make()
    await world.apply(documents.config_map())
    await world.add(documents.profile("checkout", documents.hot(), documents.path()), workers=2, cache=2)
    await world.steady()
    await world.annotate("try", "cache=3")
    await world.turn()
    assert "RequestRefused" in world.events.reasons()
    assert await world.theirs() == documents.APP
    status, reason, message = await world.condition("Conflict")
    assert (status, reason) == ("True", "OwnedByOther") and "kubelet" in message and "cache" in message


async def test_an_hpa_from_the_template_is_created_changed_and_put_back() -> None:
    world = await make()
    create = {"minReplicas": 2, "maxReplicas": 3, "cpuUtilization": 60}
    knob = {"name": "max_replicas", "min": 1, "max": 8}
    body = documents.profile("checkout", documents.hot(), knob, autoscaler={"create": create})
    await world.add(body, workers=2)
    await world.steady()
    made = await world.outside.get(Ref(HPA, world.namespace, "checkout-pegbox"))
    assert (made["spec"]["minReplicas"], made["spec"]["maxReplicas"]) == (2, 3)
    await world.annotate("try", "workers=4,max_replicas=4")
    await world.turn()
    assert await world.bounds("checkout-pegbox") == (2, 4)
    await world.rest()
    after = await world.outside.get(Ref(HPA, world.namespace, "checkout-pegbox"))
    assert after["spec"] == made["spec"]
    assert after["metadata"]["ownerReferences"] == made["metadata"]["ownerReferences"] != []


async def test_the_hpa_of_a_profile_that_keeps_outlives_it() -> None:
    world = await make()
    create = {"minReplicas": 2, "maxReplicas": 3, "cpuUtilization": 60}
    await world.add(documents.profile(autoscaler={"create": create}, deletionPolicy="Keep"), workers=2)
    await world.steady()
    await world.annotate("try", "workers=3")
    await world.turn()
    await world.rest()
    made = await world.outside.get(Ref(HPA, world.namespace, "checkout-pegbox"))
    assert not made["metadata"].get("ownerReferences")


@pytest.mark.parametrize("take", [True, False], ids=["taken", "not taken"])
async def test_the_bounds_of_an_existing_hpa_move_only_by_consent(take: bool) -> None:
    world = await make()
    await world.apply(documents.hpa())
    knob = {"name": "max_replicas", "min": 1, "max": 8} | (TAKE if take else {})
    body = documents.profile("checkout", documents.hot(), knob, autoscaler={"ref": {"name": "checkout"}})
    await world.add(body, workers=2)
    await world.steady()
    await world.annotate("try", "workers=3,max_replicas=6")
    await world.turn()
    await world.rest()
    assert await world.bounds() == ((2, 6) if take else (2, 4))
    await world.delete()
    await world.until(lambda: _gone(world))
    assert await world.bounds() == (2, 4)


async def _gone(world: World) -> bool:
    return await world.find(Ref(PROFILE, world.namespace, "checkout")) is None


async def test_replicas_move_by_scale_and_come_back() -> None:
    world = await make()
    knob = {"name": "replicas", "min": 1, "max": 8}
    target = documents.without_replicas(documents.deployment())
    await world.add(documents.profile("checkout", documents.hot(), knob), target, workers=2)
    assert await tried(world, "replicas=2") is TrialState.ACCEPTED
    assert ("json_patch", "Deployment", "scale") in written(world.pegbox)
    assert await tried(world, "workers=4,replicas=3") is TrialState.REVERTED
    body = await world.outside.get(Ref(DEPLOYMENT, world.namespace, "checkout"))
    assert body["spec"]["replicas"] == 2


async def test_env_comes_into_force_by_evicting_one_pod_at_a_time() -> None:
    world = await make()
    await world.add(documents.profile("checkout", documents.hot(), documents.env()), workers=2, threads=2)
    await world.steady()
    before = {pod["metadata"]["uid"] for pod in await world.apps["checkout"].pods.pods()}
    await world.annotate("try", "threads=3")
    left = []
    for _ in range(8):
        await world.turn()
        now = {pod["metadata"]["uid"] for pod in await world.apps["checkout"].pods.pods()}
        left.append(len(now & before))
    assert left == sorted(left, reverse=True) and set(left) == {2, 1, 0}
    assert written(world.pegbox).count(("evict", "Pod", "eviction")) == 2
    assert (await world.own())["data"]["THREADS"] == "3"


@pytest.mark.parametrize("why", ["a budget forbids evictions", "there is only one pod"])
async def test_where_nothing_may_be_evicted_a_rollout_restarts(why: str) -> None:
    world = await make()
    replicas = 2
    if why == "a budget forbids evictions":
        await world.apply(documents.pdb())
    else:
        replicas = 1
    target = documents.deployment(replicas=replicas)
    await world.add(documents.profile("checkout", documents.hot(), documents.env()), target, workers=2, threads=2)
    assert await tried(world, "threads=3") is TrialState.ACCEPTED
    body = await world.outside.get(Ref(DEPLOYMENT, world.namespace, "checkout"))
    assert "pegbox.dev/restarted-for" in body["spec"]["template"]["metadata"]["annotations"]
    assert written(world.pegbox).count(("apply", "Deployment", "")) == 1
    assert ("evict", "Pod", "eviction") not in written(world.pegbox)


async def test_on_the_way_back_pods_that_the_trial_made_sick_are_restarted_although_nothing_is_healthy() -> None:
    """They run, crash nothing and are not ready: waiting for health first would wait for ever."""
    world = await make()
    app = await world.add(documents.profile("checkout", documents.hot(), documents.env()), workers=2, threads=2)
    await world.steady()
    await world.annotate("try", "threads=3")
    await world.turns(4)
    for pod in await app.pods.pods():
        status = pod["status"] | {"conditions": [{"type": "Ready", "status": "False"}]}
        ref = Ref(POD, world.namespace, pod["metadata"]["name"])
        await world.outside.json_patch(
            ref, [{"op": "replace", "path": "/status", "value": status}], subresource="status"
        )
    evicted = written(world.pegbox).count(("evict", "Pod", "eviction"))
    await world.annotate("rollback")
    ledger = await world.rest()
    assert ledger.incumbent is not None and ledger.incumbent.number("threads") == 2
    assert written(world.pegbox).count(("evict", "Pod", "eviction")) == evicted + 2


async def test_self_heal_that_puts_the_parent_back_at_once_is_not_fought() -> None:
    """A second write would only start a war: their revert ends the trial before it was read back even once."""
    world = await make()
    await world.apply(documents.config_map())
    knobs = documents.hot(), documents.plain(**TAKE)
    await world.add(documents.profile("checkout", *knobs), workers=2, backlog=2)
    await world.steady()
    await world.annotate("try", "backlog=3")
    await world.turn()
    assert (await world.theirs("BACKLOG")).strip() == "3"
    written = 0
    for _ in range(10):
        if (await world.theirs("BACKLOG")).strip() == "3":
            written += 1
            await world.apply(documents.config_map())  # with force, as self-heal does
        await world.turn()
    assert written == 1
    ledger = await world.rest()
    assert [(t.state.value, t.reason.value) for t in ledger.trials] == [("Inconclusive", "ForeignChange")]
    assert (await world.theirs("BACKLOG")).strip() == "2"
