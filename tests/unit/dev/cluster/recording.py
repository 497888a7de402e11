"""A runner that records what it is asked, and answers from a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dev.cluster.existing import Answer


class Recorder:
    """Answers a command by the longest key of `answers` that begins it; everything else succeeds silently."""

    def __init__(self, answers: Mapping[str, Answer] | None = None) -> None:
        self.answers = dict(answers or {})
        self.commands: list[str] = []

    def __call__(self, command: Sequence[str]) -> Answer:
        line = " ".join(command)
        self.commands.append(line)
        matching = [key for key in self.answers if line.startswith(key)]
        return self.answers[max(matching, key=len)] if matching else Answer(0)
