"""What an install may do, asked of a real API server right by right, and who may turn on Auto."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, product
from typing import Any

import pytest
import yaml

from dev import chart
from dev.cluster.control import ControlPlane
from pegbox.runtime.reading import VERBS as VERBS_OF_PROFILES
from tests.levels import cannot_run

Right = tuple[str, str, str]
_numbers = count(1)
SERVED, OTHER, OWN = "rights-shop", "rights-other", "pegbox-system"

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
RESOURCES = (
    ("", "configmaps"), ("", "events"), ("", "pods"), ("", "pods/eviction"), ("", "pods/exec"), ("", "pods/resize"),
    ("", "secrets"), ("", "serviceaccounts"), ("", "services"), ("apps", "deployments"), ("apps", "deployments/scale"),
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"),
    ("apps", "replicasets"), ("apps", "statefulsets"), ("apps", "statefulsets/scale"),
    ("autoscaling", "horizontalpodautoscalers"), ("autoscaling.k8s.io", "verticalpodautoscalers"),
    ("coordination.k8s.io", "leases"), ("events.k8s.io", "events"), ("keda.sh", "scaledobjects"),
    ("pegbox.dev", "performanceclasses"), ("pegbox.dev", "performanceprofiles"),
    ("pegbox.dev", "podenvironments"), ("pegbox.dev", "performanceprofiles/finalizers"), ("pegbox.dev", "performanceprofiles/status"),
    ("pegbox.dev", "sharedbudgets"), ("pegbox.dev", "sharedbudgets/status"), ("pegbox.dev", "tuningledgers"),
    ("policy", "poddisruptionbudgets"), ("rbac.authorization.k8s.io", "roles"),
)  # fmt: skip


def _table(text: str) -> set[Right]:
    """One line a resource: group (- for the core one), resource, verbs."""
    rows = [line.split() for line in text.strip().splitlines()]
    return {("" if group == "-" else group, resource, verb) for group, resource, *verbs in rows for verb in verbs}


CLASSES = _table("pegbox.dev performanceclasses get list watch")
READ = _table("""
-              configmaps                  get
-              pods                        list
apps           deployments                 get
apps           replicasets                 list
apps           statefulsets                get
autoscaling    horizontalpodautoscalers    list
events.k8s.io  events                      create
pegbox.dev     performanceprofiles         get list watch patch
pegbox.dev     performanceprofiles/status  patch
pegbox.dev     sharedbudgets               get list watch
pegbox.dev     sharedbudgets/status        patch
pegbox.dev     podenvironments             get
pegbox.dev     tuningledgers               get list create patch delete
""")
WRITE = _table("""
-            configmaps                create patch
-            pods/eviction             create
-            pods/resize               patch
apps         deployments               patch
apps         deployments/scale         patch
apps         statefulsets              patch
apps         statefulsets/scale        patch
autoscaling  horizontalpodautoscalers  create patch
pegbox.dev   podenvironments           create patch delete
""")
NUDGE = _table("- pods patch")


def _review(account: str, namespace: str, right: Right) -> dict[str, Any]:
    group, resource, verb = right
    name, _, subresource = resource.partition("/")
    attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": name, "subresource": subresource}
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{OWN}", "system:authenticated"]
    user = f"system:serviceaccount:{OWN}:{account}"
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "groups": groups, "resourceAttributes": attributes},
    }


def _allowed(plane: ControlPlane, account: str, namespace: str) -> set[Right]:
    """Every right of the table that the server grants, by one SubjectAccessReview each."""
    rights = [(*resource, verb) for resource, verb in product(RESOURCES, VERBS)]
    asked = "\n---\n".join(json.dumps(_review(account, namespace, right)) for right in rights)
    done = plane.kubectl("create", "-f", "-", "-o", "yaml", stdin=asked)
    assert done.returncode == 0, done.stderr
    answers = [answer["status"]["allowed"] for answer in yaml.load_all(done.stdout, yaml.CSafeLoader)]
    return {right for right, yes in zip(rights, answers, strict=True) if yes}


@dataclass(frozen=True)
class Install:
    """One way to install the chart, and what its account may then do: in a served namespace, and in another."""

    name: str
    settings: tuple[str, ...]
    served: frozenset[Right]
    other: frozenset[Right]


_SPACES = f"watchNamespaces={{{SERVED}}}"
_AUTO = "mode.allowWrites=true"
INSTALLS = (
    Install("rights-ro", (), frozenset(READ | CLASSES), frozenset(READ | CLASSES)),
    Install("rights-rw", (_AUTO,), frozenset(READ | WRITE | CLASSES), frozenset(READ | WRITE | CLASSES)),
    Install("rights-ro-ns", (_SPACES,), frozenset(READ | CLASSES), frozenset(CLASSES)),
    Install("rights-rw-ns", (_SPACES, _AUTO), frozenset(READ | WRITE | CLASSES), frozenset(CLASSES)),
    Install(
        "rights-nudge",
        (_SPACES, _AUTO, "operator.nudgePods=true"),
        frozenset(READ | WRITE | NUDGE | CLASSES),
        frozenset(CLASSES),
    ),
)


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> ControlPlane:
    try:
        chart.helm()
    except chart.HelmMissing as missing:
        cannot_run(f"THE CHART'S RIGHTS WERE NOT HELD TO A REAL API SERVER: {missing}")
    for namespace in (OWN, SERVED, OTHER):
        control_plane.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}))
    return control_plane


def _render(parts: Iterable[str], *settings: str) -> str:
    shown = [option for part in parts for option in ("--show-only", f"templates/{part}.yaml")]
    return chart.template(*shown, *(option for setting in settings for option in ("--set", setting)))


@pytest.fixture(scope="module", params=INSTALLS, ids=lambda install: install.name)
def installed(request: pytest.FixtureRequest, plane: ControlPlane) -> Iterator[Install]:
    install: Install = request.param
    parts = ["serviceaccount", "rbac-read", *(["rbac-write"] if _AUTO in install.settings else [])]
    manifest = _render(parts, f"fullnameOverride={install.name}", *install.settings)
    plane.apply(manifest)
    yield install
    plane.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=manifest)


def test_an_install_can_do_exactly_this_in_a_namespace_that_it_serves(plane: ControlPlane, installed: Install) -> None:
    assert _allowed(plane, installed.name, SERVED) == installed.served


def test_and_exactly_this_in_one_that_it_does_not(plane: ControlPlane, installed: Install) -> None:
    assert _allowed(plane, installed.name, OTHER) == installed.other


def test_and_in_its_own_holds_one_lease_by_name(plane: ControlPlane, installed: Install) -> None:
    def may(verb: str, name: str) -> bool:
        account = f"--as=system:serviceaccount:{OWN}:{installed.name}"
        done = plane.kubectl("auth", "can-i", verb, f"leases.coordination.k8s.io/{name}", "-n", OWN, account)
        assert done.stdout.strip() in ("yes", "no"), done.stderr
        return done.stdout.strip() == "yes"

    assert [may(verb, installed.name) for verb in ("get", "patch", "update", "delete")] == [True, True, False, False]
    assert not may("get", "another")


# What a stolen token cannot make of itself: tried on the server, not only asked.

_RBAC = "rbac.authorization.k8s.io"
_ADMIN_ROLE = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "cluster-admin"}


def _object(kind: str, name: str, api: str = f"{_RBAC}/v1", **fields: Any) -> str:
    namespaced = {} if kind.startswith("Cluster") else {"namespace": SERVED}
    return json.dumps({"apiVersion": api, "kind": kind, "metadata": {"name": name} | namespaced, **fields})


_SUBJECT = {"kind": "ServiceAccount", "name": "rights-rw", "namespace": OWN}
_EVERYTHING = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
_SECRETS = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
_POD = {"containers": [{"name": "a", "image": "a"}], "serviceAccountName": "default"}
_CREATE = ("create", "--dry-run=server", "-f", "-")
ESCALATIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "bind a role in a namespace": (_CREATE, _object("RoleBinding", "x", roleRef=_ADMIN_ROLE, subjects=[_SUBJECT])),
    "bind a role in the cluster": (_CREATE, _object("ClusterRoleBinding", "x", roleRef=_ADMIN_ROLE, subjects=[_SUBJECT])),
    "make a role": (_CREATE, _object("Role", "x", rules=_SECRETS)),
    "make a cluster role": (_CREATE, _object("ClusterRole", "x", rules=_EVERYTHING)),
    "widen its own role": (
        ("patch", "clusterrole", "rights-rw-write", "--dry-run=server", "--type=json", "-p",
         json.dumps([{"op": "add", "path": "/rules/-", "value": _SECRETS[0]}])), "",
    ),
    "aim its own binding elsewhere": (
        ("label", "clusterrolebinding", "rights-rw-write", "--dry-run=server", "a=b"), "",
    ),
    "a token of its own account": (("create", "token", "rights-rw", "-n", OWN), ""),
    "a token of another account": (("create", "token", "default", "-n", SERVED), ""),
    "read a secret": (("get", "secret", "rights-secret", "-n", SERVED), ""),
    "list the secrets of a namespace": (("get", "secrets", "-n", SERVED), ""),
    "list the secrets of the cluster": (("get", "secrets", "-A"), ""),
    "make a secret": (_CREATE, _object("Secret", "x", "v1")),
    "make a pod": (_CREATE, _object("Pod", "x", "v1", spec=_POD)),
    "make an account": (_CREATE, _object("ServiceAccount", "x", "v1")),
    "switch the admission guard off": (("delete", "validatingadmissionpolicy", "rights-off", "--dry-run=server"), ""),
}  # fmt: skip


@pytest.fixture(scope="module")
def thief(plane: ControlPlane) -> Iterator[str]:
    """The account of an install that may write, everywhere: the most that any install holds."""
    manifest = _render(["serviceaccount", "rbac-read", "rbac-write"], "fullnameOverride=rights-rw", _AUTO)
    secret = _object("Secret", "rights-secret", "v1")
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "rights-off"},
    }
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["bindings"]}
    policy["spec"] = {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "true"}]}
    made = "\n---\n".join((manifest, secret, _object("ServiceAccount", "default", "v1"), json.dumps(policy)))
    plane.apply(made)
    account = f"system:serviceaccount:{OWN}:rights-rw"
    for _attempt in range(100):  # the server takes up a new role within seconds; each attempt takes a while
        if not _as(plane, account, "get", "configmaps"):
            break
    yield account
    plane.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=made)


class TestAStolenToken:
    def test_can_do_what_it_is_for(self, plane: ControlPlane, thief: str) -> None:
        """Else what follows would be refused to a name that nobody knows."""
        body = _object("ConfigMap", "x", "v1", data={"a": "1"})
        assert not _as(plane, thief, *_CREATE, stdin=body)

    @pytest.mark.parametrize(("arguments", "body"), ESCALATIONS.values(), ids=ESCALATIONS)
    def test_gets_no_further(self, plane: ControlPlane, thief: str, arguments: tuple[str, ...], body: str) -> None:
        said = _as(plane, thief, *arguments, stdin=body)
        assert f'User "{thief}" cannot' in said, said

    @pytest.mark.parametrize(("arguments", "body"), ESCALATIONS.values(), ids=ESCALATIONS)
    def test_where_an_administrator_may(
        self, plane: ControlPlane, thief: str, arguments: tuple[str, ...], body: str
    ) -> None:
        done = plane.kubectl(*arguments, stdin=body)
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize("verb", ["bind", "escalate"])
    @pytest.mark.parametrize("role", ["clusterroles", "roles"])
    def test_holds_no_right_that_would_let_it_grant_what_it_has_not(
        self, plane: ControlPlane, thief: str, verb: str, role: str
    ) -> None:
        asked = verb, f"{role}.{_RBAC}"
        assert _may(plane, thief, *asked) is False
        assert _may(plane, None, *asked) is True

    @pytest.mark.parametrize(
        "whom",
        [
            pytest.param(("--as=admin",), id="a user"),
            pytest.param(("--as=rights-rw", "--as-group=system:masters"), id="a group"),
            pytest.param((f"--as=system:serviceaccount:{SERVED}:default",), id="an account"),
        ],
    )
    def test_is_nobody_else(self, plane: ControlPlane, thief: str, whom: tuple[str, ...]) -> None:
        """With a certificate in its name: who is impersonated already can be nobody else in any case."""
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{OWN}"]
        own = f"--kubeconfig={plane.kubeconfig_for(thief, groups)}"
        assert plane.kubectl(own, "get", "pods", "-n", SERVED).returncode == 0
        said = plane.kubectl(own, *whom, "get", "--raw", "/version").stderr
        assert f'User "{thief}" cannot impersonate' in said
        assert plane.kubectl(*whom, "get", "--raw", "/version").returncode == 0


def _may(plane: ControlPlane, user: str | None, verb: str, resource: str) -> bool:
    done = plane.kubectl("auth", "can-i", verb, resource, "-n", SERVED, *([f"--as={user}"] if user else []))
    answer = done.stdout.strip()
    assert answer in ("yes", "no"), done.stderr
    return answer == "yes"


# Who may turn on Auto.

PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets"}


def _rights(kind: str) -> dict[str, tuple[str, str, list[str]]]:
    """What the policy asks for where the target is of this kind, by the words of its refusal."""
    return {
        f"patch {kind} web": ("apps", PLURALS[kind], ["patch"]),
        f"the scale of {kind} web": ("apps", f"{PLURALS[kind]}/scale", ["patch"]),
        "configmaps": ("", "configmaps", ["create", "patch"]),
        "horizontalpodautoscalers": ("autoscaling", "horizontalpodautoscalers", ["create", "patch"]),
        "pods/eviction": ("", "pods/eviction", ["create"]),
        "pods/resize": ("", "pods/resize", ["patch"]),
    }


WORKLOAD_RIGHTS = _rights("Deployment")


def _profile(name: str, mode: str, kind_of_target: str = "Deployment", **metadata: Any) -> str:
    spec = {"targetRef": {"kind": kind_of_target, "name": "web"}, "classRef": {"name": "python-worker"}, "mode": mode}
    meta = {"name": name, "namespace": SERVED, **metadata}
    kind = {"apiVersion": "pegbox.dev/v1alpha1", "kind": "PerformanceProfile"}
    return json.dumps({**kind, "metadata": meta, "spec": spec})


def _grant(
    plane: ControlPlane, user: str, rights: Iterable[tuple[str, str, list[str]]], namespace: str = SERVED
) -> None:
    """Give a user these rights in a namespace, beside every right on profiles."""
    rules = [{"apiGroups": ["pegbox.dev"], "resources": ["*"], "verbs": ["*"]}]
    rules += [{"apiGroups": [group], "resources": [resource], "verbs": verbs} for group, resource, verbs in rights]
    metadata = {"name": user.replace(":", "."), "namespace": namespace}
    kind = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{kind}/v1", "kind": "Role", "metadata": metadata, "rules": rules}
    binding = {
        "apiVersion": f"{kind}/v1", "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": kind, "kind": "Role", "name": metadata["name"]},
        "subjects": [{"apiGroup": kind, "kind": "User", "name": user}],
    }  # fmt: skip
    plane.apply(json.dumps(role) + "\n---\n" + json.dumps(binding))


def _as(plane: ControlPlane, user: str, *arguments: str, stdin: str | None = None) -> str:
    """What the server said to the user; empty where it let the request pass."""
    done = plane.kubectl(f"--as={user}", "-n", SERVED, *arguments, stdin=stdin)
    return "" if done.returncode == 0 else done.stderr


@pytest.fixture(scope="module")
def guard(plane: ControlPlane) -> Iterator[ControlPlane]:
    manifest = _render(["admissionguard"], "fullnameOverride=rights-guard")
    _grant(plane, "writer", [])
    _grant(plane, "owner", WORKLOAD_RIGHTS.values())
    plane.apply(manifest)
    probe = _profile("probe", "Auto")
    for _attempt in range(300):  # the server takes up a new policy within seconds; each attempt takes a while
        if _as(plane, "writer", "create", "--dry-run=server", "-f", "-", stdin=probe):
            break
    else:
        pytest.fail("the policy was not in force after 300 attempts")
    yield plane
    plane.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=manifest)
    plane.kubectl("delete", "performanceprofiles", "--all", "-n", SERVED, "--wait=false")


@pytest.fixture
def auto(guard: ControlPlane) -> str:
    """The name of a profile in mode Auto, made by somebody who may."""
    name = f"auto-{next(_numbers)}"
    guard.apply(_profile(name, "Auto"))
    return name


@pytest.fixture
def wrote(guard: ControlPlane) -> Iterator[str]:
    """One through which a workload was written: Pegbox holds it by its finalizer."""
    name = f"wrote-{next(_numbers)}"
    guard.apply(_profile(name, "Auto", finalizers=["pegbox.dev/restore"]))
    yield name
    guard.kubectl("patch", "perfp", name, "-n", SERVED, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')


OWNED = json.dumps(
    {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "0-0-0"}]}}
)
"""An owner that does not exist: the garbage collector deletes what it owns."""


class TestWithoutRightsOnTheWorkload:
    def test_a_profile_that_recommends_may_be_made_and_changed(self, guard: ControlPlane) -> None:
        assert not _as(guard, "writer", "create", "-f", "-", stdin=_profile("recommends", "Recommend"))
        patch = '{"spec": {"mode": "Observe"}}'
        assert not _as(guard, "writer", "patch", "perfp", "recommends", "--type=merge", "-p", patch)

    def test_mode_auto_is_refused_with_the_right_that_is_missing_and_the_remedy(self, guard: ControlPlane) -> None:
        said = _as(guard, "writer", "create", "-f", "-", stdin=_profile("new", "Auto"))
        assert "spec.mode Auto needs the right to patch Deployment web in namespace rights-shop" in said
        assert "ask for it, or use mode Recommend" in said

    def test_turning_to_auto_later_is_refused(self, guard: ControlPlane) -> None:
        guard.apply(_profile("later", "Recommend"))
        said = _as(guard, "writer", "patch", "perfp", "later", "--type=merge", "-p", '{"spec": {"mode": "Auto"}}')
        assert "spec.mode Auto needs the right to patch Deployment web" in said

    @pytest.mark.parametrize("verb", [*VERBS_OF_PROFILES, "approve"])
    def test_a_verb_is_refused(self, guard: ControlPlane, auto: str, verb: str) -> None:
        said = _as(guard, "writer", "annotate", "perfp", auto, f"pegbox.dev/{verb}=token")
        assert "a pegbox.dev verb annotation needs the right to patch Deployment web" in said

    def test_a_verb_is_refused_from_the_start_and_in_any_mode(self, guard: ControlPlane) -> None:
        profile = _profile("begins", "Recommend", annotations={"pegbox.dev/rollback": "token"})
        assert "a pegbox.dev verb annotation needs" in _as(guard, "writer", "create", "-f", "-", stdin=profile)

    def test_any_change_of_spec_while_in_auto_is_refused(self, guard: ControlPlane, auto: str) -> None:
        patch = '{"spec": {"objective": "MaximizeThroughput"}}'
        assert "needs the right" in _as(guard, "writer", "patch", "perfp", auto, "--type=merge", "-p", patch)

    @pytest.mark.parametrize(
        "patch",
        [
            pytest.param('{"spec": {"mode": "Recommend"}}', id="turning Auto off"),
            pytest.param('{"metadata": {"finalizers": ["pegbox.dev/restore"]}}', id="a finalizer"),
            pytest.param('{"metadata": {"labels": {"team": "a"}}}', id="a label"),
            pytest.param('{"metadata": {"annotations": {"note": "b"}}}', id="another annotation"),
        ],
    )
    def test_this_passes_while_in_auto(self, guard: ControlPlane, auto: str, patch: str) -> None:
        assert not _as(guard, "writer", "patch", "perfp", auto, "--type=merge", "-p", patch)
        guard.kubectl("patch", "perfp", auto, "-n", SERVED, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')

    def test_deleting_what_never_wrote_passes(self, guard: ControlPlane, auto: str) -> None:
        assert not _as(guard, "writer", "delete", "perfp", auto, "--wait=false")

    @pytest.mark.parametrize("mode", ["Auto", "Recommend"])
    def test_a_deletion_that_restores_is_refused_with_the_remedy(
        self, guard: ControlPlane, wrote: str, mode: str
    ) -> None:
        """In mode Recommend as well: else he would turn Auto off first, which passes."""
        assert not _as(
            guard, "writer", "patch", "perfp", wrote, "--type=merge", "-p", json.dumps({"spec": {"mode": mode}})
        )
        said = _as(guard, "writer", "delete", "perfp", wrote, "--wait=false")
        assert "a deletion that restores needs the right to patch Deployment web in namespace rights-shop" in said
        assert "set mode Recommend and deletionPolicy Keep first" in said
        assert "restores" in _as(guard, "writer", "delete", "perfp", "--field-selector", f"metadata.name={wrote}")

    def test_the_remedy_works_and_restores_nothing(self, guard: ControlPlane, wrote: str) -> None:
        patch = '{"spec": {"mode": "Recommend", "deletionPolicy": "Keep"}}'
        assert not _as(guard, "writer", "patch", "perfp", wrote, "--type=merge", "-p", patch)
        assert not _as(guard, "writer", "delete", "perfp", wrote, "--wait=false")

    def test_a_deletion_that_keeps_is_not_turned_into_one_that_restores(self, guard: ControlPlane, wrote: str) -> None:
        """A changed spec while it is being deleted is as good as the deletion: the finalizer still stands."""
        for patch in (
            '{"spec": {"mode": "Recommend", "deletionPolicy": "Keep"}}',
            '{"spec": {"objective": "MaximizeThroughput"}}',
        ):
            assert not _as(guard, "writer", "patch", "perfp", wrote, "--type=merge", "-p", patch)
        assert not _as(guard, "writer", "delete", "perfp", wrote, "--wait=false")
        back = ("patch", "perfp", wrote, "--type=merge", "-p", '{"spec": {"deletionPolicy": "Restore"}}')
        said = _as(guard, "writer", *back)
        assert "a change of spec during a deletion that restores needs the right to patch Deployment web" in said
        assert "set mode Recommend and deletionPolicy Keep, which leaves all as it is" in said
        gone = ("patch", "perfp", wrote, "--type=merge", "-p", '{"spec": {"deletionPolicy": null}}')
        assert "a change of spec during a deletion that restores needs" in _as(guard, "writer", *gone), (
            "Restore is the default"
        )
        other = ("patch", "perfp", wrote, "--type=merge", "-p", '{"spec": {"mode": "Observe"}}')
        assert not _as(guard, "writer", *other), "nothing is written after it"
        assert not _as(guard, "owner", *back)

    def test_a_restore_under_way_may_be_let_go(self, guard: ControlPlane, wrote: str) -> None:
        guard.kubectl("delete", "perfp", wrote, "-n", SERVED, "--wait=false")
        change = ("patch", "perfp", wrote, "--type=merge", "-p")
        assert "during a deletion" in _as(guard, "writer", *change, '{"spec": {"mode": "Observe"}}')
        assert not _as(guard, "writer", *change, '{"spec": {"mode": "Recommend", "deletionPolicy": "Keep"}}')

    @pytest.mark.parametrize("policy", ["Restore", "Keep"])
    def test_an_owner_is_not_given_to_what_wrote(self, guard: ControlPlane, wrote: str, policy: str) -> None:
        """An owner that does not exist makes the garbage collector delete it, whom nobody asks. Also where it keeps: the
        policy may be turned while the owner stands."""
        first = json.dumps({"spec": {"mode": "Recommend", "deletionPolicy": policy}})
        assert not _as(guard, "writer", "patch", "perfp", wrote, "--type=merge", "-p", first)
        said = _as(guard, "writer", "patch", "perfp", wrote, "--type=merge", "-p", OWNED)
        assert (
            "a change of ownerReferences needs the right to patch Deployment web in namespace rights-shop: ask for it"
            in said
        )
        dry = ("patch", "perfp", wrote, "--dry-run=server", "--type=merge", "-p", OWNED)
        assert not _as(guard, "owner", *dry)

    def test_nor_to_what_is_about_to_write(self, guard: ControlPlane, auto: str) -> None:
        said = _as(guard, "writer", "patch", "perfp", auto, "--type=merge", "-p", OWNED)
        assert "a change of ownerReferences needs the right" in said

    def test_but_to_what_only_recommends(self, guard: ControlPlane) -> None:
        guard.apply(_profile("with-owner", "Recommend"))
        dry = ("patch", "perfp", "with-owner", "--dry-run=server", "--type=merge", "-p", OWNED)
        assert not _as(guard, "writer", *dry)

    def test_owners_are_the_garbage_collectors_to_take_away(self, guard: ControlPlane, wrote: str) -> None:
        user = "system:serviceaccount:kube-system:generic-garbage-collector"
        groups = ("system:serviceaccounts:kube-system", "system:serviceaccounts", "system:authenticated")
        _grant(guard, user, [])
        patch = ("patch", "perfp", wrote, "--dry-run=server", "--type=merge", "-p", OWNED)
        assert not _as(guard, user, *(f"--as-group={g}" for g in groups), *patch)

    def test_the_finalizer_is_not_taken_away_before_a_deletion(self, guard: ControlPlane, wrote: str) -> None:
        """What Pegbox made for the profile would go with it, and its values with that."""
        free = ("patch", "perfp", wrote, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
        said = _as(guard, "writer", *free)
        assert "taking away the finalizer pegbox.dev/restore needs the right to patch Deployment web" in said
        assert "set mode Recommend and deletionPolicy Keep first" in said
        patch = '{"spec": {"mode": "Recommend", "deletionPolicy": "Keep"}}'
        assert not _as(guard, "writer", "patch", "perfp", wrote, "--type=merge", "-p", patch)
        assert not _as(guard, "writer", *free)

    def test_a_profile_that_is_being_deleted_lets_its_finalizer_go(self, guard: ControlPlane, wrote: str) -> None:
        guard.kubectl("delete", "perfp", wrote, "-n", SERVED, "--wait=false")
        assert not _as(guard, "writer", "delete", "perfp", wrote, "--wait=false")  # once more changes nothing
        patch = '{"metadata": {"finalizers": null}}'
        assert not _as(guard, "writer", "patch", "perfp", wrote, "--type=merge", "-p", patch)

    @pytest.mark.parametrize("account", ["namespace-controller", "generic-garbage-collector"])
    def test_the_clusters_own_controllers_are_not_held_up(self, guard: ControlPlane, wrote: str, account: str) -> None:
        user = f"system:serviceaccount:kube-system:{account}"
        groups = ("system:serviceaccounts:kube-system", "system:serviceaccounts", "system:authenticated")
        said = _as(guard, user, *(f"--as-group={g}" for g in groups), "delete", "perfp", wrote, "--wait=false")
        assert not said

    def test_a_namespace_that_goes_is_not_held_up(self, guard: ControlPlane) -> None:
        name = "rights-going"
        guard.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
        _grant(guard, "writer", [], namespace=name)
        body = json.loads(_profile("going", "Auto", finalizers=["pegbox.dev/restore"]))
        body["metadata"]["namespace"] = name
        guard.apply(json.dumps(body))
        refused = guard.kubectl("--as=writer", "-n", name, "delete", "perfp", "going", "--wait=false")
        assert "a deletion that restores" in refused.stderr
        guard.kubectl("delete", "namespace", name, "--wait=false")
        for _attempt in range(100):  # the policy reads namespaces from a cache
            done = guard.kubectl("--as=writer", "-n", name, "delete", "perfp", "going", "--wait=false")
            if done.returncode == 0:
                break
        assert done.returncode == 0, done.stderr
        guard.kubectl("patch", "perfp", "going", "-n", name, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')

    def test_nor_may_the_account_of_an_install_that_only_recommends(self, guard: ControlPlane) -> None:
        """Its right to patch profiles is for the finalizer; a stolen token turns nothing on with it."""
        manifest = _render(["serviceaccount", "rbac-read"], "fullnameOverride=rights-leash")
        guard.apply(manifest)
        guard.apply(_profile("leashed", "Recommend"))
        account, patch = f"system:serviceaccount:{OWN}:rights-leash", '{"spec": {"mode": "Auto"}}'
        said = ""
        for _attempt in range(100):  # the server takes up a new role within seconds; each attempt takes a while
            said = _as(guard, account, "patch", "perfp", "leashed", "--type=merge", "-p", patch)
            if "spec.mode Auto" in said:
                break
        guard.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=manifest)
        assert "spec.mode Auto needs the right to patch Deployment web" in said


class TestWithRightsOnTheWorkload:
    def test_all_of_them_let_auto_and_verbs_pass(self, guard: ControlPlane) -> None:
        assert not _as(guard, "owner", "create", "-f", "-", stdin=_profile("mine", "Auto"))
        assert not _as(guard, "owner", "annotate", "perfp", "mine", "pegbox.dev/try=worker_count=8")

    def test_all_of_them_let_a_deletion_that_restores_pass(self, guard: ControlPlane, wrote: str) -> None:
        assert not _as(guard, "owner", "delete", "perfp", wrote, "--wait=false")

    @pytest.mark.parametrize(("kind", "missing"), [(kind, right) for kind in PLURALS for right in _rights(kind)])
    def test_each_single_one_is_needed(self, guard: ControlPlane, kind: str, missing: str) -> None:
        user = f"without-{kind}-{list(_rights(kind)).index(missing)}"
        _grant(guard, user, [right for name, right in _rights(kind).items() if name != missing])
        said = _as(guard, user, "create", "--dry-run=server", "-f", "-", stdin=_profile("theirs", "Auto", kind))
        assert missing in said

    @pytest.mark.parametrize("kind", PLURALS)
    def test_those_on_the_kind_of_its_target_are_enough_and_say_nothing_of_the_other_kind(
        self, guard: ControlPlane, kind: str
    ) -> None:
        (other,) = set(PLURALS) - {kind}
        user = f"owner-of-{kind}"
        _grant(guard, user, _rights(kind).values())
        create = ("create", "--dry-run=server", "-f", "-")
        assert not _as(guard, user, *create, stdin=_profile("theirs", "Auto", kind))
        said = _as(guard, user, *create, stdin=_profile("theirs", "Auto", other))
        assert f"spec.mode Auto needs the right to patch {other} web in namespace {SERVED}" in said


# What the operator keeps for itself.

KEPT = {
    "tuningledgers": (
        "TuningLedger",
        {"data": {"schemaVersion": 1, "sha256": "0" * 64, "state": "{}"}},
        {"data": {"sha256": "1" * 64}},
    ),
    "podenvironments": (
        "PodEnvironment",
        {"spec": {"profileUID": "u", "target": {"kind": "Deployment", "name": "web"}, "container": "app", "env": []}},
        {"spec": {"container": "other"}},
    ),
}  # fmt: skip
EVERY_RIGHT = [
    *WORKLOAD_RIGHTS.values(),
    ("apps", "statefulsets", ["patch"]),
    ("apps", "statefulsets/scale", ["patch"]),
]


def _kept(resource: str, name: str = "web") -> str:
    kind, body, _ = KEPT[resource]
    meta = {"name": name, "namespace": SERVED}
    return json.dumps({"apiVersion": "pegbox.dev/v1alpha1", "kind": kind, "metadata": meta, **body})


@pytest.fixture(params=KEPT)
def kept(guard: ControlPlane, request: pytest.FixtureRequest) -> Iterator[str]:
    """The resource of an object of the operator's own: a ledger, or variables for new pods."""
    guard.apply(_kept(request.param))
    yield request.param
    guard.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=_kept(request.param))


