"""A model of a table that stands for the workload: extra trees, and a classifier for trials that fail.

Another seed is another task: it moves the start and the head-room (benchmark's known artefacts). Forests are flattened
to arrays, so that one step costs a fraction of a millisecond and sums have one order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pegbox.bench.tables import Table
from pegbox.model.knobs import Knob, KnobType, SearchSpace, Setting

Array = NDArray[np.float64]
TREES, LEAF = 300, 2
MEDIAN_NOISE = 2.0  # percent, where the table tells none
WIDEST = 10.0  # percent: a wider interval is a bad run, not the workload's noise
FIXED_POINTS = 1000  # whose predictions are hashed


@dataclass(frozen=True)
class Forest:
    """Trees as rows of arrays: feature (-1 at a leaf), threshold, children and value of each node."""

    feature: NDArray[np.int32]
    threshold: Array
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: Array
    depth: int

    def predict(self, columns: Array) -> Array:
        """The mean over the trees for each row of features, shape (points,)."""
        trees = np.arange(len(self.feature))[None, :]
        out = np.empty(len(columns))
        for begin in range(0, len(columns), 256):
            part = columns[begin : begin + 256].astype(np.float32).astype(np.float64)  # as scikit-learn compares
            at = np.zeros((len(part), len(self.feature)), dtype=np.int32)
            rows = np.arange(len(part))[:, None]
            for _ in range(self.depth):
                feature = self.feature[trees, at]
                low = part[rows, np.maximum(feature, 0)] <= self.threshold[trees, at]
                child = np.where(low, self.left[trees, at], self.right[trees, at])
                at = np.where(feature < 0, at, child)
            out[begin : begin + 256] = self.value[trees, at].mean(axis=1)
        return out


def flattened(trees: Sequence[Any], kind: int = -1) -> Forest:
    """Fitted scikit-learn trees as arrays. `kind`: the class whose share is the value; -1 for regressors."""
    most = max(tree.tree_.node_count for tree in trees)

    def table(dtype: Any, fill: float) -> Any:
        return np.full((len(trees), most), fill, dtype=dtype)

    feature, left, right = table(np.int32, -1), table(np.int32, 0), table(np.int32, 0)
    threshold, value = table(np.float64, 0.0), table(np.float64, 0.0)
    for i, tree in enumerate(trees):
        one, count = tree.tree_, tree.tree_.node_count
        feature[i, :count] = np.where(one.children_left < 0, -1, one.feature)
        threshold[i, :count] = one.threshold
        left[i, :count], right[i, :count] = one.children_left, one.children_right
        values = one.value[:, 0, :]
        value[i, :count] = values[:, 0] if kind < 0 else values[:, kind] / values.sum(axis=1)
    return Forest(feature, threshold, left, right, value, max(tree.tree_.max_depth for tree in trees))


def columns_of(space: SearchSpace, settings: Sequence[Setting]) -> Array:
    """Features for trees: numbers as they are, booleans 0/1, choices by their place in the knob's order."""
    return np.array([[_feature(knob, setting) for knob in space.knobs] for setting in settings], dtype=np.float64)


def _feature(knob: Knob, setting: Setting) -> float:
    value = setting[knob.name]
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        return float(knob.choices.index(value))
    return float(value)


@dataclass(frozen=True)
class Surrogate:
    """`metric` and `fails` (None where no trial failed) over features; `noise` as a log sd by nearest row."""

    space: SearchSpace
    metric: Forest
    fails: Forest | None
    rows: Array
    widths: Array
    residual_sd: float  # out-of-bag, relative

    def true(self, settings: Sequence[Setting]) -> Array:
        """The noiseless metric of each setting; NaN where the workload fails."""
        if not settings:
            return np.empty(0)
        columns = columns_of(self.space, settings)
        found = self.metric.predict(columns)
        if self.fails is not None:
            found = np.where(self.fails.predict(columns) > 0.5, np.nan, found)
        return found

    def noise_sd(self, setting: Setting) -> float:
        """Relative sd of one measurement: the 95 % interval of the nearest row is taken as it stands."""
        spread = np.ptp(self.rows, axis=0)
        distance = np.abs(self.rows - columns_of(self.space, [setting])) / np.where(spread > 0, spread, 1.0)
        return float(self.widths[int(np.argmin(distance.sum(axis=1)))]) / 100.0

    def sha256(self) -> str:
        """Of the predictions at 1,000 fixed points, rounded to 6 digits: tells whether two runs had one task."""
        points = fixed_points(self.space, FIXED_POINTS)
        text = ",".join(f"{value:.6g}" for value in self.true(points))
        return hashlib.sha256(text.encode()).hexdigest()


def fit(table: Table, seed: int) -> Surrogate:
    """Extra trees on the rows with a measurement, a classifier on all. One thread: sums keep their order."""
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    usable = table.usable
    columns = columns_of(table.space, [row.setting for row in usable])
    metric = np.array([row.metric for row in usable], dtype=np.float64)
    bagged = len(usable) >= 10
    model = ExtraTreesRegressor(TREES, min_samples_leaf=LEAF, max_features=1.0, random_state=seed, n_jobs=1)
    model.fit(columns, metric)
    residual = float("nan")
    if bagged:
        probe = ExtraTreesRegressor(
            TREES, min_samples_leaf=LEAF, max_features=1.0, bootstrap=True, oob_score=True, random_state=seed, n_jobs=1
        ).fit(columns, metric)
        residual = float(np.std(probe.oob_prediction_ - metric) / np.median(metric))
    fails = None
    if len(usable) < len(table.rows):
        failed = np.array([row.metric is None for row in table.rows])
        classifier = ExtraTreesClassifier(TREES, min_samples_leaf=LEAF, max_features=1.0, random_state=seed, n_jobs=1)
        classifier.fit(columns_of(table.space, [row.setting for row in table.rows]), failed)
        fails = flattened(classifier.estimators_, kind=1)
    widths = np.array([MEDIAN_NOISE if row.noise is None else min(max(row.noise, 0.1), WIDEST) for row in usable])
    return Surrogate(table.space, flattened(model.estimators_), fails, columns, widths, residual)


def fixed_points(space: SearchSpace, count: int, seed: int = 0) -> list[Setting]:
    """Sobol points of a space, typed and inside its limits."""
    from scipy.stats import qmc

    points = qmc.Sobol(len(space.knobs), seed=seed).random_base2(max(1, (count - 1).bit_length()))[:count]
    return [_typed(space, point) for point in points]


def _typed(space: SearchSpace, point: Array) -> Setting:
    values: dict[str, Any] = {}
    for knob, share in zip(space.knobs, point, strict=True):
        if knob.type is KnobType.BOOLEAN:
            values[knob.name] = bool(share >= 0.5)
        elif knob.type is KnobType.CHOICE:
            values[knob.name] = knob.choices[min(int(share * len(knob.choices)), len(knob.choices) - 1)]
        else:
            assert knob.minimum is not None and knob.maximum is not None
            span = knob.maximum - knob.minimum
            values[knob.name] = knob.clamp(knob.minimum + span * Fraction(round(float(share) * 10**6), 10**6))
    return Setting(values)
