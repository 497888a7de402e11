"""ResizableQueue by random steps: FIFO, nothing accepted is dropped, a cancelled caller moved nothing."""

from __future__ import annotations

import asyncio

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pegbox.live.bounded_queue import ResizableQueue
from tests.unit.live.test_bounded_queue import turns

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
