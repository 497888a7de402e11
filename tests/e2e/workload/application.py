"""A tiny queue worker for the end-to-end tests: an open loop in one process, tuned through pegbox.live.

ARRIVALS tasks a second come in evenly; each holds one of `worker_count` workers for SERVICE seconds. What finds QUEUE
tasks waiting is rejected. So one worker too few makes latency grow within a second, and one more mends it.
`pause` lengthens each task; `hoard` is memory that it holds beside its work, in MiB. `chunk` and `lanes` come by env and need a restart; with twice the lanes a task takes half of
its time. So it does with fewer than CORES in the limit of the container's own cgroup, the other way round: what a real
lack of cores does the clock hides, since it stands still while the machine stalls. The tests ask what Pegbox does, not
how busy two cores are. ACKNOWLEDGE_AFTER delays the acknowledgement: time for a test to act in.
"""

import asyncio
import logging
import math
import os
import signal
from pathlib import Path

from prometheus_client import REGISTRY, start_http_server

from pegbox.live import (
    Gauge,
    LiveSettings,
    ResizableQueue,
    TaskMetrics,
    WorkerGroup,
    WorkloadMetrics,
    duration,
    integer,
)

ARRIVALS = float(os.environ["ARRIVALS"])
SERVICE = float(os.environ["SERVICE"])
QUEUE = int(os.environ["QUEUE"])
ACKNOWLEDGE_AFTER = float(os.environ.get("ACKNOWLEDGE_AFTER", "0"))
WORKERS = integer("worker_count", default=int(os.environ["START_WORKER_COUNT"]), minimum=1, maximum=64)
CORES = float(os.environ["CORES"])
# Known to the document never, to the metrics always: an env knob's value in force is what the process started with.
CHUNK = integer("chunk", default=int(os.environ.get("CHUNK", "4")), minimum=1, maximum=64)
LANES = integer("lanes", default=int(os.environ.get("LANES", "4")), minimum=1, maximum=64)
PAUSE = duration("pause", default=os.environ.get("START_PAUSE", "1ms"), minimum="1ms", maximum="400ms")
HOARD = integer("hoard", default=int(os.environ.get("START_HOARD", "1")), minimum=1, maximum=512)
CGROUP = Path("/sys/fs/cgroup")
PAGE = 4096
BEAT, STALL = 0.02, 0.05  # seconds between two looks at the clock, and of a gap between them that is a stall


class Loop(asyncio.SelectorEventLoop):
    """Of a gap between two looks at its clock no more than STALL passes."""

    _seen, _lost = None, 0.0

    def time(self) -> float:
        now = super().time()
        if self._seen is not None:
            self._lost += max(0.0, now - self._seen - STALL)
        self._seen = now
        return now - self._lost


def cores() -> float:
    """The limit of cores that the container's cgroup has now; infinite without one."""
    if (CGROUP / "cpu.max").exists():
        quota, period = (CGROUP / "cpu.max").read_text().split()
    else:  # cgroup v1
        quota, period = ((CGROUP / f"cpu/cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
    return math.inf if quota in ("max", "-1") else int(quota) / int(period)


def memory() -> float:
    """Likewise of bytes."""
    v2, v1 = CGROUP / "memory.max", CGROUP / "memory/memory.limit_in_bytes"
    return float((v2 if v2.exists() else v1).read_text().strip().replace("max", "inf"))


def service() -> float:
    """Seconds of one task."""
    return SERVICE * 4 / LANES.default * max(1.0, CORES / cores())


class Hoard:
    """Memory that is held, and touched: the kernel counts what was written to."""

    held = bytearray()

    def resize(self, mebibytes: int) -> None:
        self.held = bytearray()  # never the old and the new at once
        self.held = bytearray(mebibytes << 20)
        self.held[::PAGE] = b"x" * len(self.held[::PAGE])


def clock() -> float:
    return asyncio.get_running_loop().time()


def beat(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_later(BEAT, beat, loop)


async def main() -> None:
    logging.basicConfig(level=logging.INFO)
    ended = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, ended.set)
    tasks, workload = TaskMetrics(REGISTRY), WorkloadMetrics(REGISTRY)
    queue: ResizableQueue[float] = ResizableQueue(QUEUE)

    async def work(due: float) -> None:
        await asyncio.sleep(service() + settings.current[PAUSE])
        tasks.duration.observe(clock() - due)
        tasks.outcomes.labels("success").inc()

    group = WorkerGroup(queue.get, work, lambda error: logging.error("a task failed: %r", error))
    workload.add(Gauge("pegbox_workers_busy", "Workers at work.", lambda: group.busy))
    workload.add(Gauge("pegbox_workers_limit", "Workers.", lambda: group.limit))
    workload.add(Gauge("e2e_cgroup_cores", "Limit of the container's cgroup.", cores))
    workload.add(Gauge("e2e_cgroup_bytes", "Limit of the container's cgroup.", memory))
    settings, hoard = LiveSettings([WORKERS, CHUNK, LANES, PAUSE, HOARD]), Hoard()

    async def settled() -> None:
        await group.settled()
        await asyncio.sleep(ACKNOWLEDGE_AFTER)

    settings.subscribe(lambda _, new: group.resize(new[WORKERS]), settled)
    settings.subscribe(lambda old, new: None if old[HOARD] == new[HOARD] else hoard.resize(new[HOARD]))
    group.resize(WORKERS.default)
    hoard.resize(HOARD.default)
    start_http_server(9100)
    async with settings:
        beat(asyncio.get_running_loop())
        arrivals = asyncio.create_task(arrive(queue, tasks))
        await ended.wait()
        arrivals.cancel()


async def arrive(queue: ResizableQueue[float], tasks: TaskMetrics) -> None:
    """Evenly, and by the schedule: what the loop was too late for arrives at once."""
    due = clock()
    while True:
        due += 1 / ARRIVALS
        await asyncio.sleep(max(0.0, due - clock()))
        tasks.arrived.inc()
        if not queue.try_put(due):
            tasks.outcomes.labels("rejected").inc()


with asyncio.Runner(loop_factory=Loop) as runner:
    runner.run(main())
