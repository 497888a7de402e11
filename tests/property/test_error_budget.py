"""The error budget: a trial that is no worse never spends it, and all trials together spend one share of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from pegbox.core.error_budget import noted, overspent, remembered, used_up
from pegbox.model.observations import Attainment
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import Baseline, Intent
from tests.unit.core.build import FAST, T0, at, baseline, ledger, snapshot, spec
from tests.unit.core.test_error_budget import PROFILE, TRIAL, bad


@given(
    bads=st.lists(st.floats(0, 12), min_size=1, max_size=40),
    base=st.floats(0.99, 1.0),
)
def test_a_trial_no_worse_than_its_parent_never_overspends(bads: list[float], base: float) -> None:
    """Every window has at most the parent's share of bad events."""
    parent: Baseline = baseline(slo_shares={"fast": base})
    item = replace(TRIAL, baseline=parent)
    for n, count in enumerate(bads):
        seen = bad(min(count, (1 - base) * 1200), 120 + 30 * n)
        item = replace(noted(PROFILE, item, seen), last_sample_at=seen.window.end)
        assert overspent(PROFILE, item, seen) is None
    assert item.started_at == T0


LOOK = 30.0  # seconds between looks; a way back takes one of them
RATE, WINDOW = 10.0, 1800  # events per second; seconds of the SLO: 45 bad events are the share
HALF_AN_HOUR = spec(slos=(replace(FAST, window=Fraction(WINDOW)),))
OWN = {"fast": Attainment(0.99 * RATE * WINDOW, RATE * WINDOW)}
harms = st.sampled_from([0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.2, 0.99])  # share of events that a trial makes bad


@dataclass
class Played:
    """What really happened: (when, bad events that a trial caused), and the variances that count with them."""

    caused: list[tuple[float, float]] = field(default_factory=list)
    variances: list[tuple[float, float]] = field(default_factory=list)
    worst: float = -math.inf  # most that the sum within a window was above share, chance, and the newest two looks
    trials: int = 0


def play(plans: list[tuple[list[float], int]], *, remembering: bool) -> Played:
    """Trials one after the other, as (harm at each look, looks until the next may begin). Each is cut short as the core
    says, and then does as much harm for one look more, on its way back. Nothing begins while the guard holds."""
    played, memory, now, share = Played(), ledger(), 0.0, 0.05 * 0.05 * RATE * WINDOW

    def look(harm: float, item: Intent) -> tuple[Snapshot, Intent]:
        nonlocal now
        now += LOOK
        played.caused.append((now, harm * RATE * LOOK))
        excess = sum(count for when, count in played.caused if now - 120 < when <= now)
        seen = bad(12 + excess, now)
        item = noted(HALF_AN_HOUR, item, seen)
        return snapshot(HALF_AN_HOUR, replace(memory, intent=item), observation=seen, slos=OWN), item

    def judge(variance: float) -> None:
        lately = [count for when, count in played.caused if when > now - WINDOW]
        chance = variance + sum(v for when, v in played.variances if when > now - WINDOW)
        played.worst = max(played.worst, sum(lately) - share - 3 * math.sqrt(chance) - sum(lately[-2:]))

    for number, (pattern, pause) in enumerate(plans):
        while used_up(snapshot(HALF_AN_HOUR, memory, slos=OWN), at(now)) is not None:
            now += LOOK
        item = replace(TRIAL, id=f"i-{number}", started_at=at(now), stage_at=at(now))
        for harm in pattern:
            seen, item = look(harm, item)
            judge(item.variance["fast"])
            before = memory.spent if remembering else {}
            if overspent(HALF_AN_HOUR, item, seen.observation, before) is not None:
                seen, item = look(harm, item)
                judge(item.variance["fast"])
                break
        after = remembered(HALF_AN_HOUR, seen.ledger, replace(memory, intent=None), at(now))
        memory = after if remembering else memory
        played.variances.append((now, item.variance["fast"]))
        played.trials += 1
        now += pause * LOOK
    return played


@given(plans=st.lists(st.tuples(st.lists(harms, min_size=1, max_size=12), st.integers(0, 40)), min_size=1, max_size=25))
@settings(deadline=None, max_examples=60)
def test_within_any_window_all_trials_together_spend_one_share(plans: list[tuple[list[float], int]]) -> None:
    """But for chance, and for what falls into the look that tells and into the way back."""
    assert play(plans, remembering=True).worst <= 1e-6


def test_without_the_memory_each_of_five_trials_spends_a_share() -> None:
    """The adversarial twin: all within one window, each as harmful as it may be for ever."""
    plans = [([0.02] * 12, 0)] * 5
    forgetting, share = play(plans, remembering=False), 45.0
    assert forgetting.worst > 4 * share - 3 * math.sqrt(sum(v for _, v in forgetting.variances))
    assert forgetting.worst > share and play(plans, remembering=True).worst <= 0
