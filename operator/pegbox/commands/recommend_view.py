"""How `recommend` says its answer: what was seen, each knob with its why, the prediction or what it lacks."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pegbox.commands import output
from pegbox.core.slo import SloState, judge
from pegbox.model.knobs import Knob, KnobMode
from pegbox.model.observations import Attainment, Measured, Missing, Observation
from pegbox.model.profile import Slo
from pegbox.model.proposals import Proposal
from pegbox.model.reasons import SENTENCES
from pegbox.model.roles import BUSY_PREFIX, busy_signal
from pegbox.model.units import format_duration

if TYPE_CHECKING:
    from pegbox.commands.recommend import Advice

UNSEEN = "not seen without a cluster: owners of values, rollouts, restarts, freezes by others, earlier failed trials"


def show(advice: Advice, *, as_json: bool) -> None:
    if as_json:
        output.show_json(body(advice))
        return
    output.show([*_head(advice), "", *_knobs(advice), "", *_verdict(advice), *_prediction(advice), *_notes(advice)])


def _head(advice: Advice) -> list[str]:
    spec, seen = advice.spec, advice.observation
    first = f"{spec.key}: {spec.target.kind} {spec.target.name}, class {spec.class_name}, {spec.objective.value}"
    if isinstance(seen, Missing):
        return [first, f"observed: nothing: {said(seen)}"]
    window = format_duration(Fraction(advice.wish.window))
    return [
        first,
        f"observed over {window} until {output.moment(seen.window.end)}, {seen.pods} pods: "
        f"load {output.rate(seen.offered_load)}, throughput {output.rate(seen.throughput)}, "
        f"mean latency {output.span(seen.latency)}, P95 {output.span(seen.quantiles['p95'])}, "
        f"failed {output.share(seen.errors)}",
        *(f"SLO {slo.name}: {_slo(slo, seen)}" for slo in spec.slos),
    ]


def _slo(slo: Slo, seen: Observation) -> str:
    found = seen.slos.get(slo.name)
    verdict = judge(slo, found) if found is not None else None
    goal = f"goal {float(slo.goal * 100):.4g}%"
    if not isinstance(found, Attainment):
        return f"unknown, {goal}: {said(found) if found is not None else 'not asked'}"
    text = f"{found.share:.2%} of {found.total:.0f} events good, {goal}"
    if verdict is None or isinstance(verdict, Missing):
        return f"{text}: unknown: {said(verdict)}" if verdict is not None else text
    return f"{text}: {'met' if verdict.state is SloState.MET else 'missed'}"


def _knobs(advice: Advice) -> list[str]:
    rows = [(k.name, now(advice, k), recommended(advice, k), why(advice, k)) for k in advice.spec.space.knobs]
    if not rows:
        return ["no knob is known: export pegbox_setting_value, name knobs in the profile, or give --set knob=value"]
    return output.table(("KNOB", "NOW", "RECOMMENDED", "WHY"), rows)


def now(advice: Advice, knob: Knob) -> str:
    """The value in force, or Unknown."""
    if not isinstance(advice.setting, Missing) and knob.name in advice.setting:
        return knob.type.format(advice.setting[knob.name])
    value = advice.wish.given.get(knob.name, advice.values.get(knob.name))
    return "Unknown" if value is None or isinstance(value, Missing) else knob.type.format(value)


def recommended(advice: Advice, knob: Knob) -> str:
    if isinstance(advice.proposal, Missing) or knob.name not in advice.proposal.setting:
        return "-"
    value = knob.type.format(advice.proposal.setting[knob.name])
    return value if value != now(advice, knob) else "-"


def why(advice: Advice, knob: Knob) -> str:
    """One knob's reason: its evidence, and what limits the step."""
    if knob.pinned is not None:
        return "pinned by the profile"
    if knob.mode is KnobMode.RECOMMEND:
        return "mode Recommend: not moved by the tuner"
    if now(advice, knob) == "Unknown":
        return "its value is not known"
    parts = [_busy(advice, knob)]
    proposal = advice.proposal
    if isinstance(proposal, Proposal) and recommended(advice, knob) != "-":
        wish = proposal.uncapped.get(knob.name)
        if wish is not None and wish != proposal.setting[knob.name]:
            parts.append(f"wish {knob.type.format(wish)}, limited by step, bounds, rules or budgets")
    return "; ".join(p for p in parts if p)


def _busy(advice: Advice, knob: Knob) -> str:
    seen = advice.observation
    if isinstance(seen, Missing):
        return "no data"
    found: Measured | None = seen.signals.get(busy_signal(knob.name))
    if found is None:
        return "no signal of its use"
    return f"use unknown: {found.reason.value}" if isinstance(found, Missing) else f"busy for {found:.0%}"


def _verdict(advice: Advice) -> list[str]:
    if isinstance(advice.proposal, Proposal):
        return [f"recommended ({advice.proposal.kind.value}): {advice.proposal.why}"]
    if advice.code == output.Exit.OK:
        return [f"nothing better: {said(advice.proposal)}"]
    return [f"no recommendation: {said(advice.proposal)}"]


