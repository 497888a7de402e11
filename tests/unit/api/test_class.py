"""Classes: what a platform team can get wrong, and that the shipped ones are right."""

from __future__ import annotations

import copy
from fractions import Fraction

import pytest

from pegbox.api.budgets import facts
from pegbox.api.translate import Context, check_class, to_model
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import KnobMode
from pegbox.model.profile import Purpose
from pegbox.model.roles import Role
from tests.unit.api.documents import CLASS, Document, class_with, shipped
from tests.unit.api.moments import NOON

QUERY = "rate(x{$matchers}[$window])"


def signal(name: str, **fields: str | None) -> Document:
    return class_with("signals", name, **fields)


REFUSED = [
    ("bounds upside down", class_with("knobs", "pool", min=101), "spec.knobs[pool].min", "raise max or lower min"),
    ("a number without bounds", class_with("knobs", "pool", min=None), "spec.knobs[pool]", "needs min and max"),
    ("a boolean with bounds", class_with("knobs", "tracing", min=0), "spec.knobs[tracing].min", "has no bounds"),
    (
        "a choice of nothing",
        class_with("knobs", "level", choices=None),
        "spec.knobs[level].choices",
        "Choice needs choices",
    ),
    (
        "choices of a number",
        class_with("knobs", "pool", choices=["1"]),
        "spec.knobs[pool].choices",
        "other types have none",
    ),
    (
        "an environment variable that is hot",
        class_with("knobs", "heap", effect="Hot"),
        "spec.knobs[heap].effect",
        "write Restart",
    ),
    (
        "a size of another type",
        class_with("knobs", "cpu_request", type="Decimal", min="0.01"),
        "spec.knobs[cpu_request]",
        "requests.cpu is of type Cpu",
    ),
    ("no size at all", class_with("knobs", "cpu_request", min="0"), "spec.knobs[cpu_request]", "min above 0"),
    (
        "a size that restarts",
        class_with("knobs", "cpu_request", effect="Restart"),
        "spec.knobs[cpu_request].effect",
        "write Hot",
    ),
    (
        "a size without a side",
        class_with("knobs", "cpu_request", location={"kind": "ContainerResource", "resource": "cpu"}),
        "spec.knobs[cpu_request].location",
        "needs both",
    ),
    (
        "a side of something else",
        class_with("knobs", "pool", location={"kind": "Settings", "side": "limits"}),
        "spec.knobs[pool].location",
        "belong to kind ContainerResource",
    ),
    ("no pods at all", class_with("knobs", "replicas", min=0), "spec.knobs[replicas]", "min at least 1"),
    (
        "a formula with division",
        class_with("knobs", "workers", default="cpus / 2"),
        "spec.knobs[workers].default",
        "'/' is not allowed",
    ),
    (
        "a formula over something else",
        class_with("knobs", "workers", default="2 * gpus"),
        "spec.knobs[workers].default",
        "'gpus' is not known",
    ),
    (
        "a formula that runs code",
        class_with("knobs", "workers", default="open(1)"),
        "spec.knobs[workers].default",
        "'open' is not allowed",
    ),
    (
        "a preset that is no choice",
        class_with("knobs", "level", presets=[{"name": "Balanced", "value": "max(1, 2)"}]),
        "spec.knobs[level].presets[Balanced].value",
        "one of low, high",
    ),
    (
        "a query with its own blanks",
        signal("arrivals", expr='rate(a{x="$x",$matchers}[$window])'),
        "spec.signals[arrivals].expr",
        "only $window and $matchers",
    ),
    ("a query without window", signal("arrivals", expr="a{$matchers}"), "spec.signals[arrivals].expr", "write $window"),
    (
        "a query without matchers",
        signal("arrivals", expr="rate(a[$window])"),
        "spec.signals[arrivals].expr",
        "write $matchers",
    ),
    (
        "matchers before another",
        signal("arrivals", expr='rate(a{$matchers,x="y"}[$window])'),
        "spec.signals[arrivals].expr",
        "last between the braces",
    ),
    (
        "matchers without a comma",
        signal("arrivals", expr='rate(a{x="y"$matchers}[$window])'),
        "spec.signals[arrivals].expr",
        "after a comma",
    ),
    (
        "a histogram without its sum",
        signal("duration", sumExpr=None),
        "spec.signals[duration].sumExpr",
        "add the query",
    ),
    (
        "a ratio without its whole",
        signal("success", countExpr=None),
        "spec.signals[success].countExpr",
        "add the query",
    ),
    (
        "load that is a level",
        signal("arrivals", kind="Gauge"),
        "spec.signals[arrivals].kind",
        "purpose Load needs kind Rate",
    ),
    ("busy with nothing", signal("workers_busy", knob=None), "spec.signals[workers_busy].knob", "name the knob"),
    (
        "busy with an unknown knob",
        signal("workers_busy", knob="worker"),
        "spec.signals[workers_busy].knob",
        "did you mean 'workers'?",
    ),
    (
        "a rule over an unknown knob",
        class_with("rules", "pool", expr="pol < 3"),
        "spec.rules[pool].expr",
        "did you mean 'pool'?",
    ),
    ("a rule over a boolean", class_with("rules", "pool", expr="tracing > 0"), "spec.rules[pool].expr", "not a number"),
    (
        "a rule without comparison",
        class_with("rules", "pool", expr="pool"),
        "spec.rules[pool].expr",
        "there is no comparison",
    ),
]


