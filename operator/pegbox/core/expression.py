"""One small arithmetic grammar for budgets, class rules and preset formulas; nothing is ever evaluated by Python.

    sum     = product (("+" | "-") product)*
    product = atom ("*" atom)*
    atom    = number | name | name "(" sum ("," sum)* ")" | "(" sum ")"

Which operators and functions a text may use is the caller's choice (`Grammar`): a budget allows only + and *,
so that it can never fall when a knob rises. Numbers are non-negative and exact; length and depth are limited,
because the texts come from users.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from pegbox.model.errors import InvalidInput

MAX_CHARACTERS = 256
MAX_DEPTH = 16  # of parentheses and calls
_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]{1,15}(?:\.[0-9]{1,6})?)(?![0-9.A-Za-z_])|(?P<name>[A-Za-z_][A-Za-z0-9_]{0,62})|(?P<symbol><=|>=|==|[-+*(),<>]))"
)
_REDUCE: Mapping[str, Callable[[list[Fraction]], Fraction]] = {"max": max, "min": min}


@dataclass(frozen=True, slots=True)
class Number:
    value: Fraction

    def __str__(self) -> str:
        """Exact: numbers have at most six decimals by the grammar."""
        millionths = self.value * 10**6
        whole, rest = divmod(round(millionths), 10**6)
        return f"{whole}.{rest:06d}".rstrip("0") if rest else str(whole)


@dataclass(frozen=True, slots=True)
class Name:
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`; chains associate to the left."""

    operator: str
    left: Node
    right: Node

    def __str__(self) -> str:
        left, right = str(self.left), str(self.right)
        if self.operator == "*" and isinstance(self.left, Binary) and self.left.operator != "*":
            left = f"({left})"
        if isinstance(self.right, Binary) and (self.operator == "*" or self.right.operator != "*"):
            right = f"({right})"
        return f"{left} {self.operator} {right}"


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    arguments: tuple[Node, ...]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"


Node = Number | Name | Binary | Call


@dataclass(frozen=True, slots=True)
class Grammar:
    """What one kind of text may hold. `remedy` ends the refusal of everything else."""

    operators: frozenset[str]
    functions: frozenset[str]
    remedy: str


@dataclass(frozen=True, slots=True)
class Token:
    kind: str  # "number", "name", "symbol" or "end"
    text: str


def tokens(text: str, field: str, remedy: str) -> list[Token]:
    """The text's tokens, ended by one of kind "end". Raises InvalidInput."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput(field, f"{text[:40]}...", f"write at most {MAX_CHARACTERS} characters")
    return [*_scan(text.rstrip(), field, remedy), Token("end", "")]


def _scan(text: str, field: str, remedy: str) -> Iterator[Token]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise InvalidInput(field, text, f"{text[position:].lstrip()[:1]!r} is not allowed: {remedy}")
        yield Token(match.lastgroup, match[match.lastgroup])
        position = match.end()


class Parser:
    """Recursive descent over one token list. `take_sum` leaves the position behind what it consumed."""

    def __init__(self, text: str, field: str, grammar: Grammar) -> None:
        self.text, self.field, self.grammar = text, field, grammar
        self._tokens = tokens(text, field, grammar.remedy)
        self._at = 0
        self._depth = 0

    @property
    def next(self) -> Token:
        return self._tokens[self._at]

    def advance(self) -> Token:
        token = self.next
        self._at += 1
        return token

    def refuse(self, what: str) -> InvalidInput:
        return InvalidInput(self.field, self.text, f"{what}: {self.grammar.remedy}")

    def take_sum(self) -> Node:
        return self._chain(("+", "-"), self._product)

    def _product(self) -> Node:
        return self._chain(("*",), self._atom)

    def _chain(self, symbols: tuple[str, ...], operand: Callable[[], Node]) -> Node:
        node = operand()
        while self.next.kind == "symbol" and self.next.text in symbols:
            operator = self.advance().text
            if operator not in self.grammar.operators:
                raise self.refuse(f"{operator!r} is not allowed")
            node = Binary(operator, node, operand())
        return node

    def _atom(self) -> Node:
        token = self.advance()
        match token.kind, token.text:
            case "number", text:
                return Number(Fraction(text))
            case "name", name if self.next.text == "(":
                if name not in self.grammar.functions:
                    raise self.refuse(f"the function {name!r} is not allowed")
                return Call(name, self._arguments())
            case "name", name:
                return Name(name)
            case "symbol", "(":
                return self._arguments(single=True)[0]
            case "end", _:
                self._at -= 1
                raise self.refuse("the text ends where a number or a name is expected")
        raise self.refuse(f"{token.text!r} stands where a number or a name is expected")

    def _arguments(self, *, single: bool = False) -> tuple[Node, ...]:
        if not single:
            self.advance()  # the parenthesis that follows a function's name
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.refuse(f"parentheses are nested deeper than {MAX_DEPTH}")
        found = [self.take_sum()]
        while not single and self.next.text == ",":
            self.advance()
            found.append(self.take_sum())
        if self.next.text != ")":
            raise self.refuse("a closing parenthesis is missing")
        self.advance()
        self._depth -= 1
        return tuple(found)


def parse(text: str, field: str, grammar: Grammar) -> Node:
    """The whole text as one sum. Raises InvalidInput."""
    parser = Parser(text, field, grammar)
    node = parser.take_sum()
    if parser.next.kind != "end":
        raise parser.refuse(f"{parser.next.text!r} is not expected there")
    return node


def names(node: Node) -> frozenset[str]:
    """Every name that the node reads."""
    match node:
        case Name(name):
            return frozenset({name})
        case Binary(_, left, right):
            return names(left) | names(right)
        case Call(_, arguments):
            return frozenset().union(*(names(argument) for argument in arguments))
        case Number():
            return frozenset()


def evaluate(node: Node, values: Mapping[str, Fraction]) -> Fraction:
    """The node's exact value. Raises KeyError for a name that `values` does not hold."""
    match node:
        case Number(value):
            return value
        case Name(name):
            return values[name]
        case Call(function, arguments):
            return _REDUCE[function]([evaluate(argument, values) for argument in arguments])
        case Binary("+", left, right):
            return evaluate(left, values) + evaluate(right, values)
        case Binary("-", left, right):
            return evaluate(left, values) - evaluate(right, values)
        case Binary(_, left, right):
            return evaluate(left, values) * evaluate(right, values)
