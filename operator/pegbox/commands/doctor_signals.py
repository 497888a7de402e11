"""Doctor, signals: queries that parse, data or the reason why not, windows, and SLO thresholds between buckets."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from pegbox.adapters.prometheus import promql
from pegbox.adapters.prometheus.promql import Scope
from pegbox.commands.findings import Finding, bad, note, ok
from pegbox.commands.fresh import Fresh
from pegbox.commands.windows import ScopedSource
from pegbox.core.histogram import bound_for
from pegbox.model.errors import InvalidInput
from pegbox.model.observations import Missing
from pegbox.model.profile import ProfileSpec, Purpose, Signal, SignalKind
from pegbox.model.reasons import SENTENCES, Reason
from pegbox.model.snapshot import Workload
from pegbox.model.units import format_duration
from pegbox.ports import SignalQuery, SignalRows

NEEDED = frozenset({Purpose.LOAD, Purpose.THROUGHPUT, Purpose.LATENCY})
REMEDIES = {
    Reason.NO_DATA: "export the metric, let Prometheus scrape the pods, and set its pod and namespace labels",
    Reason.STALE_DATA: "look at the scrape target's health in Prometheus: the pods no longer answer",
    Reason.PARTIAL_DATA: "scrape at least four times a window: shorten the scrape interval or widen the window",
    Reason.NOT_A_NUMBER: "correct the class's query: it must give finite numbers, as no division by zero does",
    Reason.QUERY_INVALID: "correct the PromQL of the class",
    Reason.QUERY_NOT_ANSWERED: "export fewer series, narrow the class's query, or raise the server's limits",
}


async def look(source: ScopedSource, fresh: Fresh, now: datetime, scrape_seconds: float | None) -> list[Finding]:
    """Every signal that the profile uses, over the windows in which it is used."""
    spec = fresh.snapshot.spec
    out = [*_windows(spec, scrape_seconds)]
    good = 0
    for signal in spec.signals:
        if not _used(spec, signal):
            continue
        problems = promql.problems(signal)
        if problems:
            out += [bad(f"class {spec.class_name}", text, REMEDIES[Reason.QUERY_INVALID]) for text in problems]
            continue
        answer = await _ask(source, fresh, signal, now)
        if isinstance(answer, Finding):
            out.append(answer)
            continue
        good += 1
        out += _thresholds(spec, signal, answer)
    if good:
        out.append(ok(spec.key, f"{good} signals have data"))
    return out


def _used(spec: ProfileSpec, signal: Signal) -> bool:
    """Of the model's and the SLOs' signals, those of knobs that are tuned here."""
    if signal.purpose is Purpose.BUSY:
        return signal.knob in spec.space and spec.space[signal.knob].tunable
    return (
        signal.purpose in NEEDED or signal.purpose is Purpose.ERRORS or any(s.signal == signal.name for s in spec.slos)
    )


def _windows(spec: ProfileSpec, scrape_seconds: float | None) -> list[Finding]:
    """Windows hold at least four scrapes, by the stated scrape interval; the data itself is checked as well."""
    if scrape_seconds is None:
        return []
    least = Fraction(round(promql.MINIMUM_SCRAPES * scrape_seconds * 1000), 1000)
    what = f"{promql.MINIMUM_SCRAPES} scrapes of {scrape_seconds:g}s"
    windows = [("guards.trialWindow", spec.guards.trial_window), *((f"SLO {s.name}", s.window) for s in spec.slos)]
    return [
        bad(
            spec.key,
            f"{name}: {format_duration(window)} holds fewer than {what}",
            f"widen it to at least {format_duration(least)}, or scrape more often",
        )
        for name, window in windows
        if window < least
    ]


async def _ask(source: ScopedSource, fresh: Fresh, signal: Signal, now: datetime) -> SignalRows | Finding:
    """Rows of this profile, by the operator's own query; what that lacks is asked of the pods themselves."""
    spec = fresh.snapshot.spec
    query = SignalQuery(spec.class_name, signal, int(spec.guards.trial_window), spec.matchers)
    about, name = spec.key, f"signal {signal.name}"
    joined = _of_profile(await source.fetch(query, now, namespace=spec.namespace), spec)
    if isinstance(joined, SignalRows):
        return joined
    if joined.reason is Reason.METRICS_UNREACHABLE:
        return bad(about, f"{name}: {joined}", SENTENCES[joined.reason])
    scope = _scope(fresh)
    direct = joined if scope is None else await source.fetch_scope(query, scope, now)
    direct = _of_profile(direct, spec) if isinstance(direct, SignalRows) else direct
    if isinstance(direct, SignalRows):
        text = f"{name}: the pods have data, but not joined with pegbox_pod_setting"
        return bad(about, text, "let Prometheus scrape the operator; wait for two scrapes after a profile is new")
    text = f"{name}: {direct.reason.value}: {direct.detail or SENTENCES[direct.reason]}"
    remedy = REMEDIES.get(direct.reason, SENTENCES[direct.reason])
    broken = direct.reason is Reason.QUERY_INVALID
    return bad(about, text, remedy) if broken or _matters(spec, signal) else note(about, text, remedy)


def _matters(spec: ProfileSpec, signal: Signal) -> bool:
    return signal.purpose in NEEDED or any(slo.signal == signal.name for slo in spec.slos)


def _of_profile(answer: SignalRows | Missing, spec: ProfileSpec) -> SignalRows | Missing:
    if isinstance(answer, Missing):
        return answer
    rows = tuple(answer.of(spec.key))
    if rows:
        return replace(answer, rows=rows)
    refused = [why for (profile, _, _), why in answer.refused.items() if profile == spec.key]
    return refused[0] if refused else Missing(Reason.NO_DATA, f"no series of {spec.key}")


def _scope(fresh: Fresh) -> Scope | None:
    workload, spec = fresh.snapshot.workload, fresh.snapshot.spec
    if not isinstance(workload, Workload):
        return None
    pods = tuple(pod.name for pod in workload.unfinished)[: promql.MAX_SCOPE_PODS]
    try:
        return promql.scope_of_pods(spec.key, spec.namespace, pods)
    except InvalidInput:
        return None


def _thresholds(spec: ProfileSpec, signal: Signal, answer: SignalRows) -> list[Finding]:
    """An SLO threshold must be a bucket's bound: what lies between two bounds may be either."""
    if signal.kind is not SignalKind.HISTOGRAM:
        return []
    les = tuple(sorted({row.le for row in answer.rows if row.le is not None}))
    out = []
    for slo in spec.slos:
        if slo.signal != signal.name or slo.threshold is None:
            continue
        text = format_duration(slo.threshold)
        found = bound_for(les, float(slo.threshold))
        if isinstance(found, Missing):
            out.append(bad(spec.key, f"SLO {slo.name}: {found.detail}", "add the bucket, or raise the threshold"))
        elif not found.exact:
            shown = (
                f"SLO {slo.name}: threshold {text} lies between buckets: only events up to {found.le:g}s count as good"
            )
            remedy = f"add {text} to the histogram's buckets, or set the threshold to one of its bounds"
            out.append(bad(spec.key, shown, remedy))
    return out
