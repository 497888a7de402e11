"""The search asks for small, safe steps, keeps what is surely better, and holds where nothing is worth a step."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction as F

import numpy as np
import pytest

from pegbox.learning.terms import Parameters
from pegbox.model.knobs import Knob, KnobType, SearchSpace, Setting
from tests.unit.learning.searching import (
    GIB,
    QUIET,
    START,
    bowl,
    flat,
    goal,
    place,
    same_price,
    search_of,
    steps,
)

CHEAPER = START.with_values(cpu=F(38, 10))
HALF = goal(price=lambda s: 1.0 if s == START else 0.5)
ONE = SearchSpace((Knob("n", KnobType.DECIMAL, minimum=F(0), maximum=F(10)),))
FIVE = Setting({"n": F(5)})


def test_the_same_seed_asks_the_same() -> None:
    runs = [[s.asked for s in steps(search_of(seed=3), bowl, 8, noise=0.02)] for _ in range(2)]
    assert runs[0] == runs[1]


def test_before_anything_ran_the_start_is_the_incumbent() -> None:
    assert search_of().incumbent == START


def test_the_incumbent_is_the_start_or_ran() -> None:
    ran = {START}
    for step in steps(search_of(), bowl, 12, noise=0.02):
        ran.add(step.asked)
        assert step.after in ran


def test_a_smaller_price_for_the_same_metric_is_the_new_incumbent() -> None:
    search = search_of()
    search.tell(CHEAPER, 0.0)
    assert search.incumbent == CHEAPER


def test_a_smaller_price_for_less_than_was_asked_is_not() -> None:
    """The twin: half of the price for 0.94 of the metric; 0.97 was asked for."""
    search = search_of(to=HALF)
    for _ in range(3):
        search.tell(CHEAPER, math.log(0.94))
    assert search.incumbent == START


def test_a_difference_within_the_noise_makes_no_new_incumbent() -> None:
    """A fifth of a percent more, measured once: no better than a coin."""
    search = search_of(to=goal(price=same_price), free=(-0.03, 0.03, -0.02, 0.02, 0.0))
    search.tell(CHEAPER, 0.002)
    assert search.incumbent == START


def test_where_nothing_is_asked_of_the_metric_the_floor_still_counts() -> None:
    """A tenth of the price for 0.8 of the metric is cheaper, and below the floor of 0.9."""
    dear = goal(least=1e-9, price=lambda s: 1.0 if s == START else 0.1)
    search = search_of(to=dear)
    for _ in range(3):
        search.tell(CHEAPER, math.log(0.8))
    assert search.incumbent == START


def test_an_incumbent_that_turns_out_short_of_what_is_asked_is_left() -> None:
    """However much cheaper it is."""
    search = search_of(to=HALF)
    search.tell(CHEAPER, 0.0)
    assert search.incumbent == CHEAPER
    for _ in range(4):
        search.tell(CHEAPER, math.log(0.9))
    assert search.incumbent == START


def test_an_incumbent_that_stays_good_enough_is_not_left() -> None:
    search = search_of()
    for _ in range(5):
        search.tell(CHEAPER, 0.0)
    assert search.incumbent == CHEAPER


def test_it_is_the_ratio_to_the_starts_own_replicates_that_counts() -> None:
    """The start at 1,000 events per second; the other at 999."""
    search = search_of(free=(math.log(1000),) * 5)
    search.tell(CHEAPER, math.log(999))
    assert search.incumbent == CHEAPER


def test_no_ask_moves_a_boolean_or_leaves_the_limits() -> None:
    for step in steps(search_of(), bowl, 12, noise=0.02):
        assert step.asked["tiered"] is False
        assert set(step.asked) == set(START)


def test_a_rule_that_refuses_is_never_asked_about() -> None:
    strict = goal(admissible=lambda s: s["threads"] == 8)
    asked = [step.asked for step in steps(search_of(to=strict), bowl, 8)]
    assert {s["threads"] for s in asked} == {F(8)}
    assert len(set(asked)) > 1


def test_no_ask_is_predicted_to_be_unsafe() -> None:
    search = search_of(free=(bowl(START),) * 5)
    for step in range(10):
        asked = search.ask()
        if asked != search.incumbent:
            sizes = {n: min(asked.number(n), search.incumbent.number(n)) for n in ("cpu", "memory")}
            lean = asked.with_values(**sizes)  # more of a size does no harm
            view = search._view([lean], place(lean)[None, :])
            assert view.ratio[0] - QUIET.beta * view.apart[0] >= (1 - QUIET.margin) * math.log(0.9)
        search.tell(asked, bowl(asked) + 0.01 * (-1) ** step)


def test_no_ask_is_predicted_to_fall_short_of_what_is_asked() -> None:
    """Each unit less halves the price, and costs 2 % of the metric: 0.97 of it is reached before the floor of 0.5."""
    cheap = goal(price=lambda s: 2.0 ** float(s.number("n")), floor=0.5)
    search = search_of(space=ONE, start=FIVE, to=cheap)
    for _ in range(10):
        asked = search.ask()
        if asked != search.incumbent:
            at = np.array([[float(asked.number("n")) / 10]])
            assert search._view([asked], at).ratio[0] >= math.log(0.97)
        search.tell(asked, 0.02 * (float(asked.number("n")) - 5))
    assert 3 < search.incumbent.number("n") < 5


def test_under_a_floor_that_nothing_surely_keeps_no_more_is_asked_than_more_of_a_size() -> None:
    """The twin: with 0.999 of the metric to be kept no untried setting is safe, but for more cores and bytes."""
    for step in steps(search_of(to=goal(floor=0.999, least=1e-9)), flat, 6):
        assert step.asked.with_values(cpu=F(4), memory=F(2 * GIB)) == START
        assert step.asked.number("cpu") >= 4 and step.asked.number("memory") >= 2 * GIB


def test_where_no_step_is_worth_its_cost_the_incumbent_is_asked() -> None:
    modest = replace(QUIET, worth=10.0)
    assert {s.asked for s in steps(search_of(parameters=modest), bowl, 4)} == {START}


def test_it_holds_where_nothing_changes_anything() -> None:
    search = search_of(to=goal(price=same_price))
    asked = [s.asked for s in steps(search, flat, QUIET.earliest + QUIET.patience + 2)]
    assert search.holds
    assert asked[-2:] == [search.incumbent] * 2


def test_small_gains_begin_patience_anew_only_once_they_add_up() -> None:
    """A core less by a tenth saves 0.004 of the log cost: six of them more than 0.02. The twin saves that at once."""
    search = search_of(to=goal(price=lambda s: math.exp(0.04 * float(s.number("cpu")))))
    idle = []
    for tenths in (39, 38, 37, 36, 35, 34, 33, 24):
        search.tell(START.with_values(cpu=F(tenths, 10)), 0.0)
        assert search.incumbent.number("cpu") == F(tenths, 10)
        idle.append(search._idle)
    assert idle == [1, 2, 3, 4, 5, 0, 1, 0]


def test_it_does_not_hold_early() -> None:
    search = search_of(parameters=replace(QUIET, patience=1))
    list(steps(search, flat, 3))
    assert not search.holds


def test_a_space_in_which_nothing_takes_a_step_holds_at_once() -> None:
    space = SearchSpace((Knob("on", KnobType.BOOLEAN),))
    search = search_of(space=space, start=Setting({"on": False}), to=goal(price=same_price))
    assert search.holds and search.ask() == Setting({"on": False})


def test_a_failed_way_is_not_gone_further_than_it_went_with_success() -> None:
    """Down to 4.5 it went well, at 4 it failed. More of n is dearer: nothing but the way down promises anything."""
    cheap = goal(price=lambda s: 0.1 + float(s.number("n")), least=0.5, floor=0.1)
    search = search_of(space=ONE, start=FIVE, to=cheap)
    search.tell(Setting({"n": F(9, 2)}), 0.0)
    assert search.incumbent["n"] == F(9, 2)
    search.tell(Setting({"n": F(4)}), None)
    asked = [s.asked.number("n") for s in steps(search, flat, 6)]
    assert min(asked) >= F(9, 2)


def test_without_the_failure_it_goes_on() -> None:
    """The twin."""
    cheap = goal(price=lambda s: 0.1 + float(s.number("n")), least=0.5, floor=0.1)
    search = search_of(space=ONE, start=FIVE, to=cheap)
    search.tell(Setting({"n": F(9, 2)}), 0.0)
    assert min(s.asked.number("n") for s in steps(search, flat, 6)) < F(4)


def test_a_failure_makes_the_next_steps_shorter() -> None:
    cheap = goal(price=lambda s: 0.1 + 10 - float(s.number("n")), least=0.5, floor=0.1)
    longest = []
    for failures in (0, 4):
        search = search_of(space=ONE, start=FIVE, to=cheap)
        for _ in range(failures):
            search.tell(Setting({"n": F(3)}), None)  # the other way
        longest.append(search.ask().number("n") - 5)
    assert 0 < longest[1] < longest[0]


def test_an_incumbent_that_fails_gives_way_to_the_start_for_good() -> None:
    search = search_of()
    search.tell(CHEAPER, 0.0)
    search.tell(CHEAPER, None)
    assert search.incumbent == START
    for step in steps(search, bowl, 8):
        assert CHEAPER not in (step.asked, step.after)


def test_a_row_that_failed_is_not_asked_for_again() -> None:
    search = search_of(rows=(START, CHEAPER), to=HALF)
    search.tell(CHEAPER, 0.0)
    search.tell(CHEAPER, None)
    assert {step.asked for step in steps(search, bowl, 4)} == {START}


def test_a_start_that_fails_stays_the_incumbent_until_something_is_better() -> None:
    search = search_of()
    search.tell(START, None)
    assert search.incumbent == START
    search.tell(CHEAPER, 0.0)
    assert search.incumbent == CHEAPER


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_a_failure(value: float | None) -> None:
    search = search_of()
    search.tell(CHEAPER, value)
    assert search.incumbent == START
    assert all(step.asked.number("cpu") >= 4 for step in steps(search, flat, 4))


def test_without_replicates_the_start_is_asked_until_it_has_a_figure() -> None:
    search = search_of(free=())
    assert search.ask() == START
    search.tell(START, None)
    assert search.ask() == START
    search.tell(START, 0.0)
    assert search.ask() != START


def test_what_ran_before_the_start_had_a_figure_is_judged_once_it_has() -> None:
    search = search_of(free=())
    search.tell(CHEAPER, math.log(1000))
    assert search.incumbent == START
    search.tell(START, math.log(1000))
    assert search.incumbent == CHEAPER


def test_replicates_that_are_no_figures_do_not_count() -> None:
    with_them = search_of(free=(math.nan, 0.0, math.inf, 0.0))
    assert with_them.ask() == search_of(free=(0.0, 0.0)).ask()


STRICT = replace(goal(floor=0.5, price=lambda s: 2.0 ** float(s.number("n"))), strict=True)


def test_where_the_terms_are_strict_what_may_miss_them_is_not_asked() -> None:
    """Each unit less halves the price, and costs 2 % of the metric; 0.97 of it are the terms."""
    search = search_of(space=ONE, start=FIVE, to=STRICT)
    lowest = min(step.asked.number("n") for step in steps(search, lambda s: 0.02 * (float(s.number("n")) - 5), 15))
    assert F(7, 2) <= lowest < 5


def test_where_they_are_not_it_goes_nearer() -> None:
    """The twin."""
    found = []
    for strict in (True, False):
        search = search_of(space=ONE, start=FIVE, to=replace(STRICT, strict=strict))
        list(steps(search, lambda s: 0.02 * (float(s.number("n")) - 5), 15))
        found.append(search.incumbent.number("n"))
    assert found[1] < found[0]


def test_where_the_start_misses_the_terms_price_does_not_count_until_they_are_met() -> None:
    """1.05 of the start's metric is asked for; each unit of n doubles the price and gives 2 % more."""
    dear = goal(floor=0.9, least=1.05, price=lambda s: 2.0 ** float(s.number("n")))
    search = search_of(space=ONE, start=FIVE, to=dear)
    done = list(steps(search, lambda s: 0.02 * (float(s.number("n")) - 5), 20))
    assert max(step.after.number("n") for step in done) >= F(15, 2)  # 2.44 units are needed
    assert search.incumbent.number("n") < 10


