"""A metrics server that can be asked by pods, with a queue worker behind it whose figures are worked by hand.

Two pods; a task holds a worker for 100 ms, so capacity is 20 tasks/s for each unit of worker_count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pegbox.adapters.prometheus.promql import Scope
from pegbox.model.observations import Missing
from pegbox.model.profile import Purpose, SignalKind
from pegbox.model.reasons import Reason
from pegbox.ports import SignalQuery, SignalRow, SignalRows
from pegbox.testing.clock import START
from pegbox.testing.metrics import FakeMetrics, Scenario, nothing

NOW = START
PODS = ("checkout-5d8f7-aaaaa", "checkout-5d8f7-bbbbb")
HOLD = 0.1
SMALLEST = Path(__file__).resolve().parents[3] / "manifests" / "samples" / "smallest.yaml"
Values = Mapping[str, Mapping[str, float]]


class ScopedMetrics(FakeMetrics):
    """FakeMetrics that also answers questions about pods by name, with values that depend on the moment."""

    def __init__(self, scenario: Scenario = nothing, values_at: Callable[[datetime], Values] | None = None) -> None:
        super().__init__(scenario)
        self.values_at = values_at
        self.scopes: list[Scope] = []

    async def fetch_scope(self, query: SignalQuery, scope: Scope, at: datetime) -> SignalRows | Missing:
        self.scopes.append(scope)
        if self.down is not None:
            return self.down
        answer = self.scenario(query, at)
        if isinstance(answer, Missing):
            return answer
        rows = tuple(answer)
        return SignalRows(rows, at) if rows else Missing(Reason.NO_DATA, "the query answered with no series")

    async def setting_values(self, namespace: str, knobs: Collection[str], at: datetime) -> Values | Missing:
        if self.down is not None or self.values_at is None:
            return await super().setting_values(namespace, knobs, at)
        found = self.values_at(at)
        return found or Missing(Reason.NOT_REPORTED, f"no pod of namespace {namespace} exports pegbox_setting_value")


class Plant:
    """Rows of the queue worker. `load` and `workers` depend on the moment."""

    def __init__(
        self,
        load: Callable[[datetime], float],
        workers: Callable[[datetime], int],
        *,
        profile: str = "shop/checkout",
        setting: str = "",
    ) -> None:
        self.load, self.workers = load, workers
        self.profile, self.setting = profile, setting

    def __call__(self, query: SignalQuery, at: datetime) -> Iterator[SignalRow]:
        middle = at - timedelta(seconds=query.window / 2)
        load, workers = self.load(middle), self.workers(middle)
        served = min(load, 20.0 * workers)
        late = served < load * 0.97
        signal = query.signal

        def row(part: str, value: float, le: float | None = None) -> SignalRow:
            setting = "" if signal.purpose is Purpose.LOAD else self.setting
            return SignalRow(self.profile, "", setting, part, value, le, pods=2)

        if signal.purpose is Purpose.LOAD:
            yield row("value", load)
        elif signal.kind is SignalKind.RATE:
            yield row("value", served)
        elif signal.kind is SignalKind.RATIO:
            yield from (row("good", served), row("all", served))
        elif signal.kind is SignalKind.HISTOGRAM:
            in_time = 0.2 if late else 0.99
            yield from (row("count", served), row("sum", served * (2.0 if late else HOLD)))
            yield from (row("bucket", served * share, le) for le, share in _buckets(in_time))
        elif signal.knob == "worker_count":
            yield row("value", served * HOLD / (2 * workers))


def _buckets(in_time: float) -> list[tuple[float, float]]:
    return [(0.25, in_time / 2), (0.5, in_time), (5.0, 1.0), (math.inf, 1.0)]


def both(**values: float) -> Values:
    """Both pods report the same."""
    return {pod: dict(values) for pod in PODS}


def wish_arguments(**more: Any) -> Any:
    """`recommend`'s arguments, as the command line gives them."""
    from argparse import Namespace

    given = {
        "file": str(SMALLEST),
        "class_file": None,
        "window": "5m",
        "history": None,
        "pods": None,
        "deployment": None,
        "given": [],
        "json": False,
    }
    return Namespace(**{**given, **more})
