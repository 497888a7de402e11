"""What the table of docs/reliability.md names as the place where a fault is seen is said there, once the fault has struck, and
not anyway: a twin of each schedule has everything but the fault."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

import pytest

from tests.chaos.faults import TABLE
from tests.chaos.report import WHAT
from tests.chaos.said import Place, Said, places, unseen
from tests.chaos.schedule import Runner, Schedule, Step
from tests.chaos.world import World

NOTHING = "profile resumed (mode Auto)"  # of a profile that is in Auto: what a twin has in the place of the fault
ALWAYS = frozenset(
    {"Progressing", "Progressing Learning", "DataAvailable", "TrialStarted", "TrialAccepted", "RolledBack"}
)
"""Said of every trial: for these rows the table names where to look, not what is new there."""
SEEDS = 30  # as many as it takes, and no more than these


class Serving(Runner):
    """What arrives is served, so that a load can change at all."""

    async def world(self, shop: str) -> World:
        world = await super().world(shop)
        for service in world.services.values():
            service.load = service.throughput() / 2
        world.restart()
        for _ in range(6):
            await world.turn()
        return world


RUNNER, SERVING = Runner(), Serving()


@dataclass(frozen=True)
class Directed:
    """The fault strikes after a proposal, or `first`; `turns` follow it, `before` are faults that it takes. `since`: the first
    seed, where the ones before it are known to show nothing."""

    shops: tuple[str, ...] = ("hot", "places")
    turns: int = 3
    first: bool = False
    before: tuple[str, ...] = ()
    since: int = 0
    runner: Runner = field(default=RUNNER)

    def schedule(self, fault: str, seed: int) -> Schedule:
        trial = Step("proposal of the model", seed, self.turns if self.first else seed // 2 % 3)
        steps = [Step(name, seed, 1) for name in self.before]
        strike = Step(fault, seed, self.turns)
        order = (strike, trial) if self.first else (trial, strike)
        return Schedule(seed, self.shops[seed % len(self.shops)], (*steps, *order))


USUAL = Directed()
DIRECTED = {
    "Prometheus: stale": Directed(turns=10),  # it is young at first
    "Prometheus: every series twice": Directed(turns=14, runner=SERVING),
    "Prometheus: counter resets": Directed(("hot",), turns=14, since=17),
    "Prometheus well again": Directed(before=("Prometheus: down",)),
    "class names its source again": Directed(before=("class names an unknown source in mid-trial",)),
    "killed for memory by a step": Directed(since=19),
    "write role revoked (403)": Directed(since=15),
    "self-heal puts values back": Directed(("hot",), since=24),
    "helm upgrade with force": Directed(("hot",), since=16),
    "proposal of the model": Directed(since=19),
    "pods never acknowledge": Directed(turns=20, first=True),
    "a node has no room to resize": Directed(("sized",)),
    "user edits the requests of the template": Directed(("sized",)),
    "user scales the target": Directed(("scaled", "numbered")),
    "class changed": Directed(("scaled", "numbered")),
    "limits narrowed in mid-trial": Directed(("tight", "tight, canaries"), turns=14, since=20),
    "stopped and restored, class or profile unusable": Directed(("hot",), before=("user edits the HPA", "verb try")),
}


def _said(case: Directed, fault: str, seed: int, *, twin: bool = False) -> set[Said]:
    """Since the fault struck, or since nothing did in its place."""
    strikes = NOTHING if twin else fault
    schedule = case.schedule(strikes, seed)
    outcome = asyncio.run(case.runner.run(schedule))
    assert not outcome.violations, outcome.violations
    return outcome.seen[strikes]


def never_said(fault: str) -> list[Place]:
    """Of what the row names: where nothing was said of the fault in any of its schedules."""
    column, case = WHAT[fault][1], DIRECTED.get(fault, USUAL)
    left = places(column)
    for seed in range(case.since, case.since + SEEDS):
        now = unseen(column, _said(case, fault, seed))
        new = [place for place in left if place not in now]
        if any(str(place) not in ALWAYS for place in new):
            anyway = set(places(column)) - set(unseen(column, _said(case, fault, seed, twin=True)))
            new = [place for place in new if str(place) in ALWAYS or place not in anyway]
        left = [place for place in left if place not in new]
        if not left:
            break
    return left


@pytest.fixture(autouse=True)
def quiet() -> None:
    """Every failed write is logged on purpose."""
    logging.getLogger("pegbox").setLevel(logging.CRITICAL)


@pytest.mark.parametrize("fault", TABLE)
def test_it_is_seen_where_the_table_says(fault: str) -> None:
    assert not never_said(fault)


@pytest.mark.parametrize(
    "reason",
    [pytest.param("LedgerLost", id="what nobody says"), pytest.param("NothingBetter", id="what is said anyway")],
)
def test_a_row_that_names_something_else_is_found(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WHAT, "clock jumps", ("", reason))
    monkeypatch.setattr("tests.chaos.test_seen.SEEDS", 2)
    assert [str(place) for place in never_said("clock jumps")] == [reason]


@pytest.mark.parametrize(
    ("column", "said", "left"),
    [
        pytest.param("Degraded, WriteFailed", Said("Degraded", "WriteFailed", "True"), "", id="a condition's reason"),
        pytest.param("Degraded, WriteFailed", Said("Event", "WriteFailed"), "Degraded WriteFailed", id="not elsewhere"),
        pytest.param("LedgerLost", Said("Event", "LedgerLost"), "", id="a reason anywhere"),
        pytest.param("LedgerLost", Said("Event", "Restored"), "LedgerLost", id="another reason"),
        pytest.param(
            "ProfileChanged; Accepted", Said("Accepted", "InvalidSpec", "False"), "ProfileChanged", id="refused"
        ),
        pytest.param("Accepted", Said("Accepted", "Accepted", "True"), "Accepted", id="not refused"),
        pytest.param("pegbox_reconcile_errors", Said("pegbox_reconcile_errors"), "", id="a metric"),
        pytest.param("Helm's own output", Said("Event", "Restored"), "", id="what others say"),
    ],
)
def test_what_a_row_names_is_told_from_what_was_said(column: str, said: Said, left: str) -> None:
    assert ", ".join(map(str, unseen(column, [said]))) == left
