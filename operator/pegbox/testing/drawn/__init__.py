"""Workloads with drawn parameters: what a prior is learned from, and what it is judged by.

Each family has the shape of one of `pegbox.testing.plants`, and draws its seconds, sizes and limits anew for every
seed. None shares a formula with the model that Pegbox learns (learning/capacity.py): closed networks are solved by
convolution, queues by birth-death chains, and `events` is a simulation of single events. The operator imports none
of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pegbox.testing.drawn.base import Answer, Drawn
from pegbox.testing.drawn.networks import Autoscaled, Backend, Database
from pegbox.testing.drawn.simulated import Events
from pegbox.testing.drawn.stores import Cache, Upstream

FAMILIES: Mapping[str, Callable[[int], Drawn]] = {
    "database": Database,
    "backend": Backend,
    "autoscaled": Autoscaled,
    "upstream": Upstream,
    "cache": Cache,
    "events": Events,
}
"""Called with a seed."""

__all__ = ["FAMILIES", "Answer", "Drawn"]
