"""Each invariant is able to fail: a violation is planted by hand, as the operator could commit it, and is found."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest

from pegbox.adapters.kube.workload import RESTARTED
from pegbox.model.knobs import Setting
from pegbox.model.reasons import Reason
from pegbox.model.trials import BreakerState, TrialState, TrialSummary
from pegbox.ports import BUDGET, HPA, LEDGER, PROFILE, Object, Ref
from pegbox.runtime.fence import FENCE
from tests.chaos import limits
from tests.chaos.invariants import Watch
from tests.chaos.network import Network
from tests.chaos.planting import remembered, written
from tests.chaos.schedule import Runner, Schedule, Step, minimise, unfinished
from tests.chaos.world import NAMESPACE, World
from tests.loop import documents

NAME = "checkout"
RUNNER = Runner()


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("pegbox").setLevel(logging.CRITICAL)


async def _without_auto(world: World, watch: Watch) -> None:
    await world.edit_spec(NAME, mode="Recommend")
    watch.woken(NAME)
    await written(world, workers=2)


async def _out_of_bounds(world: World, watch: Watch) -> None:
    await written(world, workers=9, pool=1)


async def listed(world: World, **values: int) -> None:
    """The operator's own client gives the first pod these values."""
    app = world.apps[NAME]
    document = app.document
    assert document is not None
    cohort = {"pods": [app.pods[0].name], "values": {n: str(v) for n, v in values.items()}}
    document |= {"cohorts": {"trial": cohort}, "generation": document["generation"] + 1}
    operation = {"op": "add", "path": "/data/settings.json", "value": json.dumps(document)}
    await world.server.json_patch(app.own_ref, [operation])


async def _out_of_bounds_in_a_cohort(world: World, watch: Watch) -> None:
    await listed(world, workers=9, pool=1)


async def _too_far_in_one_trial(world: World, watch: Watch) -> None:
    world.wishes[NAME] = {"workers": -1, "pool": 1}
    await world.turn()
    await written(world, workers=2, pool=5)  # from 2 a trial goes to 4 at the most


async def _further_than_a_probe(world: World, watch: Watch) -> None:
    world.wishes[NAME] = {"workers": -1, "pool": 1}
    await world.turn()
    ledger = world.ledger(NAME)
    assert ledger is not None
    await remembered(world, replace(ledger, breaker=replace(ledger.breaker, state=BreakerState.HALF_OPEN)))
    await written(world, workers=1, pool=4)  # a tenth of 2 is one unit: 3


async def _too_far_in_a_cohort(world: World, watch: Watch) -> None:
    world.wishes[NAME] = {"workers": -1, "pool": 1}
    await world.turn()
    await listed(world, workers=1, pool=5)


async def _accepted_unseen(world: World, watch: Watch) -> None:
    """All is NaN from the trial's first moment, and the ledger says all the same that it was good."""
    world.wishes[NAME] = {"workers": -1, "pool": 1}
    await world.turn()
    world.metrics.lie = "nan"
    await world.turn()
    ledger = world.ledger(NAME)
    assert ledger is not None and ledger.intent is not None and ledger.incumbent is not None
    now = world.clock.now()
    trial = TrialSummary(
        ledger.intent.id,
        ledger.intent.stages[-1],
        ledger.incumbent,
        TrialState.ACCEPTED,
        Reason.TRIAL_ACCEPTED,
        started_at=now,
        ended_at=now,
    )
    await remembered(world, replace(ledger, trials=(*ledger.trials, trial)))


async def _accepted_beside_a_deploy(world: World, watch: Watch, path: str = "labels/version") -> None:
    """Others change the template while pods are restarted for the trial, and it is accepted all the same."""
    world.wishes[NAME] = {"workers": -1, "pool": 1}
    await world.turn()
    ledger = world.ledger(NAME)
    assert ledger is not None and ledger.intent is not None and ledger.incumbent is not None
    kind, _, note = path.partition("/")
    await world.helm.json_patch(
        world.apps[NAME].target, [{"op": "add", "path": f"/spec/template/metadata/{kind}", "value": {note: "planted"}}]
    )
    watch.woken(NAME)
    now = world.clock.now()
    world.metrics.told_at = now + timedelta(seconds=1)
    intent, setting = ledger.intent, ledger.intent.stages[-1]
    trial = TrialSummary(
        intent.id, setting, ledger.incumbent, TrialState.ACCEPTED, Reason.TRIAL_ACCEPTED, started_at=now, ended_at=now
    )
    await remembered(world, replace(ledger, intent=None, trials=(*ledger.trials, trial)))


