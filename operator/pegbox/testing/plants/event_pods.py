"""The discrete-event machine behind `events`: pods with workers, a bounded queue and a connection pool, one heap.

A job takes a worker of its pod for its whole life, computes, takes a connection, queries, and leaves. Nothing here is
a queueing formula: waits come from the order of events alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush

ARRIVES, COMPUTED, QUERIED = range(3)


@dataclass(slots=True)
class Job:
    """`place` in 0..1 chooses the pod; `cpu` and `query` in seconds, when nobody else is there."""

    arrived: float
    place: float
    cpu: float
    query: float
    pod: Pod | None = None
    begun: float = 0.0
    held: float = 0.0  # seconds of a connection


@dataclass(slots=True)
class Pod:
    waiting: deque[Job] = field(default_factory=deque)
    asking: deque[Job] = field(default_factory=deque)  # hold a worker and wait for a connection
    busy: int = 0
    computing: int = 0
    connected: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """`store` is how many queries the database runs at full speed; `newest` serves the last that came first."""

    pods: int
    workers: int
    connections: int
    room: int
    cores: float
    store: float
    newest: bool = False


@dataclass(slots=True)
class Tally:
    """What happened between two moments: counts, and seconds summed over jobs that left."""

    offered: int = 0
    served: int = 0
    good: int = 0
    refused: int = 0
    latency: float = 0.0
    worked: float = 0.0
    computed: float = 0.0
    held: float = 0.0


class Machine:
    """All pods and the heap of what is going to happen. Times in seconds."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.pods = [Pod() for _ in range(limits.pods)]
        self.queries = 0
        self.inside = 0  # jobs that came and have not left
        self._heap: list[tuple[float, int, int, Job]] = []
        self._order = 0
        self._tally = Tally()
        self._good_within = 0.0

    def resize(self, limits: Limits) -> None:
        """Limits that hold from now on. What waits in a pod that goes is spread over the rest; what runs finishes."""
        self.limits = limits
        gone, self.pods = self.pods[limits.pods :], self.pods[: limits.pods]
        self.pods += [Pod() for _ in range(limits.pods - len(self.pods))]
        for at, job in enumerate(job for pod in gone for job in pod.waiting):
            self.pods[at % limits.pods].waiting.append(job)
        for pod in gone:
            pod.waiting.clear()

    def run(self, jobs: Iterable[Job], until: float, good_within: float, closed: tuple[float, int] = (0.0, 0)) -> Tally:
        """Everything up to `until`. `closed`: until that moment so many pods take nothing new (a rolling restart)."""
        tally, self._good_within = Tally(), good_within
        self._tally = tally
        for job in jobs:
            self._push(job.arrived, ARRIVES, job)
        heap, shut, away = self._heap, *closed
        for pod in self.pods:  # limits may have grown
            self._fill(pod, heap[0][0] if heap else until)
        while heap and heap[0][0] < until:
            now, _, kind, job = heappop(heap)
            if kind == ARRIVES:
                self._arrive(job, now, max(1, self.limits.pods - away) if now < shut else self.limits.pods)
            elif kind == COMPUTED:
                self._computed(job, now)
            else:
                self._queried(job, now)
        return tally

    def _push(self, at: float, kind: int, job: Job) -> None:
        self._order += 1
        heappush(self._heap, (at, self._order, kind, job))

    def _arrive(self, job: Job, now: float, opened: int) -> None:
        pod = self.pods[int(job.place * opened)]
        self._tally.offered += 1
        if pod.busy < self.limits.workers and not pod.waiting:
            self.inside += 1
            self._begin(pod, job, now)
        elif len(pod.waiting) < self.limits.room:
            self.inside += 1
            pod.waiting.append(job)
        else:
            self._tally.refused += 1

    def _begin(self, pod: Pod, job: Job, now: float) -> None:
        job.pod, job.begun = pod, now
        pod.busy += 1
        pod.computing += 1
        self._push(now + job.cpu * max(1.0, pod.computing / self.limits.cores), COMPUTED, job)

    def _computed(self, job: Job, now: float) -> None:
        pod = job.pod
        assert pod is not None
        pod.computing -= 1
        self._tally.computed += job.cpu
        if job.query <= 0.0:
            self._leave(pod, job, now)
        elif pod.connected < self.limits.connections:
            self._connect(pod, job, now)
        else:
            pod.asking.append(job)

    def _connect(self, pod: Pod, job: Job, now: float) -> None:
        pod.connected += 1
        self.queries += 1
        job.held = job.query * max(1.0, self.queries / self.limits.store)
        self._push(now + job.held, QUERIED, job)

    def _queried(self, job: Job, now: float) -> None:
        pod = job.pod
        assert pod is not None
        pod.connected -= 1
        self.queries -= 1
        self._tally.held += job.held
        while pod.asking and pod.connected < self.limits.connections:
            self._connect(pod, pod.asking.popleft(), now)
        self._leave(pod, job, now)

    def _leave(self, pod: Pod, job: Job, now: float) -> None:
        tally, stayed = self._tally, now - job.arrived
        self.inside -= 1
        pod.busy -= 1
        tally.served += 1
        tally.latency += stayed
        tally.worked += now - job.begun
        tally.good += stayed <= self._good_within
        self._fill(pod, now)

    def _fill(self, pod: Pod, now: float) -> None:
        while pod.waiting and pod.busy < self.limits.workers:
            self._begin(pod, pod.waiting.pop() if self.limits.newest else pod.waiting.popleft(), now)
