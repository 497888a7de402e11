"""What `explain` knows, as one body of plain values: printed as JSON, or put into words by explain_view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from pegbox.api.status import number
from pegbox.commands import output
from pegbox.commands.fresh import Fresh, Thought
from pegbox.core import cohorts
from pegbox.model.knobs import Knob, KnobMode, SearchSpace, Setting
from pegbox.model.observations import Missing
from pegbox.model.prediction import Prediction
from pegbox.model.proposals import Proposal
from pegbox.model.reasons import SENTENCES, Reason
from pegbox.model.snapshot import Workload
from pegbox.model.trials import Ledger, TrialState, TrialSummary

Body = dict[str, Any]
SHOWN = 12  # candidates


@dataclass(frozen=True, slots=True)
class Explanation:
    """`problem` says why there is no fresh read; then status and ledger have to do."""

    profile: Body
    now: datetime
    fresh: Fresh | None = None
    thought: Thought | None = None
    ledger: Ledger | None = None
    ledger_problem: str = ""
    problem: str = ""

    @property
    def status(self) -> Body:
        found: Body = self.profile.get("status") or {}
        return found


def body(found: Explanation, trials: int) -> Body:
    """Everything that is known, as plain JSON values."""
    spec, status, meta = found.profile["spec"], found.status, found.profile["metadata"]
    target = spec.get("targetRef", {})
    return {
        "profile": f"{meta['namespace']}/{meta['name']}",
        "target": f"{target.get('kind')} {target.get('name')}",
        "mode": spec.get("mode", "Recommend"),
        "class": spec.get("classRef", {}).get("name"),
        "classGeneration": status.get("classGeneration"),
        "why": status.get("why", "the operator has not worked on this profile yet: is it running? see pegbox doctor"),
        "next": status.get("next", ""),
        "problem": found.problem,
        "conditions": [
            {k: c.get(k, "") for k in ("type", "status", "reason", "message")} for c in _list(status, "conditions")
        ],
        "knobs": _knobs(found),
        "slos": _list(status, "slos"),
        "budgets": _list(status, "budgets"),
        "observation": _observation(found),
        "wish": _wish(found),
        "verdicts": _verdicts(found),
        "model": _model(found),
        "forecast": dict((found.status.get("model") or {}).get("forecast") or {}),
        "prediction": _prediction(found),
        "curves": _curves(found),
        "considered": _considered(found),
        "searched": _searched(found),
        "frontier": _frontier(found),
        "breaker": _breaker(found),
        "intent": _intent(found),
        "lastKnownGood": _ladder(found),
        "trials": _trials(found, trials),
        "ledger": found.ledger_problem or "read",
    }


def _list(status: Mapping[str, Any], name: str) -> list[Body]:
    return list(status.get(name) or [])


def _knobs(found: Explanation) -> list[Body]:
    """Value, wish, whether it may be written, and where the value comes from."""
    told = {k["name"]: k for k in _list(found.status, "knobs")}
    if found.fresh is None:
        return [
            {
                "name": k["name"],
                "value": k.get("value", ""),
                "wish": k.get("proposed"),
                "writable": k.get("writable", "Unknown"),
                "owner": k.get("owner"),
                "why": k.get("reason", "as status says"),
            }
            for k in told.values()
        ]
    snapshot = found.fresh.snapshot
    out = []
    for knob in snapshot.spec.space.knobs:
        held = snapshot.held.get(knob.name)
        value = held.value if held is not None else None
        known = value is not None and not isinstance(value, Missing)
        refusal = held.refusal if held is not None else None
        out.append(
            {
                "name": knob.name,
                "value": knob.type.format(value) if known else f"Unknown ({value})",  # type: ignore[arg-type]
                "wish": _wished(found.thought, knob),
                "writable": "True" if knob.tunable and refusal is None else "False",
                "owner": ", ".join(held.owners) if held is not None and held.owners else None,
                "why": "; ".join(p for p in (origin(snapshot.ledger, knob), str(refusal or "")) if p),
            }
        )
    return out


def _wished(thought: Thought | None, knob: Knob) -> str | None:
    if thought is None or thought.wish is None or knob.name not in thought.wish:
        return None
    return knob.type.format(thought.wish[knob.name])


def origin(ledger: Ledger, knob: Knob) -> str:
    """Where the value in force comes from: the profile, a trial, adoption, or somebody else."""
    if knob.pinned is not None:
        return "pinned by the profile"
    if knob.mode is KnobMode.RECOMMEND:
        return "mode Recommend: shown, never written"
    incumbent = ledger.incumbent
    if incumbent is None or knob.name not in incumbent or ledger.adopted is None:
        return "as it stands: not adopted yet"
    value = incumbent[knob.name]
    moved = [t for t in ledger.trials if knob.name in t.setting and t.setting[knob.name] != t.parent.get(knob.name)]
    for trial in reversed(moved):
        if trial.state is TrialState.ACCEPTED and trial.setting[knob.name] == value:
            return f"trial {trial.id} was accepted on {output.moment(trial.ended_at)}: {SENTENCES[trial.reason]}"
    if ledger.adopted is not None and ledger.adopted.get(knob.name) == value:
        return f"as it stood at adoption; {_undone(moved, knob)}"
    return "set by somebody else, or by a trial longer ago than is remembered"


def _undone(moved: list[TrialSummary], knob: Knob) -> str:
    if not moved:
        return "no trial moved it yet"
    last = moved[-1]
    return f"last tried {knob.type.format(last.setting[knob.name])}: {last.state.value} ({last.reason.value})"


def _observation(found: Explanation) -> Body:
    seen = found.fresh.snapshot.observation if found.fresh is not None else Missing(Reason.NO_DATA, found.problem)
    if isinstance(seen, Missing):
        return output.missing_json(seen)
    return {
        "start": output.moment(seen.window.start),
        "end": output.moment(seen.window.end),
        "pods": seen.pods,
        "load": output.measured_json(seen.offered_load),
        "throughput": output.measured_json(seen.throughput),
        "latency": output.measured_json(seen.latency),
        "clean": "" if seen.clean else str(seen.unclean_reason or ""),
    }


def _wish(found: Explanation) -> Body:
    if found.fresh is None or found.thought is None:
        entries = _list(found.status, "proposal")
        return {"from": "status", "setting": {e["name"]: e["value"] for e in entries}, "why": ""}
    space, thought = found.fresh.snapshot.spec.space, found.thought
    setting = {} if thought.wish is None else space.format(thought.wish)
    if isinstance(thought.proposal, Missing):
        return {"from": "status", "setting": setting, "why": _said(thought.proposal)}
    return {
        "from": "fresh read",
        "setting": setting,
        "recommended": space.format(thought.proposal.setting),
        "why": thought.proposal.why,
    }


def _verdicts(found: Explanation) -> list[Body]:
    if found.thought is None:
        return []
    return [
        {"guard": v.guard, "verdict": v.admission.value, "reason": v.reason.value, "detail": v.detail}
        for v in found.thought.verdicts
    ]


def _model(found: Explanation) -> Body:
    if found.thought is None:
        return dict(found.status.get("model") or {})
    model = found.thought.model
    if isinstance(model, Missing):
        return {"missing": _said(model)}
    report = model.report
    return {
        "samples": report.samples,
        "error": number(report.error),
        "baselineError": number(report.baseline_error),
        "coefficients": {name: number(value) for name, value in sorted(report.coefficients.items())},
        "unidentified": list(report.unidentified),
        "prior": report.prior,
    }


def _prediction(found: Explanation) -> Body | None:
    """For the setting in force, and for the proposed one, at the load of now."""
    if found.fresh is None or found.thought is None or isinstance(found.thought.model, Missing):
        return None
    snapshot, thought = found.fresh.snapshot, found.thought
    seen, incumbent = snapshot.observation, snapshot.ledger.incumbent
    if incumbent is None or isinstance(seen, Missing) or isinstance(seen.offered_load, Missing):
        return None
    settings = {"now": incumbent}
    if isinstance(thought.proposal, Proposal):
        settings["recommended"] = thought.proposal.setting
    pods = len(snapshot.workload.unfinished) if isinstance(snapshot.workload, Workload) else 1
    model = found.thought.model
    expected = model.predict(list(settings.values()), seen.offered_load, float(max(1, pods)))
    return {name: _expected(one) for name, one in zip(settings, expected, strict=True)}


def _curves(found: Explanation) -> dict[str, list[Body]]:
    """What the model expects at several values of each limit, everything else as it is."""
    if found.thought is None or found.fresh is None:
        return {}
    space = found.fresh.snapshot.spec.space
    return {
        name: [{"value": space[name].type.format(one.setting[name]), **_expected(one)} for one in curve]
        for name, curve in found.thought.curves.items()
    }


def _considered(found: Explanation) -> list[Body]:
    """The candidates that promise most, and what speaks against each."""
    return [
        {
            "changed": _moved(found, one.setting),
            "against": "" if one.against is None else _said(one.against),
            **_expected(one.expected),
        }
        for one in (found.thought.considered[:SHOWN] if found.thought is not None else ())
    ]


def _searched(found: Explanation) -> list[Body]:
    """The steps of the search that promise most, and what speaks against each."""
    return [
        {
            "changed": _moved(found, step.setting),
            "saves": output.interval_json(step.gain),
            "safe": number(step.sure),
            "against": "" if step.against is None else _said(step.against),
        }
        for step in (found.thought.searched[:SHOWN] if found.thought is not None else ())
    ]


def _frontier(found: Explanation) -> list[Body]:
    """Money per hour, and what it buys."""
    return [
        {
            "perHour": number(point.per_hour),
            "pods": point.pods,
            "changed": _moved(found, point.setting),
            **_expected(point.expected),
        }
        for point in (found.thought.frontier if found.thought is not None else ())
    ]


def _moved(found: Explanation, setting: Setting) -> dict[str, str]:
    """What differs from the setting in force, in the knobs' own words."""
    incumbent = found.fresh.snapshot.ledger.incumbent if found.fresh is not None else None
    texts = formatted(found, setting)
    return {} if incumbent is None else {name: texts[name] for name in incumbent.diff(setting)}


