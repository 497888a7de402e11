"""Events of events.k8s.io/v1, each said once in a while: nobody reads a thousand copies, and etcd keeps them."""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from datetime import datetime

from pegbox.model.decisions import Event
from pegbox.model.errors import PegboxError
from pegbox.ports import EVENT, Clock, Cluster, Object

CONTROLLER = "pegbox.dev/operator"
REPEAT_SECONDS = 600.0
_REMEMBERED = 2048
_NOTE = 1024  # bytes; the server refuses more
_NAME = 200

log = logging.getLogger(__name__)


class KubeEvents:
    """Implements ports.EventSink. The same object, reason and message is written once in ten minutes."""

    def __init__(self, cluster: Cluster, clock: Clock, *, instance: str) -> None:
        """`instance` is the pod's name."""
        self._cluster, self._clock, self._instance = cluster, clock, instance
        self._said: OrderedDict[str, float] = OrderedDict()

    async def emit(self, regarding: Object, event: Event) -> None:
        key = _digest(regarding, event)
        now = self._clock.monotonic()
        said = self._said.get(key)
        if said is not None and now - said < REPEAT_SECONDS:
            return
        self._remember(key, now)
        try:
            await self._cluster.create(self._body(regarding, event, key))
        except PegboxError as error:
            self._said.pop(key, None)
            log.warning("event %s dropped: %s", event.reason.value, error)
        except Exception:
            self._said.pop(key, None)
            log.exception("event %s dropped", event.reason.value)

    def _remember(self, key: str, now: float) -> None:
        self._said[key] = now
        self._said.move_to_end(key)
        while len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)

    def _body(self, regarding: Object, event: Event, key: str) -> Object:
        metadata = regarding["metadata"]
        namespace = metadata.get("namespace") or "default"  # where the server wants those of cluster-wide objects
        at = self._clock.now()
        reference = {"apiVersion": regarding["apiVersion"], "kind": regarding["kind"], "name": metadata["name"]}
        reference |= {key: metadata[key] for key in ("namespace", "uid", "resourceVersion") if metadata.get(key)}
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"name": _name(str(metadata["name"]), key, at), "namespace": namespace},
            "eventTime": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance[:128],
            "action": event.reason.value,
            "reason": event.reason.value,
            "regarding": reference,
            "note": event.message.encode()[:_NOTE].decode(errors="ignore"),
            "type": "Warning" if event.warning else "Normal",
        }


def _digest(regarding: Object, event: Event) -> str:
    metadata = regarding["metadata"]
    parts = (metadata.get("uid", ""), metadata.get("namespace", ""), metadata["name"], event.reason, event.message)
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def _name(regarding: str, key: str, at: datetime) -> str:
    """Unique per object, event and moment."""
    return f"{regarding[:_NAME]}.{key[:8]}{int(at.timestamp() * 1000):x}"
