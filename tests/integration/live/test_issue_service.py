"""The whole example as processes on loopback: live settings, no lost issue, limits kept by others' books."""

from __future__ import annotations

import json
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "issue-service"
GOOD = {"worker_count": "8", "http_pool": "8", "pool_size": "8", "worker_queue_capacity": "5000", "batch_size": "2"}


@pytest.fixture
def run_local(postgres_server: Any, redis_port: int) -> Any:
    """Depends on the servers' fixtures so that it skips, or fails, where they do."""
    import run_local

    return run_local


def changed_workload(folder: Path, **numbers: str) -> Path:
    text = (EXAMPLE / "workload.toml").read_text()
    for name, value in numbers.items():
        text, found = re.subn(rf"(?m)^{name} = [0-9.]+", f"{name} = {value}", text)
        assert found == 1
    path = folder / "workload.toml"
    path.write_text(text)
    return path


def post(running: Any, ids: list[str]) -> int:
    """Offer issues; the number accepted."""
    body = {"issues": [{"id": each, "scheduled_at": time.time(), "payload": "x" * 100} for each in ids]}
    request = urllib.request.Request(
        f"http://127.0.0.1:{running.ingress_port}/issues",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(json.load(response)["accepted"])
    except urllib.error.HTTPError as error:
        return int(json.load(error)["accepted"])


def until(condition: Callable[[], bool], within: float) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.1)


def committed(running: Any) -> int:
    return int(running.database.run_sql("select count(*) from issues where committed_at is not null", "issues"))


def sessions(running: Any) -> int:
    return int(running.database.run_sql("select count(*) from pg_stat_activity where usename = 'app'"))


def test_a_killed_worker_loses_no_issue_and_none_is_committed_twice(run_local: Any, tmp_path: Path) -> None:
    workload = changed_workload(tmp_path, lease="2.0")
    with run_local.service(workload, workers=2, settings=GOOD) as running:
        assert post(running, [f"k-{n}" for n in range(400)]) == 400
        until(lambda: committed(running) >= 40, within=30)
        victim = running.processes.pop("worker-0")
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        until(lambda: committed(running) == 400, within=60)
        rows = running.database.run_sql("select count(*), count(distinct issue_id) from issue_details", "issues")
        # 3 statements per issue: claim, one detail, commit.
        assert rows == "400|400"


def test_a_live_change_is_in_force_at_the_server_when_it_is_acknowledged(run_local: Any) -> None:
    with run_local.service(EXAMPLE / "workload.toml", workers=1, settings=GOOD) as running:
        running.acknowledged_after()
        assert post(running, [f"s-{n}" for n in range(600)]) == 600
        until(lambda: sessions(running) == 8, within=20)
        running.write_settings({**GOOD, "worker_count": "2", "pool_size": "2", "http_pool": "2"})
        running.acknowledged_after()
        assert sessions(running) <= 2
        assert running.upstream_stats()["in_flight"] <= 2
        running.write_settings({**GOOD, "worker_count": "6", "pool_size": "6", "http_pool": "6"})
        running.acknowledged_after()
        until(lambda: sessions(running) == 6, within=20)
        running.write_settings({**GOOD, "worker_queue_capacity": "1"})
        running.acknowledged_after()
        assert post(running, ["r-1"]) == 0, "the queue holds more than its new capacity: new issues are refused"


def test_a_database_that_refuses_for_a_while_costs_no_issue_an_attempt(run_local: Any) -> None:
    with run_local.service(EXAMPLE / "workload.toml", workers=1, settings=GOOD) as running:
        running.database.run_sql("alter role app connection limit 0")
        running.database.run_sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")
        assert post(running, [f"d-{n}" for n in range(50)]) == 50
        log = running.folder / "worker-0.log"
        until(lambda: log.read_text().count("waits for better times") >= 30, within=60)
        running.database.run_sql("alter role app connection limit 32")
        until(lambda: committed(running) == 50, within=30)


def test_all_pods_together_keep_the_upstreams_rate_limit_by_its_own_books(run_local: Any, tmp_path: Path) -> None:
    workload = changed_workload(tmp_path, rate_limit="30")
    settings = {**GOOD, "batch_size": "1"}
    with run_local.service(workload, workers=2, settings=settings) as running:
        assert post(running, [f"l-{n}" for n in range(200)]) == 200
        until(lambda: committed(running) == 200, within=60)
        stats = running.upstream_stats()
    assert stats["limit_exceeded"] == 0
    # 16 connections alone would allow 16 / 0.2 s = 80 calls a second.
    assert 20 <= stats["window_max"] <= 30


def test_without_a_document_the_service_starts_with_its_own_values(run_local: Any) -> None:
    with run_local.service(EXAMPLE / "workload.toml", workers=1) as running:
        port = running.metrics_ports[0]
        assert run_local.sample(port, "pegbox_settings_generation") is None
        assert run_local.sample(port, 'pegbox_setting_value{knob="worker_count"}') == 1.0
        assert post(running, ["d-1"]) == 1
        until(lambda: committed(running) == 1, within=20)
