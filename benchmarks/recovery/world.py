"""One profile in Auto and three that only recommend, on real servers; the one is in a harmful trial each time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from benchmarks import servers
from benchmarks.load.book import Standing
from benchmarks.load.shops import Shops, Times
from benchmarks.load.stage import WATCHED, Shape, Stage, stage
from benchmarks.recovery.operators import Running
from pegbox.model.trials import IntentKind
from pegbox.ports import Object

KEY = "shop-00/app-000"
TRIAL = "worker_count=12,http_pool=5,max_replicas=4"
"""From 8, 10 and 3, and 12 workers harm. The pool falls first and must be in force before anything rises: own budget
3 x 8 x 10 = 240 of 300, 4 x 12 x 10 = 480 would exceed it, 4 x 12 x 5 = 240 does not."""
CAPACITY = 60  # workers of the shared budget: the trial takes 4 x 12 of them
SETTINGS = {"fleetBreaker": {"profiles": 0}}  # the same trial harms time after time, and that is what is wanted
POLL = 0.2
LONGEST = 240.0
AGAIN = 2.0  # seconds until a request that was refused is made again


class Slow(Exception):
    """Something did not come about in time."""


@dataclass
class Bounded(Shops):
    """Nothing that the operator proposes of its own accord may move what the trial needs out of its reach, and nobody
    else may hold the trial slot of the budget.
    """

    limits: Mapping[str, tuple[int, int]] = field(
        default_factory=lambda: {
            "worker_count": (8, 16),
            "http_pool": (5, 10),
            "max_replicas": (3, 6),
            "min_replicas": (2, 2),
        }
    )

    def capacity(self, namespace: str) -> int:
        return CAPACITY

    def mode(self, name: str) -> str:
        return "Auto" if KEY.endswith(f"/{name}") else "Recommend"

    def profile(self, namespace: str, name: str, mode: str = "") -> Object:
        """What one case spends of the SLO's error budget is over before the next one: a trial would have to wait."""
        body = super().profile(namespace, name, mode)
        short = [slo | {"window": f"{self.times.window}s"} for slo in body["spec"]["slos"]]
        return body | {"spec": body["spec"] | {"slos": short}}


@dataclass
class World:
    made: Stage
    say: Callable[[str], None]
    tokens: int = 0
    operators: list[Running] = field(default_factory=list)
    _later: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def standing(self) -> Standing:
        return self.made.book.tenants[KEY]

    def start(self, name: str = "pegbox-0", **environment: str) -> Running:
        config = dict(self.made.config)
        if name != "pegbox-0":
            config["http"] = {"port": self.made.second}
        running = Running(self.made.directory, config, self.made.kubeconfig, name, environment)
        self.operators.append(running)
        return running

    def end_all(self) -> None:
        for each in self.operators:
            each.end()
        self.operators.clear()

    def later(self, coming: Coroutine[None, None, None]) -> None:
        """Something that happens while it is waited for recovery."""
        self._later.append(asyncio.create_task(coming))

    async def drop_later(self, *, told: bool = False) -> None:
        """What was to come is waited for: a case is over when all of it has happened. Raises what it raised, unless it
        was told before."""
        coming, self._later = self._later, []
        await asyncio.gather(*coming, return_exceptions=told)

    async def standby(self) -> None:
        """A second operator, which waits for the Lease from now on."""
        second = self.start("pegbox-1")
        while not await asyncio.to_thread(second.ask):
            if not second.alive:
                raise servers.CannotMeasure("the standby did not start")
            await asyncio.sleep(POLL)

    # --- what people do

    async def ask(self) -> int:
        """A harmful trial, with the breaker closed first. How many trials had ended before."""
        self.tokens += 1
        namespace, _, name = KEY.partition("/")
        body = self.made.shops.profile(namespace, name)
        verbs = {"pegbox.dev/reset": f"r{self.tokens}", "pegbox.dev/try": f"t{self.tokens} {TRIAL}"}
        body["metadata"]["annotations"] = verbs
        await self.made.shops.cluster.apply(body, force=True)
        return self.tokens

    async def bring(self, done: Callable[[], bool], what: str) -> None:
        """Until what the trial is to bring about is there. A request that is refused, for a reason that may pass, is
        made again; so is one whose trial ended too soon. Raises Slow."""
        end, asked = time.monotonic() + LONGEST, 1
        while not done():
            await self.until(lambda: done() or self.over(), f"{what}, asked {asked} times", end - time.monotonic())
            if not done():
                await asyncio.sleep(AGAIN)
                await self.ask()
                asked += 1

    # --- what is seen

    def over(self) -> bool:
        """The request was taken, and its trial ended or never began."""
        return self.token() == f"t{self.tokens}" and not self.tried()

    def told(self) -> str:
        """What the operator said last, and what stands, for whom it concerns that something did not come about."""
        ledger = self.standing.ledger
        intent = None if ledger is None else ledger.intent
        return f"{self.made.log_end()}\n{self.made.book.unsettled()}\nasked t{self.tokens}, {self.token()}: {intent}"

    def tried(self) -> str:
        """The id of the trial or rollback that is under way; "" for none."""
        ledger = self.standing.ledger
        intent = ledger.intent if ledger is not None else None
        return intent.id if intent is not None and intent.kind is not IntentKind.ADOPT else ""

    def token(self) -> str:
        ledger = self.standing.ledger
        return "" if ledger is None else ledger.tokens.get("try", "")

    def harming(self) -> bool:
        """Every pod runs the harmful value."""
        document = self.standing.document
        if document is None or document.values.get("worker_count") != "12":
            return False
        return set(self.standing.runs.values()) == {document.generation}

    def good(self) -> bool:
        """The trial that was asked for is over, and every pod runs the incumbent."""
        return self.over() and not any(each.startswith(KEY) for each in self.made.book.unsettled())

    async def until(self, holds: Callable[[], bool], what: str, limit: float = LONGEST) -> float:
        """Seconds until it holds. Raises Slow."""
        started = time.monotonic()
        while not holds():
            if time.monotonic() - started > limit:
                raise Slow(f"{what}: not within {limit:.0f} s")
            await asyncio.sleep(POLL)
        return time.monotonic() - started

    async def looked_at(self, since: float) -> float:
        """Seconds from `since` until an operator looked at the profile again."""
        await self.until(lambda: any(at > since for at in self.made.looks.seen.get(KEY, ())), "a look")
        return min(at for at in self.made.looks.seen[KEY] if at > since) - since

    async def at_rest(self) -> None:
        """Somebody leads, the profile is adopted and nothing is under way."""
        await self.looked_at(time.monotonic())
        await self.until(lambda: self.standing.document is not None and not self.tried(), "at rest")
        await self.until(lambda: not self.made.book.unsettled(), "all at rest")


@asynccontextmanager
async def world(say: Callable[[str], None]) -> AsyncIterator[World]:
    """Scrapes every second, windows of 10 s, looks every 5 s; the observer waits half a second for order."""
    shape = Shape(4, 0.0, 1, Times(interval=5, scrape=1), SETTINGS, Bounded)
    async with stage(shape, say) as made:
        made.watching.ordered.hold = 0.5
        observer = asyncio.create_task(made.watching.run(WATCHED))
        found = World(made, say)
        try:
            await asyncio.sleep(2.0)
            yield found
            if observer.done():
                observer.result()
        except servers.CannotMeasure:
            say(made.log_end())
            raise
        finally:
            await asyncio.to_thread(found.end_all)
            observer.cancel()
            with suppress(BaseException):
                await observer
