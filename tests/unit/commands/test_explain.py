"""explain: why each knob has its value, what the guards say now, and what comes next."""

from __future__ import annotations

import json
from datetime import timedelta
from fractions import Fraction

import pytest

from pegbox.commands import explain_body, explain_view
from pegbox.commands.explain import explain, profile_of
from pegbox.commands.explain_body import Body
from pegbox.learning.shipped import shipped
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Setting
from pegbox.model.observations import Missing
from pegbox.model.prediction import Row
from pegbox.model.reasons import Reason
from pegbox.model.trials import Breaker, BreakerState, Cohort, Intent, IntentKind
from pegbox.ports import CONFIG_MAP, DEPLOYMENT, LEDGER, Ref
from tests.unit.commands.shop import FOUR, KEY, ONE, TWO, Shop


async def told(shop: Shop, *, metrics: bool = True) -> Body:
    source = shop.metrics if metrics else None
    found = await explain(shop.cluster, source, await profile_of(shop.cluster, KEY), shop.clock.now())
    body = explain_body.body(found, 5)
    json.dumps(body)  # every value is one that JSON has
    return body


def verdict(body: Body, guard: str) -> tuple[str, str]:
    found = next(v for v in body["verdicts"] if v["guard"] == guard)
    return found["verdict"], found["reason"]


def words(body: Body) -> str:
    return "\n".join(explain_view.text(body))


async def test_a_value_won_by_a_trial_names_the_trial() -> None:
    shop = await Shop(workers=2).open()
    await shop.remember()
    [knob] = (await told(shop))["knobs"]
    assert (knob["name"], knob["value"], knob["writable"]) == ("worker_count", "2", "True")
    assert knob["why"].startswith("trial t-1 was accepted on 2026-01-05T12:00:00Z")


async def test_every_guard_is_asked_anew_and_all_verdicts_are_shown() -> None:
    shop = await Shop(workers=2, load=60.0).open()
    cooling = shop.clock.now() + timedelta(minutes=5)
    await shop.remember(cooldown_until=cooling, breaker=Breaker(BreakerState.OPEN, 3, 1, cooling))
    body = await told(shop)
    assert [v["guard"] for v in body["verdicts"]] == [
        "stopped", "opted-out", "mode", "writes", "paused", "halted", "breaker", "fleet-breaker", "cooldown", "frozen",
        "error-budget", "rollout-health", "freshness",
        "ownership", "bounds", "step", "rules", "sizes", "recently-failed", "budget",
    ]  # fmt: skip
    assert verdict(body, "mode") == ("Admit", "WithinLimits")
    assert verdict(body, "breaker") == ("Refuse", "BreakerOpen")
    assert verdict(body, "cooldown") == ("Refuse", "CoolingDown")
    assert verdict(body, "freshness") == ("Admit", "DataAvailable")
    assert body["breaker"]["state"] == "Open"
    text = words(body)
    assert "breaker: Open, 3 failures in a row, until" in text
    assert "known good: worker_count=2 (up to 38/s by 3 windows at 100ms)" in text