POD = SearchSpace((Knob("pods", minimum=F(2), maximum=F(16)), Knob("pool", minimum=F(1), maximum=F(50))))
SHORT = Setting({"pods": F(4), "pool": F(1)})  # of connections
MISSED = goal(floor=0.9, least=1.1, price=lambda s: float(s.number("pods")))


def test_where_the_start_misses_the_terms_what_costs_nothing_is_tried_before_what_does() -> None:
    """A second connection gives a fifth more, a fifth pod a tenth: enough as well, and a quarter dearer."""

    def truth(setting: Setting) -> float:
        return 0.2 * min(float(setting.number("pool")) - 1, 1.0) + 0.1 * (float(setting.number("pods")) - 4)

    done = list(steps(search_of(space=POD, start=SHORT, to=MISSED), truth, 6))
    met = next(step for step in done if truth(step.after) >= math.log(1.1))
    assert met.after["pods"] == 4 and met.after.number("pool") >= 2


def test_where_nothing_free_meets_the_terms_what_costs_is_tried_all_the_same() -> None:
    """The twin: only pods help. Of four misses in a row the last may cost."""
    done = list(steps(search_of(space=POD, start=SHORT, to=MISSED), lambda s: 0.1 * (float(s.number("pods")) - 4), 8))
    assert next(i for i, step in enumerate(done) if step.asked.number("pods") > 4) <= 3
    assert done[-1].after.number("pods") >= 5


