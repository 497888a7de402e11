"""Whoever cannot renew the Lease any more ends his process, whatever the reason."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from pegbox.adapters.kube.lease import LeaseElection
from pegbox.runtime import wiring


class Ended(BaseException):
    """In place of the end of the process."""


class Lease:
    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    async def hold(self) -> None:
        if self.error is not None:
            raise self.error


@pytest.fixture(autouse=True)
def exits(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(code: int) -> None:
        raise Ended(code)

    monkeypatch.setattr("os._exit", leave)
    monkeypatch.setattr("logging.shutdown", lambda: None)


@pytest.mark.parametrize("error", [None, KeyError("metadata")], ids=["lost", "an error of ours"])
async def test_the_process_ends_with_one_when_the_renewals_end(error: Exception | None) -> None:
    with pytest.raises(Ended, match="1"):
        await wiring._hold(cast(LeaseElection, Lease(error)))


async def test_a_process_that_is_told_to_end_goes_on_to_give_its_lease_up() -> None:
    with pytest.raises(asyncio.CancelledError):
        await wiring._hold(cast(LeaseElection, Lease(asyncio.CancelledError())))