async def _accepted_in_a_stall(world: World, watch: Watch) -> None:
    """Under the trial's setting half completes of what its parent served, and the ledger says all the same that it was good."""
    service = world.apps[NAME].service
    service.load, service.well, service.serves, service.since = 4.0, dict(service.values), 0.5, world.clock.now()
    world.wishes[NAME] = {"workers": -1, "pool": 1}
    for _ in range(6):
        await world.turn()
    assert service.stalled
    ledger = world.ledger(NAME)
    assert ledger is not None and ledger.intent is not None and ledger.intent.baseline is not None
    trial = replace(ledger.intent, baseline=replace(ledger.intent.baseline, load=4.0, throughput=4.0))
    await remembered(world, replace(ledger, intent=trial))
    ends = trial.id, trial.target, trial.parent, TrialState.ACCEPTED, Reason.TRIAL_ACCEPTED, trial.started_at
    summary = TrialSummary(*ends, world.clock.now())
    await remembered(world, replace(ledger, intent=None, incumbent=trial.target, trials=(*ledger.trials, summary)))


async def _over_budget_in_a_cohort(world: World, watch: Watch) -> None:
    await listed(world, workers=2, pool=4)  # 8 and 3 x 4 are 20 of 18


async def _over_budget(world: World, watch: Watch) -> None:
    await written(world, workers=2, pool=4)  # 4 pods x 8 = 32 of 18


async def _raised_before_lowered_everywhere(world: World, watch: Watch) -> None:
    """1 x 2 for 6 pods fits, but 4 pods still run 2 x 2 when the HPA is raised at once: 4 x 4 + 2 x 2 = 20 of 18."""
    await written(world, workers=1, pool=2)
    operation = {"op": "replace", "path": "/spec/maxReplicas", "value": 6}
    await world.server.json_patch(Ref(HPA, NAMESPACE, NAME), [operation])


async def _older_number(world: World, watch: Watch) -> None:
    await written(world, generation=7, workers=2)
    await written(world, generation=6, workers=2)


async def _over_a_foreign_edit(world: World, watch: Watch) -> None:
    world.wishes[NAME] = {"workers": -1, "pool": 1}
    await world.turn()
    await world.turn()
    hpa = Ref(HPA, NAMESPACE, NAME)
    await world.patch(hpa, "/spec/maxReplicas", 3)
    watch.others()
    await world.server.json_patch(hpa, [{"op": "replace", "path": "/spec/maxReplicas", "value": 4}])


async def _without_a_uid(world: World, watch: Watch) -> None:
    body = documents.placed(documents.hpa(), NAMESPACE)
    await world.network.apply(body, force=True)


async def _our_document_by_name_alone(world: World, watch: Watch) -> None:
    body = world.server.peek(world.apps[NAME].own_ref)
    assert body is not None
    whole = {k: body[k] for k in ("apiVersion", "kind", "data")}
    await world.network.apply(whole | {"metadata": {"name": f"{NAME}-pegbox", "namespace": NAMESPACE}}, force=True)


async def _to_another_target(world: World, watch: Watch) -> None:
    target = world.apps[NAME].target
    await world.alice.delete(target)
    await world.alice.apply(documents.placed(documents.deployment(NAME), NAMESPACE))
    watch.others()
    await world.server.json_patch(target, [{"op": "add", "path": "/metadata/annotations", "value": {"a": "b"}}])


def _status(value: object) -> Callable[[World, Watch], Awaitable[None]]:
    async def act(world: World, watch: Watch) -> None:
        operation: Object = {"op": "add", "path": "/status/observed", "value": {"rows": [{"latency": value}]}}
        await world.server.json_patch(Ref(PROFILE, NAMESPACE, NAME), [operation], subresource="status")

    return act


async def _an_error_escapes(world: World, watch: Watch) -> None:
    async def broken(key: str) -> float | None:
        raise ZeroDivisionError("planted")

    world.operator.reconciler = broken  # type: ignore[assignment]
    await world.wake(NAME)
    watch.stepped()