def test_where_the_terms_are_met_what_costs_nothing_has_no_precedence() -> None:
    """The other twin: a pod less is worth more than anything a pool may do, and is asked first."""
    to = goal(floor=0.5, least=0.8, price=lambda s: float(s.number("pods")))
    asked = next(steps(search_of(space=POD, start=SHORT, to=to), flat, 1)).asked
    assert asked.number("pods") < 4


def test_a_knob_that_costs_moves_like_a_size() -> None:
    """A pod of eight is more than the tenth that cores give up at once, but no step is smaller."""
    space = SearchSpace((Knob("pods", minimum=F(1), maximum=F(16)), Knob("wait", minimum=F(0), maximum=F(100))))
    start = Setting({"pods": F(8), "wait": F(50)})
    dear = goal(price=lambda s: float(s.number("pods")), floor=0.5)
    fewest = F(8)
    for step in steps(search_of(space=space, start=start, to=dear), flat, 12):
        assert step.before.number("pods") - step.asked.number("pods") <= 1
        assert len(step.before.diff(step.asked)) == 1 or step.asked["pods"] == step.before["pods"]
        fewest = min(fewest, step.after.number("pods"))
    assert fewest <= 4


def test_a_setting_is_measured_no_more_often_than_tells_something() -> None:
    """It would be a little cheaper, and never quite sure to keep the terms."""
    near = goal(floor=0.5, price=lambda s: 2.0 ** float(s.number("n")))
    search = search_of(space=ONE, start=FIVE, to=near, free=(-0.02, 0.02, -0.02, 0.02, 0.0))
    asked: list[Setting] = []
    for step in steps(search, lambda s: 0.015 * (float(s.number("n")) - 5), 25, noise=0.01):
        asked = [*asked, step.asked] if step.after == step.before else []
        assert all(asked.count(s) <= 3 for s in asked if s != step.after)