@pytest.mark.parametrize(
    ("said", "guard"),
    [("Stopped", "stopped"), ("FleetBreakerOpen", "fleet-breaker")],
    ids=["a_global_stop", "the_breaker_over_all_profiles"],
)
async def test_a_brake_over_all_profiles_is_shown_as_the_operator_last_said(said: str, guard: str) -> None:
    """It stands on the operator's Lease, which the reader of a profile may not see."""
    shop = await Shop(workers=2).open()
    await shop.remember()
    assert verdict(await told(shop), guard)[0] == "Admit"
    condition = {
        "type": "Progressing", "status": "False", "reason": said, "message": "by whom and until when",
        "observedGeneration": 1, "lastTransitionTime": "2026-01-05T12:00:00Z",
    }  # fmt: skip
    await shop.tell(conditions=[condition])
    assert verdict(await told(shop), guard) == ("Refuse", said)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (
            {"available": "True", "load": "60", "upper": "71.12", "horizon": "3m", "level": "98%"},
            "load forecast (from status): at most 71.12/s in 3m (98% of the time), 60/s now",
        ),
        (
            {"available": "False", "missing": "Learning: 42 more steps"},
            "load forecast (from status): none, all is as without: Learning: 42 more steps",
        ),
    ],
    ids=["there_is_one", "too_little_history"],
)
async def test_the_forecast_is_the_operators_own_word(said: Body, line: str) -> None:
    """Only its memory has the history."""
    shop = await Shop(workers=2).open()
    await shop.remember()
    assert "load forecast" not in words(await told(shop)), "before the operator has said anything"
    await shop.tell(model={"trusted": "Unknown", "forecast": said})
    assert line in words(await told(shop)).splitlines()


async def test_a_canary_is_told_with_its_pods() -> None:
    shop = await Shop(workers=2).open()
    first = sorted(shop.metrics.acks["shop"])[0]
    cohort = Cohort((first,), TWO, (FOUR, FOUR))
    now = shop.clock.now()
    intent = Intent("t-3", IntentKind.TRIAL, TWO, (TWO, FOUR), now, 4, stage_at=now, why="more", cohort=cohort)
    await shop.remember(intent=intent)
    body = await told(shop)
    assert (body["intent"]["canary"], body["intent"]["canaryPods"]) == ("canary 1 of 2 pods", [first])
    assert f"canary 1 of 2 pods: {first}" in words(body)
    assert "canary of 1" in words(await told_without_a_read(shop))


async def told_without_a_read(shop: Shop) -> Body:
    shop.cluster.faults.deny("get", "", "configmaps")
    return await told(shop)


async def test_an_opted_out_workload_is_read_afresh() -> None:
    shop = await Shop(workers=2).open()
    await shop.remember()
    note = {"op": "add", "path": "/metadata/annotations", "value": {"pegbox.dev/opt-out": "true"}}
    await shop.cluster.as_manager("kubectl").json_patch(Ref(DEPLOYMENT, "shop", "checkout"), [note])
    assert verdict(await told(shop), "opted-out") == ("Refuse", "OptedOut")


async def test_the_fresh_proposal_comes_with_its_uncapped_wish() -> None:
    shop = await Shop(workers=2, load=60.0).open()
    await shop.remember()
    wish = (await told(shop))["wish"]
    # 2 pods x 2 workers x 10/s serve 40 of 60; 50 % of 2 is one unit up, and 4 was reverted but 3 was not.
    assert wish["from"] == "fresh read"
    assert wish["recommended"] == {"worker_count": "3"}
    assert "67% of the offered load is served" in wish["why"]


async def test_the_newest_trials_come_first_with_what_they_changed() -> None:
    shop = await Shop(workers=2).open()
    await shop.remember()
    body = await told(shop)
    assert [(t["id"], t["state"], t["changed"]) for t in body["trials"]] == [
        ("t-2", "Reverted", {"worker_count": ["2", "4"]}),
        ("t-1", "Accepted", {"worker_count": ["1", "2"]}),
    ]
    assert "worker_count 2 -> 4" in words(body)
    assert "mean latency rose beyond what noise explains" in words(body)


async def test_without_a_metrics_server_freshness_says_so_and_the_rest_is_still_asked() -> None:
    shop = await Shop(workers=2).open()
    await shop.remember()
    await shop.tell(proposal=[{"name": "worker_count", "value": "4"}])
    body = await told(shop, metrics=False)
    assert verdict(body, "freshness") == ("Refuse", "MetricsUnreachable")
    assert verdict(body, "recently-failed") == ("Refuse", "RecentlyFailed")  # 4 was tried and reverted
    assert verdict(body, "step") == ("Cap", "StepTooLarge")  # from 2 to 3 at most
    assert body["wish"]["from"] == "status"
    assert body["wish"]["setting"] == {"worker_count": "4"}
    assert "give --prometheus" in words(body)


