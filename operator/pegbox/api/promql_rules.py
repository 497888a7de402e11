"""What the PromQL of a class may say: parsed by a library, then held to a short list of what signals need.

The text comes from whoever may write classes, and runs with the operator's rights on the metrics server for every
profile of the class. So every selector is confined by `$matchers` (namespaces of the install, labels of the
profile), and what one question costs is bounded before it is ever sent. `adapters.prometheus.promql` has checks of
its own before it fills an expression in, and `adapters.prometheus.confined` proves the text that is sent.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from fractions import Fraction

import promql_parser as pq

from pegbox.model import units
from pegbox.model.errors import InvalidInput

MAX_CHARACTERS = 2000
MAX_NESTING = 16
"""Of brackets, counted before the library sees the text: it recurses."""
MAX_NODES = 100
"""Parts of one expression; the shipped classes need at most 9."""
MAX_SELECTORS = 6
"""Series sets that one question reads; the shipped classes need 2."""
MAX_PATTERN = 256
"""Characters of one regular expression; the server runs RE2, which is linear in them."""
LONGEST_RANGE = Fraction(86400)
"""Seconds. The longest window that an SLO may have, so that no class reads further back than a profile may."""

FUNCTIONS = frozenset(
    {
        *("rate", "irate", "increase", "delta", "idelta", "deriv", "resets", "changes"),
        *(f"{name}_over_time" for name in ("avg", "sum", "min", "max", "count", "last", "present")),
        *("abs", "ceil", "floor", "round", "sqrt", "exp", "ln", "log2", "log10", "sgn"),
        *("clamp", "clamp_min", "clamp_max", "time", "timestamp"),
    }
)
"""None makes series up (absent, vector), renames labels (label_replace), or costs more than one pass over samples."""
AGGREGATIONS = frozenset({"sum", "avg", "min", "max", "count", "group"})
"""Without count_values, which makes labels of values, and topk and the like, which sort."""

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_MARK = "pegbox_matchers_stand_here"
_STRING = re.compile(r"""([=~]\s*)?("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`|#)""")
"""As servers read it, with whether it is the value of a matcher; or a comment."""


def check(text: str, field: str) -> None:
    """Raises InvalidInput naming the field, what stands there and the remedy."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput(field, text, f"write at most {MAX_CHARACTERS} characters")
    if _deepest(text) > MAX_NESTING:
        raise InvalidInput(field, text, f"write at most {MAX_NESTING} brackets inside each other")
    if _MARK in text:
        raise InvalidInput(field, _MARK, "this name is Pegbox's own: use another")
    # No text holds its own digest, in whatever escapes: only we can write this matcher.
    mark = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    nodes = _nodes(_parsed(text, mark, field), field)
    selectors = [node for node in nodes if isinstance(node, pq.VectorSelector)]
    if not selectors or len(selectors) > MAX_SELECTORS:
        raise InvalidInput(field, f"{len(selectors)} selectors", f"read between 1 and {MAX_SELECTORS} series sets")
    for node in nodes:
        _check_node(node, mark, field)
    _check_strings(text, field)
    if text.count("$matchers") != len(selectors):
        raise InvalidInput(field, "$matchers", "write it once in the braces of each metric, and nowhere else")


def _deepest(text: str) -> int:
    """Brackets open at once; those in strings count as well, which only makes it stricter."""
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _check_strings(text: str, field: str) -> None:
    """Strings are values of matchers, and hold what they show: the library and servers agree where each ends."""
    for equals, string in _STRING.findall(text):
        if string == "#":
            raise InvalidInput(field, "a comment", "it would swallow what follows: remove it")
        if not equals:
            raise InvalidInput(field, string, "only values of matchers stand in quotes: write names without them")
        if "$" in string:
            raise InvalidInput(field, string, "nothing is filled in between quotes: write $matchers beside them")
        if string[0] == "`" and "\\" in string:
            raise InvalidInput(field, string, "a backslash between backticks is read in two ways: use double quotes")


def _parsed(text: str, mark: str, field: str) -> pq.Expr:
    """With both placeholders filled in, `$matchers` by what only we can write."""
    matchers = f'{_MARK}="{mark}"'
    try:
        return pq.parse(text.replace("$window", f"{LONGEST_RANGE}s").replace("$matchers", matchers))
    except ValueError as error:
        reason = " ".join(str(error).split())[:200].replace(matchers, "$matchers")
        raise InvalidInput(field, text, f"it is not PromQL ({reason}): correct it") from error
    except BaseException as error:
        # A panic of the library, which is written in Rust, is no Exception, and would end us: `[1e30]` makes one.
        if type(error).__name__ != "PanicException":
            raise
        remedy = f"it cannot be read ({error}): write ranges as whole numbers with a unit, such as 5m"
        raise InvalidInput(field, text, remedy) from None


def _nodes(root: pq.Expr, field: str) -> list[pq.Expr]:
    """Every part, selectors of ranges included: the library's own `walk` has no limit."""
    found: list[pq.Expr] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        found.append(node)
        if len(found) > MAX_NODES:
            raise InvalidInput(field, f"more than {MAX_NODES} parts", "use a recording rule for a part of it")
        waiting.extend(_children(node))
    return found


