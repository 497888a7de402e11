"""When an intent under way is looked at again, and what may be reused by then. Interval 30 s, windows 120 s, settle 60 s."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F

import pytest

from pegbox.core import looks
from pegbox.model.observations import Observation
from pegbox.model.profile import Guards, ProfileSpec
from pegbox.model.trials import Intent, IntentKind
from tests.unit.core import build
from tests.unit.core.build import at

SPEC = build.spec()
FRESH = 0.0
WRITTEN = build.intent(applied_at=at(0))
IN_FORCE = build.intent(applied_at=at(0), in_force_at=at(10))  # settled at 70, the first window ends at 190
BAD = replace(IN_FORCE, bad_samples=1)
BACK = build.intent(IntentKind.ROLLBACK, applied_at=at(0))
ADOPTED = build.intent(IntentKind.ADOPT, stage_at=at(0), applied_at=at(2))
SHORT = build.spec(interval=F(5), guards=Guards(settle=F(3), trial_window=F(20)))
WIDE = build.spec(interval=F(120))
FIRST = build.window(190)  # began at 70: the first that counts
EARLY = build.window(180)  # began before the settle time was over

ROWS = [
    # what, spec, intent, windows kept, now, next look after, age of signals, age of acknowledgements
    ("acknowledgements are awaited thrice an interval", SPEC, WRITTEN, (), 5, 10, 27.0, 9.0),
    ("a rollback waits five seconds at most", SPEC, BACK, (), 5, 5, 27.0, 4.5),
    ("short intervals are not cut below two seconds", SHORT, WRITTEN, (), 5, 2, 4.5, 1.8),
    ("an adoption waits five seconds at first", SPEC, ADOPTED, (), 2, 5, 27.0, 4.5),
    ("and then as long again as it has waited", SPEC, ADOPTED, (), 12, 12, 27.0, 4.5),
    ("but an interval at most", SPEC, ADOPTED, (), 45, 30, 27.0, 4.5),
    ("also where the clock was set back", SPEC, ADOPTED, (), -90, 5, 27.0, 4.5),
    ("one with a short interval keeps to that", SHORT, ADOPTED, (), 45, 5, 4.5, 1.8),
    ("in force, an interval passes between looks", SPEC, IN_FORCE, (), 70, 30, 15.0, 29.7),
    ("but no longer than until a window is whole", SPEC, IN_FORCE, (), 175, 15, 15.0, 29.7),
    ("at that moment everything is asked anew", SPEC, IN_FORCE, (), 190, 30, FRESH, 29.7),
    ("the next window begins where the judged one ended", SPEC, IN_FORCE, (FIRST,), 300, 10, 15.0, 29.7),
    ("a window from settle time counts for nothing", SPEC, IN_FORCE, (EARLY,), 185, 5, 15.0, 29.7),
    ("a bad sample is looked at again within half an interval", SPEC, BAD, (), 100, 15, FRESH, 29.7),
    ("and within a quarter of a window", WIDE, BAD, (), 12, 30, FRESH, 118.8),
]


@pytest.mark.parametrize(("spec", "intent", "windows", "now", "after", "signals", "acks"), [r[1:] for r in ROWS],
                         ids=[r[0] for r in ROWS])  # fmt: skip
def test_looks(
    spec: ProfileSpec,
    intent: Intent,
    windows: tuple[Observation, ...],
    now: float,
    after: int,
    signals: float,
    acks: float,
) -> None:
    assert looks.wake_after(spec, intent, windows, at(now)) == after
    assert looks.signal_age(spec, intent, windows, at(now)) == pytest.approx(signals)
    assert looks.acknowledgement_age(spec, intent) == pytest.approx(acks)


def test_at_rest_one_answer_serves_a_whole_interval_and_never_two() -> None:
    assert 29.5 < looks.signal_age(SPEC, None, (), at(0)) < 30.0
    assert looks.acknowledgement_age(SPEC, None) == looks.signal_age(SPEC, None, (), at(0))


@pytest.mark.parametrize("window", [20, 30, 60, 120])
@pytest.mark.parametrize("first_bad", range(0, 31, 5))
def test_two_bad_samples_are_seen_within_two_intervals_of_the_first(window: int, first_bad: int) -> None:
    """The worst case: right before the first bad scrape somebody else asked, and the look after it reuses that."""
    spec = build.spec(guards=Guards(settle=F(3), trial_window=F(window)))
    intent, asked, now, bad = replace(IN_FORCE, in_force_at=at(-600)), first_bad - 0.1, 0.0, 0
    windows = (build.window(0),)
    while bad < 2:
        now += float(looks.wake_after(spec, replace(intent, bad_samples=bad), windows, at(now)))
        if now < first_bad:
            continue
        if now - asked >= looks.signal_age(spec, replace(intent, bad_samples=bad), windows, at(now)):
            asked, bad = now, bad + 1
    assert now - first_bad <= 60


def test_adoptions_that_pods_acknowledge_late_leave_room_for_looks_at_others() -> None:
    """Kubelets take up to 90 s. At five seconds each that were 19 looks; now those at 2, 7, 14, 28, 56 and 86 s and one more."""
    now, count = 2.0, 1
    while now < 90.0:
        now += float(looks.wake_after(SPEC, ADOPTED, (), at(now)))
        count += 1
    assert count == 7
