"""The settings of a table: only these exist, and each is worth asking once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pegbox.bench.tuners.encoding import Array, Encoding, Mask
from pegbox.model.knobs import Setting

Indices = NDArray[np.int64]


class Rows:
    """Every row as codes, and as ranks: the place of a knob's value among its values in the table."""

    def __init__(self, settings: Sequence[Setting], encoding: Encoding, seed: int) -> None:
        self.settings = list(dict.fromkeys(settings))
        self.encoding = encoding
        self.codes = encoding.codes(self.settings)
        self.features = encoding.features(self.codes)
        self._index = {setting: i for i, setting in enumerate(self.settings)}
        self._unseen: Mask = np.ones(len(self.settings), dtype=np.bool_)
        self._levels = [np.unique(self.codes[:, i]) for i in range(len(encoding))]
        self.ranks = self._ranks(self.codes)
        self._ties = np.random.default_rng([seed, 1]).permutation(len(self.settings))

    def _ranks(self, codes: Array) -> Array:
        """A value between two levels of the table lies between their ranks."""
        parts = [np.interp(codes[:, i], levels, np.arange(len(levels))) for i, levels in enumerate(self._levels)]
        return np.stack(parts, axis=1) if parts else np.zeros((len(codes), 0))

    def see(self, setting: Setting) -> None:
        """A setting that is no row is nothing to remember."""
        at = self._index.get(setting)
        if at is not None:
            self._unseen[at] = False

    def unseen(self) -> Indices:
        return np.flatnonzero(self._unseen).astype(np.int64)

    def changed(self, row: Array) -> NDArray[np.int64]:
        """How many knobs each row has other than a code row."""
        return np.asarray(np.sum(np.abs(self.codes - row[None, :]) > 1e-12, axis=1), dtype=np.int64)

    def distance(self, row: Array) -> Array:
        """Sum over knobs of ranks apart; another unordered choice is one apart."""
        apart = np.abs(self.ranks - self._ranks(row[None, :]))
        ordered = np.array([c.ordered for c in self.encoding.columns], dtype=np.bool_)
        return np.asarray(np.sum(np.where(ordered[None, :], apart, apart > 0), axis=1), dtype=np.float64)

    def nearest(self, row: Array) -> Setting | None:
        """The unseen row that is fewest ranks away, ties by seed; None once all were seen."""
        left = self.unseen()
        if not len(left):
            return None
        return self.settings[int(left[np.lexsort((self._ties[left], self.distance(row)[left]))[0]])]

    def beside(self, row: Array) -> Indices:
        """Unseen rows that one step leads to: the next level of one knob on either side, any other unordered choice.

        Where no unseen row differs in one knob only: those with the fewest changed knobs, fewest ranks away.
        """
        changed, left = self.changed(row), self.unseen()
        left = left[changed[left] > 0]
        if not len(left):
            return left
        changed = changed[left]
        fewest = int(np.min(changed))
        near = left[changed == fewest]
        if fewest != 1:
            apart = self.distance(row)[near]
            return np.asarray(near[apart <= np.min(apart) + 1e-9], dtype=np.int64)
        return self._next_levels(row, near)

    def _next_levels(self, row: Array, near: Indices) -> Indices:
        found: list[int] = []
        moves = self.codes[near] - row[None, :]
        knobs = np.argmax(np.abs(moves) > 1e-12, axis=1)
        for i, column in enumerate(self.encoding.columns):
            mine = knobs == i
            for side in (moves[:, i] < 0, moves[:, i] > 0):
                rows = near[mine & side]
                if len(rows) and column.ordered:
                    rows = rows[[int(np.argmin(np.abs(self.codes[rows, i] - row[i])))]]
                found += [int(r) for r in rows]
        return np.array(sorted(found), dtype=np.int64)
