"""What violations of invariants are planted with."""

from __future__ import annotations

import json

from pegbox.api import ledger_codec
from pegbox.model.knobs import values_hash
from pegbox.model.trials import Ledger
from tests.chaos.world import NAMESPACE, World


async def remembered(world: World, ledger: Ledger, name: str = "checkout") -> None:
    """This ledger stands on the server."""
    body = ledger_codec.encode(ledger, namespace=NAMESPACE, name=name, profile=name, written_at=world.clock.now())
    await world.server.apply(body, force=True)


async def written(world: World, generation: int = 0, name: str = "checkout", **values: int) -> None:
    """The operator's own client writes these values into the settings document."""
    app = world.apps[name]
    document = app.document
    assert document is not None
    document["values"] |= {n: str(v) for n, v in values.items()}
    document |= {"hash": values_hash(document["values"]), "generation": generation or document["generation"] + 1}
    operation = {"op": "add", "path": "/data/settings.json", "value": json.dumps(document)}
    await world.server.json_patch(app.own_ref, [operation])
