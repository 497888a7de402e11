"""Simulated workloads with a known best setting: for the benchmark, for learning a prior, and for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pegbox.testing.plants.autoscaled import Autoscaled
from pegbox.testing.plants.cache import Cache
from pegbox.testing.plants.database_pool import DatabasePool
from pegbox.testing.plants.deploys import Deploys
from pegbox.testing.plants.events import Events
from pegbox.testing.plants.protocol import Plant
from pegbox.testing.plants.slow_leak import SlowLeak
from pegbox.testing.plants.upstream import Upstream

MakePlant = Callable[[int], Plant]
"""Called with a seed."""

SHIPPED: Mapping[str, MakePlant] = {
    "database-pool": DatabasePool,
    "upstream": Upstream,
    "cache": Cache,
    "autoscaled": Autoscaled,
    "deploys": Deploys,
    "slow-leak": SlowLeak,
    "events": Events,
}
