"""Objects of the API in, facts of a workload out."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pegbox.adapters.kube.workload import RESTARTED, decode, selector_text
from pegbox.model.errors import InvalidInput
from pegbox.ports import Object

AT = "2026-01-05T12:00:00Z"


def deployment(*, spec: Object | None = None, status: Object | None = None, generation: int = 3) -> Object:
    """Four replicas, rolled out."""
    done = [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]
    counts = {"replicas": 4, "updatedReplicas": 4, "readyReplicas": 4, "availableReplicas": 4}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "d1", "generation": generation},
        "spec": {"replicas": 4, "selector": {"matchLabels": {"app": "web"}}} | (spec or {}),
        "status": {"observedGeneration": 3, "conditions": done, **counts} | (status or {}),
    }


def progressing(status: str, reason: str) -> Object:
    return {"conditions": [{"type": "Progressing", "status": status, "reason": reason}]}


@pytest.mark.parametrize(("status", "unmade"), [("True", "exceeded quota: pods"), ("False", "")])
def test_what_refuses_the_next_pod_is_in_the_servers_words(status: str, unmade: str) -> None:
    failure = {"type": "ReplicaFailure", "status": status, "reason": "FailedCreate", "message": "exceeded quota: pods"}
    assert decode(deployment(status={"conditions": [failure]}), [], []).unmade == unmade
    assert decode(deployment(), [], []).unmade == ""


@pytest.mark.parametrize(
    ("body", "rolling", "stuck"),
    [
        pytest.param(deployment(), False, False, id="rolled out"),
        pytest.param(deployment(generation=4), True, False, id="the controller has not seen the new spec"),
        pytest.param(deployment(status={"updatedReplicas": 2}), True, False, id="half of the pods are new"),
        pytest.param(deployment(status={"replicas": 5}), True, False, id="an old pod still runs"),
        pytest.param(
            deployment(status=progressing("True", "ReplicaSetUpdated") | {"availableReplicas": 3}),
            True, False, id="new pods are not available yet",
        ),
        pytest.param(
            deployment(status={"availableReplicas": 3, "readyReplicas": 3}), False, False,
            id="a pod that fell ill after the rollout is not a rollout",
        ),
        pytest.param(
            deployment(status=progressing("False", "ProgressDeadlineExceeded") | {"updatedReplicas": 1}),
            True, True, id="stuck",
        ),
        pytest.param(
            deployment(status=progressing("Unknown", "DeploymentPaused") | {"updatedReplicas": 2}),
            True, False, id="paused half-way",
        ),
        pytest.param(
            deployment(status=progressing("Unknown", "DeploymentPaused")),
            False, False, id="paused, but with nothing to roll out",
        ),
        pytest.param(
            deployment(status={"conditions": [], "availableReplicas": 3}), True, False,
            id="without a progress deadline availability decides",
        ),
        pytest.param(
            deployment(spec={"replicas": 0}, status={"replicas": 0, "updatedReplicas": 0, "availableReplicas": 0}),
            False, False, id="scaled to zero",
        ),
    ],
)  # fmt: skip
def test_a_rollout_is_told_from_trouble(body: Object, rolling: bool, stuck: bool) -> None:
    found = decode(body)
    assert (found.rolling, found.stuck) == (rolling, stuck)


@pytest.mark.parametrize(
    ("strategy", "surge"),
    [
        ({}, 1),  # 25 % of 4
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3}}, 3),
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "30%"}}, 2),  # 1.2, rounded up
        ({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0}}, 0),
        ({"type": "Recreate"}, 0),
    ],
    ids=["the default", "a count", "a percentage is rounded up", "none", "Recreate"],
)
def test_surge_is_what_a_rollout_may_add(strategy: Object, surge: int) -> None:
    assert decode(deployment(spec={"strategy": strategy})).surge == surge


def stateful_set(*, strategy: Object | None = None, **status: Any) -> Object:
    settled = {"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3}
    revisions = {"currentRevision": "web-1", "updateRevision": "web-1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "web", "namespace": "shop", "uid": "s1", "generation": 1},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "updateStrategy": strategy or {}},
        "status": settled | revisions | status,
    }


@pytest.mark.parametrize(
    ("body", "rolling"),
    [
        pytest.param(stateful_set(), False, id="rolled out"),
        pytest.param(stateful_set(updateRevision="web-2", updatedReplicas=1), True, id="two pods to go"),
        pytest.param(stateful_set(observedGeneration=0), True, id="not seen yet"),
        pytest.param(stateful_set(replicas=2), True, id="scaling"),
        pytest.param(
            stateful_set(strategy={"type": "OnDelete"}, updateRevision="web-2", updatedReplicas=0),
            False, id="OnDelete may stay so for ever",
        ),
        pytest.param(
            stateful_set(strategy={"rollingUpdate": {"partition": 2}}, updateRevision="web-2", updatedReplicas=1),
            False, id="a partition that is reached",
        ),
        pytest.param(
            stateful_set(strategy={"rollingUpdate": {"partition": 1}}, updateRevision="web-2", updatedReplicas=1),
            True, id="a partition that is not reached",
        ),
    ],
)  # fmt: skip
def test_a_stateful_sets_rollout(body: Object, rolling: bool) -> None:
    found = decode(body)
    assert (found.rolling, found.stuck, found.surge, found.kind) == (rolling, False, 0, "StatefulSet")
    seen = body["status"]["observedGeneration"] == body["metadata"]["generation"]
    assert found.revision == (body["status"]["updateRevision"] if seen else "")


@pytest.mark.parametrize(("ordinals", "first"), [({}, 0), ({"ordinals": {"start": 5}}, 5)], ids=["zero", "stated"])
def test_a_stateful_sets_first_number(ordinals: Object, first: int) -> None:
    body = stateful_set()
    assert decode(body | {"spec": body["spec"] | ordinals}).first == first


def owned(kind: str, name: str, uid: str, owner: str, **metadata: Any) -> Object:
    reference = {"kind": "any", "name": "any", "uid": owner, "controller": True}
    return {"kind": kind, "metadata": {"name": name, "uid": uid, "ownerReferences": [reference], **metadata}}


def replica_set(uid: str, revision: str, digest: str, owner: str = "d1") -> Object:
    annotations = {"deployment.kubernetes.io/revision": revision}
    return owned(
        "ReplicaSet", f"web-{digest}", uid, owner, annotations=annotations, labels={"pod-template-hash": digest}
    )


def pod(name: str, owner: str, *, spec: Object | None = None, **status: Any) -> Object:
    body = owned("Pod", name, f"uid-{name}", owner, labels={"pod-template-hash": "abc"})
    return body | {"spec": spec or {"containers": [{"name": "app"}, {"name": "sidecar"}]}, "status": status}


def test_the_revision_is_the_newest_replica_sets() -> None:
    """Revisions are numbers: 10 is newer than 9, whatever order text would give."""
    sets = [replica_set("r9", "9", "old"), replica_set("r10", "10", "new"), replica_set("r99", "99", "alien", "other")]
    assert decode(deployment(), replica_sets=sets).revision == "new"


def test_a_template_that_its_controller_has_not_seen_has_no_name_yet() -> None:
    sets = [replica_set("r1", "1", "abc")]
    assert decode(deployment(status={"observedGeneration": 0}), replica_sets=sets).revision == ""


def rolled_out(template: Object, made_of: Object) -> tuple[str, str]:
    """The Deployment's template, and the one that its newest ReplicaSet was made of, as its controller makes it."""
    labels = made_of["metadata"]["labels"] | {"pod-template-hash": "abc"}
    made = made_of | {"metadata": made_of["metadata"] | {"labels": labels, "creationTimestamp": None}}
    older = replica_set("r1", "1", "old") | {"spec": {"template": RAW | {"spec": {}}}}
    newest = replica_set("r2", "2", "abc") | {"spec": {"template": made}}
    body = deployment()
    found = decode(body | {"spec": body["spec"] | {"template": template}}, replica_sets=[older, newest])
    assert found.revision == "abc"
    return found.template, found.named


