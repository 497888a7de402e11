"""`python -m tests.fuzz --minutes N [--parser NAME]`: N minutes of processor time for each parser. Exit 1 where one was surprised."""

from __future__ import annotations

import argparse
import secrets
import sys

from tests.fuzz.parsers import PARSERS
from tests.fuzz.run import Outcome, rounds


def main() -> int:
    names = [parser.name for parser in PARSERS]
    options = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    options.add_argument("--minutes", type=float, default=10.0, help="of processor time, for each parser")
    options.add_argument("--parser", action="append", choices=names, help="only this one; may be repeated")
    options.add_argument("--seed", type=int, default=None, help="of the first round; default: a new one")
    given = options.parse_args()
    first = secrets.randbelow(2**31) if given.seed is None else given.seed
    print(f"first seed {first}", flush=True)
    wanted = [parser for parser in PARSERS if not given.parser or parser.name in given.parser]
    outcomes: list[Outcome] = []
    for parser in wanted:
        outcomes.append(rounds(parser, given.minutes * 60, first, _progress))
        _told(outcomes[-1])
    surprised = [outcome for outcome in outcomes if outcome.surprise]
    print(f"{sum(o.executions for o in outcomes)} executions, {sum(o.seconds for o in outcomes) / 60:.1f} minutes")
    print(f"surprised: {', '.join(o.name for o in surprised) or 'none'}")
    return 1 if surprised else 0


def _progress(text: str) -> None:
    if sys.stdout.isatty():
        print(f"\r{text}", end="", flush=True)


def _told(outcome: Outcome) -> None:
    print(f"{outcome.name:26} {outcome.seconds:7.0f} s {outcome.executions:10} executions", flush=True)
    if outcome.surprise:
        print(outcome.surprise, flush=True)


if __name__ == "__main__":
    sys.exit(main())
