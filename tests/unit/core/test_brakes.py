"""What a brake decides: every cell of its table (brake x what is under way), and what no brake may hold up."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pegbox.core.decide import decide
from pegbox.model.brakes import Brakes, Stop, parse_opt_out, parse_stop
from pegbox.model.decisions import Action, Decision
from pegbox.model.observations import Missing
from pegbox.model.profile import DeletionPolicy, Mode
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import IntentKind, Ledger, TrialState
from tests.unit.core.build import (
    NO_WISH,
    T0,
    at,
    document,
    held,
    intent,
    ledger,
    pod,
    setting,
    snapshot,
    spec,
    under_way,
    wish,
    workload,
)
from tests.unit.core.test_incumbent import probation

ADOPTED, NOW = setting(workers=2, pool=4), setting(workers=4, pool=4)
FREE = Brakes()
STOPPED = Brakes(Stop.STOP, "stop")
RESTORING = Brakes(Stop.RESTORE, "restore")
OUT = Brakes(opted_out=True, opt_out_text="true")
BOTH = replace(RESTORING, opted_out=True)
OPEN = Brakes(held=Missing(Reason.FLEET_BREAKER_OPEN, "until noon"))
MORE = wish(setting(workers=5, pool=4))


def rest(**changes: Any) -> Snapshot:
    """Four workers accepted; two were adopted."""
    return snapshot(memory=ledger(NOW, adopted=ADOPTED), **changes)


def during(kind: IntentKind) -> Snapshot:
    """4 -> 6 workers, written and not acknowledged yet."""
    memory = under_way(intent(kind), adopted=ADOPTED)
    return snapshot(memory=replace(memory, incumbent=NOW))


def decided(seen: Snapshot, brakes: Brakes) -> Decision:
    return decide(replace(seen, brakes=brakes), MORE, at(1))


def outcome(decision: Decision) -> tuple[Action, str, bool]:
    """(action, what is under way afterwards, is the workload written?)."""
    after = decision.ledger.intent
    return decision.action, after.kind.value if after is not None else "", decision.desired is not None


@pytest.mark.parametrize(
    ("brakes", "seen", "expected"),
    [
        pytest.param(FREE, rest(), (Action.START, "Trial", True), id="free_at_rest_a_trial_starts"),
        pytest.param(STOPPED, rest(), (Action.HOLD, "", False), id="stop_at_rest_nothing"),
        pytest.param(RESTORING, rest(), (Action.RESTORE, "Restore", True), id="restore_at_rest_restores"),
        pytest.param(OUT, rest(), (Action.HOLD, "", False), id="opt_out_at_rest_nothing"),
        pytest.param(BOTH, rest(), (Action.HOLD, "", False), id="restore_of_the_opted_out_nothing"),
        pytest.param(OPEN, rest(), (Action.HOLD, "", False), id="fleet_breaker_at_rest_nothing"),
        pytest.param(STOPPED, during(IntentKind.ADOPT), (Action.CLOSE, "", False), id="stop_ends_an_adoption"),
        pytest.param(RESTORING, during(IntentKind.ADOPT), (Action.RESTORE, "Restore", True), id="restore_in_adoption"),
        pytest.param(OUT, during(IntentKind.ADOPT), (Action.CLOSE, "", False), id="opt_out_ends_an_adoption"),
        pytest.param(OPEN, during(IntentKind.ADOPT), (Action.CONTINUE, "Adopt", False), id="fleet_lets_it_adopt"),
        pytest.param(STOPPED, during(IntentKind.TRIAL), (Action.REVERT, "Rollback", True), id="stop_reverts_a_trial"),
        pytest.param(RESTORING, during(IntentKind.TRIAL), (Action.RESTORE, "Restore", True), id="restore_in_a_trial"),
        pytest.param(OUT, during(IntentKind.TRIAL), (Action.REVERT, "Rollback", True), id="opt_out_reverts_a_trial"),
        pytest.param(BOTH, during(IntentKind.TRIAL), (Action.REVERT, "Rollback", True), id="both_revert_a_trial"),
        pytest.param(OPEN, during(IntentKind.TRIAL), (Action.CONTINUE, "Trial", False), id="fleet_lets_a_trial_end"),
        pytest.param(STOPPED, during(IntentKind.ROLLBACK), (Action.CONTINUE, "Rollback", False), id="stop_in_rollback"),
        pytest.param(
            RESTORING, during(IntentKind.ROLLBACK), (Action.RESTORE, "Restore", True), id="restore_in_rollback"
        ),
        pytest.param(OUT, during(IntentKind.ROLLBACK), (Action.CONTINUE, "Rollback", False), id="opt_out_in_rollback"),
        pytest.param(STOPPED, during(IntentKind.RESTORE), (Action.CONTINUE, "Restore", False), id="stop_in_restore"),
        pytest.param(RESTORING, during(IntentKind.RESTORE), (Action.CONTINUE, "Restore", False), id="restore_again"),
        pytest.param(OUT, during(IntentKind.RESTORE), (Action.CONTINUE, "Restore", False), id="opt_out_in_restore"),
        pytest.param(FREE, during(IntentKind.RESTORE), (Action.CONTINUE, "Restore", False), id="released_in_restore"),
    ],
)
def test_the_table(brakes: Brakes, seen: Snapshot, expected: tuple[Action, str, bool]) -> None:
    assert outcome(decided(seen, brakes)) == expected


TABLE = """
| brake | at rest | adoption under way | trial | rollback | restore |
|---|---|---|---|---|---|
| `stop` | no trial, no pin | ended, not written | back to its parent, Inconclusive(Stopped) | goes on | goes on |
| `restore` | restored, then stays so | restored | ended Inconclusive(Stopped), then restored | restored | goes on |
| opt-out | nothing is written | ended, not written | back to its parent, Inconclusive(OptedOut) | goes on | goes on |
"""
BRAKES = {"`stop`": STOPPED, "`restore`": RESTORING, "opt-out": OUT}
STATES: dict[str, Callable[[], Snapshot]] = {
    "at rest": rest,
    "adoption under way": lambda: during(IntentKind.ADOPT),
    "trial": lambda: during(IntentKind.TRIAL),
    "rollback": lambda: during(IntentKind.ROLLBACK),
    "restore": lambda: during(IntentKind.RESTORE),
}


def cells(text: str) -> list[tuple[str, str, str]]:
    head, _, *rows = [[c.strip() for c in line.strip("|").split("|")] for line in text.strip().splitlines()]
    return [(row[0], name, word) for row in rows for name, word in zip(head[1:], row[1:], strict=True)]


@pytest.mark.parametrize(
    ("brake", "state", "word"), [pytest.param(*c, id=f"{c[0]}: {c[1]}: {c[2]}") for c in cells(TABLE)]
)
def test_every_cell_of_the_documented_table(brake: str, state: str, word: str) -> None:
    decision = decided(STATES[state](), BRAKES[brake])
    action, kind, writes = outcome(decision)
    if "restored" in word:
        assert (action, kind, writes) == (Action.RESTORE, "Restore", True)
        assert decision.desired == ADOPTED
    elif word.startswith("back to its parent"):
        assert (action, kind, decision.desired) == (Action.REVERT, "Rollback", NOW)
    elif word == "goes on":
        assert (action, kind.lower()) == (Action.CONTINUE, state)
    else:
        expected = Action.CLOSE if word == "ended, not written" else Action.HOLD
        assert (action, kind, writes) == (expected, "", False)
    if "Inconclusive" in word:
        last = decision.ledger.trials[-1]
        assert f"{last.state.value}({last.reason.value})" in word


def test_the_table_is_the_one_of_the_documentation() -> None:
    page = (Path(__file__).parents[3] / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| brake \| at rest .*?(?=\n\n)", page, re.MULTILINE | re.DOTALL)
    assert [cells(text) for text in rows] == [cells(TABLE)]


@pytest.mark.parametrize(
    ("brakes", "reason"),
    [(STOPPED, Reason.STOPPED), (RESTORING, Reason.STOPPED), (OUT, Reason.OPTED_OUT), (BOTH, Reason.STOPPED)],
    ids=["stopped", "restoring", "opted_out", "stopped_before_opted_out"],
)
def test_a_trial_that_a_brake_ends_is_inconclusive_and_counted_by_no_breaker(brakes: Brakes, reason: Reason) -> None:
    after = decided(during(IntentKind.TRIAL), brakes).ledger
    assert (after.trials[-1].state, after.trials[-1].reason) == (TrialState.INCONCLUSIVE, reason)
    assert after.breaker == Ledger("").breaker


@pytest.mark.parametrize("brakes", [STOPPED, OUT], ids=["stopped", "opted_out"])
def test_harm_that_shows_in_the_same_moment_is_counted_all_the_same(brakes: Brakes) -> None:
    seen = replace(during(IntentKind.TRIAL), workload=workload(pod(oom_killed_at=at(1))))
    decision = decided(seen, brakes)
    assert decision.reason is Reason.OOM_KILLED and decision.ledger.breaker.failures == 1


@pytest.mark.parametrize(
    ("brakes", "taken_back"),
    [(FREE, True), (STOPPED, True), (OPEN, True), (OUT, False)],
    ids=["free", "a_stop_loses_no_rollback", "the_fleet_breaker_neither", "opting_out_writes_nothing"],
)
def test_an_accepted_setting_that_does_harm(brakes: Brakes, taken_back: bool) -> None:
    sick = workload(pod(waiting="CrashLoopBackOff", ready=False))
    decision = decide(replace(probation({}, workload=sick), brakes=brakes), NO_WISH, at(1000))
    assert (decision.action is Action.REVERT) == taken_back


@pytest.mark.parametrize("brakes", [STOPPED, RESTORING, OUT, OPEN], ids=["stop", "restore", "opt_out", "fleet"])
def test_no_brake_is_deaf_to_a_restore_in_mid_course_of_which_half_is_written(brakes: Brakes) -> None:
    """The second stage is still written."""
    item = intent(IntentKind.RESTORE, applied_at=None, stage_at=None)
    seen = snapshot(memory=replace(under_way(item, adopted=ADOPTED), incumbent=NOW))
    seen = replace(seen, document=document(spec(), NOW, 1), held=snapshot(memory=ledger(NOW)).held)
    assert decided(seen, brakes).desired is not None


def test_values_of_the_adoption_that_are_in_place_are_not_written_again() -> None:
    decision = decided(snapshot(memory=ledger(ADOPTED)), RESTORING)
    assert outcome(decision) == (Action.HOLD, "", False) and decision.reason is Reason.STOPPED


def test_a_profile_that_wrote_nothing_has_nothing_to_restore() -> None:
    seen = snapshot(memory=ledger(NOW, adopted=ADOPTED, generation=0))
    seen = replace(seen, document=Missing(Reason.NOT_REPORTED))
    assert outcome(decided(seen, RESTORING)) == (Action.HOLD, "", False)


def test_after_a_lost_ledger_what_is_in_force_is_found_out_before_it_is_restored() -> None:
    lost = replace(ledger(NOW, adopted=ADOPTED), incumbent=None)
    first = decided(replace(rest(), ledger=lost), RESTORING)
    assert (first.action, first.desired, first.ledger.incumbent) == (Action.ADOPT, None, NOW)
    second = decided(replace(rest(), ledger=first.ledger), RESTORING)
    assert second.desired == ADOPTED


@pytest.mark.parametrize("mode", list(Mode), ids=[m.value for m in Mode])
def test_a_restore_asks_for_no_mode_and_for_no_deletion_policy(mode: Mode) -> None:
    """The stop of all is louder than what one profile says of its own deletion."""
    profile = spec(mode=mode, deletion_policy=DeletionPolicy.KEEP)
    seen = snapshot(profile, ledger(NOW, adopted=ADOPTED))
    assert decided(seen, RESTORING).desired == ADOPTED


@pytest.mark.parametrize(
    ("mode", "asked_by", "goes_on"),
    [
        pytest.param(Mode.AUTO, Reason.STOPPED, True, id="by a stop that is over"),
        pytest.param(
            Mode.AUTO, Reason.RESTORE_PENDING, False, id="by the deletion itself, before its policy was edited"
        ),
        pytest.param(Mode.RECOMMEND, Reason.STOPPED, False, id="turning Auto away lets go"),
    ],
)
def test_a_deletion_with_keep_finishes_the_restore_that_was_asked_for(
    mode: Mode, asked_by: Reason, goes_on: bool
) -> None:
    begun = decided(rest(), RESTORING).ledger
    assert begun.intent is not None and begun.intent.reason is Reason.STOPPED
    memory = replace(begun, intent=replace(begun.intent, reason=asked_by))
    profile = spec(mode=mode, deletion_policy=DeletionPolicy.KEEP)
    found = decide(replace(rest(), spec=profile, ledger=memory, deleting=True), NO_WISH, T0)
    assert (found.action, found.desired) == ((Action.CONTINUE, ADOPTED) if goes_on else (Action.CLOSE, None))


def test_a_budget_that_has_no_room_beside_what_others_set_comes_before_a_global_restore() -> None:
    """One pod may use 48. Adopted 12 x 4 = 48; somebody made the pool 8: 12 x 8 = 96 would be too much."""
    memory = ledger(NOW, adopted=setting(workers=12, pool=4))
    seen = replace(snapshot(memory=memory), held=held(setting(workers=4, pool=8)))
    owed = decided(seen, RESTORING)
    assert (owed.action, owed.reason, owed.desired) == (Action.HOLD, Reason.RESTORE_PENDING, None)
    assert owed.ledger.adopted == memory.adopted  # it is not forgotten
    room = replace(seen, held=held(setting(workers=4, pool=3)))
    assert decided(room, RESTORING).desired == setting(workers=12, pool=3)


def test_what_was_owed_before_is_not_asked_for_once_the_adoption_is_in_place() -> None:
    found = decided(snapshot(memory=ledger(NOW, adopted=NOW, owed=setting(workers=6), generation=2)), RESTORING)
    assert (found.action, found.ledger.owed) == (Action.HOLD, None)
    assert "the values of the adoption are in place" in found.message


def test_what_was_restored_in_part_is_still_owed_and_what_others_set_is_not() -> None:
    part = setting(workers=4, pool=8)
    item = intent(IntentKind.RESTORE, stages=(part,), applied_at=T0, in_force_at=T0, keep=("pool",))
    memory = replace(under_way(item, adopted=setting(workers=12, pool=4)), incumbent=NOW)
    after = decide(snapshot(memory=memory), NO_WISH, at(1)).ledger
    assert (after.adopted, after.incumbent) == (setting(workers=12, pool=8), part)


def test_what_was_restored_is_forgotten_so_that_it_is_adopted_anew() -> None:
    item = intent(IntentKind.RESTORE, stages=(ADOPTED,), applied_at=T0, in_force_at=T0)
    memory = replace(under_way(item, adopted=ADOPTED), incumbent=NOW)
    decision = decide(snapshot(memory=memory), NO_WISH, at(1))
    assert decision.reason is Reason.RESTORED
    assert (decision.ledger.adopted, decision.ledger.incumbent, decision.ledger.originals) == (None, None, ())
    deleted = decide(replace(snapshot(memory=memory), deleting=True), NO_WISH, at(1))
    assert deleted.ledger.adopted == ADOPTED


@pytest.mark.parametrize(
    ("text", "stop", "said"),
    [
        pytest.param(None, None, "", id="nothing_there"),
        pytest.param("stop", Stop.STOP, "", id="stop"),
        pytest.param("Restore ", Stop.RESTORE, "", id="restore_as_people_write_it"),
        pytest.param("", Stop.STOP, "counts as stop", id="an_empty_text_brakes"),
        pytest.param("false", Stop.STOP, "counts as stop", id="false_brakes"),
        pytest.param("x" * 4096, Stop.STOP, "counts as stop", id="a_long_text_brakes"),
    ],
)
def test_the_annotation_of_the_stop(text: str | None, stop: Stop | None, said: str) -> None:
    found, why = parse_stop(text)
    assert found is stop and said in why and len(why) < 300


@pytest.mark.parametrize(
    ("text", "out", "said"),
    [
        pytest.param(None, False, "", id="nothing_there"),
        pytest.param("true", True, "", id="true"),
        pytest.param(" False", False, "", id="false_as_people_write_it"),
        pytest.param("", True, "counts as opted out", id="an_empty_text"),
        pytest.param("maybe", True, "counts as opted out", id="neither_true_nor_false"),
    ],
)
def test_the_annotation_of_the_opt_out(text: str | None, out: bool, said: str) -> None:
    found, why = parse_opt_out(text)
    assert found is out and said in why
