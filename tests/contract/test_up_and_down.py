"""Upgraded and downgraded in mid-trial: the older release as it was, and this one, take over from each other.

Both are real programs on one real API server, with today's dependencies; each is ended at numbered steps by SIGKILL or
SIGTERM, and the other one goes on: at the end everything is where it is after a trial that nobody disturbed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from dev.cluster.control import ControlPlane
from dev.cluster.paths import REPOSITORY
from pegbox.api import ledger_codec
from pegbox.model.errors import NotFound, PegboxError
from pegbox.model.reasons import Reason
from pegbox.model.trials import Amount, Ledger
from pegbox.ports import Cluster
from pegbox.testing.clock import FakeClock
from tests.contract import older
from tests.contract.conftest import Connect
from tests.contract.kill_process import Ended
from tests.contract.release_operators import Operator, Release
from tests.contract.test_kill_points import SCENARIOS, _lanes, _settle, _sound
from tests.loop import documents
from tests.loop.world import World
from tests.unit.api.ledgers import INTENT, TRIAL

OLDER, THIS = "older", "this"
OTHER = {OLDER: THIS, THIS: OLDER}


@pytest.fixture(scope="module")
def home() -> Path:
    """The older release's folder."""
    return older.or_said("NOT UPGRADED AND NOT DOWNGRADED")


@pytest.fixture(scope="module")
def releases(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Release]]:
    state = tmp_path_factory.mktemp("releases")
    with Release(OLDER, home, state) as before, Release(THIS, REPOSITORY, state) as now:
        yield {OLDER: before, THIS: now}


@dataclass
class Handing:
    """A world whose operator is a process of one release, and then of the other."""

    world: World
    plane: ControlPlane
    releases: dict[str, Release]
    operators: list[Operator] = field(default_factory=list)
    generations: list[int] = field(default_factory=list)

    @property
    def operator(self) -> Operator:
        return self.operators[-1]

    @property
    def reasons(self) -> list[str]:
        return [reason for operator in self.operators for reason in operator.reasons]

    def start(self, name: str) -> None:
        self.operators.append(Operator(self.releases[name], self.plane.kubeconfig, self.world))
        self.world.operator = self.operator

    async def end(self, at: str) -> None:
        """Turns until the operator ends there; fails where it never comes to that point."""
        self.operator.ends_at = at
        with pytest.raises(Ended):
            await _settle(self)
        await self.world.clock.advance(3.0)

    async def look(self, name: str) -> Ledger:
        """A release that was not there looks at what it finds at rest."""
        self.start(name)
        for _ in range(2):
            await self.turn()
        ledger = await self.world.ledger()
        assert ledger is not None
        return ledger

    async def turn(self) -> None:
        await self.world.turn()
        try:
            self.generations.append((await self.world.document()).generation)
        except (NotFound, KeyError):
            return


@pytest_asyncio.fixture
async def case(
    cluster: Cluster, client: Connect, namespace: str, control_plane: ControlPlane, releases: dict[str, Release]
) -> AsyncIterator[Handing]:
    outside = await client("kubelet")
    await outside.apply(documents.CLASS, force=True)
    made = Handing(World(cluster, outside, FakeClock(auto=False), namespace=namespace), control_plane, releases)
    yield made
    for operator in made.operators:
        operator.close()


WALKS = {
    # Scenario of test_kill_points.py, who begins, and where each of them ends before the other one goes on. The definitions'
    # test below has a trial of everything that begins with the older one, and a way back that begins with this one.
    "a trial of everything, down, up and down": (
        "apply",
        THIS,
        "SIGTERM after-hpa:1, SIGKILL after-fence:2, SIGTERM before-ledger:1",
    ),
    "its way back, up, down and up": (
        "rollback",
        OLDER,
        "SIGKILL after-ledger:1, SIGTERM before-document:1, SIGKILL before-ledger:2",
    ),
    "a canary, up, down and up": (
        "canary",
        OLDER,
        "SIGTERM after-document:1, SIGKILL before-ledger:1, SIGKILL after-document:1",
    ),
    "a canary, down, up and down": (
        "canary",
        THIS,
        "SIGKILL after-ledger:1, SIGTERM after-read-back:1, SIGKILL after-document:1",
    ),
    "a canary's way back, up and down": ("canary-back", OLDER, "SIGKILL before-document:1, SIGTERM after-document:1"),
    "a canary's way back, down and up": ("canary-back", THIS, "SIGTERM after-document:1, SIGKILL before-read-back:1"),
    "an adoption, up and down": ("adopt", OLDER, "SIGKILL after-ledger:1, SIGTERM after-document:1"),
    "an adoption, down and up": ("adopt", THIS, "SIGKILL after-claim:1, SIGTERM after-ledger:1"),
    "a restart, up and down": ("restart", OLDER, "SIGKILL after-eviction:1, SIGTERM after-eviction:1"),
    "sizes' way back, down and up": ("resize-back", THIS, "SIGKILL after-resize:1, SIGTERM before-resize:1"),
    "a deletion, up and down": ("restore", OLDER, "SIGTERM after-document:1, SIGKILL before-give-back:1"),
    "a deletion, down and up": ("restore", THIS, "SIGKILL after-ledger:1, SIGTERM after-hpa:1"),
}


@pytest.mark.parametrize("walk", WALKS)
async def test_each_release_goes_on_where_the_other_one_was_ended(case: Handing, walk: str) -> None:
    await _walked(case, *WALKS[walk])


async def test_variables_by_admission_are_handed_over_in_mid_trial(case: Handing) -> None:
    await _walked(case, "admit", THIS, "SIGTERM after-pod-environment:2, SIGKILL after-eviction:1")


