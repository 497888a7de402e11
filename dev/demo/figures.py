"""What the demo measures: by the load generator's, PostgreSQL's and the upstream's own word, never by Pegbox's."""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict, dataclass
from typing import Any

from dev.demo.cluster import DemoError, get, kubectl, service

INTERVAL = 5.0  # seconds between the generator's reports


@dataclass(frozen=True)
class Figures:
    """Means over a span of the generator's intervals. `p95` in seconds, of issues committed in the span."""

    seconds: float
    offered: float
    committed: float
    p95: float
    success: float

    def words(self) -> str:
        return (
            f"{self.committed:.1f}/s of {self.offered:.1f}/s, P95 {self.p95 * 1000:.0f} ms, success {self.success:.2%}"
        )

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


class Generator:
    """Reads the generator's log, one JSON line per interval, each line once."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.lines: list[dict[str, Any]] = []

    def read(self) -> list[dict[str, Any]]:
        """All interval lines so far, of the newest generator pod."""
        text = kubectl("logs", "-n", self.namespace, "deployment/issue-generator", "--tail=-1")
        parsed = []
        for line in text.splitlines():
            try:
                body = json.loads(line)
            except ValueError:
                continue
            if "committed_per_s" in body:
                parsed.append(body)
        self.lines = parsed
        return parsed

    def span(self, seconds: float, timeout: float = 120.0) -> Figures:
        """Wait for `seconds` of new intervals and pool them."""
        count, start, deadline = max(1, round(seconds / INTERVAL)), len(self.read()), time.monotonic() + timeout
        while len(self.read()) < start + count:
            if time.monotonic() > deadline + seconds:
                raise DemoError("the load generator reports nothing: see `make kubectl ARGS='logs -n demo ...'`")
            time.sleep(1)
        return pooled(self.lines[start : start + count])


def pooled(lines: list[dict[str, Any]]) -> Figures:
    """One figure of several intervals. P95 over a minute is the generator's own; over less, the intervals' largest.

    What was accepted and neither committed nor committed before counts as failed, as do refused and lost issues.
    """
    seconds = sum(line["seconds"] for line in lines)
    offered = sum(line["offered_per_s"] * line["seconds"] for line in lines)
    committed = sum(line["committed_per_s"] * line["seconds"] for line in lines)
    left_over = max(0, lines[-1]["backlog"] - lines[0]["backlog"])
    failed = sum(line["rejected"] + line["lost"] for line in lines) + left_over
    p95 = max((line["p95"] for line in lines if "p95" in line), default=float("inf"))
    if len(lines) * INTERVAL >= 60 and "p95_minute" in lines[-1]:
        p95 = lines[-1]["p95_minute"]
    success = 1 - failed / offered if offered else 0.0
    return Figures(seconds, offered / seconds, committed / seconds, p95, success)


@dataclass(frozen=True)
class Budgets:
    """What the owners of the budgets saw, since the demo began."""

    connection_limit: int
    connections_refused: int
    rate_limit: int
    rate_most: int
    concurrency_limit: int
    concurrency_most: int
    limit_exceeded: int

    @property
    def kept(self) -> bool:
        return self.connections_refused == 0 and self.limit_exceeded == 0


def budgets(namespace: str) -> Budgets:
    """PostgreSQL's own limit and refusals from its log; the upstream's own counters."""
    log = kubectl("logs", "-n", namespace, "deployment/issue-postgres", "--tail=-1")
    refused = len(re.findall(r"too many connections for role", log))
    query = "select rolconnlimit from pg_roles where rolname = 'app'"
    limit = kubectl(
        "exec", "-n", namespace, "deployment/issue-postgres", "--",
        "env", "PGPASSWORD=demo-generator",
        "psql", "-h", "127.0.0.1", "-U", "generator", "-d", "issues", "-tAc", query,
    )  # fmt: skip
    stats = service(namespace, "issue-upstream", 8081, "/stats")
    return Budgets(
        connection_limit=int(limit.strip()),
        connections_refused=refused,
        rate_limit=stats["rate_limit"],
        rate_most=stats["window_max"],
        concurrency_limit=stats["concurrency_limit"],
        concurrency_most=stats["in_flight_max"],
        limit_exceeded=stats["limit_exceeded"],
    )


def document(namespace: str) -> dict[str, Any]:
    """The settings document in the ConfigMap, or {}."""
    body = get("configmap", "issue-workers-pegbox", namespace)
    text = body.get("data", {}).get("settings.json")
    return dict(json.loads(text)) if text else {}
