"""Budget expressions and class rules: what they allow, what they refuse, and what they come to."""

from __future__ import annotations

from fractions import Fraction

import pytest

from pegbox.core import budget, rules
from pegbox.core.expression import MAX_CHARACTERS, MAX_DEPTH
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Setting

SETTING = Setting(
    {
        "workers": Fraction(4),
        "pool": Fraction(20),
        "overflow": Fraction(15),
        "share": Fraction(4, 5),
        "tracing": False,
        "level": "high",
    }
)


@pytest.mark.parametrize(
    ("text", "pods", "used"),
    [
        pytest.param(
            "pods * workers * (pool + overflow)", 3, Fraction(420), id="3 pods x 4 workers x 35 connections = 420"
        ),
        pytest.param("pods * pool + 5", 3, Fraction(65), id="multiplication binds stronger: 60 + 5"),
        pytest.param("pods * (pool + 5)", 3, Fraction(75), id="parentheses first: 3 x 25"),
        pytest.param("0.5 * pool", 1, Fraction(10), id="decimals are exact: half of 20"),
        pytest.param("pool * share", 1, Fraction(16), id="a Decimal knob of 0.8: 16, not 15.999"),
        pytest.param("  7  ", 9, Fraction(7), id="a number alone is a budget"),
        pytest.param("pods", 0, Fraction(0), id="no pods use nothing"),
    ],
)
def test_a_budget_comes_to(text: str, pods: int, used: Fraction) -> None:
    assert budget.evaluate(text, SETTING, pods) == used


@pytest.mark.parametrize(
    ("text", "part"),
    [
        pytest.param("pool - 5", "'-' is not allowed", id="minus: raising pool must not lower another term's use"),
        pytest.param("100 / pool", "'/' is not allowed", id="division falls when its divisor rises"),
        pytest.param("max(pool, 3)", "function 'max' is not allowed", id="functions are for formulas"),
        pytest.param("pool % 3", "'%' is not allowed", id="remainder jumps"),
        pytest.param("-pool", "'-' stands where a number or a name is expected", id="negation"),
        pytest.param("pool <= 3", "'<=' is not expected there", id="a comparison is no amount"),
        pytest.param("pool ** 2", "'*' stands where", id="powers"),
        pytest.param("2 pool", "'pool' is not expected there", id="implied multiplication"),
        pytest.param("2pool", "'2' is not allowed", id="a name that begins with a digit"),
        pytest.param("1e9", "'1' is not allowed", id="exponents"),
        pytest.param("1.2.3", "is not allowed", id="two decimal points"),
        pytest.param("(pool", "closing parenthesis is missing", id="an open parenthesis"),
        pytest.param("pool)", "')' is not expected there", id="a stray parenthesis"),
        pytest.param("", "the text ends where", id="nothing at all"),
        pytest.param("pool +", "the text ends where", id="an operator without its right side"),
        pytest.param("__import__(os)", "function '__import__' is not allowed", id="Python"),
        pytest.param("pool; workers", "';' is not allowed", id="two statements"),
    ],
)
def test_a_budget_that_is_not_plainly_monotone_is_refused_with_its_remedy(text: str, part: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        budget.parse(text, "spec.budgets[db].uses")
    assert refused.value.field == "spec.budgets[db].uses"
    assert part in refused.value.remedy
    assert "use only + * ( )" in refused.value.remedy


def test_a_text_of_the_longest_length_is_read_and_one_more_character_is_not() -> None:
    longest = "1" + "+1" * ((MAX_CHARACTERS - 1) // 2)
    assert budget.evaluate(longest, SETTING, 1) == 1 + (MAX_CHARACTERS - 1) // 2
    with pytest.raises(InvalidInput, match=f"at most {MAX_CHARACTERS} characters"):
        budget.parse(longest.ljust(MAX_CHARACTERS + 1))


def test_parentheses_are_read_to_the_deepest_level_and_not_deeper() -> None:
    assert budget.evaluate("(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH, SETTING, 1) == 1
    with pytest.raises(InvalidInput, match="nested deeper"):
        budget.parse("(" * (MAX_DEPTH + 1) + "1" + ")" * (MAX_DEPTH + 1))


def test_parentheses_side_by_side_are_not_nesting() -> None:
    assert budget.evaluate("+".join(["(1)"] * 40), SETTING, 1) == 40


def test_names_are_told_apart_from_pods() -> None:
    parsed = budget.parse("pods * workers + pool")
    assert parsed.names == {"pods", "workers", "pool"}
    assert parsed.knobs == {"workers", "pool"}


def test_an_unknown_knob_is_a_key_error_and_a_boolean_is_no_number() -> None:
    with pytest.raises(KeyError):
        budget.evaluate("nobody", SETTING, 1)
    for name in ("tracing", "level"):
        with pytest.raises(TypeError, match=name):
            budget.evaluate(name, SETTING, 1)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("pods*(pool+overflow)", "pods * (pool + overflow)"),
        ("(pods*pool)+overflow", "pods * pool + overflow"),
        ("pods+(pool+overflow)", "pods + (pool + overflow)"),
        ("pods*(pool*overflow)", "pods * (pool * overflow)"),
        ("((2.50))*pool", "2.5 * pool"),
    ],
)
def test_printing_keeps_the_structure_and_drops_what_it_does_not_need(text: str, printed: str) -> None:
    assert str(budget.parse(text)) == printed
    assert budget.parse(printed) == budget.parse(text)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        pytest.param("pool <= workers * 4", False, id="20 <= 16 does not hold"),
        pytest.param("pool <= workers * 5", True, id="20 <= 20 holds: the bound belongs to it"),
        pytest.param("pool < workers * 5", False, id="20 < 20 does not"),
        pytest.param("0 < share <= 1", True, id="a chain holds where both sides do"),
        pytest.param("0 < share <= 0.5", False, id="a chain breaks at its second comparison"),
        pytest.param("1 < share <= 1", False, id="a chain breaks at its first comparison"),
        pytest.param("pool - overflow == 5", True, id="rules may subtract: 20 - 15"),
        pytest.param("max(pool, overflow) >= 20", True, id="rules may take the larger"),
    ],
)
def test_a_rule_holds_or_not(text: str, holds: bool) -> None:
    assert rules.parse(text).holds(SETTING) is holds
    assert rules.violated((text,), SETTING) == (() if holds else (text,))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("pool", "there is no comparison"),
        ("pool <=", "the text ends where"),
        ("pool != 3", "'!' is not allowed"),
        ("pool = 3", "'=' is not allowed"),
        ("pool < 3 and workers > 1", "'and' is not expected there"),
    ],
)
def test_a_rule_that_is_no_comparison_is_refused(text: str, part: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        rules.parse(text, "spec.rules[r].expr")
    assert part in refused.value.remedy


def test_a_rule_that_names_a_knob_the_setting_lacks_cannot_be_judged() -> None:
    assert rules.violated(("nobody > 1000", "pool > 1000"), SETTING) == ("pool > 1000",)


def test_a_rule_over_a_boolean_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="tracing"):
        rules.parse("tracing > 0").holds(SETTING)
