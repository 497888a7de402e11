"""What the shipped admission policy does to new pods, without its language: the suite holds it to the real server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pegbox.ports import ADMISSION_BINDING, ADMISSION_POLICY, POD_ENVIRONMENT, Object
from pegbox.testing.copying import copied
from pegbox.testing.store import Store


@dataclass
class Admission:
    """`behind` pods are still made of the environments of before (an informer that lags); with `failing` the policy is
    evaluated for none, which its failurePolicy lets pass.
    """

    store: Store
    behind: int = 0
    failing: bool = False
    _before: tuple[Object, ...] = ()

    def lag(self, pods: int) -> None:
        """The next pods are made of what stands now, whatever is written meanwhile."""
        self.behind, self._before = pods, tuple(self._now())

    def admitted(self, pod: Object) -> Object:
        """The pod as it is stored."""
        if self.failing or not self._installed():
            return pod
        parameters = self._before if self.behind else tuple(self._now())
        self.behind = max(0, self.behind - 1)
        out: Object = copied(pod)
        for each in parameters:
            if each["metadata"]["namespace"] == pod["metadata"]["namespace"] and _is_of(pod, each["spec"]["target"]):
                _put(out, each["spec"])
        return out

    def _now(self) -> Iterator[Object]:
        return (copied(entry.body) for entry in self.store.all(POD_ENVIRONMENT, ""))

    def _installed(self) -> bool:
        policies = {entry.ref.name for entry in self.store.all(ADMISSION_POLICY, "")}
        bound = (entry.body["spec"]["policyName"] for entry in self.store.all(ADMISSION_BINDING, ""))
        return any(name in policies for name in bound)


def _is_of(pod: Object, target: Object) -> bool:
    name = target["name"]
    if target["kind"] == "Deployment":
        name += "-" + (pod["metadata"].get("labels") or {}).get("pod-template-hash", "")
    kind = {"Deployment": "ReplicaSet"}.get(target["kind"], target["kind"])
    return any(
        owner.get("controller") and (owner["apiVersion"], owner["kind"], owner["name"]) == ("apps/v1", kind, name)
        for owner in pod["metadata"].get("ownerReferences") or ()
    )


def _put(pod: Object, spec: Object) -> None:
    for container in pod["spec"]["containers"]:
        if container["name"] != spec["container"]:
            continue
        stated = {each["name"]: each for each in container.get("env") or ()}
        for wanted in spec.get("env") or ():
            here = stated.get(wanted["name"])
            if here is None and "over" not in wanted:
                container.setdefault("env", []).append({"name": wanted["name"], "value": wanted["value"]})
            elif here is not None and "valueFrom" not in here and here.get("value", "") == wanted.get("over"):
                here["value"] = wanted["value"]
