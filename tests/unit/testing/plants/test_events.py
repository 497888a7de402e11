"""The discrete-event machine: nothing is lost, and what is too small waits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pegbox.testing.plants.event_pods import Job, Limits, Machine
from pegbox.testing.plants.events import Events

ONE = Limits(pods=1, workers=1, connections=1, room=10, cores=1.0, store=8.0)


def job(arrived: float, cpu: float = 1.0, query: float = 0.0, place: float = 0.0) -> Job:
    return Job(arrived, place, cpu, query)


def test_three_jobs_of_a_second_that_come_at_once_stay_one_two_and_three_seconds() -> None:
    tally = Machine(ONE).run([job(0.0), job(0.0), job(0.0)], 60.0, 2.0)

    assert (tally.served, tally.latency, tally.good, tally.worked) == (3, 6.0, 2, 3.0)


def test_what_is_not_done_by_the_end_of_a_minute_is_done_in_the_next() -> None:
    machine = Machine(ONE)

    assert machine.run([job(59.5)], 60.0, 2.0).served == 0
    assert machine.inside == 1
    assert machine.run([], 120.0, 2.0).served == 1
    assert machine.inside == 0


def test_a_full_queue_refuses() -> None:
    tally = Machine(replace(ONE, room=1)).run([job(0.0), job(0.0), job(0.0)], 60.0, 9.0)

    assert (tally.offered, tally.served, tally.refused) == (3, 2, 1)


def test_two_workers_on_one_core_share_it_and_on_two_do_not() -> None:
    jobs = [job(0.0), job(0.0)]

    assert Machine(replace(ONE, workers=2)).run([job(0.0), job(0.0)], 60.0, 9.0).latency == 1.0 + 2.0
    assert Machine(replace(ONE, workers=2, cores=2.0)).run(jobs, 60.0, 9.0).latency == 1.0 + 1.0


def test_a_worker_that_waits_for_a_connection_is_busy() -> None:
    limits = replace(ONE, workers=2, cores=2.0)
    tally = Machine(limits).run([job(0.0, 0.0, 3.0), job(0.0, 0.0, 3.0)], 60.0, 9.0)

    assert (tally.latency, tally.worked, tally.held) == (3.0 + 6.0, 9.0, 6.0)
    assert Machine(replace(limits, connections=2)).run([job(0.0, 0.0, 3.0)] * 1, 60.0, 9.0).latency == 3.0


def test_queries_beyond_what_the_database_runs_are_slower() -> None:
    limits = replace(ONE, workers=4, connections=4, cores=4.0, store=2.0)
    tally = Machine(limits).run([job(0.0, 0.0, 1.0) for _ in range(4)], 60.0, 9.0)

    assert tally.held == 1.0 + 1.0 + 1.5 + 2.0


def test_the_newest_goes_first_where_that_is_the_order() -> None:
    jobs = [job(0.0), job(0.1), job(0.2)]

    oldest = Machine(ONE).run(list(jobs), 60.0, 1.85)
    newest = Machine(replace(ONE, newest=True)).run([replace(j) for j in jobs], 60.0, 1.85)
    assert (oldest.good, newest.good) == (1, 2)


def test_a_pod_that_goes_hands_its_queue_on() -> None:
    machine = Machine(replace(ONE, pods=2))
    machine.run([job(0.0, 70.0, place=p) for p in (0.0, 0.9, 0.9, 0.9)], 1.0, 9.0)
    machine.resize(ONE)

    assert machine.run([], 1000.0, 9.0).served == 4
    assert machine.inside == 0


def test_more_workers_take_what_waits() -> None:
    machine = Machine(ONE)
    machine.run([job(0.0, 100.0), job(0.0, 1.0)], 60.0, 9.0)
    machine.resize(replace(ONE, workers=2, cores=2.0))

    assert machine.run([job(60.5, 1.0)], 120.0, 99.0).served == 3


def test_a_pod_that_restarts_takes_nothing_new() -> None:
    machine = Machine(replace(ONE, pods=2))
    machine.run([job(0.0, 1.0, place=0.9), job(30.0, 1.0, place=0.9)], 20.5, 9.0, closed=(20.0, 1))

    assert [pod.busy for pod in machine.pods] == [0, 0]
    assert machine.run([], 60.0, 9.0).served == 1


@pytest.mark.parametrize("workers", ["1", "8"])
def test_every_job_is_served_refused_or_still_inside(workers: str) -> None:
    plant = Events(0)
    small = plant.start.with_values(worker_count=plant.space["worker_count"].type.parse(workers, "worker_count"))
    machine = Machine(plant.limits(small))
    offered = served = refused = 0
    for at in range(4):
        _, machine = plant.flow(small, 10.0, at, 1.0, machine)
        tally = machine._tally
        offered, served, refused = offered + tally.offered, served + tally.served, refused + tally.refused

    assert offered == served + refused + machine.inside
    assert offered > 2000
    assert (refused > 0) == (workers == "1" and machine.inside >= plant.limits(small).room)


def test_too_few_connections_violate_and_a_second_one_helps() -> None:
    plant = Events(0)
    two = plant.start.with_values(pool_size=plant.space["pool_size"].type.parse("2", "pool_size"))

    assert not plant.slo.holds(plant.steady(plant.start, 0))
    assert plant.slo.holds(plant.steady(two, 0))
