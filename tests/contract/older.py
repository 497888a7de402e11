"""An older release of Pegbox, as it was: its commit unpacked beside the repository, with today's dependencies."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from dev.cluster.paths import REPOSITORY, cache_root
from tests.levels import cannot_run

COMMIT = "521fd186e6cb00dbb43d46cd80677148f115afe6"
"""Of 2026-11-21, at which 40 rollbacks were measured on a real cluster (docs/reliability.md, Rollback latency). It has
canaries, and writes and reads ledgers of version 2; what ledgers, statuses and definitions got since it does not know."""
PARTS = ("operator", "tests", "dev", "crds", "helm", "pyproject.toml")


class Absent(Exception):
    """This checkout has no such commit."""


def unpacked(commit: str = COMMIT, repository: Path = REPOSITORY) -> Path:
    """The folder of the release, in the cache outside the repository. Raises Absent where git does not know it."""
    folder = cache_root() / "releases" / commit
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        with tarfile.open(fileobj=io.BytesIO(_archive(commit, repository))) as packed:
            packed.extractall(fresh, filter="data")
        fresh.rename(folder)
    except FileExistsError:  # another process of this run was faster
        pass
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def or_said(what: str, commit: str = COMMIT) -> Path:
    """As `unpacked`; a checkout without the commit skips the test, and with PEGBOX_REQUIRE_ALL=1 fails it."""
    try:
        return unpacked(commit)
    except Absent as error:
        cannot_run(f"{what}: {error}")


def environment(home: Path) -> dict[str, str]:
    """Of a process that runs the release in this folder: its own code, and all else of this virtual environment."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(home / "operator"), str(home)])}


def run(home: Path, program: str, said: str) -> str:
    """What a program prints that is run with that release, and is told something on its standard input."""
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, env=environment(home), cwd=home, input=said, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _archive(commit: str, repository: Path) -> bytes:
    command = ["git", "-C", str(repository), "archive", commit, *PARTS]
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout
    except FileNotFoundError as error:
        raise Absent(f"commit {commit[:7]} is needed, and there is no git here") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()[:1]
        remedy = "a shallow clone lacks it: `git fetch --unshallow`"
        raise Absent(f"commit {commit[:7]} is not in this checkout ({remedy}): {''.join(said)}") from error
