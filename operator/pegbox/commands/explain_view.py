"""How `explain` puts its body into words."""

from __future__ import annotations

from typing import Any

from pegbox.commands import output

Body = dict[str, Any]


def text(found: Body) -> list[str]:
    """The lines that people read; sections without content are left out."""
    sections = (
        _head(found),
        _knobs(found),
        _wish(found),
        _verdicts(found),
        _model(found),
        _curves(found),
        _considered(found),
        _searched(found),
        _frontier(found),
        _state(found),
        _trials(found),
        _conditions(found),
    )
    lines: list[str] = []
    for section in sections:
        if section:
            lines += ["", *section] if lines else section
    return lines


def _head(found: Body) -> list[str]:
    used = found["classGeneration"]
    generation = f" (generation {used} in use)" if used else ""
    lines = [
        f"{found['profile']}: {found['target']}, class {found['class']}{generation}, mode {found['mode']}",
        f"why:  {found['why']}",
    ]
    if found["next"]:
        lines.append(f"next: {found['next']}")
    if found["problem"]:
        lines.append(f"not read afresh, what follows is the profile's status: {found['problem']}")
    return lines


def _knobs(found: Body) -> list[str]:
    rows = [(k["name"], k["value"], k["wish"] or "-", k["writable"], k["why"]) for k in found["knobs"]]
    return output.table(("KNOB", "VALUE", "WISH", "WRITABLE", "WHY"), rows) if rows else []


def _wish(found: Body) -> list[str]:
    wish, seen = found["wish"], found["observation"]
    lines = []
    if "load" in seen:
        figures = ", ".join(f"{name} {_figure(name, seen[name])}" for name in ("load", "throughput", "latency"))
        unclean = f"; not learned from: {seen['clean']}" if seen["clean"] else ""
        lines.append(f"observed until {seen['end']}, {seen['pods']} pods: {figures}{unclean}")
    elif seen["reason"] and not found["problem"]:
        lines.append(f"observed: nothing: {seen['reason']}: {seen['detail']}")
    if wish["why"]:
        lines.append(f"{'proposal' if 'recommended' in wish else 'no proposal'}: {wish['why']}")
    if wish["setting"]:
        lines.append(f"uncapped wish (from the {wish['from']}): {_setting(wish['setting'])}")
    return lines


