"""Answers of the server -> rows, acknowledgements, values. Pure; what cannot be read is refused, with reasons.

A sample is `{"metric": {label: text}, "value": [time, "number"]}`; numbers come as text, "NaN" and "+Inf"
among them. An empty vector is no zero.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pegbox.adapters.prometheus.promql import MOST_BUCKETS
from pegbox.model.observations import Missing
from pegbox.model.profile import Signal, SignalKind
from pegbox.model.reasons import Reason
from pegbox.model.settings_document import MAX_GENERATION
from pegbox.model.snapshot import Acknowledgement
from pegbox.ports import SignalQuery, SignalRow, SignalRows

Sample = Mapping[str, Any]
Key = tuple[str, str, str]
Point = tuple[str, float | None, float | Missing]  # part, le, value

NO_SERIES = (
    "the query answered with no series: the workload does not export the metric, it is not scraped, "
    "or the server does not scrape pegbox_pod_setting"
)
_NEEDED = {
    SignalKind.RATE: ("value",),
    SignalKind.GAUGE: ("value", "pods"),
    SignalKind.HISTOGRAM: ("bucket", "sum", "count"),
    SignalKind.RATIO: ("good", "all"),
}


def number(text: object) -> float | Missing:
    """A finite number, or Missing(NotANumber): "NaN", "+Inf" and what is no number at all."""
    try:
        value = float(str(text))
    except ValueError:
        return Missing(Reason.NOT_A_NUMBER, f"the server sent {str(text)[:40]!r}")
    return value if math.isfinite(value) else Missing(Reason.NOT_A_NUMBER, f"the server sent {text}")


def rows(query: SignalQuery, samples: Sequence[Sample], at: datetime, *, profile: str = "") -> SignalRows | Missing:
    """The rows of one query. `profile` names the owner of rows that a scoped query left without labels."""
    groups: dict[Key, list[Point]] = defaultdict(list)
    for sample in samples:
        labels = sample.get("metric", {})
        owner = labels.get("profile", profile)
        if owner:
            key = (owner, labels.get("cohort", ""), labels.get("setting", ""))
            groups[key].append((labels.get("part", ""), _bound(labels.get("le")), _value(sample)))
    if not groups:
        return Missing(Reason.NO_DATA, NO_SERIES)
    good: list[SignalRow] = []
    refused: dict[Key, Missing] = {}
    for key, points in sorted(groups.items()):
        decoded = _decode(query.signal, key, points)
        if isinstance(decoded, Missing):
            refused[key] = decoded
        else:
            good.extend(decoded)
    return SignalRows(tuple(good), at, refused)


def _value(sample: Sample) -> float | Missing:
    if "value" not in sample:
        return Missing(Reason.NOT_A_NUMBER, "a native histogram; the class's query must give numbers")
    return number(sample["value"][1])


def _bound(text: str | None) -> float | None:
    """`le` as a number: Prometheus 3 writes "1.0" where 2 wrote "1". NaN marks text that is no number."""
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        return math.nan


def _decode(signal: Signal, key: Key, points: Sequence[Point]) -> list[SignalRow] | Missing:
    if sum(part == "bucket" for part, _, _ in points) > MOST_BUCKETS:
        return Missing(Reason.PARTIAL_DATA, f"{signal.name} has more than {MOST_BUCKETS} buckets: export fewer")
    sums: dict[tuple[str, float | None], float] = defaultdict(float)
    for part, le, value in points:
        if isinstance(value, Missing):
            return value
        if le is not None and math.isnan(le):
            return Missing(Reason.NOT_A_NUMBER, "a bucket whose `le` is no number")
        if value < 0 and signal.kind is not SignalKind.GAUGE and part != "sum":
            return Missing(Reason.NOT_A_NUMBER, f"{part} is negative ({value:g}), which no rate of events can be")
        sums[part, le] += value
    if not all(map(math.isfinite, sums.values())):
        return Missing(Reason.NOT_A_NUMBER, f"series of {signal.name} add up to more than a number holds")
    fresh, sound = sums.pop(("fresh", None), 0.0), sums.pop(("sound", None), 0.0)
    present = {part for part, _ in sums}
    if fresh == 0:
        return Missing(Reason.STALE_DATA, "no pod has a sample younger than half of the window")
    if sound == 0:
        return Missing(Reason.PARTIAL_DATA, "fewer than 4 scrapes in the window: widen it, or scrape more often")
    lacking = [part for part in _NEEDED[signal.kind] if part not in present]
    if lacking:
        return Missing(Reason.PARTIAL_DATA, f"no series for {' and '.join(lacking)} of {signal.name}")
    if signal.kind is SignalKind.GAUGE:
        pods = sums["pods", None]
        if pods < 1:
            return Missing(Reason.NO_DATA, f"{pods:g} pods gave a value of {signal.name}")
        sums = {("value", None): sums["value", None] / pods}
    return [
        SignalRow(*key, part=part, value=value, le=le, pods=round(sound))
        for (part, le), value in sorted(sums.items(), key=lambda item: (item[0][0], item[0][1] or 0.0))
        if (part == "bucket") == (le is not None)
    ]


@dataclass(frozen=True, slots=True)
class Dated:
    """One series of one pod: its labels, its value, and when it was scraped (seconds since the epoch)."""

    labels: Mapping[str, str]
    value: float
    at: float


def dated(samples: Sequence[Sample], at: datetime, lookback: float) -> list[Dated]:
    """Series with the parts "value" and "at" put together, without those older than `lookback` seconds."""
    parts: dict[frozenset[tuple[str, str]], dict[str, float]] = defaultdict(dict)
    for sample in samples:
        labels = dict(sample.get("metric", {}))
        part, value = labels.pop("part", ""), _value(sample)
        if not isinstance(value, Missing):
            parts[frozenset(labels.items())][part] = value
    oldest = at.timestamp() - lookback
    return [
        Dated(dict(labels), found["value"], found["at"])
        for labels, found in parts.items()
        if found.keys() >= {"value", "at"} and found["at"] >= oldest
    ]


def acknowledgements(series: Iterable[Dated], pod_label: str) -> dict[str, Acknowledgement]:
    """What each pod says it runs. Of one instance the freshest series counts, then the higher generation.

    Instances are processes of one pod with metrics of their own: the pod runs a document only once the
    slowest of them does, so of these the lowest generation counts.
    """
    instances: dict[tuple[str, str], Dated] = {}
    for one in series:
        key = (one.labels.get(pod_label, ""), one.labels.get("instance", ""))
        if not 0 <= one.value <= MAX_GENERATION or one.value != round(one.value):
            continue  # no document has such a generation: it says nothing
        known = instances.get(key)
        if key[0] and (known is None or (one.at, one.value) > (known.at, known.value)):
            instances[key] = one
    found: dict[str, Acknowledgement] = {}
    for (pod, _), one in sorted(instances.items()):
        ack = Acknowledgement(one.labels.get("profile_uid", ""), round(one.value), one.labels.get("hash", ""))
        if pod not in found or ack.generation < found[pod].generation:
            found[pod] = ack
    return found


def setting_values(series: Iterable[Dated], pod_label: str) -> dict[str, dict[str, float]]:
    """pod -> knob -> value; of several series the freshest counts."""
    newest: dict[tuple[str, str], Dated] = {}
    for one in series:
        key = (one.labels.get(pod_label, ""), one.labels.get("knob", ""))
        if all(key) and (key not in newest or one.at > newest[key].at):
            newest[key] = one
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for (pod, knob), one in sorted(newest.items()):
        found[pod][knob] = one.value
    return dict(found)