def test_the_template_of_the_revision_is_the_newest_replica_sets() -> None:
    """As the Deployment controller finds it: without the label that it adds. Our note is no difference either."""
    for made_of in (RAW, with_notes(OURS)):
        template, named = rolled_out(RAW, made_of)
        assert template == named


def test_a_deployment_and_a_replica_set_that_were_read_apart_differ() -> None:
    template, named = rolled_out(RAW, containing(image="app:2"))
    assert (template, named) == (templated(RAW, "Deployment"), templated(containing(image="app:2"), "Deployment"))
    assert template != named


def test_a_template_without_a_name_yet_is_not_named() -> None:
    sets = [replica_set("r1", "1", "abc") | {"spec": {"template": RAW}}]
    assert decode(deployment(status={"observedGeneration": 0}), replica_sets=sets).named == ""


RAW = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "app", "image": "app:1", "env": [{"name": "A", "value": "1"}]}]},
}
OURS = {RESTARTED: "u-1-7"}


def templated(template: Object, kind: str) -> str:
    body = deployment() if kind == "Deployment" else stateful_set()
    return decode(body | {"spec": body["spec"] | {"template": template}}).template


def with_notes(notes: Object | None, **more: Any) -> Object:
    return RAW | {"metadata": RAW["metadata"] | {"annotations": notes} | more}