def _figure(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return str(value["reason"])
    return output.span(value) if name == "latency" else output.rate(value)


def _setting(values: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _verdicts(found: Body) -> list[str]:
    rows = [(v["guard"], v["verdict"], v["reason"], v["detail"]) for v in found["verdicts"]]
    return output.table(("GUARD", "VERDICT", "REASON", "DETAIL"), rows) if rows else []


def _model(found: Body) -> list[str]:
    model, predicted = found["model"], found["prediction"]
    lines = []
    if model.get("samples"):
        against = f"error {model.get('error')} against the baseline's {model.get('baselineError')}"
        lines.append(f"model: {model['samples']} samples, {against} (mean absolute log-error)")
    coefficients = model.get("coefficients") or {}
    if isinstance(coefficients, list):  # as in status
        coefficients = {c["name"]: c["value"] for c in coefficients}
    if coefficients:
        lines.append(f"  learned: {_setting(coefficients)}")
    if model.get("unidentified"):
        lines.append(f"  not identifiable yet: {', '.join(model['unidentified'])}")
    if model.get("prior"):
        lines.append(f"  prior: {model['prior']}")
    if model.get("missing"):
        lines.append(f"model: {model['missing']}")
    lines += _forecast(found["forecast"])
    for name, one in (predicted or {}).items():
        capacity, latency = _expectation(one)
        lines.append(f"  predicted {name} at {one['load']:.4g}/s: capacity {capacity}, mean latency {latency}")
    return lines


def _curves(found: Body) -> list[str]:
    rows = [
        (name if i == 0 else "", one["value"], *_expectation(one), "" if one["inDomain"] else "not vouched for")
        for name, curve in found["curves"].items()
        for i, one in enumerate(curve)
    ]
    return output.table(("LIMIT", "AT", "CAPACITY", "MEAN LATENCY", ""), rows) if rows else []


def _considered(found: Body) -> list[str]:
    rows = [(_setting(one["changed"]), *_expectation(one), one["against"] or "-") for one in found["considered"]]
    return output.table(("CANDIDATE", "CAPACITY", "MEAN LATENCY", "AGAINST IT"), rows) if rows else []


def _searched(found: Body) -> list[str]:
    rows = []
    for step in found["searched"]:
        saves = step["saves"]
        text = f"{saves['mean']:.1%} ({saves['low']:.1%} to {saves['high']:.1%})"
        rows.append((_setting(step["changed"]), text, f"{float(step['safe']):.0%}", step["against"] or "-"))
    return output.table(("STEP OF THE SEARCH", "SAVES", "SAFE WITH", "AGAINST IT"), rows) if rows else []


def _frontier(found: Body) -> list[str]:
    rows = [
        (one["perHour"], str(one["pods"]), *_expectation(one), _setting(one["changed"]) or "as it is")
        for one in found["frontier"]
    ]
    return output.table(("MONEY PER HOUR", "PODS", "CAPACITY", "MEAN LATENCY", "SETTING"), rows) if rows else []


def _expectation(one: Body) -> tuple[str, str]:
    """Mean and 90 % interval, each."""
    capacity, latency = one["capacity"], one["latency"]
    return (
        f"{capacity['mean']:.4g}/s ({capacity['low']:.4g} to {capacity['high']:.4g})",
        f"{output.span(latency['mean'])} ({output.span(latency['low'])} to {output.span(latency['high'])})",
    )


def _forecast(said: Body) -> list[str]:
    """The operator's own word: a fresh read has no history."""
    if said.get("missing"):
        return [f"load forecast (from status): none, all is as without: {said['missing']}"]
    if not said:
        return []
    text = f"at most {said['upper']}/s in {said['horizon']} ({said['level']} of the time), {said['load']}/s now"
    return [f"load forecast (from status): {text}"]


def _state(found: Body) -> list[str]:
    breaker, intent = found["breaker"], found["intent"]
    lines = []
    if breaker:
        until = f", until {breaker['until']}" if breaker.get("until") else ""
        lines.append(f"breaker: {breaker['state']}, {breaker['failures']} failures in a row{until}")
    if intent:
        since = f"in force since {intent['inForceSince']}" if intent["inForceSince"] else "not yet in force"
        lines.append(f"under way: {intent['kind']} {intent['id']}, stage {intent['stage']}, {since}: {intent['why']}")
        lines.append(f"  to {_setting(intent['target'])}")
        if intent["canary"]:
            names = ", ".join(intent["canaryPods"])
            lines.append(f"  {intent['canary']}{': ' if names else ''}{names}")
    for rung in found["lastKnownGood"]:
        proven = f"up to {rung['provenLoad']:.4g}/s by {rung['windows']} windows at {output.span(rung['latency'])}"
        lines.append(f"known good: {_setting(rung['setting'])} ({proven})")
    if found["ledger"] != "read":
        lines.append(f"ledger: {found['ledger']}")
    for slo in found["slos"]:
        lines.append(f"SLO {slo['name']}: {slo['attainment']}, goal {slo['goal']}, met {slo['met']} (from status)")
    for item in found["budgets"]:
        lines.append(f"budget {item['name']}: {item['used']} of {item['limit']} (from status)")
    return lines


def _trials(found: Body) -> list[str]:
    rows = [
        (t["id"], t["ended"], t["state"], ", ".join(f"{n} {a} -> {b}" for n, (a, b) in t["changed"].items()), t["why"])
        for t in found["trials"]
    ]
    return output.table(("TRIAL", "ENDED", "OUTCOME", "CHANGE", "WHY"), rows) if rows else []


def _conditions(found: Body) -> list[str]:
    rows = [(c["type"], c["status"], c["reason"], output.one_line(c["message"])) for c in found["conditions"]]
    return output.table(("CONDITION", "STATUS", "REASON", "MESSAGE"), rows) if rows else []
