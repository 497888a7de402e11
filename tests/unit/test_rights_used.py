"""Everything granted is used, and everything used is granted: the shipped roles against the operator's own calls.

What a real API server makes of the roles is asked in `tests/contract/test_rbac.py`. Here the source is read: each read is
found where it names a kind, each write is named below with the line that makes it.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from pegbox import ports
from pegbox.ports import Kind
from tests.shipped import documents

ROOT = Path(__file__).resolve().parents[2]
PEGBOX = ROOT / "operator" / "pegbox"
Right = tuple[str, str, str]
KINDS = {name: value for name, value in vars(ports).items() if isinstance(value, Kind)}

WRITES: dict[Right, tuple[str, str]] = {
    ("pegbox.dev", "performanceprofiles", "patch"): ("runtime/leaving.py", "await cluster.json_patch(\n"),
    ("pegbox.dev", "performanceprofiles/status", "patch"): ("runtime/saying.py", 'apply(_body(profile, told), force=True, subresource="status")'),
    ("pegbox.dev", "sharedbudgets/status", "patch"): ("runtime/claims.py", "await cluster.json_patch(\n"),
    ("pegbox.dev", "tuningledgers", "create"): ("runtime/reconcile.py", "saved = await self.cluster.create(body)"),
    ("pegbox.dev", "tuningledgers", "patch"): ("runtime/reconcile.py", "saved = await self.cluster.apply(body, force=True)"),
    ("pegbox.dev", "tuningledgers", "delete"): ("runtime/cleanup.py", "await cluster.delete(ref"),
    ("events.k8s.io", "events", "create"): ("adapters/kube/events.py", "await self._cluster.create(self._body("),
    ("coordination.k8s.io", "leases", "get"): ("adapters/kube/lease.py", "await self._cluster.get(self._ref)"),
    ("coordination.k8s.io", "leases", "create"): ("adapters/kube/lease.py", "await self._cluster.create(self._body("),
    ("coordination.k8s.io", "leases", "patch"): ("adapters/kube/lease.py", "await self._cluster.apply(body, force=True)"),
    ("authorization.k8s.io", "selfsubjectaccessreviews", "create"): ("commands/doctor_install.py", "await cluster.allowed("),
    ("", "configmaps", "create"): ("runtime/actuate.py", "await self.cluster.apply(body, force=True)"),
    ("", "configmaps", "patch"): ("runtime/actuate.py", '_patch(body, CONFIG_MAP.api_version, "ConfigMap"'),
    ("pegbox.dev", "podenvironments", "create"): ("runtime/actuate.py", "await self.cluster.create(pod_env.emptied(body))"),
    ("pegbox.dev", "podenvironments", "patch"): ("runtime/actuate.py", "await self.cluster.apply(body, force=True)  # over what we created"),
    ("pegbox.dev", "podenvironments", "delete"): ("runtime/leaving.py", 'await cluster.delete(ref, uid=body["metadata"]["uid"])'),
    ("apps", "deployments", "get"): ("runtime/reading.py", "maybe(cluster, _target_ref(profile, namespace))"),
    ("apps", "statefulsets", "get"): ("runtime/reading.py", "maybe(cluster, _target_ref(profile, namespace))"),
    ("apps", "deployments", "patch"): ("runtime/actuate.py", "_patch(target, target.get("),
    ("apps", "statefulsets", "patch"): ("runtime/actuate.py", "_patch(target, target.get("),
    ("apps", "deployments/scale", "patch"): ("runtime/actuate.py", 'subresource="scale"'),
    ("apps", "statefulsets/scale", "patch"): ("runtime/actuate.py", 'subresource="scale"'),
    ("autoscaling", "horizontalpodautoscalers", "create"): ("runtime/actuate.py", "await self.cluster.create(created_hpa(change))"),
    ("autoscaling", "horizontalpodautoscalers", "patch"): ("runtime/fence.py", "await cluster.json_patch(ref, patches.annotated(body, FENCE, token))"),
    ("", "pods/resize", "patch"): ("runtime/actuate.py", 'subresource="resize"'),
    ("", "pods/eviction", "create"): ("runtime/actuate.py", "await self.cluster.evict(Ref(POD,"),
}  # fmt: skip
"""Right -> where it is used: writes, and reads whose kind only the profile tells."""


def granted() -> set[Right]:
    """What the operator's account holds with writes allowed; the roles for people are not its own."""
    found = [d for file in ("install.yaml", "allow-writes.yaml") for d in documents(ROOT / "manifests" / file)]
    bound = {d["roleRef"]["name"] for d in found if d["kind"].endswith("RoleBinding")}
    roles = [d for d in found if d["kind"] in ("ClusterRole", "Role") and d["metadata"]["name"] in bound]
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _right(kind: Kind, verb: str) -> Right:
    group, slash, _ = kind.api_version.partition("/")
    return (group if slash else "", kind.plural, verb)


def reads(source: str) -> set[Right]:
    """Calls that name a kind: `.list(KIND, ...)`, `.get(Ref(KIND, ...))`, `maybe(cluster, Ref(KIND, ...))`; and watches."""
    found: set[Right] = set()
    for node in (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call)):
        called = ast.unparse(node.func)
        words = [ast.unparse(argument) for argument in node.args]
        if called.endswith(".list") and words and words[0] in KINDS:
            found.add(_right(KINDS[words[0]], "list"))
        if called.endswith(".get") or called in ("maybe", "reading.maybe"):
            for word in words:
                if word.startswith("Ref(") and (name := word[4:].partition(",")[0]) in KINDS:
                    found.add(_right(KINDS[name], "get"))
        if called == "kopf.on.event":
            group = "pegbox.dev" if words[0] == "GROUP" else ast.literal_eval(words[0])
            found |= {(group, ast.literal_eval(words[2]), verb) for verb in ("list", "watch")}
    return found


@cache
def used() -> frozenset[Right]:
    sources = [*(PEGBOX / "runtime").glob("*.py"), *(PEGBOX / "adapters").rglob("*.py")]
    return frozenset(WRITES).union(*(reads(source.read_text()) for source in sources))


def test_everything_granted_is_used() -> None:
    assert granted() - used() == set()


def test_everything_used_is_granted() -> None:
    assert used() - granted() == set()


@pytest.mark.parametrize("right", WRITES, ids=" ".join)
def test_the_line_that_uses_it_is_still_there(right: Right) -> None:
    file, line = WRITES[right]
    assert line in (PEGBOX / file).read_text(), (
        f"{file} does this no more: take {right} out of the roles, or name the line"
    )


@pytest.mark.parametrize(
    ("source", "right"),
    [
        pytest.param("cluster.list(SECRET)", None, id="no kind of ours"),
        pytest.param("await cluster.list(PDB, ns)", ("policy", "poddisruptionbudgets", "list"), id="a list"),
        pytest.param("x.get(Ref(NAMESPACE, '', n))", ("", "namespaces", "get"), id="a get"),
        pytest.param("kopf.on.event('', 'v1', 'secrets')", ("", "secrets", "watch"), id="a watch"),
    ],
)
def test_a_call_is_seen(source: str, right: Right | None) -> None:
    assert (right in reads(source)) if right else not reads(source)


def test_the_kind_secret_does_not_exist_for_the_operator() -> None:
    assert not {kind.plural for kind in KINDS.values()} & {"secrets", "serviceaccounts", "roles", "clusterroles"}
    assert not {right for right in granted() if right[1].split("/")[0] in ("secrets", "serviceaccounts", "nodes")}
