"""The breaker over all profiles: from any state, by any facts, at any time."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from pegbox.core.fleet import Ended, Facts, Fleet, of_text, step, to_text
from pegbox.model.trials import BreakerState
from tests.unit.core.build import at
from tests.unit.core.test_fleet import LIMITS

moments = st.none() | st.integers(-(10**6), 10**6).map(at)
fleets = st.builds(
    Fleet, st.sampled_from(BreakerState), st.integers(0, 99), moments, moments, st.text(max_size=8), st.text(max_size=9)
)
endings = st.dictionaries(st.sampled_from(["shop/a", "shop/b", "shop/c"]), st.builds(Ended, moments, moments))
facts = st.builds(Facts, endings, st.frozensets(st.sampled_from(["shop/a", "shop/b"])), st.sampled_from(["", "sick"]))


@given(fleets)
def test_the_text_on_the_lease_is_read_back_as_it_was(fleet: Fleet) -> None:
    assert of_text(to_text(fleet)) == fleet


@given(st.text() | st.sampled_from(["[]", "null", '{"until": "2026-01-05"}', '{"opened": 1e400}', '{"state": "Ajar"}']))
def test_a_text_that_somebody_spoilt_is_a_closed_breaker(text: str) -> None:
    if not text.startswith("{") or text.startswith('{"'):
        assert of_text(text) == Fleet()


@given(fleets, st.integers(-(10**6), 10**6).map(at))
def test_whatever_it_was_it_half_opens_within_its_longest_time_where_all_is_well(fleet: Fleet, now: datetime) -> None:
    """No state, no text on the Lease and no clock holds trials back for ever."""
    after = step(fleet, Facts(), LIMITS, now)
    after = step(after, Facts(), LIMITS, now + LIMITS.longest * 1.2)
    assert after.state is not BreakerState.OPEN


@given(fleets, facts, st.integers(-(10**6), 10**6).map(at))
def test_a_second_look_at_the_same_facts_changes_nothing(fleet: Fleet, seen: Facts, now: datetime) -> None:
    once = step(step(fleet, seen, LIMITS, now), seen, LIMITS, now)
    assert step(once, seen, LIMITS, now).state is once.state
