"""Events, kept in a list."""

from __future__ import annotations

from pegbox.model.decisions import Event
from pegbox.ports import Object


class FakeEvents:
    """Implements ports.EventSink. `emitted` holds (namespace/name of the object, event), oldest first."""

    def __init__(self) -> None:
        self.emitted: list[tuple[str, Event]] = []

    async def emit(self, regarding: Object, event: Event) -> None:
        metadata = regarding["metadata"]
        self.emitted.append((f"{metadata.get('namespace', '')}/{metadata['name']}", event))

    def reasons(self) -> list[str]:
        return [event.reason.value for _, event in self.emitted]
