"""The table of docs/reliability.md names every fault that schedules draw from, and adds runs up."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.chaos import report
from tests.chaos.__main__ import Totals, run
from tests.chaos.faults import TABLE
from tests.chaos.said import Said
from tests.chaos.schedule import Outcome, Schedule, Step


def test_every_fault_says_what_happens_and_where_it_is_seen() -> None:
    assert set(report.WHAT) == set(TABLE)
    page = report.PAGE.read_text(encoding="utf-8")
    said = {name: f"| {name} | {happens} | {seen} |" for name, (happens, seen) in report.WHAT.items()}
    assert [name for name, row in said.items() if row not in page] == []


def test_runs_add_up_and_a_lost_one_is_counted_for_each_of_its_faults() -> None:
    good = Schedule(1, "hot", (Step("deploy", 1, 1), Step("deploy", 2, 1), Step("verb try", 3, 1)))
    totals = Totals()
    totals.add(Outcome(good, recovery=7, seen={"deploy": {Said("Progressing", "Deployed", "True")}}))
    totals.add(Outcome(good, violations=["budgets_hold: 30 of 24"], recovery=3))
    text = totals.text() + "\n2 schedules, seeds 1 to 2, lost: 1, at most 7 wakes to recover"
    found = report.report([text, text])
    assert found.startswith("4 schedules, seeds 1 to 2, 1 to 2; lost: 2.")
    assert "| deploy | " in found and found.count("| 4 | 2 |") == 2  # deploy once per schedule, and the try
    assert "| 4 | 2 | 2 of 4 |" in found and "| 4 | 2 | 0 of 4 |" in found  # as Deployed in one of the two


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_still_says_what_it_ran(
    number: signal.Signals, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = argparse.Namespace(
        schedules=50, seed=3, minutes=0.0, failures=str(tmp_path / "failures"), replay="", whole=False, shop=""
    )

    async def stopped() -> int:
        task = asyncio.ensure_future(run(options))
        await asyncio.sleep(0)
        os.kill(os.getpid(), number)
        return await task

    assert asyncio.run(stopped()) == 0
    assert "1 schedules, seeds 3 to 3, lost: 0" in capsys.readouterr().out