class TestWhatTheOperatorKeepsForItself:
    """A ledger names what a way back writes, and where; a PodEnvironment what new pods start with."""

    def test_is_not_written_by_who_may_not_write_all_this_himself(self, guard: ControlPlane, kept: str) -> None:
        change = ("patch", kept, "web", "--type=merge", "-p", json.dumps(KEPT[kept][2]))
        for attempt in (("create", "-f", "-"), change, ("delete", kept, "web")):
            said = _as(guard, "writer", *attempt, stdin=_kept(kept, "forged"))
            assert f"{kept} are written by Pegbox; whoever else does needs the right to patch deployments in" in said
            assert "or use a pegbox.dev verb of the profile" in said

    def test_each_single_right_is_needed_and_the_missing_one_is_named(self, guard: ControlPlane, kept: str) -> None:
        single = [(group, resource, verb) for group, resource, verbs in EVERY_RIGHT for verb in verbs]
        for number, lacking in enumerate(single):
            _grant(guard, f"lacks-{number}", [(g, r, [v]) for g, r, v in single if (g, r, v) != lacking])
            said = _as(guard, f"lacks-{number}", "create", "--dry-run=server", "-f", "-", stdin=_kept(kept, "forged"))
            assert f"needs the right to {lacking[2]} {lacking[1]} in namespace {SERVED}" in said

    def test_is_written_by_who_holds_them_all(self, guard: ControlPlane, kept: str) -> None:
        _grant(guard, "keeper", EVERY_RIGHT)
        patch = json.dumps(KEPT[kept][2])
        assert not _as(guard, "keeper", "patch", kept, "web", "--type=merge", "-p", patch)
        assert not _as(guard, "keeper", "delete", kept, "web")

    @pytest.mark.parametrize(
        "metadata",
        [
            pytest.param({"annotations": {"pegbox.dev/parents": '{"workers": "64"}'}}, id="what a canary left"),
            pytest.param({"annotations": {"pegbox.dev/originals": '{"workers": "64"}'}}, id="what was adopted"),
            pytest.param({"labels": {"pegbox.dev/profile": "another"}}, id="whose it is"),
            pytest.param({"finalizers": ["example.com/hold"]}, id="what keeps it"),
            pytest.param(json.loads(OWNED)["metadata"], id="what makes it go"),
        ],
    )
    def test_nor_is_any_word_of_it_that_may_be_believed(
        self, guard: ControlPlane, kept: str, metadata: dict[str, Any]
    ) -> None:
        change = ("patch", kept, "web", "--dry-run=server", "--type=merge", "-p", json.dumps({"metadata": metadata}))
        assert f"{kept} are written by Pegbox" in _as(guard, "writer", *change)
        _grant(guard, "keeper", EVERY_RIGHT)
        assert not _as(guard, "keeper", *change)

    def test_what_changes_nothing_passes(self, guard: ControlPlane, kept: str) -> None:
        assert not _as(
            guard, "writer", "patch", kept, "web", "--type=merge", "-p", '{"metadata": {"labels": {"team": null}}}'
        )

    def test_is_written_by_the_operator_and_by_no_other_account_of_its_namespace(
        self, guard: ControlPlane, kept: str
    ) -> None:
        """An install that only recommends holds none of these rights, and keeps its ledgers."""
        own, other = (f"system:serviceaccount:{OWN}:{name}" for name in ("rights-guard", "another"))
        patch = ("patch", kept, "web", "--type=merge", "-p", json.dumps(KEPT[kept][2]))
        for account in (own, other):
            _grant(guard, account, [])
        assert "are written by Pegbox" in _as(guard, other, *patch)
        assert not _as(guard, own, *patch)

    def test_goes_with_its_namespace(self, guard: ControlPlane, kept: str) -> None:
        user = "system:serviceaccount:kube-system:namespace-controller"
        groups = ("system:serviceaccounts:kube-system", "system:serviceaccounts", "system:authenticated")
        assert not _as(guard, user, *(f"--as-group={group}" for group in groups), "delete", kept, "web")
