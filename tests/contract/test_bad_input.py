"""Bad input on a real API server: where each is refused, with what words, and that nothing is lost by it.

What the server refuses never reaches the operator. What only the operator can see is the condition Accepted (or
Conflict, or Degraded) of the profile, with the field, what is wrong and what to do. What is not here needs no API
server and stands in tests/unit: CRDs that are not installed, metrics in every state, settings files that are torn
on the application's side.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dev.cluster.control import ControlPlane
from pegbox.model.errors import PegboxError
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.ports import CLASS, CONFIG_MAP, DEPLOYMENT, HPA, Object, Ref
from tests.contract.conftest import Connect
from tests.loop import documents
from tests.loop.world import World

TAKE = {"conflictPolicy": "Take"}


def _knob(**fields: Any) -> Object:
    return documents.profile("checkout", {"name": "workers", **fields})


def _budget(**fields: Any) -> Object:
    return documents.profile(budgets=[{"name": "postgres", **fields}])


SERVER: dict[str, tuple[Object, str]] = {
    "unknown field": (documents.profile(speed="fast"), "speed"),
    "unknown field of a knob": (_knob(minimum=3), "minimum"),
    "min above max": (_knob(min=9, max=3), "must not be greater than max: raise max or lower min"),
    "knob twice": (documents.profile("checkout", documents.hot(), documents.hot()), "workers"),
    "pinned and bounded": (_knob(value=3, max=4), "pins the knob: remove min, max"),
    "budget with a minus": (_budget(uses="workers - pods", limit=9), "may hold only + * ( )"),
    "budget with a division": (_budget(uses="9 / workers", limit=9), "may hold only + * ( )"),
    "budget without a limit": (_budget(uses="workers"), "needs exactly one of limit and budgetRef"),
    "autoscaler created and referred to": (
        documents.profile(autoscaler={"create": {"minReplicas": 1, "maxReplicas": 2}, "ref": {"name": "x"}}),
        "needs exactly one of create and ref",
    ),
    "a mode that does not exist": (documents.profile(mode="Automatic"), "Automatic"),
    "reserve above capacity": (documents.budget(capacity=1, reserve=2), "must not be greater than capacity"),
}


@pytest.mark.parametrize(("body", "words"), SERVER.values(), ids=SERVER)
async def test_the_server_refuses_it_and_the_message_names_field_and_remedy(
    shop: World, body: Object, words: str
) -> None:
    with pytest.raises(PegboxError) as refused:
        await shop.apply(body)
    assert words in str(refused.value), refused.value


@pytest.mark.parametrize("change", ["min above max", "budget with a minus"])
async def test_a_refused_edit_leaves_profile_and_setting_as_they_were(shop: World, change: str) -> None:
    await shop.add(documents.profile(), workers=2)
    await shop.rest()
    before, document = (await shop.profile())["spec"], await shop.document()
    with pytest.raises(PegboxError):
        await shop.apply(SERVER[change][0])
    await shop.turns(2)
    assert (await shop.profile())["spec"] == before
    assert await shop.document() == document


CONDITIONS: dict[str, tuple[Object, str, str]] = {
    "budget that no setting meets": (_budget(uses="pods * workers", limit=0), "BudgetUnsatisfiable", "raise the limit"),
    "budget with an unknown knob": (_budget(uses="pods * wrokers", limit=9), "InvalidSpec", "workers"),
    "knob that the class has not": (documents.profile("checkout", {"name": "wokers"}), "InvalidSpec", "workers"),
    "bounds wider than the class": (_knob(max=65), "InvalidSpec", "a profile narrows limits"),
    "min above max as quantities": (
        documents.profile("checkout", {"name": "cpu_request", "min": "2500m", "max": "2"}),
        "InvalidSpec",
        "raise max or lower min",
    ),
    "min above max as number and text": (_knob(min=9, max="3"), "InvalidSpec", "raise max or lower min"),
    "signal that the class has not": (
        documents.profile(slos=[{"name": "x", "signal": "durations", "threshold": "1s", "goal": "90%"}]),
        "InvalidSpec",
        "duration",
    ),
    "goal of 100 percent": (
        documents.profile(slos=[{"name": "x", "signal": "success", "goal": "100%"}]),
        "InvalidSpec",
        "less than 100%",
    ),
    "interval of a second": (documents.profile(interval="1s"), "InvalidSpec", "spec.interval"),
    "class that does not exist": (documents.profile(classRef={"name": "srevice"}), "ClassNotFound", "srevice"),
    "unknown baseline": (_knob(), "BaselineUnknown", "workers"),
    "path without a key": (
        documents.profile("checkout", {"name": "cache", "location": {"configMap": "app-config", "path": "a"}}),
        "InvalidSpec",
        "location.key",
    ),
}


@pytest.mark.parametrize(("body", "reason", "words"), CONDITIONS.values(), ids=CONDITIONS)
async def test_the_condition_accepted_names_field_and_remedy_and_nothing_is_written(
    shop: World, body: Object, reason: str, words: str
) -> None:
    await shop.add(body, workers=2)
    await shop.turns(2)
    status, said, message = await shop.condition("Accepted")
    assert (status, said) == ("False", reason), message
    assert words in message
    assert await shop.find(Ref(CONFIG_MAP, shop.namespace, "checkout-pegbox")) is None


@pytest.mark.parametrize("change", ["budget that no setting meets", "bounds wider than the class", "knob gone"])
async def test_an_edit_that_cannot_be_used_leaves_the_good_setting_and_mending_it_goes_on(
    shop: World, change: str
) -> None:
    good = documents.profile()
    bad = CONDITIONS["knob that the class has not" if change == "knob gone" else change][0]
    await shop.add(good, workers=2)
    await shop.steady()
    await shop.annotate("try", "workers=3")
    await shop.turn()
    await shop.rest()
    document, ledger = await shop.document(), await shop.ledger()
    await shop.apply(bad)
    await shop.turns(2)
    assert (await shop.condition("Accepted"))[0] == "False"
    assert await shop.document() == document and await shop.ledger() == ledger
    await shop.apply(good)
    assert (await shop.rest()).incumbent == (ledger.incumbent if ledger else None)
    assert (await shop.condition("Accepted"))[0] == "True"


async def test_a_missing_target_is_named(shop: World) -> None:
    await shop.apply(documents.profile())
    await shop.turns(1)
    status, reason, message = await shop.condition("Accepted")
    assert (status, reason) == ("False", "TargetNotFound") and "checkout" in message


async def test_a_target_recreated_in_mid_trial_is_adopted_afresh(shop: World) -> None:
    app = await shop.add(documents.profile(), workers=2)
    await shop.steady()
    await shop.annotate("try", "workers=3")
    await shop.turn()
    for pod in await app.pods.pods():
        await app.pods._end(pod)
    await shop.outside.delete(Ref(DEPLOYMENT, shop.namespace, "checkout"))
    await shop.turn_without_pods()
    assert (await shop.condition("Accepted"))[1] == "TargetNotFound"
    await shop.apply(documents.deployment())
    await shop.pods_step(app)
    ledger = await shop.rest()
    assert [t.state.value for t in ledger.trials] == ["Inconclusive"] and "TargetReplaced" in shop.events.reasons()
    assert await shop.values() == {"workers": "2"}
    body = await shop.outside.get(Ref(DEPLOYMENT, shop.namespace, "checkout"))
    assert ledger.target_uid == body["metadata"]["uid"]


async def test_of_two_profiles_writing_one_field_the_younger_is_refused(shop: World) -> None:
    await shop.add(documents.profile(), workers=2)
    await shop.rest()
    await shop.apply(documents.profile("second", target="checkout"))
    await shop.wake("second")
    await shop.turns(1)
    reasons = [(await shop.condition("Accepted", name))[1] for name in ("checkout", "second")]
    assert sorted(reasons) == ["Accepted", "TargetClaimedByOther"]  # created within one second, the uid decides
    assert await shop.values() == {"workers": "2"}


Prepare = Callable[[World], Awaitable[Object]]


async def _torn_yaml(shop: World) -> Object:
    await shop.apply(documents.config_map(**{"app.yaml": "cache: [1,\n"}))
    return documents.profile("checkout", documents.hot(), documents.path(initial=2, **TAKE))


async def _absent_path(shop: World) -> Object:
    await shop.apply(documents.config_map(**{"app.yaml": "other: 1\n"}))
    return documents.profile("checkout", documents.hot(), documents.path(initial=2, **TAKE))


async def _immutable(shop: World) -> Object:
    await shop.apply(documents.config_map() | {"immutable": True})
    return documents.profile("checkout", documents.hot(), documents.path(**TAKE))


async def _keda(shop: World) -> Object:
    body = documents.hpa()
    body["metadata"]["labels"] = {
        "scaledobject.keda.sh/name": "checkout",
        "app.kubernetes.io/managed-by": "keda-operator",
    }
    await shop.apply(body)
    knob = {"name": "max_replicas", "min": 1, "max": 8}
    return documents.profile(
        "checkout", documents.hot(), knob, autoscaler={"ref": {"name": "checkout"}}, conflictPolicy="Take"
    )


async def _sub_path(shop: World) -> Object:
    target = documents.deployment()
    target["spec"]["template"]["spec"]["containers"][0]["volumeMounts"][0] |= {"subPath": "settings.json"}
    await shop.apply(target)
    return documents.profile()


UNWRITABLE: dict[str, tuple[Prepare, str, str, str]] = {
    "a YAML text that does not parse": (_torn_yaml, "cache=3", "ConfigUnreadable", "cache"),
    "a path that is not there": (_absent_path, "cache=3", "ConfigUnreadable", "cache"),
    "an immutable ConfigMap": (_immutable, "cache=3", "ConfigImmutable", "app-config"),
    "an HPA of KEDA": (_keda, "max_replicas=5", "OwnedByKEDA", "ScaledObject"),
    "a volume by subPath": (_sub_path, "workers=3", "VolumeNotHot", "mount the directory"),
}


@pytest.mark.parametrize(("prepare", "wish", "reason", "words"), UNWRITABLE.values(), ids=UNWRITABLE)
async def test_a_place_that_cannot_be_written_is_said_and_left_alone(
    shop: World, prepare: Prepare, wish: str, reason: str, words: str
) -> None:
    body = await prepare(shop)
    app = await shop.add(body, await shop.find(Ref(DEPLOYMENT, shop.namespace, "checkout")) and _sub_path_target())
    app.service.values = {"workers": 2.0}
    await shop.turns(6)
    before = await _places(shop)
    await shop.annotate("try", wish)
    await shop.turns(4)
    assert await _places(shop) == before
    said = [await shop.condition(kind) for kind in ("Conflict", "Accepted", "Degraded")]
    assert any(reason == each[1] and words in each[2] for each in said), said


def _sub_path_target() -> Object:
    target = documents.deployment()
    target["spec"]["template"]["spec"]["containers"][0]["volumeMounts"][0] |= {"subPath": "settings.json"}
    return target


async def _places(shop: World) -> list[Any]:
    theirs = await shop.find(Ref(CONFIG_MAP, shop.namespace, "app-config"))
    hpa = await shop.find(Ref(HPA, shop.namespace, "checkout"))
    own = await shop.find(Ref(CONFIG_MAP, shop.namespace, "checkout-pegbox"))
    return [(theirs or {}).get("data"), (hpa or {}).get("spec"), (own or {}).get("data")]


@pytest.mark.parametrize(
    "reason",
    [Reason.METRICS_UNREACHABLE, Reason.NOT_A_NUMBER, Reason.PARTIAL_DATA, Reason.STALE_DATA, Reason.QUERY_INVALID],
    ids=["server down or slow", "NaN", "partial", "stale", "PromQL that does not parse"],
)
async def test_metrics_that_say_nothing_are_said_and_the_setting_stays(shop: World, reason: Reason) -> None:
    await shop.add(documents.profile(), workers=2)
    await shop.rest()
    document = await shop.document()
    shop.metrics.scenario = lambda query, at: Missing(reason, "duration: as the server said it")
    await shop.turns(3)
    status, said, message = await shop.condition("MetricsAvailable")
    assert status in ("False", "Unknown") and said == reason.value and "as the server said it" in message
    assert await shop.document() == document


async def test_a_class_deleted_while_in_use_changes_nothing_and_is_said(shop: World) -> None:
    body = documents.placed(documents.CLASS, "") | {"metadata": {"name": shop.namespace}}
    await shop.outside.apply(body)
    await shop.add(documents.profile(classRef={"name": shop.namespace}), workers=2)
    await shop.rest()
    document = await shop.document()
    await shop.outside.delete(Ref(CLASS, "", shop.namespace))
    await shop.turns(3)
    assert (await shop.condition("Accepted"))[:2] == ("False", "ClassNotFound")
    assert await shop.document() == document


@pytest.mark.parametrize("text", ["{", '{"version": 99}', ""], ids=["torn", "of a newer version", "empty"])
async def test_a_settings_document_that_cannot_be_read_is_written_again_with_what_was_in_force(
    shop: World, text: str
) -> None:
    await shop.add(documents.profile(), workers=2)
    await shop.steady()
    await shop.annotate("try", "workers=3")
    await shop.turn()
    before = await shop.rest()
    app = shop.apps.pop("checkout")  # its pods keep what they read last
    await shop.patch(Ref(CONFIG_MAP, shop.namespace, "checkout-pegbox"), "/data/settings.json", text)
    await shop.turns(2)
    assert await shop.values() == {"workers": "3"}
    shop.apps["checkout"] = app
    after = await shop.rest()
    assert after.generation > before.generation and after.incumbent == before.incumbent


async def test_without_rights_nothing_is_written_and_with_them_it_goes_on(
    shop: World, client: Connect, control_plane: ControlPlane
) -> None:
    kubeconfig: Path = control_plane.kubeconfig_for(f"system:serviceaccount:{shop.namespace}:nobody")
    nobody = World(
        await client("pegbox", kubeconfig), shop.outside, shop.clock, namespace=shop.namespace, metrics=shop.metrics
    )
    await shop.add(documents.profile(), workers=2)
    assert await nobody.wake() == -1.0
    assert "status" not in await shop.profile()
    await shop.rest()
    assert await shop.values() == {"workers": "2"}
