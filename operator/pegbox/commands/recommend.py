"""`pegbox recommend`: what Pegbox would do, from a profile and Prometheus alone, without any cluster.

The same propose, guards and model as in the operator; what only a cluster knows (rollouts, owners, freezes that
others set) is left out and said so.
"""

from __future__ import annotations

import asyncio
import re
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction

from pegbox import learning
from pegbox.adapters.prometheus.client import Pace
from pegbox.adapters.prometheus.promql import Scope, escape_regex, scope_of_deployment
from pegbox.api import budgets as budget_api
from pegbox.api.translate import Context, to_model
from pegbox.commands import documents, opening, recommend_view
from pegbox.commands.documents import Document, Documents
from pegbox.commands.output import Exit
from pegbox.commands.windows import Learned, ScopedSource, Windows, reported
from pegbox.core import budget, decide, propose
from pegbox.model import units
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import KnobValue, Setting
from pegbox.model.observations import Missing, Observation
from pegbox.model.prediction import Prediction, Predictor
from pegbox.model.profile import ProfileSpec
from pegbox.model.proposals import Proposal
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Held, SharedBudgetFacts, Snapshot, Workload
from pegbox.model.trials import Ledger
from pegbox.runtime import predicting

MIN_WINDOW, MAX_WINDOW, MAX_WINDOWS = 10, 86400, 288
SATISFIED = frozenset({Reason.NOTHING_BETTER, Reason.NO_TUNABLE_KNOB, Reason.RECENTLY_FAILED, Reason.SLO_AT_RISK})
"""Answers, not gaps: there is data, and nothing to recommend."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for, checked. `spec` holds every knob that the class knows."""

    documents: Documents
    spec: ProfileSpec
    scope: Scope
    window: int
    windows: int  # to learn from; 0: the newest only
    given: Mapping[str, KnobValue]


@dataclass(frozen=True, slots=True)
class Advice:
    """The answer. `expected` are the predictions for the setting in force and for the proposed one."""

    wish: Wish
    spec: ProfileSpec
    setting: Setting | Missing
    values: Mapping[str, KnobValue | Missing]  # what the pods report
    observation: Observation | Missing
    learned: Learned
    model: Predictor | Missing
    proposal: Proposal | Missing
    expected: tuple[Prediction, ...]
    at: datetime

    @property
    def code(self) -> Exit:
        if isinstance(self.proposal, Proposal) or self.proposal.reason in SATISFIED:
            return Exit.OK
        return Exit.INVALID if self.proposal.reason is Reason.QUERY_INVALID else Exit.NO_DATA


def main(arguments: Namespace) -> int:
    """Raises InvalidInput for what the user wrote; everything about data is in the answer."""
    wish = wish_of(arguments)
    settings = opening.source_settings(arguments)

    async def ask() -> Advice:
        # Every moment is asked once: a little reuse joins equal questions, and none of different moments.
        source = opening.metrics_source(settings, Pace(reuse=0.001))
        try:
            return await advise(wish, source, datetime.now(UTC))
        finally:
            source.close()

    advice = asyncio.run(ask())
    recommend_view.show(advice, as_json=arguments.json)
    return advice.code


