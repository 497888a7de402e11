"""The client of the upstream: batch calls over a resizable pool, within the rate limit that all pods share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from issue_service.rate_gate import RateGate
from issue_service.shared_queue import Issue
from pegbox.live.http_pool import HttpPool

MAX_CALL_ATTEMPTS = 5


class UpstreamFailed(Exception):
    """The upstream did not do the batch; nothing of it may be committed."""


class UpstreamClient:
    def __init__(self, url: str, pool: HttpPool, gate: RateGate) -> None:
        self._url, self._pool, self._gate = url.rstrip("/") + "/batch", pool, gate

    async def call(self, issues: Sequence[Issue]) -> dict[str, dict[str, Any]]:
        """One batch call; the answers by issue id. Raise UpstreamFailed after the last attempt."""
        body = {"issues": [{"id": issue.id, "payload": issue.payload} for issue in issues]}
        reason = ""
        for attempt in range(MAX_CALL_ATTEMPTS):
            async with self._pool.limiter:
                # Inside the slot, so that a permitted call goes at once and not after a wait for a
                # connection.
                await self._gate.permit()
                try:
                    async with self._pool.session.post(self._url, json=body) as response:
                        self._gate.learn(response.headers)
                        if response.status == 200:
                            answers = await response.json()
                            return {answer["id"]: answer for answer in answers["issues"]}
                        reason = f"status {response.status}"
                        if response.status == 429:
                            self._gate.stop_for(_retry_after(response.headers))
                except (OSError, TimeoutError, ValueError) as error:
                    reason = repr(error)
            await asyncio.sleep(min(2.0, 0.05 * 2**attempt))
        raise UpstreamFailed(f"{MAX_CALL_ATTEMPTS} attempts, the last: {reason}")


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return min(30.0, max(0.0, float(headers.get("Retry-After", "1"))))
    except ValueError:
        return 1.0
