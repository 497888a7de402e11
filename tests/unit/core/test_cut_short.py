"""What ends a trial in mid-course, and who is to blame: a deploy before harm, an image that is not there, a budget."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core import cohorts, force
from pegbox.core.decide import decide
from pegbox.core.guards.workload import CRASHING, UNPULLED
from pegbox.model.decisions import Action
from pegbox.model.knobs import Effect, SearchSpace
from pegbox.model.observations import Missing
from pegbox.model.profile import BudgetSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import PodFacts, SharedBudgetFacts, Snapshot, Workload
from pegbox.model.trials import Intent, TrialState
from tests.unit.core.build import (
    ENV,
    HOT,
    NO_WISH,
    acked,
    at,
    document,
    held,
    intent,
    pod,
    setting,
    snapshot,
    spec,
    under_way,
    window,
    workload,
)

NOW = at(300)
IN_FORCE = intent(template="t1", applied_at=at(4), in_force_at=at(5), pods=1)
NEW_CODE: dict[str, Any] = {"revision": "r2", "template": "t2", "rolling": True}
OOM = {"oom_killed_at": at(200), "restarts": 1, "container_started_at": at(201)}


def seen(*pods: PodFacts, item: Intent = IN_FORCE, **changes: Any) -> Snapshot:
    profile = spec(budgets=())
    now = workload(acked(pod(), profile, item), *pods, template="t1")
    return snapshot(profile, under_way(item), workload=replace(now, **changes))


def ended(given: Snapshot) -> tuple[str, str, int]:
    """How the trial ended, why, and what the breaker counts; nothing where it goes on."""
    found = decide(given, NO_WISH, NOW).ledger
    last = found.trials[-1] if found.trials else None
    return (last.state.value, last.reason.value, found.breaker.failures) if last else ("", "", 0)


DEPLOYED, CRASHED, KILLED = ("Inconclusive", "Deployed", 0), ("Reverted", "CrashLoop", 1), ("Reverted", "OOMKilled", 1)
GOES_ON = ("", "", 0)


def ill(waiting: str) -> PodFacts:
    """Its container did not start."""
    return pod("b", ready=False, waiting=waiting, started_at=at(250), container_started_at=None)


@pytest.mark.parametrize(
    ("given", "alone"),
    [
        *((ill(why), CRASHED) for why in sorted(CRASHING)),
        *((ill(why), GOES_ON) for why in sorted(UNPULLED)),
        (pod("b", **OOM), KILLED),
    ],
    ids=[*sorted(CRASHING), *sorted(UNPULLED), "OOMKilled"],
)
def test_after_a_deploy_nothing_is_the_trials_fault(given: PodFacts, alone: tuple[str, str, int]) -> None:
    """Without one, what a setting may do to pods still counts, and what none can do never does."""
    assert ended(seen(given, **NEW_CODE)) == DEPLOYED
    assert ended(seen(given)) == alone


def test_bad_figures_after_a_deploy_are_not_either() -> None:
    item = replace(IN_FORCE, bad_samples=1, first_bad_at=at(200), last_sample_at=at(200))
    given = replace(seen(item=item), observation=window(300, latency=0.25))
    assert ended(given) == ("Reverted", "Regression", 1)
    assert isinstance(given.workload, Workload)
    assert ended(replace(given, workload=replace(given.workload, **NEW_CODE))) == DEPLOYED


def test_a_memory_kill_that_was_seen_before_the_deploy_stays_harm() -> None:
    first = decide(seen(pod("b", **OOM)), NO_WISH, NOW).ledger
    assert first.intent is not None
    later = replace(seen(**NEW_CODE), ledger=first)
    found = decide(later, NO_WISH, at(310)).ledger
    assert [(t.state, t.reason) for t in found.trials] == [(TrialState.REVERTED, Reason.OOM_KILLED)]
    assert found.breaker.failures == 1


def test_a_deploy_that_breaks_the_pods_of_a_canary_is_not_its_fault() -> None:
    profile, parent, target = spec(budgets=()), setting(workers=4, pool=4), setting(workers=6, pool=4)
    stages, cohort = cohorts.first(profile, parent, target, cohorts.Standing(("a",), parent))
    item = replace(IN_FORCE, parent=parent, stages=stages, cohort=cohort)
    pods = [pod(name) for name in "bcde"]
    sick = pod("a", ready=False, waiting="CrashLoopBackOff")
    stands = document(profile, parent, item.generation, cohorts=cohorts.listed(profile, item))
    given = snapshot(profile, under_way(item), held=held(parent), document=stands)
    now = workload(sick, *pods, template="t1")
    assert ended(replace(given, workload=now)) == CRASHED
    assert ended(replace(given, workload=replace(now, **NEW_CODE))) == DEPLOYED


# While pods are restarted.

RESTARTS = spec(HOT, ENV, budgets=())
ENV_TRIAL = intent(
    parent=setting(workers=4, threads=2),
    stages=(setting(workers=4, threads=3),),
    template="t1",
    applied_at=at(250),
    old_containers=force.containers(workload(pod("a"), pod("c"))),
)


def half_restarted(fresh: PodFacts, item: Intent = ENV_TRIAL) -> Snapshot:
    """Pod a still runs the parent, pod b was started in the other's place."""
    return snapshot(RESTARTS, under_way(item), workload=workload(pod("a"), fresh, template="t1"))


