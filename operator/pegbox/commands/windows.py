"""Windows for `recommend`: what the pods of one scope did, and under which setting, now and back in time.

Without a cluster nobody says which pods exist, when they started or what a rollout did. What the metrics tell
stands in for it: a window counts only where the same pods report the same values at its start and its end.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from pegbox.adapters.prometheus.promql import Scope
from pegbox.core import assess, statistics
from pegbox.model.knobs import KnobValue, SearchSpace, Setting
from pegbox.model.observations import Missing, Observation
from pegbox.model.prediction import Row
from pegbox.model.profile import ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import PodFacts, Workload
from pegbox.ports import MetricsSource, SignalQuery, SignalRows
from pegbox.runtime.holding import from_metric

AT_A_TIME = 4  # windows read at once: the server has other users
SURGE = 0.25  # of the pods, as Deployments do where nothing else is stated
Values = Mapping[str, Mapping[str, float]]  # pod -> knob -> value in base units


class ScopedSource(MetricsSource, Protocol):
    """A metrics source that can be asked about pods by name, where it does not scrape Pegbox."""

    async def fetch_scope(self, query: SignalQuery, scope: Scope, at: datetime) -> SignalRows | Missing: ...


@dataclass(frozen=True, slots=True)
class Learned:
    """Statistics of the windows that could be used; `left_out` counts the others by the reason."""

    rows: tuple[Row, ...] = ()
    used: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Windows:
    """Reads windows of `seconds` of the pods of a scope, and what they say of `knobs`.

    `reporting`: the application exports its values, so that a moment at which it did not is unknown. Where it
    never does, the values given by hand are taken as unchanged.
    """

    source: ScopedSource
    scope: Scope
    seconds: int
    knobs: tuple[str, ...]
    reporting: bool = True

    async def values(self, at: datetime) -> Values | Missing:
        """What the scope's pods say they run."""
        answer = await self.source.setting_values(self.scope.namespace, self.knobs, at)
        if isinstance(answer, Missing):
            return answer
        pattern = re.compile(self.scope.pods)
        mine = {pod: dict(values) for pod, values in answer.items() if pattern.fullmatch(pod)}
        detail = f"no pod of {self.scope.namespace} that matches {self.scope.pods} exports pegbox_setting_value"
        return mine or Missing(Reason.NOT_REPORTED, detail)

    async def observe(
        self, spec: ProfileSpec, at: datetime, pods: Sequence[str], *, slos: bool
    ) -> tuple[Observation | Missing, Workload]:
        """One window's observation, with the workload as far as metrics show it."""
        wanted = assess.needed(spec, self.seconds)
        if not slos:
            wanted = tuple(pair for pair in wanted if pair[1] == self.seconds)
        queries = [SignalQuery(spec.class_name, signal, window, spec.matchers) for signal, window in wanted]
        answers = await asyncio.gather(*(self.source.fetch_scope(q, self.scope, at) for q in queries))
        evidence = {(s.name, w): answer for (s, w), answer in zip(wanted, answers, strict=True)}
        count = max((row.pods for a in answers if not isinstance(a, Missing) for row in a.rows), default=0)
        workload = workload_of(spec, pods, count)
        question = assess.Question(
            spec=spec, at=at, window=self.seconds, setting="", setting_hash="", workload=workload
        )
        return assess.assess(question, evidence), workload

    async def learn(self, spec: ProfileSpec, now: datetime, incumbent: Setting, count: int) -> Learned:
        """The statistics of `count` disjoint windows that end at `now`, oldest first."""
        learned = Learned()
        for start in range(count, 0, -AT_A_TIME):
            ends = [
                now - timedelta(seconds=self.seconds * (k - 1)) for k in range(start, max(0, start - AT_A_TIME), -1)
            ]
            for seen in await asyncio.gather(*(self._past(spec, end, incumbent) for end in ends)):
                learned = _add(learned, seen)
        return learned

    async def _past(
        self, spec: ProfileSpec, end: datetime, incumbent: Setting
    ) -> tuple[Observation, Setting] | Missing:
        """A past window and the setting that held throughout, or why it teaches nothing."""
        before = await self.values(end - timedelta(seconds=self.seconds))
        after = await self.values(end)
        setting = throughout(spec.space, incumbent, before, after) if self.reporting else incumbent
        if isinstance(setting, Missing):
            return setting
        pods = () if isinstance(after, Missing) else tuple(sorted(after))
        seen, _ = await self.observe(spec, end, pods, slos=False)
        return seen if isinstance(seen, Missing) else (seen, setting)


def workload_of(spec: ProfileSpec, pods: Sequence[str], count: int) -> Workload:
    """The pods that report, or as many as were counted. Ready and old enough: metrics do not tell."""
    names = tuple(pods) if len(pods) >= count else tuple(f"pod-{n}" for n in range(1, count + 1))
    facts = tuple(PodFacts(name, uid=name, ready=True, revision="", started_at=None) for name in names)
    surge = math.ceil(SURGE * len(facts))
    return Workload(spec.target.kind, "", len(facts), "", rolling=False, stuck=False, surge=surge, pods=facts)


def reported(space: SearchSpace, values: Values) -> dict[str, KnobValue | Missing]:
    """knob -> the one value on which the pods that report it agree."""
    out: dict[str, KnobValue | Missing] = {}
    for knob in space.knobs:
        seen = sorted({pod[knob.name] for pod in values.values() if knob.name in pod})
        if len(seen) > 1:
            shown = ", ".join(f"{value:g}" for value in seen[:4])
            out[knob.name] = Missing(Reason.NOT_REPORTED, f"{knob.name}: pods differ ({shown})")
        elif seen:
            out[knob.name] = from_metric(knob, seen[0])
    return out


def throughout(
    space: SearchSpace, incumbent: Setting, before: Values | Missing, after: Values | Missing
) -> Setting | Missing:
    """The setting that held from the start of a window to its end, or why none did."""
    for side in (before, after):
        if isinstance(side, Missing):
            return side
    assert not isinstance(before, Missing) and not isinstance(after, Missing)
    if before.keys() != after.keys():
        return Missing(Reason.SCALED, "pods came or went")
    if before != after:
        return Missing(Reason.SETTLING, "the setting changed")
    return setting_at(space, incumbent, after)


def setting_at(space: SearchSpace, incumbent: Setting, values: Values) -> Setting | Missing:
    """The setting of a past moment: reported values over those that are known today only."""
    out = dict(incumbent)
    for name, value in reported(space, values).items():
        if isinstance(value, Missing):
            return value
        if name in out:
            out[name] = value
    return Setting(out)


def _add(learned: Learned, seen: tuple[Observation, Setting] | Missing) -> Learned:
    left_out = Counter(learned.left_out)
    if isinstance(seen, Missing):
        left_out[seen.reason.value] += 1
        return Learned(learned.rows, learned.used, left_out)
    observation, setting = seen
    rows = statistics.merge(learned.rows, observation, setting)
    if rows == learned.rows:
        why = observation.unclean_reason or _lacking(observation)
        left_out[why.value] += 1
        return Learned(rows, learned.used, left_out)
    return Learned(rows, learned.used + 1, left_out)


def _lacking(observation: Observation) -> Reason:
    for figure in (observation.offered_load, observation.throughput, observation.latency):
        if isinstance(figure, Missing):
            return figure.reason
    return Reason.TOO_FEW_EVENTS
