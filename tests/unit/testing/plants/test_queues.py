"""The plants' queueing formulas, against cases that have an answer by hand."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from pegbox.testing.plants.pods import answer
from pegbox.testing.plants.queues import at_rest, erlang_c, flood, network_rates, normal_share, within


def test_one_server_at_half_load_has_half_an_event_in_service_and_half_waiting() -> None:
    crowd = at_rest(0.5, [1.0], 10_000)

    assert crowd.serving == pytest.approx(0.5)
    assert crowd.waiting == pytest.approx(0.5)  # rho^2 / (1 - rho)
    assert crowd.full == pytest.approx(0.0)


def test_at_a_load_of_one_a_bounded_queue_is_in_each_state_as_often() -> None:
    crowd = at_rest(1.0, [1.0], 3)  # states 0..4

    assert crowd.full == pytest.approx(1 / 5)
    assert crowd.waiting == pytest.approx((1 + 2 + 3) / 5)


@pytest.mark.parametrize("load", [0.2, 0.9, 1.1, 3.0])
def test_a_bounded_queue_agrees_with_the_sum_over_its_states(load: float) -> None:
    room, weights = 40, [load**n for n in range(42)]
    total = sum(weights)

    crowd = at_rest(load, [1.0], room)

    assert crowd.full == pytest.approx(weights[-1] / total)
    assert crowd.waiting == pytest.approx(sum((n - 1) * w for n, w in enumerate(weights) if n > 1) / total)
    assert sum(crowd.inside) + crowd.tail == pytest.approx(1.0)


def test_a_room_of_thousands_far_above_capacity_does_not_overflow() -> None:
    crowd = at_rest(50.0, [1.0] * 64, 5000)

    assert crowd.full == pytest.approx(1 - 1 / 50, abs=1e-6)
    assert crowd.waiting == pytest.approx(5000, abs=1)


def test_the_time_in_a_single_queue_is_nearly_exponential() -> None:
    crowd = at_rest(0.5, [1.0], 10_000)  # sojourn: exponential with mean 1 / (1 - 0.5)

    assert crowd.good(2.0, 1.0) == pytest.approx(1 - math.exp(-1), abs=0.02)
    assert crowd.good(6.0, 1.0) == pytest.approx(1 - math.exp(-3), abs=0.02)
    assert crowd.good(6.0, 1.0, extra=6.0) == 0.0


def test_two_equal_stations_let_n_of_n_plus_one_through() -> None:
    rates = network_rates((lambda n: 1.0, lambda n: 1.0), 4)

    assert rates == pytest.approx([1 / 2, 2 / 3, 3 / 4, 4 / 5])


def test_a_delay_alone_never_saturates() -> None:
    assert network_rates((lambda n: n / 2.0,), 3) == pytest.approx([0.5, 1.0, 1.5])


@pytest.mark.parametrize(("servers", "offered", "waits"), [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (3, 3.0, 1.0)])
def test_erlangs_second_formula(servers: int, offered: float, waits: float) -> None:
    assert erlang_c(servers, offered) == pytest.approx(waits)


def test_the_gamma_share_is_right_for_an_exponential() -> None:
    for x in (0.1, 0.5, 1.0, 3.0):
        assert within(x, 1.0, 1.0) == pytest.approx(1 - math.exp(-x), abs=0.01)
    assert within(1.0, 2.0, 0.0) == 0.0
    assert within(2.0, 1.0, 0.0) == 1.0


def test_a_flood_fills_spills_and_drains() -> None:
    fills = flood(0.0, 12.0, 10.0, 1000.0)
    assert (fills.backlog, fills.lost, fills.wait) == (120.0, 0.0, 6.0)

    spills = flood(0.0, 12.0, 10.0, 60.0)
    assert (spills.backlog, spills.lost) == (60.0, pytest.approx(60 / 720))

    drains = flood(100.0, 5.0, 10.0, 1000.0)  # gone after 20 s, 50 on average until then
    assert (drains.backlog, drains.wait) == (0.0, pytest.approx(50 / 3 / 10))
    assert drains.served == pytest.approx(5.0 + 100 / 60)


def test_a_pod_is_slower_the_closer_it_is_to_its_capacity() -> None:
    answers = [answer(load, [5.0, 10.0], 500, 0.0, 1.0, 1.0) for load in (1.0, 5.0, 9.0, 9.8, 9.95, 12.0)]

    assert all(a.latency < b.latency for a, b in pairwise(answers[:4]))
    assert all(a.served <= 10.0 for a in answers)
    assert answers[-1].backlog == pytest.approx(120.0)
    assert answer(12.0, [5.0, 10.0], 500, 480.0, 1.0, 1.0).good == 0.0  # the backlog alone takes too long


def test_a_normal_share() -> None:
    assert normal_share(1.0, 1.0, 0.5) == pytest.approx(0.5)
    assert normal_share(2.0, 1.0, 0.0) == 0.0
