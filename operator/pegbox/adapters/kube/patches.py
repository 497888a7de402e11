"""JSON patches of objects as they were read: whoever moved or replaced one meanwhile makes them a conflict. Pure."""

from __future__ import annotations

from pegbox.ports import Object


def unmoved(body: Object) -> list[Object]:
    """The tests with which a patch holds for this very object, as it was read, and for no other."""
    meta = body["metadata"]
    return [{"op": "test", "path": f"/metadata/{f}", "value": meta[f]} for f in ("uid", "resourceVersion")]


def annotated(body: Object, name: str, value: str | None) -> list[Object]:
    """The patch that sets one annotation of the object, or takes it away (None: it has to be there)."""
    path = f"/metadata/annotations/{name.replace('~', '~0').replace('/', '~1')}"
    if value is None:
        return [*unmoved(body), {"op": "remove", "path": path}]
    if not body["metadata"].get("annotations"):
        return [*unmoved(body), {"op": "add", "path": "/metadata/annotations", "value": {name: value}}]
    return [*unmoved(body), {"op": "add", "path": path, "value": value}]
