"""A level that this machine cannot run says so, and is not let through where every level is required."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import NoReturn

import pytest

from dev.cluster.paths import REPOSITORY


def cannot_run(text: str) -> NoReturn:
    """Skip, with what was not tested and why; with PEGBOX_REQUIRE_ALL=1 fail."""
    if os.environ.get("PEGBOX_REQUIRE_ALL") == "1":
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


def prometheus() -> str:
    """The path of the program: what PEGBOX_PROMETHEUS names, the one on the PATH, or the one of the local cluster."""
    named = os.environ.get("PEGBOX_PROMETHEUS") or shutil.which("prometheus")
    if named:
        return named
    command = [sys.executable, "-m", "dev.cluster", "tool", "prometheus"]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    if found.returncode != 0 or not found.stdout.strip():
        cannot_run(
            f"NOT RUN: no Prometheus; `python -m dev.cluster tool prometheus` says {found.stderr.strip()[-300:]}"
        )
    return found.stdout.split()[-1]
