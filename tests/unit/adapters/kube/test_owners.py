"""Who holds a field, from managedFields as servers write them."""

import pytest

from pegbox.adapters.kube.owners import (
    MAX_REPLICAS,
    REPLICAS,
    Owner,
    Path,
    applied,
    container_field,
    data_key,
    entries_owning,
    give_back,
    keda,
    ours,
    owners,
    targets,
    vpa,
)
from pegbox.model.reasons import Reason
from pegbox.ports import Object


def body(*entries: Object) -> Object:
    return {"metadata": {"name": "web", "managedFields": list(entries)}}


def entry(manager: str, tree: Object, operation: str = "Apply", subresource: str = "") -> Object:
    made = {"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": tree}
    return made | ({"subresource": subresource} if subresource else {})


HELM_REPLICAS = entry("helm", {"f:spec": {"f:replicas": {}, "f:template": {}}})
SCALED = entry("kube-controller-manager", {"f:spec": {"f:replicas": {}}}, "Update", "scale")
OURS = entry("pegbox", {"f:spec": {"f:replicas": {}}})
ENV = {
    "f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"app"}': {
        ".": {}, "f:name": {}, "f:env": {'k:{"name":"W"}': {".": {}, "f:value": {}}},
    }}}}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("found", "path", "expected"),
    [
        pytest.param(body(HELM_REPLICAS), REPLICAS, ("helm",), id="the owner of the very field"),
        pytest.param(body(HELM_REPLICAS), MAX_REPLICAS, (), id="a field beside it is nobody's"),
        pytest.param(body(SCALED, HELM_REPLICAS), REPLICAS, ("helm", "kube-controller-manager"), id="a subresource"),
        pytest.param(body(OURS), REPLICAS, (), id="ours does not count"),
        pytest.param(body(OURS, HELM_REPLICAS), REPLICAS, ("helm",), id="co-owned"),
        pytest.param(body(), REPLICAS, (), id="no managedFields"),
        pytest.param(
            body(entry("kubectl", {"f:data": {"f:app.yaml": {}}})), data_key("app.yaml"), ("kubectl",),
            id="a key of a ConfigMap with a dot",
        ),
        pytest.param(
            body(entry("kubectl", {"f:data": {".": {}, "f:a": {}}})), data_key("b"), (),
            id="another key of the ConfigMap, though the map itself is owned",
        ),
        pytest.param(
            body(entry("helm", {"f:spec": {"f:metrics": {}}})), ("f:spec", "f:metrics", "f:x"), ("helm",),
            id="inside an atomic list",
        ),
        pytest.param(
            body(entry("helm", ENV)), container_field("app", "env"), ("helm",), id="a field whose parts are owned"
        ),
        pytest.param(
            body(entry("helm", ENV)), container_field("app", "resources", "requests", "cpu"), (),
            id="the container's other fields",
        ),
        pytest.param(body(entry("helm", ENV)), container_field("other"), (), id="another container"),
    ],
)  # fmt: skip
def test_owners_of_a_field_are_named(found: Object, path: Path, expected: tuple[str, ...]) -> None:
    assert owners(found, path) == expected


def test_entries_tell_apply_update_and_subresource_apart() -> None:
    own = entry("pegbox", {"f:spec": {"f:replicas": {}}}, "Update", "scale")
    assert entries_owning(body(own, OURS), REPLICAS) == (
        Owner("pegbox", "Update", "scale"),
        Owner("pegbox", "Apply"),
    )
    assert ours(body(own), REPLICAS) and not ours(body(HELM_REPLICAS), REPLICAS)


@pytest.mark.parametrize("missing", [{}, {"metadata": {}}, {"metadata": {"managedFields": None}}], ids=str)
def test_an_object_without_managed_fields_has_no_owners(missing: Object) -> None:
    assert owners(missing, REPLICAS) == ()