async def _an_internal_error_is_told(world: World, watch: Watch) -> None:
    world.operator.reconciler.predicting = None  # type: ignore[assignment]
    await world.wake(NAME)
    watch.stepped()


@pytest.mark.parametrize(
    ("plant", "invariant"),
    [
        pytest.param(_without_auto, "nothing_written_without_auto", id="a write in mode Recommend"),
        pytest.param(_out_of_bounds, "bounds_hold", id="a value beyond its limit"),
        pytest.param(_over_budget, "budgets_hold", id="a raise beyond the budget"),
        pytest.param(_out_of_bounds_in_a_cohort, "bounds_hold", id="a value of a cohort beyond its limit"),
        pytest.param(_over_budget_in_a_cohort, "budgets_hold", id="a raise in one pod beyond the budget"),
        pytest.param(
            _raised_before_lowered_everywhere, "budgets_hold", id="a raise before all pods took what was lowered"
        ),
        pytest.param(_too_far_in_one_trial, "steps_hold", id="a step further than maxStep"),
        pytest.param(_too_far_in_a_cohort, "steps_hold", id="a step further than maxStep in one pod"),
        pytest.param(_further_than_a_probe, "steps_hold", id="a probe's step of two units of two"),
        pytest.param(_accepted_unseen, "accepted_on_evidence", id="a trial accepted without an answer"),
        pytest.param(_accepted_beside_a_deploy, "accepted_on_one_template", id="a trial accepted on another template"),
        pytest.param(_accepted_in_a_stall, "serves_what_arrives", id="a trial accepted that serves half"),
        pytest.param(_older_number, "generation_grows", id="an older number of the document"),
        pytest.param(_over_a_foreign_edit, "foreign_kept", id="a foreign edit written over in mid-trial"),
        pytest.param(_without_a_uid, "identity_stated", id="a write that names no uid"),
        pytest.param(_our_document_by_name_alone, "identity_stated", id="our document, whoever made it meanwhile"),
        pytest.param(_to_another_target, "target_is_the_recorded_one", id="a write to a recreated target"),
        pytest.param(_status(math.nan), "no_nan", id="NaN in a status"),
        pytest.param(_status("Inf"), "no_nan", id="infinity as text in a status"),
        pytest.param(_an_error_escapes, "nothing_escapes", id="an exception leaves the reconciler"),
        pytest.param(_an_internal_error_is_told, "nothing_escapes", id="an exception is caught and told"),
    ],
)
def test_what_is_planted_is_found(plant: Callable[[World, Watch], Awaitable[None]], invariant: str) -> None:
    async def run() -> list[str]:
        world = await RUNNER.world("hot")
        watch = Watch(world)
        world.on_wake = watch.woken
        watch.woken(NAME)
        await plant(world, watch)
        return watch.found

    found = asyncio.run(run())
    assert invariant in {line.partition(":")[0] for line in found}, found


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        pytest.param(1, [], id="a sample of a second after the trial began"),
        pytest.param(0, ["accepted_on_evidence"], id="of the very instant"),
        pytest.param(-1, ["accepted_on_evidence"], id="of a second before"),
    ],
)
def test_a_stale_answer_is_evidence_of_the_time_that_it_states(seconds: int, found: list[str]) -> None:
    """Seeds 270006550, 270011225: it went stale at once, and its one sample is of the trial's time."""

    async def run() -> list[str]:
        world = await RUNNER.world("hot")
        watch = Watch(world)
        world.metrics.lie, world.metrics.since = "stale", world.own_clock.now()
        await world.turn()
        ledger = world.ledger(NAME)
        assert ledger is not None and ledger.incumbent is not None and world.metrics.since is not None
        begun, now = world.metrics.since - timedelta(seconds=seconds), world.own_clock.now()
        here = ledger.incumbent
        trial = TrialSummary("0-9", here, here, TrialState.ACCEPTED, Reason.TRIAL_ACCEPTED, begun, now)
        await remembered(world, replace(ledger, trials=(*ledger.trials, trial)))
        return [line.partition(":")[0] for line in watch.found]

    assert asyncio.run(run()) == found


def test_a_trial_that_is_accepted_beside_a_rollout_of_ours_is_none() -> None:
    async def run() -> list[str]:
        world = await RUNNER.world("hot")
        watch = Watch(world)
        watch.woken(NAME)
        await _accepted_beside_a_deploy(world, watch, f"annotations/{RESTARTED}")
        return watch.found

    assert asyncio.run(run()) == []


