"""The safe search on made-up workloads, to the end: it gains where there is something to gain, and does no harm."""

from __future__ import annotations

import math

import numpy as np

from pegbox.model.knobs import Setting
from tests.unit.learning.searching import START, bowl, free_of, price, search_of, steps

SEEDS = range(1, 6)


def _cliff(setting: Setting) -> float:
    """The bowl, with 0.3 of the metric below 2.5 cores and less than 5 threads."""
    fallen = setting.number("cpu") < 2.5 or setting.number("threads") < 5
    return bowl(setting) + (math.log(0.3) if fallen else 0.0)


def _slope(setting: Setting) -> float:
    """The bowl, with a metric that falls from 3 cores down, to 0.37 of it at 2: a cliff that can be seen coming."""
    return bowl(setting) - max(0.0, 3 - float(setting.number("cpu")))


def test_on_a_bowl_with_noise_the_incumbent_costs_less_than_the_start_in_the_median() -> None:
    logs = []
    for seed in SEEDS:
        search = search_of(seed=seed, free=free_of(bowl(START), 0.02, seed))
        list(steps(search, bowl, 25, noise=0.02, seed=seed))
        logs.append(math.log(price(search.incumbent) / price(START)) - bowl(search.incumbent) + bowl(START))
    assert float(np.median(logs)) < -0.05
    assert max(logs) < 0.02


def test_where_a_fall_can_be_seen_coming_no_step_falls_below_half() -> None:
    for seed in SEEDS:
        search = search_of(seed=seed, free=free_of(_slope(START), 0.02, seed))
        worst = min(_slope(s.asked) for s in steps(search, _slope, 25, noise=0.02, seed=seed))
        assert worst - _slope(START) > math.log(0.5)


def test_no_incumbent_stands_behind_a_cliff() -> None:
    """One that cannot be seen coming is stepped over, but hardly twice, and nothing is left running there."""
    for seed in SEEDS:
        search = search_of(seed=seed, free=free_of(_cliff(START), 0.02, seed))
        over = 0
        for step in steps(search, _cliff, 25, noise=0.02, seed=seed):
            assert _cliff(step.after) - _cliff(START) > math.log(0.5)
            over += _cliff(step.asked) - _cliff(START) < math.log(0.5)
        assert over <= 2
