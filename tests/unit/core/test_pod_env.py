"""Variables by admission: what ends a trial of them, what waits for pods, and what is written again."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core import decide, guards, pod_env
from pegbox.model.decisions import Action, Admission
from pegbox.model.knobs import Effect, Knob, Location, LocationKind
from pegbox.model.observations import Missing
from pegbox.model.profile import Mode
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Held, Snapshot
from pegbox.model.trials import Intent
from tests.unit.core.build import HOT, NO_WISH, T0, at, held, intent, ledger, setting, snapshot, spec, under_way

LANES = Knob(
    "lanes", location=Location(LocationKind.POD_ENV, key="LANES"), effect=Effect.RESTART, minimum=F(1), maximum=F(9)
)
PROFILE = spec(HOT, LANES, budgets=())
BEFORE, AFTER = setting(workers=4, lanes=2), setting(workers=4, lanes=3)
MOVING = intent(parent=BEFORE, stages=(AFTER,), applied_at=at(1))
OTHER = intent(parent=BEFORE, stages=(setting(workers=6, lanes=2),), applied_at=at(1))
UNAVAILABLE = Missing(Reason.ADMISSION_UNAVAILABLE, "no policy")


def seen(item: Intent | None, **lanes: Any) -> Snapshot:
    """A trial (or rest) with what is held of the variable."""
    memory = ledger(BEFORE) if item is None else under_way(item)
    now = BEFORE if item is None else item.current
    values = held(now) | {"lanes": replace(Held(now["lanes"]), **lanes)}
    return snapshot(PROFILE, memory, held=values)


@pytest.mark.parametrize(
    ("item", "lanes", "reason"),
    [
        pytest.param(MOVING, {}, None, id="all is as written"),
        pytest.param(MOVING, {"stale": ("a",)}, None, id="a pod that is still to be restarted"),
        pytest.param(MOVING, {"stale": ("a",), "missed": ("a",)}, Reason.ADMISSION_MISSED, id="one that was missed"),
        pytest.param(
            replace(MOVING, applied_at=None), {"missed": ("a",)}, None, id="missed of what stood before the write"
        ),
        pytest.param(
            replace(MOVING, in_force_at=at(2)), {"stale": ("a",)}, Reason.ADMISSION_MISSED, id="a new one once in force"
        ),
        pytest.param(MOVING, {"refusal": UNAVAILABLE}, Reason.ADMISSION_UNAVAILABLE, id="the policy is gone"),
        pytest.param(OTHER, {"refusal": UNAVAILABLE, "missed": ("a",)}, None, id="a trial of another knob"),
    ],
)
def test_a_trial_fails(item: Intent, lanes: dict[str, Any], reason: Reason | None) -> None:
    found = pod_env.failed(seen(item, **lanes), item)
    assert (found.reason if found is not None else None) is reason


def test_what_fails_it_ends_it_without_blame() -> None:
    decision = decide.decide(seen(MOVING, missed=("a",), stale=("a",)), NO_WISH, T0)
    assert (decision.action, decision.reason) == (Action.REVERT, Reason.ADMISSION_MISSED)
    assert decision.ledger.breaker == under_way(MOVING).breaker
    assert decision.desired == BEFORE


def test_only_pods_whose_successors_would_be_better_are_replaced() -> None:
    item = seen(None, stale=("a", "b", "c"), missed=("b",))
    assert pod_env.replaceable(item) == {"a", "c"}
    refused = seen(None, stale=("a",), refusal=UNAVAILABLE)
    assert pod_env.replaceable(refused) == frozenset()


@pytest.mark.parametrize(
    ("lanes", "mode", "admission"),
    [
        pytest.param({}, Mode.AUTO, Admission.ADMIT, id="every pod is alike"),
        pytest.param({"stale": ("a",)}, Mode.AUTO, Admission.REFUSE, id="a pod started with another value"),
        pytest.param({"stale": ("a",)}, Mode.RECOMMEND, Admission.ADMIT, id="but nothing will be written"),
        pytest.param(
            {"stale": ("a",), "refusal": UNAVAILABLE}, Mode.AUTO, Admission.ADMIT, id="the knob is not ours to write"
        ),
    ],
)
def test_no_trial_starts_while(lanes: dict[str, Any], mode: Mode, admission: Admission) -> None:
    item = seen(None, **lanes)
    verdict = guards.workload.rollout_health(replace(item, spec=replace(PROFILE, mode=mode)), T0)
    assert verdict.admission is admission


@pytest.mark.parametrize(
    ("lanes", "mode", "writes"),
    [
        pytest.param({"behind": ("it",)}, Mode.AUTO, True, id="the object was deleted"),
        pytest.param({"behind": ("it",)}, Mode.RECOMMEND, False, id="the mode forbids it"),
        pytest.param({"behind": ("it",), "refusal": UNAVAILABLE}, Mode.AUTO, False, id="it would do nothing"),
        pytest.param({}, Mode.AUTO, False, id="it is there"),
        pytest.param({"stale": ("a",)}, Mode.AUTO, True, id="a pod is from before the write: it is replaced"),
        pytest.param({"stale": ("a",), "missed": ("a",)}, Mode.AUTO, False, id="its successor would be no better"),
        pytest.param({"stale": ("a",)}, Mode.RECOMMEND, False, id="nothing is replaced in other modes"),
    ],
)
def test_at_rest_the_accepted_value_is_brought_about_if(lanes: dict[str, Any], mode: Mode, writes: bool) -> None:
    item = seen(None, **lanes)
    decision = decide.decide(replace(item, spec=replace(PROFILE, mode=mode)), NO_WISH, T0)
    assert decision.desired == (BEFORE if writes else None)
    assert decision.ledger.intent is None
