"""What ran in a search, and settings as its process sees them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pegbox.learning.queueing import Array
from pegbox.model.knobs import Setting


@dataclass
class Runs:
    """What ran, in its order."""

    settings: list[Setting] = field(default_factory=list)
    points: list[Array] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    epochs: list[float] = field(default_factory=list)

    def add(self, setting: Setting, point: Array, value: float, step: float, epoch: float = 0.0) -> None:
        self.settings.append(setting)
        self.points.append(point)
        self.values.append(value)
        self.steps.append(step)
        self.epochs.append(epoch)

    def arrays(self, base: float) -> tuple[Array, Array, Array]:
        """Points with their epochs (n, axes + 1), log ratios to `base`, steps."""
        return np.column_stack([np.array(self.points), self.epochs]), np.array(self.values) - base, np.array(self.steps)


@dataclass(frozen=True, slots=True)
class View:
    """Settings as the process sees them: `gain` of log cost over the incumbent, `ratio` of the metric to the start's;
    `spread` and `apart` are their sds."""

    settings: list[Setting]
    points: Array
    gain: Array
    spread: Array
    ratio: Array
    apart: Array
