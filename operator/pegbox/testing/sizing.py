"""Resizing a pod as the API server does it: which changes pass `pods/resize`, and which are refused.

Source of the rules: ValidatePodResize of Kubernetes 1.36 (pkg/apis/core/validation), held to it by the suites.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pegbox.adapters.kube import resources
from pegbox.core.sizing import quality
from pegbox.model.errors import Refused
from pegbox.model.knobs import ResourceName, Side
from pegbox.model.snapshot import ContainerSizes
from pegbox.ports import Object, Ref

_NAMES = tuple(each.value for each in ResourceName)


def default(pod: Object) -> None:
    """A request that is not stated is the limit."""
    for each in pod.get("spec", {}).get("containers") or ():
        stated = each.get("resources") or {}
        limits = {n: t for n, t in (stated.get(Side.LIMITS.value) or {}).items() if n in _NAMES}
        if limits:
            each["resources"] = stated | {Side.REQUESTS.value: limits | (stated.get(Side.REQUESTS.value) or {})}


def resize(ref: Ref, pod: Object, wanted: Mapping[str, Any]) -> None:
    """Take the containers' resources over, and nothing else. Raises Refused (422)."""
    before = copy.deepcopy(pod)
    for mine in pod["spec"]["containers"]:
        theirs = resources.container(wanted, mine["name"])
        if theirs is None:
            raise Refused(f"{ref}: spec.containers: containers may not be renamed or removed", status=422)
        if "resources" in theirs:
            mine["resources"] = copy.deepcopy(theirs["resources"])
        _check(ref, pod, resources.container(before, mine["name"]) or {}, mine)
    if quality(_sizes(pod)) != quality(_sizes(before)):
        raise Refused(f"{ref}: spec: Pod QOS Class may not change as a result of resizing", status=422)


def _check(ref: Ref, pod: Object, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    old, new = resources.sizes_of(before), resources.sizes_of(after)
    if old == new:
        return
    if set(old) - set(new):
        raise Refused(f"{ref}: spec.containers[].resources: resources cannot be removed", status=422)
    for size, value in new.items():
        limit = next((v for s, v in new.items() if s.side is Side.LIMITS and s.resource is size.resource), value)
        if size.side is Side.REQUESTS and value > limit:
            raise Refused(f"{ref}: spec.containers[].resources.requests: must be at most the limit", status=422)
    status = resources.running(pod, after["name"])
    if status is not None and not status.get("resources"):
        raise Refused(f"{ref}: spec: Pod running on node without support for resize", status=422)


def refuse_outside_of_resize(ref: Ref, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """A pod's resources change by the subresource only. Raises Refused (422)."""
    if _sizes(before) != _sizes(after):
        raise Refused(f"{ref}: spec: pod updates may not change fields other than the image", status=422)


def by_value(spec: Object) -> Object:
    """A pod's spec with its sizes as numbers: 500m and 500e-3 are one."""
    containers = [c | {"resources": resources.sizes_of(c)} for c in spec.get("containers") or ()]
    return spec | {"containers": containers}


def _sizes(pod: Mapping[str, Any]) -> tuple[ContainerSizes, ...]:
    found = pod.get("spec", {}).get("containers") or ()
    return tuple(ContainerSizes(str(c["name"]), resources.sizes_of(c)) for c in found)
