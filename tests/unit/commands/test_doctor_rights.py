"""The rights that doctor asks for are those that the shipped manifests grant: no more, or it would cry wolf."""

from __future__ import annotations

from pathlib import Path

import pytest

from pegbox.commands.doctor_install import LEASE_RIGHTS, READ, WRITE, Right
from tests.shipped import documents

MANIFESTS = Path(__file__).resolve().parents[3] / "manifests"


def granted(*files: str) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for file in files
        for document in documents(MANIFESTS / file)
        if document["kind"] in ("ClusterRole", "Role")
        for rule in document.get("rules") or []
        if not rule.get("resourceNames")  # doctor asks about the resource, not about one name
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize("right", [*READ, LEASE_RIGHTS], ids=str)
def test_a_recommending_install_holds_every_right_to_read(right: Right) -> None:
    held = granted("install.yaml")
    assert {(right.group, right.resource, verb) for verb in right.verbs} <= held


@pytest.mark.parametrize("right", WRITE, ids=str)
def test_the_rights_to_write_come_with_allow_writes_alone(right: Right) -> None:
    wanted = {(right.group, right.resource, verb) for verb in right.verbs}
    assert wanted <= granted("allow-writes.yaml")
    assert not wanted & granted("install.yaml")
