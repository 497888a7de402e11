"""Do nothing: the start for ever. Whoever does not beat this one should not be run."""

from __future__ import annotations

from pegbox.bench.tuners.base import Measured, Problem
from pegbox.model.knobs import Setting


class Nothing:
    def __init__(self, problem: Problem) -> None:
        self._start = problem.start

    def ask(self) -> Setting:
        return self._start

    def tell(self, setting: Setting, measured: Measured) -> None:
        return None

    @property
    def incumbent(self) -> Setting:
        return self._start
