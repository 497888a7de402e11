"""etcd is killed under the API server in mid-trial, and started again."""

from __future__ import annotations

from dev.cluster.control import ETCD, ControlPlane
from pegbox.model.trials import IntentKind
from tests.loop import documents
from tests.loop.world import World


async def test_nothing_acknowledged_is_lost_and_the_trial_goes_on(shop: World, control_plane: ControlPlane) -> None:
    await shop.add(documents.profile(), workers=2)
    await shop.steady()
    await shop.annotate("try", "workers=3")
    await shop.turn()
    recorded, document = await shop.ledger(), await shop.document()
    assert recorded is not None and recorded.intent is not None and recorded.intent.kind is IntentKind.TRIAL
    control_plane.processes.stop(ETCD, 0.0)  # SIGKILL
    try:
        assert await shop.wake() == -1.0, "the wake fails, and backs off"
    finally:
        control_plane.launch(controllers=False)
    assert (await shop.ledger(), await shop.document()) == (recorded, document)
    ledger = await shop.rest()
    assert [trial.state.value for trial in ledger.trials] == ["Accepted"]
    assert await shop.values() == {"workers": "3"}
    assert "LedgerLost" not in shop.events.reasons()