def wish_of(arguments: Namespace) -> Wish:
    """The arguments, checked against profile and class before anything is asked. Raises InvalidInput."""
    found = documents.read(arguments.file, arguments.class_file)
    spec = to_model(found.profile, found.class_)
    window = _duration("--window", arguments.window, MIN_WINDOW, MAX_WINDOW)
    windows = 0
    if arguments.history is not None:
        windows = _duration("--history", arguments.history, window, 30 * MAX_WINDOW) // window
        if windows > MAX_WINDOWS:
            least = units.format_duration(Fraction(-(-windows * window // MAX_WINDOWS)))
            remedy = f"that is {windows} windows, at most {MAX_WINDOWS} are asked: use --window {least} or more"
            raise InvalidInput("--history", arguments.history, remedy)
    given = documents.assignments(arguments.given, spec.space)
    return Wish(found, spec, scope_of(spec, arguments.pods, arguments.deployment), window, windows, given)


def _duration(field: str, text: str, low: int, high: int) -> int:
    value = units.parse_duration(text, field)
    if value.denominator != 1 or not low <= value <= high:
        texts = [units.format_duration(Fraction(v)) for v in (low, high)]
        raise InvalidInput(field, text, f"write whole seconds between {texts[0]} and {texts[1]}")
    return int(value)


def scope_of(spec: ProfileSpec, pods: str | None, deployment: str | None) -> Scope:
    """The pods that are asked about: named, or the target's by the form of their names. Raises InvalidInput."""
    if pods is not None:
        try:
            re.compile(pods)
        except re.error as error:
            raise InvalidInput("--pods", pods, f"write a regular expression: {error}") from error
        if not pods:
            raise InvalidInput("--pods", pods, "write a regular expression that matches the names of the pods")
        return Scope(spec.key, spec.namespace, pods)
    if deployment is None and spec.target.kind == "StatefulSet":
        return Scope(spec.key, spec.namespace, f"{escape_regex(spec.target.name)}-[0-9]+")
    return scope_of_deployment(spec.key, spec.namespace, deployment or spec.target.name)


async def advise(wish: Wish, source: ScopedSource, now: datetime) -> Advice:
    """Observe, learn, propose. Never raises for missing data: that is an answer too."""
    windows = Windows(source, wish.scope, wish.window, wish.spec.space.names)
    down = await source.check()
    found: dict[str, KnobValue | Missing] = {}
    values = down if down is not None else await windows.values(now)
    if not isinstance(values, Missing):
        found = reported(wish.spec.space, values)
    windows = replace(windows, reporting=bool(found))
    spec = _narrowed(wish, frozenset(found))
    pods = () if isinstance(values, Missing) else tuple(sorted(values))
    if down is not None:
        return _without_data(wish, spec, down, now)
    seen, workload = await windows.observe(spec, now, pods, slos=True)
    held = {name: Held(value) for name, value in {**found, **wish.given}.items() if name in spec.space}
    snapshot = _snapshot(wish, spec, workload, held, seen, now)
    setting = decide.baseline_setting(snapshot)
    if isinstance(setting, Missing):
        setting = _explained(setting, found, values)
        return replace(_without_data(wish, spec, setting, now), observation=seen, values=found)
    learned = await windows.learn(spec, now, setting, max(1, wish.windows))
    snapshot = replace(
        snapshot,
        ledger=replace(snapshot.ledger, incumbent=setting, rows=learned.rows),
        held={name: Held(value) for name, value in setting.items()},
    )
    model = learning.fit(spec.space, spec.roles, learned.rows)
    proposal = seen if isinstance(seen, Missing) else propose.propose(predicting.request(snapshot), model)
    expected = _expected(setting, proposal, model, seen, workload)
    return Advice(wish, spec, setting, found, seen, learned, model, proposal, expected, now)


def _narrowed(wish: Wish, exported: frozenset[str]) -> ProfileSpec:
    """The spec with the knobs whose value can be known: exported, given, named by the profile, or in a budget."""
    counted = {name for item in wish.spec.budgets for name in budget.parse(item.uses).knobs if name in wish.spec.space}
    names = exported | frozenset(wish.given) | counted
    return to_model(wish.documents.profile, wish.documents.class_, Context(reported=names))


def _without_data(wish: Wish, spec: ProfileSpec, why: Missing, now: datetime) -> Advice:
    return Advice(wish, spec, why, {}, why, Learned(), why, why, (), now)


def _snapshot(
    wish: Wish,
    spec: ProfileSpec,
    workload: Workload,
    held: Mapping[str, Held],
    seen: Observation | Missing,
    now: datetime,
) -> Snapshot:
    return Snapshot(
        spec=spec,
        ledger=Ledger(profile_uid=spec.uid),
        workload=workload,
        held=held,
        document=Missing(Reason.NOT_REPORTED, "there is no cluster"),
        observation=seen,
        slos={} if isinstance(seen, Missing) else seen.slos,
        budgets={item.ref: _shared(wish.documents.budgets, item.ref, now) for item in spec.budgets if item.ref},
    )


def _shared(found: Mapping[str, Document], name: str, now: datetime) -> SharedBudgetFacts | Missing:
    """A SharedBudget of the profile's file, with the claims that stand in its status."""
    if name not in found:
        return Missing(Reason.BUDGET_NOT_FOUND, f"add SharedBudget {name} to the profile's file")
    return budget_api.facts(found[name], "", now)


def _explained(unknown: Missing, found: Mapping[str, KnobValue | Missing], values: object) -> Missing:
    """Which values are unknown, why, and what to do."""
    differing = [str(value.detail) for value in found.values() if isinstance(value, Missing)]
    why = f" ({'; '.join(differing)})" if differing else f" ({values})" if isinstance(values, Missing) else ""
    first = unknown.detail.partition(",")[0]
    return Missing(unknown.reason, f"{unknown.detail}{why}: give --set {first}=VALUE and so on, or `initial`")


def _expected(
    setting: Setting,
    proposal: Proposal | Missing,
    model: Predictor | Missing,
    seen: Observation | Missing,
    workload: Workload,
) -> tuple[Prediction, ...]:
    if isinstance(model, Missing) or isinstance(seen, Missing) or isinstance(seen.offered_load, Missing):
        return ()
    wanted = [setting] if isinstance(proposal, Missing) else [setting, proposal.setting]
    return tuple(model.predict(wanted, seen.offered_load, float(max(1, len(workload.unfinished)))))
