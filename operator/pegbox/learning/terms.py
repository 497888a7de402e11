"""The terms of a safe search: what it is given, and what it says of a setting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pegbox.model.knobs import Setting


@dataclass(frozen=True, slots=True)
class Parameters:
    """One set for every workload; nothing here was fitted to a file."""

    candidates: int = 256
    margin: float = 0.2  # of the way from the start to the floor that is never gone
    beta: float = 2.3  # sds below the mean at which a setting must still be safe
    beta_rows: float = 1.3  # the same where leaps are allowed, or the terms are missed: staying is no way out
    halves: float = 0.5  # bytes are not cut below this share of the start's: where they run out is not foretold
    worth: float = 0.001  # log cost that a step must be expected to save
    worth_rows: float = 0.01  # the same of a row, before every row beside it was tried
    accept: float = 0.65  # P(cheaper) that makes a new incumbent
    keep: float = 0.95  # P(metric is what the objective asks for)
    leave: float = 0.7  # below that P the incumbent gives way
    noise: float = 0.02  # prior median of the log sd of one measurement
    patience: int = 12  # steps that saved less than `material` in all, after which it holds
    material: float = 0.02  # log cost: as much as one measurement is off by
    earliest: int = 16  # no hold before
    first: float = 1.0  # of a full step, at the beginning
    grow: float = 1.25
    shrink: float = 1.25
    smallest: float = 0.35  # of a full step
    refits: tuple[int, ...] = (8, 12, 18, 27, 40, 60, 90, 135, 200)


@dataclass(frozen=True, slots=True)
class Goal:
    """What is asked: logs of the floor and of the metric wanted, both beside the start's; price of a setting.

    `strict`: a trial that misses `least` is no safer than one below the floor, while the incumbent keeps it. Right for
    an SLO that the start keeps.
    """

    floor: float
    least: float
    price: Callable[[Setting], float]
    admissible: Callable[[Setting], bool]
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Foretold:
    """Of one measurement: the mean of its log metric, the process's own sd with the measurement's noise in it, and by
    which factor the interval of a setting that never ran has to be wider (widths.py). `ran`: this one did."""

    mean: float
    sd: float
    width: float
    ran: bool


@dataclass(frozen=True, slots=True)
class Weighed:
    """One step that may be asked for. `score`: the log cost that knowing it is expected to save, less its toll; `gain`
    and `spread`, `above` and `apart` as of `SafeSearch.outlook`."""

    setting: Setting
    safe: bool
    wanted: bool
    score: float
    gain: float
    spread: float
    above: float
    apart: float
