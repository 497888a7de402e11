"""A real Prometheus that scrapes fake pods, all on loopback.

One server for the session. Every test asks about one moment, after all scenarios have played, so that the
answers are history: reproducible, and independent of how fast the tests run.
"""

from __future__ import annotations

import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
import yaml
from prometheus_client import generate_latest

from pegbox.adapters.pod_settings import PodSetting
from pegbox.adapters.prometheus.client import Pace, PrometheusSource
from pegbox.adapters.prometheus.transport import Server
from pegbox.adapters.telemetry import Telemetry
from pegbox.model.reasons import Reason
from tests import levels

ALERTS = Path(__file__).parents[3] / "manifests" / "alerts" / "pegbox.yaml"
MANY = 300
"""Buckets, knobs and documents that the pod `many-1` makes up."""
STALE_AFTER = 6.0
"""Seconds after which the pod `stale-1` stops answering."""
RENAMED_AFTER = 4.0
"""Seconds after which the pod `c` acknowledges its next document."""
RESET_AFTER = 9.0
"""Seconds after which the counters of `reset-1` start over."""
PLAYED = 12.0
"""Seconds after the first scrape at which all scenarios have played."""
ODD = 'a"b\\c\nd{}$window'
"""A label value with everything that a query text could trip over."""


@dataclass(frozen=True)
class Pod:
    """One scrape target: where it stands, and its metrics as a function of the seconds since the start."""

    name: str
    metrics: Callable[[float], str]
    instance: str = ""
    interval: int = 1
    job: str = "pods"
    namespace: str = "shop"
    ends: float = 1e9

    @property
    def path(self) -> str:
        return f"/{self.job}/{self.namespace}/{self.name}/{self.instance or 'main'}"


def tasks(scale: float = 1.0, more: str = "") -> Callable[[float], str]:
    """10 events/s per unit of scale: 5 within 100 ms, 9 within 500 ms; 2.5 s of duration per second."""

    def text(t: float) -> str:
        n = t * scale
        return (
            "# TYPE task_seconds histogram\n"
            f'task_seconds_bucket{{le="0.1"}} {5 * n}\n'
            f'task_seconds_bucket{{le="0.5"}} {9 * n}\n'
            f'task_seconds_bucket{{le="+Inf"}} {10 * n}\n'
            f"task_seconds_sum {2.5 * n}\ntask_seconds_count {10 * n}\n"
            "# TYPE tasks_total counter\n"
            f'tasks_total{{outcome="success"}} {9.9 * n}\ntasks_total{{outcome="failure"}} {0.1 * n}\n'
            f"# TYPE arrived_total counter\narrived_total {12 * n}\n"
            f"# TYPE in_use gauge\nin_use {3 * scale}\n# TYPE limit gauge\nlimit 4\n" + more
        )

    return text


def acknowledges(generation: int, digest: str, more: str = "") -> str:
    return (
        "# TYPE pegbox_settings_generation gauge\n"
        f'pegbox_settings_generation{{profile_uid="u1",hash="{digest}"}} {generation}\n'
        f"# TYPE pegbox_setting_value gauge\n"
        f'pegbox_setting_value{{knob="worker_count"}} {generation + 1}\n{more}'
    )


def _canary(t: float) -> str:
    return tasks(3.0)(t) + (acknowledges(7, "h7") if t < RENAMED_AFTER else acknowledges(8, "h8"))


def _dated(t: float) -> str:
    """Samples with times of their own, which stop: such series get no staleness marker from Prometheus."""
    stopped = min(t, STALE_AFTER)
    stamp = round((time.time() - t + stopped) * 1000)
    return (
        "\n".join(line if line.startswith("#") else f"{line} {stamp}" for line in tasks()(stopped).splitlines()) + "\n"
    )


