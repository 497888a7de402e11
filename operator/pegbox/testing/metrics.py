"""A metrics server that a function answers for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime

from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Acknowledgement
from pegbox.ports import SignalQuery, SignalRow, SignalRows

Scenario = Callable[[SignalQuery, datetime], Iterable[SignalRow] | Missing]


def nothing(query: SignalQuery, at: datetime) -> tuple[SignalRow, ...]:
    """The scenario of a server that has no series."""
    return ()


class FakeMetrics:
    """Implements ports.MetricsSource. `scenario` answers signals; acknowledgements and values are set by hand
    or by FakePods. `down`, where set, is the answer to everything. `asked` logs every signal query.
    """

    def __init__(self, scenario: Scenario = nothing) -> None:
        self.scenario = scenario
        self.down: Missing | None = None
        self.acks: dict[str, dict[str, Acknowledgement]] = {}
        self.values: dict[str, dict[str, dict[str, float]]] = {}
        self.asked: list[SignalQuery] = []

    async def fetch(
        self, query: SignalQuery, at: datetime, *, namespace: str = "", max_age: float | None = None
    ) -> SignalRows | Missing:
        self.asked.append(query)
        if self.down is not None:
            return self.down
        answer = self.scenario(query, at)
        return answer if isinstance(answer, Missing) else SignalRows(tuple(answer), at)

    async def acknowledgements(
        self, namespace: str, at: datetime, *, max_age: float | None = None
    ) -> Mapping[str, Acknowledgement] | Missing:
        if self.down is not None:
            return self.down
        said = dict(self.acks.get(namespace, {}))
        return said or Missing(Reason.NOT_REPORTED, "no pod says what it runs")

    async def setting_values(
        self, namespace: str, knobs: Collection[str], at: datetime, *, max_age: float | None = None
    ) -> Mapping[str, Mapping[str, float]] | Missing:
        if self.down is not None:
            return self.down
        exported = self.values.get(namespace, {})
        said = {pod: {n: v for n, v in values.items() if n in knobs} for pod, values in exported.items()}
        said = {pod: values for pod, values in said.items() if values}
        return said or Missing(Reason.NOT_REPORTED, "no pod says what it runs")

    async def check(self) -> Missing | None:
        return self.down

    def acknowledge(
        self, namespace: str, pod: str, ack: Acknowledgement, values: Mapping[str, float] | None = None
    ) -> None:
        """The pod exports this from now on."""
        self.acks.setdefault(namespace, {})[pod] = ack
        if values is not None:
            self.values.setdefault(namespace, {})[pod] = dict(values)

    def forget(self, namespace: str, pod: str) -> None:
        """The pod is gone: its series went stale."""
        self.acks.get(namespace, {}).pop(pod, None)
        self.values.get(namespace, {}).pop(pod, None)