async def _walked(case: Handing, name: str, who: str, ends: str) -> None:
    case.start(who)
    await SCENARIOS[name].build(case)
    await SCENARIOS[name].before(case)
    for end in ends.split(", "):
        await case.end(end)
        who = OTHER[who]
        case.start(who)
    await _settle(case)
    await _sound(case, name)
    assert "LedgerLost" not in case.reasons
    if not await case.world.exists():
        return
    found = await case.world.ledger()
    assert found is not None
    for look in (OTHER[who], who):
        ledger = await case.look(look)
        assert (ledger.incumbent, ledger.adopted, ledger.originals) == (found.incumbent, found.adopted, found.originals)
        assert [(t.id, t.state) for t in ledger.trials] == [(t.id, t.state) for t in found.trials]
    await _sound(case, name)
    assert "LedgerLost" not in case.reasons


async def test_a_canary_by_admission_is_nothing_that_the_older_one_reads_so_it_says_so_and_loses_no_original(
    case: Handing,
) -> None:
    """Its ledger is of version 3, and that release reads 2: what pods run is kept, and a deletion puts all back."""
    case.start(THIS)
    await SCENARIOS["admit-canary-back"].build(case)
    await SCENARIOS["admit-canary-back"].before(case)
    await case.end("SIGKILL after-eviction:1")
    case.start(OLDER)
    await _settle(case)
    assert "LedgerLost" in case.operator.reasons
    ledger = await case.look(THIS)
    assert ledger.adopted is not None and ledger.adopted.number("lanes") == 2
    await case.world.delete()
    await _settle(case)
    assert await case.world.values() == {"workers": "2"}
    assert await _lanes(case.world) == [None] * 5


# --- definitions


def _define(plane: ControlPlane, root: Path) -> None:
    for file in sorted((root / "crds").glob("*.yaml")):
        plane.apply(file.read_text())


async def _served(world: World, *, prices: bool) -> None:
    """Until the server takes the field that came later, or no longer does: it takes a definition up in its own time."""
    body = documents.placed(documents.profile("probe", target="nobody"), world.namespace)
    body["spec"]["prices"] = {"pod": "1"}
    for _ in range(200):
        try:
            await world.outside.apply(body, force=True)
            found = True
            await world.delete("probe")
        except PegboxError:
            found = False
        if found == prices:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the definitions did not change")


@pytest.mark.parametrize(("name", "begins"), [("apply", OLDER), ("rollback", THIS)], ids=["upgraded", "downgraded"])
async def test_definitions_and_operators_move_one_after_the_other_as_helm_and_people_do_it(
    case: Handing, home: Path, name: str, begins: str
) -> None:
    """Definitions first and last: each release works under those of the other one, also for its statuses."""
    world = case.world
    folders = {OLDER: home, THIS: REPOSITORY}
    try:
        _define(case.plane, folders[begins])
        await _served(world, prices=begins == THIS)
        case.start(begins)
        await SCENARIOS[name].build(case)
        await SCENARIOS[name].before(case)
        await case.end("SIGKILL after-ledger:1")
        case.start(OTHER[begins])  # under the definitions of the former
        await case.end("SIGTERM before-ledger:1")
        _define(case.plane, folders[OTHER[begins]])
        await _served(world, prices=begins == OLDER)
        case.start(begins)  # and the former under those of this one
        await _settle(case)
        await _sound(case, name)
        await case.look(OTHER[begins])
        await _sound(case, name)
        assert not {"LedgerLost", "WriteRefused", "InvalidSpec"} & set(case.reasons)
        assert (await world.condition("Ready"))[0] == "True" and (await world.condition("Degraded"))[0] == "False"
    finally:
        _define(case.plane, REPOSITORY)
        await _served(world, prices=True)


# --- ledgers


def test_a_ledger_with_any_reason_of_today_is_read_by_the_older_release(home: Path) -> None:
    """It knows fewer reasons, and a word that it did not know would cost it the whole ledger."""
    ledgers = {
        reason: Ledger("u-1", intent=replace(INTENT, reason=reason), trials=(replace(TRIAL, reason=reason),))
        for reason in Reason
    }
    now = datetime.now(UTC)
    bodies = {
        reason.value: ledger_codec.encode(
            each, namespace="shop", name="checkout", profile="shop/checkout", written_at=now
        )
        for reason, each in ledgers.items()
    }
    assert {ledger_codec.decode(body).intent.reason.value for body in bodies.values()} == set(bodies)  # type: ignore[union-attr]
    assert older.run(home, READS, json.dumps(bodies)) == "[]"


def test_a_ledger_that_says_what_trials_took_away_is_read_by_the_older_release_with_what_they_added(home: Path) -> None:
    """That one has no word for the former, and keeps the latter in mind."""
    moved: dict[str, Any] = {"added": Amount(2, 500, 2**30), "removed": Amount(3, 700, 2**20)}
    full = Ledger("u-1", intent=replace(INTENT, **moved), trials=(replace(TRIAL, **moved),))
    now = datetime.now(UTC)
    body = ledger_codec.encode(full, namespace="shop", name="checkout", profile="shop/checkout", written_at=now)
    assert ledger_codec.decode(body) == full
    assert older.run(home, ADDED, json.dumps(body)) == "[(2, 500, 1073741824), (2, 500, 1073741824)]"


ADDED = """
import json, sys
from pegbox.api import ledger_codec
ledger = ledger_codec.decode(json.load(sys.stdin))
print([(each.added.pods, each.added.cpu, each.added.memory) for each in (ledger.intent, *ledger.trials)])
"""


READS = """
import json, sys
from pegbox.api import ledger_codec
from pegbox.model.errors import InvalidInput
refused = []
for name, body in json.load(sys.stdin).items():
    try:
        ledger_codec.decode(body)
    except InvalidInput as error:
        refused.append((name, str(error)))
print(refused)
"""