def _prediction(advice: Advice) -> list[str]:
    if not advice.expected:
        model = advice.model
        if model == advice.proposal:
            return _lacking(advice)
        reason = said(model) if isinstance(model, Missing) else "the offered load is not known"
        return [f"no prediction: {reason}", *_lacking(advice)]
    load = advice.expected[0].load
    heads = ("", "NOW", "RECOMMENDED")[: len(advice.expected) + 1]
    rows = [
        ("capacity", *(output.rate_interval(e.capacity) for e in advice.expected)),
        ("mean latency", *(output.span_interval(e.latency) for e in advice.expected)),
        ("seen before", *("yes, or nearby" if e.in_domain else "no: extrapolated" for e in advice.expected)),
    ]
    return [f"predicted at {load:.4g}/s over all pods (90 % interval):", *output.table(heads, rows, "  ")]


def _lacking(advice: Advice) -> list[str]:
    """What data a prediction would need, from what is absent."""
    found = [f"  missing: {name}: {said(value)}" for name, value in gaps(advice).items()]
    if isinstance(advice.observation, Observation) and not advice.wish.windows:
        found.append("  learned from one window: give --history 6h to learn from how load and settings varied")
    return found


def gaps(advice: Advice) -> dict[str, Missing]:
    """What could not be measured, by name."""
    seen = advice.observation
    if isinstance(seen, Missing):
        return {}
    figures: dict[str, Measured] = {
        "offered load": seen.offered_load,
        "throughput": seen.throughput,
        "mean latency": seen.latency,
        **{f"use of {n.removeprefix(BUSY_PREFIX)}": v for n, v in seen.signals.items() if _of_interest(advice, n)},
    }
    return {name: value for name, value in figures.items() if isinstance(value, Missing)}


def _of_interest(advice: Advice, signal: str) -> bool:
    return signal.startswith(BUSY_PREFIX) and signal.removeprefix(BUSY_PREFIX) in advice.spec.space


def _notes(advice: Advice) -> list[str]:
    learned = advice.learned
    out = [""]
    if learned.used or learned.left_out:
        settings = len({row.setting for row in learned.rows})
        out.append(f"learned from {learned.used} windows of {settings} settings{_left_out(advice)}")
    if advice.wish.given and advice.wish.windows:
        out.append(f"taken as unchanged over the history, by --set: {', '.join(sorted(advice.wish.given))}")
    for item in advice.spec.budgets:
        if item.ref and item.ref not in advice.wish.documents.budgets:
            out.append(f"SharedBudget {item.ref} is not known: add it to the profile's file; no raise is admitted")
    return [*out, UNSEEN]


def _left_out(advice: Advice) -> str:
    counted = advice.learned.left_out
    texts = [f"{count} {reason}" for reason, count in sorted(counted.items())]
    return f"; left out: {', '.join(texts)}" if texts else ""


def said(missing: Missing) -> str:
    """Reason, its sentence, and the detail."""
    detail = f" ({missing.detail})" if missing.detail else ""
    return f"{missing.reason.value}: {SENTENCES[missing.reason]}{detail}"


def body(advice: Advice) -> dict[str, Any]:
    """The answer for programs. Absent figures are {reason, detail}."""
    seen, proposal = advice.observation, advice.proposal
    return {
        "profile": advice.spec.key,
        "class": advice.spec.class_name,
        "at": output.moment(advice.at),
        "observation": output.missing_json(seen) if isinstance(seen, Missing) else _observation(seen),
        "knobs": [
            {
                "name": k.name,
                "now": now(advice, k),
                "recommended": None if recommended(advice, k) == "-" else recommended(advice, k),
                "why": why(advice, k),
            }
            for k in advice.spec.space.knobs
        ],
        "recommendation": output.missing_json(proposal)
        if isinstance(proposal, Missing)
        else {
            "kind": proposal.kind.value,
            "why": proposal.why,
            "setting": advice.spec.space.format(proposal.setting),
            "uncapped": advice.spec.space.format(proposal.uncapped),
        },
        "prediction": _expected(advice),
        "gaps": {name: output.missing_json(value) for name, value in gaps(advice).items()},
        "learned": {"windows": advice.learned.used, "leftOut": dict(advice.learned.left_out)},
    }


def _expected(advice: Advice) -> Any:
    if not advice.expected:
        return output.missing_json(advice.model) if isinstance(advice.model, Missing) else None
    return {
        name: {
            "load": e.load,
            "capacity": output.interval_json(e.capacity),
            "latency": output.interval_json(e.latency),
            "inDomain": e.in_domain,
        }
        for name, e in zip(("now", "recommended"), advice.expected, strict=False)
    }


def _observation(seen: Observation) -> dict[str, Any]:
    return {
        "start": output.moment(seen.window.start),
        "end": output.moment(seen.window.end),
        "pods": seen.pods,
        "load": output.measured_json(seen.offered_load),
        "throughput": output.measured_json(seen.throughput),
        "latency": output.measured_json(seen.latency),
        "failed": output.measured_json(seen.errors),
        "slos": {
            name: output.missing_json(found)
            if isinstance(found, Missing)
            else {"share": found.share, "events": found.total}
            for name, found in seen.slos.items()
        },
    }
