"""Safe search around the incumbent: ask for one setting, tell what came of it.

The metric's log ratio to the start is a Gaussian process over the axes (additive.py); the price is known. A setting is
asked for only where the process is sure that it stays above the floor; it becomes the incumbent only where it is
probably cheaper and keeps what the objective asks of the metric. Steps are small (axes.py), several knobs may move at
once, and the search holds when nothing it can reach promises more than it would cost to find out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pegbox.learning import additive, moves
from pegbox.learning.axes import axes_of
from pegbox.learning.queueing import Array, Mask
from pegbox.learning.runs import Runs, View
from pegbox.learning.terms import Foretold, Goal, Parameters, Weighed
from pegbox.learning.widths import Width
from pegbox.model.knobs import SearchSpace, Setting

MISSES = 4  # in a row that shrink the box
LEAST_PRICE = 1e-12  # what is free still has a logarithm
FAR = 3.0  # sds, of a noise that is known
REPEATS = 2  # of a setting: windows that follow each other share their disturbances, so more tell little
COSTLY = 0.02  # log price between a step down and a step up of a knob that is a size


@dataclass
class SafeSearch:
    """`start` was measured `free` times: log ratios of these to each other are the first data. Without any the start is
    asked for until it has a figure. A value that is no finite number is a failure, wherever it is told.

    Knobs named in `fixed` are learned from and not moved. `toll` is the log cost that a change itself has to earn.
    With `rows` only these settings exist, and a step may change `moves.NEAR` knobs at once, booleans and choices too.
    """

    space: SearchSpace
    start: Setting
    goal: Goal
    free: tuple[float, ...]
    seed: int
    logs: frozenset[str] | None = None
    parameters: Parameters = field(default_factory=Parameters)
    rows: Sequence[Setting] | None = None
    fixed: frozenset[str] = frozenset()
    toll: Callable[[Setting], float] = lambda _: 0.0

    def __post_init__(self) -> None:
        self._axes = axes_of(self.space, self.logs)
        self._axes = axes_of(self.space, self.logs, self._costly(), self.fixed)  # what costs is cut with care, too
        self._chance = np.random.default_rng(self.seed)
        free = [value for value in self.free if math.isfinite(value)]
        self._base = float(np.mean(free)) if free else None
        self._origin = self._axes.place([self.start])[0]
        self._lowest = self._axes.least(self.start, self.parameters.halves)
        self._runs = Runs()
        for i, value in enumerate(free):
            self._runs.add(self.start, self._origin, value, float(i - len(free)))
        self._failed: list[tuple[Array, Array]] = []
        self._broken: set[Setting] = set()
        self._incumbent, self._at = self.start, self._origin
        self._step, self._box, self._idle, self._misses, self._fitted = 0, self.parameters.first, 0, 0, 0
        spread = float(np.std(free, ddof=1)) if len(free) > 2 else self.parameters.noise
        noise = math.sqrt(max(spread * self.parameters.noise, 1e-6))
        self._epoch = 0.0
        self._belief = additive.believe(np.append(self._axes.sizes, True), noise)
        self._hyper = self._belief.first
        self._process: additive.Process | None = None
        self._table = self._axes.place(self.rows or ())
        self._width = Width()  # of what is foretold of settings that never ran
        self._surprises: list[float] = []  # of the incumbent, on end and to one side
        self._asked: Counter[Setting] = Counter()  # since the incumbent last changed
        self._saved = 0.0  # log cost, since patience began
        self._ratio = 0.0  # of the incumbent's metric to the start's, as a log

    @property
    def incumbent(self) -> Setting:
        return self._incumbent

    @property
    def holds(self) -> bool:
        """Is nothing left that is worth a step? Rows beside the incumbent that never ran are tried all the same."""
        stuck = not self._axes.moving and self.rows is None
        late = self._step >= self.parameters.earliest
        return stuck or (late and self._idle >= self.parameters.patience)

    def ask(self) -> Setting:
        if self.rows is not None:
            return self._ask_row(self.weigh())
        return self.incumbent if self.holds else self.best_of(self.weigh())

    def _ask_row(self, looked: Sequence[Weighed]) -> Setting:
        """Between rows there are no small steps, so how much a knob may do is not told by what others did: where none
        promises much, each safe row beside the incumbent is tried once, those one knob away first, and of these
        what is known least."""
        found = self.incumbent if self.holds else self._best_of(looked, self.parameters.worth_rows)
        if found != self.incumbent:
            return found
        fresh = [one for one in looked if one.safe and one.setting not in self._runs.settings]
        order = {one.setting: (len(self.incumbent.diff(one.setting)), -one.spread) for one in fresh}
        return min(order, key=lambda setting: order[setting], default=self.incumbent)

    def probe(self, names: frozenset[str]) -> Setting:
        """The step of one of these knobs that tells most, among those that are surely safe, whatever it promises."""

        def single(setting: Setting) -> bool:
            moved = self._incumbent.diff(setting)
            return len(moved) == 1 and names >= {*moved}

        return self.incumbent if self.holds else self._best_of(self._weigh(single), -math.inf)

    def best_of(self, looked: Sequence[Weighed]) -> Setting:
        """Of what `weigh` found, the setting to ask for; the incumbent where nothing is worth a step."""
        return self._best_of(looked, self.parameters.worth)

    def _best_of(self, looked: Sequence[Weighed], least: float) -> Setting:
        """The first, where it is safe and wanted and worth more than `least`."""
        worth = looked and looked[0].safe and looked[0].wanted and looked[0].score > least
        return looked[0].setting if worth else self._incumbent

    def weigh(self) -> list[Weighed]:
        """What `ask` looks at, the best first: those that are safe and wanted before those that are not, and where the
        terms are missed, those that cost nothing before those that do."""
        return self._weigh(lambda _: True)

    def _weigh(self, asked: Callable[[Setting], bool]) -> list[Weighed]:
        there = {} if self._base is None else self._candidates()
        options = {setting: point for setting, point in there.items() if asked(setting)}
        if not options:
            return []
        view = self._view(list(options), np.array(list(options.values())))
        safe, wanted, score = self._safe(view), self._wanted(view), self._score(view)
        above = view.ratio - self.goal.floor
        found = [
            Weighed(view.settings[i], bool(safe[i]), bool(wanted[i]), *(float(x[i]) for x in figures))
            for figures in [(score, view.gain, view.spread, above, view.apart)]
            for i in range(len(view.settings))
        ]
        free = self._free(found)
        return sorted(found, key=lambda one: (not (one.safe and one.wanted), one.setting not in free, -one.score))

    def _free(self, found: Sequence[Weighed]) -> set[Setting]:
        """Where the terms are missed, what may meet them and costs nothing comes first: a knob that is set wrong is not
        made up for by pods. Of MISSES misses in a row the last may cost: the remedy may be more of a size after all."""
        if not self._pressed or self._misses >= MISSES - 1:
            return set()
        most = self._price(self._incumbent)
        return {x.setting for x in found if x.score > self.parameters.worth and self._price(x.setting) <= most}

    def tell(self, setting: Setting, value: float | None) -> None:
        """`value`: the log metric, more is better; None, or no finite number, where the workload failed."""
        self._step += 1
        before, point = self._incumbent, self._axes.place([setting])[0]
        self._idle += 1
        if value is None or not math.isfinite(value):
            # a cliff is no figure: it bounds the search, and tells the process nothing of slopes
            self._failed.append((self._at, point))
            self._broken.add(setting)
            self._misses, self._box = 0, max(self.parameters.smallest, self._box / self.parameters.shrink)
            if setting == before:
                self._incumbent, self._at, self._saved = self.start, self._origin, 0.0
            return
        self._notice(setting, value)
        self._runs.add(setting, point, value, float(self._step), self._epoch)
        self._asked[setting] += 1
        self._process = None
        if self._base is None and setting == self.start:
            self._base = value
        if self._base is None:
            return
        self._review()
        if self._incumbent != before:
            self._asked.clear()
        if self._incumbent != before and self._incumbent == setting:
            self._box, self._misses = min(1.0, self._box * self.parameters.grow), 0
            if self._saved >= self.parameters.material:
                self._begin_patience()
        elif setting != before:
            self._misses += 1
            if self._misses >= MISSES:
                self._box, self._misses = max(self.parameters.smallest, self._box / self.parameters.shrink), 0

    def recall(
        self, runs: Iterable[tuple[Setting, float]], failed: Iterable[tuple[Setting, Setting]], misses: int
    ) -> None:
        """What ran before this search was made, in order, as (setting, log metric); (parent, setting) of what failed;
        and how many steps in a row found nothing. The start stays the incumbent."""
        for setting, value in runs:
            self._step += 1
            self._runs.add(setting, self._axes.place([setting])[0], value, float(self._step), self._epoch)
        for parent, setting in failed:
            self._failed.append((self._axes.place([parent])[0], self._axes.place([setting])[0]))
            self._broken.add(setting)
        shrunk = self.parameters.first / self.parameters.shrink ** (misses // MISSES)
        self._idle, self._misses = misses, misses % MISSES
        self._box, self._process = max(self.parameters.smallest, shrunk), None

    def foretell(self, setting: Setting) -> Foretold | None:
        """What one measurement of a setting is going to be; None before the start has a figure."""
        if self._base is None or not self._runs.values:
            return None
        point = self._axes.place([setting])
        mean, sd = self._posterior().beside(self._now(point), _at_epoch(self._origin[None, :], 0.0))
        return Foretold(
            self._base + float(mean[0, 0]),
            math.hypot(float(sd[0, 0]), self._hyper.noise),
            self._width.factor,
            ran=setting in self._runs.settings,
        )

    def outlook(self, setting: Setting) -> tuple[float, float, float, float]:
        """What is expected of one setting: log cost saved beside the incumbent and its sd, log distance of the metric
        above the floor and its sd."""
        view = self._view([setting], self._axes.place([setting]))
        above = float(view.ratio[0]) - self.goal.floor
        return float(view.gain[0]), float(view.spread[0]), above, float(view.apart[0])

    # --- parts

    @property
    def _pressed(self) -> bool:
        """Does the incumbent miss what is wanted of the metric? Then that counts, and no price."""
        return self._ratio < self.goal.least

    def _notice(self, setting: Setting, value: float) -> None:
        """A figure that is far off tells that the amplitudes are too small: they are fitted again. Twice on end at the
        incumbent it tells that the workload has changed (a deploy, another load): another epoch begins, whose level is
        its own, and the search looks again."""
        told = self.foretell(setting)
        if told is None or self._base is None:
            return
        off = value - told.mean
        if not told.ran:
            self._width.tell(off / told.sd)
        if abs(off) > FAR * told.sd:
            self._fitted = 0
        if setting != self._incumbent or abs(off) <= self._far() * told.sd:
            self._surprises = []
            return
        self._surprises = [*(x for x in self._surprises if x * off > 0), off]
        if len(self._surprises) > 1:
            self._runs.epochs[-1] = self._epoch = self._epoch + 1.0
            self._surprises, self._process = [], None
            self._begin_patience()

    def _far(self) -> float:
        """How many sds are far off: what three are of a noise that is known, is more of one that few figures tell, by
        Student's t. Figures that follow each other share their disturbances, so half of them count."""
        from scipy.stats import norm, t

        return float(t.ppf(norm.cdf(FAR), max(1.0, (len(self._runs.values) - 1) / 2)))

    def _review(self) -> None:
        """The incumbent: of what ran and never failed, the setting that is most surely cheaper and good enough.

        One that proves not to be good enough gives way to the best that is; the start is, where it meets the terms.
        """
        visited = dict(zip(self._runs.settings, self._runs.points, strict=True))
        for setting in self._broken - {self.start}:
            visited.pop(setting, None)
        view = self._view(list(visited), np.array(list(visited.values())))
        good = _above(view.ratio - max(self.goal.least, self.goal.floor), view.apart)
        if self.goal.least <= 0.0:
            good[view.settings.index(self.start)] = 1.0
        fit = good > self.parameters.keep
        here = view.settings.index(self._incumbent)
        surely = _above(view.gain, view.spread) > self.parameters.accept
        if not fit.any():  # nothing meets the terms yet: nearer to them is better
            fit = surely
        elif good[here] >= self.parameters.leave:
            fit &= surely
        if fit.any():
            here = int(np.argmax(np.where(fit, view.gain, -np.inf)))
            self._saved += float(view.gain[here])
            self._incumbent, self._at = view.settings[here], view.points[here]
        pressed = self._pressed
        self._ratio = float(view.ratio[here])
        if self._pressed and not pressed:
            self._begin_patience()  # what it held no longer does

    def _begin_patience(self) -> None:
        self._idle, self._saved = 0, 0.0

    def _view(self, settings: list[Setting], points: Array) -> View:
        bases = np.vstack([self._now(self._at[None, :]), _at_epoch(self._origin[None, :], 0.0)])
        mean, sd = self._posterior().beside(self._now(points), bases)
        prices = np.zeros(len(settings))
        if not self._pressed:
            prices = np.array([self._price(s) for s in settings]) - self._price(self._incumbent)
        return View(settings, points, mean[0] - prices, sd[0], mean[1], sd[1])

    def _now(self, points: Array) -> Array:
        return _at_epoch(points, self._epoch)

    def _price(self, setting: Setting) -> float:
        return math.log(max(self.goal.price(setting), LEAST_PRICE))

    def _worth(self, view: View) -> Array:
        """The knowledge gradient: by how much one measurement is expected to lower the log cost of what is kept.

        E[max(gain after it, 0)] with the gain after it normal around `gain`, its sd what the measurement can move.
        Source: P. Frazier, W. Powell, S. Dayanik, "A Knowledge-Gradient Policy for Sequential Information
        Collection", SIAM Journal on Control and Optimization 47 (2008).
        """
        from scipy.special import ndtr

        moved = view.spread**2 / np.sqrt(view.spread**2 + self._hyper.noise**2)
        z = view.gain / np.maximum(moved, 1e-12)
        density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
        return np.asarray(moved * density + view.gain * ndtr(z), dtype=np.float64)

    def _score(self, view: View) -> Array:
        return self._worth(view) - np.array([self.toll(setting) for setting in view.settings], dtype=np.float64)

    def _safe(self, view: View) -> Mask:
        """Surely above the floor, with the metric that is wanted, or where that is missed already with no less than the
        incumbent's. A failed trial leaves every knob that it moved under
        suspicion: none goes that way again, further than it has been with success."""
        bold = self._pressed or self.rows is not None
        beta = self.parameters.beta_rows if bold else self.parameters.beta
        lower = self._with_no_more(view)
        floor = self.goal.floor
        if self.goal.strict and not self._pressed:
            floor = max(floor, self.goal.least)
        margin = self.parameters.margin * abs(floor) if math.isfinite(floor) else 0.0
        safe = lower.ratio - beta * lower.apart >= floor + margin
        if self._failed:
            ran = np.array(self._runs.points)
            for before, failed in self._failed:
                went = np.sign(np.where(np.abs(failed - before) > 1e-9, failed - before, 0.0))
                furthest = np.max(ran * went, axis=0)  # that any run went the same way
                safe &= np.all(view.points * went <= furthest + 1e-9, axis=1)
        return np.asarray(safe, dtype=np.bool_)

    def _with_no_more(self, view: View) -> View:
        """The view with no more of any size than the incumbent has: more cores, bytes or pods do no harm by themselves,
        so what is safe without them is safe with them."""
        points = np.where(self._axes.sizes, np.minimum(view.points, self._at), view.points)
        more = np.flatnonzero(np.any(points < view.points, axis=1))
        if not len(more):
            return view
        lean = self._view([view.settings[i] for i in more], points[more])
        ratio, apart = view.ratio.copy(), view.apart.copy()
        ratio[more] = np.maximum(ratio[more], lean.ratio)
        apart[more] = np.minimum(apart[more], lean.apart)
        return replace(view, ratio=ratio, apart=apart)

    def _wanted(self, view: View) -> Mask:
        """Would be taken, if it measured what is foretold: surely enough what the objective wants of the metric. Where
        that is missed already, the floor is all that counts."""
        if self._pressed:
            return np.ones(len(view.ratio), dtype=np.bool_)
        from scipy.special import ndtri

        after = view.apart * self._hyper.noise / np.hypot(view.apart, self._hyper.noise)
        return np.asarray(view.ratio - float(ndtri(self.parameters.keep)) * after >= self.goal.least, dtype=np.bool_)

    def _costly(self) -> frozenset[str]:
        """Knobs of which less costs less: one step of them changes the price by a hundredth or more."""
        point, found = self._axes.place([self.start])[0], set()
        down, up = self._axes.reach(point)
        for i in self._axes.moving:
            ends = [self._axes.moved(self.start, point, {i: move})[0] for move in (-down[i], up[i])]
            if self._price(ends[1]) - self._price(ends[0]) > COSTLY:
                found.add(self._axes.axes[i].knob.name)
        return frozenset(found)

    def _posterior(self) -> additive.Process:
        if self._process is None:
            points, values, steps = self._runs.arrays(self._base or 0.0)
            if any(self._fitted < n <= len(values) for n in self.parameters.refits):
                self._hyper = additive.refine(points, values, steps, self._hyper, self._belief)
                self._fitted = len(values)
            self._process = additive.condition(points, values, steps, self._hyper)
        return self._process

    def _candidates(self) -> moves.Found:
        """What may be asked for, and hard rules do not refuse."""
        spot = moves.Spot(self._axes, self._incumbent, self._at, self._lowest, self._box)
        count = self.parameters.candidates
        if self.rows is not None:
            found = moves.near_rows(spot, self.rows, self._table, self._chance, count)
        else:

            def promise(settings: list[Setting], points: Array) -> tuple[Array, Array]:
                view = self._view(settings, points)
                return view.gain, self._worth(view)

            ran = zip(self._runs.settings, self._runs.points, strict=True)
            alone = bool(self._failed)  # a failure does not tell which of many knobs it was: one at a time from then on
            found = moves.small_steps(spot, promise, ran, self._chance, count, alone)
        out = self._broken | {setting for setting, asked in self._asked.items() if asked > REPEATS}
        return {s: point for s, point in found.items() if s not in out and self.goal.admissible(s)}


def _at_epoch(points: Array, epoch: float) -> Array:
    """Time is one more axis: how often the workload has changed."""
    return np.column_stack([points, np.full(len(points), epoch)])


def _above(mean: Array, sd: Array) -> Array:
    """P(value > 0) of normal values."""
    from scipy.special import ndtr

    return np.asarray(ndtr(mean / np.maximum(sd, 1e-9)), dtype=np.float64)
