"""Documents that the api's tests start from, and a way to change one place of them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from tests.shipped import documents

ROOT = Path(__file__).resolve().parents[3]
MANIFESTS = ROOT / "manifests"
Document = dict[str, Any]

PROFILE: Document = {
    "apiVersion": "pegbox.dev/v1alpha1",
    "kind": "PerformanceProfile",
    "metadata": {"name": "checkout", "namespace": "shop", "uid": "u-1", "generation": 7},
    "spec": {
        "targetRef": {"kind": "Deployment", "name": "checkout"},
        "classRef": {"name": "worker"},
        "slos": [{"name": "fast", "signal": "duration", "threshold": "500ms", "goal": "95%"}],
    },
}

SIZE = {"kind": "ContainerResource", "resource": "cpu", "side": "requests"}
CLASS: Document = {
    "apiVersion": "pegbox.dev/v1alpha1",
    "kind": "PerformanceClass",
    "metadata": {"name": "worker", "generation": 3},
    "spec": {
        "knobs": [
            {
                "name": "workers",
                "role": "Concurrency",
                "min": 1,
                "max": 64,
                "default": "max(2, cpus)",
                "presets": [{"name": "HighPerformance", "value": "2 * cpus"}],
            },
            {"name": "pool", "role": "Pool", "min": 1, "max": 100, "default": 20, "maxStep": "40%"},
            {"name": "overflow", "min": 0, "max": 100, "default": 15},
            {"name": "timeout", "type": "Duration", "min": "100ms", "max": "1h", "default": "30s"},
            {"name": "memory", "type": "Bytes", "min": "64Mi", "max": "4Gi"},
            {"name": "cpu", "type": "Cpu", "min": "250m", "max": "4"},
            {"name": "share", "type": "Decimal", "min": "0.1", "max": "1", "default": "0.8"},
            {"name": "tracing", "type": "Boolean", "default": "false"},
            {"name": "level", "type": "Choice", "choices": ["low", "high"], "default": "low"},
            {"name": "min_replicas", "role": "Replicas", "location": {"kind": "HPAMinReplicas"}, "min": 1, "max": 50},
            {"name": "max_replicas", "role": "Replicas", "location": {"kind": "HPAMaxReplicas"}, "min": 1, "max": 50},
            {"name": "replicas", "role": "Replicas", "location": {"kind": "Replicas"}, "min": 1, "max": 50},
            {"name": "heap", "effect": "Restart", "location": {"kind": "Env"}, "min": 1, "max": 9, "default": 4},
            {"name": "cache", "location": {"kind": "ConfigMapKey"}, "min": 1, "max": 9},
            {"name": "cpu_request", "type": "Cpu", "location": SIZE, "min": "10m", "max": "8"},
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
            {
                "name": "success",
                "kind": "Ratio",
                "purpose": "Errors",
                "expr": 'rate(t{outcome="success",$matchers}[$window])',
                "countExpr": "rate(t{$matchers}[$window])",
            },
            {"name": "arrivals", "kind": "Rate", "purpose": "Load", "expr": "rate(a{$matchers}[$window])"},
            {
                "name": "workers_busy",
                "kind": "Gauge",
                "purpose": "Busy",
                "knob": "workers",
                "expr": "avg_over_time(b{$matchers}[$window])",
            },
        ],
        "rules": [
            {"name": "pool", "expr": "pool <= workers * 50", "message": "pool must not exceed 50 per worker"},
            {
                "name": "replicas",
                "expr": "min_replicas <= max_replicas",
                "message": "min_replicas is above max_replicas",
            },
        ],
    },
}


def changed(document: Document, **spec: Any) -> Document:
    """A deep copy whose spec has these fields set."""
    body = copy.deepcopy(document)
    body["spec"].update(copy.deepcopy(spec))
    return body


def profile(**spec: Any) -> Document:
    return changed(PROFILE, **spec)


def knob(**fields: Any) -> Document:
    """The profile with one knob of its own."""
    return profile(knobs=[fields])


def class_with(part: str, name: str, **fields: Any) -> Document:
    """The class with fields of one knob, signal or rule set; None removes a field."""
    body = copy.deepcopy(CLASS)
    entry = next(item for item in body["spec"][part] if item["name"] == name)
    for key, value in fields.items():
        if value is None:
            entry.pop(key, None)
        else:
            entry[key] = value
    return body


def shipped(kind: str) -> list[Document]:
    """Every document of this kind below manifests/."""
    files = sorted([*MANIFESTS.glob("classes/*.yaml"), *MANIFESTS.glob("samples/*.yaml")])
    return [copy.deepcopy(d) for file in files for d in documents(file) if d["kind"] == kind]
