"""The rules in company, each by numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pegbox.bench.regressions.rules import COMPANY, Rule, pegbox
from pegbox.bench.regressions.streams import Array, Watch

CALM = np.array([90.0, 110.0] * 20)


def watch(after: Array, control: Array | None = None, load: Array | None = None, before: Array = CALM) -> Watch:
    return Watch(0, len(before), 30.0, np.concatenate([before, after]), control, load)


RULES = {"pegbox": pegbox(), **COMPANY}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_no_rule_speaks_of_no_change_and_each_finds_a_doubling(rule: Rule) -> None:
    none, double = rule(watch(np.array([90.0, 110.0] * 30)), [0.0, 1.0])
    assert none == 0
    assert 1 <= double <= 60


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_missing_samples_are_left_out_and_still_take_their_tick(rule: Rule) -> None:
    after = np.array([90.0, 110.0] * 30)
    dense, sparse = after, after.copy()
    gap = np.full(4, np.nan)
    sparse = np.concatenate([gap, after[:-4]])
    first, second = rule(watch(dense), [1.0])[0], rule(watch(sparse), [1.0])[0]
    assert second == (first + 4 if first < 60 else 60)
    assert rule(watch(np.full(60, np.nan)), [0.0, 1.0]) == [0, 0]


@pytest.mark.parametrize(
    ("name", "tick"),
    [
        # 39 of 40 below each of n: z = (39 n - 20 n - 0.5) / sqrt(40 n (n + 41) / 12) passes 1.96 long before 6 ticks
        ("Mann-Whitney 0.05, every tick", 6),
        ("Kayenta 98 %, every tick", 6),
        ("Kayenta 98 %, once at the end", 60),
        ("Mann-Whitney 0.02 and median > +25 %", 6),
        ("3 ticks in a row > +25 %", 3),
        ("5 ticks in a row > +25 %", 5),
        # (ln 200 - mean) / sd with mean of ln 90 and ln 110, sd 0.1016: 6.9 sds less 0.5 a tick
        ("CUSUM", 1),
        ("CUSUM with floor", 1),
        # v = 0.1016^2 (1 + 1/40) = 0.01058, T = 0.00908, z = 0.698: ln LR = -0.310 + 10.6
        ("mSPRT", 1),
        ("mSPRT with floor", 1),
    ],
)
def test_when_a_constant_double_is_found(name: str, tick: int) -> None:
    assert COMPANY[name](watch(np.full(60, 200.0)), [0.0]) == [tick]


def test_three_in_a_row_are_not_two_and_then_one() -> None:
    after = np.full(60, 100.0)
    after[[3, 4, 6, 10, 11, 12]] = 130.0
    assert COMPANY["3 ticks in a row > +25 %"](watch(after), [0.0]) == [13]


def test_a_rank_test_with_a_least_difference_overlooks_a_tenth() -> None:
    after = np.full(60, 118.0)
    assert COMPANY["Mann-Whitney 0.05, every tick"](watch(after), [0.0]) == [6]
    assert COMPANY["Mann-Whitney 0.02 and median > +25 %"](watch(after), [0.0]) == [0]


def test_a_control_takes_away_what_befalls_both_and_can_be_left_aside() -> None:
    shape = np.concatenate([CALM, 1.6 * np.array([90.0, 110.0] * 30)])
    both = Watch(0, 40, 30.0, shape, shape.copy(), None)
    assert pegbox()(both, [0.0]) == [0]
    assert COMPANY["mSPRT"](both, [0.0]) == [0]
    assert pegbox(control=False)(both, [0.0])[0] > 0
    assert pegbox()(both.shifted(0.5), [0.0])[0] > 0


def test_offered_load_excuses_what_it_explains_and_can_be_left_aside() -> None:
    load = np.concatenate([CALM, np.full(60, 125.0)])
    follows = Watch(0, 40, 30.0, load.copy(), None, load)
    assert pegbox()(follows, [0.0]) == [0]
    assert pegbox(load=False)(follows, [0.0])[0] > 0
