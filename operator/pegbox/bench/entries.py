"""Everybody who enters, by the name in the tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pegbox.bench.tasks import Task
from pegbox.bench.tuners import COMPANY
from pegbox.bench.tuners.base import Make
from pegbox.bench.tuners.omniscient import Omniscient
from pegbox.bench.tuners.pegbox import make as pegbox
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Setting

OURS = "pegbox"
TOLD = "omniscient"  # knows the truth: the upper end of what small steps can reach


def names() -> list[str]:
    return [OURS, *COMPANY, TOLD]


def chosen(text: str, known: Sequence[str]) -> list[str]:
    """The names in a text such as `pegbox,tpe`, each once; all of them without a text. Raises InvalidInput."""
    wanted = list(dict.fromkeys(name.strip() for name in text.split(","))) if text else list(known)
    for name in wanted:
        if name not in known:
            raise InvalidInput("--tuners", name, f"write some of {','.join(known)}")
    return wanted


def make(name: str, task: Task) -> Make:
    if name == OURS:
        return pegbox
    if name != TOLD:
        return COMPANY[name]

    def truth(settings: Sequence[Setting]) -> list[float | None]:
        return [None if np.isnan(value) else float(value) for value in task.true(settings)]

    return lambda problem: Omniscient(problem, truth)
