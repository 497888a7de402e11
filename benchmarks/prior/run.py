"""The whole run: learn, choose on the learn split, then score once on workloads and families that were not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import TypeVar

from threadpoolctl import threadpool_limits

from benchmarks.prior import figures
from benchmarks.prior.learn import WINDOWS, Told, population, told
from benchmarks.prior.score import Ahead, Scores, ahead, scores
from pegbox.bench.progress import Progress
from pegbox.learning.beliefs import CALM, DEFAULTS, HELD, POOL_TIE, POOLED, QUEUE, QUEUED, WORKER_TIE, ColdStart
from pegbox.testing.drawn import FAMILIES

LEARN = range(12)
UNSEEN = range(5000, 5012)
FEW = (3, 8)  # windows after which candidates are compared
AHEAD_SEEDS, AHEAD_WINDOWS = 3, 12
MISFITS = "nothing but misfits"
HAND, SHIPPED, LEFT_OUT = "by hand", "learned", "learned without its family"

TIES, DEMANDS = (WORKER_TIE, POOL_TIE), (HELD, POOLED)
LATENCY, CONTENTION = (CALM, QUEUED, "variability", QUEUE), ("sigma", "kappa", "ceiling")
CANDIDATES: Mapping[str, tuple[str, ...]] = {
    MISFITS: (),
    "ties, demands": TIES + DEMANDS,
    "ties, latency": TIES + LATENCY,
    "all": TIES + DEMANDS + LATENCY + CONTENTION,
}
"""Which beliefs are taken from the population; the others stay as by hand."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Run:
    """What one run found. `losses` are the candidates' on the learn split, each family judged without itself."""

    chosen: str
    learned: ColdStart
    losses: Mapping[str, float]
    unseen: Sequence[Scores]
    ahead: Sequence[Ahead]


@dataclass(frozen=True, slots=True)
class Learned:
    """The learn split: what its workloads told, and how each candidate did on families that it had not seen."""

    found: Sequence[Told]
    tried: Sequence[Scores]

    def cold(self, candidate: str, without: str = "") -> ColdStart:
        """The candidate's part of what the population says, and how far off it is where it was not learned."""
        learned = population([one for one in self.found if one.family != without])
        beliefs = {key: learned[key] for key in CANDIDATES[candidate] if key in learned}
        own = [s for s in self.tried if s.beliefs == candidate and s.family != without]
        return ColdStart(candidate, beliefs, *figures.misfits(own))

    def loss(self, candidate: str) -> float:
        """Each family by misfits of the others."""
        own = [s for s in self.tried if s.beliefs == candidate]
        if candidate == HAND:
            return figures.loss(own)
        apart = []
        for family in FAMILIES:
            cold = self.cold(candidate, without=family)
            apart += [figures.widened(s, cold) for s in own if s.family == family]
        return figures.loss(apart)


def run(jobs: int) -> Run:
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        found = _all(pool, "surveys", told, _tasks(LEARN))
        tried = _all(pool, "candidates", _tried, [(*task, found) for task in _tasks(LEARN)])
        learned = Learned(found, [score for each in tried for score in each])
        losses = {name: round(learned.loss(name), 4) for name in (HAND, *CANDIDATES)}
        chosen = min(CANDIDATES, key=lambda name: losses[name])
        cold = {family: _variants(learned, chosen, family) for family in FAMILIES}
        unseen = _all(pool, "unseen workloads", scores, [(*t, cold[t[0]], WINDOWS) for t in _tasks(UNSEEN)])
        pairs = {family: {name: each[name] for name in (HAND, LEFT_OUT)} for family, each in cold.items()}
        some = [(*t, pairs[t[0]], AHEAD_WINDOWS) for t in _tasks(UNSEEN[:AHEAD_SEEDS])]
        later = _all(pool, "windows ahead", ahead, some)
    return Run(
        chosen=chosen,
        learned=learned.cold(chosen),
        losses=losses,
        unseen=[score for each in unseen for score in each],
        ahead=[one for each in later for one in each],
    )


def _one_thread() -> None:
    threadpool_limits(limits=1)


def _tasks(seeds: range) -> list[tuple[str, int]]:
    return [(family, seed) for seed in seeds for family in FAMILIES]


def _all(
    pool: ProcessPoolExecutor, what: str, work: Callable[..., Item], tasks: Iterable[tuple[object, ...]]
) -> list[Item]:
    """In the order of the tasks, whoever is done first."""
    waiting = [pool.submit(work, *task) for task in tasks]
    progress, done = Progress(what, len(waiting)), []
    for one in waiting:
        done.append(one.result())
        progress.step()
    return done


def _tried(family: str, seed: int, found: Sequence[Told]) -> list[Scores]:
    """Each candidate learned without the workload's family; misfits come later, from the other families."""
    others = Learned([one for one in found if one.family != family], ())
    variants = {HAND: DEFAULTS, **{name: others.cold(name) for name in CANDIDATES if name != MISFITS}}
    tried = scores(family, seed, variants, FEW)
    return [*tried, *(replace(s, beliefs=MISFITS) for s in tried if s.beliefs == HAND)]


def _variants(learned: Learned, chosen: str, family: str) -> dict[str, ColdStart]:
    return {HAND: DEFAULTS, SHIPPED: learned.cold(chosen), LEFT_OUT: learned.cold(chosen, without=family)}
