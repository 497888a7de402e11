"""Is the process's memory flat? A line through its samples, with the interval of its slope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

CONFIDENCE = 0.95
LEAST = 20
"""Samples below which a slope says nothing."""
MINUTE = 60.0
BLOCK_SECONDS = 60.0
"""Neighbouring samples resemble each other: means of a minute are nearer to independent than single ones."""


@dataclass(frozen=True)
class Sample:
    """Resident bytes of one process, `at` seconds after the start of the run."""

    at: float
    pid: int
    size: float


@dataclass(frozen=True)
class Slope:
    """Bytes per hour, with the bounds of its 95 % interval."""

    per_hour: float
    low: float
    high: float
    seconds: float  # that it is taken over

    @property
    def flat(self) -> bool:
        """No growth that the samples could show: zero or less lies within the interval."""
        return self.low <= 0.0


def longest(samples: Sequence[Sample]) -> list[Sample]:
    """Those of the process that was seen for longest: another one starts small."""
    by_pid: dict[int, list[Sample]] = {}
    for each in samples:
        by_pid.setdefault(each.pid, []).append(each)
    return max(by_pid.values(), key=lambda found: found[-1].at - found[0].at, default=[])


def slope(samples: Sequence[Sample], warm: float) -> Slope | None:
    """Of one process, without its first `warm` seconds; None where too little is left."""
    kept = [each for each in samples if each.at >= samples[0].at + warm] if samples else []
    if len(kept) < LEAST or kept[-1].at - kept[0].at < 4 * BLOCK_SECONDS:
        return None
    blocks: dict[int, list[Sample]] = {}
    for each in kept:
        blocks.setdefault(int((each.at - kept[0].at) // BLOCK_SECONDS), []).append(each)
    hours = [sum(s.at for s in block) / len(block) / 3600 for block in blocks.values()]
    sizes = [sum(s.size for s in block) / len(block) for block in blocks.values()]
    line = stats.linregress(hours, sizes)
    margin = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(hours) - 2)) * float(line.stderr)
    found = float(line.slope)
    return Slope(found, found - margin, found + margin, kept[-1].at - kept[0].at)
