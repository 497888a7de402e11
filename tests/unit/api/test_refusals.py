"""Profiles that cannot be used: each is refused with its field, its value and the remedy."""

from __future__ import annotations

import pytest

from pegbox.api.translate import to_model
from pegbox.api.translate_limits import reason_of
from pegbox.model.errors import InvalidInput
from pegbox.model.reasons import Reason
from tests.unit.api.documents import CLASS, Document, knob, profile

CREATE = {"create": {"minReplicas": 2, "maxReplicas": 8}}
POOL = {"name": "db", "uses": "pods * pool", "limit": 10}


def inside(name: str, path: str, **where: str) -> Document:
    """An override of a knob that lives within the text of one key."""
    return {"name": name, "location": {"configMap": "app", "key": "N", "path": path} | where}


REFUSED = [
    ("unknown field", profile(knobz=[]), "spec.knobz", "did you mean 'knobs'?"),
    ("unknown nested field", knob(name="pool", maxx=3), "spec.knobs[pool].maxx", "did you mean 'max'?"),
    ("unknown knob", knob(name="worker"), "spec.knobs[].name", "did you mean 'workers'?"),
    ("unknown preset", profile(preset="Fast"), "spec.preset", "write one of Custom, Balanced"),
    ("unknown mode", profile(mode="auto"), "spec.mode", "write one of Observe, Recommend, Auto"),
    ("no target", profile(targetRef={}), "spec.targetRef.kind", "this field is required"),
    ("target of another kind", profile(targetRef={"kind": "Pod", "name": "x"}), "spec.targetRef.kind", "Deployment"),
    ("min above max", knob(name="pool", min=9, max=3), "spec.knobs[pool]", "raise max or lower min"),
    (
        "min above max in other units",
        knob(name="cpu", min="2500m", max="2"),
        "spec.knobs[cpu]",
        "raise max or lower min",
    ),
    ("durations the wrong way round", knob(name="timeout", min="5m", max="90s"), "spec.knobs[timeout]", "raise max"),
    ("wider than the class, above", knob(name="pool", max=101), "spec.knobs[pool].max", "the class allows 1 to 100"),
    ("wider than the class, below", knob(name="pool", min=0), "spec.knobs[pool].min", "never widens"),
    ("wider step than the class", knob(name="pool", maxStep="41%"), "spec.knobs[pool].maxStep", "at most 40%"),
    ("a step of nothing", knob(name="pool", maxStep="0%"), "spec.knobs[pool].maxStep", "pin the knob"),
    ("a knob twice", profile(knobs=[{"name": "pool"}] * 2), "spec.knobs", "stands twice"),
    ("pinned and bounded", knob(name="pool", value=3, min=1), "spec.knobs[pool].value", "remove min, max"),
    ("pinned outside", knob(name="pool", value=101), "spec.knobs[pool].value", "pool allows 1 to 100"),
    ("initial outside", knob(name="pool", max=9, initial=10), "spec.knobs[pool].initial", "pool allows 1 to 9"),
    ("bounds of a boolean", knob(name="tracing", min="false"), "spec.knobs[tracing].min", "has no bounds"),
    ("no such choice", knob(name="level", value="middle"), "spec.knobs[level].value", "one of low, high"),
    ("half a worker", knob(name="workers", max="2.5"), "spec.knobs[workers].max", "write a whole number"),
    ("a number without quotes", knob(name="share", max=0.9), "spec.knobs[share].max", "write it in quotes"),
    ("a boolean without quotes", knob(name="tracing", value=True), "spec.knobs[tracing].value", "write it in quotes"),
    ("duration without unit", knob(name="timeout", max=30), "spec.knobs[timeout].max", "write a duration"),
    ("unit of nothing", knob(name="memory", max="1Gb"), "spec.knobs[memory].max", "write a quantity"),
    ("interval without unit", profile(interval="30"), "spec.interval", "write a duration"),
    ("a canary of most pods", profile(trial={"canary": {"share": "51%"}}), "spec.trial.canary.share", "at most 50%"),
    ("a canary without a share", profile(trial={"canary": {"share": 20}}), "spec.trial.canary.share", "valid string"),
    ("a canary beside nothing", profile(trial={"canary": {"minPods": 1}}), "spec.trial.canary.minPods", "2"),
    ("interval too short", profile(interval="100ms"), "spec.interval", "between 2s and 1h"),
    (
        "replicas beside an autoscaler",
        profile(autoscaler=CREATE, knobs=[{"name": "replicas"}]),
        "spec.knobs[].name",
        "the autoscaler sets replicas",
    ),
    ("HPA knob without autoscaler", knob(name="max_replicas"), "spec.knobs[].name", "add spec.autoscaler"),
    (
        "autoscaler of both kinds",
        profile(autoscaler={**CREATE, "ref": {"name": "x"}}),
        "spec.autoscaler",
        "exactly one",
    ),
    ("autoscaler of no kind", profile(autoscaler={}), "spec.autoscaler", "exactly one"),
    (
        "autoscaler upside down",
        profile(autoscaler={"create": {"minReplicas": 9, "maxReplicas": 8}}),
        "spec.autoscaler.create.minReplicas",
        "raise maxReplicas (8)",
    ),
    (
        "autoscaler beyond the class",
        profile(autoscaler={"create": {"minReplicas": 1, "maxReplicas": 51}}),
        "spec.autoscaler.create.maxReplicas",
        "allows 1 to 50",
    ),
    (
        "autoscaler starts outside the knob",
        profile(autoscaler=CREATE, knobs=[{"name": "max_replicas", "max": 6}]),
        "spec.knobs[max_replicas]",
        "starts outside of 1 to 6",
    ),
    (
        "location of an HPA bound",
        profile(autoscaler=CREATE, knobs=[{"name": "max_replicas", "location": {"key": "x"}}]),
        "spec.knobs[max_replicas].location",
        "remove location",
    ),
    ("location without its ConfigMap", knob(name="cache"), "spec.knobs[cache].location.configMap", "application's own"),
    (
        "location without its key",
        knob(name="cache", location={"configMap": "app"}),
        "spec.knobs[cache].location.key",
        "own key",
    ),
    (
        "a variable in a ConfigMap",
        knob(name="pool", location={"kind": "PodEnv", "configMap": "app"}),
        "spec.knobs[pool].location.configMap",
        "kind PodEnv has none: remove it",
    ),
    (
        "a variable with a path",
        knob(name="pool", location={"kind": "PodEnv", "path": "a.b"}),
        "spec.knobs[pool].location.path",
        "kind PodEnv has none: remove it",
    ),
    (
        "a name that is none of a variable",
        knob(name="pool", location={"kind": "PodEnv", "key": "DB-POOL"}),
        "spec.knobs[pool].location.key",
        "letters, digits and _ only",
    ),
    (
        "a name with a line end",
        knob(name="pool", location={"kind": "PodEnv", "key": "POOL\n"}),
        "spec.knobs[pool].location.key",
        "letters, digits and _ only",
    ),
    (
        "another kind of place by name",
        knob(name="pool", location={"kind": "Replicas"}),
        "spec.knobs[pool].location.kind",
        "write one of PodEnv",
    ),
    (
        "an HPA bound in a variable",
        profile(autoscaler=CREATE, knobs=[{"name": "max_replicas", "location": {"kind": "PodEnv"}}]),
        "spec.knobs[max_replicas].location",
        "remove location",
    ),
    (
        "one variable by two ways",
        profile(knobs=[{"name": "heap"}, {"name": "pool", "location": {"kind": "PodEnv", "key": "HEAP"}}]),
        "spec.knobs[heap].location",
        "knob pool lives there too",
    ),
    (
        "two knobs in one place",
        profile(
            knobs=[
                {"name": "pool", "location": {"configMap": "app", "key": "N"}},
                {"name": "overflow", "location": {"configMap": "app", "key": "N"}},
            ]
        ),
        "spec.knobs[overflow].location",
        "knob pool lives there too",
    ),
    (
        "a key of our own ConfigMap",
        profile(knobs=[{"name": "pool", "location": {"configMap": "checkout-pegbox", "key": "N"}}]),
        "spec.knobs[pool].location.configMap",
        "name the application's own",
    ),
    (
        "a value within our own document",
        profile(knobs=[inside("pool", "values.pool", configMap="checkout-pegbox", key="settings.json")]),
        "spec.knobs[pool].location.configMap",
        "name the application's own",
    ),
    (
        "two knobs on one value in two spellings",
        profile(knobs=[inside("pool", "a.b"), inside("overflow", '["a"].b')]),
        "spec.knobs[overflow].location",
        "knob pool lives there too",
    ),
    (
        "a knob within another one's text",
        profile(knobs=[{"name": "pool", "location": {"configMap": "app", "key": "N"}}, inside("overflow", "a.b")]),
        "spec.knobs[overflow].location",
        "knob pool lives there too",
    ),
    (
        "pinned against a rule",
        profile(knobs=[{"name": "pool", "value": 51}, {"name": "workers", "value": 1}]),
        "spec.knobs[pool].value",
        "pool must not exceed 50 per worker",
    ),
    (
        "unknown signal",
        profile(slos=[{"name": "s", "signal": "durations", "threshold": "1s", "goal": "9%"}]),
        "spec.slos[s].signal",
        "did you mean 'duration'?",
    ),
    (
        "SLO over a gauge",
        profile(slos=[{"name": "s", "signal": "busy:workers", "goal": "9%"}]),
        "spec.slos[s].signal",
        "counts no events",
    ),
    (
        "histogram without threshold",
        profile(slos=[{"name": "s", "signal": "duration", "goal": "9%"}]),
        "spec.slos[s].threshold",
        "say how fast",
    ),
    (
        "ratio with threshold",
        profile(slos=[{"name": "s", "signal": "success", "threshold": "1s", "goal": "9%"}]),
        "spec.slos[s].threshold",
        "counts good events itself",
    ),
    (
        "threshold of zero",
        profile(slos=[{"name": "s", "signal": "duration", "threshold": "0s", "goal": "9%"}]),
        "spec.slos[s].threshold",
        "more than zero",
    ),
    (
        "goal without percent",
        profile(slos=[{"name": "s", "signal": "success", "goal": "0.95"}]),
        "spec.slos[s].goal",
        "write a percentage",
    ),
    (
        "goal of everything",
        profile(slos=[{"name": "s", "signal": "success", "goal": "100%"}]),
        "spec.slos[s].goal",
        "leaves no error budget",
    ),
    (
        "goal of more",
        profile(slos=[{"name": "s", "signal": "success", "goal": "101%"}]),
        "spec.slos[s].goal",
        "between 0% and 100%",
    ),
    ("no goal", profile(slos=[{"name": "s", "signal": "success"}]), "spec.slos[s].goal", "this field is required"),
    ("an SLO twice", profile(slos=[{"name": "s", "signal": "success", "goal": "9%"}] * 2), "spec.slos", "stands twice"),
    (
        "SLO window too long",
        profile(slos=[{"name": "s", "signal": "success", "goal": "9%", "window": "2d"}]),
        "spec.slos[s].window",
        "between 10s and 1d",
    ),
    (
        "budget that is not monotone",
        profile(budgets=[{**POOL, "uses": "100 - pool"}]),
        "spec.budgets[db].uses",
        "use only + * ( )",
    ),
    (
        "budget over an unknown knob",
        profile(budgets=[{**POOL, "uses": "pods * pol"}]),
        "spec.budgets[db].uses",
        "did you mean 'pool'?",
    ),
    (
        "budget over a boolean",
        profile(budgets=[{**POOL, "uses": "tracing"}]),
        "spec.budgets[db].uses",
        "no numeric knob",
    ),
    ("budget without limit", profile(budgets=[{"name": "db", "uses": "pool"}]), "spec.budgets[db]", "exactly one of"),
    (
        "budget of two limits",
        profile(budgets=[{**POOL, "budgetRef": {"name": "x"}}]),
        "spec.budgets[db]",
        "exactly one of",
    ),
    ("a budget twice", profile(budgets=[POOL, POOL]), "spec.budgets", "stands twice"),
    (
        "one shared budget twice",
        profile(
            budgets=[
                {"name": "a", "uses": "pool", "budgetRef": {"name": "db"}},
                {"name": "b", "uses": "pods", "budgetRef": {"name": "db"}},
            ]
        ),
        "spec.budgets[].budgetRef.name",
        "add up their uses",
    ),
    (
        "freeze of four fields",
        profile(freezes=[{"name": "f", "schedule": "0 16 * *  ", "duration": "1h"}]),
        "freezes[f].schedule",
        "five cron fields",
    ),
    (
        "freeze in no zone",
        profile(freezes=[{"name": "f", "schedule": "0 16 * * 5", "duration": "1h", "timeZone": "Mars"}]),
        "freezes[f].timeZone",
        "IANA zone",
    ),
    (
        "freeze without a time",
        profile(freezes=[{"name": "f"}]),
        "spec.freezes[f]",
        "write schedule and duration, or from and until",
    ),
    (
        "freeze of a schedule and a date",
        profile(freezes=[{"name": "f", "schedule": "0 16 * * 5", "duration": "1h", "until": "2026-12-24T18:00:00Z"}]),
        "spec.freezes[f]",
        "write schedule and duration, or from and until",
    ),
    (
        "freeze of half a schedule",
        profile(freezes=[{"name": "f", "schedule": "0 16 * * 5"}]),
        "spec.freezes[f]",
        "write schedule and duration, or from and until",
    ),
    (
        "freeze that ends before it begins",
        profile(freezes=[{"name": "f", "from": "2026-12-24T18:00:00Z", "until": "2026-12-24T19:00:00+01:00"}]),
        "spec.freezes[f].until",
        "write a time later than from",
    ),
    (
        "freeze from a day without an offset",
        profile(freezes=[{"name": "f", "from": "2026-12-24", "until": "2026-12-26T00:00:00Z"}]),
        "spec.freezes[f].from",
        "add the offset from UTC",
    ),
    (
        "freeze for ever",
        profile(freezes=[{"name": "f", "schedule": "0 16 * * 5", "duration": "30d"}]),
        "spec.freezes[f].duration",
        "between 1m and 8d",
    ),
    (
        "matcher that is no label",
        profile(matchLabels=[{"name": "a-b", "value": "x"}]),
        "spec.matchLabels[a-b].name",
        "match the pattern",
    ),
    ("a guard of zero", profile(guards={"trialWindow": "0s"}), "spec.guards.trialWindow", "more than zero"),
    ("a guard beyond all", profile(guards={"maxStep": "101%"}), "spec.guards.maxStep", "between 0% and 100%"),
]


