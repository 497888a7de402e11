"""Variables of containers: in templates, in pods, and in the PodEnvironment whose policy puts them there. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pegbox.adapters.kube import owners, resources
from pegbox.ports import FIELD_MANAGER, Object

POLICY = "podenvironments.pegbox.dev"  # its name and its binding's: one serves the whole cluster, like the CRDs


def stated(pod: Mapping[str, Any], container: str) -> dict[str, str | None]:
    """The variables of a pod's or a template's container; None for one that is taken from elsewhere."""
    found = resources.container(pod, container) or {}
    return {
        str(each["name"]): None if each.get("valueFrom") else str(each.get("value", ""))
        for each in found.get("env") or ()
    }


def entries(environment: Mapping[str, Any] | None) -> dict[str, Object]:
    """What a PodEnvironment puts into pods, by the variable's name."""
    listed = ((environment or {}).get("spec") or {}).get("env") or ()
    return {str(each["name"]): dict(each) for each in listed}


def acts(entry: Mapping[str, Any], text: str | None, *, named: bool) -> bool:
    """Does the policy apply an entry to a container that states `text` (`named`: that states the variable at all)?"""
    return entry.get("over") == text if named and text is not None else not named and "over" not in entry


def path(container: str, variable: str) -> owners.Path:
    """The field of a workload's template that holds a variable's text."""
    item = "k:" + json.dumps({"name": variable}, separators=(",", ":"))
    return (*owners.container_field(container, "env"), item, "f:value")


def entry_path(variable: str) -> owners.Path:
    """The field of a PodEnvironment that holds it."""
    return ("f:spec", "f:env", "k:" + json.dumps({"name": variable}, separators=(",", ":")), "f:value")


def written_at(environment: Mapping[str, Any] | None) -> datetime | None:
    """When we last changed what it says, by the clock of the API server, which also dates pods. None where it does not
    exist. It is created empty; a fence changes nothing that it says.
    """
    if environment is None:
        return None
    times = [
        str(entry["time"])
        for entry in environment["metadata"].get("managedFields") or ()
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply" and entry.get("time")
    ]
    return datetime.fromisoformat(max(times, default=str(environment["metadata"]["creationTimestamp"])))


def created_at(pod: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(pod["metadata"]["creationTimestamp"]))
