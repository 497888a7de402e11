"""Our definitions are replaced in place while a trial is under way: by those of a newer release, and back."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml

from dev.cluster.control import ControlPlane
from pegbox.model.errors import PegboxError
from tests.contract.conftest import CRDS
from tests.loop import documents
from tests.loop.world import World

FILES = sorted(CRDS.glob("*.yaml"))


def newer(text: str) -> dict[str, Any]:
    """The definition as a later release may ship it: one more field in every spec and status, one more column."""
    body: dict[str, Any] = copy.deepcopy(yaml.safe_load(text))
    for version in body["spec"]["versions"]:
        fields = version["schema"]["openAPIV3Schema"]["properties"]
        for part in ("spec", "status"):
            if fields.get(part, {}).get("properties"):
                fields[part]["properties"]["later"] = {"type": "string", "maxLength": 8}
        age = {"name": "Later", "type": "date", "jsonPath": ".metadata.creationTimestamp", "priority": 1}
        version.setdefault("additionalPrinterColumns", []).append(age)
    return body


def install(plane: ControlPlane, *, next_release: bool) -> None:
    for file in FILES:
        text = file.read_text()
        plane.apply(json.dumps(newer(text)) if next_release else text)


async def served(world: World) -> bool:
    """Does the server take the newer field by now? It takes up a definition that moved in its own time."""
    body = documents.placed(documents.profile("probe", target="nobody"), world.namespace)
    body["spec"]["later"] = "field"
    try:
        await world.outside.apply(body, force=True)
    except PegboxError:
        return False
    await world.delete("probe")
    return True


@pytest.mark.parametrize("back", [False, True], ids=["upgraded", "upgraded_and_downgraded"])
async def test_the_trial_goes_on_and_no_object_is_lost(shop: World, control_plane: ControlPlane, back: bool) -> None:
    await shop.add(documents.profile(), workers=2)
    await shop.steady()
    await shop.annotate("try", "workers=3")
    await shop.turn()
    before = await shop.profile()
    try:
        install(control_plane, next_release=True)
        for _attempt in range(200):
            if await served(shop):
                break
        assert await served(shop), "the newer definition is in use"
        if back:
            install(control_plane, next_release=False)
        ledger = await shop.rest()
        assert [t.state.value for t in ledger.trials] == ["Accepted"]
        assert await shop.values() == {"workers": "3"}
        after = await shop.profile()
        assert (after["metadata"]["uid"], after["spec"]) == (before["metadata"]["uid"], before["spec"])
        assert (await shop.condition("Ready"))[0] == "True" and (await shop.condition("Degraded"))[0] == "False"
        assert "LedgerLost" not in shop.events.reasons()
    finally:
        install(control_plane, next_release=False)
