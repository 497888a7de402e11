"""How far a long run is, and how much time is left, on one line of stderr."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TextIO


@dataclass
class Progress:
    """A terminal gets a line that is written over; a log gets one at most every `every` seconds."""

    what: str
    total: int
    every: float = 30.0
    out: TextIO = field(default_factory=lambda: sys.stderr)
    done: int = 0
    started: float = field(default_factory=time.monotonic)
    told: float = -1e9

    def step(self, count: int = 1) -> None:
        self.done += count
        now, last = time.monotonic(), self.done >= self.total
        terminal = self.out.isatty()
        if not last and now - self.told < (0.2 if terminal else self.every):
            return
        self.told = now
        start, end = ("\r", "" if not last else "\n") if terminal else ("", "\n")
        self.out.write(f"{start}{self.line(now - self.started)}{end}")
        self.out.flush()

    def line(self, seconds: float) -> str:
        left = seconds / max(self.done, 1) * (self.total - self.done)
        return f"{self.what}: {self.done} of {self.total}, {clock(seconds)} so far, about {clock(left)} left"


def clock(seconds: float) -> str:
    """12 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