def containing(**fields: Any) -> Object:
    return RAW | {"spec": {"containers": [RAW["spec"]["containers"][0] | fields]}}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
@pytest.mark.parametrize(
    "template",
    [
        pytest.param(with_notes(OURS), id="our note"),
        pytest.param(with_notes({RESTARTED: "u-1-8"}), id="our next note"),
        pytest.param(with_notes({}), id="what is left once our note is gone"),
        pytest.param(with_notes(None, creationTimestamp=None), id="nulls that servers state or leave out"),
        pytest.param(dict(reversed(RAW.items())), id="the order of fields"),
    ],
)
def test_what_is_the_same_template(template: Object, kind: str) -> None:
    assert templated(template, kind) == templated(RAW, kind)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
@pytest.mark.parametrize(
    "template",
    [
        pytest.param(containing(image="app:2"), id="an image"),
        pytest.param(containing(env=[{"name": "A", "value": "2"}]), id="a variable"),
        pytest.param(containing(resources={"limits": {"cpu": "2"}}), id="a limit"),
        pytest.param(with_notes({"kubectl.kubernetes.io/restartedAt": "now"}), id="kubectl rollout restart"),
        pytest.param(with_notes(OURS | {"checksum/config": "ab"}), id="a chart's checksum beside our note"),
        pytest.param(with_notes(None, labels={"app": "web", "version": "2"}), id="a label"),
        pytest.param(RAW | {"spec": RAW["spec"] | {"terminationGracePeriodSeconds": 5}}, id="a field of the pod"),
    ],
)
def test_what_is_another_template(template: Object, kind: str) -> None:
    assert templated(template, kind) != templated(RAW, kind)


def test_pods_of_other_owners_count_nowhere() -> None:
    sets = [replica_set("r1", "1", "abc"), replica_set("r2", "2", "def")]
    pods = [pod("web-b", "r2"), pod("web-a", "r1"), pod("alien", "r9"), {"metadata": {"name": "bare", "uid": "x"}}]
    assert [each.name for each in decode(deployment(), pods, sets).pods] == ["web-a", "web-b"]
    assert [each.name for each in decode(stateful_set(), [pod("web-0", "s1"), pod("x", "r1")]).pods] == ["web-0"]


