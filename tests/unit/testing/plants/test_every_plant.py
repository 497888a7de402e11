"""What holds for every shipped plant."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import pytest

from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import KnobType, KnobValue, Setting
from pegbox.testing.plants import SHIPPED
from pegbox.testing.plants.knobs import faults
from pegbox.testing.plants.protocol import MEMBERS, Minute, Plant

NAMES = sorted(SHIPPED)
MINUTES = 6
WITHOUT_EFFECT = {
    "database-pool": ("metrics_interval", "60s"),
    "upstream": ("stream_channel_capacity", "100"),
    "cache": ("buffer_pool_size", "500"),
    "autoscaled": ("metrics_interval", "1s"),
    "deploys": ("buffer_pool_size", "1"),
    "slow-leak": ("stream_channel_capacity", "100000"),
    "events": ("enable_metrics", "false"),
}


def starved(plant: Plant) -> Setting:
    """One worker and as few pods as may be: every plant is overloaded by it."""
    few: dict[str, KnobValue] = {"worker_count": Fraction(1)}
    for name in ("replicas", "min_replicas", "max_replicas"):
        if name in plant.space:
            few[name] = plant.space[name].minimum or Fraction(1)
    return plant.start.with_values(**few)


def course(plant: Plant, settings: Iterable[Setting]) -> list[Minute]:
    return [plant.advance(setting) for setting in settings]


@pytest.mark.parametrize("name", NAMES)
def test_it_has_the_members_of_the_protocol_and_starts_in_its_own_space(name: str) -> None:
    plant = SHIPPED[name](0)

    assert not [member for member in MEMBERS if not hasattr(plant, member)]
    assert not faults(plant.space, plant.rules, plant.start)
    assert 4 <= len(plant.space.knobs) <= 8


def test_among_them_are_wide_counts_booleans_choices_and_restarts() -> None:
    knobs = [knob for name in NAMES for knob in SHIPPED[name](0).space.knobs]

    assert {knob.type for knob in knobs} >= {KnobType.BOOLEAN, KnobType.CHOICE, KnobType.DURATION, KnobType.CPU}
    for name in NAMES:
        counts = [k for k in SHIPPED[name](0).space.knobs if k.type is KnobType.INTEGER]
        assert max(float(k.maximum or 0) / float(k.minimum or 1) for k in counts) >= 20
    assert sum(knob.effect.value == "Restart" for knob in knobs) == 2


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_repeats_and_another_does_not(name: str) -> None:
    first, again, other = (SHIPPED[name](seed) for seed in (3, 3, 4))
    settings = [first.start, starved(first), first.start]

    assert course(first, settings) == course(again, settings)
    assert course(other, settings)[0].offered != course(SHIPPED[name](3), settings)[0].offered


@pytest.mark.parametrize("name", NAMES)
def test_the_load_is_the_same_whatever_the_setting(name: str) -> None:
    one, other = SHIPPED[name](5), SHIPPED[name](5)

    held = [m.offered for m in course(one, [one.start] * MINUTES)]
    assert [m.offered for m in course(other, [starved(other)] * MINUTES)] == held


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("hungry", [False, True])
def test_no_more_is_served_than_came_and_every_share_is_one(name: str, hungry: bool) -> None:
    plant = SHIPPED[name](1)
    seen = course(plant, [starved(plant) if hungry else plant.start] * MINUTES)

    came, served = 0.0, 0.0
    for minute in seen:
        came += minute.offered
        served += minute.throughput
        # The discrete-event plant draws its arrivals: what came is a Poisson figure around what was offered.
        assert served <= came * (1.15 if name == "events" else 1 + 1e-9)
        assert 0.0 <= minute.good <= 1.0 - minute.errors + 1e-9
        assert 0.0 <= minute.errors <= 1.0
        assert minute.latency is None or minute.latency > 0.0
        assert minute.money > 0.0
        assert minute.pods > 0
        assert all(0.0 <= share <= 1.0 for share in minute.busy.values())


@pytest.mark.parametrize("name", NAMES)
def test_one_worker_is_worse_than_the_start(name: str) -> None:
    plant = SHIPPED[name](0)

    bad, start = plant.steady(starved(plant), 0), plant.steady(plant.start, 0)
    assert plant.slo.score(bad) < plant.slo.score(start)
    assert not plant.slo.holds(bad)


@pytest.mark.parametrize("name", NAMES)
def test_a_knob_without_effect_has_none(name: str) -> None:
    knob, text = WITHOUT_EFFECT[name]
    plant, other = SHIPPED[name](2), SHIPPED[name](2)
    moved = plant.start.with_values(**{knob: plant.space[knob].type.parse(text, knob)})

    assert moved != plant.start
    assert course(plant, [moved] * 3) == course(other, [other.start] * 3)
    assert plant.price(moved) == plant.price(plant.start)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_true_needs_no_seed_and_moves_no_clock(name: str) -> None:
    asked, other, quiet = SHIPPED[name](1), SHIPPED[name](2), SHIPPED[name](1)

    truth = asked.steady(asked.start, 0)
    assert truth == other.steady(other.start, 0)
    assert course(asked, [asked.start] * 2) == course(quiet, [quiet.start] * 2)
    assert asked.steady(asked.start, 0) == truth


@pytest.mark.parametrize("name", NAMES)
def test_measurements_scatter_around_the_truth(name: str) -> None:
    plant = SHIPPED[name](0)
    seen = course(plant, [plant.start] * 20)
    offered = sum(m.offered for m in seen) / len(seen)

    assert offered == pytest.approx(plant.steady(plant.start, 0).offered, rel=0.3)
    assert len({m.offered for m in seen}) == len(seen)


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_outside_the_space_is_refused(name: str) -> None:
    plant = SHIPPED[name](0)

    with pytest.raises(InvalidInput, match="worker_count is outside its limits"):
        plant.advance(plant.start.with_values(worker_count=Fraction(0)))
    with pytest.raises(InvalidInput, match="worker_count is outside its limits"):
        plant.advance(plant.start.with_values(worker_count=Fraction(5, 2)))
    with pytest.raises(InvalidInput, match="knob worker_count is missing"):
        plant.advance(Setting({k: v for k, v in plant.start.items() if k != "worker_count"}))
    with pytest.raises(InvalidInput, match="knob odd is not in the space"):
        plant.advance(Setting({**plant.start, "odd": True}))


def test_a_broken_rule_is_refused() -> None:
    plant = SHIPPED["database-pool"](0)

    with pytest.raises(InvalidInput, match="the rule replicas"):
        plant.steady(plant.start.with_values(replicas=Fraction(16), pool_size=Fraction(50)), 0)
