"""The prior's figures, worked by hand; and that models/ is what the code makes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.prior import card, figures, files
from benchmarks.prior.decide import decide
from benchmarks.prior.learn import Told, population, told
from benchmarks.prior.run import HAND, LEARN, LEFT_OUT, UNSEEN, Learned, Run
from benchmarks.prior.score import Z90, Guess, Scores, guess
from pegbox.learning.beliefs import BY_HAND, DEFAULTS, HELD, Belief, ColdStart
from pegbox.learning.shipped import content_hash
from pegbox.model.prediction import Interval
from pegbox.testing.drawn import FAMILIES


def tells(family: str, *values: float) -> Told:
    return Told(family, {HELD: values})


def scored(beliefs: str, off: float, *, family: str = "a", seed: int = 0, proposal: str = "even") -> Scores:
    """One workload whose capacity was guessed `off` too high with an interval of a factor e^0.2 each way."""
    one = Guess(off, 0.2, 0.2, 1.0)
    return Scores(family, seed, 3, beliefs, (one,), (one,), proposal)


def judged(hand: list[Scores], left: list[Scores], losses: tuple[float, float] = (1.0, 0.9)) -> dict[str, bool]:
    """The rule's answers, by the first words of each condition."""
    found = Run("all", DEFAULTS, {HAND: losses[0], "all": losses[1]}, [*hand, *left], [])
    decision = decide(found)
    assert decision.active is all(met for _, met in decision.conditions)
    return {text.split(":")[0]: met for text, met in decision.conditions}


class TestPopulation:
    def test_it_is_the_mean_of_medians_and_both_variances(self) -> None:
        """Medians -1 and -2, so -1.5 and 0.25 between; each 1.4826 * 0.1 within: sqrt(0.022 + 0.25) = 0.5215."""
        found = [tells("a", -1.1, -1.0, -0.9), tells("b", -2.1, -2.0, -1.9)]
        assert population(found) == {HELD: Belief(-1.5, pytest.approx(0.5215, abs=1e-3))}

    def test_one_family_makes_no_belief(self) -> None:
        assert population([tells("a", -1.1, -1.0, -0.9)]) == {}

    def test_a_family_whose_workloads_mostly_do_not_tell_does_not_count(self) -> None:
        found = [tells("a", -1.0), tells("b", -2.0), tells("b"), tells("b")]
        assert population(found) == {}

    def test_a_belief_never_gets_narrower_than_a_tenth_of_the_one_by_hand(self) -> None:
        assert population([tells("a", -1.0), tells("b", -1.0)]) == {HELD: Belief(-1.0, 0.1 * BY_HAND[HELD].sd)}


class TestGuess:
    def test_it_is_in_logarithms_of_the_truth(self) -> None:
        found = guess(Interval(20.0, 10.0, 40.0), 10.0, 0.5)
        assert (found.off, found.down, found.up) == pytest.approx((math.log(2),) * 3)
        assert found.outside == 0.0

    @pytest.mark.parametrize(("off", "outside"), [(0.3, 0.1), (-0.5, 0.2), (0.2, 0.0), (-0.3, 0.0)])
    def test_what_it_misses_by_is_seen_on_both_sides(self, off: float, outside: float) -> None:
        found = Guess(off, 0.2, 0.3, 1.0)
        assert found.outside == pytest.approx(outside)
        assert found.loss == pytest.approx(0.5 + 20 * outside)

    def test_the_needed_misfit_is_what_just_makes_it_hold(self) -> None:
        """0.5 off with 0.3 of room: sqrt(0.25 - 0.09) = 0.4 more, at distance 2."""
        found = Guess(0.5, 0.3, 0.3, 2.0)
        assert found.needed == pytest.approx(0.4 / Z90 / 2.0)
        assert found.widened(found.needed).outside == pytest.approx(0.0, abs=1e-12)
        assert found.widened(0.99 * found.needed).outside > 0.0

    def test_misfits_hold_nine_of_ten(self) -> None:
        """19 guesses: the 18th smallest, as ceil(20 * 0.9) = 18."""
        found = [Scores("a", i, 3, "x", (Guess(0.1 * (i + 1), 0.0, 0.0, 1.0),), (), "none") for i in range(19)]
        capacity, latency = figures.misfits(found)
        assert capacity == pytest.approx(1.8 / Z90, rel=1e-3)
        assert latency == 0.0