@pytest.mark.parametrize(("class_", "field", "remedy"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED])
def test_a_class_is_refused_with_field_value_and_remedy(class_: Document, field: str, remedy: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_class(class_)
    assert refused.value.field == f"class worker: {field}"
    assert remedy in refused.value.remedy


def test_the_class_that_those_start_from_is_right() -> None:
    check_class(CLASS)


def test_two_signals_of_one_purpose_leave_the_loop_without_an_answer() -> None:
    class_ = copy.deepcopy(CLASS)
    class_["spec"]["signals"].append({"name": "more", "kind": "Rate", "purpose": "Load", "expr": QUERY})
    with pytest.raises(InvalidInput, match="arrivals has this purpose already"):
        check_class(class_)


@pytest.mark.parametrize("class_", shipped("PerformanceClass"), ids=lambda c: str(c["metadata"]["name"]))
def test_a_shipped_class_is_right(class_: Document) -> None:
    check_class(class_)


@pytest.mark.parametrize("document", shipped("PerformanceProfile"), ids=lambda p: str(p["metadata"]["name"]))
def test_a_sample_profile_translates_with_the_class_it_names(document: Document) -> None:
    classes = {c["metadata"]["name"]: c for c in shipped("PerformanceClass")}
    spec = to_model(document, classes[document["spec"]["classRef"]["name"]], Context(cpus=Fraction(2)))
    assert spec.space.tunable
    assert spec.slos


@pytest.mark.parametrize("budget", shipped("SharedBudget"), ids=lambda b: str(b["metadata"]["name"]))
def test_a_sample_budget_has_something_to_give(budget: Document) -> None:
    assert facts(budget, "u-1", NOON).available > 0


# The knob catalogue: (knob, Balanced, HighPerformance, MemoryEfficient, Development) for 4 CPUs; None: as Balanced.
CATALOGUE = [
    ("worker_count", 4, 8, 2, None),
    ("worker_queue_capacity", 1000, None, None, None),
    ("worker_timeout", 30, None, None, 5),
    ("batch_size", 10, 20, 5, None),
    ("batch_timeout", Fraction(1, 100), Fraction(1, 200), None, None),
    ("max_batch_wait", Fraction(1, 20), None, None, None),
    ("cache_capacity", 1000, 5000, 100, None),
    ("cache_ttl", 300, None, None, None),
    ("enable_cache_compression", False, None, None, None),
    ("service_pool_size", 10, None, 3, None),
    ("validator_pool_size", 5, None, 5, None),
    ("buffer_pool_size", 50, None, 10, None),
    ("buffer_initial_capacity", 8192, None, 1024, None),
    ("backpressure_threshold", Fraction(4, 5), Fraction(9, 10), None, None),
    ("backpressure_window", 1, None, None, None),
    ("max_concurrent_connections", 100, None, None, None),
    ("enable_metrics", True, None, None, None),
    ("metrics_interval", 10, None, None, 1),
    ("enable_detailed_tracing", False, False, None, True),
    ("stream_channel_capacity", 10000, None, None, None),
    ("stream_timeout", 60, None, None, 10),
    ("enable_stream_compression", False, None, None, None),
    ("pool_size", 20, None, None, None),
    ("max_overflow", 15, None, None, None),
]
PRESETS = ("Balanced", "HighPerformance", "MemoryEfficient", "Development")
SHIPPED = {c["metadata"]["name"]: c for c in shipped("PerformanceClass")}
SMALLEST = next(p for p in shipped("PerformanceProfile") if p["metadata"]["name"] == "checkout")


@pytest.mark.parametrize("preset", PRESETS)
def test_the_shipped_class_holds_the_whole_knob_catalogue_with_its_presets(preset: str) -> None:
    document = copy.deepcopy(SMALLEST)
    document["spec"]["preset"] = preset
    space = to_model(document, SHIPPED["python-worker"], Context(cpus=Fraction(4))).space
    column = 1 + PRESETS.index(preset)
    wanted = {row[0]: row[1] if row[column] is None else row[column] for row in CATALOGUE}
    assert {name: space[name].default for name in wanted} == wanted


def test_the_shipped_class_has_a_signal_for_every_purpose_and_every_limit_of_service() -> None:
    spec = to_model(SMALLEST, SHIPPED["python-worker"], Context(cpus=Fraction(4)))
    assert {s.purpose for s in spec.signals} == set(Purpose)
    limits = {name for name, role in spec.roles.items() if role in (Role.CONCURRENCY, Role.POOL)}
    assert limits <= {s.knob for s in spec.signals}


def test_what_callers_would_notice_is_recommended_and_not_tuned() -> None:
    space = to_model(SMALLEST, SHIPPED["python-worker"], Context()).space
    visible = ("worker_timeout", "cache_ttl", "stream_timeout", "enable_metrics", "enable_detailed_tracing")
    assert all(space[name].mode is KnobMode.RECOMMEND for name in visible)
