"""A restore that takes the place of a rollback: what of it is not in force yet is the restore's to end."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.chaos.schedule import Runner, Schedule, Step, table

LOST = (
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
)


@pytest.fixture(autouse=True)
def quiet() -> None:
    """Every failed write is logged on purpose."""
    logging.getLogger("pegbox").setLevel(logging.CRITICAL)


@pytest.mark.parametrize("lost", LOST)
def test_what_the_rollback_left_is_ended(lost: Schedule) -> None:
    """Found by the long form; the states before lost each."""
    outcome = asyncio.run(Runner().run(lost))
    assert not outcome.violations, table(outcome)