def _expected(one: Prediction) -> Body:
    return {
        "load": one.load,
        "capacity": output.interval_json(one.capacity),
        "latency": output.interval_json(one.latency),
        "inDomain": one.in_domain,
    }


def _breaker(found: Explanation) -> Body:
    if found.ledger is None:
        return dict(found.status.get("breaker") or {})
    breaker = found.ledger.breaker
    until = "" if breaker.until is None else output.moment(breaker.until)
    return {"state": breaker.state.value, "failures": breaker.failures, "opened": breaker.opened, "until": until}


def _intent(found: Explanation) -> Body | None:
    intent = found.ledger.intent if found.ledger is not None else None
    if intent is None:
        return None
    unread = Missing(Reason.NO_DATA, "not read afresh")
    workload = found.fresh.snapshot.workload if found.fresh is not None else unread
    space = found.fresh.snapshot.spec.space if found.fresh is not None else SearchSpace(())
    return {
        "id": intent.id,
        "kind": intent.kind.value,
        "stage": f"{intent.stage + 1} of {len(intent.stages)}",
        "canary": cohorts.in_words(space, intent, workload),
        "canaryPods": list(intent.cohort.pods) if intent.cohort is not None and intent.split else [],
        "target": formatted(found, intent.target),
        "since": output.moment(intent.started_at),
        "inForceSince": "" if intent.in_force_at is None else output.moment(intent.in_force_at),
        "why": intent.why or SENTENCES[intent.reason],
    }