def test_a_late_write_of_a_leader_that_was_replaced_is_found() -> None:
    async def run() -> list[str]:
        world = await RUNNER.world("hot")
        watch, old = Watch(world), world.operator.network
        watch.woken(NAME)
        target = world.apps[NAME].target
        patch = [{"op": "add", "path": "/metadata/annotations", "value": {FENCE: "1"}}]
        await old.json_patch(target, [*patch, {"op": "test", "path": "/metadata/uid", "value": _uid(world)}])
        assert not watch.found  # before it was fenced it may
        old.fenced = frozenset({target})
        patch[0]["value"] = {FENCE: "2"}
        await old.json_patch(target, [*patch, {"op": "test", "path": "/metadata/uid", "value": _uid(world)}])
        return watch.found

    assert [line.partition(":")[0] for line in asyncio.run(run())] == ["stale_leader_is_fenced"]


def _budget(world: World) -> Ref:
    return Ref(BUDGET, NAMESPACE, "postgres")


def _hpa(world: World) -> Ref:
    return Ref(HPA, NAMESPACE, NAME)


def _document(world: World) -> Ref:
    return world.apps[NAME].own_ref


async def _claims(old: Network, ref: Ref) -> None:
    operation: Object = {"op": "replace", "path": "/status/claims", "value": []}
    await old.json_patch(ref, [operation], subresource="status")


async def _deletes(old: Network, ref: Ref) -> None:
    await old.delete(ref)


async def _makes(old: Network, ref: Ref) -> None:
    """What somebody deleted."""
    body = old.server.peek(ref)
    assert body is not None
    await old.server.delete(ref)
    meta = {k: body["metadata"][k] for k in ("name", "namespace")}
    await old.create({k: v for k, v in body.items() if k != "status"} | {"metadata": meta})


@pytest.mark.parametrize("reads", [None, "itself", "the ledger"])
@pytest.mark.parametrize(
    ("place", "writes"),
    [
        pytest.param(_budget, _claims, id="a claim"),
        pytest.param(_hpa, _deletes, id="a deletion"),
        pytest.param(_document, _makes, id="a creation"),
    ],
)
def test_a_late_write_is_found_unless_its_leader_decides_anew(
    place: Callable[[World], Ref], writes: Callable[[Network, Ref], Awaitable[None]], reads: str | None
) -> None:
    """Whoever reads one object anew has not decided anew: a claim is always read right before it is written."""

    async def run() -> list[str]:
        world = await RUNNER.world("places")
        watch, old, ref = Watch(world), world.operator.network, place(world)
        old.fenced = frozenset({ref})
        if reads is not None:
            await old.get(ref if reads == "itself" else Ref(LEDGER, NAMESPACE, NAME))
        await writes(old, ref)
        return [line.partition(":")[0] for line in watch.found]

    assert ("stale_leader_is_fenced" in asyncio.run(run())) == (reads != "the ledger")


def _uid(world: World) -> str:
    body = world.server.peek(world.apps[NAME].target)
    assert body is not None
    return str(body["metadata"]["uid"])


async def _left_at_a_trial(world: World) -> None:
    """Nobody stands for it, and the ledger does not know of it."""
    await written(world, workers=1)


async def _left_lowered(world: World, wanted: int | None) -> None:
    """workers is 1 of 2, and the ledger knows: it owes `wanted`, or nothing."""
    await written(world, workers=1)
    await world.others_step()
    ledger = world.ledger(NAME)
    assert ledger is not None and ledger.incumbent is not None
    owed = None if wanted is None else Setting({"workers": Fraction(wanted)})
    await remembered(world, replace(ledger, incumbent=ledger.incumbent.with_values(workers=Fraction(1)), owed=owed))


def _hpa(world: World) -> Ref:
    hpa = world.apps[NAME].hpa()
    assert hpa is not None
    return Ref(HPA, NAMESPACE, hpa["metadata"]["name"])


async def _left_lowered_and_forgotten(world: World) -> None:
    await _left_lowered(world, None)


async def _left_lowered_though_it_fits(world: World) -> None:
    await _left_lowered(world, 2)


async def _left_lowered_for_a_stranger(world: World) -> None:
    """5 workers would not fit; nobody ever stood for them either."""
    await _left_lowered(world, 5)


