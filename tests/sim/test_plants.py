"""The plants' known settings are as good as a search finds, and the discrete-event plant agrees with M/M/c."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from random import Random

import pytest

from pegbox.core.steps import reach
from pegbox.model.knobs import Knob, KnobValue, Setting
from pegbox.testing.plants import SHIPPED
from pegbox.testing.plants.event_pods import Job, Limits, Machine
from pegbox.testing.plants.knobs import faults
from pegbox.testing.plants.oracle import MOVES, merit, reachable, reference, singles, true_cost
from pegbox.testing.plants.protocol import Plant
from pegbox.testing.plants.queues import erlang_c

AT = {"deploys": (245, 392)}  # just before the deploy, and 20 steps after it
CASES = [(name, at) for name in SHIPPED for at in AT.get(name, (0,))]
CHEAP = [(name, at) for name, at in CASES if name not in ("autoscaled", "events", "slow-leak")]
# Money per 1,000 good events of the reference. They move when the
# physics of a plant is changed: then look for the known settings anew (oracle.best, a longer walk) and say so.
GOLDEN = {
    ("database-pool", 0): 2.503e-4,
    ("upstream", 0): 6.010e-5,
    ("cache", 0): 4.864e-5,
    ("autoscaled", 0): 3.006e-4,
    ("deploys", 245): 2.860e-4,
    ("deploys", 392): 3.705e-4,
    ("slow-leak", 0): 3.049e-4,
    ("events", 0): 1.906e-3,
}


@pytest.mark.parametrize(("name", "at"), CASES)
def test_the_known_best_costs_what_it_did(name: str, at: int) -> None:
    plant = SHIPPED[name](0)

    assert true_cost(plant, reference(plant, at), at) == pytest.approx(GOLDEN[name, at], rel=0.005)


@pytest.mark.parametrize(("name", "at"), CASES)
def test_no_single_move_saves_much_from_there(name: str, at: int) -> None:
    plant = SHIPPED[name](0)
    best = reference(plant, at)

    kind, cost = merit(plant, best, at)
    moves = [merit(plant, move, at) for move in _admissible(plant, best)]
    assert kind == 0
    assert min(cost for held, cost in moves if held == 0) > 0.95 * cost


@pytest.mark.parametrize(("name", "at"), CHEAP)
def test_a_greedy_walk_from_the_start_ends_no_better(name: str, at: int) -> None:
    plant = SHIPPED[name](0)

    walked = merit(plant, reachable(plant, at), at)
    assert walked[0] == 0
    assert walked[1] > 0.99 * merit(plant, reference(plant, at), at)[1]


@pytest.mark.parametrize(("name", "at"), CASES)
def test_it_is_within_reach_of_thirty_trials_of_one_knob_each(name: str, at: int) -> None:
    plant = SHIPPED[name](0)
    best = reference(plant, at)

    assert sum(_trials(knob, plant.start[knob.name], best[knob.name]) for knob in plant.space.knobs) <= MOVES


@pytest.mark.parametrize(("name", "at"), CASES)
def test_doing_nothing_fails_the_cost_row_by_far(name: str, at: int) -> None:
    plant = SHIPPED[name](0)
    start, best = merit(plant, plant.start, at), merit(plant, reference(plant, at), at)

    assert start[0] == 1 or start[1] > 1.3 * best[1]


def _admissible(plant: Plant, here: Setting) -> Iterator[Setting]:
    return (move for move in singles(plant, here, Fraction(1)) if not faults(plant.space, plant.rules, move))


def _trials(knob: Knob, value: KnobValue, wanted: KnobValue) -> int:
    if not isinstance(value, Fraction) or not isinstance(wanted, Fraction):
        return abs(knob.choices.index(value) - knob.choices.index(wanted)) if knob.choices else int(value != wanted)
    count = 0
    while value != wanted:
        low, high = reach(knob, value)
        value, count = min(max(wanted, low), high), count + 1
    return count


@pytest.mark.parametrize(("servers", "load"), [(1, 0.6), (3, 2.1), (8, 6.8)])
def test_with_exponential_times_and_no_queries_the_machine_is_an_mmc(servers: int, load: float) -> None:
    machine, chance, now = Machine(Limits(1, servers, 1, 10**6, float(servers), 8.0)), Random(servers), 0.0
    jobs = []
    while now < 150_000.0 / load:
        now += chance.expovariate(load)
        jobs.append(Job(now, 0.0, chance.expovariate(1.0), 0.0))
    tally = machine.run(jobs, now + 1000.0, 2.0)

    wait = erlang_c(servers, load) / (servers - load)  # service time 1
    assert tally.served == len(jobs)
    assert tally.latency / tally.served == pytest.approx(1.0 + wait, rel=0.05)
    assert tally.worked / now == pytest.approx(load, rel=0.02)  # Little: servers that are busy


def test_and_its_time_in_a_single_queue_is_exponential() -> None:
    machine, chance, now = Machine(Limits(1, 1, 1, 10**6, 1.0, 8.0)), Random(1), 0.0
    jobs = []
    for _ in range(150_000):
        now += chance.expovariate(0.5)
        jobs.append(Job(now, 0.0, chance.expovariate(1.0), 0.0))

    tally = machine.run(jobs, now + 1000.0, 3.0)
    assert tally.good / tally.served == pytest.approx(1 - math.exp(-0.5 * 3.0), abs=0.01)