def _many(t: float) -> str:
    """One pod that exports whatever it likes: buckets, knobs, documents, and books for labels."""
    buckets = "".join(f'task_seconds_bucket{{le="{n}"}} {n * t}\n' for n in range(1, MANY))
    values = "".join(f'pegbox_setting_value{{knob="made_up_{n}"}} {n}\n' for n in range(MANY))
    acks = "".join(f'pegbox_settings_generation{{profile_uid="u{n}",hash="h"}} {n}\n' for n in range(MANY))
    book = f'pegbox_settings_generation{{profile_uid="u",hash="{"x" * 65}"}} 1\n'
    return tasks()(t) + buckets + values + acks + book + 'pegbox_setting_value{knob="worker_count"} 5\n'


def _restarted(t: float) -> str:
    """Its counters begin again from zero in the middle: the process was restarted, and the pod is the same."""
    return tasks()(t if t < RESET_AFTER else t - RESET_AFTER)


_ODD_LABEL = ODD.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
PODS = (
    Pod("a", tasks(1.0, acknowledges(7, "h7"))),
    Pod("a", tasks(1.0, acknowledges(7, "h7")), job="again"),  # the same endpoint under a second job
    Pod("b", tasks(1.0, acknowledges(7, "h7")), instance="b:1"),  # two processes of one pod
    Pod("b", tasks(1.0, acknowledges(6, "h6")), instance="b:2"),
    Pod("c", _canary),
    Pod("gone", tasks(1.0), ends=STALE_AFTER + 2),  # deleted, still shown by the operator
    Pod("stray", tasks(100.0)),  # nobody tunes it
    Pod("nan-1", tasks(1.0, "# TYPE share gauge\nshare NaN\n")),
    Pod("nan-2", tasks(1.0, "# TYPE share gauge\nshare 0.5\n")),
    Pod("stale-1", tasks(1.0), ends=STALE_AFTER),
    Pod("dated-1", _dated),
    Pod("slow-1", tasks(1.0), interval=4),
    Pod("reset-1", _restarted),
    Pod("odd-1", lambda t: f'# TYPE odd_total counter\nodd_total{{queue="{_ODD_LABEL}"}} {7 * t}\n'),
    Pod("twice-1", tasks(1.0)),
    Pod("other-1", tasks(1.0), namespace="bank"),
    Pod("many-1", _many, namespace="evil"),
)
SHOWN = {  # profile -> pod -> setting
    "shop/checkout": {
        "a": PodSetting("", "7"),
        "b": PodSetting("", "7"),
        "c": PodSetting("canary", "8"),
        "gone": PodSetting("", "7"),
    },
    "shop/nan": {"nan-1": PodSetting("", "1"), "nan-2": PodSetting("", "1")},
    "shop/half": {"nan-2": PodSetting("", "1")},
    "shop/stale": {"stale-1": PodSetting("", "1")},
    "shop/dated": {"dated-1": PodSetting("", "1")},
    "shop/slow": {"slow-1": PodSetting("", "1")},
    "shop/reset": {"reset-1": PodSetting("", "1")},
    "shop/odd": {"odd-1": PodSetting("", "1")},
    "bank/other": {"other-1": PodSetting("", "1")},
    "evil/many": {"many-1": PodSetting("", "1")},
}


