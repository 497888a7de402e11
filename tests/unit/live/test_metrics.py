"""Claims of the exported names: these are what the shipped classes query."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from pegbox.live import Gauge, Resizable, TaskMetrics, WorkloadMetrics


async def test_a_watched_pool_shows_use_limit_line_and_busy_seconds() -> None:
    now = [0.0]
    registry = CollectorRegistry()
    limiter = Resizable(3, clock=lambda: now[0])
    WorkloadMetrics(registry).watch_pool("db", limiter)
    await limiter.acquire()
    now[0] = 2.0

    def value(name: str) -> float | None:
        return registry.get_sample_value(name, {"pool": "db"})

    assert (value("pegbox_pool_in_use"), value("pegbox_pool_limit"), value("pegbox_pool_waiting")) == (
        1,
        3,
        0,
    )
    assert value("pegbox_pool_busy_seconds_total") == 2.0
    assert value("pegbox_pool_wait_seconds_count") == 1.0


def test_pools_share_one_family_each() -> None:
    registry = CollectorRegistry()
    metrics = WorkloadMetrics(registry)
    metrics.watch_pool("db", Resizable(3))
    metrics.watch_pool("http", Resizable(5))
    metrics.add(Gauge("pegbox_queue_length", "Tasks waiting.", lambda: 7))
    text = generate_latest(registry).decode()
    assert text.count("# TYPE pegbox_pool_limit gauge") == 1
    assert 'pegbox_pool_limit{pool="http"} 5.0' in text
    assert "pegbox_queue_length 7.0" in text


def test_every_outcome_exists_from_the_start_so_that_a_rate_has_a_first_sample() -> None:
    registry = CollectorRegistry()
    TaskMetrics(registry)
    for outcome in ("success", "failure", "expired", "rejected"):
        assert registry.get_sample_value("pegbox_tasks_total", {"outcome": outcome}) == 0.0
    assert registry.get_sample_value("pegbox_tasks_arrived_total") == 0.0
    assert registry.get_sample_value("pegbox_task_duration_seconds_bucket", {"le": "0.5"}) == 0.0
