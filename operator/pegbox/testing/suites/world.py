"""What a claim on ports.Cluster is given, and how claims are collected."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pegbox.model.errors import PegboxError
from pegbox.ports import BUDGET, CONFIG_MAP, DEPLOYMENT, HPA, LEDGER, PDB, POD, POD_ENVIRONMENT, Cluster, Object, Ref

_E = TypeVar("_E", bound=PegboxError)


@dataclass(frozen=True)
class ClusterWorld:
    """A cluster as `pegbox` sees it, other clients of the same server, and an empty namespace."""

    cluster: Cluster
    as_manager: Callable[[str], Cluster]
    namespace: str

    def config_map(self, name: str = "settings", **data: str) -> Object:
        return self._object("v1", "ConfigMap", name) | {"data": data}

    def hpa(self, name: str = "web", **spec: Any) -> Object:
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
        whole = {"scaleTargetRef": target} | spec if "maxReplicas" in spec else spec
        return self._object("autoscaling/v2", "HorizontalPodAutoscaler", name) | {"spec": whole}

    def deployment(self, name: str = "web", *, env: dict[str, str] | None = None, **spec: Any) -> Object:
        container: Object = {"name": "app", "image": "example.invalid/app:1"}
        if env:
            container["env"] = [{"name": key, "value": value} for key, value in env.items()]
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        whole = {"selector": {"matchLabels": labels}, "template": template} | spec
        return self._object("apps/v1", "Deployment", name) | {"spec": whole}

    def partial_deployment(self, name: str = "web", **spec: Any) -> Object:
        """Only what we want to say of somebody else's Deployment."""
        return self._object("apps/v1", "Deployment", name) | {"spec": spec}

    def pod(self, name: str, **labels: str) -> Object:
        body = self._object("v1", "Pod", name)
        body["metadata"]["labels"] = labels
        return body | {"spec": {"containers": [{"name": "app", "image": "example.invalid/app:1"}]}}

    def sized_pod(self, sides: dict[str, dict[str, str]], name: str = "web-0") -> Object:
        """A pod whose container states `requests` and `limits`."""
        body = self.pod(name, app="web")
        body["spec"]["containers"][0]["resources"] = sides
        return body

    def ledger(self, state: str) -> Object:
        data = {"schemaVersion": 1, "sha256": hashlib.sha256(state.encode()).hexdigest(), "state": state}
        return self._object(LEDGER.api_version, LEDGER.kind, "web") | {"data": data}

    def budget(self, capacity: int) -> Object:
        return self._object(BUDGET.api_version, BUDGET.kind, "postgres") | {"spec": {"capacity": capacity}}

    def pod_environment(self, name: str) -> Object:
        return self._object(POD_ENVIRONMENT.api_version, POD_ENVIRONMENT.kind, name)

    def ref(self, body: Object) -> Ref:
        kinds = {each.kind: each for each in (CONFIG_MAP, DEPLOYMENT, HPA, POD, PDB, LEDGER, BUDGET, POD_ENVIRONMENT)}
        return Ref(kinds[body["kind"]], self.namespace, body["metadata"]["name"])

    def _object(self, api_version: str, kind: str, name: str) -> Object:
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


Claim = Callable[[ClusterWorld], Awaitable[None]]


async def raised(kind: type[_E], awaitable: Awaitable[Any]) -> _E:
    """The error of this kind that a call ends with; anything else fails the claim."""
    try:
        answer = await awaitable
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}, but it answered {answer!r}")


def locked(body: Object, *, uid: str = "", version: str = "") -> Object:
    """The body with preconditions."""
    extra = ({"uid": uid} if uid else {}) | ({"resourceVersion": version} if version else {})
    return body | {"metadata": body["metadata"] | extra}


def version(body: Object) -> str:
    return str(body["metadata"]["resourceVersion"])
