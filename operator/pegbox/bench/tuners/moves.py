"""Random steps that the hard rules admit, for the tuners that move one knob at a time."""

from __future__ import annotations

from numpy.random import Generator

from pegbox.bench.tuners.encoding import Array
from pegbox.bench.tuners.history import History
from pegbox.model.knobs import Setting

TRIES = 50


def one_step(history: History, chance: Generator, near: Setting) -> Setting | None:
    """A setting one step of one knob away from `near`; in a table an unseen row. None where nothing can be asked."""
    encoding, admissible = history.encoding, history.problem.admissible
    row = encoding.codes([near])[0]
    if history.table is not None:
        beside = [history.table.settings[i] for i in history.table.beside(row)]
        allowed = [setting for setting in beside if admissible(setting)]
        return allowed[int(chance.integers(len(allowed)))] if allowed else None
    for _ in range(TRIES if len(encoding) else 0):
        moved = encoding.setting(encoding.step(chance, row, int(chance.integers(len(encoding)))), near)
        if moved != near and admissible(moved):
            return moved
    return None


def any_admissible(history: History, rows: Array) -> Setting | None:
    """The first of these code rows that the hard rules admit, in a table the unseen row nearest to the first."""
    if history.table is not None:
        return history.table.nearest(rows[0]) if len(rows) else None
    made = (history.encoding.setting(row) for row in rows)
    return next((setting for setting in made if history.problem.admissible(setting)), None)