def _ladder(found: Explanation) -> list[Body]:
    if found.ledger is None:
        return []
    return [
        {
            "setting": formatted(found, rung.setting),
            "provenLoad": rung.proven_load,
            "windows": rung.replicates,
            "latency": rung.latency,
        }
        for rung in found.ledger.ladder
    ]


def _trials(found: Explanation, count: int) -> list[Body]:
    """The newest first."""
    if found.ledger is None:
        return []
    newest = found.ledger.trials[-count:] if count else ()
    return [
        {
            "id": trial.id,
            "ended": output.moment(trial.ended_at),
            "state": trial.state.value,
            "reason": trial.reason.value,
            "why": SENTENCES[trial.reason],
            "changed": _changes(found, trial),
            "predictedThroughput": trial.predicted_throughput,
            "throughput": trial.throughput,
            "latency": trial.latency,
        }
        for trial in reversed(newest)
    ]


def _changes(found: Explanation, trial: TrialSummary) -> dict[str, list[str]]:
    before, after = formatted(found, trial.parent), formatted(found, trial.setting)
    return {name: [before.get(name, ""), after.get(name, "")] for name in trial.parent.diff(trial.setting)}


def formatted(found: Explanation, setting: Setting) -> dict[str, str]:
    """In the knobs' own words; without a fresh read their types are not known, and base units have to do."""
    if found.fresh is not None:
        space = found.fresh.snapshot.spec.space
        return {**_plain(setting), **space.format(setting)}
    return _plain(setting)


def _plain(setting: Setting) -> dict[str, str]:
    return {n: number(v) if isinstance(v, Fraction) else str(v).lower() for n, v in setting.items()}


def _said(missing: Missing) -> str:
    detail = f" ({missing.detail})" if missing.detail else ""
    return f"{missing.reason.value}: {SENTENCES[missing.reason]}{detail}"
