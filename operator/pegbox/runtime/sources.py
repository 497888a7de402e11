"""Which metrics source answers for a profile: the one that its class names, or silence that says why there is none.

A source that nobody configured is no failure of a wake: it answers as little as a server that is down, and what is
under way, verbs, deletions and brakes go on all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from pegbox.model.errors import InvalidInput
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.ports import MetricsSource, SignalQuery
from pegbox.runtime.reading import Objects


@dataclass(frozen=True, slots=True)
class Silent:
    """Stands where a source should be: each answer is `why`, Missing(MetricsUnreachable)."""

    why: Missing

    async def fetch(
        self, query: SignalQuery, at: datetime, *, namespace: str = "", max_age: float | None = None
    ) -> Missing:
        return self.why

    async def acknowledgements(self, namespace: str, at: datetime, *, max_age: float | None = None) -> Missing:
        return self.why

    async def setting_values(
        self, namespace: str, knobs: Collection[str], at: datetime, *, max_age: float | None = None
    ) -> Missing:
        return self.why

    async def check(self) -> Missing:
        return self.why


def named(sources: Mapping[str, MetricsSource], found: Objects) -> MetricsSource:
    """The source that the class names. Unknown: one that says the field, its value and the names that are known."""
    source = sources.get(found.source)
    if source is not None:
        return source
    field = f"class {found.spec.class_name}: spec.sourceRef"
    known = f"known sources: {', '.join(sorted(sources))}; correct it, or configure the source"
    return Silent(Missing(Reason.METRICS_UNREACHABLE, str(InvalidInput(field, found.source, known))))


def not_asked_yet(source: MetricsSource) -> Missing:
    """What is observed before any question."""
    return source.why if isinstance(source, Silent) else Missing(Reason.NO_DATA)