async def test_a_server_that_is_down_is_told_as_the_reason() -> None:
    shop = await Shop(workers=2).open()
    await shop.remember()
    shop.metrics.down = Missing(Reason.METRICS_UNREACHABLE, "connection refused")
    assert verdict(await told(shop), "freshness") == ("Refuse", "MetricsUnreachable")


async def test_without_the_right_to_read_the_workload_status_has_to_do() -> None:
    shop = await Shop(workers=2).open()
    await shop.remember()
    shop.cluster.faults.deny("get", "", "configmaps")
    knob = {"name": "worker_count", "value": "2", "location": "Settings", "writable": "False", "reason": "Pinned"}
    await shop.tell(why="Learning: too few", next="try", knobs=[knob])
    body = await told(shop)
    assert "RBAC does not allow get configmaps" in body["problem"]
    assert body["knobs"][0]["why"] == "Pinned"
    assert body["verdicts"] == []
    assert [t["id"] for t in body["trials"]] == ["t-2", "t-1"]  # the ledger could be read
    assert "not read afresh" in words(body)


async def test_a_profile_that_cannot_be_worked_on_says_why() -> None:
    shop = await Shop(profile={"classRef": {"name": "nobody"}}).open()
    body = await told(shop)
    assert "spec.classRef.name: 'nobody' does not exist" in body["problem"]


async def test_a_torn_ledger_is_not_believed() -> None:
    shop = await Shop(workers=2).open()
    await shop.remember()
    body = (await shop.cluster.list(LEDGER, "shop"))[0]
    data = {**body["data"], "state": body["data"]["state"] + " "}
    meta = {"name": "checkout", "namespace": "shop"}
    kind = {"apiVersion": "pegbox.dev/v1alpha1", "kind": "TuningLedger"}
    await shop.cluster.apply({**kind, "metadata": meta, "data": data}, force=True)
    told_ = await told(shop)
    assert "edited or torn" in told_["ledger"]
    assert told_["trials"] == []


async def test_a_profile_that_nobody_has_worked_on_yet_points_to_the_operator() -> None:
    body = await told(await Shop().open())
    assert "is it running?" in body["why"]
    assert body["ledger"] == "none was written yet"
    assert body["knobs"][0]["why"] == "as it stands: not adopted yet"


async def test_a_profile_that_is_not_there_is_bad_input() -> None:
    shop = await Shop().open()
    with pytest.raises(InvalidInput, match="shop/nobody"):
        await profile_of(shop.cluster, ("shop", "nobody"))


async def test_explaining_writes_nothing() -> None:
    shop = await Shop(workers=2).open()
    await shop.remember()
    before = len(shop.cluster.writes)
    await told(shop)
    assert len(shop.cluster.writes) == before
    assert (await shop.cluster.list(CONFIG_MAP, "shop"))[0]["data"]


def measured(setting: Setting, throughput: float, busy: float = 1.0) -> Row:
    """Three windows at 60 events/s offered to two pods; a worker takes 100 ms."""
    return Row(setting, 2.0, 60.0, throughput, 0.5, 3, signals={"busy:worker_count": busy})


async def modelled() -> Body:
    """One and two workers were measured, and could not serve it all."""
    shop = await Shop(workers=2, load=60.0).open()
    await shop.remember(rows=(measured(ONE, 20.0), measured(TWO, 40.0)))
    return await told(shop)


