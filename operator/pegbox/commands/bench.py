"""`pegbox bench`: one benchmark, its table, and with --json its figures and pictures."""

from __future__ import annotations

import importlib
from argparse import Namespace

from pegbox.bench.outcome import Outcome
from pegbox.commands.output import Exit


def main(arguments: Namespace) -> int:
    """Raises InvalidInput."""
    module = importlib.import_module(f"pegbox.bench.{arguments.bench.replace('-', '_')}")
    outcome: Outcome = module.run(arguments)
    print(outcome.text)
    if arguments.json:
        for path in outcome.write(arguments.json):
            print(path)
    return Exit.OK