@pytest.mark.parametrize(("document", "field", "remedy"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED])
def test_a_profile_is_refused_with_field_value_and_remedy(document: Document, field: str, remedy: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        to_model(document, CLASS)
    assert refused.value.field == field
    assert remedy in refused.value.remedy
    assert reason_of(refused.value) is Reason.INVALID_SPEC


BOUNDS = [
    pytest.param("pool", 9, 3, id="whole numbers"),
    pytest.param("pool", 9, "3", id="a number above a text"),
    pytest.param("pool", "9", 3, id="a text above a number"),
    pytest.param("cpu", "2500m", 2, id="CPUs"),
    pytest.param("memory", "2Gi", "2047Mi", id="bytes"),
    pytest.param("timeout", "91s", "1m30s", id="durations"),
    pytest.param("share", "0.75", "0.5", id="decimals"),
]


@pytest.mark.parametrize(("name", "low", "high"), BOUNDS)
def test_min_above_max_is_refused_however_the_two_are_written(name: str, low: str | int, high: str | int) -> None:
    """The API server compares whole numbers only: it has to be able to install the kind on Kubernetes 1.33."""
    with pytest.raises(InvalidInput) as refused:
        to_model(knob(name=name, min=low, max=high), CLASS)
    assert (refused.value.field, refused.value.value) == (f"spec.knobs[{name}]", low)
    assert refused.value.remedy.endswith("raise max or lower min")


def test_two_knobs_within_one_text_are_taken_where_neither_holds_the_other() -> None:
    """The twin of two spellings: a name that begins with the other's is no part of it."""
    merged = to_model(profile(knobs=[inside("pool", "a.b"), inside("overflow", '["a"].bc')]), CLASS)
    assert {k.name for k in merged.space.knobs if k.location.key == "N"} == {"pool", "overflow"}


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("pool", "9", 9), ("cpu", "2000m", 2), ("memory", "2048Mi", "2Gi"), ("timeout", "90s", "1m30s")],
)
def test_and_taken_where_both_are_the_same_in_other_words(name: str, low: str | int, high: str | int) -> None:
    """The twin: what is compared is what they mean."""
    to_model(knob(name=name, min=low, max=high), CLASS)