async def test_the_fitted_curve_of_a_limit_is_shown_with_its_interval_and_where_it_ends() -> None:
    """Each worker of two pods serves 10/s: 1 worker 20, 2 workers 40; 4 are twice what was seen, 8 are too far."""
    body = await modelled()
    curve = {point["value"]: point for point in body["curves"]["worker_count"]}
    assert list(curve) == ["1", "2", "4", "8"]
    assert curve["1"]["capacity"]["mean"] == pytest.approx(20.0, rel=0.15)
    assert curve["2"]["capacity"]["mean"] == pytest.approx(40.0, rel=0.15)
    for point in curve.values():
        assert point["capacity"]["low"] <= point["capacity"]["mean"] <= point["capacity"]["high"]
    assert [point["inDomain"] for point in curve.values()] == [True, True, True, False]
    [line] = [each for each in words(body).splitlines() if "not vouched for" in each and " 8 " in each]
    assert "/s (" in line


async def test_candidates_are_shown_with_what_speaks_against_each() -> None:
    """3 workers are the proposal: nothing speaks against them. 1 worker serves half."""
    body = await modelled()
    against = {one["changed"]["worker_count"]: one["against"] for one in body["considered"]}
    assert against["3"] == ""
    assert against["1"].startswith("NothingBetter")
    assert next(iter(against)) == body["wish"]["recommended"]["worker_count"] == "3"
    assert "CANDIDATE" in words(body)


async def searching() -> Body:
    """max_overflow has no role: only the search can tell what it does. 8 was measured, and 12 that were slower."""
    knobs = [{"name": "worker_count", "value": "2"}, {"name": "max_overflow", "min": 0, "max": 40}]
    shop = Shop(workers=2, profile={"objective": "MinimizeLatency", "knobs": knobs}, values={"max_overflow": "8"})
    await shop.open()
    here, slower = (Setting({"worker_count": Fraction(2), "max_overflow": Fraction(n)}) for n in (8, 12))
    rows = tuple(Row(setting, 2.0, 30.0, 30.0, seconds, 4) for setting, seconds in ((here, 0.1), (slower, 0.13)))
    await shop.remember(incumbent=here, adopted=here, rows=rows, trials=(), ladder=())
    return await told(shop)


async def test_the_steps_of_the_search_are_shown_with_what_speaks_against_each() -> None:
    body = await searching()
    assert body["searched"], body["wish"]
    best, *rest = body["searched"]
    assert best["against"] == ""
    assert best["changed"] == {"max_overflow": body["wish"]["recommended"]["max_overflow"]}
    assert best["saves"]["low"] <= best["saves"]["mean"] <= best["saves"]["high"]
    assert any(step["against"] for step in rest)
    text = words(body)
    assert "STEP OF THE SEARCH" in text and f"max_overflow={best['changed']['max_overflow']}" in text


async def test_where_physics_has_a_proposal_the_search_is_not_asked() -> None:
    body = await modelled()
    assert body["searched"] == []
    assert "STEP OF THE SEARCH" not in words(body)


async def test_without_a_model_there_is_neither_curve_nor_candidate() -> None:
    shop = await Shop(workers=2).open()
    await shop.remember()
    body = await told(shop)
    assert (body["curves"], body["considered"]) == ({}, [])
    assert "CANDIDATE" not in words(body)


async def test_what_a_young_model_leans_on_is_said() -> None:
    shop = await Shop(workers=2).open()
    await shop.remember(rows=(Row(TWO, 2.0, 30.0, 30.0, 0.1, 3),))
    body = await told(shop)
    assert body["model"]["prior"] == shipped().name
    assert f"  prior: {shipped().name}" in words(body)


async def test_where_no_value_is_known_all_that_can_be_said_is_said() -> None:
    shop = await Shop().open()
    for ref in (Ref(DEPLOYMENT, *KEY), Ref(CONFIG_MAP, "shop", "checkout-pegbox")):
        await shop.cluster.as_manager("kubectl").delete(ref)
    shop.metrics.values.clear()
    body = await told(shop)
    assert body["knobs"][0]["value"].startswith("Unknown")
    assert (body["curves"], body["considered"], body["frontier"]) == ({}, [], [])
    assert words(body)
