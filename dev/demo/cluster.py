"""What the demo and the end-to-end tests do to a cluster, through the same commands that a person would type."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Any

from dev.cluster import build, oci, tools
from dev.cluster.paths import REPOSITORY

EXAMPLE = REPOSITORY / "examples" / "issue-service"
IMAGES = ("pegbox", "issue-service", "postgres", "redis")


class DemoError(Exception):
    """Something of the demo's surroundings failed; the text says what and what to do."""


def run(*command: str, stdin: str | None = None, quiet: bool = True) -> str:
    """Run one command from the repository's root; its output, or DemoError with the end of what it said."""
    done = subprocess.run(command, cwd=REPOSITORY, input=stdin, text=True, capture_output=quiet, check=False)
    if done.returncode:
        said = ((done.stderr or "") + (done.stdout or "")).strip()[-2000:]
        raise DemoError(f"{' '.join(command)[:200]} ended with {done.returncode}: {said}")
    return done.stdout or ""


def cluster(*words: str, stdin: str | None = None, quiet: bool = True) -> str:
    return run(sys.executable, "-m", "dev.cluster", *words, stdin=stdin, quiet=quiet)


def kubectl(*words: str, stdin: str | None = None) -> str:
    return cluster("kubectl", *words, stdin=stdin)


def get(kind: str, name: str, namespace: str = "") -> dict[str, Any]:
    """One object, or {} where it does not exist."""
    where = ("-n", namespace) if namespace else ()
    text = kubectl("get", kind, name, *where, "-o", "json", "--ignore-not-found")
    return dict(json.loads(text)) if text.strip() else {}


def apply(manifest: str, namespace: str = "") -> None:
    where = ("-n", namespace) if namespace else ()
    kubectl("apply", *where, "-f", "-", stdin=manifest)


def service(namespace: str, name: str, port: int, path: str) -> Any:
    """JSON of a Service, through the API server."""
    return json.loads(kubectl("get", "--raw", f"/api/v1/namespaces/{namespace}/services/{name}:{port}/proxy{path}"))


def wait_for(what: str, holds: Callable[[], bool], seconds: float, every: float = 2.0) -> float:
    """Seconds until it holds; DemoError when it does not in time."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        try:
            if holds():
                return time.monotonic() - started
        except (DemoError, ValueError, KeyError):
            pass  # not there yet
        time.sleep(every)
    raise DemoError(f"{what}: not within {seconds:.0f} s")


def rolled_out(kind: str, name: str, namespace: str, seconds: int = 180) -> None:
    kubectl("rollout", "status", f"{kind}/{name}", "-n", namespace, f"--timeout={seconds}s")


def prometheus_image() -> Path:
    """An image of nothing but the Prometheus binary."""
    tool = tools.tool("prometheus")
    build.ensure([tool])
    archive = tool.path.parent / "prometheus-image.tar"
    if not archive.exists():
        layer = tool.path.parent / "prometheus-layer.tar"
        oci.write_layer(layer, {"bin/prometheus": (tool.path.read_bytes(), 0o755)})
        oci.write_archive(
            archive,
            name="docker.io/local/prometheus:dev",
            layers=[layer],
            entrypoint=["/bin/prometheus"],
            user="65532:65532",
        )
    return archive


def load_images(names: tuple[str, ...] = IMAGES) -> None:
    """Build what is not there and bring it into the cluster."""
    for name in names:
        line = run(sys.executable, "-m", "dev.images", "build", name).strip().splitlines()[-1]
        print(f"  {line}", flush=True)
        cluster("load", line.split()[1])
    cluster("load", str(prometheus_image()))


def install_prometheus() -> None:
    apply((REPOSITORY / "dev/demo/prometheus.yaml").read_text())
    rolled_out("deployment", "prometheus", "monitoring")


def install_operator(*values: str) -> None:
    """By its Helm chart, as a platform team would."""
    # The same tag may hold a new image: its digest on the pod makes that a rollout.
    digest = run(sys.executable, "-m", "dev.images", "build", "pegbox").strip().splitlines()[-1].split()[2]
    values = (*values, f"podAnnotations.image-digest={digest.removeprefix('sha256:')}")
    options = [word for value in values for word in ("--set-string" if "digest" in value else "--set", value)]
    cluster(
        "exec", "--", "helm", "upgrade", "--install", "pegbox", str(REPOSITORY / "helm/pegbox"),
        "--namespace", "pegbox-system", "--create-namespace", "--wait", "--timeout", "3m", *options,
    )  # fmt: skip


def install_workload(namespace: str, numbers: dict[str, Any], text: str) -> None:
    """PostgreSQL, Redis, upstream and workers, badly set; the load comes later."""
    kubectl("create", "namespace", namespace) if not get("namespace", namespace) else None
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "issue-workload", "namespace": namespace},
        "data": {"workload.toml": text, "connection_limit": str(numbers["database"]["connection_limit"])},
    }
    apply(json.dumps(config))
    for name in ("postgres", "redis", "upstream", "workers"):
        apply((EXAMPLE / "manifests" / f"{name}.yaml").read_text(), namespace)
    for name in ("issue-postgres", "issue-redis", "issue-upstream", "issue-workers"):
        rolled_out("deployment", name, namespace)


def profile(namespace: str, numbers: dict[str, Any], interval: str) -> str:
    return Template((EXAMPLE / "profile.yaml").read_text()).substitute(
        namespace=namespace,
        interval=interval,
        connection_limit=numbers["database"]["connection_limit"],
        concurrency_limit=numbers["upstream"]["concurrency_limit"],
    )
