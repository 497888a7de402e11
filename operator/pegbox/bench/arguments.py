"""The arguments of `pegbox bench`, for the command line. Standard library only: help must be there at once."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser
from pathlib import Path

BENCHES = {
    "tune": "how well settings are found: regret, unsafe trials and steps, beside honest company",
    "forecast": "how well load is forecast some minutes ahead",
    "rollback": "how soon a regression is found in a stream of latencies, and how often one is imagined",
    "scale-out": "how many minutes go bad at which price when replicas follow load",
    "decide": "how long a decision and a suggestion take",
}


def add(made: ArgumentParser) -> None:
    """One subcommand for each benchmark."""
    benches = made.add_subparsers(metavar="BENCH", required=True, dest="bench")
    for name, text in BENCHES.items():
        one = benches.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        _common(one)
        _OWN[name](one)


def _common(made: ArgumentParser) -> None:
    made.add_argument("--json", metavar="FILE", type=Path, help="write meta and runs as JSON, with pictures beside it")
    made.add_argument("--seeds", metavar="N", type=_count, default=6, help="seeds of every run (default 6)")
    made.add_argument("--data", metavar="DIR", type=Path, help="measurements of others (default ../shared/data)")


def _tune(made: ArgumentParser) -> None:
    what = made.add_mutually_exclusive_group()
    what.add_argument("--spec", metavar="SPEC.yaml", type=Path, nargs="+", default=[], help="default: the shipped ones")
    what.add_argument(
        "--plant",
        metavar="FILE.py:Class",
        nargs="+",
        default=[],
        help="simulated workloads instead; `shipped` for all that Pegbox has, or one by name. The file runs as Python",
    )
    made.add_argument("--tuners", metavar="NAME,NAME", default="", help="default: Pegbox and all of its company")
    made.add_argument(
        "--models", metavar="N", type=_count, default=1, help="seeds of the surrogate, up to 3 (default 1)"
    )
    made.add_argument("--outliers", action="store_true", help="2 of 100 measurements are 30 %% off, to the worse")
    made.add_argument("--processes", metavar="N", type=_count, default=2, help="at once (default 2)")
    made.add_argument("--shards", metavar="DIR", type=Path, help="keep each run there, and go on from what is there")


def _forecast(made: ArgumentParser) -> None:
    made.add_argument("--trace", metavar="FILE", type=Path, nargs="+", default=[], help="default: those of --data")
    made.add_argument("--horizon", metavar="MINUTES", type=_count, default=3, help="minutes ahead (default 3)")


def _rollback(made: ArgumentParser) -> None:
    made.add_argument("--stream", metavar="FILE", type=Path, nargs="+", default=[], help="default: that of --data")


def _scale_out(made: ArgumentParser) -> None:
    made.add_argument("--trace", metavar="FILE", type=Path, nargs="+", default=[], help="default: those of --data")


def _decide(made: ArgumentParser) -> None:
    made.add_argument("--rounds", metavar="N", type=_count, default=200, help="calls that are timed (default 200)")


_OWN = {"tune": _tune, "forecast": _forecast, "rollback": _rollback, "scale-out": _scale_out, "decide": _decide}


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r}: write a number from 1 to 10000")
    return int(text)
