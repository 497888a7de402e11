"""Claims of WorkerGroup: grows and shrinks while saturated, loses no task, never interrupts one."""

from __future__ import annotations

import asyncio

from pegbox.live.bounded_queue import ResizableQueue
from pegbox.live.workers import WorkerGroup


async def turns(count: int = 8) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Bench:
    """Items that run until the test lets them finish; counts what runs at once."""

    def __init__(self, items: int) -> None:
        self.queue: ResizableQueue[int] = ResizableQueue(max(1, items))
        for item in range(items):
            self.queue.try_put(item)
        self.running: dict[int, asyncio.Future[None]] = {}
        self.done: list[int] = []
        self.most = 0
        self.errors: list[Exception] = []
        self.group = WorkerGroup(self.queue.get, self.run, self.errors.append)

    async def run(self, item: int) -> None:
        self.running[item] = asyncio.get_running_loop().create_future()
        self.most = max(self.most, len(self.running))
        try:
            await self.running[item]
        finally:
            del self.running[item]
        self.done.append(item)

    def finish(self, count: int) -> None:
        for item in sorted(self.running)[:count]:
            if not self.running[item].done():
                self.running[item].set_result(None)


async def test_a_group_grows_at_once_under_saturation() -> None:
    bench = Bench(20)
    bench.group.resize(2)
    await turns()
    assert bench.group.busy == 2
    bench.group.resize(6)
    await turns()
    assert (bench.group.busy, bench.most) == (6, 6)
    bench.finish(6)
    await bench.group.stop()


async def test_a_shrink_lets_running_tasks_finish_and_then_keeps_the_new_size() -> None:
    bench = Bench(20)
    bench.group.resize(6)
    await turns()
    bench.group.resize(2)
    await turns()
    assert bench.group.busy == 6, "no task is interrupted"
    bench.finish(6)
    await turns()
    assert (bench.group.alive, bench.group.busy) == (2, 2)
    assert sorted(bench.done) == [0, 1, 2, 3, 4, 5]
    bench.finish(2)
    await bench.group.stop()


async def test_workers_that_finish_in_the_same_step_do_not_all_go() -> None:
    bench = Bench(6)
    bench.group.resize(6)
    await turns()
    bench.group.resize(5)
    bench.finish(6)
    await turns()
    assert bench.group.alive == 5
    await bench.group.stop()


async def test_idle_workers_go_at_once() -> None:
    bench = Bench(0)
    bench.group.resize(6)
    await turns()
    bench.group.resize(1)
    await asyncio.wait_for(bench.group.settled(), 5)
    assert bench.group.alive == 1
    await bench.group.stop()


async def test_an_item_handed_to_an_idle_worker_that_is_dismissed_in_the_same_step_is_not_lost() -> None:
    bench = Bench(0)
    bench.group.resize(2)
    await turns()
    bench.queue.try_put(7)
    bench.group.resize(1)
    await turns()
    assert list(bench.running) == [7]
    bench.finish(1)
    await bench.group.stop()


async def test_a_task_that_raises_costs_no_worker() -> None:
    queue: ResizableQueue[int] = ResizableQueue(10)
    errors: list[Exception] = []
    done: list[int] = []

    async def run(item: int) -> None:
        if item == 0:
            raise ValueError("bad item")
        done.append(item)

    group = WorkerGroup(queue.get, run, errors.append)
    group.resize(1)
    for item in range(3):
        queue.try_put(item)
    await turns(20)
    assert (done, [str(error) for error in errors], group.alive) == ([1, 2], ["bad item"], 1)
    await group.stop()
