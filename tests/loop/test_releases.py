"""Another release of Pegbox takes over: what it can read it goes on with, and what it cannot read it does not guess at."""

from __future__ import annotations

import hashlib
import json

from pegbox.api import ledger_codec
from pegbox.model.trials import IntentKind
from pegbox.ports import LEDGER, PROFILE, Ref
from tests.loop.world import World, trying


async def rewrite(world: World, **data: object) -> None:
    """The ledger's data, as another release would have left it: it is the same field manager."""
    body = await world.outside.get(Ref(LEDGER, world.namespace, "checkout"))
    meta = {key: body["metadata"][key] for key in ("name", "namespace", "labels") if key in body["metadata"]}
    await world.pegbox.apply(body | {"metadata": meta, "data": body["data"] | data}, force=True)


async def test_upgraded_in_mid_trial_the_next_release_goes_on_with_it() -> None:
    """It knows a field that the former one did not write: the trial is judged all the same."""
    world = await trying()
    body = await world.outside.get(Ref(LEDGER, world.namespace, "checkout"))
    state = json.loads(body["data"]["state"])
    assert state["intent"].pop("cohort", None) is None
    text = json.dumps(state, sort_keys=True, separators=(",", ":"))
    await rewrite(world, state=text, sha256=hashlib.sha256(text.encode()).hexdigest())
    world.restart()
    ledger = await world.rest()
    assert [t.state.value for t in ledger.trials] == ["Accepted"]
    assert "LedgerLost" not in world.events.reasons()


async def test_downgraded_to_a_release_that_cannot_read_the_ledger_it_says_so_and_loses_no_original() -> None:
    world = await trying()
    await rewrite(world, schemaVersion=ledger_codec.SCHEMA_VERSION + 1, later="field")
    number = (await world.document()).generation
    world.restart()
    ledger = await world.rest()
    lost = [event.message for _, event in world.events.emitted if event.reason.value == "LedgerLost"]
    assert lost and "run the newer release" in lost[0]
    assert await world.values() == {"workers": "3"}, "what pods run is kept: nobody knows whether it was judged"
    assert ledger.adopted is not None and ledger.adopted.number("workers") == 2
    assert (await world.document()).generation >= number
    await world.delete()
    await world.turns(8)
    assert await world.find(Ref(PROFILE, world.namespace, "checkout")) is None
    assert await world.values() == {"workers": "2"}


async def test_upgraded_again_afterwards_it_works_with_what_the_older_one_wrote() -> None:
    world = await trying()
    await rewrite(world, schemaVersion=ledger_codec.SCHEMA_VERSION + 1)
    world.restart()
    await world.rest()
    body = await world.outside.get(Ref(LEDGER, world.namespace, "checkout"))
    assert body["data"]["schemaVersion"] == 1
    world.restart()
    await world.steady()
    await world.annotate("try", "workers=2")
    await world.turn()
    intent = await world.intent()
    assert intent is not None and intent.kind is IntentKind.TRIAL, await world.why()
    assert world.events.reasons().count("LedgerLost") == 1
