"""What is seen is told alike to everybody: failures as bad, the start's replicates as the start's."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pegbox.bench.bowl import bowl
from pegbox.bench.tuners.base import Measured
from pegbox.bench.tuners.encoding import Encoding
from pegbox.bench.tuners.history import History
from pegbox.bench.tuners.prices import Prices, log_price
from pegbox.bench.tuners.rows import Rows
from pegbox.model.knobs import Setting

MADE = bowl(6, seed=1)
FREE = tuple(Measured(x) for x in (90.0, 100.0, 100.0, 100.0, 400.0))
PROBLEM = replace(MADE.problem, free=FREE)
OTHER = MADE.encoding.setting(MADE.encoding.sobol(2, 1)[1])


def test_the_starts_worth_is_the_median_of_its_replicates() -> None:
    """One outlier of four times moves nothing."""
    assert History(PROBLEM).start_quality == pytest.approx(math.log(100.0))


def test_a_failure_is_never_better_than_what_is_unsafe() -> None:
    """The worst seen was 90 of 100, which is the floor itself; without it a failure would look like a replicate."""
    history = History(replace(PROBLEM, free=(Measured(100.0),)))
    history.add(OTHER, Measured(None))
    assert history.observed()[1].tolist() == pytest.approx([0.0, math.log(0.9)])


def test_a_failure_is_as_bad_as_the_worst_that_was_seen_even_later() -> None:
    history = History(PROBLEM)
    history.add(OTHER, Measured(None))
    history.add(OTHER, Measured(50.0))
    assert history.observed()[1][-2:].tolist() == pytest.approx([math.log(0.5)] * 2)


def test_terms_are_the_stricter_of_floor_and_least() -> None:
    assert History(PROBLEM).terms == pytest.approx(math.log(97.0))
    assert History(replace(PROBLEM, least=0.0)).terms == pytest.approx(math.log(90.0))
    assert History(replace(PROBLEM, floor=0.0, least=0.0)).terms == -math.inf


def test_for_a_time_the_terms_are_above_the_start() -> None:
    """0.9 of as good is 1 / 0.9 of the time."""
    history = History(replace(PROBLEM, maximise=False, least=0.0))
    assert -history.terms == pytest.approx(math.log(100.0 / 0.9))


def test_noise_is_pooled_over_what_was_measured_twice() -> None:
    """Logs 0 and 0.2 at one setting, variance 0.02 with one degree of freedom; the start has a single figure."""
    history = History(replace(PROBLEM, free=(Measured(1.0),)))
    history.add(OTHER, Measured(1.0))
    history.add(OTHER, Measured(math.exp(0.2)))
    assert history.sd == pytest.approx(math.sqrt(0.02))


def test_the_start_keeps_the_terms_whatever_a_replicate_says() -> None:
    history = History(PROBLEM)
    assert history.rank(PROBLEM.start, math.log(50.0))[0] == 0.0
    assert history.rank(OTHER, math.log(50.0))[0] > 0.0


def test_a_linear_price_is_computed_on_arrays_as_it_is_asked() -> None:
    prices, rows = Prices(PROBLEM, MADE.encoding), MADE.encoding.random(np.random.default_rng(3), 20)
    assert prices.linear
    assert prices.logs(rows) == pytest.approx([log_price(PROBLEM, MADE.encoding.setting(row)) for row in rows])


def test_any_other_price_is_asked_setting_by_setting() -> None:
    problem = replace(PROBLEM, price=lambda s: float(s.number("cpu")) ** 2 + float(s.number("workers")) % 2)
    prices, rows = Prices(problem, MADE.encoding), MADE.encoding.random(np.random.default_rng(3), 20)
    assert not prices.linear
    assert prices.logs(rows).tolist() == [log_price(problem, MADE.encoding.setting(row)) for row in rows]


def _rows() -> tuple[Rows, Encoding, list[Setting]]:
    encoding = bowl(2, seed=1).encoding  # cpu and workers
    settings = [encoding.setting(np.array([i / 4, j / 4])) for i in range(5) for j in range(5)]
    return Rows(settings, encoding, seed=1), encoding, settings


def test_beside_a_row_are_the_next_levels_of_each_knob() -> None:
    """In the middle of a 5 x 5 table: one up, one down, one left, one right."""
    rows, encoding, settings = _rows()
    assert rows.beside(encoding.codes([settings[12]])[0]).tolist() == [7, 11, 13, 17]


def test_seen_levels_are_stepped_over() -> None:
    rows, encoding, settings = _rows()
    rows.see(settings[13])
    assert rows.beside(encoding.codes([settings[12]])[0]).tolist() == [7, 11, 14, 17]


def test_the_nearest_row_is_the_one_fewest_ranks_away_that_was_not_seen() -> None:
    rows, encoding, settings = _rows()
    row = encoding.codes([settings[12]])[0]
    assert rows.nearest(row) == settings[12]
    rows.see(settings[12])
    assert rows.nearest(row) in [settings[i] for i in (7, 11, 13, 17)]


def test_a_table_that_is_seen_has_no_nearest_row() -> None:
    rows, encoding, settings = _rows()
    for setting in settings:
        rows.see(setting)
    assert rows.nearest(encoding.codes([settings[0]])[0]) is None
    assert len(rows.beside(encoding.codes([settings[0]])[0])) == 0
