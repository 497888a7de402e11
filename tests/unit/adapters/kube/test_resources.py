"""Requests and limits as objects state them, what a kubelet says of a resize, and the patch that asks for one."""

from __future__ import annotations

from fractions import Fraction as F
from typing import Any

import jsonpatch
import pytest

from pegbox.adapters.kube import resources
from pegbox.model import units
from pegbox.model.knobs import ResourceName, Side, Size
from pegbox.ports import Object

CPU_R, CPU_L = (Size(side, ResourceName.CPU) for side in (Side.REQUESTS, Side.LIMITS))
MEM_R, MEM_L = (Size(side, ResourceName.MEMORY) for side in (Side.REQUESTS, Side.LIMITS))


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({"requests": {"cpu": "0.5"}}, {CPU_R: F(1, 2)}, id="a request alone"),
        pytest.param({"limits": {"cpu": "2"}}, {CPU_R: F(2), CPU_L: F(2)}, id="an absent request is the limit"),
        pytest.param(
            {"requests": {"memory": "64Mi"}, "limits": {"memory": "1G"}},
            {MEM_R: F(64 * 2**20), MEM_L: F(10**9)}, id="binary and decimal units",
        ),
        pytest.param({"requests": {"cpu": "half"}}, {}, id="what nobody can read is absent"),
        pytest.param({"limits": {"nvidia.com/gpu": "1"}}, {}, id="other resources are no sizes"),
    ],
)  # fmt: skip
def test_sizes_of_a_container(stated: Object, expected: dict[Size, F]) -> None:
    assert resources.sizes_of({"name": "app", "resources": stated}) == expected


def test_the_text_is_kept_as_it_was_written() -> None:
    assert resources.text_of({"resources": {"requests": {"cpu": "0.50"}}}, CPU_R) == "0.50"
    assert resources.text_of({"resources": {"limits": {"cpu": "1.5"}}}, CPU_R) == "1.5"
    assert resources.text_of({"resources": {"requests": {"cpu": "1"}}}, CPU_L) is None


@pytest.mark.parametrize(
    ("wanted", "notes", "expected"),
    [("side", {}, "side"), ("", {resources.DEFAULT_CONTAINER_ANNOTATION: "app"}, "app"), ("", {}, "side")],
    ids=["the profile's", "the annotated", "the first"],
)
def test_which_container_is_tuned(wanted: str, notes: dict[str, str], expected: str) -> None:
    body = {"metadata": {"annotations": notes}, "spec": {"containers": [{"name": "side"}, {"name": "app"}]}}
    assert resources.container_name(body, wanted) == expected


def condition(kind: str, reason: str = "", status: str = "True") -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": "not enough cpu"}


@pytest.mark.parametrize(
    ("status", "generation", "expected"),
    [
        pytest.param({}, None, "", id="nothing is said"),
        pytest.param({"conditions": [condition("Ready")]}, 2, "", id="other conditions"),
        pytest.param(
            {"conditions": [condition("PodResizePending", "Deferred")]}, 2, "Deferred: not enough cpu", id="deferred",
        ),
        pytest.param(
            {"conditions": [condition("PodResizePending", "Infeasible")]}, 2, "Infeasible: not enough cpu", id="never",
        ),
        pytest.param({"conditions": [condition("PodResizePending", status="False")]}, 2, "", id="no longer"),
        pytest.param({"conditions": [condition("PodResizeInProgress")]}, 2, "InProgress", id="under way"),
        pytest.param({"observedGeneration": 1}, 2, "NotSeen", id="the kubelet has not seen the newest spec"),
        pytest.param({"observedGeneration": 2}, 2, "", id="it has"),
    ],
)  # fmt: skip
def test_what_a_kubelet_says(status: Object, generation: int | None, expected: str) -> None:
    metadata = {} if generation is None else {"generation": generation}
    assert resources.resizing({"metadata": metadata, "status": status}) == expected