class TestLearned:
    def test_a_family_is_judged_by_misfits_of_the_others_alone(self) -> None:
        tried = [scored("all", 5.0, family="a"), scored("all", 0.1, family="b")]
        learned = Learned([], tried)
        assert learned.cold("all", without="a").capacity_misfit == 0.0
        assert learned.cold("all", without="b").capacity_misfit > 1.0

    def test_learned_and_unseen_seeds_are_apart(self) -> None:
        assert not set(LEARN) & set(UNSEEN)


class TestDecision:
    def test_a_prior_that_is_better_in_everything_is_shipped(self) -> None:
        hand = [scored(HAND, 0.5, seed=i, proposal="harmful" if i == 0 else "even") for i in range(10)]
        left = [scored(LEFT_OUT, 0.1, seed=i) for i in range(9)] + [scored(LEFT_OUT, 0.3, seed=9)]
        assert all(judged(hand, left).values())

    def test_the_twin_one_that_is_no_better_is_not(self) -> None:
        hand = [scored(HAND, 0.1, seed=i) for i in range(10)]
        met = judged(hand, [replace(s, beliefs=LEFT_OUT) for s in hand])
        assert not met["the interval score of capacity is lower, surely"]

    def test_one_whose_proposals_do_more_harm_is_not(self) -> None:
        hand = [scored(HAND, 0.5, seed=i) for i in range(10)]
        left = [scored(LEFT_OUT, 0.1, seed=i, proposal="harmful" if i == 0 else "even") for i in range(10)]
        met = judged(hand, left)
        assert next(text for text, ok in met.items() if not ok) == "no more proposals do harm"

    def test_one_that_lost_on_the_learn_split_is_not(self) -> None:
        hand = [scored(HAND, 0.5, seed=i) for i in range(10)]
        left = [scored(LEFT_OUT, 0.1, seed=i) for i in range(10)]
        assert not judged(hand, left, (0.9, 1.0))["the loss on the learn split is less than without"]


class TestFiles:
    def made(self) -> dict[str, Any]:
        return files.load()

    def test_the_file_has_its_own_hash(self) -> None:
        assert content_hash(self.made()) == self.made()["sha256"]

    def test_the_card_is_that_of_the_file(self) -> None:
        assert (files.MODELS / files.CARD).read_text(encoding="utf-8") == card.card(self.made())

    def test_it_has_figures_with_and_without_for_every_family_and_number_of_windows(self) -> None:
        found = {(s["windows"], s["family"], s["beliefs"]) for s in self.made()["scores"]}
        assert len(found) == 4 * (len(FAMILIES) + 1) * 3

    def test_it_is_active_only_where_every_condition_was_met(self) -> None:
        made = self.made()
        assert made["active"] is all(c["met"] for c in made["conditions"])

    def test_a_part_that_is_made_again_comes_out_the_same(self) -> None:
        """One workload's survey, of those that the beliefs are from; all of it: make models ARGS=--check."""
        sample = self.made()["sample"]
        again = told(sample["family"], sample["seed"])
        assert again.misses.keys() == sample["misses"].keys()
        for key, values in again.misses.items():
            assert values == pytest.approx(sample["misses"][key], rel=1e-5, abs=1e-6), key

    @pytest.mark.parametrize(
        ("other", "said"),
        [
            ({"a": [1.0, {"b": 2.0}]}, []),
            ({"a": [1.0, {"b": 2.0 + 1e-9}]}, []),
            ({"a": [1.0, {"b": 2.001}]}, [".a[1].b: 2.0 and 2.001"]),
            ({"a": [1.0]}, [".a: [1.0, {'b': 2.0}] and [1.0]"]),
            ({"a": [1.0, {"b": 2.0}], "c": "x"}, [".c: None and 'x'"]),
        ],
    )
    def test_a_check_names_the_place_where_two_files_differ(self, other: dict[str, Any], said: list[str]) -> None:
        assert list(files.differences({"a": [1.0, {"b": 2.0}]}, other)) == said


def test_misfits_widen_scores_as_they_widen_a_model() -> None:
    wide = figures.widened(scored("x", 0.5), ColdStart("x", {}, 0.1, 0.0))
    assert wide.capacity[0].down == pytest.approx(math.hypot(0.2, Z90 * 0.1))
    assert wide.latency[0].down == 0.2
