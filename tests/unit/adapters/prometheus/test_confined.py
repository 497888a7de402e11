"""The text that is sent is proven: every selector has the confining matchers, whoever let the expression pass before."""

from __future__ import annotations

import pytest

from pegbox.adapters.prometheus import confined, promql
from pegbox.adapters.prometheus.confined import Join, Matcher
from pegbox.adapters.prometheus.promql import Dialect, Scope
from pegbox.model.errors import InvalidInput
from pegbox.model.profile import Purpose, Signal, SignalKind
from pegbox.ports import SignalQuery

SHOP = Dialect(namespaces=("shop",))
JOB = (("job", "checkout"),)
CONFINED = frozenset({Matcher("namespace", "=~", "shop"), Matcher("job", "=", "checkout")})
FIRST = "rate(a{$matchers}[$window])"


def built(expression: str, dialect: Dialect = SHOP, matchers: tuple[tuple[str, str], ...] = JOB) -> str:
    """As the adapter builds it for a class that nobody checked."""
    signal = Signal("s", SignalKind.RATE, Purpose.THROUGHPUT, expression)
    return promql.build(SignalQuery("c", signal, 60, matchers), dialect)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        pytest.param(f"{FIRST} + b", "b is not confined by job, namespace", id="no braces"),
        pytest.param(f"{FIRST} + b{{x='$matchers'}}", "b is not confined by job, namespace", id="the matchers as a value"),
        pytest.param(f'{FIRST} + b{{job="checkout"}}', "b is not confined by namespace", id="one of two, by hand"),
        pytest.param(f'{FIRST} + b{{job=~"checkout",namespace=~"shop"}}', "b is not confined by job", id="another operator"),
        pytest.param(f'{FIRST} + b{{job!="checkout",namespace=~"shop"}}', "b is not confined by job", id="the opposite"),
        pytest.param(f'{FIRST} + b{{job="checkout2",namespace=~"shop"}}', "b is not confined by job", id="a longer value"),
        pytest.param(f'{FIRST} + b{{job="checkout",namespace=~"shop|x"}}', "b is not confined by namespace", id="a wider expression"),
        pytest.param(f"{FIRST} + b{{$matchers or x='y'}}", "b joins its matchers by `or`", id="an alternative"),
        pytest.param(f"{FIRST} + sum(max_over_time(b[5m:1m]))", "b is not confined", id="within a subquery"),
        pytest.param(f"{FIRST} + b offset 5m", "b is not confined", id="with an offset"),
        pytest.param(f"{FIRST} + {{__name__=~'b.*'}}", "is not confined by job, namespace", id="by __name__"),
        pytest.param(f"{FIRST} + quantile(scalar(b), a{{$matchers}})", "b is not confined", id="as a parameter"),
        pytest.param(f"{FIRST} + -b", "b is not confined", id="behind a sign"),
        pytest.param(f'{FIRST} + pegbox_pod_setting{{class="c"}}', "2 selectors are as only Pegbox writes", id="our own join again"),
        pytest.param(f'{FIRST} + pegbox_pod_setting{{class="d"}}', "pegbox_pod_setting is not confined", id="the join of another class"),
        pytest.param(f"{FIRST} + b{{x=`\\`,$matchers}}", "cannot be read", id="where a string ends is read in two ways"),
        pytest.param(f"{FIRST} + (a{{$matchers}} offset NaN)", "cannot be read", id="for what the library panics"),
    ],
)  # fmt: skip
def test_what_is_not_confined_is_never_sent(expression: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        built(expression)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("expression", "selectors"),
    [
        pytest.param(FIRST, ("a",), id="one"),
        pytest.param(f"{FIRST} + b{{x!='y',$matchers}}", ("a", "b"), id="two"),
        pytest.param(f'{FIRST} + b{{"job"="checkout","namespace"=~"shop"}}', ("a", "b"), id="the very matchers, in other words"),
        pytest.param(f"{FIRST} + pegbox_pod_setting{{$matchers}}", ("a", "pegbox_pod_setting"), id="our metric, as any other"),
    ],
)  # fmt: skip
def test_what_is_confined_is_sent(expression: str, selectors: tuple[str, ...]) -> None:
    text = built(expression)
    for name in selectors:
        assert f"{name}{{" in text


def test_a_question_that_nothing_confines_is_as_before() -> None:
    assert "rate(a{}[60s])" in built(FIRST, Dialect(), ())


@pytest.mark.parametrize("value", ['a"b', "a\\", "\x00\x7f\n", "größe", "'`{}[]$#", "\\x41", '"} or on() b{x="'])
def test_values_are_compared_as_the_server_compares_them(value: str) -> None:
    """As they are meant, not as they are written: the proof does not lean on our own quoting."""
    assert promql.quote(value) in built(FIRST, Dialect(namespaces=(value,)), (("job", value),))


def test_the_pods_of_a_scope_confine_as_well() -> None:
    scope = Scope("shop/web", "shop", "web-[a-z0-9]+")
    for expression in (FIRST, f"{FIRST} + b{{job='checkout'}}"):
        query = SignalQuery("c", Signal("s", SignalKind.RATE, Purpose.THROUGHPUT, expression), 60, JOB)
        if expression == FIRST:
            assert 'a{namespace="shop",pod=~"web-[a-z0-9]+",job="checkout"}' in promql.build_for_scope(
                query, SHOP, scope
            )
        else:
            with pytest.raises(InvalidInput, match="b is not confined by namespace, pod"):
                promql.build_for_scope(query, SHOP, scope)


@pytest.mark.parametrize("text", ["a", "time()"], ids=["none of its matchers", "no selector"])
def test_a_text_without_its_join_is_no_text_of_ours(text: str) -> None:
    with pytest.raises(InvalidInput):
        confined.prove(text, CONFINED, "c", Join("j", frozenset()))
