"""Whatever a profile writes as a matcher value stays inside its string."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from pegbox.adapters.prometheus import promql
from pegbox.model.profile import Purpose, Signal, SignalKind
from pegbox.ports import SignalQuery

HOSTILE = st.text(st.sampled_from("\"'\\\n\r\t`{}()[]$,=~!#abx0\x00") | st.characters(codec="utf-8"), max_size=40)
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def unquote(literal: str) -> str:
    """PromQL's double-quoted strings, read by their own grammar; fails on what is no single literal."""
    assert re.fullmatch(r'"(?:\\(?:[\\"n]|x[0-9a-f]{2})|[^"\\\n])*"', literal), literal
    return re.sub(
        r"\\(?:[\\\"n]|x[0-9a-f]{2})",
        lambda m: _ESCAPES.get(m.group()) or chr(int(m.group()[2:], 16)),
        literal[1:-1],
    )


@given(HOSTILE)
def test_a_quoted_value_reads_back_as_itself(value: str) -> None:
    assert unquote(promql.quote(value)) == value


@given(HOSTILE)
def test_an_escaped_expression_matches_its_text_and_nothing_longer(value: str) -> None:
    expression = promql.escape_regex(value)
    assert re.fullmatch(expression, value)
    assert not re.fullmatch(expression, value + "x")


@given(HOSTILE, HOSTILE)
def test_a_value_changes_nothing_but_its_literal(first: str, second: str) -> None:
    signal = Signal("s", SignalKind.RATE, Purpose.THROUGHPUT, "rate(a{$matchers}[$window])")

    def around(value: str) -> list[str]:
        text = promql.build(SignalQuery("c", signal, 20, (("q", value),)), promql.Dialect())
        assert text.count(promql.quote(value)) >= 3
        return text.split(f"q={promql.quote(value)}")

    assert around(first) == around(second)


@given(st.text(st.sampled_from("()[]{}\"'`\\$matcherswindow, #ab\n"), max_size=60))
def test_the_light_check_answers_for_any_text(expression: str) -> None:
    for problem in promql.problems(Signal("s", SignalKind.RATE, Purpose.LOAD, expression)):
        assert problem.startswith("signal s, expr: ")
