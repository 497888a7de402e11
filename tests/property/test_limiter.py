"""Resizable against a model, by random runs: FIFO, never above, no slot lost."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pegbox.live.limiter import Resizable
from tests.unit.live.test_limiter import turns


class LimiterMachine(RuleBasedStateMachine):
    """The model: a line of waiters and a set of holders; a slot goes to the head of the line while in_use <
    limit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.limiter = Resizable(2)
        self.limit, self.ceiling = 2, 2
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.line: OrderedDict[int, None] = OrderedDict()
        self.holders: set[int] = set()
        self.granted: list[int] = []
        self.number = 0

    async def _hold(self, number: int) -> None:
        await self.limiter.acquire()
        self.granted.append(number)

    def _run_loop(self) -> None:
        self.runner.run(turns())

    def _grant(self) -> list[int]:
        order = []
        while self.line and len(self.holders) < self.limit:
            number, _ = self.line.popitem(last=False)
            self.holders.add(number)
            order.append(number)
        return order

    def _expect(self, order: list[int]) -> None:
        assert self.granted == order, "slots go to the line in its order, all that are free and no more"
        self.granted = []
        # After a shrink the ceiling falls with the releases and never rises again but by a raise.
        self.ceiling = max(self.limit, min(self.ceiling, len(self.holders)))

    @rule()
    def arrive(self) -> None:
        self.number += 1
        self.line[self.number] = None

        async def start() -> None:
            self.tasks[self.number] = asyncio.ensure_future(self._hold(self.number))
            await turns()

        self.runner.run(start())
        self._expect(self._grant())

    @precondition(lambda self: self.holders)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.holders)))
        self.holders.discard(number)
        self.limiter.release()
        self._run_loop()
        self._expect(self._grant())

    @rule(limit=st.integers(1, 6))
    def resize(self, limit: int) -> None:
        self.ceiling = max(self.limit, limit, len(self.holders))
        self.limit = limit
        self.limiter.resize(limit)
        self._run_loop()
        self._expect(self._grant())

    @precondition(lambda self: self.line)
    @rule(data=st.data())
    def cancel_a_waiter(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.line)))
        del self.line[number]
        self.tasks.pop(number).cancel()
        self._run_loop()
        self._expect([])

    @precondition(lambda self: self.line and self.holders and len(self.holders) <= self.limit)
    @rule(data=st.data())
    def cancel_in_the_step_of_the_grant(self, data: st.DataObject) -> None:
        """The head is granted a slot and cancelled before it could run: the slot goes to the next in line."""
        self.holders.discard(data.draw(st.sampled_from(sorted(self.holders))))
        head = next(iter(self.line))
        del self.line[head]
        self.limiter.release()
        self.tasks.pop(head).cancel()
        self._run_loop()
        self._expect(self._grant())

    @invariant()
    def counts_agree_and_stay_below(self) -> None:
        assert self.limiter.in_use == len(self.holders) <= max(self.limit, self.ceiling)
        assert self.limiter.waiting == len(self.line)
        assert not (self.line and len(self.holders) < self.limit), "a free slot and a waiter: a lost wake-up"

    def teardown(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        self.runner.close()


TestLimiter = LimiterMachine.TestCase
TestLimiter.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
