"""Did measurements fall into the 95 % intervals that a tuner had told one step ahead?

Score: the interval's length, and 40 times what a figure lies outside, in logs of the metric: smaller is better. Source:
T. Gneiting, A. Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation", JASA 102 (2007), section 6.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from pegbox.learning.widths import MISSES, Z

KEYS = ("moves_foretold", "moves_covered", "moves_score", "moves_score_raw", "repeats_foretold", "repeats_covered")


@dataclass(frozen=True, slots=True)
class Told:
    """`off`: measured less foretold; `sd` of the model, `width` its calibration; `repeat`: the setting had run."""

    off: float
    sd: float
    width: float
    repeat: bool

    @property
    def covered(self) -> bool:
        """By the calibrated interval; a repeat's is the model's own."""
        return abs(self.off) <= Z * self.sd * (1.0 if self.repeat else self.width)

    def score(self, width: float) -> float:
        half = Z * self.sd * width
        return 2.0 * half + 2.0 / MISSES * max(0.0, abs(self.off) - half)


@runtime_checkable
class Foretells(Protocol):
    """A tuner that says what it expects before each step."""

    foretold: Sequence[Told]


def columns(tuner: object) -> dict[str, Any]:
    """Of one run's JSON row; None where nothing was foretold."""
    told = tuner.foretold if isinstance(tuner, Foretells) else ()
    moves, repeats = [t for t in told if not t.repeat], [t for t in told if t.repeat]
    found: dict[str, Any] = dict.fromkeys(KEYS)
    if moves:
        found |= {
            "moves_foretold": len(moves),
            "moves_covered": sum(t.covered for t in moves),
            "moves_score": sum(t.score(t.width) for t in moves) / len(moves),
            "moves_score_raw": sum(t.score(1.0) for t in moves) / len(moves),
        }
    if repeats:
        found |= {"repeats_foretold": len(repeats), "repeats_covered": sum(t.covered for t in repeats)}
    return found
