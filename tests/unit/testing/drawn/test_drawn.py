"""Random workloads: the same from the same seed, honest about what they can serve, and no two alike."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest

from pegbox.core.statistics import MAX_ROWS
from pegbox.core.steps import within_step
from pegbox.model.observations import Missing
from pegbox.testing.drawn import FAMILIES
from pegbox.testing.drawn.walk import neighbours, rows, survey, walk

EACH = pytest.mark.parametrize("family", FAMILIES)
# Single events take some tenths of a second for each of these: tests/sim.
QUICK = pytest.mark.parametrize("family", [family for family in FAMILIES if family != "events"])


@QUICK
def test_the_same_seed_gives_the_same_windows_and_another_seed_others(family: str) -> None:
    one, again, other = (walk(FAMILIES[family](seed), 6) for seed in (3, 3, 4))
    assert one == again
    assert [s.observation.throughput for s in one] != [s.observation.throughput for s in other]


@EACH
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_an_overload_is_served_at_the_capacity_and_a_light_load_whole(family: str, seed: int) -> None:
    plant = FAMILIES[family](seed)
    pods = plant.pods(plant.start, plant.load)
    most = plant.capacity(plant.start, pods)
    light, heavy = (plant.answer(plant.start, pods, share * most) for share in (0.3, 2.0))
    # events: 1000 and more single ones, so a few percent by chance
    assert light.throughput == pytest.approx(0.3 * most, rel=0.1)
    assert heavy.throughput == pytest.approx(most, rel=0.03)
    assert heavy.latency > light.latency
    for share in (*light.busy.values(), *heavy.busy.values()):
        assert 0.0 <= share <= 1.0


@EACH
def test_a_setting_that_doubles_everything_serves_no_less(family: str) -> None:
    plant = FAMILIES[family](1)
    counts = [name for name, role in plant.roles.items() if role.limits_service]
    more = plant.start.with_values(**{name: plant.space[name].clamp(2 * plant.start.number(name)) for name in counts})
    pods = plant.pods(plant.start, plant.load)
    assert plant.capacity(more, pods) >= 0.9 * plant.capacity(plant.start, pods)


@QUICK
def test_a_walk_is_of_small_steps_and_its_windows_can_be_learned_from(family: str) -> None:
    plant = FAMILIES[family](2)
    seen = walk(plant, 12)
    for before, after in pairwise(seen):
        for knob in plant.space.knobs:
            assert within_step(knob, before.setting[knob.name], after.setting[knob.name])
    assert sum(row.count for row in rows(seen)) == 12
    assert all(not isinstance(s.observation.latency, Missing) and s.observation.clean for s in seen)


@QUICK
def test_a_survey_sees_limits_both_full_and_free_and_fits_into_a_ledger(family: str) -> None:
    plant = FAMILIES[family](5)
    found = rows(survey(plant, 12))
    full = [row for row in found if row.throughput < 0.97 * row.load]
    assert 8 <= len(full) < len(found) <= MAX_ROWS
    fixed = [k.name for k in plant.space.knobs if k.name not in plant.roles]
    assert {tuple(row.setting[name] for name in fixed) for row in found} == {tuple(plant.start[n] for n in fixed)}


@EACH
def test_neighbours_are_new_settings_one_step_away_inside_the_limits(family: str) -> None:
    plant = FAMILIES[family](0)
    near = neighbours(plant, plant.start, 6)
    assert len(set(near)) == len(near) >= 4
    assert plant.start not in near
    for setting in near:
        for knob in plant.space.knobs:
            assert knob.admits(setting[knob.name])
            assert within_step(knob, plant.start[knob.name], setting[knob.name])


def test_families_draw_seconds_that_differ_by_more_than_four() -> None:
    """Else a prior would learn these workloads and not what they have in common."""
    spans = {
        family: [make(seed).answer(make(seed).start, 1, 0.01).latency for seed in range(8)]
        for family, make in FAMILIES.items()
        if family != "events"
    }
    for family, latencies in spans.items():
        assert max(latencies) / min(latencies) > 4, (family, latencies)


def test_loads_are_finite_and_settings_start_whole() -> None:
    for make in FAMILIES.values():
        plant = make(9)
        assert math.isfinite(plant.load) and plant.load > 0
        for name, role in plant.roles.items():
            value = plant.start[name]
            assert isinstance(value, Fraction) and value.denominator == 1, (name, role)
