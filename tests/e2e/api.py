"""The cluster as the tests see it: one `kubectl proxy` on a private socket, so that looking often is cheap."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from dev.cluster.paths import REPOSITORY

Object = dict[str, Any]
GROUP = "/apis/pegbox.dev/v1alpha1"
PLURALS = {
    "pod": "/api/v1/{}/pods",
    "configmap": "/api/v1/{}/configmaps",
    "event": "/api/v1/{}/events",
    "namespace": "/api/v1/namespaces",
    "node": "/api/v1/nodes",
    "networkpolicy": "/apis/networking.k8s.io/v1/{}/networkpolicies",
    "service": "/api/v1/{}/services",
    "endpointslice": "/apis/discovery.k8s.io/v1/{}/endpointslices",
    "lease": "/apis/coordination.k8s.io/v1/{}/leases",
    "deployment": "/apis/apps/v1/{}/deployments",
    "statefulset": "/apis/apps/v1/{}/statefulsets",
    "replicaset": "/apis/apps/v1/{}/replicasets",
    "disruptions": "/apis/policy/v1/{}/poddisruptionbudgets",
    "hpa": "/apis/autoscaling/v2/{}/horizontalpodautoscalers",
    "profile": GROUP + "/{}/performanceprofiles",
    "ledger": GROUP + "/{}/tuningledgers",
    "podenvironment": GROUP + "/{}/podenvironments",
    "budget": GROUP + "/{}/sharedbudgets",
}


class NotThere(Exception):
    """The API server answered 404."""


class Failed(Exception):
    """The API server, or what stands behind it, answered with an error."""


class Late(AssertionError):
    """Something did not come about in its time."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(str(self._path))


class Api:
    """Reads and writes by HTTP; safe to share between threads, since each request has a connection of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """JSON where the answer is some, else its text. Raises NotThere and Failed."""
        connection = self.connection()
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": content_type} if text else {})
            answer = connection.getresponse()
            said = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise Failed(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        if answer.status == 404:
            raise NotThere(path)
        if answer.status >= 300:
            raise Failed(f"{method} {path}: {answer.status}: {said[:500]}")
        return json.loads(said) if answer.headers.get_content_type() == "application/json" else said

    def connection(self) -> http.client.HTTPConnection:
        """One of the caller's own, not connected yet: for an answer that goes on."""
        return _Connection(self._path)

    def get(self, kind: str, namespace: str, name: str) -> Object:
        return dict(self.send("GET", f"{place(kind, namespace)}/{name}"))

    def list(self, kind: str, namespace: str, **query: str) -> list[Object]:
        items = self.send("GET", f"{place(kind, namespace)}?{urlencode(query)}")["items"]
        return list(items)

    def apply(self, kind: str, body: Object, manager: str, *, force: bool = False) -> Object:
        """Server-side apply by somebody; without force, as a team's own tool would."""
        meta = body["metadata"]
        path = f"{place(kind, meta['namespace'])}/{meta['name']}?fieldManager={manager}&force={str(force).lower()}"
        return dict(self.send("PATCH", path, body, "application/apply-patch+yaml"))

    def delete(self, kind: str, namespace: str, name: str) -> None:
        self.send("DELETE", f"{place(kind, namespace)}/{name}")

    def proxied(self, namespace: str, pod: str, port: int, path: str) -> str:
        """What a pod answers over HTTP, through the API server."""
        return str(self.send("GET", f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}"))

    def metrics(self, namespace: str, pod: str, port: int = 9100) -> str:
        return self.proxied(namespace, pod, port, "/metrics")


def place(kind: str, namespace: str) -> str:
    """The path of a list."""
    return PLURALS[kind].format(f"namespaces/{namespace}" if namespace else "").replace("//", "/")


def samples(text: str, name: str) -> Iterator[tuple[dict[str, str], float]]:
    """(labels, value) of each sample of a metric in an exposition."""
    for found in re.finditer(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE):
        yield dict(re.findall(r'(\w+)="([^"]*)"', found.group(1) or "")), float(found.group(2))


@contextmanager
def opened(folder: Path) -> Iterator[Api]:
    """The proxy runs as long as the block does, and is ended by its id."""
    path = folder / "api.sock"
    command = [sys.executable, "-m", "dev.cluster", "kubectl", "proxy", f"--unix-socket={path}"]
    with (folder / "proxy.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_for("kubectl proxy", path.exists, 60, 0.2)
            yield Api(path)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def wait_for(what: str, holds: Callable[[], Any], seconds: float, every: float = 1.0) -> float:
    """Seconds until it holds. Raises Late, with the last error if there was one, when it does not in time."""
    started, last = time.monotonic(), ""
    while time.monotonic() - started < seconds:
        try:
            if holds():
                return time.monotonic() - started
            last = ""
        except (NotThere, Failed, KeyError, IndexError) as error:
            last = f" ({error!r})"
        time.sleep(every)
    raise Late(f"{what}: not within {seconds:.0f} s{last}")
