"""Query texts: what is filled in, what is refused, and where freshness is read from."""

from __future__ import annotations

import pytest

from pegbox.adapters.prometheus import promql
from pegbox.adapters.prometheus.promql import Dialect
from pegbox.model.errors import InvalidInput
from pegbox.model.profile import Purpose, Signal, SignalKind
from pegbox.ports import SignalQuery

PLAIN = Dialect(duplicate_labels=())


def rate(expression: str, purpose: Purpose = Purpose.THROUGHPUT) -> Signal:
    return Signal("s", SignalKind.RATE, purpose, expression)


@pytest.mark.parametrize(
    ("expression", "matching", "expected"),
    [
        pytest.param("rate(a{$matchers}[$window])", "", "rate(a{}[20s])", id="no_matchers"),
        pytest.param("rate(a{$matchers}[$window])", 'q="x"', 'rate(a{q="x"}[20s])', id="one_matcher"),
        pytest.param('a{b="c",$matchers}', "", 'a{b="c",}', id="a_trailing_comma_is_promql"),
        pytest.param('a{$matchers, b="c"}', "", 'a{ b="c"}', id="a_leading_comma_is_not_and_goes"),
        pytest.param('a{$matchers, b="c"}', 'q="x"', 'a{q="x", b="c"}', id="a_leading_comma_stays_with_matchers"),
        pytest.param("a{$matchers}", 'q="$window"', 'a{q="$window"}', id="values_are_never_filled_in"),
        pytest.param("a{$matchers}[$window]", r'q="\\1"', r'a{q="\\1"}[20s]', id="values_are_no_templates"),
    ],
)
def test_placeholders_are_filled_in_once(expression: str, matching: str, expected: str) -> None:
    assert promql.fill(expression, 20, matching) == expected


@pytest.mark.parametrize("window", [0, -1])
def test_a_window_has_at_least_one_second(window: int) -> None:
    with pytest.raises(InvalidInput, match="window"):
        promql.fill("a{$matchers}", window, "")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("plain", '"plain"', id="plain"),
        pytest.param('a"b', '"a\\"b"', id="quote"),
        pytest.param("a\\", '"a\\\\"', id="backslash_at_the_end"),
        pytest.param("a\nb", '"a\\nb"', id="newline"),
        pytest.param("a\x00\r", '"a\\x00\\x0d"', id="control_characters"),
        pytest.param("a'`{}", '"a\'`{}"', id="what_needs_no_escape"),
        pytest.param("größe", '"größe"', id="utf8"),
    ],
)
def test_values_become_string_literals(value: str, expected: str) -> None:
    assert promql.quote(value) == expected


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", 'a"', "__name__", "a\n", "é", "a=~"])
def test_a_label_that_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="letters, digits and _"):
        promql.matchers(((name, "x"),))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param("", "is empty", id="empty"),
        pytest.param("rate(a{}[$window])", "lacks $matchers", id="no_matchers"),
        pytest.param("a{$matchers}", "lacks $window", id="no_window"),
        pytest.param("rate(a{$matchers}[$windows])", "lacks $window", id="a_longer_name_is_another"),
        pytest.param("rate(a{$matchers}[$window]) * $x", "$x is not filled in", id="another_placeholder"),
        pytest.param("rate(a{$matchers}[$window]", "( that is never closed", id="open"),
        pytest.param("rate(a{$matchers}[$window]))", ") that closes nothing", id="closed_twice"),
        pytest.param("rate(a{$matchers[$window}])", "} that closes nothing", id="crossed"),
        pytest.param('rate(a{b="x,$matchers}[$window])', "never closed", id="open_string"),
        pytest.param("rate(a{$matchers}[$window]) # )", "comment", id="comment"),
        pytest.param("rate($matchers[$window])", "braces of a metric", id="matchers_outside_of_braces"),
        pytest.param('rate({__name__="a",$matchers}[$window])', "braces of a metric", id="no_metric_name"),
    ],
)
def test_an_expression_that_cannot_work_is_named_without_a_server(expression: str, expected: str) -> None:
    found = promql.problems(rate(expression))
    assert any(expected in problem for problem in found), found
    with pytest.raises(InvalidInput):
        promql.build(SignalQuery("c", rate(expression), 20), PLAIN)


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param('rate(a{b="(",$matchers}[$window])', id="bracket_in_a_string"),
        pytest.param("rate(a{b='#\"',$matchers}[$window])", id="hash_and_quote_in_a_string"),
        pytest.param("sum without (x) (rate(a{ $matchers }[$window]))", id="spaces"),
        pytest.param("avg_over_time(a{$matchers}[$window]) / b{$matchers}", id="two_metrics"),
    ],
)
def test_an_expression_that_can_work_has_no_problem(expression: str) -> None:
    assert promql.problems(rate(expression)) == ()


