"""The proof that a question is confined, made on the very text that is sent.

`api.promql_rules` judges what a class's author wrote, before anything is filled in. Here the whole text is read again,
as it goes to the server, and each of its selectors must have the confining matchers themselves: label, operator and
value as our own code made them. So no way to write an expression, known or not, leads around them unseen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import promql_parser as pq

from pegbox.model.errors import InvalidInput

_OPERATORS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


class Matcher(NamedTuple):
    """`operator` is one of = != =~ !~; `value` as the server is to compare it, not as it is written."""

    label: str
    operator: str
    value: str


class Join(NamedTuple):
    """A selector of our own, which the confining matchers are not for: it has exactly these."""

    metric: str
    matchers: frozenset[Matcher]


def prove(text: str, confining: frozenset[Matcher], class_name: str, join: Join | None = None) -> None:
    """Raises InvalidInput where a selector lacks a confining matcher, or the join stands there other than once."""
    joins = 0
    for node in _selectors(_parsed(text, class_name), class_name):
        has = frozenset(_read(matcher) for matcher in node.matchers.matchers)
        # Servers that know `or` between matchers may read a label of that name as one.
        if node.matchers.or_matchers or any(matcher.label.lower() == "or" for matcher in has):
            raise _refused(class_name, f"{node.name} joins its matchers by `or`: use a regular expression")
        if join is not None and (node.name, has) == join:
            joins += 1
        elif not confining <= has:
            lacking = ", ".join(sorted(matcher.label for matcher in confining - has))
            raise _refused(class_name, f"{node.name} is not confined by {lacking}: write $matchers in its braces")
    if joins != (join is not None):
        raise _refused(class_name, f"{joins} selectors are as only Pegbox writes one: read metrics of the application")


def _refused(class_name: str, remedy: str) -> InvalidInput:
    return InvalidInput("class", class_name, remedy)


def _read(matcher: pq.Matcher) -> Matcher:
    return Matcher(matcher.name, _OPERATORS[str(matcher.op).rpartition(".")[2]], matcher.value)


def _parsed(text: str, class_name: str) -> pq.Expr:
    """What the library cannot read is not sent; its panics are no Exception, and would end us."""
    try:
        return pq.parse(text)
    except BaseException as error:
        if not isinstance(error, ValueError) and type(error).__name__ != "PanicException":
            raise
        raise InvalidInput(
            "class", class_name, f"its question cannot be read ({str(error)[:200]}): correct it"
        ) from None


def _selectors(root: pq.Expr, class_name: str) -> Iterator[pq.VectorSelector]:
    waiting = [root]
    while waiting:
        match waiting.pop():
            case pq.VectorSelector() as node:
                yield node
            case pq.MatrixSelector() as node:
                waiting.append(node.vector_selector)
            case pq.AggregateExpr() as node:
                waiting += [part for part in (node.expr, node.param) if isinstance(part, pq.Expr)]
            case pq.BinaryExpr() as node:
                waiting += [node.lhs, node.rhs]
            case pq.UnaryExpr() | pq.ParenExpr() | pq.SubqueryExpr() as node:
                waiting.append(node.expr)
            case pq.Call() as node:
                waiting += node.args
            case pq.NumberLiteral() | pq.StringLiteral():
                pass
            case node:  # what is not known cannot be proven
                raise InvalidInput(
                    "class", class_name, f"{type(node).__name__} is no part that Pegbox knows: remove it"
                )
