"""Everything granted is used, and everything used is granted: the shipped roles against the operator's own calls.

What a real API server makes of the roles is asked in `tests/contract/test_rbac.py`. Here the source is read: each read is
found where it names a kind, each write where it calls the Cluster port, and below the rights that it needs are named.
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

Call = tuple[str, str]
"""A method of the Cluster port, and the subresource that it names."""
METHODS = {
    "apply": "patch",
    "create": "create",
    "json_patch": "patch",
    "delete": "delete",
    "evict": "create",
    "allowed": "create",
}
"""Method -> the verb that a server asks for. An apply that may create states so where it is named below."""
PASSED_ON = {"adapters/kube/gate.py"}
"""What only hands calls of others to the API server."""
FOR_PEOPLE = {"commands/stop.py", "commands/verbs.py"}
"""What runs with the rights of whoever typed the command."""


def _of(group: str, verb: str, *resources: str) -> set[Right]:
    return {(group, resource, verb) for resource in resources}


APPS = _of("apps", "patch", "deployments", "statefulsets")
SITES: dict[tuple[str, str], tuple[list[Call], set[Right]]] = {
    ("adapters/kube/events.py", "emit"): ([("create", "")], _of("events.k8s.io", "create", "events")),
    ("adapters/kube/lease.py", "_give_up"): ([("apply", "")], _of("coordination.k8s.io", "patch", "leases")),
    ("adapters/kube/lease.py", "_write"): (
        [("create", ""), ("apply", "")],
        _of("coordination.k8s.io", "create", "leases") | _of("coordination.k8s.io", "patch", "leases"),
    ),
    ("adapters/kube/lease.py", "_body"): ([("create", "")], _of("coordination.k8s.io", "create", "leases")),
    ("commands/doctor_install.py", "ask"): (
        [("allowed", "")], _of("authorization.k8s.io", "create", "selfsubjectaccessreviews"),
    ),
    ("runtime/actuate.py", "_own_config_map"): (
        [("apply", "")], _of("", "create", "configmaps") | _of("", "patch", "configmaps"),  # it may not be there yet
    ),
    ("runtime/actuate.py", "_nudge"): ([("json_patch", "")], _of("", "patch", "pods")),
    ("runtime/actuate.py", "_pod_environment"): (
        [("create", ""), ("apply", "")],
        _of("pegbox.dev", "create", "podenvironments") | _of("pegbox.dev", "patch", "podenvironments"),
    ),
    ("runtime/actuate.py", "_config_map"): ([("apply", "")], _of("", "patch", "configmaps")),
    ("runtime/actuate.py", "_hpa"): (
        [("create", ""), ("apply", "")],
        _of("autoscaling", "create", "horizontalpodautoscalers") | _of("autoscaling", "patch", "horizontalpodautoscalers"),
    ),
    ("runtime/actuate.py", "_replicas"): (
        [("json_patch", "scale")], _of("apps", "patch", "deployments/scale", "statefulsets/scale"),
    ),
    ("runtime/actuate.py", "_resize"): ([("json_patch", "resize")], _of("", "patch", "pods/resize")),
    ("runtime/actuate.py", "_evict"): ([("evict", "")], _of("", "create", "pods/eviction")),
    ("runtime/actuate.py", "_rollout"): ([("apply", "")], APPS),
    ("runtime/claims.py", "_put_status"): ([("json_patch", "status")], _of("pegbox.dev", "patch", "sharedbudgets/status")),
    ("runtime/cleanup.py", "remove_old_ledgers"): ([("delete", "")], _of("pegbox.dev", "delete", "tuningledgers")),
    ("runtime/fence.py", "fence"): (
        [("json_patch", ""), ("json_patch", "")],
        APPS | _of("", "patch", "configmaps") | _of("pegbox.dev", "patch", "tuningledgers", "podenvironments")
        | _of("autoscaling", "patch", "horizontalpodautoscalers"),
    ),
    ("runtime/fence.py", "clear"): (
        [("json_patch", "")],
        APPS | _of("", "patch", "configmaps") | _of("pegbox.dev", "patch", "podenvironments")
        | _of("autoscaling", "patch", "horizontalpodautoscalers"),
    ),
    ("runtime/fence.py", "_move"): ([("json_patch", "resize")], _of("", "patch", "pods/resize")),
    ("runtime/leaving.py", "disown"): (
        [("json_patch", "")],
        _of("autoscaling", "patch", "horizontalpodautoscalers") | _of("pegbox.dev", "patch", "podenvironments"),
    ),
    ("runtime/leaving.py", "give_back"): (
        [("json_patch", "")],
        APPS | _of("", "patch", "configmaps") | _of("autoscaling", "patch", "horizontalpodautoscalers"),
    ),
    ("runtime/leaving.py", "remove_variables"): ([("delete", "")], _of("pegbox.dev", "delete", "podenvironments")),
    ("runtime/leaving.py", "_patch_finalizers"): ([("json_patch", "")], _of("pegbox.dev", "patch", "performanceprofiles")),
    ("runtime/reconcile.py", "_save"): (
        [("apply", ""), ("create", "")],
        _of("pegbox.dev", "patch", "tuningledgers") | _of("pegbox.dev", "create", "tuningledgers"),
    ),
    ("runtime/saying.py", "write"): ([("apply", "status")], _of("pegbox.dev", "patch", "performanceprofiles/status")),
}  # fmt: skip
"""Where the operator writes: file and function -> its calls, and the rights that these need."""

TOLD: dict[Right, tuple[str, str]] = {
    ("coordination.k8s.io", "leases", "get"): ("adapters/kube/lease.py", "await self._cluster.get(self._ref)"),
    ("apps", "deployments", "get"): ("runtime/reading.py", "maybe(cluster, _target_ref(profile, namespace))"),
    ("apps", "statefulsets", "get"): ("runtime/reading.py", "maybe(cluster, _target_ref(profile, namespace))"),
}
"""Reads whose kind only the profile tells -> where they are."""
ONLY_WHERE_ASKED_FOR = {("", "pods", "patch")}
"""What the chart grants with a setting of its own, `operator.nudgePods`."""


def writes(source: str) -> dict[str, list[Call]]:
    """Function -> its calls that write. A method that is taken without being called counts as one, too."""
    tree, found, functions = ast.parse(source), dict[str, list[Call]](), dict[int, str]()
    for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)):
        functions |= {id(node): function.name for node in ast.walk(function)}  # an inner one comes after the outer
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in (n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr in METHODS):
        if ast.unparse(node.value) != "scaler":  # `scaler.create` is a field of the profile's
            call = node.attr, _subresource(calls.get(id(node)))
            found.setdefault(functions.get(id(node), ""), []).append(call)
    return {function: sorted(made) for function, made in found.items()}


def _subresource(call: ast.Call | None) -> str:
    named = [k.value for k in call.keywords if k.arg == "subresource"] if call is not None else []
    return str(ast.literal_eval(named[0])) if named and isinstance(named[0], ast.Constant) else ""


@cache
def written() -> dict[tuple[str, str], list[Call]]:
    """Every place of the operator that writes."""
    files = [
        *(PEGBOX / "runtime").glob("*.py"),
        *(PEGBOX / "adapters").rglob("*.py"),
        *(PEGBOX / "commands").glob("*.py"),
    ]
    named = {str(file.relative_to(PEGBOX)): file for file in files}
    return {
        (name, function): calls
        for name, file in named.items()
        if name not in PASSED_ON | FOR_PEOPLE
        for function, calls in writes(file.read_text()).items()
    }


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
    named = frozenset(TOLD).union(*(rights for _, rights in SITES.values()))
    return named.union(*(reads(source.read_text()) for source in sources))


def test_everything_granted_is_used() -> None:
    assert granted() - used() == set()


def test_everything_used_is_granted() -> None:
    assert used() - granted() == ONLY_WHERE_ASKED_FOR


def test_no_line_writes_that_is_not_named_with_its_rights() -> None:
    """A new write, and one that is gone, are looked at with the roles and with what the admission guard asks for."""
    assert written() == {place: sorted(calls) for place, (calls, _) in SITES.items()}


@pytest.mark.parametrize("place", SITES, ids=" ".join)
def test_the_rights_named_are_those_of_the_calls(place: tuple[str, str]) -> None:
    calls, rights = SITES[place]
    verbs = {METHODS[method] for method, _ in calls}
    created = {verb for _, _, verb in rights} - verbs
    assert verbs <= {verb for _, _, verb in rights}
    assert created in (set(), {"create"}) and (not created or ("apply", "") in calls), "only an apply creates besides"
    under = {resource.partition("/")[2] for _, resource, _ in rights}
    assert under == {"eviction" if method == "evict" else subresource for method, subresource in calls}


@pytest.mark.parametrize("right", TOLD, ids=" ".join)
def test_the_line_that_uses_it_is_still_there(right: Right) -> None:
    file, line = TOLD[right]
    assert line in (PEGBOX / file).read_text(), (
        f"{file} does this no more: take {right} out of the roles, or name the line"
    )


@pytest.mark.parametrize(
    ("line", "call"),
    [
        pytest.param("await cluster.create(body)", ("create", ""), id="a creation"),
        pytest.param("await self._cluster.json_patch(ref, ops, subresource='scale')", ("json_patch", "scale"), id="of a subresource"),
        pytest.param("write = self.cluster.apply", ("apply", ""), id="a method under another name"),
        pytest.param("scaler.create", None, id="a field of the profile's autoscaler"),
        pytest.param("await cluster.get(ref)", None, id="a read"),
    ],
)  # fmt: skip
def test_a_write_is_seen(line: str, call: Call | None) -> None:
    assert writes(f"async def f():\n    {line}") == ({"f": [call]} if call else {})


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
