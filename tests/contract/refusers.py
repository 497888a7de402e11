"""Who refuses writes on a real API server: an admission policy with words of its own, and a webhook whose server is gone.

Both stand for a whole module and refuse nothing, until a namespace asks for it by a label. So a refusal begins and ends
in mid-trial, and only there.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pegbox.model.errors import PegboxError
from pegbox.ports import CONFIG_MAP, NAMESPACE, Object, Ref
from tests.loop.world import World

PROBE = "probe"
"""A ConfigMap that is refused beside whatever is to be: so it is known that a refusal began, or ended."""
WRITTEN = {
    "configmaps": "",
    "deployments": "apps",
    "deployments/scale": "apps",
    "horizontalpodautoscalers": "autoscaling",
    "podenvironments": "pegbox.dev",
    "pods/eviction": "",
    "pods/resize": "",
}
"""What the operator writes beside its own records, as rules name it -> its API group."""
_REGISTRATION = "admissionregistration.k8s.io/v1"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Refuser:
    """`label` is what a namespace asks by, `words` the refuser's own, `reason` what is said of a way back meanwhile."""

    label: str
    words: str
    reason: str

    async def begins(self, world: World, resource: str) -> None:
        """From now on nobody writes that resource in the world's namespace."""
        await self._ask(world, resource.replace("/", "."))
        await until(world, refused=True)

    async def ends(self, world: World) -> None:
        await self._ask(world, None)
        await until(world, refused=False)

    async def _ask(self, world: World, value: str | None) -> None:
        path = f"/metadata/labels/{self.label.replace('/', '~1')}"
        operation = {"op": "remove", "path": path} if value is None else {"op": "add", "path": path, "value": value}
        await world.outside.json_patch(Ref(NAMESPACE, "", world.namespace), [operation])


POLICY = Refuser("example.com/freeze", "change freeze until Monday: ask the platform team", "RestorePending")
GONE = Refuser("example.com/webhook", "connect: connection refused", "WriteFailed")


async def until(world: World, *, refused: bool) -> None:
    """Until the server knows: admission learns of everything by watches."""
    async with asyncio.timeout(30):
        while await _probed(world) is refused:
            pass  # each question takes its time


async def _probed(world: World) -> bool:
    """Was it written?"""
    meta = {"name": PROBE, "namespace": world.namespace}
    body: Object = {"apiVersion": CONFIG_MAP.api_version, "kind": CONFIG_MAP.kind, "metadata": meta}
    try:
        await world.outside.apply(body | {"data": {"number": str(next(_numbers))}}, force=True)
    except PegboxError:
        return False
    return True


def manifest() -> str:
    return "\n---\n".join(map(json.dumps, (*_policy(), _webhooks())))


def _rules(resources: Mapping[str, str]) -> Sequence[Object]:
    return [
        {"apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": [name]}
        for name, group in resources.items()
    ]


def _policy() -> Sequence[Object]:
    asked = f"namespaceObject.metadata.labels['{POLICY.label}']"
    what = "request.resource.resource + (request.?subResource.orValue('') == '' ? '' : '.' + request.subResource)"
    refused = f"{what} != {asked} && request.name != '{PROBE}'"
    spec = {
        "matchConstraints": {"resourceRules": _rules(WRITTEN)},
        "validations": [{"expression": refused, "message": POLICY.words}],
    }
    where = {"namespaceSelector": {"matchExpressions": [{"key": POLICY.label, "operator": "Exists"}]}}
    binding = {"policyName": "contract-freeze", "validationActions": ["Deny"], "matchResources": where}
    head = {"apiVersion": _REGISTRATION, "metadata": {"name": "contract-freeze"}}
    return [
        head | {"kind": "ValidatingAdmissionPolicy", "spec": spec},
        head | {"kind": "ValidatingAdmissionPolicyBinding", "spec": binding},
    ]


def _webhooks() -> Object:
    """Nobody listens at that port of the loopback."""
    common = {
        "clientConfig": {"url": "https://127.0.0.1:1/validate"},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "timeoutSeconds": 1,
        "admissionReviewVersions": ["v1"],
    }
    probe = {
        "name": "probe.example.com",
        "rules": _rules({"configmaps": ""}),
        "namespaceSelector": {"matchExpressions": [{"key": GONE.label, "operator": "Exists"}]},
        "matchConditions": [{"name": "probe", "expression": f"request.name == '{PROBE}'"}],
    }
    each = [
        {
            "name": f"{name.replace('/', '-')}.example.com",
            "rules": _rules({name: group}),
            "namespaceSelector": {"matchLabels": {GONE.label: name.replace("/", ".")}},
        }
        for name, group in WRITTEN.items()
    ]
    head = {
        "apiVersion": _REGISTRATION,
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "contract-gone"},
    }
    return head | {"webhooks": [common | hook for hook in (probe, *each)]}
