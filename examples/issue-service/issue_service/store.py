"""PostgreSQL: the lasting effect. One transaction per batch, from the claim to the commit.

The transaction is open while the upstream works: its first statement claims the ids, so that an issue
delivered twice (at least once is what the queue promises) is committed once, and a killed worker's claims
vanish with its connection. The price is a connection held for the whole batch, which is what makes
pool_size a real limit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from issue_service.shared_queue import Issue

SCHEMA = """
create table if not exists issues (
    id text primary key,
    scheduled_at timestamptz not null,
    enqueued_at timestamptz not null,
    committed_at timestamptz,
    worker text not null,
    digest text
);
create index if not exists issues_committed_at on issues (committed_at);
create table if not exists issue_details (
    issue_id text not null references issues (id) on delete cascade,
    position integer not null,
    detail text not null,
    primary key (issue_id, position)
);
create index if not exists issue_details_issue on issue_details (issue_id);
"""

_CLAIM = text(
    "insert into issues (id, scheduled_at, enqueued_at, worker) "
    "select * from unnest(cast(:ids as text[]), cast(:scheduled as timestamptz[]), "
    "cast(:enqueued as timestamptz[]), cast(:workers as text[])) "
    "on conflict (id) do nothing returning id"
)
_DETAIL = text("insert into issue_details (issue_id, position, detail) values (:id, :position, :detail)")
_COMMIT = text("update issues set committed_at = clock_timestamp(), digest = :digest where id = :id")


async def migrate(engine: AsyncEngine) -> None:
    """Make the tables, once, whoever comes first: an advisory lock keeps two pods apart."""
    async with engine.begin() as connection:
        await connection.execute(text("select pg_advisory_xact_lock(7340032)"))
        for statement in SCHEMA.split(";"):
            if statement.strip():
                await connection.execute(text(statement))


async def claim(connection: AsyncConnection, issues: Sequence[Issue], worker: str) -> set[str]:
    """Claim ids for this transaction; return those that nobody has committed before."""
    rows = await connection.execute(
        _CLAIM,
        {
            "ids": [issue.id for issue in issues],
            "scheduled": [_moment(issue.scheduled_at) for issue in issues],
            "enqueued": [_moment(issue.enqueued_at) for issue in issues],
            "workers": [worker] * len(issues),
        },
    )
    return {row[0] for row in rows}


async def record(connection: AsyncConnection, issue_id: str, answer: dict[str, Any], statements: int) -> None:
    """The statements of one issue after its claim: details, then the update that gives it its commit time."""
    detail = json.dumps(answer, separators=(",", ":"))
    for position in range(statements - 2):
        await connection.execute(_DETAIL, {"id": issue_id, "position": position, "detail": detail})
    await connection.execute(_COMMIT, {"id": issue_id, "digest": str(answer["digest"])})


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
