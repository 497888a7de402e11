"""One profile read afresh, as the operator reads it, without writing anything: for `explain` and `doctor`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from pegbox import learning
from pegbox.adapters.kube import resources
from pegbox.api.status import in_force, read_conditions
from pegbox.core import decide, forecasts, guards, incumbent, propose, searching
from pegbox.core.candidates import knobs_with, ladder
from pegbox.core.considered import Considered, considered
from pegbox.core.frontier import Point, frontier
from pegbox.model.brakes import Brakes, Stop
from pegbox.model.decisions import ConditionType, Verdict
from pegbox.model.knobs import SearchSpace, Setting
from pegbox.model.observations import Missing, Observation
from pegbox.model.prediction import Prediction, Predictor
from pegbox.model.profile import Mode
from pegbox.model.proposals import Proposal
from pegbox.model.reasons import SENTENCES, Reason
from pegbox.model.roles import Role
from pegbox.model.searching import Step
from pegbox.model.snapshot import Snapshot, Workload
from pegbox.model.trials import Ledger
from pegbox.ports import Cluster, MetricsSource
from pegbox.runtime import observing, pod_env, predicting, reading
from pegbox.runtime.holding import held
from pegbox.runtime.reading import Objects

UNASKED = Missing(Reason.METRICS_UNREACHABLE, "no metrics server was named: give --prometheus or --config")
Reported = Mapping[str, Mapping[str, float]] | Missing


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a wake of the operator would see now; `reported` is pod -> knob -> value in base units."""

    found: Objects
    snapshot: Snapshot
    reported: Reported


@dataclass(frozen=True, slots=True)
class Thought:
    """What it would make of that: model, proposal, and every guard's word on starting it now."""

    model: Predictor | Missing
    proposal: Proposal | Missing
    wish: Setting | None  # uncapped
    verdicts: tuple[Verdict, ...]
    considered: tuple[Considered, ...] = ()
    curves: Mapping[str, tuple[Prediction, ...]] = field(default_factory=dict)
    frontier: tuple[Point, ...] = ()
    searched: tuple[Step, ...] = ()


async def read(cluster: Cluster, source: MetricsSource | None, key: tuple[str, str], now: datetime) -> Fresh:
    """Raises NotFound, Unacceptable (the profile cannot be worked on), NotAvailable, Refused."""
    namespace, name = key
    found = await reading.read_rest(cluster, await reading.read_spec(cluster, namespace, name, None))
    acks = UNASKED if source is None else await source.acknowledgements(namespace, now)
    reported: Reported = UNASKED if source is None else await source.setting_values(namespace, found.known, now)
    found = reading.with_acknowledgements(found, acks)
    exported = _exported(found, reported)
    if exported:
        found = replace(found, spec=(await reading.read_spec(cluster, namespace, name, exported)).spec)
    values = held(found, reported)
    found = pod_env.with_admitted(found, values)
    snapshot = Snapshot(
        spec=found.spec,
        ledger=found.stored or Ledger(profile_uid=found.spec.uid),
        workload=found.workload,
        held=values,
        document=found.document,
        observation=UNASKED,
        budgets=reading.budget_facts(found, now),
        requests=reading.requests(found),
        containers=resources.template_sizes(found.target, found.spec.target.container),
        deleting=found.deleting,
        acks=acks if isinstance(acks, Missing) else None,
        refusal=found.refusal,
        brakes=brakes_told(found),
        claimed=found.claimed,
    )
    if snapshot.ledger.incumbent is None:
        setting = decide.baseline_setting(snapshot)
        if not isinstance(setting, Missing):
            snapshot = replace(snapshot, ledger=replace(snapshot.ledger, incumbent=setting))
    return Fresh(found, snapshot if source is None else await _observe(source, snapshot, now), reported)


def _exported(found: Objects, reported: Reported) -> frozenset[str]:
    """The knobs that the application knows: by its metrics, else by what was adopted or written before."""
    if not isinstance(reported, Missing) and isinstance(found.workload, Workload):
        mine = {pod.name for pod in found.workload.unfinished}
        return frozenset(name for pod, values in reported.items() if pod in mine for name in values)
    if found.stored is not None and found.stored.incumbent is not None:
        return frozenset(found.stored.incumbent)
    return frozenset() if isinstance(found.document, Missing) else frozenset(found.document.values)


async def _observe(source: MetricsSource, snapshot: Snapshot, now: datetime) -> Snapshot:
    """The newest window of the setting in force; it also stands for the windows before it, which are not kept."""
    setting = in_force(snapshot.ledger, snapshot)
    if setting is None:
        return replace(snapshot, observation=Missing(Reason.BASELINE_UNKNOWN, "the setting in force is not known"))
    intent = snapshot.ledger.intent
    asked = observing.question(snapshot, setting, intent.in_force_at if intent else None, now)
    seen = await observing.look(source, asked)
    newest = seen.observation
    if setting == snapshot.ledger.incumbent:
        newest = incumbent.set_apart(snapshot.spec, snapshot.ledger, newest)
    clean = (newest,) if isinstance(newest, Observation) and newest.clean else ()
    return replace(snapshot, observation=newest, baseline_windows=clean, slos=seen.slos)


