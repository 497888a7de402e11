"""What a change may add to the cluster and take away: the docstring's worked rows, and what makes up for nothing."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F

import pytest

from pegbox.core import change_per_hour
from pegbox.model import units
from pegbox.model.knobs import Knob, KnobType, Location, LocationKind, ResourceName, Setting, Side, Size
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import ContainerSizes, Held
from pegbox.model.trials import Amount, Amounts
from tests.unit.core.build import HOT, HPA, intent, ledger, pod, snapshot, spec, workload

CPU, MEMORY = (Size(Side.REQUESTS, resource) for resource in ResourceName)
MI = 2**20


def knob(name: str, kind: KnobType, size: Size) -> Knob:
    place = Location(LocationKind.CONTAINER_RESOURCE, size=size)
    return Knob(name, kind, place, minimum=F(1, 100), maximum=F(2**40))


REQUEST, RAM = knob("cpu_request", KnobType.CPU, CPU), knob("memory_request", KnobType.BYTES, MEMORY)
APP = ContainerSizes("app", {CPU: F(2, 5), MEMORY: F(256 * MI)}, tuned=True)
SIDECAR = ContainerSizes("proxy", {CPU: F(1, 10)}, sidecar=True)
INIT = ContainerSizes("migrate", {CPU: F(1, 4), MEMORY: F(512 * MI)}, init=True)
LOW = Knob("min_replicas", location=Location(LocationKind.HPA_MIN), minimum=F(1), maximum=F(12))
PARENT = Setting({"workers": F(4), "max_replicas": F(4), "cpu_request": F(2, 5), "memory_request": F(256 * MI)})


def found(*containers: ContainerSizes, stages: tuple[Setting, ...], pods: int = 2) -> Amounts:
    item = intent(parent=PARENT, stages=stages)
    load = workload(*(pod(f"p{n}") for n in range(pods)))
    seen = snapshot(spec(HOT, HPA, LOW, REQUEST, RAM), ledger(PARENT), workload=load, containers=containers or (APP,))
    return change_per_hour.of(seen, load, item)


def to(**changes: F | int) -> Setting:
    return PARENT.with_values(**{name: F(value) for name, value in changes.items()})


@pytest.mark.parametrize(
    ("target", "containers", "expected"),
    [
        pytest.param(to(workers=8), (APP,), Amount(), id="workers_request_nothing"),
        # 1 pod x (600m + 100m) + 4 pods x 200m; memory: 1 pod x 256 Mi
        pytest.param(
            to(cpu_request=F(3, 5), max_replicas=5), (APP, SIDECAR), Amount(1, 1500, 256 * MI), id="the_row_of_the_docs"
        ),
        pytest.param(to(max_replicas=6), (APP,), Amount(2, 800, 512 * MI), id="pods_at_the_size_that_they_have"),
        pytest.param(
            to(max_replicas=6), (ContainerSizes("app", {}, True),), Amount(2, 800, 512 * MI), id="by_the_knob"
        ),
        pytest.param(to(cpu_request=F(3, 5)), (APP,), Amount(0, 800, 0), id="all_pods_that_the_hpa_may_run_count"),
        # written one after the other: for a moment the larger pods are as many as before
        pytest.param(
            to(cpu_request=F(3, 5), max_replicas=2), (APP,), Amount(0, 800, 0), id="fewer_pods_make_up_for_nothing"
        ),
        # a new pod starts with the template's 400m before it is resized to 200m
        pytest.param(
            to(cpu_request=F(1, 5), max_replicas=5), (APP,), Amount(1, 400, 256 * MI), id="a_new_pod_starts_large"
        ),
        pytest.param(to(cpu_request=F(1, 5), memory_request=MI), (APP,), Amount(), id="what_is_lowered_adds_nothing"),
        # 512 Mi of the init container are more than 256 Mi of the application
        pytest.param(to(max_replicas=5), (APP, INIT), Amount(1, 400, 512 * MI), id="an_init_container_that_needs_more"),
        # 250m + 100m beside it are less than 400m + 100m
        pytest.param(to(max_replicas=5), (APP, INIT, SIDECAR), Amount(1, 500, 512 * MI), id="sidecars_run_beside_both"),
    ],
)
def test_what_a_trial_may_add(target: Setting, containers: tuple[ContainerSizes, ...], expected: Amount) -> None:
    assert found(*containers, stages=(target,)).added == expected


def test_pods_beyond_the_hpa_count_as_they_are_resized_too() -> None:
    assert found(stages=(to(cpu_request=F(3, 5)),), pods=7).added == Amount(0, 1400, 0)


def test_the_largest_stage_counts_and_not_the_last_alone() -> None:
    assert found(stages=(to(cpu_request=F(3, 5)), to(cpu_request=F(2, 5), workers=9))).added == Amount(0, 800, 0)


def test_a_bound_that_somebody_else_set_higher_is_what_may_run() -> None:
    load = workload()
    theirs = {"max_replicas": Held(F(9), refusal=Missing(Reason.OWNED_BY_OTHER))}
    seen = snapshot(spec(HOT, HPA, REQUEST, RAM), ledger(PARENT), workload=load, containers=(APP,))
    seen = replace(seen, held={**seen.held, **theirs})
    assert change_per_hour.of(seen, load, intent(parent=PARENT, stages=(to(cpu_request=F(3, 5)),))).added == Amount(
        0, 1800, 0
    )


def test_a_template_that_states_more_than_a_ledger_holds_is_cut_and_not_lost() -> None:
    huge = ContainerSizes("app", {MEMORY: F(2**70)}, tuned=True)
    assert found(huge, stages=(to(max_replicas=5),)).added.memory == units.MAX_WHOLE


# --- what is taken away


@pytest.mark.parametrize(
    ("target", "containers", "expected"),
    [
        pytest.param(to(workers=2), (APP,), Amount(), id="workers_request_nothing"),
        # 1 pod x (400m + 100m) + 4 pods x 100m; memory: 1 pod x 256 Mi
        pytest.param(
            to(cpu_request=F(3, 10), max_replicas=3), (APP, SIDECAR), Amount(1, 900, 256 * MI), id="the_row_of_the_docs"
        ),
        pytest.param(to(max_replicas=2), (APP,), Amount(2, 800, 512 * MI), id="pods_at_the_size_that_they_have"),
        pytest.param(
            to(cpu_request=F(3, 10)), (APP,), Amount(0, 400, 0), id="all_pods_that_the_hpa_may_run_are_lowered"
        ),
        pytest.param(
            to(memory_request=192 * MI), (APP,), Amount(0, 0, 256 * MI), id="memory_is_counted_apart_from_cpu"
        ),
        # written one after the other: for a moment the smaller pods are as many as before
        pytest.param(
            to(cpu_request=F(3, 10), max_replicas=6), (APP,), Amount(0, 400, 0), id="more_pods_make_up_for_nothing"
        ),
        # and the pod that goes may have been resized to 600m before
        pytest.param(
            to(cpu_request=F(3, 5), max_replicas=3), (APP,), Amount(1, 600, 256 * MI), id="a_pod_may_have_grown_before"
        ),
        pytest.param(to(cpu_request=F(3, 5), max_replicas=6), (APP,), Amount(), id="what_is_raised_takes_nothing_away"),
        pytest.param(to(max_replicas=3), (APP, INIT), Amount(1, 400, 512 * MI), id="an_init_container_that_needs_more"),
    ],
)
def test_what_a_trial_may_take_away(target: Setting, containers: tuple[ContainerSizes, ...], expected: Amount) -> None:
    assert found(*containers, stages=(target,)).removed == expected


def test_the_largest_cut_of_all_stages_counts_and_not_the_last_alone() -> None:
    assert found(stages=(to(max_replicas=2), to(cpu_request=F(3, 10)))).removed == Amount(2, 1200, 512 * MI)


def test_one_thing_raised_and_another_lowered_are_both_counted_in_full() -> None:
    """At most 6 of 200m, from at most 4 of 400m: 2 pods x 400m more, and 4 pods x 200m less."""
    both = found(stages=(to(cpu_request=F(1, 5), max_replicas=6),))
    assert both == Amounts(added=Amount(2, 800, 512 * MI), removed=Amount(0, 800, 0))


def test_a_way_there_and_the_same_way_back_move_as_many_pods() -> None:
    space = spec(HOT, HPA, LOW).space
    there = change_per_hour.pods(space, PARENT, to(max_replicas=7))
    back = change_per_hour.pods(space, to(max_replicas=7), PARENT)
    assert (there, back) == (Amounts(added=Amount(3)), Amounts(removed=Amount(3)))
