"""Requests and limits of containers, in templates and in pods, and the patch that resizes a running pod. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from pegbox.adapters.kube.patches import unmoved
from pegbox.model import units
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import ResourceName, Side, Size
from pegbox.model.snapshot import ContainerSizes
from pegbox.ports import Object

DEFAULT_CONTAINER_ANNOTATION = "kubectl.kubernetes.io/default-container"
SIZES = tuple(Size(side, resource) for side in Side for resource in ResourceName)
RESTART_CONTAINER = "RestartContainer"


def container_name(pod: Mapping[str, Any], wanted: str = "") -> str:
    """The tuned container of a pod or a template: the one named, else the annotated, else the first; "" without any."""
    annotated = (pod.get("metadata", {}).get("annotations") or {}).get(DEFAULT_CONTAINER_ANNOTATION)
    containers = pod.get("spec", {}).get("containers") or ()
    return str(wanted or annotated or (containers[0]["name"] if containers else ""))


def container(pod: Mapping[str, Any], name: str) -> Object | None:
    """One container of a pod or a template."""
    return next((c for c in pod.get("spec", {}).get("containers") or () if c.get("name") == name), None)


def text_of(container: Mapping[str, Any], size: Size) -> str | None:
    """A size as it is written. An absent request is what the server makes of it: the limit."""
    resources = container.get("resources") or {}
    for side in (size.side, Side.LIMITS):
        text = (resources.get(side.value) or {}).get(size.resource.value)
        if text is not None:
            return str(text)
    return None


def states(container: Mapping[str, Any], size: Size) -> bool:
    """Is the size itself written there?"""
    return size.resource.value in ((container.get("resources") or {}).get(size.side.value) or {})


def sizes_of(container: Mapping[str, Any]) -> dict[Size, Fraction]:
    """All sizes that are stated; a quantity that nobody can read counts as absent."""
    found = {}
    for size in SIZES:
        text = text_of(container, size)
        try:
            if text is not None:
                found[size] = units.parse_quantity(text, str(size))
        except InvalidInput:
            continue
    return found


def template_sizes(target: Object | None, wanted: str) -> tuple[ContainerSizes, ...]:
    """Every container of a workload's template, init containers too: all of them make the class of service."""
    template = (target or {}).get("spec", {}).get("template", {})
    name, spec = container_name(template, wanted), template.get("spec", {})
    regular = [ContainerSizes(str(c["name"]), sizes_of(c), c["name"] == name) for c in spec.get("containers") or ()]
    return (*regular, *map(_init, spec.get("initContainers") or ()))


def _init(body: Mapping[str, Any]) -> ContainerSizes:
    sidecar = body.get("restartPolicy") == "Always"
    return ContainerSizes(str(body["name"]), sizes_of(body), init=not sidecar, sidecar=sidecar)


def restarts(container: Mapping[str, Any], resource: ResourceName) -> bool:
    """Does the container ask to be restarted when this resource is resized?"""
    policies = container.get("resizePolicy") or ()
    return any(
        p.get("resourceName") == resource.value and p.get("restartPolicy") == RESTART_CONTAINER for p in policies
    )


def running(pod: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The status of a container that runs, else None."""
    status = _status(pod, name)
    return status if (status.get("state") or {}).get("running") else None


def has_run(pod: Mapping[str, Any], name: str) -> bool:
    """Does a container run, or has it before? Between two crashes a server takes a resize without asking the kubelet,
    and the next start is of that size."""
    status = _status(pod, name)
    state, last = status.get("state") or {}, status.get("lastState") or {}
    looping = (state.get("waiting") or {}).get("reason") == "CrashLoopBackOff"
    return bool(state.get("running") or looping or state.get("terminated") or last.get("terminated"))


def _status(pod: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    return next((s for s in statuses if s.get("name") == name), {})


def resizing(pod: Mapping[str, Any]) -> str:
    """Why the kubelet has not made a pod what its spec asks for: "" when nothing is said to be under way."""
    status = pod.get("status", {})
    for each in status.get("conditions") or ():
        if each.get("status") == "True" and each.get("type") == "PodResizePending":
            return f"{each.get('reason', 'Pending')}: {each.get('message', '')}".rstrip(": ")
        if each.get("status") == "True" and each.get("type") == "PodResizeInProgress":
            return "InProgress"
    seen, newest = status.get("observedGeneration"), pod.get("metadata", {}).get("generation")
    if seen is not None and newest is not None and int(seen) < int(newest):
        return "NotSeen"
    return ""


def resize(pod: Object, name: str, texts: Mapping[Size, str]) -> list[Object]:
    """The JSON patch of `pods/resize`: all sizes at once, so that requests never stand above limits in between.

    It holds for the pod as it was read and for no other: uid, resourceVersion and the container's name are tested.
    """
    containers = pod["spec"]["containers"]
    at = next(index for index, each in enumerate(containers) if each["name"] == name)
    root = f"/spec/containers/{at}"
    operations: list[Object] = [
        *unmoved(pod),
        {"op": "test", "path": f"{root}/name", "value": name},
    ]
    for size, text in texts.items():
        path = f"{root}/resources/{size.side.value}/{size.resource.value}"
        operations.append({"op": "replace", "path": path, "value": text})
    return operations


def restated(pod: Object, name: str, size: Size, text: str) -> list[Object]:
    """The JSON patch of `pods/resize` that writes one size in another form. The value has to stand as it was read; what
    else of the pod moved meanwhile, such as its status, does not matter."""
    containers = pod["spec"]["containers"]
    root = f"/spec/containers/{next(index for index, each in enumerate(containers) if each['name'] == name)}"
    path = f"{root}/resources/{size.side.value}/{size.resource.value}"
    stated = container(pod, name) or {}
    return [
        {"op": "test", "path": "/metadata/uid", "value": pod["metadata"]["uid"]},
        {"op": "test", "path": f"{root}/name", "value": name},
        {"op": "test", "path": path, "value": stated["resources"][size.side.value][size.resource.value]},
        {"op": "replace", "path": path, "value": text},
    ]


def forms(text: str, size: Size) -> tuple[str, ...]:
    """The texts to write one after the other so that a pod moves, and says what it said: with an exponent and without.
    What has an exponent already was left by one who was killed in between; once without it is enough."""
    value = units.parse_quantity(text, str(size))
    if not units.has_exponent(text):
        return units.with_exponent(value), text
    return (units.format_cpu(value) if size.resource is ResourceName.CPU else units.format_bytes(value),)


def utilization_metric(hpas: Iterable[Object], resource: ResourceName, name: str) -> str:
    """Which HPA scales on the utilisation of this resource, in words; "" where none does."""
    for hpa in hpas:
        for metric in hpa.get("spec", {}).get("metrics") or ():
            source = metric.get("containerResource") or metric.get("resource") or {}
            same = source.get("name") == resource.value and source.get("container", name) == name
            if same and (source.get("target") or {}).get("type") == "Utilization":
                share = source["target"].get("averageUtilization")
                return f"HPA {hpa['metadata']['name']} keeps the utilisation of {resource.value} at {share} %"
    return ""