def made_for(kind: str, name: str, uid: str = "gone") -> Object:
    """A pod with the hash abc and such a controller."""
    reference = {"kind": kind, "name": name, "uid": uid, "controller": True}
    labels = {"pod-template-hash": "abc"}
    return {"metadata": {"name": "old", "uid": "p", "labels": labels, "ownerReferences": [reference]}}


@pytest.mark.parametrize(
    ("target", "body", "expected"),
    [
        pytest.param(deployment(), made_for("ReplicaSet", "web-abc"), True, id="its ReplicaSet is gone, or was another"),
        pytest.param(deployment(), made_for("ReplicaSet", "web-abc", "r1"), False, id="of the Deployment that stands"),
        pytest.param(deployment(), made_for("ReplicaSet", "web-canary-abc"), None, id="another Deployment's pods"),
        pytest.param(deployment(), made_for("ReplicaSet", "web"), None, id="a ReplicaSet that somebody made himself"),
        pytest.param(deployment(), made_for("StatefulSet", "web"), None, id="a StatefulSet beside a Deployment"),
        pytest.param(stateful_set(), made_for("StatefulSet", "web"), True, id="a StatefulSet of that name"),
        pytest.param(stateful_set(), made_for("StatefulSet", "web", "s1"), False, id="the StatefulSet that stands"),
        pytest.param(stateful_set(), made_for("StatefulSet", "web-2"), None, id="another StatefulSet"),
        pytest.param(stateful_set(), made_for("ReplicaSet", "web-abc"), None, id="a Deployment beside a StatefulSet"),
    ],
)  # fmt: skip
def test_pods_of_a_target_of_this_name_that_was_deleted_are_known_as_such(
    target: Object, body: Object, expected: bool | None
) -> None:
    """They match the selector and read our document until the garbage collector has taken them. None: not listed."""
    found = decode(target, [body], [replica_set("r1", "1", "abc")]).pods
    assert [p.former for p in found] == ([] if expected is None else [expected])
    assert all(p.terminating == p.former for p in found), "it goes, also before anybody has told it to"


def facts(body: Object, container: str = "") -> Any:
    [found] = decode(stateful_set(), [body], container=container).pods
    return found


def test_a_pod_that_runs() -> None:
    running = {"name": "app", "restartCount": 2, "state": {"running": {"startedAt": AT}}}
    body = pod(
        "web-0", "s1", phase="Running", startTime="2026-01-05T11:59:00Z",
        conditions=[{"type": "Ready", "status": "True"}], containerStatuses=[running],
    )  # fmt: skip
    found = facts(body)
    assert found.ready and not found.finished and not found.terminating
    assert found.started_at == datetime(2026, 1, 5, 11, 59, tzinfo=UTC)
    assert found.container_started_at == datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
    assert (found.restarts, found.waiting, found.oom_killed_at) == (2, "", None)


@pytest.mark.parametrize(
    ("ready", "seconds"),
    [
        pytest.param({"status": "True", "lastTransitionTime": AT}, 75.0, id="from_its_creation_to_ready"),
        pytest.param({"status": "False", "lastTransitionTime": AT}, None, id="not_ready_yet"),
        pytest.param({"status": "True"}, None, id="nobody_says_when"),
        pytest.param({"status": "True", "lastTransitionTime": "2026-01-05T11:00:00Z"}, 0.0, id="clocks_that_differ"),
    ],
)
def test_how_long_a_pod_took_to_start(ready: Object, seconds: float | None) -> None:
    body = pod("web-0", "s1", phase="Running", conditions=[{"type": "Ready"} | ready])
    body["metadata"]["creationTimestamp"] = "2026-01-05T11:58:45Z"
    assert facts(body).start_up == seconds


