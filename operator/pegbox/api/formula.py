"""Default and preset formulas of a class, such as `max(2, cpus)`: parsed by a small grammar, never run as code."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from pegbox.core import expression
from pegbox.core.expression import Grammar, Node
from pegbox.model.errors import InvalidInput

CPUS = "cpus"
"""The CPUs of the target's container: its limit, else its request."""

_GRAMMAR = Grammar(
    operators=frozenset("+-*"),
    functions=frozenset({"max", "min"}),
    remedy="write a value, or a formula of numbers and cpus with + - * max() min(), such as max(2, cpus)",
)


@dataclass(frozen=True, slots=True)
class Formula:
    root: Node

    @property
    def needs_cpus(self) -> bool:
        return CPUS in expression.names(self.root)

    def evaluate(self, cpus: Fraction) -> Fraction:
        return expression.evaluate(self.root, {CPUS: cpus})


def parse(text: str, field: str) -> Formula:
    """Raises InvalidInput naming the field, the text and the remedy."""
    root = expression.parse(text, field, _GRAMMAR)
    odd = sorted(expression.names(root) - {CPUS})
    if odd:
        raise InvalidInput(field, text, f"{odd[0]!r} is not known: {_GRAMMAR.remedy}")
    return Formula(root)
