"""Class rules: comparisons that every setting must meet, such as `pool_size <= worker_count * 4`.

A comparison may be a chain: `0 < backpressure_threshold <= 1`. Terms are sums of products of knobs and numbers
(+ - * and parentheses, min and max).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from pegbox.core import expression
from pegbox.core.expression import Grammar, Node, Parser
from pegbox.model.knobs import Setting

_GRAMMAR = Grammar(
    operators=frozenset("+-*"),
    functions=frozenset({"min", "max"}),
    remedy="write a comparison of numeric knobs and numbers, such as pool_size <= worker_count * 4",
)
_COMPARE: Mapping[str, Callable[[Fraction, Fraction], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """`terms[0] comparisons[0] terms[1] comparisons[1] terms[2]...`, all of which must hold."""

    terms: tuple[Node, ...]
    comparisons: tuple[str, ...]

    def __str__(self) -> str:
        rest = (f" {sign} {term}" for sign, term in zip(self.comparisons, self.terms[1:], strict=True))
        return str(self.terms[0]) + "".join(rest)

    @property
    def names(self) -> frozenset[str]:
        return frozenset().union(*(expression.names(term) for term in self.terms))

    def holds(self, setting: Mapping[str, object]) -> bool:
        """Raises KeyError for an unknown knob, TypeError for one that is no number."""
        numbers = {name: setting[name] for name in self.names}
        odd = sorted(name for name, value in numbers.items() if not isinstance(value, Fraction))
        if odd:
            raise TypeError(f"knob {odd[0]} is not a number")
        values = [
            expression.evaluate(t, {n: v for n, v in numbers.items() if isinstance(v, Fraction)}) for t in self.terms
        ]
        pairs = zip(values, self.comparisons, values[1:], strict=False)
        return all(_COMPARE[sign](left, right) for left, sign, right in pairs)


@lru_cache(maxsize=512)
def parse(text: str, field: str = "expr") -> Rule:
    """Raises InvalidInput naming the field, the text and the remedy."""
    parser = Parser(text, field, _GRAMMAR)
    terms, comparisons = [parser.take_sum()], []
    while parser.next.text in _COMPARE:
        comparisons.append(parser.advance().text)
        terms.append(parser.take_sum())
    if parser.next.kind != "end":
        raise parser.refuse(f"{parser.next.text!r} is not expected there")
    if not comparisons:
        raise parser.refuse("there is no comparison")
    return Rule(tuple(terms), tuple(comparisons))


def violated(rules: Sequence[str], setting: Setting) -> tuple[str, ...]:
    """The rules' texts that the setting breaks, in order; rules that name a knob it lacks cannot be judged."""
    parsed = ((text, parse(text)) for text in rules)
    return tuple(text for text, rule in parsed if rule.names <= set(setting) and not rule.holds(setting))