async def _left_with_an_intent(world: World) -> None:
    world.wishes[NAME] = {"workers": -1, "pool": 1}
    await world.turn()


async def _left_after_deletion(world: World) -> None:
    await written(world, workers=1)
    await world.alice.delete(Ref(PROFILE, NAMESPACE, NAME))
    await world.server.json_patch(
        Ref(PROFILE, NAMESPACE, NAME), [{"op": "replace", "path": "/metadata/finalizers", "value": []}]
    )


async def _left_in_a_cohort(world: World) -> None:
    """Somebody is to take it away: without a wake nobody does."""
    await listed(world, workers=1)


async def _pods_run_something_else(world: World) -> None:
    world.apps[NAME].pods[0].runs["workers"] = 7


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        pytest.param(_left_at_a_trial, "the incumbent has", id="another value than the incumbent's"),
        pytest.param(_left_lowered_and_forgotten, "nobody stands for", id="a lowered value that is not owed"),
        pytest.param(_left_lowered_though_it_fits, "is owed and fits", id="a lowered value that has room"),
        pytest.param(_left_lowered_for_a_stranger, "nobody stands for", id="a debt that nobody stands for"),
        pytest.param(_left_with_an_intent, "is left", id="an intent that is never finished"),
        pytest.param(_left_in_a_cohort, "a cohort is left", id="a canary that is never taken back"),
        pytest.param(_left_after_deletion, "left of a deleted profile", id="a deleted profile's trial"),
        pytest.param(_pods_run_something_else, "runs", id="a pod that never took it"),
    ],
)
def test_an_end_that_is_not_in_one_piece_is_found(plant: Callable[[World], Awaitable[None]], words: str) -> None:
    async def run() -> list[str]:
        world = await RUNNER.world("hot")
        watch = Watch(world)
        watch.woken(NAME)
        assert unfinished(world, watch) == []
        await plant(world)
        return unfinished(world, watch)

    assert words in "".join(asyncio.run(run()))


@pytest.mark.parametrize(
    ("room", "said", "found"),
    [
        pytest.param(False, True, "", id="no room, and said"),
        pytest.param(True, True, "started with", id="there is room"),
        pytest.param(False, False, "started with", id="nothing said"),
    ],
)
def test_a_pod_with_a_former_variable_is_no_loss_where_it_is_said_to_wait_for_room(
    room: bool, said: bool, found: str
) -> None:
    async def run() -> list[str]:
        world = await RUNNER.world("admitted")
        watch = Watch(world)
        watch.woken(NAME)
        pod = world.apps[NAME].pods[0]
        pod.env["lanes"] = 1
        if not room:
            world.shop = replace(world.shop, limit=world.worst())
        if said:
            await _says(world, "Progressing", "False", "WaitingForBudget", pod.name)
        return unfinished(world, watch)

    left = "".join(asyncio.run(run()))
    assert found in left and bool(left) is bool(found)


@pytest.mark.parametrize(
    ("most", "lost"),
    [
        pytest.param(1, [], id="beyond a maximum of 1 it stays owed"),
        pytest.param(2, ["workers=2 is owed and fits, but 1 stands"], id="within one of 2 it is missed"),
    ],
)
def test_what_is_owed_beyond_narrowed_limits_is_no_loss(most: int, lost: list[str]) -> None:
    """Seed 610001079."""

    async def run() -> list[str]:
        world = await RUNNER.world("hot")
        watch = Watch(world)
        await _left_lowered(world, 2)
        await limits.by_profile(world, NAME, "workers", {"max": most})
        return unfinished(world, watch)

    left = asyncio.run(run())
    assert [line for line in left if "owed" in line] == [f"at_last_known_good: {NAME}: {text}" for text in lost]


def test_what_is_owed_and_does_not_fit_is_no_loss() -> None:
    """Somebody set pool=5 meanwhile: 4 pods x 2 x 5 = 40 of 18, and 1 worker alone is above the limit by his doing."""

    async def run() -> list[str]:
        world = await RUNNER.world("hot")
        watch = Watch(world)
        await _left_lowered(world, 2)
        await written(world, pool=5)
        ledger = world.ledger(NAME)
        assert ledger is not None and ledger.incumbent is not None
        await remembered(world, replace(ledger, incumbent=ledger.incumbent.with_values(pool=Fraction(5))))
        watch.good[NAME].add(("pool", 5))
        await world.others_step()
        return [line for line in unfinished(world, watch) if "owed" in line]

    assert asyncio.run(run()) == []


