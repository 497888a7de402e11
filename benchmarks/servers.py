"""The processes of a run: Prometheus and `pegbox run`, on loopback, ended by their pid."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import requests
import yaml

from dev.cluster import build, tools

START_SECONDS = 60.0
SCRAPE_SECONDS = 5


class CannotMeasure(Exception):
    """Why there is no figure."""


def end_in_order() -> None:
    """Told to end by SIGTERM, a run ends what it started first."""

    def stop(*_: object) -> None:
        raise SystemExit(143)

    signal.signal(signal.SIGTERM, stop)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Process:
    """A program that runs while the context lasts; its log is shown when it does not become ready."""

    command: Sequence[str]
    log: Path
    ready: str  # an URL that answers 200
    environment: dict[str, str] | None = None

    def __enter__(self) -> Process:
        with self.log.open("ab") as out:
            environment = {**os.environ, **(self.environment or {})}
            self.running = subprocess.Popen(self.command, stdout=out, stderr=out, env=environment)
        limit = time.monotonic() + START_SECONDS
        while time.monotonic() < limit and self.running.poll() is None:
            try:
                if requests.get(self.ready, timeout=2).ok:
                    return self
            except requests.RequestException:
                pass
            time.sleep(0.2)
        self._end()
        raise CannotMeasure(f"{self.command[0]} did not become ready: {self.log.read_text()[-2000:]}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self.running.terminate()
        try:
            self.running.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.running.kill()
            self.running.wait()

    @property
    def resident(self) -> int:
        """Resident set in bytes, as the kernel says it."""
        return self._status("VmRSS")

    @property
    def peak(self) -> int:
        return self._status("VmHWM")

    @property
    def cpu_seconds(self) -> float:
        """User and system time since the start."""
        fields = Path(f"/proc/{self.running.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self, name: str) -> int:
        for line in Path(f"/proc/{self.running.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise CannotMeasure(f"the kernel does not say {name} of pid {self.running.pid}")


def prometheus(directory: Path, port: int, exporter: int, *operators: int, scrape: int = SCRAPE_SECONDS) -> Process:
    """A real one that scrapes the pods' exporter (whose labels count) and operators, every `scrape` seconds."""
    jobs = [
        {"job_name": "pods", "honor_labels": True, "static_configs": [{"targets": [f"127.0.0.1:{exporter}"]}]},
        {"job_name": "pegbox", "static_configs": [{"targets": [f"127.0.0.1:{each}" for each in operators]}]},
    ]
    every = {"scrape_interval": f"{scrape}s", "scrape_timeout": f"{scrape}s"}
    config = directory / "prometheus.yml"
    config.write_text(yaml.safe_dump({"global": every, "scrape_configs": jobs}))
    build.ensure([tools.tool("prometheus")])
    url = f"127.0.0.1:{port}"
    command = [
        str(tools.tool("prometheus").path),
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={url}",
        "--log.level=warn",
    ]
    return Process(command, directory / "prometheus.log", f"http://{url}/-/ready")


def operator(directory: Path, port: int, prometheus_port: int, kubeconfig: Path) -> Process:
    """`pegbox run` with the defaults of its settings, but for addresses and the right to write."""
    return operator_with(directory, settings(port, prometheus_port), kubeconfig)


def operator_with(
    directory: Path,
    config: Mapping[str, Any],
    kubeconfig: Path,
    name: str = "pegbox-0",
    environment: Mapping[str, str] | None = None,
) -> Process:
    """`pegbox run` with these settings, under a name of its own."""
    file = directory / f"{name}.yaml"
    file.write_text(yaml.safe_dump(dict(config)))
    command = [sys.executable, "-m", "pegbox", "run", "--config", str(file), "--kubeconfig", str(kubeconfig)]
    whole = {"KUBECONFIG": str(kubeconfig), "POD_NAME": name, **(environment or {})}
    log = directory / ("operator.log" if name == "pegbox-0" else f"{name}.log")
    return Process(command, log, f"http://127.0.0.1:{config['http']['port']}/readyz", whole)


def settings(port: int, prometheus_port: int, scrape: int = SCRAPE_SECONDS) -> dict[str, Any]:
    source = {"name": "default", "url": f"http://127.0.0.1:{prometheus_port}", "scrapeSeconds": scrape}
    return {"metricsSources": [source], "allowWrites": True, "http": {"port": port}}