def test_a_pod_that_crashes_for_memory() -> None:
    crashing = {
        "name": "app",
        "restartCount": 5,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"reason": "OOMKilled", "finishedAt": AT, "exitCode": 137}},
    }
    found = facts(pod("web-0", "s1", phase="Running", containerStatuses=[crashing]))
    assert found.waiting == "CrashLoopBackOff" and not found.ready
    assert found.oom_killed_at == datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def test_another_exit_is_not_a_kill_for_memory() -> None:
    ended = {"name": "app", "lastState": {"terminated": {"reason": "Error", "finishedAt": AT}}}
    assert facts(pod("web-0", "s1", containerStatuses=[ended])).oom_killed_at is None


def test_the_tuned_container_is_the_named_one_else_the_annotated_else_the_first() -> None:
    statuses = [{"name": name, "restartCount": count} for name, count in (("sidecar", 9), ("app", 1), ("db", 4))]
    body = pod("web-0", "s1", containerStatuses=statuses)
    assert facts(body).restarts == 1  # spec's first is app
    assert facts(body, "db").restarts == 4
    body["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "sidecar"}
    assert facts(body).restarts == 9
    assert facts(body, "db").restarts == 4


def test_a_sidecar_or_init_container_that_waits_is_seen_after_the_tuned_one() -> None:
    statuses = [
        {"name": "sidecar", "state": {"waiting": {"reason": "ImagePullBackOff"}}},
        {"name": "app", "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
    ]
    assert facts(pod("web-0", "s1", containerStatuses=statuses)).waiting == "CrashLoopBackOff"
    assert facts(pod("web-0", "s1", containerStatuses=statuses[:1])).waiting == "ImagePullBackOff"
    waiting = pod("web-0", "s1", initContainerStatuses=statuses[:1])
    assert facts(waiting).waiting == "ImagePullBackOff"


@pytest.mark.parametrize("ended", ["Succeeded", "Failed"])
def test_a_finished_pod_is_listed_but_counts_nowhere(ended: str) -> None:
    found = decode(stateful_set(), [pod("web-0", "s1", phase=ended), pod("web-1", "s1", phase="Running")])
    assert [each.finished for each in found.pods] == [True, False]
    assert [each.name for each in found.unfinished] == ["web-1"]


def test_a_pod_that_goes_is_marked() -> None:
    body = pod("web-0", "s1", phase="Running")
    body["metadata"]["deletionTimestamp"] = AT
    assert facts(body).terminating and not facts(body).finished
    assert facts(body).ends_at == datetime.fromisoformat(body["metadata"]["deletionTimestamp"])


def test_a_pod_without_any_status_yet_is_just_not_ready() -> None:
    body = pod("web-0", "s1")
    del body["status"], body["spec"]
    found = facts(body)
    assert (found.ready, found.started_at, found.restarts, found.container_started_at) == (False, None, 0, None)


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["x", "y"]}]}, "a in (x,y)"),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["x"]}]}, "a notin (x)"),
        (
            {
                "matchLabels": {"a": "1"},
                "matchExpressions": [{"key": "b", "operator": "Exists"}, {"key": "c", "operator": "DoesNotExist"}],
            },
            "a=1,b,!c",
        ),
    ],
    ids=["labels", "in", "not in", "both"],
)
def test_a_selector_becomes_the_text_that_list_takes(selector: Object, text: str) -> None:
    assert selector_text({"spec": {"selector": selector}}) == text


@pytest.mark.parametrize("spec", [{}, {"selector": {}}, {"selector": {"matchLabels": {}}}], ids=str)
def test_an_empty_selector_would_take_every_pod_of_the_namespace_and_is_refused(spec: Object) -> None:
    with pytest.raises(InvalidInput, match="without a selector"):
        selector_text({"spec": spec})


def test_an_unknown_operator_is_refused_by_name() -> None:
    selector = {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}
    with pytest.raises(InvalidInput, match="Gt"):
        selector_text({"spec": {"selector": selector}})