@pytest.mark.parametrize(
    ("limit", "said", "words"),
    [
        pytest.param(16, False, "", id="it fits"),
        pytest.param(15, False, "though", id="one less, and what is ours could be lowered"),
        pytest.param(15, True, "though", id="to say so is not enough then"),
        pytest.param(3, False, "nobody says so", id="nothing that is ours would make it fit, and nobody says so"),
        pytest.param(3, True, "", id="which is said"),
    ],
)
def test_a_budget_that_is_left_exceeded_is_found(limit: int, said: bool, words: str) -> None:
    """4 pods x 2 x 2 = 16; with 1 worker and a pool of 1 in each they are 4."""

    async def run() -> list[str]:
        world = await RUNNER.world("hot")
        watch = Watch(world)
        world.shop = replace(world.shop, limit=limit)
        if said:
            await _says(world, "Degraded", "True", "BudgetExceeded")
        return unfinished(world, watch)

    left = asyncio.run(run())
    assert [line.partition(":")[0] for line in left] == (["budget_holds_or_is_said"] if words else [])
    assert words in "".join(left)


async def _says(world: World, kind: str, status: str, reason: str, message: str = "") -> None:
    """The operator's own client sets this condition."""
    told = {"type": kind, "status": status, "reason": reason, "message": message}
    rest = [c for c in (world.profile(NAME) or {})["status"]["conditions"] if c["type"] != kind]
    operations = [{"op": "replace", "path": "/status/conditions", "value": [*rest, told]}]
    await world.server.json_patch(Ref(PROFILE, NAMESPACE, NAME), operations, subresource="status")


@pytest.mark.parametrize(
    ("most", "lost"),
    [
        pytest.param(1, [], id="under a maximum of 1 a minimum of 2 is no HPA"),
        pytest.param(2, ["min_replicas=2 is owed and fits, but 1 stands"], id="under one of 2 it is missed"),
    ],
)
def test_a_minimum_that_is_owed_is_missed_once_the_maximum_lets_it_stand(most: int, lost: list[str]) -> None:
    """Somebody set the maximum, and our rollback left the minimum at 1. 2 pods x 2 x 2 = 8 of 20 fit in either case."""

    async def run() -> list[str]:
        world = await RUNNER.world("created")
        watch = Watch(world)
        operation = {"op": "replace", "path": "/spec/minReplicas", "value": 1}
        await world.server.json_patch(_hpa(world), [operation])
        await world.patch(_hpa(world), "/spec/maxReplicas", most)
        ledger = world.ledger(NAME)
        assert ledger is not None and ledger.incumbent is not None
        here = ledger.incumbent.with_values(min_replicas=Fraction(1), max_replicas=Fraction(most))
        await remembered(world, replace(ledger, incumbent=here, owed=Setting({"min_replicas": Fraction(2)})))
        await world.others_step()
        return [line.partition(f"{NAME}: ")[2] for line in unfinished(world, watch)]

    assert asyncio.run(run()) == lost


def test_a_byte_of_somebody_elses_that_changed_is_found() -> None:
    async def run() -> list[str]:
        world = await RUNNER.world("places")
        watch = Watch(world)
        text = documents.APP.replace("# theirs", "# ours")
        operation = {"op": "replace", "path": "/data/app.yaml", "value": text}
        await world.server.json_patch(world.apps[NAME].theirs_ref, [operation])
        return unfinished(world, watch)

    assert "their ConfigMap reads" in "".join(asyncio.run(run()))


def test_nothing_is_found_where_nothing_is_planted() -> None:
    """A trial, a rollback on request and a restart; and leaving steps out of such a schedule leaves it whole."""
    steps = (Step("proposal of the model", 5, 3), Step("verb rollback", 4, 2), Step("operator restarted", 5, 1))
    schedule = Schedule(0, "hot", steps)

    async def run() -> tuple[list[str], Schedule]:
        outcome = await RUNNER.run(schedule)
        assert "TrialStarted" in outcome.log[0][2]
        return outcome.violations, await minimise(RUNNER, schedule)

    assert asyncio.run(run()) == ([], schedule)
