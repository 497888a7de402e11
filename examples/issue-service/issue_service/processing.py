"""What a worker does with a batch: claim, call, compute, commit. Counts every issue exactly once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from issue_service import store
from issue_service.cpu import compute
from issue_service.shared_queue import Issue, SharedQueue, now
from issue_service.upstream_client import UpstreamClient, UpstreamFailed
from issue_service.workload import Workload
from pegbox.live import TaskMetrics

logger = logging.getLogger("issue_service")

ISSUES_FAULT = (UpstreamFailed, DataError, IntegrityError, KeyError, ValueError)
"""What a batch can bring about itself; after `attempts` of these an issue is a dead letter."""
PAUSE_SECONDS = 1.0
"""Pause of a worker that met an absent database, so that it does not ask in a tight loop."""


@dataclass
class Processor:
    workload: Workload
    queue: SharedQueue
    engine: AsyncEngine
    upstream: UpstreamClient
    metrics: TaskMetrics
    pod: str

    async def run(self, batch: Sequence[Issue]) -> None:
        """Process a leased batch to its end. A failure gives it back to the queue, whole: nothing was
        committed.
        """
        started = time.monotonic()
        fresh = await self._drop_expired(batch)
        if not fresh:
            return
        try:
            done = await self._commit(fresh)
        except ISSUES_FAULT as error:
            logger.warning("a batch of %d failed: %r", len(fresh), error)
            self.metrics.outcomes.labels("failure").inc(await self.queue.fail(fresh))
            return
        except Exception as error:
            # A database that is away is no fault of the issues: it must not use up their attempts.
            logger.warning("a batch of %d waits for better times: %r", len(fresh), error)
            await asyncio.sleep(PAUSE_SECONDS)
            await self.queue.give_back(fresh)
            return
        finished, took = now(), time.monotonic() - started
        await self.queue.done(fresh)
        for issue in done:
            self.metrics.duration.observe(max(0.0, finished - issue.enqueued_at))
            self.metrics.service.observe(took)
        self.metrics.outcomes.labels("success").inc(len(done))

    async def _drop_expired(self, batch: Sequence[Issue]) -> list[Issue]:
        oldest = now() - self.workload.issue.ttl
        expired = [issue for issue in batch if issue.enqueued_at < oldest]
        if expired:
            await self.queue.done(expired)
            self.metrics.outcomes.labels("expired").inc(len(expired))
        return [issue for issue in batch if issue.enqueued_at >= oldest]

    async def _commit(self, batch: Sequence[Issue]) -> list[Issue]:
        """Return the issues committed by this call; one that was committed before is left out and not an
        error.
        """
        async with self.engine.begin() as connection:
            claimed = await store.claim(connection, batch, self.pod)
            mine = [issue for issue in batch if issue.id in claimed]
            if not mine:
                return []
            answers = await self.upstream.call(mine)
            for issue in mine:
                compute(issue.payload.encode(), self.workload.issue.cpu_ms)
                await store.record(connection, issue.id, answers[issue.id], self.workload.issue.statements)
        return mine
