"""Find an object that need not be there."""

from __future__ import annotations

from pegbox.model.errors import NotFound
from pegbox.ports import Cluster, Object, Ref


async def maybe(cluster: Cluster, ref: Ref) -> Object | None:
    try:
        return await cluster.get(ref)
    except NotFound:
        return None
