"""A table of measurements as settings and figures. Readers take the shape, not the file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pegbox.bench.spec import KnobColumn, Spec
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Knob, KnobType, KnobValue, SearchSpace, Setting

TRUE, FALSE = frozenset({"true", "1", "1.0", "yes", "on"}), frozenset({"false", "0", "0.0", "no", "off"})
GIB = Fraction(2**30)
NUMBER = re.compile(r"[+-]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,2})?")  # nothing that fills the memory


@dataclass(frozen=True, slots=True)
class Row:
    """One measured setting. `metric` is None where the trial failed; `noise` is its 95 % interval in percent."""

    order: str
    setting: Setting
    metric: float | None
    noise: float | None


@dataclass(frozen=True, slots=True)
class Table:
    """`space` holds every knob that moves; `fixed` the columns with one value only, which are no knobs."""

    space: SearchSpace
    rows: tuple[Row, ...]
    fixed: Mapping[str, KnobValue]

    @property
    def usable(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.metric is not None)

    def row(self, order: str) -> Row:
        """The row of that number. Raises InvalidInput."""
        found = [row for row in self.rows if row.order == order]
        if len(found) != 1 or found[0].metric is None:
            said = "no row" if not found else "a failed trial" if len(found) == 1 else f"{len(found)} rows"
            raise InvalidInput("starts", order, f"{said}: name one row with a measurement by its order column")
        return found[0]


def read(spec: Spec, path: Path) -> Table:
    """The table that a spec describes. Raises InvalidInput, which names column, line and remedy."""
    head, lines = _lines(path)
    wanted = [knob.name for knob in spec.knobs] + [spec.metric.column]
    wanted += [name for name in (spec.order, spec.metric.noise) if name]
    if isinstance(spec.group_by, str):
        wanted.append(spec.group_by)
    for name in wanted:
        if name not in head:
            known = ", ".join(each for each in head if each)
            raise InvalidInput(f"{spec.name}: column", name, f"{path.name} has no such column; it has {known}")
        if head.count(name) > 1:
            raise InvalidInput(f"{spec.name}: column", name, f"{path.name} has it {head.count(name)} times: keep one")
    lines = _group(spec, lines)
    rows = [_row(spec, number, line) for number, line in lines]
    if not any(row.metric is not None for row in rows):
        raise InvalidInput(f"{spec.name}: {spec.metric.column}", path.name, "no row has a measurement")
    knobs, fixed = [], {}
    for column in spec.knobs:
        knob = _knob(column, [row.setting[column.name] for row in rows])
        if knob is None:
            fixed[column.name] = rows[0].setting[column.name]
        else:
            knobs.append(knob)
    if not knobs:
        raise InvalidInput(f"{spec.name}: knobs", path.name, "every column has one value only: nothing can be tuned")
    kept = {knob.name for knob in knobs}
    settings = [Setting({n: v for n, v in row.setting.items() if n in kept}) for row in rows]
    trimmed = (Row(r.order, s, r.metric, r.noise) for r, s in zip(rows, settings, strict=True))
    return Table(SearchSpace(tuple(knobs)), tuple(trimmed), fixed)


def _lines(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Column names without blanks around them, and (line number, cells) of each row that is not empty."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("csv", str(path), f"name a text file that can be read: {error}") from error
    reader = csv.reader(io.StringIO(text, newline=""))
    lines = []
    try:
        head = [name.strip() for name in next(reader, [])]
        for cells in reader:
            if any(cell.strip() for cell in cells):
                cells += [""] * (len(head) - len(cells))
                lines.append((reader.line_num, {n: c.strip() for n, c in zip(head, cells, strict=False) if n}))
    except csv.Error as error:
        raise InvalidInput("csv", f"{path}, line {reader.line_num}", f"write comma-separated text: {error}") from error
    if not lines:
        raise InvalidInput("csv", str(path), "the file has no rows below its head")
    return head, lines


def _group(spec: Spec, lines: list[tuple[int, dict[str, str]]]) -> list[tuple[int, dict[str, str]]]:
    """The rows of one group: of a column's value, or the n-th block of so many consecutive rows."""
    if spec.group_by is None:
        return lines
    if isinstance(spec.group_by, int):
        size, number = spec.group_by, int(spec.group or 0)
        found = lines[number * size : (number + 1) * size]
    else:
        wanted = spec.group if spec.group is not None else lines[0][1][spec.group_by]
        found = [line for line in lines if line[1][spec.group_by] == wanted]
    if not found:
        raise InvalidInput(f"{spec.name}: group", spec.group, "no rows: name a group that the table has")
    return found


def _row(spec: Spec, number: int, cells: dict[str, str]) -> Row:
    values = {column.name: _value(column, cells[column.name], f"line {number}: {column.name}") for column in spec.knobs}
    text = cells[spec.metric.column]
    metric = None if text in ("", *spec.metric.failed) else _number(text, f"line {number}: {spec.metric.column}")
    if metric is not None and metric <= 0:
        metric = None  # no measurement of these kinds can be zero: the trial failed
    noise = cells[spec.metric.noise] if spec.metric.noise else ""
    width = _number(noise, f"line {number}: {spec.metric.noise}") if noise and noise not in spec.metric.failed else None
    return Row(cells[spec.order] if spec.order else str(number), Setting(values), metric, width)


def _number(text: str, field: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InvalidInput(field, text, "write a number, or list the text under `failed`") from None
    if value != value or abs(value) == float("inf"):
        raise InvalidInput(field, text, "write a finite number, or list the text under `failed`")
    return value


def _value(column: KnobColumn, text: str, field: str) -> KnobValue:
    """One cell by its knob's type. Numbers may carry float noise such as 29.330000000000002."""
    if not text:
        raise InvalidInput(field, text, "write a value in every row of a knob's column")
    if column.type is KnobType.BOOLEAN:
        low = text.lower()
        if low not in TRUE | FALSE:
            raise InvalidInput(field, text, "write true or false")
        return low in TRUE
    if column.type is KnobType.CHOICE:
        return text
    if not NUMBER.fullmatch(text):
        return column.type.parse(text, field)
    value = Fraction(round(Fraction(text) * 10**6), 10**6)
    if column.type is KnobType.INTEGER and value.denominator != 1:
        raise InvalidInput(field, text, "write a whole number, or give the knob the type Decimal")
    return value


def _knob(column: KnobColumn, values: Sequence[KnobValue]) -> Knob | None:
    """The knob with the limits that are given, or those of the column; None where all rows agree."""
    if len(set(values)) < 2:
        return None
    if column.type is KnobType.BOOLEAN:
        return Knob(column.name, column.type)
    if column.type is KnobType.CHOICE:
        return Knob(column.name, column.type, choices=tuple(sorted({str(v) for v in values}, key=_choice)))
    numbers = [v for v in values if isinstance(v, Fraction)]
    low = min(numbers) if column.min is None else column.type.parse(column.min, f"{column.name}: min")
    high = max(numbers) if column.max is None else column.type.parse(column.max, f"{column.name}: max")
    assert isinstance(low, Fraction) and isinstance(high, Fraction)
    if low >= high:
        side, given = ("max", column.max) if column.min is None else ("min", column.min)
        raise InvalidInput(f"{column.name}: {side}", given, f"min {float(low):g} is not below max {float(high):g}")
    return Knob(column.name, column.type, minimum=low, maximum=high)


def _choice(text: str) -> tuple[int, float, str]:
    """Choices that are numbers in their order, the others by name."""
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text
