"""The issue service as plain processes on loopback: real PostgreSQL, real Redis, upstream, workers,
generator.

    python examples/issue-service/run_local.py --workers 1 \\
        --set "worker_count=1 http_pool=1 pool_size=1 batch_size=1" --set "worker_count=16 http_pool=16
        pool_size=16"

Each --set is one stretch under load; the settings file is changed live between them, as Pegbox would.
Printed for each: committed issues a second, latency from due time to commit, rejections, CPU seconds per
issue and process.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import local_servers

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "operator")]

from issue_service import workload as numbers  # noqa: E402
from pegbox.live import values_hash  # noqa: E402

INIT = """
create role app login connection limit {limit};
create role generator login;
create database issues owner app;
grant pg_read_all_data to generator;
"""


@dataclass
class Service:
    """The running processes and how to look at them."""

    folder: Path
    metrics_ports: list[int]
    processes: dict[str, subprocess.Popen[bytes]]
    upstream_port: int
    ingress_port: int
    database: local_servers.Postgres
    server_pids: dict[str, int]
    generation: int = 0

    def write_settings(self, values: dict[str, str]) -> None:
        """Replace the document in one step, as a kubelet does."""
        self.generation += 1
        document = {
            "version": 1,
            "profileUID": "run-local",
            "generation": self.generation,
            "hash": values_hash(values),
            "values": values,
            "cohorts": {},
        }
        new = self.folder / "settings.new"
        new.write_text(json.dumps(document))
        new.replace(self.folder / "settings.json")

    def acknowledged_after(self, within: float = 30.0) -> float:
        """Seconds until every worker acknowledged the newest generation."""
        started = time.monotonic()
        while time.monotonic() - started < within:
            found = [sample(port, "pegbox_settings_generation") for port in self.metrics_ports]
            if all(value == self.generation for value in found):
                return time.monotonic() - started
            time.sleep(0.05)
        raise RuntimeError(f"generation {self.generation} was not acknowledged in {within:g} s: {found}")

    def cpu_seconds(self) -> dict[str, float]:
        """CPU seconds used so far; PostgreSQL's with those of its sessions, ended ones too."""
        pids = {name: process.pid for name, process in self.processes.items()} | self.server_pids
        return {name: tree_cpu_seconds(pid) for name, pid in pids.items()}

    def committed(self, seconds: float) -> int:
        """Issues committed in the last seconds, whichever run offered them."""
        sql = f"select count(*) from issues where committed_at >= clock_timestamp() - interval '{seconds} s'"
        return int(self.database.run_sql(sql, "issues"))

    def upstream_stats(self) -> dict[str, Any]:
        return dict(json.loads(get(f"http://127.0.0.1:{self.upstream_port}/stats")))


