"""The long form: each parser for its share of the time, in rounds with a new seed, until the first surprise.

Time is this process's own: a busy machine makes a run longer, not thinner.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.parsers import Parser

ROUND = 2000  # examples between two looks at the clock


@dataclass
class Outcome:
    """What was done to one parser."""

    name: str
    executions: int
    seconds: float
    surprise: str = ""


def rounds(parser: Parser, seconds: float, first_seed: int, tell: Callable[[str], None]) -> Outcome:
    """Feed the parser for so many seconds of processor time. A surprise is made as small as it can be, and ends it."""
    outcome = Outcome(parser.name, 0, 0.0)
    started = time.process_time()
    number = first_seed
    while (spent := time.process_time() - started) < seconds and not outcome.surprise:
        outcome.surprise = _round(parser, number, started + seconds, outcome)
        number += 1
        tell(f"{parser.name:26} {spent:7.0f} s {outcome.executions:10} executions")
    outcome.seconds = time.process_time() - started
    return outcome


def _round(parser: Parser, number: int, end: float, outcome: Outcome) -> str:
    @seed(number)
    @settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        derandomize=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(parser.inputs)
    def one(value: object) -> None:
        if time.process_time() > end:
            return
        outcome.executions += 1
        parser.take(value)

    try:
        one()
    except Exception:
        return f"seed {number}\n{traceback.format_exc()}"
    return ""