def test_a_change_of_the_workload_is_noticed_and_searched_anew() -> None:
    """After 30 steps all that is above 3 costs a tenth of the metric: the cheap end is given up for the terms."""
    search = search_of(space=ONE, start=FIVE, to=STRICT)
    for _ in steps(search, lambda s: 0.01 * (float(s.number("n")) - 5), 30):
        pass
    low = search.incumbent.number("n")
    assert search.holds
    done = list(steps(search, lambda s: 0.01 * (float(s.number("n")) - 5) - 0.04, 12))
    assert {step.asked for step in done[:2]} == {done[0].before}
    assert search.incumbent.number("n") > low


def test_one_odd_figure_is_no_change_of_the_workload() -> None:
    """The twin: nor are two to different sides."""
    search = search_of(space=ONE, start=FIVE, to=STRICT)
    list(steps(search, lambda s: 0.01 * (float(s.number("n")) - 5), 20))
    for odd in (-0.2, 0.2):
        search.tell(search.incumbent, odd)
    assert search._epoch == 0.0


def test_while_few_figures_tell_the_noise_it_takes_more_to_be_a_change() -> None:
    """Noise of 0.02 with 0.5 from figure to figure, and nothing else, in 40 runs of 60 figures; three sds, whatever is
    known of them, began another epoch in 7 of these."""
    began = 0
    for seed in range(40):
        search = search_of(space=ONE, start=FIVE, to=goal(price=same_price), free=tuple(_drifting(seed)[:5]))
        for told in _drifting(seed)[5:]:
            search.tell(FIVE, told)
        began += search._epoch > 0
    assert began <= 3


def _drifting(seed: int) -> list[float]:
    """65 figures around 0, AR(1) 0.5."""
    chance = np.random.default_rng(seed)
    found = [float(chance.normal())]
    for _ in range(64):
        found.append(0.5 * found[-1] + math.sqrt(0.75) * float(chance.normal()))
    return [0.02 * each for each in found]


