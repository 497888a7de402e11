"""Counters of three processes at one moment: the operator's, Prometheus's and the API server's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import requests
from prometheus_client.parser import text_string_to_metric_families

from dev.cluster.control import ControlPlane

WRITES = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"})
ASKED = frozenset({"subjectaccessreviews", "selfsubjectaccessreviews", "tokenreviews", "selfsubjectreviews"})
"""Questions that Kubernetes spells as POST: nothing is stored."""

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Counters:
    """Totals since each process started. `size` in bytes, `writes` by resource."""

    reconciles: float
    reconcile_seconds: float
    queries: float  # the operator's word
    samples: float
    size: float
    served: float  # Prometheus's word: instant queries that it answered
    requests: float  # to the API server, watches left out
    writes: Counter[str]

    def since(self, before: Counters) -> Counters:
        return Counters(
            reconciles=self.reconciles - before.reconciles,
            reconcile_seconds=self.reconcile_seconds - before.reconcile_seconds,
            queries=self.queries - before.queries,
            samples=self.samples - before.samples,
            size=self.size - before.size,
            served=self.served - before.served,
            requests=self.requests - before.requests,
            writes=self.writes - before.writes,
        )


@dataclass(frozen=True)
class Readings:
    """Where to read them."""

    operator: str
    prometheus: str
    plane: ControlPlane

    def reconciles(self) -> float:
        return _total(self._families(self.operator), "pegbox_reconcile_seconds_count")

    def read(self) -> Counters:
        operator, server = self._families(self.operator), self._families(self.prometheus)
        asked = self._apiserver()
        return Counters(
            reconciles=_total(operator, "pegbox_reconcile_seconds_count"),
            reconcile_seconds=_total(operator, "pegbox_reconcile_seconds_sum"),
            queries=_total(operator, "pegbox_prometheus_queries_total"),
            samples=_total(operator, "pegbox_prometheus_samples_total"),
            size=_total(operator, "pegbox_prometheus_bytes_total"),
            served=_total(server, "prometheus_http_requests_total", lambda at: at.get("handler") == "/api/v1/query"),
            requests=sum(asked.values()),
            writes=Counter({what: n for (verb, what), n in asked.items() if verb in WRITES and n}),
        )

    def _apiserver(self) -> Counter[tuple[str, str]]:
        """(verb, resource) -> requests, without what the server asks of itself all the time."""
        found: Counter[tuple[str, str]] = Counter()
        headers = {"Authorization": f"Bearer {self.plane.token}"}
        text = requests.get(
            f"{self.plane.url}/metrics", headers=headers, verify=str(self.plane.ca_file), timeout=30
        ).text
        for family in text_string_to_metric_families(text):
            if family.name != "apiserver_request":
                continue
            for sample in family.samples:
                verb, what = sample.labels.get("verb", ""), sample.labels.get("resource", "")
                if sample.name.endswith("_total") and what and verb != "WATCH" and what not in ASKED:
                    part = sample.labels.get("subresource", "")
                    found[verb, f"{what}/{part}" if part else what] += int(sample.value)
        return found

    @staticmethod
    def _families(url: str) -> list[tuple[str, Labels, float]]:
        text = requests.get(url, timeout=30).text
        return [(s.name, s.labels, s.value) for f in text_string_to_metric_families(text) for s in f.samples]


def _total(
    samples: list[tuple[str, Labels, float]], name: str, picked: Callable[[Labels], bool] = lambda _: True
) -> float:
    return sum(value for found, labels, value in samples if found == name and picked(labels))
