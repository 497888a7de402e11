"""The workload's numbers, read from one TOML file; a wrong one is refused by name at the start."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

Section = TypeVar("Section")


@dataclass(frozen=True)
class Arrivals:
    rate: float
    seed: int


@dataclass(frozen=True)
class Issue:
    payload_bytes: int
    cpu_ms: float
    statements: int
    ttl: float
    lease: float
    attempts: int


@dataclass(frozen=True)
class Upstream:
    latency_median: float
    latency_sigma: float
    per_issue: float
    seed: int
    rate_limit: int
    window: float
    concurrency_limit: int


@dataclass(frozen=True)
class Database:
    connection_limit: int


@dataclass(frozen=True)
class Workload:
    name: str
    arrivals: Arrivals
    issue: Issue
    upstream: Upstream
    database: Database


def read(path: Path) -> Workload:
    """Raise ValueError naming the file, the section and the key that is missing, unknown or of a wrong
    type.
    """
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    workload = Workload(
        name=str(raw.get("name", path.stem)),
        arrivals=_section(path, raw, "arrivals", Arrivals),
        issue=_section(path, raw, "issue", Issue),
        upstream=_section(path, raw, "upstream", Upstream),
        database=_section(path, raw, "database", Database),
    )
    if workload.issue.statements < 2:
        raise ValueError(f"{path.name} [issue] statements: {workload.issue.statements}; the claim and the commit are 2")
    return workload


def _section(path: Path, raw: dict[str, Any], name: str, kind: type[Section]) -> Section:
    found = raw.get(name)
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} [{name}]: the section is missing")
    known = {each.name: each.type for each in fields(kind)}  # type: ignore[arg-type]
    for key in sorted(set(known) ^ set(found)):
        raise ValueError(f"{path.name} [{name}] {key}: {'missing' if key in known else 'unknown; remove it'}")
    for key, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ValueError(f"{path.name} [{name}] {key}: {value!r} is not a number of at least 0")
        if known[key] == "int" and not isinstance(value, int):
            raise ValueError(f"{path.name} [{name}] {key}: {value!r} is not a whole number")
    return kind(**found)
