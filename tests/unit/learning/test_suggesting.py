"""What the search suggests to the operator's loop, by rows as the ledger keeps them."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox import learning
from pegbox.model.knobs import Knob, KnobType, SearchSpace, Setting
from pegbox.model.observations import Missing
from pegbox.model.prediction import Row
from pegbox.model.reasons import Reason
from pegbox.model.searching import SearchRequest, Suggestion

SPACE = SearchSpace(
    (
        Knob("workers", minimum=F(1), maximum=F(32)),
        Knob("buffer", minimum=F(1), maximum=F(1024)),
        Knob("pause", KnobType.DURATION, minimum=F(0), maximum=F(10)),
    )
)
HERE = Setting({"workers": F(4), "buffer": F(16), "pause": F(5)})


def latency(setting: Setting) -> float:
    """100 ms at a buffer of 256, and slower by a tenth for each doubling away from it, squared."""
    return 0.1 * (1 + 0.1 * math.log2(float(setting.number("buffer")) / 256) ** 2)


def row(setting: Setting, count: int = 4, sd: float = 0.01, **changes: Any) -> Row:
    """Windows whose means scatter by `sd` of the mean."""
    mean = latency(setting)
    made = Row(setting, 2.0, 20.0, 20.0, mean, count, latency_m2=(sd * mean) ** 2 * (count - 1))
    return replace(made, **changes)


def request(*rows: Row, **changes: Any) -> SearchRequest:
    plain = SearchRequest(
        space=SPACE,
        incumbent=HERE,
        moving=frozenset({"buffer", "pause"}),
        restarting=frozenset(),
        rows=rows or (row(HERE),),
        failed=(),
        misses=0,
        load=20.0,
        pods=2.0,
        throughput=False,
        least=-math.inf,
        price=lambda _: 1.0,
        admissible=lambda _: True,
        seed=7,
    )
    return replace(plain, **changes)


def suggested(asked: SearchRequest) -> Suggestion:
    found = learning.suggest(asked)
    assert isinstance(found, Suggestion), found
    return found


def reason(asked: SearchRequest) -> Missing:
    found = learning.suggest(asked)
    assert isinstance(found, Missing), found
    return found


def test_with_one_setting_measured_a_small_step_is_suggested_and_only_of_what_may_move() -> None:
    found = suggested(request())
    assert found.setting["workers"] == HERE["workers"]
    assert 10 <= found.setting.number("buffer") <= 24, "a factor of 1.5 at most"
    assert F(7, 2) <= found.setting.number("pause") <= F(13, 2), "15 % of its range at most"
    assert found.sure > 0.98


def test_a_knob_that_never_varied_gets_one_bounded_probe_though_noise_hides_what_a_step_might_bring() -> None:
    """10 % of noise: no step of a factor 1.5 is worth asking for. Once it was probed, that stands."""
    noisy = request(row(HERE, sd=0.1), moving=frozenset({"buffer"}))
    probe = suggested(noisy)
    assert probe.setting in (HERE.with_values(buffer=F(11)), HERE.with_values(buffer=F(24))), "a whole step"
    told = row(probe.setting, sd=0.1, latency=latency(HERE))
    found = learning.suggest(replace(noisy, rows=(*noisy.rows, told)))
    assert isinstance(found, Missing), "it brought nothing, and nothing more is expected"


def test_a_knob_that_restarts_pods_gets_no_probe() -> None:
    noisy = request(row(HERE, sd=0.1), moving=frozenset({"pause"}), restarting=frozenset({"pause"}))
    assert isinstance(learning.suggest(noisy), Missing)


def test_the_same_question_gets_the_same_answer() -> None:
    assert learning.suggest(request()) == learning.suggest(request())


def test_what_is_suggested_is_the_best_of_what_is_weighed() -> None:
    _, steps = learning.weigh(request())
    assert steps[0].setting == suggested(request()).setting
    assert steps[0].against is None


def test_what_is_not_safe_says_how_sure_it_is() -> None:
    """A tenth slower at 14 and a quarter at 12: further down it may well be below nine tenths of now."""
    slower = [row(HERE.with_values(buffer=F(n)), latency=latency(HERE) * worse) for n, worse in ((14, 1.1), (12, 1.25))]
    unsafe = [
        step.against.detail
        for step in learning.weigh(request(row(HERE), *slower))[1]
        if step.against is not None and step.against.reason is Reason.SLO_AT_RISK
    ]
    assert any(re.fullmatch(r"at least 90% of now with [0-9]+% only", text) for text in unsafe)


def test_what_costs_more_to_know_than_it_promises_says_so() -> None:
    """A restart has to earn 2 %."""
    asked = request(moving=frozenset({"pause"}), restarting=frozenset({"pause"}))
    assert {step.against.reason for step in learning.weigh(asked)[1] if step.against} == {Reason.NOTHING_BETTER}
    assert not [step for step in learning.weigh(asked)[1] if step.against is None]


def test_without_three_windows_nothing_is_weighed() -> None:
    assert learning.weigh(request(row(HERE, count=2)))[1] == []


def test_a_direction_that_paid_is_followed() -> None:
    """From 12 to 16 the latency fell by 9 %: more of it is expected, and by how much is said."""
    found = suggested(request(row(HERE), row(HERE.with_values(buffer=F(12)))))
    assert found.setting.number("buffer") > 16
    assert found.gain.low < found.gain.mean < found.gain.high
    assert found.gain.mean > 0.02
    assert found.measured == 2


def test_what_other_knobs_did_is_learned_from_too() -> None:
    """Ten rows with other workers tell of the buffer what rows with these workers would have told."""
    others = [row(HERE.with_values(workers=F(6), buffer=F(b))) for b in (12, 16, 20, 24)]
    assert suggested(request(row(HERE), *others)).setting.number("buffer") > 16


FEW = {
    "no rows": (row(HERE.with_values(buffer=F(12))),),
    "two windows": (row(HERE, count=2),),
    "another load": (row(HERE, load=40.0, throughput=40.0),),
    "other pods": (row(HERE, pods=5.0),),
    "a knob that was not known then": (row(Setting({"workers": F(4), "buffer": F(16)})),),
}


@pytest.mark.parametrize("rows", FEW.values(), ids=FEW)
def test_without_three_comparable_windows_of_the_setting_in_force_nothing_is_suggested(rows: tuple[Row, ...]) -> None:
    found = reason(request(*rows))
    assert found.reason is Reason.LEARNING
    assert "of 3 windows of the setting in force" in found.detail


def test_after_twelve_trials_that_came_to_nothing_it_holds() -> None:
    tried = [row(HERE.with_values(buffer=F(b))) for b in (10, 12, 14, 18, 20)]
    found = reason(request(row(HERE), *tried, misses=12))
    assert (found.reason, found.detail) == (
        Reason.NOTHING_BETTER,
        "the search holds: 12 trials in a row came to nothing",
    )


def test_what_guards_refuse_is_not_suggested() -> None:
    found = reason(request(admissible=lambda _: False))
    assert found.detail == "the search expects no gain from any safe step"


def test_a_failure_turns_the_search_away_from_its_direction() -> None:
    up = request(row(HERE), row(HERE.with_values(buffer=F(12))), moving=frozenset({"buffer"}))
    assert suggested(up).setting.number("buffer") > 16
    failed = replace(up, failed=((HERE, HERE.with_values(buffer=F(20))),))
    found = learning.suggest(failed)
    assert isinstance(found, Missing) or found.setting.number("buffer") < 16


def test_a_cliff_is_kept_away_from_and_bends_no_slope() -> None:
    """Three times the latency at 20: nothing beyond 16 is asked for, and below it is still small steps."""
    cliff = row(HERE.with_values(buffer=F(20)), latency=3 * latency(HERE))
    found = learning.suggest(request(row(HERE), cliff, moving=frozenset({"buffer"})))
    assert isinstance(found, Missing) or found.setting.number("buffer") < 16


def test_a_restart_has_to_earn_its_cost() -> None:
    """Nothing is known of either knob: the first step of one that restarts pods is not worth it."""
    both = request(moving=frozenset({"pause"}))
    assert isinstance(learning.suggest(both), Suggestion)
    assert isinstance(learning.suggest(replace(both, restarting=frozenset({"pause"}))), Missing)


def test_throughput_is_what_counts_where_load_is_left_unserved() -> None:
    """10 % more served at 20 than at 16, at the same latency."""
    here = row(HERE, throughput=10.0, latency=1.0, latency_m2=0.0)
    more = row(HERE.with_values(buffer=F(14)), throughput=9.0, latency=1.0, latency_m2=0.0)
    found = suggested(request(here, more, throughput=True, moving=frozenset({"buffer"})))
    assert found.setting.number("buffer") > 16


def dear(setting: Setting) -> float:
    return float(setting.number("buffer"))


def test_money_is_saved_where_the_latency_bears_it() -> None:
    """A buffer costs by its size, and this workload ran as fast with less: 14 saves an eighth."""
    flat = [row(HERE.with_values(buffer=F(b)), latency=0.1) for b in (16, 15, 14)]
    asked = request(*flat, moving=frozenset({"buffer"}), price=dear, least=math.log(0.97))
    found = suggested(asked)
    assert found.setting.number("buffer") <= 14
    assert found.gain.mean == pytest.approx(0.125, abs=0.02)


ODD: dict[str, Callable[[], SearchRequest]] = {
    "one row": lambda: request(row(HERE)),
    "the same row twice": lambda: request(row(HERE), row(HERE)),
    "no variance at all": lambda: request(row(HERE, latency_m2=0.0)),
    "a variance that is slightly negative": lambda: request(row(HERE, latency_m2=-1e-18)),
    "one row of a hundred windows": lambda: request(row(HERE, count=100)),
    "two hundred rows": lambda: request(row(HERE), *(row(HERE.with_values(buffer=F(b))) for b in range(17, 217))),
    "a knob without an effect": lambda: request(
        row(HERE), *(row(HERE.with_values(pause=F(p))) for p in (3, 4, 6)), moving=frozenset({"pause"})
    ),
    "a space of one point": lambda: request(moving=frozenset()),
    "settings beyond their limits": lambda: request(row(HERE), row(HERE.with_values(buffer=F(4096)))),
}


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_odd_rows_give_a_suggestion_or_a_reason_and_never_a_warning(make: Callable[[], SearchRequest]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = learning.suggest(make())
    if isinstance(found, Suggestion):
        assert all(math.isfinite(x) for x in (found.gain.mean, found.gain.low, found.gain.high, found.sure))
    else:
        assert found.detail
