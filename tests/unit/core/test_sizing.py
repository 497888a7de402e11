"""Sizes: quality of service, requests within limits at every stage, memory in use, and who is waited for."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F

import pytest

from pegbox.core import sizing, under_way, usage
from pegbox.core.sizing import quality
from pegbox.model.decisions import Action
from pegbox.model.knobs import Knob, KnobType, Location, LocationKind, ResourceName, SearchSpace, Setting, Side, Size
from pegbox.model.observations import Missing
from pegbox.model.profile import BudgetSpec, Guards
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import ContainerSizes, Held
from tests.unit.core.build import ENV, HOT, acked, at, intent, ledger, pod, snapshot, spec, window, workload

CPU_R, CPU_L = (Size(side, ResourceName.CPU) for side in (Side.REQUESTS, Side.LIMITS))
MEM_R, MEM_L = (Size(side, ResourceName.MEMORY) for side in (Side.REQUESTS, Side.LIMITS))
MI = F(2**20)


def knob(name: str, size: Size) -> Knob:
    kind = KnobType.CPU if size.resource is ResourceName.CPU else KnobType.BYTES
    place = Location(LocationKind.CONTAINER_RESOURCE, size=size)
    return Knob(name, kind, place, minimum=F(1, 100), maximum=F(2**40))


REQUEST, LIMIT = knob("cpu_request", CPU_R), knob("cpu_limit", CPU_L)
MEMORY = knob("memory_limit", MEM_L)


def container(name: str = "app", tuned: bool = True, **sizes: F | int) -> ContainerSizes:
    names = {"cpu_r": CPU_R, "cpu_l": CPU_L, "mem_r": MEM_R, "mem_l": MEM_L}
    return ContainerSizes(name, {names[n]: F(v) for n, v in sizes.items()}, tuned)


EQUAL = container(cpu_r=1, cpu_l=1, mem_r=64, mem_l=64)


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        pytest.param((container(),), "BestEffort", id="nothing_is_stated"),
        pytest.param((container(cpu_r=0),), "BestEffort", id="zero_is_nothing"),
        pytest.param((EQUAL,), "Guaranteed", id="both_limits_and_equal_requests"),
        pytest.param((container(cpu_r=1, cpu_l=1),), "Burstable", id="one_resource_alone_guarantees_nothing"),
        pytest.param((container(cpu_r=1, cpu_l=2, mem_r=64, mem_l=64),), "Burstable", id="a_request_below_its_limit"),
        pytest.param((EQUAL, container("init", False)), "Burstable", id="another_container_states_nothing"),
        pytest.param((EQUAL, replace(EQUAL, name="init", tuned=False)), "Guaranteed", id="every_container_does"),
        pytest.param((container(mem_l=64, mem_r=64, cpu_l=1),), "Burstable", id="a_limit_without_a_request"),
    ],
)
def test_the_quality_of_service(containers: tuple[ContainerSizes, ...], expected: str) -> None:
    assert quality(containers) == expected


def why(
    *knobs: Knob, old: dict[str, F], new: dict[str, F], containers: tuple[ContainerSizes, ...], **signals: float
) -> Reason | None:
    profile = spec(*knobs, budgets=())
    found = snapshot(profile, ledger(Setting(old)), containers=containers)
    found = replace(found, observation=replace(window(), signals={f"busy:{n}": v for n, v in signals.items()}))
    said = sizing.objection(found, Setting(old), Setting(new))
    return None if said is None else said.reason


BURST = (container(cpu_r=F(1, 2), cpu_l=1, mem_r=64 * MI, mem_l=128 * MI),)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param({"cpu_request": F(1, 2)}, {"cpu_request": F(1)}, None, id="up_to_the_limit"),
        pytest.param(
            {"cpu_request": F(1, 2)}, {"cpu_request": F(5, 4)}, Reason.REQUESTS_ABOVE_LIMITS, id="above_the_limit"
        ),
        pytest.param(
            {"cpu_request": F(1, 2), "cpu_limit": F(1)},
            {"cpu_request": F(5, 4), "cpu_limit": F(2)},
            None,
            id="both_pass_the_old_limit",
        ),
        pytest.param(
            {"cpu_limit": F(1)}, {"cpu_limit": F(1, 4)}, Reason.REQUESTS_ABOVE_LIMITS, id="a_limit_below_the_request"
        ),
    ],
)
def test_requests_stay_within_limits(old: dict[str, F], new: dict[str, F], expected: Reason | None) -> None:
    assert why(REQUEST, LIMIT, old=old, new=new, containers=BURST) is expected


def test_no_setting_moves_pods_into_another_class_of_service() -> None:
    """1 of 1 core and 64 of 64 bytes is Guaranteed; a limit of 2 makes it Burstable, 2 of 2 does not."""
    old, both = {"cpu_request": F(1), "cpu_limit": F(1)}, {"cpu_request": F(2), "cpu_limit": F(2)}
    limit = old | {"cpu_limit": F(2)}
    assert why(REQUEST, LIMIT, old=old, new=limit, containers=(EQUAL,)) is Reason.QOS_CHANGE
    assert why(REQUEST, LIMIT, old=old, new=both, containers=(EQUAL,)) is None
    # 1/2 of 1 core becoming 1 of 1 is the other way round: only with memory equal too.
    almost = (container(cpu_r=F(1, 2), cpu_l=1, mem_r=64, mem_l=64),)
    assert why(REQUEST, old={"cpu_request": F(1, 2)}, new={"cpu_request": F(1)}, containers=almost) is Reason.QOS_CHANGE


@pytest.mark.parametrize(
    ("share", "new", "expected"),
    [
        pytest.param(0.5, 80 * MI, None, id="64Mi_in_use_and_a_quarter_more"),
        pytest.param(0.5, 79 * MI, Reason.MEMORY_IN_USE, id="less_than_that"),
        pytest.param(None, 120 * MI, Reason.MEMORY_IN_USE, id="nobody_knows_what_is_in_use"),
        pytest.param(None, 256 * MI, None, id="a_raise_needs_no_knowledge"),
        pytest.param(0.99, 256 * MI, None, id="nor_does_it_matter"),
    ],
)
def test_a_memory_limit_is_not_lowered_to_what_is_in_use(share: float | None, new: F, expected: Reason | None) -> None:
    """128Mi, half of it in use: 64Mi x 5/4 = 80Mi is the least."""
    signals = {} if share is None else {"memory_limit": share}
    old = {"memory_limit": 128 * MI}
    assert why(MEMORY, old=old, new={"memory_limit": new}, containers=BURST, **signals) is expected


def test_who_is_waited_for() -> None:
    """Of five pods: one has it, one not, one is being resized, one leaves, one was sized by somebody else."""
    pods = (
        replace(pod("has"), sizes={CPU_R: F(1)}),
        replace(pod("late"), sizes={CPU_R: F(1, 2)}),
        replace(pod("busy"), sizes={CPU_R: F(1)}, resizing="InProgress"),
        replace(pod("leaves"), sizes={CPU_R: F(1, 2)}, terminating=True),
        replace(pod("theirs"), sizes={CPU_R: F(3)}),
    )
    wanted = Setting({"cpu_request": F(1)})
    found = snapshot(spec(REQUEST, budgets=()), ledger(wanted), workload=workload(*pods))
    found = replace(found, held={"cpu_request": Held(F(1), odd=("theirs",))})
    assert sizing.unsized(found, workload(*pods), wanted) == ("busy", "late")
    assert sizing.unsized(found, workload(*pods), wanted, names=("other",)) == ()
    refused = {"cpu_request": Held(F(1), refusal=Missing(Reason.OWNED_BY_VPA))}
    assert sizing.unsized(replace(found, held=refused), workload(*pods), wanted) == (), "not ours to wait for"


@pytest.mark.parametrize(
    ("moved", "seconds", "ends"),
    [
        pytest.param("threads", 361, False, id="a_restart_has_ackTimeout_for_each_of_three_pods"),
        pytest.param("threads", 551, True, id="and_no_more"),
        pytest.param("workers", 189, False, id="without_one_it_is_ackTimeout"),
        pytest.param("workers", 191, True, id="once"),
    ],
)
def test_a_new_pods_size_is_waited_for_as_long_as_its_restart(moved: str, seconds: int, ends: bool) -> None:
    """Read back at 10 s, ackTimeout 180 s. The last pod has the variable, and not yet the accepted size."""
    parent = Setting({"workers": F(4), "threads": F(2), "cpu_request": F(1)})
    goal = parent.with_values(**{moved: F(3)})
    profile = spec(HOT, ENV, REQUEST, budgets=(), guards=Guards(ack_timeout=F(180)))
    begun = intent(parent=parent, stages=(goal,), applied_at=at(10), old_containers=())
    cpu = (F(1), F(1), F(1, 2))
    pods = tuple(replace(acked(pod(n), profile, begun), sizes={CPU_R: v}) for n, v in zip("abc", cpu, strict=True))
    found = snapshot(profile, ledger(parent, intent=begun), workload=workload(*pods))
    decided = under_way.proceed(found, workload(*pods), at(seconds), 0.0)
    assert (decided.action is Action.REVERT) is ends, decided.message


def test_a_budget_counts_a_new_pod_with_what_its_template_gives() -> None:
    """3 pods at 1 core each, though all run half a core: a new one starts with 1 core until it is resized."""
    profile = spec(REQUEST, budgets=(BudgetSpec("node", "pods * cpu_request", limit=F(3)),))
    now = Setting({"cpu_request": F(1, 2)})
    pods = workload(pod("a"), pod("b"), pod("c"))
    found = snapshot(profile, ledger(now), workload=pods)
    plain = replace(found, held={"cpu_request": Held(F(1, 2))})
    started = replace(found, held={"cpu_request": Held(F(1, 2), start=F(1))})
    assert [u.used for u in usage.uses(plain, pods, now) if not isinstance(u, Missing)] == [F(3, 2)]
    assert [u.used for u in usage.uses(started, pods, now) if not isinstance(u, Missing)] == [F(3)]


def test_memory_moves_in_whole_mebibytes_and_cpu_in_millicores() -> None:
    assert (MEMORY.unit, LIMIT.unit) == (MI, F(1, 1000))
    assert SearchSpace((MEMORY,)).at(LocationKind.CONTAINER_RESOURCE) == (MEMORY,)
