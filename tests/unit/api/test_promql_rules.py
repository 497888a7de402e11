"""What the PromQL of a class may say: each limit with the expression that just keeps it and the one that breaks it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from pegbox.api import promql_rules
from pegbox.api.translate import check_class
from pegbox.model.errors import InvalidInput
from tests.shipped import documents

X = "rate(x{$matchers}[$window])"
LONGEST = "x{$matchers}" + " " * (promql_rules.MAX_CHARACTERS - len("x{$matchers}"))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(X, id="the plain form"),
        pytest.param('sum without (outcome) (rate(x{outcome=~"a|b",$matchers}[$window]))', id="an aggregation with own matchers"),
        pytest.param("avg_over_time(x{$matchers}[$window]) / avg_over_time(y{$matchers}[$window])", id="a quotient, each side confined"),
        pytest.param("clamp_max(time() - x{$matchers}, 10)", id="time and numbers"),
        pytest.param("rate(x{$matchers}[1d])", id="a range of its own as long as the longest window"),
        pytest.param("(" * 14 + X + ")" * 14, id="14 + 2 brackets inside each other are 16, the most"),
        pytest.param(" + ".join(["x{$matchers}"] * 6), id="six selectors, the most"),
        pytest.param("x{$matchers} * on (pod) group_left (zone) y{$matchers}", id="a join of two confined metrics"),
        pytest.param("x{a='{}#\"',b=`c`,d!=\"\\x5f'\",$matchers}", id="brackets, quotes and escapes in values"),
        pytest.param(LONGEST, id="2000 characters, the most"),
    ],
)  # fmt: skip
def test_this_may_be_asked(text: str) -> None:
    promql_rules.check(text, "expr")


@pytest.mark.parametrize(
    ("text", "value", "remedy"),
    [
        pytest.param("rate(x{$matchers}[$window]", "$matchers", "it is not PromQL (unclosed left parenthesis)", id="an open bracket"),
        pytest.param("x{$matchers} y", "y", "it is not PromQL", id="two expressions"),
        pytest.param('x{a=~"(",$matchers}', "(", "it is not PromQL (illegal regex", id="a torn regular expression"),
        pytest.param(f"{X} * y", "'y'", "write y{$matchers}", id="a metric beside the confined one"),
        pytest.param(f"{X} or on () secret_total", "'secret_total'", "write secret_total{$matchers}", id="somebody else's metric through `or`"),
        pytest.param('{__name__=~".+",$matchers}', "a selector without a name", "name the metric before the braces", id="every metric there is"),
        pytest.param('{"a.b",$matchers}', "a selector without a name", "name the metric", id="a quoted name"),
        pytest.param('x{$matchers or job="y"}', "'x'", "lead around $matchers", id="matchers joined by or"),
        pytest.param('x{$matchers,or="y"}', "'x'", "lead around $matchers", id="a label that may be read as the word"),
        pytest.param('sum(x{$matchers}) + sum(y{a="$matchers"})', "$matchers", "PromQL", id="the placeholder inside a text"),
        pytest.param("x{$matchers,$matchers}", "'x'", "confined by the profile's labels", id="the placeholder twice"),
        pytest.param("x{$matchers} # $matchers", "a comment", "remove it", id="the placeholder in a comment"),
        pytest.param("x{a!='{$matchers}',$matchers}", "{$matchers}", "nothing is filled in between quotes", id="the placeholder in a value"),
        pytest.param("x{a!='{$matchers}',$matchers} + y{\"pegbox\\x5fmatchers_stand_here\"!=\"1\"}", "'y'", "write y{$matchers}", id="our mark by an escape, by another operator"),
        pytest.param("x{a!='{$matchers}',$matchers} + y{\"pegbox\\x5fmatchers_stand_here\"=\"1\"}", "'y'", "write y{$matchers}", id="our mark by an escape, by the same operator"),
        pytest.param("x{$matchers,\"pegbox\\137matchers_stand_here\"=~\".+\"}", "'x'", "write x{$matchers}", id="our mark beside the placeholder"),
        pytest.param("x{'job'!='a',$matchers}", "job", "write names without them", id="a quoted label name"),
        pytest.param("x{`job`='a',$matchers}", "job", "write names without them", id="a label name between backticks"),
        pytest.param("x{$matchers} + on () group_left (\"job\") y{$matchers}", "job", "write names without them", id="a quoted label of a join"),
        pytest.param("x{a=`\\n`,$matchers}", "`", "use double quotes", id="a backslash between backticks, which servers keep"),
        pytest.param("max_over_time(x{$matchers}[1h:1s])", "a subquery", "recording rule", id="a subquery"),
        pytest.param(f"max_over_time({X}[30d:1s])", "a subquery", "recording rule", id="a subquery over a function"),
        pytest.param("x{$matchers} offset 5m", "'x'", "remove offset and @", id="an offset"),
        pytest.param("rate(x{$matchers}[$window] @ end())", "'x'", "remove offset and @", id="a time of its own"),
        pytest.param("rate(x{$matchers}[1e30])", "[1e30]", "write ranges as whole numbers with a unit", id="a range for which the library panics"),
        pytest.param("x{$matchers} offset NaN", "NaN", "write ranges as whole numbers", id="an offset that is no number"),
        pytest.param("rate(x{$matchers}[86401s])", "86401s", "read at most 1d", id="a second more than the longest window"),
        pytest.param("topk(1000, x{$matchers})", "topk", "use one of avg, count", id="a sort"),
        pytest.param('count_values("v", x{$matchers})', "count_values", "use one of avg, count", id="labels made of values"),
        pytest.param('label_replace(x{$matchers}, "pod", "a", "", "")', "label_replace()", "recording rule", id="a label replaced: another pod's name"),
        pytest.param("absent(x{$matchers})", "absent()", "recording rule", id="a series made up"),
        pytest.param("vector(1)", "0 selectors", "between 1 and 6", id="no metric at all"),
        pytest.param(" + ".join(["x{$matchers}"] * 7), "7 selectors", "between 1 and 6", id="seven selectors"),
        pytest.param("(" * 15 + X + ")" * 15, "((((", "at most 16 brackets", id="17 brackets inside each other"),
        pytest.param(LONGEST + " ", "x{$matchers}", "at most 2000 characters", id="2001 characters"),
        pytest.param("x{$matchers}" + "+1" * 50, "more than 100 parts", "recording rule", id="51 operands and 50 sums are 101 parts"),
        pytest.param('x{a=~"' + "a" * 257 + '",$matchers}', "a of x", "at most 256 characters", id="a long regular expression"),
        pytest.param('x{pegbox_matchers_stand_here="1"} + y{$matchers}', "pegbox_matchers_stand_here", "Pegbox's own", id="our own mark, written by hand"),
        pytest.param('"text"', "0 selectors", "between 1 and 6", id="a text"),
    ],
)  # fmt: skip
def test_this_may_not_be_asked_and_the_error_names_field_value_and_remedy(text: str, value: str, remedy: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        promql_rules.check(text, "class c: spec.signals[s].expr")
    said = str(refused.value)
    assert said.startswith("class c: spec.signals[s].expr: ")
    assert value in said
    assert remedy in said
    assert "pegbox_matchers" not in said or "Pegbox's own" in said, "our mark is no word for users"


def _shipped() -> list[dict[str, Any]]:
    directory = Path(__file__).parents[3] / "manifests" / "classes"
    return [copy.deepcopy(d) for file in sorted(directory.glob("*.yaml")) for d in documents(file)]


@pytest.mark.parametrize("class_", _shipped(), ids=lambda class_: str(class_["metadata"]["name"]))
def test_every_shipped_class_keeps_the_rules(class_: dict[str, Any]) -> None:
    check_class(class_)


@pytest.mark.parametrize("part", ["expr", "sumExpr", "countExpr"])
def test_a_class_is_refused_by_any_of_its_expressions(part: str) -> None:
    (class_,) = (c for c in _shipped() if c["metadata"]["name"] == "python-worker")
    signal = next(s for s in class_["spec"]["signals"] if s["name"] == "task_duration")
    signal[part] += " or on () x{$matchers} offset 1d"
    with pytest.raises(InvalidInput, match=rf"spec\.signals\[task_duration\]\.{part}: .* remove offset"):
        check_class(class_)
