"""Schedules that the long form lost once, shortened: the state before each mend loses it again."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.chaos.schedule import Runner, Schedule, Step, table

LOST = (
    # A restore that a budget has no room for says so from the look that ends it.
    pytest.param(
        Schedule(
            260000877,
            "hot",
            (
                Step("proposal of the model", 558695230, 1),
                Step("user edits the HPA", 219347792, 1),
                Step("verb try", 641975996, 2),
                Step("stopped and restored, class or profile unusable", 675893038, 0),
            ),
        ),
        id="what it left lowered",
    ),
    pytest.param(
        Schedule(
            170006948,
            "hot",
            (
                Step("proposal of the model", 252984570, 1),
                Step("user edits our ConfigMap", 341200954, 1),
                Step("stopped and restored, class or profile unusable", 979228368, 0),
                Step("deleted and recreated", 769384866, 2),
            ),
        ),
        id="what it left lowered, of a target that is made anew",
    ),
    # A restore that takes the place of a rollback ends what that left.
    pytest.param(
        Schedule(
            80001432,
            "admitted",
            (
                Step("proposal of the model", 808819574, 1),
                Step("write fails: 422", 120009562, 1),
                Step("class changed", 923042445, 1),
                Step("everything is stopped and restored", 487270651, 0),
                Step("Prometheus: every series twice", 877730803, 1),
            ),
        ),
        id="its restarts",
    ),
    pytest.param(
        Schedule(
            70001380,
            "admitted, canaries",
            (
                Step("proposal of the model", 498940622, 2),
                Step("everything is stopped and restored", 822301872, 2),
                Step("proposal of the model", 401489618, 2),
                Step("the stop ends", 531155880, 0),
                Step("user edits the HPA", 977961306, 1),
            ),
        ),
        id="its restarts beside the stop's end",
    ),
    pytest.param(
        Schedule(
            71001079,
            "hot, canaries",
            (
                Step("proposal of the model", 1004509553, 2),
                Step("everything is stopped and restored", 775833307, 1),
                Step("self-heal puts values back", 101885418, 1),
                Step("everything is stopped and restored", 950166566, 0),
                Step("pods read late, one after the other", 815031281, 0),
                Step("proposal of the model", 462175210, 1),
            ),
        ),
        id="pods above a bound that it lowered",
    ),
    # A restore that raises waits for the pods of somebody's deploy to go.
    pytest.param(
        Schedule(
            83000375,
            "hot",
            (
                Step("proposal of the model", 940344543, 0),
                Step("profile edited", 326626790, 1),
                Step("user scales the target", 260017868, 0),
                Step("deploy", 711982724, 1),
                Step("everything is stopped and restored", 340818233, 0),
                Step("user edits the HPA", 611081968, 2),
            ),
        ),
        id="a global restore in mid-deploy, everything at once",
    ),
    pytest.param(
        Schedule(
            83001132,
            "hot",
            (
                Step("proposal of the model", 102702386, 2),
                Step("Prometheus: no join", 29929749, 0),
                Step("everything is stopped and restored", 472726359, 1),
                Step("stale leader resumes after takeover", 618638612, 1),
            ),
        ),
        id="a global restore in mid-deploy, in two stages",
    ),
    # What was left to others is theirs, whatever it becomes.
    pytest.param(
        Schedule(
            83002122,
            "sized",
            (
                Step("proposal of the model", 128376815, 1),
                Step("stale leader resumes after takeover", 356946736, 2),
                Step("a freeze begins in mid-trial", 904422501, 0),
                Step("user edits the requests of the template", 350936546, 1),
                Step("deleted and recreated", 493179449, 2),
                Step("crash loop for its own reasons", 917246750, 0),
            ),
        ),
        id="a request that its owner changes twice in mid-rollback",
    ),
    # What a process remembers of a stop's restore it ends, whatever the ledger and the mode say by then.
    pytest.param(
        Schedule(
            710005785,
            "places",
            (
                Step("proposal of the model", 109683234, 2),
                Step("stopped and restored, class or profile unusable", 935595206, 0),
                Step("profile suspended (mode Recommend)", 421859253, 1),
                Step("ledger corrupted", 657842543, 2),
            ),
        ),
        id="a restore whose ledger is corrupted, in Observe",
    ),
)


@pytest.fixture(autouse=True)
def quiet() -> None:
    """Every failed write is logged on purpose."""
    logging.getLogger("pegbox").setLevel(logging.CRITICAL)


@pytest.mark.parametrize("lost", LOST)
def test_it_is_not_lost_again(lost: Schedule) -> None:
    outcome = asyncio.run(Runner().run(lost))
    assert not outcome.violations, table(outcome)
