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


def _forecast(arguments: Namespace) -> Outcome:
    from pegbox.bench import forecast

    return forecast.run(arguments)


def _rollback(arguments: Namespace) -> Outcome:
    from pegbox.bench import rollback

    return rollback.run(arguments)


def _scale_out(arguments: Namespace) -> Outcome:
    from pegbox.bench import scale_out

    return scale_out.run(arguments)


BENCHES: Mapping[str, Callable[[Namespace], Outcome]] = {
    "tune": _tune,
    "forecast": _forecast,
    "rollback": _rollback,
    "scale-out": _scale_out,
    "decide": _decide,
}
