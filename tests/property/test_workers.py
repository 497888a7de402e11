"""WorkerGroup by random steps: it loses no task and never runs more than it may."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.live.test_workers import Bench, turns


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.one_of(st.tuples(st.just("resize"), st.integers(1, 8)), st.tuples(st.just("finish"), st.integers(1, 8))),
        max_size=30,
    )
)
def test_every_item_runs_exactly_once_and_never_more_at_once_than_allowed(
    steps: list[tuple[str, int]],
) -> None:
    asyncio.run(run_steps(steps))


async def run_steps(steps: list[tuple[str, int]]) -> None:
    bench = Bench(40)
    limit = 2
    bench.group.resize(limit)
    await turns()
    for step, count in steps:
        before = bench.group.busy
        if step == "resize":
            bench.group.resize(count)
            limit = count
        else:
            bench.finish(count)
        await turns()
        assert bench.group.busy <= max(before, limit)
        assert bench.group.busy >= min(limit, len(bench.queue)), "saturated: every allowed worker runs"
    bench.group.resize(8)
    while len(bench.done) < 40:
        bench.finish(8)
        await turns()
    await bench.group.stop()
    assert sorted(bench.done) == list(range(40))
    assert not bench.errors