def _leaders() -> dict[str, Telemetry]:
    """Two that both export: equal series for the class `worker`, contradicting ones for `takeover`."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    leaders = {"leader-1": Telemetry(), "leader-2": Telemetry()}
    for number, telemetry in enumerate(leaders.values()):
        for profile, pods in SHOWN.items():
            if profile != "shop/half":
                telemetry.pod_settings.show(profile, "worker", pods, now)
        telemetry.pod_settings.show("shop/half", "half", SHOWN["shop/half"], now)
        setting = PodSetting("", str(3 + number))
        telemetry.pod_settings.show("shop/twice", "takeover", {"twice-1": setting}, now)
    first = leaders["leader-1"]
    first.leader(True)
    first.rollback_pending("shop", "checkout", True)
    first.degraded("shop", "checkout", Reason.RESTORE_PENDING)
    first.rollback_pending("shop", "well", False)
    return leaders


class _Exporter(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.first = threading.Lock()
        self.started: float | None = None
        self.pods = {pod.path: pod for pod in PODS}
        self.leaders = {f"/{name}": telemetry for name, telemetry in _leaders().items()}


class _Handler(BaseHTTPRequestHandler):
    server: _Exporter

    def do_GET(self) -> None:
        with self.server.first:  # the play begins with the first scrape, however long the server took to start
            self.server.started = self.server.started or time.time()
        elapsed = time.time() - self.server.started
        pod, leader = self.server.pods.get(self.path), self.server.leaders.get(self.path)
        if leader is not None:
            return self._send(200, generate_latest(leader.registry))
        if pod is None or elapsed > pod.ends:
            return self._send(503, b"gone")
        return self._send(200, pod.metrics(elapsed).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _configuration(port: int) -> str:
    address = f"127.0.0.1:{port}"

    def job(name: str, interval: int, targets: list[dict[str, object]]) -> dict[str, object]:
        return {
            "job_name": name,
            "scrape_interval": f"{interval}s",
            "scrape_timeout": "1s",
            "static_configs": targets,
        }

    def target(pod: Pod) -> dict[str, object]:
        labels = {"namespace": pod.namespace, "pod": pod.name, "instance": pod.instance or f"{pod.name}:1"}
        return {"targets": [address], "labels": {"__metrics_path__": pod.path, **labels}}

    groups = sorted({(pod.job, pod.interval) for pod in PODS})
    jobs = [
        job(f"{name}-{interval}", interval, [target(p) for p in PODS if (p.job, p.interval) == (name, interval)])
        for name, interval in groups
    ]
    leaders: list[dict[str, object]] = [
        {
            "targets": [address],
            # The scrape's own namespace and pod are the operator's: the reason for the labels target_*.
            "labels": {
                "__metrics_path__": f"/{name}",
                "namespace": "pegbox",
                "pod": name,
                "instance": f"{name}:1",
            },
        }
        for name in ("leader-1", "leader-2")
    ]
    whole = {"global": {"evaluation_interval": "1s"}, "rule_files": [str(ALERTS)]}
    return yaml.safe_dump(whole | {"scrape_configs": [*jobs, job("pegbox", 1, leaders)]})


@dataclass(frozen=True)
class Played:
    """A Prometheus whose history holds every scenario up to `at`."""

    url: str
    at: datetime


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def played() -> Iterator[Played]:
    binary = levels.prometheus()
    exporter = _Exporter()
    thread = threading.Thread(target=exporter.serve_forever, daemon=True)
    thread.start()
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "prometheus.yml"
        config.write_text(_configuration(exporter.server_address[1]))
        url = f"http://127.0.0.1:{_free_port()}"
        with (Path(directory) / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    binary,
                    f"--config.file={config}",
                    f"--storage.tsdb.path={directory}/data",
                    f"--web.listen-address={url.removeprefix('http://')}",
                    "--log.level=warn",
                ],
                stdout=log,
                stderr=log,
            )
        try:
            yield Played(url, _wait(url, process, Path(directory) / "log"))
        finally:
            process.terminate()
            process.wait(timeout=20)
            exporter.shutdown()
            thread.join()
            exporter.server_close()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> datetime:
    """The moment at which PLAYED seconds of scrapes are there; polled, as a server's history has no event."""
    first: float | None = None
    for _ in range(600):
        if process.poll() is not None:
            pytest.fail(f"Prometheus ended with {process.returncode}: {log.read_text()[-2000:]}")
        with suppress(requests.RequestException):
            query = {"query": 'count_over_time(task_seconds_count{pod="a",job="pods-1"}[1m])'}
            answer = requests.get(f"{url}/api/v1/query", params=query, timeout=2).json()
            result = answer.get("data", {}).get("result")
            if result:
                first = first or time.time()
                if float(result[0]["value"][1]) >= PLAYED and time.time() >= first + PLAYED:
                    return datetime.now(UTC)
        time.sleep(0.1)
    pytest.fail(f"no scrapes within 60 s: {log.read_text()[-2000:]}")


@pytest.fixture
async def source(played: Played) -> AsyncIterator[PrometheusSource]:
    opened = PrometheusSource(Server(played.url), pace=Pace(reuse=60))
    yield opened
    opened.close()
