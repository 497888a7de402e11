"""What commands print: exit codes, tables, numbers. Standard library only, no colours: output is piped and pasted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from pegbox.model.observations import Measured, Missing
from pegbox.model.prediction import Interval

Row = Sequence[str]


class Exit(IntEnum):
    """What a command's exit code says."""

    OK = 0
    FOUND = 1  # doctor: findings; verbs: refused, or not taken up in time
    INVALID = 2  # the input cannot be used, or the command cannot run
    NO_DATA = 3  # recommend: the metrics cannot carry an answer


def table(head: Row, rows: Sequence[Row], indent: str = "") -> list[str]:
    """Left-aligned columns, as wide as their widest cell; the last column is not padded."""
    every = [head, *rows]
    widths = [max(len(row[at]) for row in every) for at in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in every)
    return [f"{indent}{line.rstrip()}" for line in lines]


def show(lines: Sequence[str]) -> None:
    print("\n".join(lines))


def show_json(body: Any) -> None:
    print(json.dumps(body, indent=2, ensure_ascii=False, sort_keys=False))


def one_line(text: object) -> str:
    """Errors take one line, whatever a server said."""
    return " ".join(str(text).split())


def rate(value: Measured) -> str:
    return value.reason.value if isinstance(value, Missing) else f"{value:.4g}/s"


def span(value: Measured) -> str:
    """Seconds for people: 12.5ms, 0.81s, 42s."""
    if isinstance(value, Missing):
        return value.reason.value
    return f"{value * 1000:.3g}ms" if abs(value) < 1 else f"{value:.3g}s"


def share(value: Measured) -> str:
    return value.reason.value if isinstance(value, Missing) else f"{value:.1%}"


def moment(when: datetime) -> str:
    return when.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def rate_interval(found: Interval) -> str:
    return f"{found.mean:.4g}/s ({found.low:.4g} to {found.high:.4g})"


def span_interval(found: Interval) -> str:
    return f"{span(found.mean)} ({span(found.low)} to {span(found.high)})"


def interval_json(found: Interval) -> dict[str, float]:
    return {"mean": found.mean, "low": found.low, "high": found.high}


def measured_json(value: Measured) -> float | dict[str, str]:
    """A number, or why there is none."""
    return missing_json(value) if isinstance(value, Missing) else value


def missing_json(value: Missing) -> dict[str, str]:
    return {"reason": value.reason.value, "detail": value.detail}
