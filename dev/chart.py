"""The chart's copies and what is generated from it: `python3 -m dev.chart sync | check | install`.

A chart can only read files of its own folder, so crds/ and three folders of manifests/ are copied into it. The install
for `kubectl apply` is the chart, rendered: one description of the install, never two.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from dev.cluster import tools
from dev.cluster.paths import REPOSITORY

CHART = "helm/pegbox"
NAMESPACE = "pegbox-system"
#: Folder of the repository -> its copy in the chart.
COPIES = {
    "crds": f"{CHART}/files/crds",
    "manifests/classes": f"{CHART}/files/classes",
    "manifests/admission": f"{CHART}/files/admission",
    "manifests/alerts": f"{CHART}/files/alerts",
}

_HEAD = """\
# Generated from helm/pegbox by `python3 -m dev.chart install`: change the chart, not this file.
"""
_INSTALL = (
    _HEAD
    + """\
# Recommend-only: the account holds no right to change a workload; allow-writes.yaml beside it adds that.
#   kubectl apply --server-side -f manifests/install.yaml
#   kubectl apply --server-side -f manifests/classes/
# Set the address of your Prometheus in the ConfigMap pegbox-config, and the name of your image.
---
apiVersion: v1
kind: Namespace
metadata:
  name: pegbox-system
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""
)
_WRITES = (
    _HEAD
    + """\
# Lets profiles in mode Auto act. After install.yaml:
#   kubectl apply --server-side -f manifests/allow-writes.yaml
#   kubectl -n pegbox-system rollout restart deployment/pegbox
# It sets the whole of the ConfigMap pegbox-config: keep your own metricsSources in it.
"""
)


class HelmMissing(RuntimeError):
    """There is no helm here; the message says how to get one."""


def helm() -> Path:
    """PEGBOX_HELM, the one that the project builds, or the one on the PATH."""
    candidates = [os.environ.get("PEGBOX_HELM"), tools.tool("helm").path, shutil.which("helm")]
    for candidate in candidates:
        if candidate is not None and Path(candidate).is_file():
            return Path(candidate)
    raise HelmMissing("helm is missing: run `python3 -m dev.cluster tool helm`, or set PEGBOX_HELM to its path")


def template(*options: str) -> str:
    """The chart as Helm renders it, release `pegbox` in `pegbox-system`. Helm's own message where it refuses."""
    command = [str(helm()), "template", "pegbox", CHART, "--namespace", NAMESPACE, *options]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ValueError(done.stderr.strip())
    return done.stdout


def install_files() -> dict[str, str]:
    """What is generated, by path: the recommend-only install, what lets it write, and the tests' golden file."""
    plain = ("--set", "crds.keep=false", "--set", "classes.install=false")
    writes = ("--set", "mode.allowWrites=true")
    parts = ("--show-only", "templates/rbac-write.yaml", "--show-only", "templates/configmap.yaml")
    return {
        "manifests/install.yaml": _INSTALL + template(*plain),
        "manifests/allow-writes.yaml": _WRITES + template(*writes, *parts),
        "tests/golden/helm/default.yaml": template("--set", "crds.install=false", "--set", "classes.install=false"),
    }


def stale_copies(repository: Path = REPOSITORY) -> list[str]:
    """Every file of the chart that differs from its source, is left over or is not there yet."""
    stale = []
    for source, copy in COPIES.items():
        wanted, there = _contents(repository / source), _contents(repository / copy)
        stale += [f"{copy}/{name}" for name in sorted({*wanted, *there}) if wanted.get(name) != there.get(name)]
    return stale


def sync(repository: Path = REPOSITORY) -> list[str]:
    """Copy what is stale; gives what changed."""
    changed = stale_copies(repository)
    for source, copy in COPIES.items():
        target = repository / copy
        target.mkdir(parents=True, exist_ok=True)
        wanted = _contents(repository / source)
        for name in _contents(target).keys() - wanted.keys():
            (target / name).unlink()
        for name, content in wanted.items():
            (target / name).write_bytes(content)
    return changed


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.yaml"))}


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 when all is fresh (or was made so), 1 when `check` finds something stale, 2 without helm."""
    parser = argparse.ArgumentParser(prog="python3 -m dev.chart", description=__doc__)
    parser.add_argument("action", choices=["sync", "check", "install"])
    action = parser.parse_args(arguments).action
    try:
        if action == "check":
            stale = stale_copies() + [
                path for path, text in install_files().items() if _text(REPOSITORY / path) != text
            ]
            for path in stale:
                print(f"chart: {path} is stale: run `python3 -m dev.chart install`")
            return 1 if stale else 0
        for path in sync():
            print(f"chart: {path} updated")
        if action == "install":
            for path, text in install_files().items():
                (REPOSITORY / path).write_text(text)
                print(f"chart: {path} written")
    except HelmMissing as error:
        print(f"chart: {error}", file=sys.stderr)
        return 2
    return 0


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
