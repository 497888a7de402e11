"""`python -m tests.case_counts`: how many test cases stand behind each row of a table in docs/reliability.md, collected by
pytest and written into it. A row's cases are those of all tests that it names; a benchmark that it names is none.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
HEAD = "| | fault | what happens | seen as | shown by | cases | lost |"
NAMED = re.compile(r"`(tests/[\w/]+\.py(?:::\w+(?:\[\w+\])?)?)`")


def rows(page: str) -> list[str]:
    """The lines of the table under HEAD."""
    _, _, rest = page.partition(f"{HEAD}\n")
    return rest.split("\n\n")[0].strip().splitlines()[1:]


def collected(files: set[str]) -> Counter[str]:
    """file, and file::function -> cases, parameters each counted. Raises where pytest does not collect them all."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *sorted(files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    found: Counter[str] = Counter()
    for each in (line for line in done.stdout.splitlines() if "::" in line):
        name, *parameters = each.split("[", 1)
        file, *_, function = name.split("::")  # a class between them is not named
        found.update([file, f"{file}::{function}", *(f"{file}::{function}[{each}" for each in parameters)])
    return found


def counted(row: str, cases: Mapping[str, int]) -> str:
    """The row with its count. Raises LookupError where it names a test that is none."""
    named = set(NAMED.findall(row))
    sums = [cases[each] for each in named if each.partition("::")[0] not in named - {each}]
    if not all(sums):
        raise LookupError(f"no such test: {row}")
    cells = row.strip("|").split("|")
    return "|" + "|".join([*cells[:5], f" {sum(sums)} ", " 0 "]) + "|"


def table(page: str) -> list[str]:
    """The rows as they should be."""
    found = rows(page)
    files = {each.partition("::")[0] for row in found for each in NAMED.findall(row)}
    cases = collected(files)
    return [counted(row, cases) for row in found]


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for old, new in zip(rows(page), table(page), strict=True):
        page = page.replace(f"{old}\n", f"{new}\n")
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