POD: Object = {
    "metadata": {"name": "web-0", "uid": "u1", "resourceVersion": "7"},
    "spec": {
        "containers": [
            {"name": "side", "resources": {"requests": {"cpu": "10m"}}},
            {"name": "app", "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "1"}}},
        ]
    },
}


def test_the_patch_changes_one_container_of_one_version_of_one_pod() -> None:
    patch = resources.resize(POD, "app", {CPU_R: "750m", CPU_L: "2"})
    after = jsonpatch.apply_patch(POD, patch)
    assert after["spec"]["containers"][1]["resources"] == {"requests": {"cpu": "750m"}, "limits": {"cpu": "2"}}
    assert after["spec"]["containers"][0] == POD["spec"]["containers"][0]


@pytest.mark.parametrize(
    "moved",
    [
        POD | {"metadata": POD["metadata"] | {"uid": "u2"}},
        POD | {"metadata": POD["metadata"] | {"resourceVersion": "8"}},
        POD | {"spec": {"containers": POD["spec"]["containers"][::-1]}},
    ],
    ids=["recreated", "changed meanwhile", "containers in another order"],
)
def test_the_patch_fails_on_any_other(moved: Object) -> None:
    patch = resources.resize(POD, "app", {CPU_R: "750m"})
    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        jsonpatch.apply_patch(moved, patch)


def hpa(*metrics: Any) -> Object:
    return {"metadata": {"name": "web"}, "spec": {"metrics": list(metrics)}}


UTILIZATION = {"type": "Utilization", "averageUtilization": 70}


@pytest.mark.parametrize(
    ("metric", "found"),
    [
        pytest.param({"resource": {"name": "cpu", "target": UTILIZATION}}, True, id="of the pods"),
        pytest.param({"resource": {"name": "memory", "target": UTILIZATION}}, False, id="of another resource"),
        pytest.param({"resource": {"name": "cpu", "target": {"type": "AverageValue"}}}, False, id="a value, no share"),
        pytest.param(
            {"containerResource": {"name": "cpu", "container": "app", "target": UTILIZATION}}, True, id="this container's",
        ),
        pytest.param(
            {"containerResource": {"name": "cpu", "container": "side", "target": UTILIZATION}}, False, id="another one's",
        ),
        pytest.param({"external": {"metric": {"name": "queue"}, "target": UTILIZATION}}, False, id="an outside metric"),
    ],
)  # fmt: skip
def test_an_hpa_on_utilisation(metric: Object, found: bool) -> None:
    said = resources.utilization_metric([hpa(metric)], ResourceName.CPU, "app")
    assert bool(said) is found
    assert not found or said == "HPA web keeps the utilisation of cpu at 70 %"


@pytest.mark.parametrize(
    ("text", "size", "forms"),
    [
        pytest.param("500m", CPU_R, ("500e-3", "500m"), id="millicores"),
        pytest.param("1", CPU_L, ("1e0", "1"), id="whole cores"),
        pytest.param("64Mi", MEM_R, ("67108864e0", "64Mi"), id="binary units"),
        pytest.param("1G", MEM_L, ("1000000000e0", "1G"), id="decimal units"),
        pytest.param("500e-3", CPU_R, ("500m",), id="what one who was killed left is put back"),
        pytest.param("1E9", MEM_L, ("1000000000",), id="an exponent of its owner is one move, too"),
    ],
)
def test_the_forms_of_a_size_are_equal_and_end_as_they_were(text: str, size: Size, forms: tuple[str, ...]) -> None:
    assert resources.forms(text, size) == forms
    assert len({units.parse_quantity(each) for each in (text, *forms)}) == 1


def test_a_size_is_restated_for_this_pod_and_this_value_only() -> None:
    pod = {
        "metadata": {"uid": "u", "resourceVersion": "7"},
        "spec": {"containers": [{"name": "proxy"}, {"name": "app", "resources": {"requests": {"cpu": "500m"}}}]},
    }
    patch = jsonpatch.JsonPatch(resources.restated(pod, "app", CPU_R, "500e-3"))
    after = patch.apply(pod | {"metadata": {"uid": "u", "resourceVersion": "9"}})  # its status moved: no matter
    assert after["spec"]["containers"][1]["resources"] == {"requests": {"cpu": "500e-3"}}
    resized = jsonpatch.apply_patch(pod, [{"op": "replace", "path": f"{AT}/requests/cpu", "value": "1"}])
    for other in (pod | {"metadata": {"uid": "another"}}, resized):
        with pytest.raises(jsonpatch.JsonPatchTestFailed):
            patch.apply(other)


AT = "/spec/containers/1/resources"