def brakes_told(found: Objects) -> Brakes:
    """The workload's own opt-out, and what the operator last said of brakes over all profiles."""
    opted_out, text = reading.opt_out(found.target)
    said = read_conditions(found.profile.get("status") or {}).get(ConditionType.PROGRESSING)
    reason = said.reason if said is not None else None
    message = said.message.removeprefix(f"{SENTENCES[said.reason]}: ") if said is not None else ""
    stop = Stop.STOP if reason is Reason.STOPPED else None
    held = Missing(Reason.FLEET_BREAKER_OPEN, message) if reason is Reason.FLEET_BREAKER_OPEN else None
    return Brakes(stop, message if stop is not None else "", opted_out, text, held)


def think(fresh: Fresh, now: datetime) -> Thought:
    """Model, proposal and verdicts. Where nothing can be proposed now, the operator's last wish is judged."""
    snapshot = fresh.snapshot
    spec, ledger = snapshot.spec, snapshot.ledger
    recent = forecasts.of_the_last_day(ledger, now)
    model = learning.fit(spec.space, spec.roles, ledger.rows, ledger.forecasts, recent)
    acting = model
    if not isinstance(model, Missing) and not predicting.trusted(recent):
        acting = Missing(Reason.MODEL_INACCURATE)
    proposal, searched = _proposal(snapshot, acting)
    verdicts = guards.readiness(snapshot, now)
    wish = told(fresh.found.profile.get("status") or {}, spec.space, ledger.incumbent)
    wanted = wish
    if isinstance(proposal, Proposal):
        wish, wanted = proposal.uncapped, proposal.setting
    if ledger.incumbent is not None and wanted is not None and ledger.intent is None:
        verdicts += guards.setting(snapshot, ledger.incumbent, wanted)
    return Thought(model, proposal, wish, verdicts, *_by_model(snapshot, model), searched)


def _by_model(
    snapshot: Snapshot, model: Predictor | Missing
) -> tuple[tuple[Considered, ...], Mapping[str, tuple[Prediction, ...]], tuple[Point, ...]]:
    """What the model says of every candidate, of each limit's values, and of what money buys, at the load of now."""
    incumbent = snapshot.ledger.incumbent
    if isinstance(model, Missing) or incumbent is None or snapshot.ledger.intent is not None:
        return (), {}, ()
    asked = predicting.request(snapshot)
    if isinstance(asked.load, Missing):
        return (), {}, ()
    candidates = considered(asked, model, lambda wanted: guards.setting(snapshot, incumbent, wanted))
    curves = {}
    for knob in knobs_with(asked, Role.CONCURRENCY, Role.POOL, Role.BATCH, Role.REPLICAS):
        values = ladder(knob, incumbent.number(knob.name))
        settings = [incumbent.with_values(**{knob.name: value}) for value in values]
        curves[knob.name] = tuple(model.predict(settings, asked.load, asked.pods))
    bought = frontier(snapshot.spec, snapshot.containers, asked, model)
    return tuple(candidates), curves, tuple(bought)


def _proposal(snapshot: Snapshot, model: Predictor | Missing) -> tuple[Proposal | Missing, tuple[Step, ...]]:
    """What would be proposed, and the steps that the search looked at where it was asked."""
    ledger, seen = snapshot.ledger, snapshot.observation
    if ledger.intent is not None:
        return Missing(Reason.TRIAL_IN_FLIGHT, f"{ledger.intent.kind.value} {ledger.intent.id}"), ()
    if ledger.incumbent is None:
        return Missing(Reason.BASELINE_UNKNOWN, "the setting in force is not known"), ()
    if snapshot.spec.mode is Mode.OBSERVE:
        return Missing(Reason.MODE_OBSERVE), ()
    if isinstance(seen, Missing):
        return seen, ()
    asked = predicting.request(snapshot)
    found = propose.propose(asked, model)
    if isinstance(found, Proposal) or found.reason not in searching.LEAVES_ROOM:
        return found, ()
    wanted = searching.request(snapshot, asked)
    if isinstance(wanted, Missing):
        return searching.answer(asked, found, wanted), ()
    suggested, steps = learning.weigh(wanted)
    return searching.answer(asked, found, suggested), tuple(steps)


def told(status: Mapping[str, object], space: SearchSpace, incumbent: Setting | None) -> Setting | None:
    """The wish that status shows, completed by the incumbent; None where there is none, or it is not of these knobs."""
    entries = status.get("proposal")
    if incumbent is None or not isinstance(entries, list) or not entries:
        return None
    try:
        values = space.parse({str(e["name"]): str(e["value"]) for e in entries})
    except (ValueError, KeyError, TypeError):
        return None
    return Setting({**incumbent, **{n: v for n, v in values.items() if n in incumbent}})
