"""A fake API server on virtual time, which only `advance` moves."""

from __future__ import annotations

import pytest

from pegbox.testing.clock import FakeClock
from pegbox.testing.cluster import FakeCluster


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(auto=False)


@pytest.fixture
def cluster(clock: FakeClock) -> FakeCluster:
    return FakeCluster(clock)
