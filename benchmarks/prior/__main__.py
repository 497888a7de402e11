"""`python -m benchmarks.prior`: learn the prior, judge it, write models/; with --check, compare instead."""

from __future__ import annotations

import argparse
import os
import sys

from benchmarks.prior import card, files
from benchmarks.prior.decide import decide
from benchmarks.prior.run import run
from pegbox.learning.shipped import FILE

SHOWN = 20


def main() -> int:
    """0 when written, or the same; 1 when --check finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prior", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing: compare with models/ within 1e-6")
    parser.add_argument("--jobs", metavar="N", type=int, default=os.cpu_count() or 1, help="processes")
    given = parser.parse_args()
    found = run(given.jobs)
    decision = decide(found)
    made = files.document(found, decision)
    for text, met in decision.conditions:
        print(f"{'met' if met else 'not met'}: {text}")
    if not given.check:
        files.write(made, card.card(made))
        print(f"{'active' if made['active'] else 'not active'}: {files.MODELS / FILE}")
        return 0
    there = files.load()
    apart = list(files.differences(there, made))
    for line in apart[:SHOWN]:
        print(line)
    if there["learned"]["code_sha256"] != made["learned"]["code_sha256"]:
        print("the code is another than the one that made models/")
    print(f"{len(apart)} differences" if apart else "the same within 1e-6")
    return 1 if apart else 0


if __name__ == "__main__":
    sys.exit(main())
