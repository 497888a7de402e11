"""A surge of failed events: far above what the setting had before, and no chance."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F

import pytest

from pegbox.core.error_share import ALL, counted, kept, surged, told
from pegbox.model.observations import Attainment, Missing, Observation
from pegbox.model.profile import ProfileSpec, Purpose, Signal, SignalKind, Slo
from pegbox.model.reasons import Reason
from tests.unit.core.build import FAST, spec, window

SIGNALS = (
    Signal("took", SignalKind.HISTOGRAM, Purpose.LATENCY, "", "", ""),
    Signal("success", SignalKind.RATIO, Purpose.ERRORS, "", "", ""),
)
OK = Slo("ok", "success", F(99, 100))
PROFILE = spec(slos=(FAST, OK), signals=SIGNALS)
NO_SLO = spec(slos=(FAST,), signals=SIGNALS)


def failed(bad: float, total: float = 1200, slo: bool = True) -> Observation:
    """A window of 120 s in which so many of all events failed."""
    slos = {"ok": Attainment(total - bad, total)} if slo else {}
    return window(throughput=total / 120, errors=bad / total, slos=slos)


def record(bad: float, total: float) -> dict[str, Attainment]:
    return {name: Attainment(total - bad, total) for name in (ALL, "ok")}


@pytest.mark.parametrize(
    ("profile", "before", "now", "is_one"),
    [
        # 0.1 % of 12000 before: 1.2 are expected of 1200, 7.3 with chance
        pytest.param(NO_SLO, (12, 12000), (25, 1200), False, id="no_slo_2_points_more_are_25"),
        pytest.param(NO_SLO, (12, 12000), (26, 1200), True, id="no_slo_26_are_more"),
        pytest.param(PROFILE, (12, 12000), (12, 1200), False, id="an_slo_of_99_percent_allows_12"),
        pytest.param(PROFILE, (12, 12000), (13, 1200), True, id="and_not_13"),
        # 5 % before: 60 are expected, twice that are 120, and 60 + 3 sqrt(120 * 1.1) = 94.5 are chance
        pytest.param(NO_SLO, (600, 12000), (120, 1200), False, id="twice_the_share_of_before_is_none"),
        pytest.param(NO_SLO, (600, 12000), (121, 1200), True, id="more_than_twice_is_one"),
        # one among ten, and what small counts may do
        pytest.param(PROFILE, (0, 12000), (1, 10), False, id="one_among_ten_is_none"),
        pytest.param(PROFILE, (0, 12000), (9, 10), False, id="nine_among_ten_are_no_figure_yet"),
        pytest.param(PROFILE, (0, 12000), (10, 10), True, id="ten_among_ten_are_one"),
        # a record of 100 events without a failure may hide one in a hundred: 12 + 3 sqrt(24 * 13) = 65
        pytest.param(PROFILE, (0, 100), (64, 1200), False, id="a_short_record_proves_little"),
        pytest.param(PROFILE, (0, 100), (66, 1200), True, id="but_something"),
        pytest.param(PROFILE, (0, 0), (900, 1200), False, id="no_record_is_none"),
    ],
)
def test_what_is_a_surge(
    profile: ProfileSpec, before: tuple[float, float], now: tuple[float, float], is_one: bool
) -> None:
    assert surged(profile, record(*before), failed(*now, slo=profile is PROFILE)) is is_one


def test_slow_events_are_the_latencys_matter() -> None:
    slow = window(slos={"fast": Attainment(0.0, 1200.0)})
    assert set(counted(PROFILE, slow)) == {ALL}
    assert not surged(PROFILE, {"fast": Attainment(12000.0, 12000.0)}, slow)


def test_what_is_not_known_is_no_surge_and_is_told() -> None:
    gone = replace(failed(900), errors=Missing(Reason.NO_DATA), slos={"ok": Missing(Reason.NO_DATA)})
    assert not surged(PROFILE, record(12, 12000), gone) and not told(PROFILE, record(12, 12000), gone)
    assert told(PROFILE, record(12, 12000), failed(0)) and told(PROFILE, {}, gone)
    assert told(NO_SLO, {"ok": Attainment(1.0, 1.0)}, gone), "an SLO that the profile dropped is not asked for"


def test_a_record_adds_up_and_forgets_what_is_older_than_twenty_windows() -> None:
    fresh = {ALL: Attainment(90.0, 100.0)}
    assert kept({}, fresh, 1) == fresh
    assert kept(fresh, fresh, 20)[ALL] == Attainment(180.0, 200.0)
    many = record(0, 100 * 20)
    for count in range(21, 121):  # 0.95^100 = 0.6 % of what was before are left
        many = dict(kept(many, fresh, count))
    assert many[ALL].total == pytest.approx(2000) and many[ALL].share == pytest.approx(0.9, abs=0.001)
