"""`pegbox bench`: one benchmark, its table, and with --json its figures and pictures."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping

from pegbox.bench.outcome import Outcome
from pegbox.commands.output import Exit


def main(arguments: Namespace) -> int:
    """Raises InvalidInput."""
    outcome = BENCHES[arguments.bench](arguments)
    print(outcome.text)
    if arguments.json:
        for path in outcome.write(arguments.json):
            print(path)
    return Exit.OK


def _tune(arguments: Namespace) -> Outcome:
    from pegbox.bench import tune

    return tune.run(arguments)


def _decide(arguments: Namespace) -> Outcome:
    from pegbox.bench import decide

    return decide.run(arguments)


# To come with their branches, each as above: "forecast" (pegbox.bench.forecast), "rollback" (pegbox.bench.rollback),
# "scale-out" (pegbox.bench.scale_out).
BENCHES: Mapping[str, Callable[[Namespace], Outcome]] = {"tune": _tune, "decide": _decide}
