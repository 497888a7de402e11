"""`python3 -m dev.demo [run|break|clean]`: see run.py. Exit 0: tuned; 1: tuning failed; 3: machine too slow."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dev.demo import breaking, run
from dev.demo.cluster import EXAMPLE, DemoError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m dev.demo", description=__doc__)
    parser.add_argument("action", nargs="?", default="run", choices=("run", "break", "clean"))
    parser.add_argument("--workload", type=Path, default=EXAMPLE / "workload.toml", help="the workload's numbers")
    parser.add_argument("--no-break", action="store_true", help="leave out the part that breaks things")
    parser.add_argument("--no-grid", action="store_true", help="leave out the reference grid")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    try:
        if options.action == "clean":
            return run.clean()
        if options.action == "break":
            breaking.main()
            return 0
        return run.main(options)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted; `make demo` goes on, `make demo-clean` removes it", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
