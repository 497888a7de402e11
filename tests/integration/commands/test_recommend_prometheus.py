"""recommend against a real Prometheus that scrapes two pods of a queue worker: the whole command, as people start it.

Each pod has one worker that takes 100 ms a task, so the two serve 20 of the 30 tasks/s that arrive.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
import yaml

from tests import levels

ROOT = Path(__file__).resolve().parents[3]
PODS = ("checkout-5d8f7-aaaaa", "checkout-5d8f7-bbbbb")
SECONDS = 14.0  # of scrapes before anybody asks: one window of 10 s, with room


class _Pod(BaseHTTPRequestHandler):
    """15 arrivals, 10 completions a second; every fifth within 500 ms, 2 s in the mean; the worker always busy."""

    started = time.time()

    def do_GET(self) -> None:
        n = time.time() - self.started
        text = (
            f"# TYPE pegbox_tasks_arrived counter\npegbox_tasks_arrived_total {15 * n}\n"
            f'# TYPE pegbox_tasks counter\npegbox_tasks_total{{outcome="success"}} {10 * n}\n'
            "# TYPE pegbox_task_duration_seconds histogram\n"
            f'pegbox_task_duration_seconds_bucket{{le="0.5"}} {2 * n}\n'
            f'pegbox_task_duration_seconds_bucket{{le="5.0"}} {10 * n}\n'
            f'pegbox_task_duration_seconds_bucket{{le="+Inf"}} {10 * n}\n'
            f"pegbox_task_duration_seconds_sum {20 * n}\npegbox_task_duration_seconds_count {10 * n}\n"
            "# TYPE pegbox_workers_busy gauge\npegbox_workers_busy 1\n"
            "# TYPE pegbox_workers_limit gauge\npegbox_workers_limit 1\n"
            '# TYPE pegbox_setting_value gauge\npegbox_setting_value{knob="worker_count"} 1\n'
        )
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    binary, directory = levels.prometheus(), tmp_path_factory.mktemp("prometheus")
    exporter = ThreadingHTTPServer(("127.0.0.1", 0), _Pod)
    thread = threading.Thread(target=exporter.serve_forever, daemon=True)
    thread.start()
    targets = [
        {
            "targets": [f"127.0.0.1:{exporter.server_address[1]}"],
            "labels": {"namespace": "shop", "pod": pod, "instance": f"{pod}:8000"},
        }
        for pod in PODS
    ]
    job = {"job_name": "pods", "scrape_interval": "1s", "scrape_timeout": "1s", "static_configs": targets}
    (directory / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [job]}))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [binary, f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        _wait(f"http://{address}", process, directory / "log")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(timeout=20)
        exporter.shutdown()
        thread.join()
        exporter.server_close()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until enough scrapes are there; polled, as a server's history has no event."""
    query = {"query": "min(count_over_time(pegbox_workers_busy[1m])) and count(pegbox_workers_busy) == 2"}
    for _ in range(600):
        if process.poll() is not None:
            pytest.fail(f"Prometheus ended with {process.returncode}: {log.read_text()[-2000:]}")
        with suppress(requests.RequestException):
            result = requests.get(f"{url}/api/v1/query", params=query, timeout=2).json()["data"]["result"]
            if result and float(result[0]["value"][1]) >= SECONDS:
                return
        time.sleep(0.1)
    pytest.fail(f"no scrapes within 60 s: {log.read_text()[-2000:]}")


def recommend(url: str, *arguments: str, file: str = "manifests/samples/smallest.yaml") -> tuple[int, str, str]:
    command = [sys.executable, "-m", "pegbox", "recommend", "-f", str(ROOT / file), "--prometheus", url]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
    found = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, env=environment)
    return found.returncode, found.stdout, found.stderr


def test_the_busy_worker_is_raised(url: str) -> None:
    code, out, err = recommend(url, "--window", "10s")
    assert (code, err) == (0, "")
    row = next(line.split() for line in out.splitlines() if line.startswith("worker_count"))
    assert row[:3] == ["worker_count", "1", "2"]
    assert "67% of the offered load is served" in out  # 10 of 15 per pod
    assert "2 pods" in out
    assert "goal 95%: unknown" in out or "missed" in out  # the SLO's own window of 5 min is not full yet


def test_the_same_as_json_with_figures(url: str) -> None:
    code, out, _ = recommend(url, "--window", "10s", "--json")
    body = json.loads(out)
    assert code == 0
    assert body["observation"]["load"] == pytest.approx(30.0, rel=0.05)
    assert body["observation"]["throughput"] == pytest.approx(20.0, rel=0.05)
    assert body["observation"]["latency"] == pytest.approx(2.0, rel=0.01)
    assert body["recommendation"]["setting"] == {"worker_count": "2"}


def test_history_before_the_first_scrape_is_left_out_with_its_reason(url: str) -> None:
    code, out, _ = recommend(url, "--window", "10s", "--history", "2m", "--json")
    learned = json.loads(out)["learned"]
    assert code == 0
    assert learned["windows"] >= 1
    assert learned["windows"] + sum(learned["leftOut"].values()) == 12
    assert set(learned["leftOut"]) <= {"NotReported", "NoData", "PartialData", "Scaled"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("--deployment", "nobody"), "NoData", id="pods_that_do_not_exist"),
        pytest.param(("--pods", "checkout-.*-zzzzz"), "NoData", id="an_expression_that_matches_none"),
    ],
)
def test_without_data_it_says_what_is_missing_and_ends_with_3(url: str, arguments: tuple[str, ...], said: str) -> None:
    code, out, _ = recommend(url, "--window", "10s", *arguments)
    assert code == 3
    assert said in out


def test_a_server_that_is_down_ends_with_3() -> None:
    code, out, err = recommend("http://127.0.0.1:9")
    assert (code, err) == (3, "")
    assert "MetricsUnreachable" in out


def test_promql_that_is_none_is_bad_input_and_is_never_sent(url: str, tmp_path: Path) -> None:
    body = yaml.safe_load((ROOT / "manifests/classes/python-worker.yaml").read_text())
    for signal in body["spec"]["signals"]:
        for part in ("expr", "sumExpr", "countExpr"):
            if part in signal:
                signal[part] = signal[part].replace("rate(", "rat(").replace("avg_over_time(", "avg_over(")
    file = tmp_path / "class.yaml"
    file.write_text(yaml.safe_dump(body))
    code, out, err = recommend(url, "--window", "10s", "--class-file", str(file))
    assert (code, out) == (2, "")
    assert "expr" in err and "it is not PromQL" in err
