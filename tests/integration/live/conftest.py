"""Real servers on loopback. Without their binaries the tests skip loudly, and fail where none may be
skipped.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.levels import cannot_run

EXAMPLE = Path(__file__).parents[3] / "examples" / "issue-service"
sys.path.insert(0, str(EXAMPLE))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Any]:
    import local_servers

    try:
        context = local_servers.postgres()
        server = context.__enter__()
    except local_servers.NotInstalled as error:
        cannot_run(f"NOT RUN: {error}")
    try:
        yield server
    finally:
        context.__exit__(None, None, None)


@pytest.fixture(scope="session")
def redis_port() -> Iterator[int]:
    import local_servers

    try:
        context = local_servers.redis()
        port = context.__enter__().port
    except local_servers.NotInstalled as error:
        cannot_run(f"NOT RUN: {error}")
    try:
        yield port
    finally:
        context.__exit__(None, None, None)
