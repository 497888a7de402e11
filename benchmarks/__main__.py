"""`python -m benchmarks`: one run, its table on the screen, and in files where wanted."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import run, table
from benchmarks.servers import CannotMeasure, end_in_order
from dev.cluster.errors import ClusterError


def main() -> int:
    """0 when every figure was measured; 1 when one could not be; 2 when the machine lacks something."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures as JSON")
    parser.add_argument("--document", metavar="FILE", type=Path, help="put the table between this document's marks")
    parser.add_argument("--sizes", metavar="N,N", default="1,10,100", help="numbers of profiles, rising")
    parser.add_argument("--interval", metavar="SECONDS", type=int, default=30, help="the profiles' interval")
    parser.add_argument("--cycles", metavar="N", type=int, default=2, help="cycles measured at each size")
    parser.add_argument("--settle", metavar="N", type=int, default=run.START_CYCLES, help="cycles before that")
    parser.add_argument(
        "--watch", metavar="SECONDS", type=float, default=0.0, help="watch the development cluster for acknowledgements"
    )
    given = parser.parse_args()
    end_in_order()
    sizes = tuple(int(each) for each in given.sizes.split(","))
    try:
        figures = run.run(run.Plan(sizes, given.interval, given.cycles, given.settle, given.watch))
    except CannotMeasure as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 1
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 2
    if given.json:
        given.json.write_text(figures.json(), encoding="utf-8")
    if given.document:
        document = given.document.read_text(encoding="utf-8")
        given.document.write_text(table.replaced(document, figures.markdown()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
