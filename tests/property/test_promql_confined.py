"""Whatever a class's author writes: it is refused, or every selector of the text that is sent is confined.

The text is read by `tests.promql_text`, as servers read it, and not by the library that the proof is made with.
"""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pegbox.adapters.prometheus import promql
from pegbox.api import promql_rules
from pegbox.model.errors import InvalidInput
from pegbox.model.profile import Purpose, Signal, SignalKind
from pegbox.ports import SignalQuery
from tests.promql_text import Selector, selectors

MARK = "pegbox_matchers_stand_here"
VALUES = st.sampled_from(["checkout", 'a"b\\', "'} + c{x!='", "`} + c{x!=`", "{$matchers}", "größe", ""])
TEXTS = st.sampled_from(
    ["1", "", "{", "}", "{}", "#", "(", "{$matchers}", "$matchers", "[$window]", MARK, "job", "checkout", ".*"]
)
LABELS = st.sampled_from(["x", "job", "namespace", "__name__", "le", MARK, "or", "by"])
OPERATORS = st.sampled_from(["=", "!=", "=~", "!~"])


@st.composite
def quoted(draw: st.DrawFn, content: str) -> str:
    """In one of three ways, with characters as they are or escaped."""
    quote = draw(st.sampled_from("\"'`"))
    if quote == "`" or not draw(st.booleans()):
        return quote + content + quote
    escape = draw(st.sampled_from(["\\x{:02x}", "\\u{:04x}", "\\{:03o}"]))
    return quote + "".join(escape.format(ord(c)) if draw(st.booleans()) else c for c in content) + quote


@st.composite
def matcher(draw: st.DrawFn) -> str:
    name = draw(LABELS)
    label = name if draw(st.booleans()) else draw(quoted(name))
    return label + draw(OPERATORS) + draw(quoted(draw(TEXTS)))


@st.composite
def hostile(draw: st.DrawFn) -> str:
    """One metric, confined or not, with what could lead around it."""
    inside = draw(st.lists(matcher(), max_size=2))
    if draw(st.integers(0, 3)):
        inside.insert(draw(st.integers(0, len(inside))), "$matchers")
    name = draw(st.sampled_from(["a", "b:c", "pegbox_pod_setting", "", "sum", '"a"']))
    braces = "{" + draw(st.sampled_from([",", " , ", " or "])).join(inside) + "}"
    more = (
        draw(st.sampled_from(["", "[$window]", "[1h:1m]"])),
        draw(st.sampled_from(["", "", " offset 5m", " @ end()"])),
    )
    empty = draw(st.booleans())
    text = name + (braces if inside or empty else "") + "".join(more)
    return draw(AROUND_ONE).format(text)


@st.composite
def plain(draw: st.DrawFn) -> str:
    """As the documentation says: `$matchers` last in the braces of each metric, names without quotes."""
    own = draw(
        st.lists(st.tuples(st.sampled_from(["x", "le"]), st.sampled_from(["1", "{", "}", "#", "'", "("])), max_size=2)
    )
    inside = ",".join([*(f'{label}!="{value}"' for label, value in own), "$matchers"])
    return f"rate(a{{{inside}}}[$window])"


AROUND_ONE = st.sampled_from(["rate({})", "{}", "sum by (x) ({})", "-{}", "absent({})", "({})", "time() + {}"])
JOINS = st.sampled_from([" + ", " or ", " / on () group_left () ", ' + on ("x") ', " # ", " and "])


def expression(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(plain(), st.lists(st.tuples(JOINS, part), max_size=3)).map(
        lambda drawn: drawn[0] + "".join(join + more for join, more in drawn[1])
    )


def unconfined(text: str, value: str) -> list[Selector]:
    """Builds it; the selectors without one of the confining matchers. Raises InvalidInput."""
    signal = Signal("s", SignalKind.RATE, Purpose.THROUGHPUT, text)
    built = promql.build(SignalQuery("c", signal, 60, (("job", value),)), promql.Dialect(namespaces=("shop",)))
    wanted = {("namespace", "=~", "shop"), ("job", "=", value)}
    return [found for found in selectors(built) if found.alternatives or not wanted <= found.matchers]


AROUND = (
    "rate(a{x!='{$matchers}',$matchers}[$window]) + on() group_left() "
    'sum(rate(b{"pegbox\\x5fmatchers_stand_here"!="1"}[$window]))'
)
"""What once passed: our mark in a value, and by an escape and another operator in a selector that is not confined."""


@given(expression(hostile()), VALUES)
@example(AROUND, "checkout")
def test_an_expression_is_refused_or_confined_in_all_selectors(text: str, value: str) -> None:
    try:
        promql_rules.check(text, "expr")
        left = unconfined(text, value)
    except InvalidInput:
        return
    assert [found.name for found in left] == ["pegbox_pod_setting"]


@given(expression(hostile()), VALUES)
@example("rate(a{$matchers}[$window]) + a{$matchers,or=`1`}", "checkout")
@example("rate(a{$matchers}[$window]) + rate(a{$matchers}[1h:1m])", "checkout")
def test_so_it_is_where_nobody_checked_the_class_before(text: str, value: str) -> None:
    try:
        left = unconfined(text, value)
    except InvalidInput:
        return
    assert [found.name for found in left] == ["pegbox_pod_setting"]


@given(st.lists(plain(), min_size=1, max_size=6).map(" + ".join), VALUES)
def test_what_is_written_as_told_is_taken(text: str, value: str) -> None:
    promql_rules.check(text, "expr")
    assert [found.name for found in unconfined(text, value)] == ["pegbox_pod_setting"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("rate(a[60s]) + b", ["a", "b"], id="bare metrics"),
        pytest.param('sum by (x, y) (a{z="}"}) * on (t) group_left (u) b{"v"=~\'{\'}', ["a", "b"], id="lists of labels are none"),
        pytest.param("{x='y'} or c", ["", "c"], id="one without a name"),
        pytest.param("a{x=`\\`} + b{y=`,z`}", ["a", "b"], id="a backslash ends no escape between backticks"),
        pytest.param("sum(a) by (x) > bool 1e3", ["a"], id="a list behind"),
    ],
)  # fmt: skip
def test_the_reader_sees_every_selector(text: str, names: list[str]) -> None:
    assert [found.name for found in selectors(text)] == names


def test_the_reader_reads_what_stands_there() -> None:
    (found,) = selectors('a{\'pegbox\\x5fm\'!="\\u0031" or "b"=~`\\n`}')
    assert found == Selector("a", frozenset({("pegbox_m", "!=", "1"), ("b", "=~", "\\n")}), True)
