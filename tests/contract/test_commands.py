"""Commands on a real API server: definitions compared as it stores them, verbs by JSON patch, rights by review."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.cluster.control import ControlPlane
from pegbox.adapters.kube.client import KubeCluster
from pegbox.commands import doctor_install, verbs
from pegbox.commands.doctor import Patient, examine
from pegbox.commands.findings import Level
from pegbox.commands.output import Exit
from pegbox.commands.verbs import Asked
from pegbox.ports import PROFILE, Object, Ref
from pegbox.runtime import reading

ROOT = Path(__file__).resolve().parents[2]
CLASS = yaml.safe_load((ROOT / "manifests/classes/python-worker.yaml").read_text())


def _profile(namespace: str, **spec: Any) -> Object:
    body = {
        "targetRef": {"kind": "Deployment", "name": "checkout"},
        "classRef": {"name": "python-worker"},
        "mode": "Auto",
        **spec,
    }
    meta = {"name": "checkout", "namespace": namespace}
    return {"apiVersion": "pegbox.dev/v1alpha1", "kind": "PerformanceProfile", "metadata": meta, "spec": body}


@pytest.fixture
async def profile(cluster: KubeCluster, namespace: str) -> Ref:
    await cluster.apply(CLASS, force=True)
    await cluster.apply(_profile(namespace))
    return Ref(PROFILE, namespace, "checkout")


def run(plane: ControlPlane, *arguments: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The program as people start it."""
    command = [sys.executable, "-m", "pegbox", *arguments, "--kubeconfig", str(kubeconfig or plane.kubeconfig)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)


async def test_the_definitions_that_the_server_stores_are_this_version_s(cluster: KubeCluster) -> None:
    found = await doctor_install.definitions(cluster)
    assert [(f.about, f.level, f.text) for f in found if f.level is not Level.OK] == []


async def test_a_verb_reaches_the_operator_s_eyes_and_is_waited_for(
    cluster: KubeCluster, profile: Ref, control_plane: ControlPlane
) -> None:
    asked = Asked(profile, "try", "worker_count=4", "0f3a")
    await verbs.request(cluster, asked)
    found = await reading.read_spec(cluster, profile.namespace, profile.name, None)
    assert [(r.verb, r.token, r.argument) for r in reading.requests(found)] == [("try", "0f3a", "worker_count=4")]
    key = f"{profile.namespace}/{profile.name}"
    waiting = asyncio.create_task(asyncio.to_thread(run, control_plane, "pause", key, "2h", "--wait", "30"))
    token, _, argument = (await _annotation(cluster, profile, "pause")).partition(" ")
    assert argument == "2h"
    status = {"observedGeneration": 1, "tokens": [{"name": "pause", "value": token}], "why": "Paused: on request"}
    body = {**_profile(profile.namespace), "status": status}
    del body["spec"]
    await cluster.apply(body, force=True, subresource="status")
    ended = await waiting
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Paused: on request" in ended.stdout


async def _annotation(cluster: KubeCluster, profile: Ref, verb: str) -> str:
    """The verb's annotation, once the program, which takes a second to start, has written it."""
    for _ in range(600):
        annotations = (await cluster.get(profile))["metadata"].get("annotations") or {}
        if f"pegbox.dev/{verb}" in annotations:
            return str(annotations[f"pegbox.dev/{verb}"])
        await asyncio.sleep(0.1)
    pytest.fail(f"{profile}: no annotation for {verb} within a minute")


async def test_a_profile_that_moved_in_between_is_read_again(cluster: KubeCluster, profile: Ref) -> None:
    await cluster.apply(_profile(profile.namespace, interval="45s"))
    await asyncio.gather(*(verbs.request(cluster, Asked(profile, v, "", "0f3a")) for v in ("pause", "reset", "resume")))
    annotations = (await cluster.get(profile))["metadata"]["annotations"]
    assert set(annotations) == {"pegbox.dev/pause", "pegbox.dev/reset", "pegbox.dev/resume"}


async def test_an_account_without_rights_is_told_which_it_lacks(
    control_plane: ControlPlane, client: Any, namespace: str
) -> None:
    nobody = control_plane.kubeconfig_for(f"system:serviceaccount:{namespace}:nobody", ["system:serviceaccounts"])
    cluster = await client(kubeconfig=nobody)
    found = await examine(Patient(cluster, namespace=namespace), datetime.now(UTC))
    texts = [f.text for f in found if f.about == "rights to read"]
    assert "tuningledgers.pegbox.dev: may not get, list, create, patch, delete" in texts
    assert [f.level for f in found if f.about == "rights to write"] == [Level.NOTE]
    assert all(f.level is Level.NOTE for f in found if f.about.startswith("CRD "))


def test_the_doctor_explain_and_a_try_from_the_command_line(control_plane: ControlPlane, profile: Ref) -> None:
    key = f"{profile.namespace}/{profile.name}"
    told = run(control_plane, "doctor", "-n", profile.namespace)
    assert (told.returncode, told.stderr) == (Exit.FOUND, "")
    assert "TargetNotFound" in told.stdout
    assert "CRD performanceprofiles" in told.stdout
    explained = run(control_plane, "explain", key)
    assert (explained.returncode, explained.stderr) == (0, "")
    assert "is it running?" in explained.stdout
    nobody = run(control_plane, "reset", f"{profile.namespace}/nobody")
    assert nobody.returncode == Exit.INVALID
    assert nobody.stderr.startswith("pegbox: NAMESPACE/NAME: ")
    assert nobody.stderr.count("\n") == 1


def test_an_api_server_that_is_not_there_takes_one_line(tmp_path: Path) -> None:
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    body = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context]}
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(yaml.safe_dump({**body, "users": [{"name": "u", "user": {}}], "current-context": "c"}))
    command = [sys.executable, "-m", "pegbox", "doctor", "--kubeconfig", str(kubeconfig)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert found.returncode == Exit.INVALID
    assert found.stderr.count("\n") == 1
    assert "Traceback" not in found.stderr