@pytest.mark.parametrize(
    "metadata",
    [
        {"name": "keda-hpa-web", "labels": {"scaledobject.keda.sh/name": "web"}},
        {"name": "h", "ownerReferences": [{"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "web"}]},
        {"name": "h", "labels": {"app.kubernetes.io/managed-by": "keda-operator"}},
    ],
    ids=["by label", "by owner", "by managed-by"],
)
def test_an_hpa_of_keda_is_recognised(metadata: Object) -> None:
    found = keda({"metadata": metadata}, MAX_REPLICAS)
    assert found is not None and found.reason is Reason.OWNED_BY_KEDA


def test_what_keda_and_a_vpa_hold_is_named_with_manager_and_field() -> None:
    scaler = entry("keda-operator", {"f:spec": {"f:maxReplicas": {}}}, "Update")
    hpa = {"metadata": {"name": "h", "labels": {"scaledobject.keda.sh/name": "web"}, "managedFields": [scaler]}}
    found = keda(hpa, MAX_REPLICAS)
    assert found is not None and "ScaledObject web; field manager keda-operator holds spec.maxReplicas" in found.detail
    tree = {"f:spec": {"f:containers": {'k:{"name":"app"}': {"f:resources": {"f:requests": {"f:cpu": {}}}}}}}
    updater = entry("vpa-updater", tree, "Update", "resize")
    meta = {"name": "web-1", "annotations": {"vpaInPlaceUpdated": "true"}, "managedFields": [updater]}
    sized = vpa([{"metadata": meta, "spec": {"containers": [{"name": "app"}, {"name": "sidecar"}]}}])
    assert sized is not None
    assert sized.detail.endswith("; field manager vpa-updater holds spec.containers.app.resources")


@pytest.mark.parametrize(
    "metadata",
    [
        {"name": "web", "labels": {"app.kubernetes.io/managed-by": "Helm"}},
        {"name": "web", "ownerReferences": [{"apiVersion": "pegbox.dev/v1alpha1", "kind": "X", "name": "web"}]},
        {"name": "web"},
    ],
    ids=["helm's", "ours", "nobody's"],
)
def test_another_hpa_is_not_kedas(metadata: Object) -> None:
    assert keda({"metadata": metadata}, MAX_REPLICAS) is None


def test_pods_that_a_vpa_sized_say_so() -> None:
    sized = {"metadata": {"name": "web-1", "annotations": {"vpaUpdates": "Pod resources updated"}}}
    found = vpa([{"metadata": {"name": "web-0"}}, sized])
    assert found is not None and found.reason is Reason.OWNED_BY_VPA and "web-1" in found.detail
    assert vpa([{"metadata": {"name": "web-0", "annotations": {"team": "a"}}}]) is None


def test_an_autoscaler_is_matched_to_its_target() -> None:
    hpa = {"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}}}
    scaled_object = {"spec": {"scaleTargetRef": {"name": "web"}}}  # kind defaults to Deployment
    sizer = {"spec": {"targetRef": {"kind": "StatefulSet", "name": "web"}}}
    assert targets(hpa, "Deployment", "web") and targets(scaled_object, "Deployment", "web")
    assert targets(sizer, "StatefulSet", "web") and not targets(sizer, "Deployment", "web")
    assert not targets(hpa, "Deployment", "api") and not targets({"spec": {}}, "Deployment", "web")


TEMPLATE = {"spec": {"containers": [
    {"name": "app", "image": "a:1", "env": [{"name": "W", "value": "4"}, {"name": "X", "value": "1"}]},
    {"name": "sidecar", "image": "b:1"},
]}}  # fmt: skip


def test_what_we_applied_is_stated_again_and_nothing_else() -> None:
    mine = {
        "f:spec": {
            "f:replicas": {},
            "f:template": {"f:spec": {"f:containers": {'k:{"name":"app"}': {
                ".": {}, "f:name": {}, "f:env": {'k:{"name":"W"}': {".": {}, "f:name": {}, "f:value": {}}},
            }}}},
        },
        "f:metadata": {"f:finalizers": {'v:"pegbox.dev/restore"': {}}, "f:annotations": {"f:note": {}}},
    }  # fmt: skip
    found = body(HELM_REPLICAS, entry("pegbox", mine))
    found |= {"spec": {"replicas": 5, "paused": True, "template": TEMPLATE}}
    found["metadata"] |= {"finalizers": ["other", "pegbox.dev/restore"], "annotations": {"note": "x", "theirs": "y"}}
    container = {"name": "app", "env": [{"name": "W", "value": "4"}]}
    assert applied(found) == {
        "spec": {"replicas": 5, "template": {"spec": {"containers": [container]}}},
        "metadata": {"finalizers": ["pegbox.dev/restore"], "annotations": {"note": "x"}},
    }


def test_of_an_object_that_we_only_updated_or_never_wrote_nothing_is_stated() -> None:
    updated = entry("pegbox", {"f:spec": {"f:replicas": {}}}, "Update")
    scaled = entry("pegbox", {"f:spec": {"f:replicas": {}}}, "Apply", "scale")
    assert applied(body(updated, scaled, HELM_REPLICAS) | {"spec": {"replicas": 5}}) == {}


def test_a_field_that_is_owned_but_gone_is_not_stated() -> None:
    assert applied(body(OURS) | {"spec": {}}) == {"spec": {}}


def test_giving_back_moves_one_field_and_leaves_the_rest_with_us() -> None:
    mine = entry("pegbox", {"f:data": {"f:a": {}, "f:b": {}}})
    found = body(entry("helm", {"f:data": {"f:c": {}}}), mine) | {"apiVersion": "v1"}
    found["metadata"] |= {"uid": "u", "resourceVersion": "7"}
    *tests, patch = give_back(found, data_key("a"), Owner("helm", "Apply"))
    assert [each["path"] for each in tests] == ["/metadata/uid", "/metadata/resourceVersion"]
    trees = {each["manager"]: each["fieldsV1"] for each in patch["value"]}
    assert trees == {"helm": {"f:data": {"f:c": {}, "f:a": {}}}, "pegbox": {"f:data": {"f:b": {}}}}
    assert found["metadata"]["managedFields"][1] == mine  # the object that was read stays as it was


def test_giving_back_the_last_field_leaves_no_entry_of_ours_and_makes_one_for_the_owner() -> None:
    found = body(OURS) | {"apiVersion": "apps/v1"}
    found["metadata"] |= {"uid": "u", "resourceVersion": "7"}
    patch = give_back(found, REPLICAS, Owner("kubectl", "Update"))[-1]
    [made] = patch["value"]
    assert (made["manager"], made["operation"], made["apiVersion"]) == ("kubectl", "Update", "apps/v1")
    assert made["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
