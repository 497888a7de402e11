"""Claims of ResizableQueue: FIFO, nothing accepted is dropped, a cancelled caller moved nothing."""

from __future__ import annotations

import asyncio

from pegbox.live.bounded_queue import ResizableQueue


async def turns() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


async def test_a_shrink_drops_nothing_and_refuses_new_items() -> None:
    queue: ResizableQueue[int] = ResizableQueue(3)
    assert [queue.try_put(n) for n in (1, 2, 3, 4)] == [True, True, True, False]
    queue.resize(1)
    assert not queue.try_put(5)
    assert [await queue.get() for _ in range(3)] == [1, 2, 3]
    assert queue.try_put(6)


async def test_a_raise_wakes_waiting_putters_in_their_order() -> None:
    queue: ResizableQueue[int] = ResizableQueue(1)
    putters = [asyncio.ensure_future(queue.put(n)) for n in (1, 2, 3)]
    await turns()
    assert [putter.done() for putter in putters] == [True, False, False]
    queue.resize(3)
    await turns()
    assert all(putter.done() for putter in putters)
    assert [await queue.get() for _ in range(3)] == [1, 2, 3]


async def test_a_getter_cancelled_in_the_step_of_its_grant_leaves_the_item_first_in_line() -> None:
    queue: ResizableQueue[int] = ResizableQueue(5)
    getter = asyncio.ensure_future(queue.get())
    await turns()
    queue.try_put(1)
    queue.try_put(2)
    getter.cancel()
    await turns()
    assert getter.cancelled()
    assert [await queue.get(), await queue.get()] == [1, 2]


async def test_settled_waits_until_the_surplus_was_taken() -> None:
    queue: ResizableQueue[int] = ResizableQueue(2)
    queue.try_put(1)
    queue.try_put(2)
    queue.resize(1)
    settled = asyncio.ensure_future(queue.settled())
    await turns()
    assert not settled.done()
    await queue.get()
    await turns()
    assert settled.done()
