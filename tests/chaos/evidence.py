"""What windows the operator takes for clean, held against what really happened to the pods meanwhile. Called by `Watch`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.chaos.application import Application
from tests.chaos.violation import Violation
from tests.chaos.world import NAMESPACE, World

SECOND = timedelta(seconds=1)  # Kubernetes tells times in whole ones


@dataclass
class Quiet:
    """When something happened to the pods of one workload, and up to which window was looked. All by the operator's own
    clock, so that all begins anew where that jumps. A window may be looked at late: the wakes between failed (seed 307)."""

    pods: object
    ahead: float
    looked: datetime
    moments: list[tuple[datetime, bool]] = field(default_factory=list)
    """And whether a look of that very instant had begun before: then it is no part of the window that ends with it
    (seed 1600000689)."""


@dataclass
class Evidence:
    quiet: dict[str, Quiet] = field(default_factory=dict)
    begun: dict[str, datetime] = field(default_factory=dict)

    def woken(self, world: World, name: str) -> None:
        """A look begins."""
        self.begun[name] = world.own_clock.now()

    def noted(self, world: World) -> None:
        """Somebody acted, or time passed."""
        for name, app in world.apps.items():
            now, ahead, pods = world.own_clock.now(), world.own_clock.ahead, _pods(app)
            mine = self.quiet.get(name)
            if mine is None or mine.ahead != ahead:
                mine = self.quiet[name] = Quiet(pods, ahead, looked=now)
            if mine.pods != pods or disturbed(app):
                mine.pods = pods
                mine.moments.append((now, self.begun.get(name) == now))


def _pods(app: Application) -> object:
    """Which they are, and what they run."""
    return tuple((p.uid, p.restarts, p.ready, p.runs | p.env, p.sizes, p.cohort) for p in app.pods)


def disturbed(app: Application) -> bool:
    """Does something happen to them right now: a rollout, a crash loop, pods that are not ready or drain?"""
    return any(not p.ready or p.waiting or p.leaving or p.revision != app.newest for p in app.pods)


def clean_windows_are(world: World, name: str, evidence: Evidence) -> None:
    """A window that is taken for clean began after the setting was in force in every pod, and after all that happened to them:
    a rollout, a crash or a restart, a pod more or less. Only from such are trials judged, and anything learned. Excluded on
    purpose: once a ledger was lost or replaced, nobody knows since when pods that say nothing run what stands (seed 830002384)."""
    mine, memory = evidence.quiet.get(name), world.operator.reconciler.memories.get(f"{NAMESPACE}/{name}")
    if mine is None or memory is None or mine.ahead != world.own_clock.ahead or name in world.forgotten:
        return
    fresh = [w for w in memory.windows if w.window.end > mine.looked]
    mine.looked = max((w.window.end for w in fresh), default=mine.looked)
    for seen in fresh:
        end = (seen.window.end, False)
        within = [at for at, after in mine.moments if seen.window.start < at - SECOND and (at, after) <= end]
        if seen.clean and within:
            begun = (within[-1] - seen.window.start).total_seconds()
            raise Violation(
                f"{name}: a window is taken for clean that began {begun:g} s before its pods were left alone"
            )
