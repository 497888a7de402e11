"""An edit of what is measured: a trial ends without a verdict, and nobody is blamed for figures of something else."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core import measure
from pegbox.core.cut_short import must_end, note_sample
from pegbox.core.decide import decide
from pegbox.model.observations import Attainment, Missing
from pegbox.model.profile import Guards, Mode, OnNoData, Purpose, Signal, SignalKind
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import IntentKind, TrialState
from tests.unit.core.build import (
    FAST,
    NO_WISH,
    T0,
    at,
    intent,
    pod,
    setting,
    snapshot,
    spec,
    under_way,
    window,
    wish,
    workload,
)

TOOK = Signal("took", SignalKind.HISTOGRAM, Purpose.LATENCY, "rate(b[$window])", "rate(s[$window])", "rate(c[$window])")
BEFORE = spec(signals=(TOOK,), matchers=(("job", "shop"),))
OTHERS = {
    "another_threshold": {"slos": (replace(FAST, threshold=F(1, 5)),)},
    "another_signal_of_the_slo": {"slos": (replace(FAST, signal="waited"),)},
    "another_sum": {"signals": (replace(TOOK, sum_expr="1000 * rate(s[$window])"),)},
    "another_count": {"signals": (replace(TOOK, count_expr="rate(d[$window])"),)},
    "another_expression": {"signals": (replace(TOOK, expr="rate(e[$window])"),)},
    "another_purpose": {"signals": (replace(TOOK, purpose=Purpose.SLO),)},
    "another_matcher": {"matchers": (("job", "mall"),)},
    "no_matcher": {"matchers": ()},
    "a_longer_window": {"guards": Guards(trial_window=F(240))},
}
SAME = {
    "another_goal": {"slos": (replace(FAST, goal=F(9, 10)),)},
    "another_policy": {"slos": (replace(FAST, on_no_data=OnNoData.IGNORE),)},
    "more_events_needed": {"slos": (replace(FAST, minimum_events=200),)},
    "a_longer_window_of_the_slo": {"slos": (replace(FAST, window=F(600)),)},
    "more_patience": {"guards": Guards(settle=F(90), trial_timeout=F(3600))},
    "another_mode": {"mode": Mode.RECOMMEND},
    "another_generation": {"generation": 2, "class_generation": 2},
}
TRIAL = intent(in_force_at=T0, applied_at=T0, measured=measure.digest(BEFORE))
LATE = window(130, latency=0.5, slos={"fast": Attainment(300, 1200)})
"""By the new measure: a disaster."""


def edited(changes: dict[str, Any], **more: Any) -> Snapshot:
    item = replace(TRIAL, bad_samples=1, first_bad_at=at(100), last_sample_at=at(100))
    return snapshot(replace(BEFORE, **changes), under_way(item), **{"observation": LATE} | more)


@pytest.mark.parametrize("changes", OTHERS.values(), ids=OTHERS.keys())
def test_an_edit_of_what_is_measured_ends_the_trial_and_blames_nobody(changes: dict[str, Any]) -> None:
    assert measure.digest(replace(BEFORE, **changes)) != measure.digest(BEFORE)
    found = decide(edited(changes), NO_WISH, at(130))
    trial = found.ledger.trials[-1]
    assert (trial.state, trial.reason) == (TrialState.INCONCLUSIVE, Reason.PROFILE_CHANGED)
    assert found.ledger.breaker.failures == 0 and found.desired == TRIAL.parent


@pytest.mark.parametrize("changes", SAME.values(), ids=SAME.keys())
def test_an_edit_of_what_is_asked_of_it_does_not(changes: dict[str, Any]) -> None:
    assert measure.digest(replace(BEFORE, **changes)) == measure.digest(BEFORE)


def test_without_an_edit_such_a_sample_is_the_second_bad_one() -> None:
    found = decide(edited({}), NO_WISH, at(130))
    assert (found.ledger.trials[-1].reason, found.ledger.breaker.failures) == (Reason.REGRESSION, 1)


def test_a_class_that_cannot_be_read_says_of_no_measure_that_it_is_another_one() -> None:
    """After a restart nothing is known of its signals: that, and not an edit, is why the trial goes back."""
    gone = Missing(Reason.CLASS_NOT_FOUND)
    given = edited({"signals": (), "slos": ()}, refusal=gone, observation=Missing(Reason.NO_DATA))
    found = must_end(given, workload(), at(130), 0.0)
    assert found is None or found.reason is Reason.CLASS_NOT_FOUND


def test_damage_needs_no_measure() -> None:
    hurt = workload(pod(oom_killed_at=at(5)))
    found = must_end(edited(OTHERS["another_threshold"], workload=hurt), hurt, at(130), 0.0)
    assert found is not None and (found.reason, found.counted) == (Reason.OOM_KILLED, True)


def test_nothing_of_the_new_measure_is_counted_on_the_way_back_either() -> None:
    back = replace(TRIAL, kind=IntentKind.ROLLBACK, state=TrialState.INCONCLUSIVE, stage_at=at(120))
    for changes, spent in ((OTHERS["another_threshold"], {}), ({}, {"fast": 888.0})):
        given = snapshot(replace(BEFORE, **changes), under_way(back), observation=LATE)
        noted = note_sample(given).ledger.intent
        assert noted is not None and noted.spent == pytest.approx(spent)


def test_a_trial_says_by_what_its_parent_was_measured_and_one_of_before_is_judged_as_ever() -> None:
    begun = decide(snapshot(BEFORE), wish(setting(workers=5, pool=4)), T0).ledger.intent
    assert begun is not None and begun.measured == measure.digest(BEFORE)
    assert not measure.edited(replace(BEFORE, matchers=()), intent())
