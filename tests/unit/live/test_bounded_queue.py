"""Claims of ResizableQueue: FIFO, nothing accepted is dropped, a cancelled caller moved nothing."""

from __future__ import annotations

import asyncio

from hypothesis import example, given, settings
from hypothesis import strategies as st

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


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.just(0)),
        st.tuples(st.just("get"), st.just(0)),
        st.tuples(st.just("cancel_put"), st.integers(0, 5)),
        st.tuples(st.just("cancel_get"), st.integers(0, 5)),
        st.tuples(st.just("resize"), st.integers(1, 5)),
        st.tuples(st.just("turn"), st.just(0)),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=200)
@given(STEPS)
@example([("put", 0)] * 3 + [("get", 0)] * 2 + [("put", 0)])
def test_whatever_happens_each_item_that_was_put_comes_out_once_and_in_order(
    steps: list[tuple[str, int]],
) -> None:
    asyncio.run(run_steps(steps))


async def run_steps(steps: list[tuple[str, int]]) -> None:
    queue: ResizableQueue[int] = ResizableQueue(2)
    putters: dict[int, asyncio.Task[None]] = {}
    getters: list[asyncio.Task[int]] = []
    for number, (step, argument) in enumerate(steps):
        waiting_putters = [task for task in putters.values() if not task.done()]
        waiting_getters = [task for task in getters if not task.done()]
        if step == "put":
            putters[number] = asyncio.ensure_future(queue.put(number))
        elif step == "get":
            getters.append(asyncio.ensure_future(queue.get()))
        elif step == "cancel_put" and waiting_putters:
            waiting_putters[argument % len(waiting_putters)].cancel()
        elif step == "cancel_get" and waiting_getters:
            waiting_getters[argument % len(waiting_getters)].cancel()
        elif step == "resize":
            queue.resize(argument)
        else:
            await turns()
    await turns()
    queue.resize(1000)
    await turns()
    put = [number for number, task in putters.items() if task.done() and not task.cancelled()]
    rest = [await queue.get() for _ in range(len(queue))]
    for task in getters:
        if not task.done():
            task.cancel()
    await turns()
    taken = [task.result() for task in getters if not task.cancelled()]
    assert taken + rest == put, "each item once, in the order of the line"
    assert len(queue) == 0
