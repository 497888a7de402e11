"""Profiles of one class on a real API server, each with a Deployment and two pods that nobody runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks.exporter import Pods
from dev.cluster.control import ControlPlane
from pegbox.adapters.clock import SystemClock
from pegbox.adapters.kube.client import KubeCluster
from pegbox.adapters.kube.connect import connect
from pegbox.adapters.kube.limits import TokenBucket
from pegbox.api import ledger_codec
from pegbox.model.errors import NotFound
from pegbox.model.trials import Intent
from pegbox.ports import DEPLOYMENT, LEDGER, PROFILE, Kind, Object, Ref
from pegbox.testing.pods import FakePods

ROOT = Path(__file__).resolve().parents[1]
CLASS_FILE = ROOT / "manifests" / "classes" / "python-worker.yaml"
SERVICE_ACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts")
PER_NAMESPACE = 10
PODS = 2


def install(plane: ControlPlane) -> None:
    """CRDs, the shipped class, and the namespace of the Lease."""
    for manifest in sorted((ROOT / "crds").glob("*.yaml")):
        plane.apply(manifest.read_text())
        plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(manifest))
    plane.apply(CLASS_FILE.read_text())
    plane.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: pegbox-system}\n")


async def opened(plane: ControlPlane) -> Fleet:
    clock = SystemClock()
    return Fleet(await outside(plane, clock), clock)


async def outside(plane: ControlPlane, clock: SystemClock) -> KubeCluster:
    """The server as everybody but Pegbox uses it."""
    api = await connect(clock, kubeconfig=plane.kubeconfig)
    limit = TokenBucket(clock, rate=500.0, burst=500)
    return KubeCluster(api, clock, manager="kubelet", limit=limit, kinds=[SERVICE_ACCOUNT])


@dataclass
class Fleet:
    """`size` profiles, PER_NAMESPACE to a namespace."""

    cluster: KubeCluster
    clock: SystemClock
    pods: Pods = field(default_factory=Pods)
    interval: int = 30
    window: int = 30
    size: int = 0
    workloads: dict[str, FakePods] = field(default_factory=dict)

    async def grow(self, size: int) -> None:
        for first in range(self.size, size, PER_NAMESPACE):
            await self.namespace(_namespace(first))
        gate = asyncio.Semaphore(4)

        async def one(number: int) -> None:
            async with gate:
                await self._add(_namespace(number), f"app-{number:03}")

        await asyncio.gather(*(one(number) for number in range(self.size, size)))
        self.size = max(size, self.size)

    @property
    def keys(self) -> list[str]:
        return [f"{_namespace(n)}/app-{n:03}" for n in range(self.size)]

    @property
    def namespaces(self) -> int:
        return len({_namespace(n) for n in range(self.size)})

    async def namespace(self, name: str) -> None:
        """Without controllers nobody makes the service account that a pod needs."""
        await self.cluster.apply(object_of("v1", "Namespace", "", name), force=True)
        await self.cluster.apply(object_of("v1", "ServiceAccount", name, "default"), force=True)

    async def _add(self, namespace: str, name: str) -> None:
        await self.workload(namespace, name)
        await self.cluster.apply(self.profile(namespace, name), force=True)

    async def workload(self, namespace: str, name: str) -> FakePods:
        """A Deployment with its pods, who report what they run."""
        await self.cluster.apply(_deployment(namespace, name), force=True)
        target = Ref(DEPLOYMENT, namespace, name)
        played = self.workloads[f"{namespace}/{name}"] = FakePods(
            self.cluster, self.clock, target, f"{name}-pegbox", self.pods.metrics
        )
        for pod in await played.settle():
            self.pods.add(namespace, pod["metadata"]["name"])
        return played

    def profile(self, namespace: str, name: str, mode: str = "Recommend") -> Object:
        """All defaults, but for the evidence's window: six scrapes."""
        spec = {
            "targetRef": {"kind": "Deployment", "name": name},
            "classRef": {"name": "python-worker"},
            "mode": mode,
            "interval": f"{self.interval}s",
            "guards": {"trialWindow": f"{self.window}s"},
            "slos": [{"name": "fast", "signal": "task_duration", "threshold": "500ms", "goal": "95%"}],
        }
        return object_of("pegbox.dev/v1alpha1", "PerformanceProfile", namespace, name) | {"spec": spec}

    async def try_one(self, key: str, what: str, token: str = "benchmark") -> None:
        """Ask for a trial, as `pegbox try` does."""
        namespace, _, name = key.partition("/")
        body = self.profile(namespace, name, "Auto")
        body["metadata"]["annotations"] = {"pegbox.dev/try": f"{token} {what}"}
        await self.cluster.apply(body, force=True)

    async def recommend_only(self, key: str) -> None:
        namespace, _, name = key.partition("/")
        await self.cluster.apply(self.profile(namespace, name), force=True)

    async def intent(self, key: str) -> Intent | None:
        """What the ledger says is under way."""
        namespace, _, name = key.partition("/")
        try:
            return ledger_codec.decode(await self.cluster.get(Ref(LEDGER, namespace, name))).intent
        except NotFound:
            return None

    async def status(self, key: str) -> dict[str, Any]:
        namespace, _, name = key.partition("/")
        found = await self.cluster.get(Ref(PROFILE, namespace, name))
        return dict(found.get("status") or {})

    async def close(self) -> None:
        await self.cluster.close()


def distinct(knobs: set[str], slo_signals: set[str]) -> int:
    """Distinct (class, signal, window, matchers) of these profiles, counted from the class's file alone.

    All profiles have one trial window and no matchers: so it is the signals that are of use to them, and each signal
    of an SLO once more, over the SLO's own window. A busy signal is of use where the profile has its knob, an SLO
    signal where an SLO names it.
    """
    signals = yaml.safe_load(CLASS_FILE.read_text())["spec"]["signals"]
    used = [s for s in signals if s.get("knob") is None or s["knob"] in knobs]
    return sum(1 for s in used if s["purpose"] != "SLO" or s["name"] in slo_signals) + len(slo_signals)


def _namespace(number: int) -> str:
    return f"shop-{number // PER_NAMESPACE:02}"


def _deployment(namespace: str, name: str) -> Object:
    """The settings document mounted as a directory, and limits, as a real one would have them."""
    container = {
        "name": "app",
        "image": "example.invalid/app:1",
        "resources": {"requests": {"cpu": "500m", "memory": "256Mi"}, "limits": {"cpu": "2"}},
        "volumeMounts": [{"name": "settings", "mountPath": "/etc/settings"}],
    }
    volumes = [{"name": "settings", "configMap": {"name": f"{name}-pegbox", "optional": True}}]
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container], "volumes": volumes}}
    spec = {"replicas": PODS, "selector": {"matchLabels": {"app": name}}, "template": template}
    return object_of("apps/v1", "Deployment", namespace, name) | {"spec": spec}


def object_of(api_version: str, kind: str, namespace: str, name: str) -> Object:
    meta = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": meta}
