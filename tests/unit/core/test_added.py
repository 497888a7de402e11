"""What a change may add to the cluster: the worked rows of its docstring, and what makes up for nothing."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F

import pytest

from pegbox.core import added
from pegbox.model import units
from pegbox.model.knobs import Knob, KnobType, Location, LocationKind, ResourceName, Setting, Side, Size
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import ContainerSizes, Held
from pegbox.model.trials import Added
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
PARENT = Setting({"workers": F(4), "max_replicas": F(4), "cpu_request": F(2, 5), "memory_request": F(256 * MI)})


def found(*containers: ContainerSizes, stages: tuple[Setting, ...], pods: int = 2) -> Added:
    item = intent(parent=PARENT, stages=stages)
    load = workload(*(pod(f"p{n}") for n in range(pods)))
    seen = snapshot(spec(HOT, HPA, REQUEST, RAM), ledger(PARENT), workload=load, containers=containers or (APP,))
    return added.of(seen, load, item)


def to(**changes: F | int) -> Setting:
    return PARENT.with_values(**{name: F(value) for name, value in changes.items()})


@pytest.mark.parametrize(
    ("target", "containers", "expected"),
    [
        pytest.param(to(workers=8), (APP,), Added(), id="workers_request_nothing"),
        # 1 pod x (600m + 100m) + 4 pods x 200m; memory: 1 pod x 256 Mi
        pytest.param(
            to(cpu_request=F(3, 5), max_replicas=5), (APP, SIDECAR), Added(1, 1500, 256 * MI), id="the_row_of_the_docs"
        ),
        pytest.param(to(max_replicas=6), (APP,), Added(2, 800, 512 * MI), id="pods_at_the_size_that_they_have"),
        pytest.param(to(max_replicas=6), (ContainerSizes("app", {}, True),), Added(2, 800, 512 * MI), id="by_the_knob"),
        pytest.param(to(cpu_request=F(3, 5)), (APP,), Added(0, 800, 0), id="all_pods_that_the_hpa_may_run_count"),
        # written one after the other: for a moment the larger pods are as many as before
        pytest.param(
            to(cpu_request=F(3, 5), max_replicas=2), (APP,), Added(0, 800, 0), id="fewer_pods_make_up_for_nothing"
        ),
        # a new pod starts with the template's 400m before it is resized to 200m
        pytest.param(
            to(cpu_request=F(1, 5), max_replicas=5), (APP,), Added(1, 400, 256 * MI), id="a_new_pod_starts_large"
        ),
        pytest.param(to(cpu_request=F(1, 5), memory_request=MI), (APP,), Added(), id="what_is_lowered_adds_nothing"),
        # 512 Mi of the init container are more than 256 Mi of the application
        pytest.param(to(max_replicas=5), (APP, INIT), Added(1, 400, 512 * MI), id="an_init_container_that_needs_more"),
        # 250m + 100m beside it are less than 400m + 100m
        pytest.param(to(max_replicas=5), (APP, INIT, SIDECAR), Added(1, 500, 512 * MI), id="sidecars_run_beside_both"),
    ],
)
def test_what_a_trial_may_add(target: Setting, containers: tuple[ContainerSizes, ...], expected: Added) -> None:
    assert found(*containers, stages=(target,)) == expected


def test_pods_beyond_the_hpa_count_as_they_are_resized_too() -> None:
    assert found(stages=(to(cpu_request=F(3, 5)),), pods=7) == Added(0, 1400, 0)


def test_the_largest_stage_counts_and_not_the_last_alone() -> None:
    assert found(stages=(to(cpu_request=F(3, 5)), to(cpu_request=F(2, 5), workers=9))) == Added(0, 800, 0)


def test_a_bound_that_somebody_else_set_higher_is_what_may_run() -> None:
    load = workload()
    theirs = {"max_replicas": Held(F(9), refusal=Missing(Reason.OWNED_BY_OTHER))}
    seen = snapshot(spec(HOT, HPA, REQUEST, RAM), ledger(PARENT), workload=load, containers=(APP,))
    seen = replace(seen, held={**seen.held, **theirs})
    assert added.of(seen, load, intent(parent=PARENT, stages=(to(cpu_request=F(3, 5)),))) == Added(0, 1800, 0)


def test_a_template_that_states_more_than_a_ledger_holds_is_cut_and_not_lost() -> None:
    huge = ContainerSizes("app", {MEMORY: F(2**70)}, tuned=True)
    assert found(huge, stages=(to(max_replicas=5),)).memory == units.MAX_WHOLE
