"""The memory of what failed, and of what others set again: it decays, more slowly for what came again."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction as F

import pytest

from pegbox.core import transitions
from pegbox.core.guards import limits
from pegbox.model.knobs import Setting
from pegbox.model.profile import Guards
from pegbox.model.reasons import Reason
from pegbox.model.trials import TrialState, TrialSummary
from tests.unit.core.build import T0, at, ledger, setting, snapshot, spec

# 10 x (60 + 40 + 100) s = 2000 s
GUARDS = Guards(settle=F(60), trial_window=F(40), cooldown=F(100))
BAD, OTHER, NOW = setting(workers=6, pool=4), setting(workers=3, pool=4), setting(workers=4, pool=4)


def failed(ended: float, what: Setting = BAD, state: TrialState = TrialState.REVERTED) -> TrialSummary:
    return TrialSummary("i", what, NOW, state, Reason.REGRESSION, at(ended - 60), at(ended))


@pytest.mark.parametrize(
    ("trials", "seconds", "reason"),
    [
        pytest.param((failed(0),), 2000, Reason.RECENTLY_FAILED, id="once_for_ten_trials_time"),
        pytest.param((failed(0),), 2001, Reason.WITHIN_LIMITS, id="and_then_forgotten"),
        pytest.param((failed(-3000), failed(0)), 4000, Reason.RECENTLY_FAILED, id="twice_for_twice_as_long"),
        pytest.param((failed(-3000), failed(0)), 4001, Reason.WITHIN_LIMITS, id="and_then_forgotten_too"),
        pytest.param((failed(-3000, OTHER), failed(0)), 2001, Reason.WITHIN_LIMITS, id="another_settings_counts_not"),
        pytest.param(
            (failed(-3000, state=TrialState.INCONCLUSIVE), failed(0)),
            2001,
            Reason.WITHIN_LIMITS,
            id="an_inconclusive_one_counts_not",
        ),
        pytest.param(
            tuple(failed(-9000 + 1000 * n) for n in range(10)), 7 * 24 * 3600, Reason.RECENTLY_FAILED, id="ten_times"
        ),
        pytest.param(
            tuple(failed(-9000 + 1000 * n) for n in range(10)), 7 * 24 * 3600 + 1, Reason.WITHIN_LIMITS, id="a_week"
        ),
    ],
)
def test_a_failure_is_remembered(trials: tuple[TrialSummary, ...], seconds: int, reason: Reason) -> None:
    seen = snapshot(spec(guards=GUARDS), ledger(trials=trials), read_at=at(seconds))
    assert limits.recently_failed(seen, NOW, BAD).reason is reason


def again(ended: float, *foreign: str, state: TrialState = TrialState.INCONCLUSIVE) -> TrialSummary:
    """A trial of both knobs; `foreign` were set by others, in mid-course or once it was accepted."""
    moved = setting(workers=5, pool=5)
    return TrialSummary("i", moved, NOW, state, Reason.FOREIGN_CHANGE, at(ended - 60), at(ended), foreign=foreign)


@pytest.mark.parametrize(
    ("trials", "until"),
    [
        pytest.param((), {}, id="nobody_set_anything"),
        pytest.param((again(0, "pool"),), {"pool": at(2000)}, id="that_knob_alone"),
        pytest.param((again(-3000, "pool"), again(0, "pool")), {"pool": at(4000)}, id="twice_for_twice_as_long"),
        pytest.param(
            (again(-10, "workers"), again(0, "pool")), {"workers": at(1990), "pool": at(2000)}, id="each_by_itself"
        ),
        pytest.param((again(0, "pool", state=TrialState.ACCEPTED),), {"pool": at(2000)}, id="after_its_acceptance"),
        pytest.param(
            (again(-3000, "pool"), again(-1000, state=TrialState.ACCEPTED), again(0, "pool")),
            {"pool": at(2000)},
            id="what_was_accepted_and_stayed_ends_the_count",
        ),
        pytest.param((again(-2000, "pool"),), {"pool": at(0)}, id="until_the_last_second"),
        pytest.param((again(-2001, "pool"),), {}, id="and_then_forgotten"),
    ],
)
def test_what_others_set_again_is_left_to_them(trials: tuple[TrialSummary, ...], until: dict[str, object]) -> None:
    seen = snapshot(spec(guards=GUARDS), ledger(trials=trials), read_at=at(0))
    assert limits.left_alone(seen) == until
    refused = {n: limits.recently_failed(seen, NOW, NOW.with_values(**{n: F(7)})).reason for n in NOW}
    assert refused == {n: Reason.FOREIGN_CHANGE if n in until else Reason.WITHIN_LIMITS for n in NOW}


def test_an_accepted_trial_that_is_undone_says_so_and_only_the_newest_of_the_knob() -> None:
    taken = again(0, state=TrialState.ACCEPTED)
    older = again(-100, state=TrialState.ACCEPTED)
    after = transitions.undone(ledger(trials=(older, taken)), {"pool"})
    assert [t.foreign for t in after.trials] == [(), ("pool",)]
    put_back = transitions.undone(ledger(trials=(older, failed(0))), {"workers"})
    assert [t.foreign for t in put_back.trials] == [(), ()], "its parent was put back: that is not what stood"


def test_doubling_ends_at_a_week_unless_one_failure_alone_is_remembered_for_longer() -> None:
    assert [limits.remembered(GUARDS, n).total_seconds() for n in (1, 2, 3)] == [2000, 4000, 8000]
    assert limits.remembered(GUARDS, 10**6) == timedelta(days=7)
    slow = Guards(settle=F(0), trial_window=F(0), cooldown=F(24 * 3600))
    assert limits.remembered(slow, 1) == limits.remembered(slow, 5) == timedelta(days=10)
    assert at(0) == T0
