"""Signals of a class and SLOs of a profile, checked against each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from pegbox.api import profile_wire, promql_rules
from pegbox.api.class_wire import ClassSpecWire, SignalWire
from pegbox.api.wire import suggest
from pegbox.model import units
from pegbox.model.errors import InvalidInput
from pegbox.model.profile import Purpose, Signal, SignalKind, Slo
from pegbox.model.roles import busy_signal

_PLACEHOLDER = re.compile(r"\$\w*")
_WELL_PLACED = re.compile(r"[{,]\s*\$matchers\s*\}")
_KINDS = {
    Purpose.LOAD: (SignalKind.RATE,),
    Purpose.THROUGHPUT: (SignalKind.RATE,),
    Purpose.LATENCY: (SignalKind.HISTOGRAM,),
    Purpose.ERRORS: (SignalKind.RATIO,),
    Purpose.BUSY: (SignalKind.GAUGE,),
    Purpose.SLO: tuple(SignalKind),
}
MIN_WINDOW, MAX_WINDOW = Fraction(10), Fraction(86400)


def signals(knowledge: ClassSpecWire, class_name: str) -> tuple[Signal, ...]:
    """The class's signals. A Busy signal is renamed to `busy:KNOB`, by which the model finds it."""
    where = f"class {class_name}: spec.signals"
    knobs = sorted(k.name for k in knowledge.knobs)
    found: dict[str, Signal] = {}
    purposes: dict[Purpose, str] = {}
    for wire in knowledge.signals:
        signal = _signal(wire, f"{where}[{wire.name}]", knobs)
        if signal.name in found:
            raise InvalidInput(where, signal.name, "this signal stands twice: remove one")
        if wire.purpose not in (Purpose.BUSY, Purpose.SLO):
            other = purposes.setdefault(wire.purpose, wire.name)
            if other != wire.name:
                remedy = f"{other} has this purpose already: give one of them the purpose SLO"
                raise InvalidInput(f"{where}[{wire.name}].purpose", wire.purpose.value, remedy)
        found[signal.name] = signal
    return tuple(found.values())


def _signal(wire: SignalWire, field: str, knobs: list[str]) -> Signal:
    if wire.kind not in _KINDS[wire.purpose]:
        remedy = f"purpose {wire.purpose.value} needs kind {' or '.join(_KINDS[wire.purpose])}"
        raise InvalidInput(f"{field}.kind", wire.kind.value, remedy)
    if (wire.purpose is Purpose.BUSY) != (wire.knob is not None):
        raise InvalidInput(f"{field}.knob", wire.knob, "name the knob whose limit is busy; other purposes have none")
    if wire.knob is not None and wire.knob not in knobs:
        raise InvalidInput(f"{field}.knob", wire.knob, f"the class has no such knob: {suggest(wire.knob, knobs)}")
    needed = {"expr": wire.expr}
    if wire.kind is SignalKind.HISTOGRAM:
        needed["sumExpr"] = wire.sum_expr or ""
    if wire.kind in (SignalKind.HISTOGRAM, SignalKind.RATIO):
        needed["countExpr"] = wire.count_expr or ""
    for part, text in needed.items():
        _check_query(text, f"{field}.{part}", wire.kind)
    name = wire.name if wire.knob is None else busy_signal(wire.knob)
    return Signal(
        name,
        wire.kind,
        wire.purpose,
        wire.expr,
        needed.get("sumExpr", ""),
        needed.get("countExpr", ""),
        wire.knob or "",
    )


def _check_query(text: str, field: str, kind: SignalKind) -> None:
    if not text:
        raise InvalidInput(field, "(absent)", f"a signal of kind {kind.value} needs it: add the query")
    odd = sorted(set(_PLACEHOLDER.findall(text)) - {"$window", "$matchers"})
    if odd:
        raise InvalidInput(field, odd[0], "only $window and $matchers are filled in: remove it")
    for placeholder in ("$window", "$matchers"):
        if placeholder not in text:
            raise InvalidInput(
                field, text, f"write {placeholder} where it belongs, as in rate(x{{$matchers}}[$window])"
            )
    if len(_WELL_PLACED.findall(text)) != text.count("$matchers"):
        remedy = 'write $matchers last between the braces, alone or after a comma: x{a="b",$matchers}'
        raise InvalidInput(field, text, remedy)
    promql_rules.check(text, field)


def slos(wires: Sequence[profile_wire.Slo], known: tuple[Signal, ...]) -> tuple[Slo, ...]:
    """Raises InvalidInput."""
    names = [wire.name for wire in wires]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput("spec.slos", name, "this name stands twice: merge the two entries into one")
    return tuple(_slo(wire, known) for wire in wires)


def _slo(wire: profile_wire.Slo, known: tuple[Signal, ...]) -> Slo:
    where = f"spec.slos[{wire.name}]"
    usable = {s.name: s for s in known if s.kind in (SignalKind.HISTOGRAM, SignalKind.RATIO)}
    signal = usable.get(wire.signal)
    if signal is None:
        other = next((s for s in known if s.name == wire.signal), None)
        what = f"its kind is {other.kind.value}, which counts no events" if other else "the class has no such signal"
        raise InvalidInput(f"{where}.signal", wire.signal, f"{what}: {suggest(wire.signal, sorted(usable))}")
    threshold = None if wire.threshold is None else units.parse_duration(wire.threshold, f"{where}.threshold")
    if (signal.kind is SignalKind.HISTOGRAM) != (threshold is not None):
        if threshold is None:
            remedy = f"{wire.signal} is a Histogram: say how fast an event must be, such as 500ms"
            raise InvalidInput(f"{where}.threshold", "(absent)", remedy)
        raise InvalidInput(f"{where}.threshold", wire.threshold, f"{wire.signal} counts good events itself: remove it")
    if threshold == 0:
        raise InvalidInput(f"{where}.threshold", wire.threshold, "write more than zero")
    goal = units.parse_percent(wire.goal, f"{where}.goal")
    if not 0 < goal < 1:
        raise InvalidInput(
            f"{where}.goal", wire.goal, "write more than 0% and less than 100%: 100% leaves no error budget"
        )
    window = units.parse_duration(wire.window, f"{where}.window")
    if not MIN_WINDOW <= window <= MAX_WINDOW:
        remedy = f"write between {units.format_duration(MIN_WINDOW)} and {units.format_duration(MAX_WINDOW)}"
        raise InvalidInput(f"{where}.window", wire.window, remedy)
    return Slo(wire.name, wire.signal, goal, threshold, window, wire.minimum_events, wire.on_no_data)
