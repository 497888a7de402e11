"""Findings of `doctor`: what was looked at, what was seen, and the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    NOTE = "note"  # worth knowing, nothing to repair
    FINDING = "FINDING"


@dataclass(frozen=True, slots=True)
class Finding:
    about: str
    level: Level
    text: str
    remedy: str = ""


def ok(about: str, text: str) -> Finding:
    return Finding(about, Level.OK, text)


def note(about: str, text: str, remedy: str = "") -> Finding:
    return Finding(about, Level.NOTE, text, remedy)


def bad(about: str, text: str, remedy: str) -> Finding:
    return Finding(about, Level.FINDING, text, remedy)
