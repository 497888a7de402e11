"""Budgets: how much of a shared thing a setting uses, such as `pods * worker_count * (pool_size + max_overflow)`.

Only + and * over non-negative values are allowed, so use never falls when a knob or the number of pods rises.
That is what makes "lower first, then raise" safe: a setting between two that fit, taken knob by knob as the
lower of both, fits as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from pegbox.core import expression
from pegbox.core.expression import Grammar, Node
from pegbox.model.knobs import Setting

PODS = "pods"
"""The name for observed unfinished pods plus all that our own writes can add; not a knob."""

_GRAMMAR = Grammar(
    operators=frozenset("+*"),
    functions=frozenset(),
    remedy="use only + * ( ), numbers, `pods` and names of numeric knobs, so that use never falls when a knob rises",
)


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed budget. `str` of it parses to an equal one."""

    root: Node

    def __str__(self) -> str:
        return str(self.root)

    @property
    def names(self) -> frozenset[str]:
        """Knob names, and `pods` where it is used."""
        return expression.names(self.root)

    @property
    def knobs(self) -> frozenset[str]:
        return self.names - {PODS}

    def evaluate(self, setting: Mapping[str, object], pods: Fraction | int) -> Fraction:
        """Units of the budget in use. Raises KeyError for an unknown knob, TypeError for one that is no number."""
        return expression.evaluate(self.root, _numbers(self.names, setting, pods))


@lru_cache(maxsize=512)
def parse(text: str, field: str = "uses") -> Expression:
    """Raises InvalidInput naming the field, the text and the remedy."""
    return Expression(expression.parse(text, field, _GRAMMAR))


def evaluate(uses: str, setting: Setting, pods: Fraction | int) -> Fraction:
    """Units in use by a budget's text; see `Expression.evaluate`."""
    return parse(uses).evaluate(setting, pods)


def _numbers(wanted: frozenset[str], setting: Mapping[str, object], pods: Fraction | int) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    for name in wanted:
        value = Fraction(pods) if name == PODS else setting[name]
        if not isinstance(value, Fraction):
            raise TypeError(f"knob {name} is not a number")
        found[name] = value
    return found
