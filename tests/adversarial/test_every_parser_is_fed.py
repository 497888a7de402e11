"""Whatever takes a text apart, or refuses one, is reached by an input of `tests/fuzz`, or it is said here why not.

Found by form: a call that splits or decodes a text, or makes an InvalidInput. A parser with none of these is not seen.
"""

from __future__ import annotations

import ast
import cProfile
import sys
from collections.abc import Iterable, Iterator
from functools import _lru_cache_wrapper, cache
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.parsers import PARSERS, Parser

PEGBOX = Path(__file__).resolve().parents[2] / "operator" / "pegbox"
PACKAGES = ("adapters", "api", "core", "live", "model", "runtime")
"""The others read files and arguments of whoever runs a command, in his own process (`test_bench_input.py`)."""
FORMS = frozenset(
    {"InvalidInput", "loads", "load_all", "fromisoformat", "partition", "rpartition", "split", "search", "match"}
    | {"fullmatch", "findall", "finditer"}
)
EXAMPLES = 200  # what is drawn depends on which modules are loaded: enough that it makes no difference

STARTED = "what whoever starts the operator gives it"
SERVER = "the API server's own text, in its own form"
OURS = "a text that we wrote ourselves, or a key that we made"
NUMBERS = "refuses numbers and objects: no text comes here"
Function = tuple[str, str]
NOT_FED: dict[Function, str] = {
    ("adapters/kube/client.py", "_body"): "of an answer of the API server that succeeded; test_client.py",
    ("adapters/kube/client.py", "_ref"): NUMBERS,
    ("adapters/kube/client.py", "apply"): NUMBERS,
    ("adapters/kube/connect.py", "connect"): STARTED,
    ("adapters/kube/environment.py", "created_at"): SERVER,
    ("adapters/kube/environment.py", "written_at"): SERVER,
    ("adapters/kube/gate.py", "own_objects_only"): OURS,
    ("adapters/kube/owners.py", "_in_words"): SERVER,
    ("adapters/kube/owners.py", "_stated"): SERVER,
    ("adapters/kube/owners.py", "give_back"): SERVER,
    ("adapters/kube/workload.py", "_expression"): SERVER,
    ("adapters/kube/workload.py", "_time"): SERVER,
    ("adapters/kube/workload.py", "selector_text"): SERVER,
    ("adapters/pod_settings.py", "show"): OURS,
    ("adapters/prometheus/confined.py", "_refused"): "behind the class's checks: an input that came here would be a hole in them",
    ("adapters/prometheus/promql.py", "scope_of_pods"): "`--pods` of the command line",
    ("adapters/prometheus/transport.py", "_headers"): "the token of a file that the operator's settings name",
    ("api/ledger_codec.py", "_smaller"): NUMBERS,
    ("api/schema.py", "rewrite"): OURS,
    ("api/status.py", "_guards"): OURS,
    ("core/scale_out.py", "__post_init__"): NUMBERS,
    ("core/scale_out.py", "stabilised"): NUMBERS,
    ("model/units.py", "has_exponent"): OURS,
    ("runtime/claims.py", "_kept"): "a time that `shared-budget` read before",
    ("runtime/cleanup.py", "_last_write"): "of a ledger without a profile; what cannot be read is as old as the object",
    ("runtime/leaving.py", "_place"): OURS,
    ("runtime/leaving.py", "give_back"): "splits what a ledger holds for `field-owner`",
    ("runtime/points.py", "killer"): STARTED,
    ("runtime/reconcile.py", "_forget"): OURS,
    ("runtime/reconcile.py", "_reconcile"): OURS,
    ("runtime/reconcile.py", "_tell_failure"): OURS,
    ("runtime/settings.py", "load"): "reads the file for `yaml-file` and `operator-settings`",
    ("runtime/sources.py", "named"): STARTED,
    ("runtime/wiring.py", "list_profiles"): OURS,
}  # fmt: skip


def takers(source: str) -> Iterator[tuple[str, int]]:
    """Name and first line of each function that has one of the forms itself."""

    def inside(node: ast.AST, owner: tuple[str, int] | None) -> Iterator[tuple[str, int]]:
        for child in ast.iter_child_nodes(node):
            here = owner
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                here = child.name, min([child.lineno, *(each.lineno for each in child.decorator_list)])
            if isinstance(child, ast.Call) and here is not None and _called(child) in FORMS:
                yield here
            yield from inside(child, here)

    return inside(ast.parse(source), None)


def _called(call: ast.Call) -> str:
    return getattr(call.func, "attr", "") or getattr(call.func, "id", "")


@cache
def reached(parser: Parser) -> set[tuple[str, int]]:
    """File and first line of each function of ours that ran. By the C profiler: inputs that nest without end leave no
    room on the stack for one in Python."""
    _forget()
    profiler = cProfile.Profile()
    _feed(parser, profiler)
    codes = [entry.code for entry in profiler.getstats() if not isinstance(entry.code, str)]
    return {(code.co_filename, code.co_firstlineno) for code in codes}


def _forget() -> None:
    """What is kept from earlier calls would be answered without a call."""
    for name, module in list(sys.modules.items()):
        for each in vars(module).values() if name.startswith("pegbox.") else ():
            if isinstance(each, _lru_cache_wrapper):
                each.cache_clear()


def _feed(parser: Parser, profiler: cProfile.Profile) -> None:
    @seed(1)
    @settings(max_examples=EXAMPLES, database=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck))
    @given(parser.inputs)
    def some(value: object) -> None:
        profiler.enable()
        try:
            parser.take(value)
        finally:
            profiler.disable()

    some()


FOUND = [
    ((str(file.relative_to(PEGBOX)), name), (str(file), line))
    for package in PACKAGES
    for file in sorted((PEGBOX / package).rglob("*.py"))
    for name, line in takers(file.read_text())
]


def not_reached(parsers: Iterable[Parser]) -> set[Function]:
    ran = set[tuple[str, int]]().union(*map(reached, parsers))
    return {function for function, place in FOUND if place not in ran}


def test_every_parser_of_foreign_text_is_fed() -> None:
    assert sorted(not_reached(PARSERS) - set(NOT_FED)) == []


def test_a_parser_that_is_not_in_the_list_is_seen() -> None:
    fewer = [parser for parser in PARSERS if parser.name not in ("try-argument", "pause-argument")]
    found = not_reached(fewer) - set(NOT_FED)
    assert found == {("core/requests.py", "parse_assignments"), ("core/requests.py", "pause_until")}


def test_what_is_not_fed_is_still_there() -> None:
    assert sorted(set(NOT_FED) - {function for function, _ in FOUND}) == []


def test_a_function_that_takes_a_text_apart_is_found() -> None:
    source = "@cache\ndef one(text):\n    return text.split()\n\ndef two(text):\n    return text\n"
    assert list(takers(source)) == [("one", 1)]
