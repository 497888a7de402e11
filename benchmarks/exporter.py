"""One endpoint that says what the applications in all fake pods would say: steady load, steady settings.

Every series carries the labels `namespace` and `pod` itself; Prometheus is told to honour them. Counters grow with
the time since the start, so that every window of every pod reads the same rates.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from pegbox.live.metrics import TASK_BUCKETS
from pegbox.model.snapshot import Acknowledgement
from pegbox.testing.metrics import FakeMetrics

ARRIVALS = 10.0  # tasks per second and pod, all of them served
SECONDS = 0.15  # mean time of one task; with it, a bucket's share is 1 - exp(-le / SECONDS)
SLOW_SECONDS = 3.0  # mean time of one task in a pod that a setting harms
FAILURES = 0.001  # share of tasks
BUSY = 0.3  # used share of every limit

VALUES: Mapping[str, float] = {
    "worker_count": 8.0,
    "http_pool": 10.0,
    "pool_size": 5.0,
    "redis_pool": 10.0,
    "worker_queue_capacity": 1000.0,
}
"""What every application says it runs with before any document: five of the class's knobs, each with a busy signal."""
POOLS = {"http": "http_pool", "db": "pool_size", "redis": "redis_pool"}


@dataclass
class Pods:
    """The pods to speak for, and what they acknowledge (kept by FakePods)."""

    metrics: FakeMetrics = field(default_factory=FakeMetrics)
    started: float = field(default_factory=time.monotonic)
    slow: dict[tuple[str, str], tuple[float, float | None]] = field(default_factory=dict)
    """(namespace, pod) -> seconds that it was slow before, and since when it is slow now (None: it is not)."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, namespace: str, pod: str) -> None:
        with self.lock:
            self.metrics.values.setdefault(namespace, {})[pod] = dict(VALUES)

    def run(self, namespace: str, pod: str, ack: Acknowledgement, values: Mapping[str, float], *, harmed: bool) -> None:
        """The pod has read a document: what it does not name stays; harmed, it is slow from now on."""
        with self.lock:
            before = self.metrics.values.get(namespace, {}).get(pod, {})
            self.metrics.acknowledge(namespace, pod, ack, {**before, **values})
            spent, since = self.slow.get((namespace, pod), (0.0, None))
            now = time.monotonic()
            spent += now - since if since is not None else 0.0
            self.slow[namespace, pod] = (spent, now if harmed else None)

    def _slow(self, namespace: str, pod: str) -> float:
        spent, since = self.slow.get((namespace, pod), (0.0, None))
        return spent + (time.monotonic() - since if since is not None else 0.0)

    def text(self) -> str:
        with self.lock:
            seconds = time.monotonic() - self.started
            slow = {(ns, pod): self._slow(ns, pod) for ns, pod in self.slow}
            pods = [(ns, pod, dict(v)) for ns, all_ in self.metrics.values.items() for pod, v in all_.items()]
            acks = {(ns, pod): ack for ns, all_ in self.metrics.acks.items() for pod, ack in all_.items()}
        lines: list[str] = []
        for namespace, pod, values in pods:
            who = f'namespace="{namespace}",pod="{pod}"'
            lines += _tasks(who, seconds, slow.get((namespace, pod), 0.0))
            lines += _limits(who, values)
            lines += (f'pegbox_setting_value{{{who},knob="{name}"}} {value}' for name, value in values.items())
            ack = acks.get((namespace, pod))
            if ack is not None:
                labels = f'{who},profile_uid="{ack.profile_uid}",hash="{ack.hash}"'
                lines.append(f"pegbox_settings_generation{{{labels}}} {ack.generation}")
        return "\n".join(lines) + "\n"


def _tasks(who: str, seconds: float, slow: float) -> Iterator[str]:
    """Counters after so many seconds, `slow` of them spent under a setting that harms."""
    done = ARRIVALS * seconds
    quick, late = ARRIVALS * (seconds - slow), ARRIVALS * slow
    for le in TASK_BUCKETS:
        under = quick * (1 - math.exp(-le / SECONDS)) + late * (1 - math.exp(-le / SLOW_SECONDS))
        yield f'pegbox_task_duration_seconds_bucket{{{who},le="{float(le)}"}} {under}'
    yield f'pegbox_task_duration_seconds_bucket{{{who},le="+Inf"}} {done}'
    yield f"pegbox_task_duration_seconds_sum{{{who}}} {quick * SECONDS + late * SLOW_SECONDS}"
    yield f"pegbox_task_duration_seconds_count{{{who}}} {done}"
    yield f"pegbox_tasks_arrived_total{{{who}}} {done}"
    yield f'pegbox_tasks_total{{{who},outcome="success"}} {done * (1 - FAILURES)}'
    yield f'pegbox_tasks_total{{{who},outcome="failure"}} {done * FAILURES}'


def _limits(who: str, values: Mapping[str, float]) -> Iterator[str]:
    workers, queue = values["worker_count"], values["worker_queue_capacity"]
    yield f"pegbox_workers_busy{{{who}}} {workers * BUSY}"
    yield f"pegbox_workers_limit{{{who}}} {workers}"
    yield f"pegbox_queue_length{{{who}}} {queue * 0.001}"
    yield f"pegbox_queue_capacity{{{who}}} {queue}"
    for pool, knob in POOLS.items():
        yield f'pegbox_pool_in_use{{{who},pool="{pool}"}} {values[knob] * BUSY}'
        yield f'pegbox_pool_limit{{{who},pool="{pool}"}} {values[knob]}'


class Exporter(ThreadingHTTPServer):
    """Serves `pods` on a free loopback port while the context lasts."""

    daemon_threads = True

    def __init__(self, pods: Pods) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pods = pods
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)

    def __enter__(self) -> Exporter:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Exporter

    def do_GET(self) -> None:
        body = self.server.pods.text().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):  # a scrape that took too long is given up by who asked
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
