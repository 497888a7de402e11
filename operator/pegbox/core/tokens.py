"""Tokens: a verb is acted on once per token; the ledger remembers the last one per verb."""

from __future__ import annotations

from dataclasses import replace

from pegbox.model.snapshot import Request, Snapshot
from pegbox.model.trials import Ledger


def fresh(snapshot: Snapshot, verb: str) -> Request | None:
    """The request of this verb that was not acted on yet."""
    for request in snapshot.requests:
        if request.verb == verb and snapshot.ledger.tokens.get(verb) != request.token:
            return request
    return None


def done(ledger: Ledger, request: Request) -> Ledger:
    return replace(ledger, tokens={**ledger.tokens, request.verb: request.token})


def wants_rollback(snapshot: Snapshot) -> bool:
    return fresh(snapshot, "rollback") is not None


def rollback_tokens(snapshot: Snapshot) -> dict[str, str]:
    """A rollback under way answers every rollback asked for so far."""
    return {r.verb: r.token for r in snapshot.requests if r.verb == "rollback"}
