"""Every document that comes from outside has a size, a depth and a cost, and what is beyond them is refused by name.

Cost is counted in lines of Pegbox's own code that run, for a text and for one twice as long: no clock decides.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from pegbox.adapters import yamlfile
from pegbox.adapters.kube import configmaps, jsontext
from pegbox.api import ledger_codec, promql_rules
from pegbox.core import expression, freeze
from pegbox.live import document as live
from pegbox.model import settings_document, units
from pegbox.model.errors import MAX_REMEDY, MAX_SHOWN, InvalidInput
from pegbox.model.knobs import KnobType
from pegbox.model.observations import Missing
from pegbox.runtime import reading

BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (n + 1, n + 1, b",".join([b"*%c" % n] * 9)) for n in range(ord("a"), ord("i"))
)
"""Nine lines that spell more than 3 x 10^8 values (9^9)."""


def document(**changes: Any) -> str:
    return json.dumps(json.loads(settings_document.render("u", 7, {"workers": "4"})) | changes)


def ledger(state: str) -> dict[str, Any]:
    import hashlib

    data = {"schemaVersion": 1, "sha256": hashlib.sha256(state.encode()).hexdigest(), "state": state}
    return {"metadata": {"name": "a"}, "data": data}


def nested(count: int) -> str:
    return "[" * count + "]" * count


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "a file of YAML whose aliases grow without end": (lambda: yamlfile.load_all(BOMB, "file", "f"), "it has an alias"),
    "a file of YAML that contains itself": (lambda: yamlfile.load_all(b"&a [*a]", "file", "f"), "it has an alias"),
    "a file of YAML nested 65 deep": (lambda: yamlfile.load_all(nested(65).encode(), "file", "f"), "deeper than 64"),
    "a file of YAML nested 100,000 deep": (lambda: yamlfile.load_all(b"[" * 100_000, "file", "f"), "deeper than 64"),
    "a file of YAML a byte too long": (lambda: yamlfile.load_all(b" " * (yamlfile.MAX_BYTES + 1), "file", "f"), "at most"),
    "a file of 257 documents": (lambda: yamlfile.load_all(b"---\n1\n" * 257, "file", "f"), "more than 256 documents"),
    "a file with a key twice": (lambda: yamlfile.load_all(b"a: 1\na: 2", "file", "f"), "stands twice"),
    "a file with a tag of Python's": (lambda: yamlfile.load_all(b"!!python/object/apply:os.system [id]", "file", "f"), "write YAML"),
    "a file with a date of month 13": (lambda: yamlfile.load_all(b"a: 2026-13-01", "file", "f"), "write YAML"),
    "a ConfigMap's JSON nested 65 deep": (lambda: configmaps.read_path('{"a": 1, "b": ' + nested(64) + "}", "a"), "deeper than 64"),
    "a ConfigMap's JSON nested 100,000 deep": (lambda: configmaps.read_path(nested(100_000), "[0]"), "deeper than 64"),
    "a ConfigMap's JSON a byte too long": (lambda: configmaps.read_path('"' + "a" * configmaps.MAX_JSON_BYTES + '"', "a"), "over the limit"),
    "a ConfigMap's YAML a byte too long": (lambda: configmaps.read_path("a: " + "b" * configmaps.MAX_YAML_BYTES, "a"), "over the limit"),
    "a ConfigMap's YAML whose value is an alias": (lambda: configmaps.read_path("a: &x 1\nb: *x", "b"), "anchor or alias"),
    "a ConfigMap's text with half a character": (lambda: configmaps.read_path("a: \ud800", "a"), "half of a character"),
    "a path of 513 characters": (lambda: configmaps.read_path("{}", "a" * 513), "between 1 and 512"),
    "our document nested without end": (lambda: settings_document.parse(nested(100_000)), "it is not JSON"),
    "our document a byte too long": (lambda: settings_document.parse(" " * (settings_document.MAX_BYTES + 1)), "keep the document under"),
    "our document with 257 knobs": (lambda: settings_document.parse(document(values={f"k{n}": "1" for n in range(257)})), "at most 256 knobs"),
    "our document with a name of 64 characters": (lambda: settings_document.parse(document(values={"k" * 64: "1"})), "at most 63 characters"),
    "our document with a value of 1025 characters": (lambda: settings_document.parse(document(values={"k": "1" * 1025})), "at most 1024"),
    "our document with a value that is a list": (lambda: settings_document.parse(document(values={"k": [1]})), "a text of at most"),
    "our document with half a character": (lambda: settings_document.parse(document(values={"k": "\ud800"})), "a text of at most"),
    "our document with an endless generation": (lambda: settings_document.parse(document().replace("7", "Infinity")), "it is not JSON"),
    "our document with a generation that overflows": (lambda: settings_document.parse(document().replace("7", "1e999")), "a whole number"),
    "our document with a generation no reader keeps": (lambda: settings_document.parse(document(generation=2**53)), "a whole number"),
    "our document with 17 cohorts": (lambda: settings_document.parse(document(cohorts={f"c{n}": {"pods": [], "values": {}} for n in range(17)})), "at most 16 cohorts"),
    "our document with a cohort of 1001 pods": (lambda: settings_document.parse(document(cohorts={"c": {"pods": ["p"] * 1001, "values": {}}})), "at most 1000 pods"),
    "our document with a cohort that is a list": (lambda: settings_document.parse(document(cohorts={"c": []})), "a cohort has a name"),
    "our document with cohorts that are a list": (lambda: settings_document.parse(document(cohorts=[])), "at most 16 cohorts"),
    "our document with a cohort of 257 knobs": (lambda: settings_document.parse(document(cohorts={"c": {"pods": [], "values": {f"k{n}": "1" for n in range(257)}}})), "at most 256 knobs"),
    "our document with a pod that is a number": (lambda: settings_document.parse(document(cohorts={"c": {"pods": [1], "values": {}}})), "a text of at most"),
    "our document with a negative generation": (lambda: settings_document.parse(document(generation=-1)), "a whole number"),
    "a ledger nested without end": (lambda: ledger_codec.decode(ledger("[" * 60_000)), "delete the ledger"),
    "a ledger a byte too long": (lambda: ledger_codec.decode(ledger(" " * (ledger_codec.MAX_BYTES + 1))), "at most"),
    "a ledger that is no object": (lambda: ledger_codec.decode(ledger("Infinity")), "delete the ledger"),
    "a duration of 65 characters": (lambda: units.parse_duration("1" * 64 + "s"), "at most 64 characters"),
    "digits of another alphabet": (lambda: units.parse_quantity("٣"), "write a quantity"),
    "a whole number of 40,000 digits": (lambda: KnobType.INTEGER.parse(16**33_000, "knob"), "write a whole number between"),
    "a budget of 257 characters": (lambda: expression.tokens("1+" * 128 + "1", "uses", "r"), "at most 256 characters"),
    "a schedule of 101 characters": (lambda: freeze.parse("0 " * 49 + "0 *", "f"), "five cron fields"),
    "a schedule with a sign": (lambda: freeze.parse("+1 * * * *", "f"), "must lie between"),
    "a time zone that is a path": (lambda: freeze.zone("../../etc/passwd", "f"), "IANA zone"),
    "a time zone that is an absolute path": (lambda: freeze.zone("/etc/passwd", "f"), "IANA zone"),
}  # fmt: skip


@pytest.mark.parametrize(("read", "remedy"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_with_field_value_and_remedy(read: Callable[[], object], remedy: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read()
    assert remedy in str(refused.value)
    assert refused.value.field and refused.value.remedy
    assert len(str(refused.value)) <= 2 * (MAX_SHOWN + 3) + MAX_REMEDY + 30


KEPT: dict[str, Callable[[], object]] = {
    "a file of YAML nested 64 deep": lambda: yamlfile.load_all(nested(64).encode(), "file", "f"),
    "a ConfigMap's JSON nested 64 deep": lambda: configmaps.read_path('{"a": 1, "b": ' + nested(63) + "}", "a"),
    "brackets in a text, which nest nothing": lambda: configmaps.read_path(json.dumps({"a": 1, "b": "[" * 5000}), "a"),
    "brackets behind an escaped quote": lambda: configmaps.read_path(json.dumps({"a": 1, "b": '"' + "[" * 5000}), "a"),
    "5000 lists side by side": lambda: configmaps.read_path(json.dumps({"a": 1, "b": [[]] * 5000}), "a"),
    "our document with 256 knobs": lambda: settings_document.parse(document(values={f"k{n}": "1" for n in range(256)})),
    "a number typed by hand": lambda: settings_document.parse(document(values={"k": 4})),
}


@pytest.mark.parametrize("read", KEPT.values(), ids=KEPT)
def test_what_keeps_the_limits_is_read(read: Callable[[], object]) -> None:
    read()


@pytest.mark.parametrize(
    "originals", ["[" * 100_000, "1e999", "null", '{"workers": {}}', '{"workers": 1e999}', "\ud800"]
)
def test_originals_that_somebody_edited_are_as_good_as_none(originals: str) -> None:
    from tests.fuzz.parsers import _SPEC, _SPEC_PROFILE

    own = {"metadata": {"annotations": {reading.ORIGINALS: originals}}, "data": {}}
    found = reading.Objects(_SPEC_PROFILE, "default", _SPEC, own_config_map=own)
    assert reading.adopted_before(found) is None


def test_a_document_that_somebody_edited_is_missing_with_the_reason() -> None:
    own = {"data": {settings_document.KEY: document(values={"k": "\ud800"})}}
    assert isinstance(reading.read_document(own), Missing)


def lines(call: Callable[[str], object], text: str) -> int:
    """Lines of Pegbox's own code that run for a text."""
    count = 0

    def local(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "line"
        return local

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        return local if "/pegbox/" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call(text)
    except (InvalidInput, live.RejectedLoad):
        pass
    finally:
        sys.settrace(before)
    return count


COSTS: dict[str, tuple[Callable[[str], object], Callable[[int], str]]] = {
    "JSON with many keys": (lambda t: configmaps.read_path(t, "z"), lambda n: json.dumps({f"k{i}": i for i in range(n)} | {"z": 1})),
    "JSON with many lists": (lambda t: configmaps.read_path(t, "z"), lambda n: json.dumps({"a": [[]] * n, "z": 1})),
    "JSON of strings of brackets": (lambda t: jsontext.too_deep(t), lambda n: json.dumps(["[" * n, '"' * n, "\\" * n])),
    "an open string of backslashes": (lambda t: jsontext.too_deep(t), lambda n: "[" * 65 + '"' + "\\" * n),
    "many open strings": (lambda t: jsontext.too_deep(t), lambda n: "[" * 65 + '"\\"' * n),
    "YAML with many keys": (lambda t: configmaps.read_path(t, "z"), lambda n: "".join(f"k{i}: {i}\n" for i in range(n)) + "z: 1\n"),
    "YAML with many lists": (lambda t: configmaps.read_path(t, "z"), lambda n: "a: [" + "[]," * n + "]\nz: 1\n"),
    "YAML with many quotes": (lambda t: configmaps.read_path(t, "z"), lambda n: "z: " + "'" * n),
    "PromQL with many brackets side by side": (lambda t: promql_rules.check(t, "f"), lambda n: "()" * n),
    "PromQL with many terms": (lambda t: promql_rules.check(t, "f"), lambda n: "x{$matchers}" + "+1" * n),
    "our document with many values": (settings_document.parse, lambda n: document(values={f"k{i}": "1" for i in range(n)})),
    "the application's document with many values": (lambda t: live.parse(t.encode()), lambda n: document(values={f"k{i}": "1" for i in range(n)})),
}  # fmt: skip


@pytest.mark.parametrize(("call", "make"), COSTS.values(), ids=COSTS)
def test_twice_the_text_costs_twice_as_much_and_no_more(
    call: Callable[[str], object], make: Callable[[int], str]
) -> None:
    small, large = lines(call, make(100)), lines(call, make(200))
    assert large <= 2.2 * small + 50


def test_a_cost_that_grows_faster_is_seen() -> None:
    def careless(text: str) -> None:
        for at in range(len(text)):
            configmaps.read_path(json.dumps([0] * at + [1]), f"[{at}]")

    with pytest.raises(AssertionError):
        test_twice_the_text_costs_twice_as_much_and_no_more(careless, lambda n: "x" * n)
