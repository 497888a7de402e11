"""Budgets never fall when a knob rises, and what is printed parses to the same expression."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from pegbox.core import budget
from pegbox.core.budget import Expression
from pegbox.core.expression import MAX_CHARACTERS, Binary, Name, Node, Number
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Setting

NAMES = ("a", "b", "pool_size", "pods")
numbers = st.decimals(0, 10**6, allow_nan=False, places=3).map(lambda d: Number(Fraction(d)))
nodes: st.SearchStrategy[Node] = st.recursive(
    numbers | st.sampled_from(NAMES).map(Name),
    lambda inner: st.builds(Binary, st.sampled_from("+*"), inner, inner),
    max_leaves=12,
)
expressions = nodes.map(Expression).filter(lambda e: len(str(e)) <= MAX_CHARACTERS)
amounts = st.fractions(0, 10**4, max_denominator=1000)
amounts_by_name = st.fixed_dictionaries({name: amounts for name in NAMES if name != "pods"})


@given(expressions)
@settings(deadline=None)
def test_what_is_printed_parses_to_the_same_expression(expression: Expression) -> None:
    assert budget.parse(str(expression)) == expression


@given(expressions, amounts_by_name, st.integers(0, 1000), st.sampled_from(NAMES), amounts)
@settings(deadline=None)
def test_use_never_falls_when_one_name_rises(
    expression: Expression, values: dict[str, Fraction], pods: int, name: str, more: Fraction
) -> None:
    before = expression.evaluate(Setting(values), pods)
    if name == "pods":
        after = expression.evaluate(Setting(values), pods + more)
    else:
        after = expression.evaluate(Setting({**values, name: values[name] + more}), pods)
    assert after >= before


@given(expressions, amounts_by_name, amounts_by_name, st.integers(0, 1000))
@settings(deadline=None)
def test_the_lower_of_two_settings_knob_by_knob_uses_no_more_than_either(
    expression: Expression, one: dict[str, Fraction], other: dict[str, Fraction], pods: int
) -> None:
    """That is why "lower first, then raise" never exceeds a budget in between."""
    between = {name: min(one[name], other[name]) for name in one}
    used = expression.evaluate(Setting(between), pods)
    assert used <= min(expression.evaluate(Setting(one), pods), expression.evaluate(Setting(other), pods))


@given(st.text(max_size=80) | st.text("ab+*() 1.,<=-/", max_size=80))
@settings(deadline=None)
def test_any_text_is_read_or_refused_and_never_breaks_the_parser(text: str) -> None:
    try:
        parsed = budget.parse(text)
    except InvalidInput as refused:
        assert refused.remedy
    else:
        assert budget.parse(str(parsed)) == parsed
