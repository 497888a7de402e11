"""Which of the shipped alerts would be pending by what an operator exports now; how long they wait is left to the test."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from prometheus_client import CollectorRegistry

RULES = Path(__file__).parents[2] / "manifests" / "alerts" / "pegbox.yaml"
PLAIN = re.compile(r'(?P<name>\w+)(?:\{(?P<label>\w+)="(?P<text>\w+)"\})? == (?P<value>\d+)')


def due(registry: CollectorRegistry) -> set[str]:
    """Of the rules that ask whether one series has a value; the others need a server."""
    samples = [sample for metric in registry.collect() for sample in metric.samples]
    found = set()
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            asked = PLAIN.fullmatch(rule["expr"])
            if asked is None:
                continue
            mine = (s for s in samples if s.name == asked["name"] and s.value == float(asked["value"]))
            if any(asked["label"] is None or s.labels.get(asked["label"]) == asked["text"] for s in mine):
                found.add(rule["alert"])
    return found
