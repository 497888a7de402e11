"""What is believed of coefficients before the evidence speaks, and what that does to a model of few rows."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from pegbox.learning.beliefs import (
    BY_HAND,
    DEFAULTS,
    HELD,
    POOL_TIE,
    POOLED,
    WORKER_TIE,
    Belief,
    Beliefs,
    ColdStart,
    Prior,
    make_prior,
)
from pegbox.learning.capacity import Layout
from pegbox.learning.features import evidence, make_plan
from pegbox.learning.model import CapacityModel, fit_model
from pegbox.model.knobs import Knob, KnobType, SearchSpace, Setting
from pegbox.model.prediction import Row
from pegbox.model.roles import Role

SPACE = SearchSpace(
    (
        Knob("workers", minimum=Fraction(1), maximum=Fraction(64)),
        Knob("pool", minimum=Fraction(1), maximum=Fraction(64)),
        Knob("flag", KnobType.BOOLEAN),
    )
)
ROLES = {"workers": Role.CONCURRENCY, "pool": Role.POOL}


def at(workers: int, pool: int, flag: bool = False) -> Setting:
    return Setting({"workers": Fraction(workers), "pool": Fraction(pool), "flag": flag})


CALM = (Row(at(4, 2), 1.0, 8.0, 8.0, 0.2, 3), Row(at(4, 2), 1.0, 6.0, 6.0, 0.2, 3))
"""At most 8 events/s of 4 workers and 2 connections, each within 0.2 s; nothing ever was full."""


def prior(beliefs: Beliefs, rows: tuple[Row, ...] = CALM) -> Prior:
    plan = make_plan(SPACE, ROLES, rows)
    return make_prior(Layout(plan.limits, plan.concurrency, False), evidence(plan, rows), False, beliefs)


def model(beliefs: Beliefs = BY_HAND, misfit: float = 0.0) -> CapacityModel:
    found = fit_model(SPACE, ROLES, CALM, cold=ColdStart("a test", beliefs, misfit, misfit))
    assert isinstance(found, CapacityModel)
    return found


class TestByHand:
    def test_a_demand_is_an_e_fold_below_what_fits_through_its_limit(self) -> None:
        """4 workers passed 8 events/s, so one is held for 0.5 s at most; 2 connections for 0.25 s."""
        found = prior(BY_HAND)
        assert found.keys[:2] == (POOLED, HELD)
        assert np.exp(found.anchor[:2]) == pytest.approx([0.25, 0.5])
        assert np.exp(found.mean[:2]) == pytest.approx([0.25 / math.e, 0.5 / math.e])

    def test_nothing_is_tied(self) -> None:
        found = prior(BY_HAND)
        assert found.ties.shape == (0, 8)
        assert found.misfits(found.mean[None, :]).tolist() == [[0.0] * 8]

    def test_a_model_without_a_prior_says_so(self) -> None:
        found = fit_model(SPACE, ROLES, CALM)
        assert isinstance(found, CapacityModel)
        assert found.report.prior == DEFAULTS.name == "none: physics and defaults"


class TestLearned:
    def test_a_belief_takes_the_place_of_the_one_by_hand_and_the_others_stay(self) -> None:
        hand, learned = prior(BY_HAND), prior({HELD: Belief(-0.5, 0.25)})
        assert np.exp(learned.mean[1]) == pytest.approx(0.5 * math.exp(-0.5))
        assert learned.sd[1] == 0.25
        assert np.delete(learned.mean, 1) == pytest.approx(np.delete(hand.mean, 1))

    def test_a_centre_outside_of_the_hard_range_is_moved_to_its_end(self) -> None:
        """No demand lets less through than was seen: 0.7 above what fits is the most."""
        assert prior({HELD: Belief(3.0, 0.25)}).mean[1] == pytest.approx(math.log(0.5) + 0.7)

    def test_ties_are_of_workers_to_the_service_time_and_of_pools_to_workers(self) -> None:
        found = prior({WORKER_TIE: Belief(-0.1, 0.2), POOL_TIE: Belief(-0.8, 0.9)})
        # pool, workers, service time, ...
        assert found.ties[:, :3].tolist() == [[0.0, 1.0, -1.0], [1.0, -1.0, 0.0]]
        assert found.ties[:, 3:].any() == np.False_
        theta = found.mean.copy()
        theta[2], theta[1], theta[0] = 0.0, 0.1, 0.1
        # (0.1 - 0 + 0.1) / 0.2 and (0.1 - 0.1 + 0.8) / 0.9
        assert found.misfits(theta[None, :])[0, -2:] == pytest.approx([1.0, 0.8 / 0.9])

    def test_workers_are_worth_what_their_service_time_says_although_none_was_ever_full(self) -> None:
        """0.2 s of service and one worker held throughout it: 16 workers carry 80 events/s, as far as pools let them."""
        tied = {WORKER_TIE: Belief(0.0, 0.1), POOLED: Belief(-5.0, 0.1)}
        hand, learned = (model(each).predict([at(4, 2)], 8.0, 1.0)[0].capacity for each in (BY_HAND, tied))
        assert learned.mean == pytest.approx(20.0, rel=0.15)
        assert learned.high / learned.low < 0.6 * hand.high / hand.low

    def test_the_twin_what_only_other_workloads_tell_is_not_called_identified(self) -> None:
        found = model({WORKER_TIE: Belief(0.0, 0.1)})
        assert "demand:workers" in found.report.unidentified

    def test_layouts_with_batches_have_no_ties(self) -> None:
        plan = make_plan(SPACE, ROLES, CALM)
        layout = Layout(plan.limits, plan.concurrency, True)
        assert make_prior(layout, evidence(plan, CALM), False, {WORKER_TIE: Belief(0.0, 0.1)}).ties.shape == (0, 12)


class TestMisfit:
    def test_distance_is_in_e_folds_of_what_moved_and_1_for_a_switch(self) -> None:
        """log((8 + 1) / (4 + 1)) = 0.588: counts are taken with one more, so that 0 has a logarithm."""
        far = model().distances([at(4, 2), at(8, 2), at(4, 2, flag=True)])
        assert far == pytest.approx([0.0, math.log(9 / 5), 1.0])

    def test_intervals_widen_with_the_distance_and_not_where_it_was_measured(self) -> None:
        near, far = at(4, 2), at(8, 4)
        sure, doubting = (model(misfit=m).predict([near, far], 8.0, 1.0) for m in (0.0, 1.0))
        assert doubting[0] == sure[0]
        assert doubting[1].capacity.high > 1.2 * sure[1].capacity.high
        assert doubting[1].capacity.low < sure[1].capacity.low / 1.2
        assert doubting[1].capacity.mean == sure[1].capacity.mean
        assert doubting[1].latency.high > sure[1].latency.high
