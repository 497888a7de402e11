"""Worlds that go on by themselves, in threads: what comes of each is waited for, and judged by the tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

from tests.e2e.worlds import World

Futures = dict[str, Future[Any]]


@dataclass
class Running:
    """`seen` waits for what comes of a world's scenario, and raises what it raised."""

    worlds: dict[str, World]
    futures: Futures

    def __getitem__(self, name: str) -> World:
        return self.worlds[name]

    def seen(self, name: str) -> Any:
        return self.futures[name].result()


class Ongoing:
    """All scenarios that were begun, whichever tests they are for."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(64, thread_name_prefix="world")  # each waits most of its time
        self._futures: list[Future[Any]] = []

    def begin(self, work: Mapping[str, Callable[[], Any]]) -> Futures:
        begun = {name: self._threads.submit(call) for name, call in work.items()}
        self._futures += begun.values()
        return begun

    def all_ended(self) -> None:
        """Wait, whatever becomes of them."""
        for future in self._futures:
            future.exception()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()