def tree_cpu_seconds(pid: int) -> float:
    """Seconds of a process, of its ended children, and of those that still run."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(stat.parent.name) == pid:
            ticks += sum(int(field) for field in fields[11:15])
        elif int(fields[1]) == pid:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as response:
        return str(response.read().decode())


def sample(port: int, name: str) -> float | None:
    for line in get(f"http://127.0.0.1:{port}/metrics").splitlines():
        if line.startswith((f"{name} ", f"{name}{{")) and not line.startswith("#"):
            return float(line.rpartition(" ")[2])
    return None


@contextmanager
def service(workload: Path, workers: int, settings: dict[str, str] | None = None) -> Iterator[Service]:
    """Start everything but the load; end it all when the context ends."""
    with ExitStack() as stack:
        database = stack.enter_context(local_servers.postgres())
        redis = stack.enter_context(local_servers.redis())
        limit = numbers.read(workload).database.connection_limit
        for statement in INIT.format(limit=limit).split(";"):
            database.run_sql(statement)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pegbox-issues-")))
        environment = {
            **os.environ,
            "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[1] / 'operator'}",
            "WORKLOAD": str(workload),
            "LISTEN_HOST": "127.0.0.1",
            "DATABASE_URL": database.url("app", "issues"),
            "REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
            "PEGBOX_SETTINGS": str(folder / "settings.json"),
        }
        ports = [local_servers.free_port() for _ in range(2 * workers + 1)]
        running = Service(folder, ports[1 : workers + 1], {}, ports[0], ports[-1], database, {})
        running.server_pids = {"postgres": database.pid, "redis": redis.pid}
        if settings:
            running.write_settings(settings)
        environment["UPSTREAM_URL"] = f"http://127.0.0.1:{ports[0]}"
        stack.callback(stop_all, running)
        start(running, "upstream", {**environment, "UPSTREAM_PORT": str(ports[0])})
        for number in range(workers):
            own = {
                "POD_NAME": f"worker-{number}",
                "METRICS_PORT": str(running.metrics_ports[number]),
                "INGRESS_PORT": str(ports[workers + 1 + number]),
            }
            start(running, f"worker-{number}", {**environment, **own}, role="worker")
        for port in [ports[0], *running.metrics_ports]:
            wait_healthy(port)
        yield running


def start(running: Service, name: str, environment: dict[str, str], role: str = "") -> None:
    log = (running.folder / f"{name}.log").open("wb")
    command = [sys.executable, "-m", "issue_service", role or name]
    running.processes[name] = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    log.close()


def stop_all(running: Service) -> None:
    for process in running.processes.values():
        process.send_signal(signal.SIGTERM)
    for process in running.processes.values():
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_healthy(port: int, within: float = 30.0) -> None:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if get(f"http://127.0.0.1:{port}/healthz") == "ok":
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"nothing healthy on port {port} after {within:g} s")


def load(running: Service, workload: Path, seconds: float, rate: float = 0.0) -> list[dict[str, Any]]:
    """Run the generator for a while; its lines, the summary last."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[1] / 'operator'}",
        "WORKLOAD": str(workload),
        "LISTEN_HOST": "127.0.0.1",
        "STATS_PORT": str(local_servers.free_port()),
        "INGRESS_URL": f"http://127.0.0.1:{running.ingress_port}",
        "DATABASE_URL": f"postgresql+asyncpg://generator@127.0.0.1:{running.database.port}/issues",
    }
    command = [sys.executable, "-m", "issue_service", "generator", f"--duration={seconds}", f"--rate={rate}"]
    done = subprocess.run(
        [*command, "--interval=5"], env=environment, capture_output=True, text=True, timeout=seconds + 120
    )
    if done.returncode:
        raise RuntimeError(f"the generator ended with {done.returncode}: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def stretch(running: Service, options: argparse.Namespace, values: dict[str, str]) -> dict[str, Any]:
    running.write_settings(values)
    acknowledged = running.acknowledged_after()
    before, started, exceeded = running.cpu_seconds(), time.monotonic(), running.upstream_stats()["limit_exceeded"]
    with ThreadPoolExecutor(1) as pool:
        generator = pool.submit(load, running, options.workload, options.seconds, options.rate)
        time.sleep(options.seconds)
        second_half = running.committed(options.seconds / 2) / (options.seconds / 2)
        used = {name: after - before[name] for name, after in running.cpu_seconds().items()}
        whole = max(1, running.committed(time.monotonic() - started))
        lines = generator.result()
    intervals = [line for line in lines[:-1] if "p95" in line]
    return {
        "setting": values,
        "acknowledged_s": round(acknowledged, 2),
        "committed_per_s": round(second_half, 2),
        "last_interval": intervals[-1] if intervals else {},
        "summary": lines[-1],
        "cpu_ms_per_issue": {name: round(1000 * seconds / whole, 2) for name, seconds in used.items()},
        "cpu_cores": {name: round(seconds / options.seconds, 3) for name, seconds in used.items()},
        "limit_exceeded": running.upstream_stats()["limit_exceeded"] - exceeded,
        "upstream": running.upstream_stats(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", type=Path, default=HERE / "workload.toml")
    parser.add_argument("--workers", type=int, default=1, help="worker processes, as pods")
    parser.add_argument("--seconds", type=float, default=30.0, help="load per setting")
    parser.add_argument("--rate", type=float, default=0.0, help="issues a second in place of the file's")
    parser.add_argument("--set", action="append", default=[], help="knob=value ..., once per stretch")
    options = parser.parse_args()
    sets = options.set or ["worker_count=1 http_pool=1 pool_size=1 worker_queue_capacity=200 batch_size=1"]
    with service(options.workload, options.workers) as running:
        for each in sets:
            values = dict(pair.split("=", 1) for pair in each.split())
            print(json.dumps(stretch(running, options, values)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