def _children(node: pq.Expr) -> Iterator[pq.Expr]:
    match node:
        case pq.AggregateExpr():
            yield node.expr
            if isinstance(node.param, pq.Expr):
                yield node.param
        case pq.BinaryExpr():
            yield node.lhs
            yield node.rhs
        case pq.UnaryExpr() | pq.ParenExpr() | pq.SubqueryExpr():
            yield node.expr
        case pq.Call():
            yield from node.args
        case pq.MatrixSelector():
            yield node.vector_selector


def _check_node(node: pq.Expr, mark: str, field: str) -> None:
    match node:
        case pq.SubqueryExpr():
            raise InvalidInput(field, "a subquery", "its cost has no bound: use a recording rule")
        case pq.AggregateExpr() if str(node.op) not in AGGREGATIONS:
            raise InvalidInput(field, str(node.op), f"use one of {', '.join(sorted(AGGREGATIONS))}")
        case pq.Call() if node.func.name not in FUNCTIONS:
            remedy = f"use one of {', '.join(sorted(FUNCTIONS))}, or a recording rule"
            raise InvalidInput(field, f"{node.func.name}()", remedy)
        case pq.MatrixSelector() if node.range.total_seconds() > LONGEST_RANGE:
            longest = units.format_duration(LONGEST_RANGE)
            raise InvalidInput(field, f"{node.range.total_seconds():.0f}s", f"read at most {longest}: use $window")
        case pq.VectorSelector():
            _check_selector(node, mark, field)
        case pq.StringLiteral():
            raise InvalidInput(field, node.val, "no function that may be used takes a text: remove it")


def _check_selector(node: pq.VectorSelector, mark: str, field: str) -> None:
    name = node.name or ""
    if not _NAME.fullmatch(name):
        raise InvalidInput(field, name or "a selector without a name", "name the metric before the braces")
    if node.offset is not None or node.at is not None:
        raise InvalidInput(field, name, "Pegbox says at what time is asked: remove offset and @")
    joined = node.matchers.or_matchers or any(m.name.lower() == "or" for m in node.matchers.matchers)
    if joined:  # some servers read a label of that name as the word
        raise InvalidInput(field, name, "`or` between matchers would lead around $matchers: use a regular expression")
    matchers = node.matchers.matchers
    ours = [m for m in matchers if (m.name, m.op, m.value) == (_MARK, pq.MatchOp.Equal, mark)]
    if len(ours) != 1 or any(m.name == _MARK for m in matchers if m not in ours):
        remedy = f"every metric is confined by the profile's labels: write {name}{{$matchers}}"
        raise InvalidInput(field, name, remedy)
    for matcher in matchers:
        if matcher.name == "__name__":
            raise InvalidInput(field, "__name__", "name the metric before the braces")
        if len(matcher.value) > MAX_PATTERN:
            raise InvalidInput(field, f"{matcher.name} of {name}", f"write at most {MAX_PATTERN} characters")
