"""The objects of a small shop: a class with a knob in every kind of place, profiles, Deployments, ConfigMaps."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from pegbox.ports import Object

NAMESPACE = "shop"
API = "pegbox.dev/v1alpha1"
POLICY = Path(__file__).parents[2] / "manifests" / "admission" / "podenvironments.yaml"
APP = "app: {name: shop}  # theirs\ncache:\n  size: 2   # entries\n"


def _knob(name: str, location: Object | None = None, **fields: Any) -> Object:
    place = {"location": location} if location is not None else {}
    return {"name": name, "min": 1, "max": 64, **place, **fields}


def _size(name: str, side: str, resource: str = "cpu") -> Object:
    kind, low, high = ("Cpu", "50m", "4") if resource == "cpu" else ("Bytes", "16Mi", "8Gi")
    place = {"kind": "ContainerResource", "resource": resource, "side": side}
    return {"name": name, "type": kind, "min": low, "max": high, "location": place}


CLASS: Object = {
    "apiVersion": API,
    "kind": "PerformanceClass",
    "metadata": {"name": "service"},
    "spec": {
        "knobs": [
            _knob("workers", role="Concurrency"),
            _knob("pool", role="Pool"),
            _knob("buffer", max=1024),  # no role: what it does nobody tells
            _knob("threads", {"kind": "Env"}, effect="Restart"),
            _knob("lanes", {"kind": "PodEnv"}, effect="Restart"),
            _knob("cache", {"kind": "ConfigMapPath"}),
            _knob("backlog", {"kind": "ConfigMapKey"}),
            _knob("min_replicas", {"kind": "HPAMinReplicas"}),
            _knob("max_replicas", {"kind": "HPAMaxReplicas"}),
            _knob("replicas", {"kind": "Replicas"}),
            _size("cpu_request", "requests"),
            _size("cpu_limit", "limits"),
            _size("memory_request", "requests", "memory"),
            _size("memory_limit", "limits", "memory"),
        ],
        "signals": [
            {
                "name": "duration",
                "kind": "Histogram",
                "purpose": "Latency",
                "expr": "rate(d_bucket{$matchers}[$window])",
                "sumExpr": "rate(d_sum{$matchers}[$window])",
                "countExpr": "rate(d_count{$matchers}[$window])",
            },
            {"name": "arrivals", "kind": "Rate", "purpose": "Load", "expr": "rate(a{$matchers}[$window])"},
            {
                "name": "success",
                "kind": "Ratio",
                "purpose": "Errors",
                "expr": 'rate(t{outcome="success",$matchers}[$window])',
                "countExpr": "rate(t{$matchers}[$window])",
            },
        ],
    },
}

ALWAYS = {"name": "always", "from": "2020-01-01T00:00:00Z", "until": "2040-01-01T00:00:00Z"}  # a freeze

QUICK = {
    "settle": "0s",
    "cooldown": "0s",
    "maxStep": "100%",
    "ackTimeout": "30s",
    "trialWindow": "5s",
    "trialTimeout": "2m",
    "failuresToOpen": 3,
}


def hot(name: str = "workers", initial: int = 2, **fields: Any) -> Object:
    """A knob of the settings document."""
    return {"name": name, "initial": initial, **fields}


def env(name: str = "threads", initial: int = 2) -> Object:
    return {"name": name, "initial": initial}


def variable(name: str = "lanes", initial: int = 2, **fields: Any) -> Object:
    """A knob whose value admission puts into new pods."""
    return {"name": name, "initial": initial, **fields}


def policy() -> list[Object]:
    """The shipped admission policy and its binding."""
    return list(yaml.safe_load_all(POLICY.read_text(encoding="utf-8")))


def with_variables(body: Object, *entries: Object) -> Object:
    """The container of a workload with variables of its owner."""
    out = copy.deepcopy(body)
    out["spec"]["template"]["spec"]["containers"][0]["env"] = list(entries)
    return out


def path(name: str = "cache", at: str = "cache.size", key: str = "app.yaml", **fields: Any) -> Object:
    return {"name": name, "location": {"configMap": "app-config", "key": key, "path": at}, **fields}


def plain(name: str = "backlog", key: str = "BACKLOG", **fields: Any) -> Object:
    return {"name": name, "location": {"configMap": "app-config", "key": key}, **fields}


def profile(name: str = "checkout", *knobs: Object, target: str = "", kind: str = "Deployment", **spec: Any) -> Object:
    """Auto, quick guards, only the knobs that are named."""
    whole = {
        "targetRef": {"kind": kind, "name": target or name},
        "classRef": {"name": "service"},
        "preset": "Custom",
        "mode": "Auto",
        "interval": "5s",
        "knobs": list(knobs or (hot(),)),
        "guards": dict(QUICK),
        "slos": [{"name": "fast", "signal": "duration", "threshold": "500ms", "goal": "90%", "minimumEvents": 10}],
    }
    return _object(API, "PerformanceProfile", name) | {"spec": whole | copy.deepcopy(spec)}


def deployment(name: str = "checkout", replicas: int = 2, **pod: Any) -> Object:
    """Mounts the settings document and its own ConfigMap, both as directories."""
    mounts = [{"name": each, "mountPath": f"/etc/{each}"} for each in ("settings", "app")]
    container = {"name": "app", "image": "example.invalid/app:1", "volumeMounts": mounts}
    volumes = [
        {"name": "settings", "configMap": {"name": f"{name}-pegbox", "optional": True}},
        {"name": "app", "configMap": {"name": "app-config", "optional": True}},
    ]
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container], "volumes": volumes} | pod}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return _object("apps/v1", "Deployment", name) | {"spec": spec}


def sized(body: Object, **sides: dict[str, str]) -> Object:
    """The container of a workload with `requests` and `limits`."""
    out = copy.deepcopy(body)
    out["spec"]["template"]["spec"]["containers"][0]["resources"] = sides
    return out


def stateful_set(name: str = "checkout", replicas: int = 2, **strategy: Any) -> Object:
    """The same pods, numbered; `strategy` is what its updateStrategy says."""
    body = deployment(name, replicas) | {"kind": "StatefulSet"}
    extra = {"serviceName": name} | ({"updateStrategy": strategy} if strategy else {})
    return body | {"spec": body["spec"] | extra}


def workload(kind: str, name: str = "checkout", replicas: int = 2) -> Object:
    """A Deployment or a StatefulSet."""
    return (stateful_set if kind == "StatefulSet" else deployment)(name, replicas)


def without_replicas(body: Object) -> Object:
    """The owner leaves `replicas` out of what he applies."""
    spec = {key: each for key, each in body["spec"].items() if key != "replicas"}
    return body | {"spec": spec}


def config_map(name: str = "app-config", **data: str) -> Object:
    return _object("v1", "ConfigMap", name) | {"data": data or {"app.yaml": APP, "BACKLOG": "2\n"}}


def hpa(
    name: str = "checkout", low: int = 2, high: int = 4, target: str = "checkout", kind: str = "Deployment"
) -> Object:
    ref = {"apiVersion": "apps/v1", "kind": kind, "name": target}
    spec = {"scaleTargetRef": ref, "minReplicas": low, "maxReplicas": high}
    return _object("autoscaling/v2", "HorizontalPodAutoscaler", name) | {"spec": spec}


def budget(name: str = "postgres", capacity: int = 100, reserve: int = 0) -> Object:
    return _object(API, "SharedBudget", name) | {"spec": {"capacity": capacity, "reserve": reserve}}


def pdb(name: str = "checkout") -> Object:
    spec = {"minAvailable": "100%", "selector": {"matchLabels": {"app": name}}}
    return _object("policy/v1", "PodDisruptionBudget", name) | {"spec": spec}


def _object(api_version: str, kind: str, name: str) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}}


def placed(body: Object, namespace: str) -> Object:
    """A copy in another namespace; cluster-scoped kinds stay as they are."""
    out = copy.deepcopy(body)
    if "namespace" in out["metadata"]:
        out["metadata"]["namespace"] = namespace
    return out
