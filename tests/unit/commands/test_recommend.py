"""recommend: a profile, a metrics server and no cluster. The plant's figures: see worlds.py."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml

from pegbox.commands import recommend_view
from pegbox.commands.output import Exit
from pegbox.commands.recommend import Advice, advise, scope_of, wish_of
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Setting
from pegbox.model.observations import Missing
from pegbox.model.proposals import Proposal
from pegbox.model.reasons import Reason
from pegbox.ports import SignalQuery
from tests.unit.commands.worlds import NOW, PODS, SMALLEST, Plant, ScopedMetrics, both, wish_arguments


def pressed(load: float = 30.0, workers: int = 1) -> ScopedMetrics:
    return ScopedMetrics(Plant(lambda _: load, lambda _: workers), lambda _: both(worker_count=float(workers)))


async def advice_of(source: ScopedMetrics, **arguments: object) -> Advice:
    return await advise(wish_of(wish_arguments(**arguments)), source, NOW)


def shown(advice: Advice, capsys: pytest.CaptureFixture[str], *, as_json: bool = False) -> str:
    recommend_view.show(advice, as_json=as_json)
    return capsys.readouterr().out


async def test_a_busy_limit_is_raised_by_one_step(capsys: pytest.CaptureFixture[str]) -> None:
    advice = await advice_of(pressed())
    assert isinstance(advice.proposal, Proposal)
    # maxStep is 50 %: from 1 that is one unit.
    assert advice.spec.space.format(advice.proposal.setting) == {"worker_count": "2"}
    assert advice.code is Exit.OK
    text = shown(advice, capsys)
    assert "worker_count  1    2            busy for 100%" in text
    assert "67% of the offered load is served" in text  # 20 of 30
    assert "SLO fast: 20.00% of 6000 events good, goal 95%: missed" in text  # 20/s for 300 s
    assert "no prediction: Learning" in text
    assert "1 of 3 observations" in text
    assert "--history" in text


async def test_an_idle_workload_needs_nothing_better() -> None:
    advice = await advice_of(pressed(load=4.0))
    assert isinstance(advice.proposal, Missing)
    assert advice.proposal.reason is Reason.NOTHING_BETTER
    assert advice.code is Exit.OK


async def test_history_with_other_settings_and_loads_gives_a_prediction(capsys: pytest.CaptureFixture[str]) -> None:
    def workers(at: datetime) -> int:
        return 1 if at > NOW - timedelta(hours=1) else 2 if at > NOW - timedelta(hours=2) else 3

    def load(at: datetime) -> float:
        return 30.0 + 20.0 * ((NOW - at) // timedelta(minutes=15) % 3)  # 30, 50, 70 per second

    source = ScopedMetrics(Plant(load, workers), lambda at: both(worker_count=float(workers(at))))
    advice = await advice_of(source, history="3h")
    assert advice.learned.used == 36 - 2  # the two windows in which the setting changed teach nothing
    assert advice.learned.left_out == {"Settling": 2}
    now, then = advice.expected
    assert now.capacity.low <= 20.0 <= now.capacity.high
    assert then.capacity.mean == pytest.approx(40.0, rel=0.25)
    text = shown(advice, capsys)
    assert "predicted at 30/s over all pods (90 % interval)" in text
    assert "learned from 34 windows of 3 settings; left out: 2 Settling" in text


async def test_pods_that_come_and_go_teach_nothing() -> None:
    def values(at: datetime) -> dict[str, dict[str, float]]:
        pods = PODS if at > NOW - timedelta(minutes=12) else PODS[:1]
        return {pod: {"worker_count": 1.0} for pod in pods}

    source = ScopedMetrics(Plant(lambda _: 30.0, lambda _: 1), values)
    advice = await advice_of(source, history="20m")
    assert (advice.learned.used, advice.learned.left_out) == (3, {"Scaled": 1})


async def test_values_given_by_hand_stand_in_for_those_that_nobody_exports() -> None:
    source = ScopedMetrics(Plant(lambda _: 30.0, lambda _: 1), lambda _: {})
    advice = await advice_of(source, given=["worker_count=4"])
    assert advice.setting == Setting({"worker_count": advice.wish.given["worker_count"]})
    assert advice.code is Exit.OK


async def test_nothing_known_of_any_value_is_missing_data(capsys: pytest.CaptureFixture[str]) -> None:
    profile = yaml.safe_load(SMALLEST.read_text())
    profile["spec"]["knobs"] = [{"name": "worker_count"}]
    source = ScopedMetrics(Plant(lambda _: 30.0, lambda _: 1), lambda _: {})
    wish = wish_of(wish_arguments())
    spec_documents = replace(wish.documents, profile=profile)
    advice = await advise(replace(wish, documents=spec_documents), source, NOW)
    assert advice.code is Exit.NO_DATA
    assert "give --set worker_count=VALUE" in shown(advice, capsys)


async def test_pods_that_differ_are_told_with_their_values(capsys: pytest.CaptureFixture[str]) -> None:
    values = {PODS[0]: {"worker_count": 1.0}, PODS[1]: {"worker_count": 2.0}}
    advice = await advice_of(ScopedMetrics(Plant(lambda _: 30.0, lambda _: 1), lambda _: values))
    assert advice.code is Exit.NO_DATA
    assert "worker_count: pods differ (1, 2)" in shown(advice, capsys)


async def test_a_server_that_is_down_is_missing_data() -> None:
    source = pressed()
    source.down = Missing(Reason.METRICS_UNREACHABLE, "connection refused")
    advice = await advice_of(source)
    assert advice.code is Exit.NO_DATA
    assert advice.observation == source.down


async def test_a_load_that_is_not_exported_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    plant = Plant(lambda _: 30.0, lambda _: 1)

    def deaf(query: SignalQuery, at: datetime) -> object:
        return Missing(Reason.NO_DATA, "no series") if query.signal.name == "tasks_arrived" else plant(query, at)

    source = ScopedMetrics(deaf, lambda _: both(worker_count=1.0))  # type: ignore[arg-type]
    advice = await advice_of(source)
    assert advice.code is Exit.NO_DATA
    assert "missing: offered load: NoData" in shown(advice, capsys)


async def test_pods_of_others_say_nothing_of_ours() -> None:
    values = {**both(worker_count=1.0), "other-5d8f7-ccccc": {"worker_count": 9.0}}
    advice = await advice_of(ScopedMetrics(Plant(lambda _: 30.0, lambda _: 1), lambda _: values))
    assert advice.values == {"worker_count": 1}


async def test_a_shared_budget_of_the_same_file_is_kept(tmp_path: Path) -> None:
    profile = yaml.safe_load(SMALLEST.read_text())
    profile["spec"]["budgets"] = [{"name": "db", "uses": "pods * worker_count", "budgetRef": {"name": "pg"}}]
    shared = {
        "apiVersion": "pegbox.dev/v1alpha1",
        "kind": "SharedBudget",
        "metadata": {"name": "pg", "namespace": "shop"},
        "spec": {"capacity": 3, "reserve": 1, "unit": "connections"},
    }
    file = tmp_path / "both.yaml"
    file.write_text(yaml.safe_dump_all([profile, shared]))
    advice = await advice_of(pressed(), file=str(file))
    # 2 pods x 1 worker use all of 3 - 1: no raise is left.
    assert isinstance(advice.proposal, Missing)
    assert advice.proposal.reason is Reason.NOTHING_BETTER


async def test_json_holds_the_same_answer(capsys: pytest.CaptureFixture[str]) -> None:
    body = json.loads(shown(await advice_of(pressed()), capsys, as_json=True))
    why = "busy for 100%; wish 3, limited by step, bounds, rules or budgets"
    assert body["knobs"] == [{"name": "worker_count", "now": "1", "recommended": "2", "why": why}]
    assert body["prediction"]["reason"] == "Learning"
    assert body["observation"]["load"] == 30.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param({"window": "1s"}, "--window: '1s'", id="a_window_too_short"),
        pytest.param({"window": "soon"}, "write a duration", id="a_window_that_is_no_duration"),
        pytest.param({"history": "7d"}, "use --window 35m", id="more_windows_than_are_asked"),
        pytest.param({"history": "1m"}, "--history: '1m'", id="a_history_shorter_than_a_window"),
        pytest.param({"given": ["worker_cuont=3"]}, "did you mean 'worker_count'", id="a_misspelt_knob"),
        pytest.param({"given": ["worker_count"]}, "write knob=value", id="a_knob_without_a_value"),
        pytest.param({"given": ["worker_count=few"]}, "plain decimal", id="a_value_of_another_type"),
        pytest.param({"given": ["pool_size=1", "pool_size=2"]}, "set twice", id="a_knob_set_twice"),
        pytest.param({"pods": "checkout-("}, "regular expression", id="a_broken_expression"),
        pytest.param({"file": "/no/such/file"}, "name a readable file", id="a_file_that_is_not_there"),
    ],
)
def test_what_the_user_wrote_is_refused_with_field_value_and_remedy(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        wish_of(wish_arguments(**arguments))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "deployment", "pods", "pattern"),
    [
        pytest.param("Deployment", None, None, "checkout-[a-z0-9]+-[a-z0-9]{5}", id="the_target_s_own_pods"),
        pytest.param("StatefulSet", None, None, "checkout-[0-9]+", id="a_statefulset_numbers_its_pods"),
        pytest.param("Deployment", "web", None, "web-[a-z0-9]+-[a-z0-9]{5}", id="another_deployment"),
        pytest.param("Deployment", None, "a|b", "a|b", id="pods_by_expression"),
    ],
)
def test_the_pods_are_named_by_the_query(kind: str, deployment: str | None, pods: str | None, pattern: str) -> None:
    spec = wish_of(wish_arguments()).spec
    spec = replace(spec, target=replace(spec.target, kind=kind))
    assert scope_of(spec, pods, deployment).pods == pattern