def test_a_figure_far_from_what_was_foretold_widens_what_is_held_possible() -> None:
    """Half of a step of n made the metric e times as good: nobody believes any longer that n does little."""
    wide = goal(floor=0.5, least=1e-9, price=same_price)
    doubts = []
    for told in (0.0, 1.0):
        search = search_of(space=ONE, start=FIVE, to=wide)
        for n in (F(11, 2), F(9, 2), F(21, 4)):
            search.tell(Setting({"n": n}), told * (float(n) - 5))
        doubts.append(float(search._view([Setting({"n": F(8)})], np.array([[0.8]])).apart[0]))
    assert doubts[1] > 3 * doubts[0]


ROWS = tuple(
    Setting({"cpu": F(4), "memory": F(2 * GIB), "threads": F(t), "wait": F(w), "tiered": on})
    for t in (4, 8, 20, 40)
    for w in (0, 6)
    for on in (False, True)
)


def test_in_a_table_rows_are_asked_that_differ_in_two_knobs_at_most() -> None:
    search = search_of(rows=ROWS, to=goal(floor=0.5, price=same_price), free=(bowl(START),) * 5)
    asked = list(steps(search, bowl, 10))
    assert all(step.asked in ROWS and len(step.before.diff(step.asked)) <= 2 for step in asked)
    assert bowl(search.incumbent) > bowl(START)


def test_in_a_table_a_boolean_may_move() -> None:
    search = search_of(rows=ROWS, to=goal(floor=0.5, price=same_price))
    asked = [s.asked for s in steps(search, lambda s: bowl(s) + 0.1 * bool(s["tiered"]), 10)]
    assert {s["tiered"] for s in asked} == {True, False}


@pytest.mark.parametrize("rows", [(), (START,), (START,) * 4, (START.with_values(cpu=F(1), threads=F(1), wait=F(0)),)])
def test_a_table_with_nothing_nearby_is_held(rows: tuple[Setting, ...]) -> None:
    assert {s.asked for s in steps(search_of(rows=rows), bowl, 3)} == {START}


def test_after_a_failure_one_knob_moves_at_a_time() -> None:
    """And without one both knobs of the bowl move together."""
    for fails, most in ((True, 1), (False, 2)):
        moved = []
        for seed in range(5):
            search = search_of(seed=seed, to=goal(price=same_price))
            if fails:
                search.tell(START.with_values(threads=F(12), wait=F(7)), None)
            moved += [len(s.before.diff(s.asked)) for s in steps(search, bowl, 15, noise=0.02)]
        assert max(moved) == most, fails


def beside(knobs: int) -> set[Setting]:
    return {row for row in ROWS if 0 < len(START.diff(row)) <= knobs}


def test_in_a_table_without_a_gain_every_row_beside_the_start_is_tried_once_before_it_holds() -> None:
    """Five rows are one knob away, twelve at most two; what is two away and promises nothing waits for the five."""
    asked = [s.asked for s in steps(search_of(rows=ROWS, to=goal(floor=0.5, price=same_price)), flat, 30)]
    assert {*asked} == beside(2) | {START}
    fresh = list(dict.fromkeys(setting for setting in asked if setting != START))
    assert len(fresh) == len(beside(2)) == 12
    assert {*fresh[:8]} >= beside(1)
    assert asked[-10:] == [START] * 10


def test_in_a_table_what_is_not_safe_is_not_tried_for_being_unknown() -> None:
    """The twin: a floor right below the start refuses every row that the process is not sure of."""
    search = search_of(rows=ROWS, to=goal(floor=0.999, price=same_price))
    assert {s.asked for s in steps(search, flat, 30)} == {START}


def test_a_table_whose_rows_were_all_seen_goes_on() -> None:
    search = search_of(rows=ROWS[:3], to=goal(floor=0.5, price=same_price))
    for row in ROWS[:3]:
        search.tell(row, bowl(row))
    assert {s.asked for s in steps(search, bowl, 8)} <= {*ROWS[:3], START}


def test_every_parameter_is_a_share_or_a_count_that_makes_sense() -> None:
    plain = Parameters()
    assert 0 < plain.smallest <= plain.first <= 1
    assert plain.refits == tuple(sorted(set(plain.refits)))
    assert 0.5 < plain.accept < 1 and 0.5 < plain.keep < 1
