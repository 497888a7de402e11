"""What an install may do, asked of a real API server right by right, and who may turn on Auto."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

import pytest
import yaml

from dev import chart
from dev.cluster.control import ControlPlane

Right = tuple[str, str, str]
SERVED, OTHER, OWN = "rights-shop", "rights-other", "pegbox-system"
RBAC = ("serviceaccount", "rbac-read", "rbac-write")

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
RESOURCES = (
    ("", "configmaps"), ("", "events"), ("", "pods"), ("", "pods/eviction"), ("", "pods/exec"), ("", "pods/resize"),
    ("", "secrets"), ("", "serviceaccounts"), ("", "services"), ("apps", "deployments"), ("apps", "deployments/scale"),
    ("apps", "replicasets"), ("apps", "statefulsets"), ("apps", "statefulsets/scale"),
    ("autoscaling", "horizontalpodautoscalers"), ("autoscaling.k8s.io", "verticalpodautoscalers"),
    ("coordination.k8s.io", "leases"), ("events.k8s.io", "events"), ("keda.sh", "scaledobjects"),
    ("pegbox.dev", "performanceclasses"), ("pegbox.dev", "performanceprofiles"),
    ("pegbox.dev", "performanceprofiles/finalizers"), ("pegbox.dev", "performanceprofiles/status"),
    ("pegbox.dev", "sharedbudgets"), ("pegbox.dev", "sharedbudgets/status"), ("pegbox.dev", "tuningledgers"),
    ("policy", "poddisruptionbudgets"), ("rbac.authorization.k8s.io", "roles"),
)  # fmt: skip


def _table(text: str) -> set[Right]:
    """One line a resource: group (- for the core one), resource, verbs."""
    rows = [line.split() for line in text.strip().splitlines()]
    return {("" if group == "-" else group, resource, verb) for group, resource, *verbs in rows for verb in verbs}


CLASSES = _table("pegbox.dev performanceclasses get list watch")
READ = _table("""
-                   configmaps                  get list watch
-                   pods                        get list
-                   events                      create
events.k8s.io       events                      create
apps                deployments                 get list
apps                deployments/scale           get list
apps                replicasets                 get list
apps                statefulsets                get list
apps                statefulsets/scale          get list
autoscaling         horizontalpodautoscalers    get list
autoscaling.k8s.io  verticalpodautoscalers      get list
keda.sh             scaledobjects               get list
policy              poddisruptionbudgets        get list
pegbox.dev          performanceprofiles         get list watch patch
pegbox.dev          performanceprofiles/status  get patch update
pegbox.dev          sharedbudgets               get list watch
pegbox.dev          sharedbudgets/status        get patch update
pegbox.dev          tuningledgers               get list watch create update patch delete
""")
WRITE = _table("""
-            configmaps                      create update patch
-            pods/eviction                   create
apps         deployments                     patch
apps         deployments/scale               update patch
apps         statefulsets                    patch
apps         statefulsets/scale              update patch
autoscaling  horizontalpodautoscalers        create update patch
pegbox.dev   performanceprofiles/finalizers  update
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


def _render(name: str, parts: Iterable[str], *settings: str) -> str:
    options = [part for setting in (f"fullnameOverride={name}", *settings) for part in ("--set", setting)]
    text = chart.template(*options)
    documents = [d for d in yaml.load_all(text, yaml.CSafeLoader) if d]
    wanted = {f"Source: pegbox/templates/{part}.yaml" for part in parts}
    kinds = {kind for source in text.split("\n---\n") if any(w in source for w in wanted) for kind in [source]}
    assert kinds, f"the chart has no templates {parts}"
    del documents
    return "\n---\n".join(sorted(kinds))


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> ControlPlane:
    for namespace in (OWN, SERVED, OTHER):
        control_plane.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}))
    return control_plane