@pytest.mark.parametrize("why", sorted(UNPULLED))
def test_an_image_that_cannot_be_pulled_ends_the_restarts_at_once_and_uncounted(why: str) -> None:
    """Each further pod would be one fewer that serves."""
    found = decide(half_restarted(ill(why)), NO_WISH, NOW)
    assert (found.action, found.reason) == (Action.REVERT, Reason.WORKLOAD_NOT_READY)
    assert f"b: {why}" in found.message
    assert (found.ledger.trials[-1].state, found.ledger.breaker.failures) == (TrialState.INCONCLUSIVE, 0)


@pytest.mark.parametrize(
    ("fresh", "after"),
    [
        pytest.param(ill("ContainerCreating"), GOES_ON, id="it is being started"),
        pytest.param(replace(ill("ErrImagePull"), terminating=True), GOES_ON, id="it goes anyway"),
        pytest.param(ill("CreateContainerConfigError"), CRASHED, id="what we wrote is no environment"),
        pytest.param(ill("CrashLoopBackOff"), CRASHED, id="what we wrote crashes it"),
    ],
)
def test_any_other_pod_that_does_not_start_yet(fresh: PodFacts, after: tuple[str, str, int]) -> None:
    assert ended(half_restarted(fresh)) == after


# Budgets.

TRADE = (setting(workers=4, pool=3), setting(workers=6, pool=3))
SHARED = BudgetSpec("postgres", "pods * workers * pool", ref="postgres")
GONE = Missing(Reason.BUDGET_NOT_FOUND, "SharedBudget postgres")
ELSEWHERE = SharedBudgetFacts("postgres", 100, 18, trial_holder="shop/other")
ROOM = SharedBudgetFacts("postgres", 100, 18)


def sharing(facts: SharedBudgetFacts | Missing, item: Intent) -> Snapshot:
    profile = spec(budgets=(SHARED,))
    now = workload(acked(pod(), profile, item), template="t1")
    return snapshot(profile, under_way(item), workload=now, budgets={"postgres": facts})


BEFORE_THE_RAISE = replace(IN_FORCE, stages=TRADE, in_force_at=None)
WHOLE = replace(IN_FORCE, stages=TRADE, stage=1)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        pytest.param(GONE, Reason.BUDGET_NOT_FOUND, id="the budget is gone"),
        pytest.param(ELSEWHERE, Reason.WAITING_FOR_BUDGET, id="another one has its trial slot"),
    ],
)
def test_before_a_raise_whatever_the_budgets_say_no_to_ends_the_trial(
    facts: SharedBudgetFacts | Missing, reason: Reason
) -> None:
    assert ended(sharing(facts, BEFORE_THE_RAISE)) == ("Inconclusive", reason.value, 0)
    assert ended(sharing(ROOM, BEFORE_THE_RAISE)) == GOES_ON
    assert ended(sharing(facts, WHOLE)) == GOES_ON, "what is in force is judged"


def test_a_limit_that_what_is_in_force_exceeds_ends_it_as_ever() -> None:
    small = SharedBudgetFacts("postgres", 0, 0)
    assert ended(sharing(small, WHOLE)) == ("Inconclusive", "BudgetExceeded", 0)


def test_a_restart_that_is_still_to_come_is_a_raise_too() -> None:
    knobs = tuple(replace(k, effect=Effect.RESTART) if k.name == "workers" else k for k in spec().space.knobs)
    item = replace(IN_FORCE, in_force_at=None, old_containers=force.containers(workload(pod())))
    given = sharing(GONE, item)
    given = replace(given, spec=replace(given.spec, space=SearchSpace(knobs)))
    assert ended(given) == ("Inconclusive", "BudgetNotFound", 0)


@pytest.mark.parametrize(
    ("effect", "replicas", "after"),
    [
        pytest.param(Effect.RESTART, 1, GOES_ON, id="that its own restart added"),
        pytest.param(Effect.RESTART, 2, ("Inconclusive", "BudgetExceeded", 0), id="that somebody asked for"),
        pytest.param(Effect.HOT, 1, ("Inconclusive", "BudgetExceeded", 0), id="beside a trial that restarts nothing"),
    ],
)
def test_a_pod_more(effect: Effect, replicas: int, after: tuple[str, str, int]) -> None:
    """Seed 2100004895: (1 + 1) x 6 = 12 of 12 were counted before the trial began. Of the two pods one drains; counted as
    somebody else's they would be (2 + 1) x 6 = 18, and the trial began and ended for ever."""
    other = Effect.HOT if effect is Effect.RESTART else Effect.RESTART
    knobs = (replace(HOT, effect=effect), replace(ENV, effect=other))
    item = replace(IN_FORCE, old_containers=("before",))
    profile = spec(*knobs, budgets=(BudgetSpec("db", "pods * workers", limit=F(12)),))
    both = (acked(pod(name), profile, item) for name in ("a", "b"))
    now = workload(*both, template="t1", replicas=replicas)
    assert ended(snapshot(profile, under_way(item), workload=now)) == after