def test_every_expression_of_a_kind_is_looked_at() -> None:
    text = "rate(a{$matchers}[$window])"
    histogram = Signal("h", SignalKind.HISTOGRAM, Purpose.LATENCY, text, "", text)
    assert promql.problems(histogram) == ("signal h, sum_expr: is empty; write PromQL with $window and $matchers",)
    ratio = Signal("r", SignalKind.RATIO, Purpose.ERRORS, text)
    assert "count_expr" in promql.problems(ratio)[0]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param("rate(a:b{$matchers}[$window])", "a:b{$matchers}", id="recorded_metric"),
        pytest.param('x{y="$"} / a {z="}",$matchers}', 'a{z="}",$matchers}', id="the_first_with_matchers"),
        pytest.param('"a{$matchers}"', "", id="not_in_a_string"),
        pytest.param("{$matchers}", "", id="no_name"),
    ],
)
def test_freshness_is_read_from_the_first_selector(expression: str, expected: str) -> None:
    assert promql.selector(expression) == expected


def test_the_whole_text_of_a_rate() -> None:
    query = SignalQuery("web", rate("rate(done_total{$matchers}[$window])"), 20, (("queue", "a"),))
    part = 'label_replace({}, "part", "{}", "", "")'
    fresh = '(time() - max by (namespace, pod) (timestamp(done_total{queue="a"})) <= 10)'
    scrapes = '(max by (namespace, pod) (count_over_time(done_total{queue="a"}[20s])) >= 4)'
    parts = " or ".join(
        (
            part.format('sum by (namespace, pod) ( (rate(done_total{queue="a"}[20s])))', "value"),
            part.format(f"group by (namespace, pod) {fresh}", "fresh"),
            part.format(f"group by (namespace, pod) ({scrapes} and on (namespace, pod) {fresh})", "sound"),
        )
    )
    assert promql.build(query, PLAIN) == (
        "sum by (profile, cohort, setting, part, le) (label_replace(label_replace(("
        + parts
        + '), "target_namespace", "$1", "namespace", "(.*)"), "target_pod", "$1", "pod", "(.*)")'
        " * on (target_namespace, target_pod) group_left (profile, cohort, setting)"
        " (0 * topk by (target_namespace, target_pod) "
        '(1, timestamp(pegbox_pod_setting{class="web"})) + 1))'
    )


def test_offered_load_is_not_told_apart_by_setting() -> None:
    text = promql.build(SignalQuery("web", rate("rate(a{$matchers}[$window])", Purpose.LOAD), 20), PLAIN)
    assert text.startswith("sum by (profile, part, le)")
    assert "group_left (profile)" in text


def test_class_names_and_namespaces_cannot_leave_their_strings() -> None:
    dialect = Dialect(namespaces=('a"} or b{', "c.d"))
    text = promql.build(SignalQuery('x"} or y{', rate("rate(a{$matchers}[$window])"), 20), dialect)
    assert '{class="x\\"} or y{"}' in text
    assert r'namespace=~"a\"\\} or b\\{|c\\.d"' in text


@pytest.mark.parametrize("count", [0, promql.MAX_SCOPE_PODS + 1])
def test_a_query_names_a_bounded_number_of_pods(count: int) -> None:
    with pytest.raises(InvalidInput, match="scrape the operator"):
        promql.scope_of_pods("a/b", "a", tuple(f"p-{i}" for i in range(count)))


def test_pods_are_named_exactly() -> None:
    scope = promql.scope_of_pods("a/b", "a", ("web-1", "we.b"))
    text = promql.build_for_scope(SignalQuery("c", rate("rate(a{$matchers}[$window])"), 20), PLAIN, scope)
    assert 'a{namespace="a",pod=~"we\\\\.b|web-1"}' in text
    assert "pegbox_pod_setting" not in text


@pytest.mark.parametrize("name", ["name space", "1", 'a"'])
def test_a_dialect_has_names_as_labels(name: str) -> None:
    with pytest.raises(InvalidInput):
        Dialect(pod_label=name)


def test_with_labels_of_its_own_only_the_operators_series_are_joined() -> None:
    """Somebody else's pegbox_pod_setting, scraped from his pod in his namespace, does not match."""
    signal = Signal("s", SignalKind.RATE, Purpose.THROUGHPUT, "rate(a{$matchers}[$window])")
    dialect = Dialect(own_labels=(("namespace", 'peg"box'),))
    text = promql.build(SignalQuery("c", signal, 60), dialect)
    assert 'timestamp(pegbox_pod_setting{class="c",namespace="peg\\"box"})' in text
    assert text.count("pegbox_pod_setting") == 1
