"""The figures of a run as a table for people and as JSON."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from os import cpu_count, getloadavg

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


@dataclass(frozen=True)
class Figure:
    """`expected` is what the design claims, where it claims something; `note` says what else to know."""

    name: str
    measured: str
    expected: str = ""
    note: str = ""


@dataclass
class Figures:
    conditions: dict[str, str] = field(default_factory=dict)
    rows: list[Figure] = field(default_factory=list)

    def add(self, name: str, measured: str, expected: str = "", note: str = "") -> None:
        self.rows.append(Figure(name, measured, expected, note))
        print(f"{name:<58} {measured:<28} {'expected ' + expected if expected else '':<24} {note}", flush=True)

    def markdown(self) -> str:
        said = "; ".join(f"{name} {text}" for name, text in self.conditions.items())
        lines = [said[:1].upper() + said[1:] + ".", "", "| figure | measured | claimed | note |", "|---|---|---|---|"]
        lines += (f"| {r.name} | {r.measured} | {r.expected} | {r.note} |" for r in self.rows)
        return "\n".join(lines)

    def json(self) -> str:
        return json.dumps({"conditions": self.conditions, "figures": [asdict(r) for r in self.rows]}, indent=2) + "\n"


def machine() -> dict[str, str]:
    """What the figures depend on, and nothing that names a machine."""
    return {
        "measured": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cores": str(cpu_count()),
        "load average at the start": f"{getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
    }


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 0.9995 else f"{seconds:.1f} s"


def mebibytes(size: float) -> str:
    return f"{size / 2**20:.0f} MiB"


def replaced(document: str, table: str) -> str:
    """The document with the table between its two marks. Raises ValueError where a mark is lacking."""
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document lacks the lines {BEGIN} and {END}: put them around its table")
    return f"{head}{BEGIN}\n{table}\n{END}{tail}"
