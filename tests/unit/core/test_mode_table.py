"""What happens when something happens: every state of an intent, every mode, brake and deletion. One test per cell.

The table below is the one of docs/architecture.md, word by word.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction as F
from pathlib import Path

import pytest

from pegbox.core import cohorts, force
from pegbox.core.decide import decide
from pegbox.model.brakes import Brakes, Stop
from pegbox.model.decisions import Action, Decision
from pegbox.model.knobs import Effect, SearchSpace, values_hash
from pegbox.model.observations import Missing
from pegbox.model.profile import DeletionPolicy, Freeze, Mode
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Acknowledgement, Snapshot, Workload
from pegbox.model.trials import Breaker, BreakerState, Intent, IntentKind, TrialState
from tests.unit.core.build import (
    NO_WISH,
    T0,
    acked,
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
    window,
    wish,
    workload,
)

ADOPTED, PARENT, TARGET = setting(workers=3, pool=3), setting(workers=4, pool=4), setting(workers=6, pool=4)
BETWEEN, TRADE = setting(workers=4, pool=3), setting(workers=6, pool=3)
NOW = at(400)
FASTER = tuple(window(240 + 120 * n, latency=0.07) for n in range(2))  # clean, after settling at 65 s
OPEN_FLEET = Missing(Reason.FLEET_BREAKER_OPEN, "two profiles failed")
FREEZE = Freeze("all day", "0 0 * * *", "UTC", F(24 * 3600))

TABLE = """
| state | Auto | Observe | Recommend | paused | frozen | breaker Open | fleet breaker Open | deleted, Restore | deleted, Keep | stopped | stopped, restore | opted out |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
| at rest, with a wish | starts | holds | holds | holds | holds | holds | holds | restores | lets go | holds | restores | holds |
| trial, being written | goes on | ends here | ends here | goes on | goes back | goes on | goes back | restores | goes back | goes back | restores | goes back |
| trial, between stages | goes on | put off | put off | goes on | goes back | goes on | goes back | restores | goes back | goes back | restores | goes back |
| trial, restarting pods | goes on | put off | put off | goes on | goes back | goes on | goes back | restores | goes back | goes back | restores | goes back |
| trial, read back | goes on | put off | put off | goes on | goes on | goes on | goes back | restores | goes back | goes back | restores | goes back |
| trial, settling | goes on | put off | put off | goes on | goes on | goes on | goes back | restores | goes back | goes back | restores | goes back |
| trial, evidence complete | accepts | put off | put off | accepts | accepts | accepts | goes back | restores | goes back | goes back | restores | goes back |
| canary, beside the rest | goes on | put off | put off | goes on | goes back | goes on | goes back | restores | goes back | goes back | restores | goes back |
| rolling back | goes on | put off | put off | goes on | goes on | goes on | goes on | restores | goes back | goes on | restores | goes on |
| adopting | goes on | ends here | ends here | goes on | goes on | goes on | goes on | restores | lets go | ends here | restores | ends here |
| restoring | goes on | goes on | goes on | goes on | goes on | goes on | goes on | goes on | lets go | goes on | goes on | goes on |
"""


def cells(text: str) -> list[tuple[str, str, str]]:
    """(state, happening, what happens)."""
    head, _, *rows = [[c.strip() for c in line.strip("|").split("|")] for line in text.strip().splitlines()]
    return [(row[0], name, word) for row in rows for name, word in zip(head[1:], row[1:], strict=True)]


def trial(**changes: object) -> Intent:
    return replace(intent(stages=(TARGET,), parent=PARENT, started_at=T0), **changes)  # type: ignore[arg-type]


def in_course(item: Intent, written: bool = True, ack: bool = True) -> Snapshot:
    """The intent's stage written or not, acknowledged or not; what stood before it every pod has read."""
    memory = replace(under_way(item, adopted=ADOPTED), incumbent=PARENT)
    seen = snapshot(memory=memory, read_at=NOW)
    before = item.parent if item.stage == 0 else item.stages[item.stage - 1]
    if not written:
        stands = document(seen.spec, before, item.generation - 1)
        read = Acknowledgement(seen.spec.uid, stands.generation, stands.hash)
        return replace(seen, held=held(before), document=stands, workload=workload(pod(ack=read)))
    return replace(seen, workload=workload(acked(pod(), seen.spec, item) if ack else pod()))


def restoring() -> Snapshot:
    item = trial(kind=IntentKind.RESTORE, parent=PARENT, stages=(ADOPTED,), reason=Reason.RESTORE_PENDING)
    return replace(in_course(item, written=False), deleting=True)


def canary() -> Snapshot:
    """One of five pods runs the target, all others the parent, and every pod has said so."""
    profile, names = spec(budgets=()), "abcde"
    stages, cohort = cohorts.first(profile, PARENT, TARGET, cohorts.Standing(("a",), PARENT))
    item = trial(stages=stages, cohort=cohort, applied_at=at(390), in_force_at=at(395))
    here = document(profile, PARENT, item.generation, cohorts=cohorts.listed(profile, item))
    hashes = {name: values_hash(here.values_for(name)) for name in names}
    pods = [pod(n, ack=Acknowledgement(profile.uid, item.generation, hashes[n])) for n in names]
    memory = replace(under_way(item, adopted=ADOPTED), incumbent=PARENT)
    return snapshot(profile, memory, read_at=NOW, held=held(PARENT), document=here, workload=workload(*pods))


def restarting() -> Snapshot:
    """Of two pods one has restarted with the target, and the other still runs the parent."""
    item = trial(applied_at=at(390), old_containers=force.containers(workload(pod("b"))))
    seen = in_course(item)
    knobs = tuple(replace(k, effect=Effect.RESTART) if k.name == "workers" else k for k in seen.spec.space.knobs)
    profile = replace(seen.spec, space=SearchSpace(knobs), budgets=())
    return replace(seen, spec=profile, workload=workload(acked(pod("a"), profile, item), pod("b")))


IN_FORCE = trial(applied_at=at(4), in_force_at=at(5))
BACK = trial(kind=IntentKind.ROLLBACK, parent=TARGET, stages=(PARENT,), state=TrialState.REVERTED)
STATES: dict[str, Callable[[], Snapshot]] = {
    "at rest, with a wish": lambda: snapshot(memory=ledger(PARENT, adopted=ADOPTED)),
    "trial, being written": lambda: in_course(trial(stage_at=at(390)), written=False),
    "trial, between stages": lambda: in_course(trial(stages=(BETWEEN, TRADE), applied_at=at(390))),
    "trial, restarting pods": restarting,
    "trial, read back": lambda: in_course(trial(applied_at=at(390)), ack=False),
    "trial, settling": lambda: in_course(trial(applied_at=at(390), in_force_at=at(395))),
    "trial, evidence complete": lambda: replace(in_course(IN_FORCE), observation=FASTER[-1], baseline_windows=FASTER),
    "canary, beside the rest": canary,
    "rolling back": lambda: in_course(BACK, written=False),
    "adopting": lambda: in_course(trial(kind=IntentKind.ADOPT), written=False),
    "restoring": restoring,
}
HAPPENINGS: dict[str, Callable[[Snapshot], Snapshot]] = {
    "Auto": lambda seen: seen,
    "Observe": lambda seen: replace(seen, spec=replace(seen.spec, mode=Mode.OBSERVE)),
    "Recommend": lambda seen: replace(seen, spec=replace(seen.spec, mode=Mode.RECOMMEND)),
    "paused": lambda seen: replace(seen, ledger=replace(seen.ledger, paused_until=at(9000))),
    "frozen": lambda seen: replace(seen, spec=replace(seen.spec, freezes=(FREEZE,))),
    "breaker Open": lambda seen: replace(
        seen, ledger=replace(seen.ledger, breaker=Breaker(BreakerState.OPEN, 3, 1, at(9000)))
    ),
    "fleet breaker Open": lambda seen: replace(seen, brakes=Brakes(held=OPEN_FLEET, opened=True)),
    "deleted, Restore": lambda seen: replace(seen, deleting=True),
    "deleted, Keep": lambda seen: replace(
        seen, deleting=True, spec=replace(seen.spec, deletion_policy=DeletionPolicy.KEEP)
    ),
    "stopped": lambda seen: replace(seen, brakes=Brakes(Stop.STOP, "stop")),
    "stopped, restore": lambda seen: replace(seen, brakes=Brakes(Stop.RESTORE, "restore")),
    "opted out": lambda seen: replace(seen, brakes=Brakes(opted_out=True, opt_out_text="true")),
}
SAYS = {  # what the ledger says of a trial that this ended
    "Observe": Reason.MODE_RECOMMEND,
    "Recommend": Reason.MODE_RECOMMEND,
    "frozen": Reason.FROZEN,
    "fleet breaker Open": Reason.FLEET_BREAKER_OPEN,
    "stopped": Reason.STOPPED,
    "stopped, restore": Reason.STOPPED,
    "opted out": Reason.OPTED_OUT,
}
TRIALS = {name for name in STATES if name.startswith(("trial", "canary"))}
WORDS = {
    Action.START: "starts",
    Action.HOLD: "holds",
    Action.ACCEPT: "accepts",
    Action.CONTINUE: "goes on",
    Action.REVERT: "goes back",
}


def word(seen: Snapshot, found: Decision) -> str:
    back = found.ledger.intent is not None and found.ledger.intent.kind is IntentKind.ROLLBACK
    if back and found.reason in (Reason.MODE_OBSERVE, Reason.MODE_RECOMMEND):
        return "put off"
    if found.action is Action.CLOSE:
        return "lets go" if seen.deleting else "ends here"
    if found.action is Action.RESTORE:
        assert found.ledger.intent is not None
        return {ADOPTED: "restores", PARENT: "goes back"}[found.ledger.intent.target]
    return WORDS[found.action]


@pytest.mark.parametrize(
    ("state", "happens", "expected"),
    [pytest.param(*cell, id=f"{cell[0]}: {cell[1]}: {cell[2]}") for cell in cells(TABLE)],
)
def test_what_happens(state: str, happens: str, expected: str) -> None:
    seen = HAPPENINGS[happens](STATES[state]())
    at_rest = seen.ledger.intent is None
    when = T0 if at_rest else NOW
    found = decide(seen, wish(TARGET), when)
    assert word(seen, found) == expected
    if expected in ("holds", "ends here", "put off", "accepts", "lets go"):
        assert found.desired is None
    if expected in ("ends here", "lets go"):
        assert found.ledger.intent is None
    if expected in ("goes back", "put off"):
        assert found.ledger.intent is not None and found.ledger.intent.target == PARENT
        assert (found.desired is None) is (expected == "put off")
    if happens in SAYS and state in TRIALS and expected in ("goes back", "restores", "put off"):
        last = found.ledger.trials[-1]
        assert (last.state, last.reason) == (TrialState.INCONCLUSIVE, SAYS[happens])
    if seen.spec.mode is not Mode.AUTO and not seen.deleting:
        assert found.desired is None, "no write outside of Auto"
    assert found.ledger.breaker.failures == seen.ledger.breaker.failures, "none of this is harm"


def test_every_state_and_happening_has_its_cell() -> None:
    assert {(s, h) for s, h, _ in cells(TABLE)} == {(s, h) for s in STATES for h in HAPPENINGS}


def test_the_table_is_the_one_of_the_documentation() -> None:
    page = (Path(__file__).parents[3] / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| state \| Auto .*?(?=\n\n)", page, re.MULTILINE | re.DOTALL)
    assert [cells(text) for text in rows] == [cells(TABLE)]


@pytest.mark.parametrize(
    ("changes", "goes_back"),
    [
        pytest.param({}, True, id="what_the_tuner_began"),
        pytest.param({"requested": True}, False, id="what_a_person_asked_for_is_finished"),
    ],
)
def test_a_freeze_in_the_middle_of_writing(changes: dict[str, bool], goes_back: bool) -> None:
    item = trial(stage_at=at(390), **changes)
    seen = HAPPENINGS["frozen"](in_course(item, written=False))
    found = decide(seen, wish(TARGET), NOW)
    assert (found.action is Action.REVERT) is goes_back
    assert not goes_back or found.ledger.trials[-1].reason is Reason.FROZEN


UNREAD = [
    (state, does) for state, column, does in cells(TABLE) if column == "frozen" and state != "at rest, with a wish"
]


@pytest.mark.parametrize("requested", [False, True], ids=["of our own accord", "asked for"])
@pytest.mark.parametrize(("state", "expected"), UNREAD)
def test_what_class_and_profile_say_now_nobody_knows_so_nothing_new_begins(
    state: str, expected: str, requested: bool
) -> None:
    """As in a freeze, for one may have begun since; a limit may be narrower, so what a person asked for goes back too."""
    seen = STATES[state]()
    assert seen.ledger.intent is not None
    memory = replace(seen.ledger, intent=replace(seen.ledger.intent, requested=requested))
    found = decide(replace(seen, ledger=memory, refusal=Missing(Reason.CLASS_NOT_FOUND, "gone")), wish(TARGET), NOW)
    assert word(seen, found) == expected
    if expected == "goes back" and state in TRIALS:
        assert found.ledger.trials[-1].reason is Reason.CLASS_NOT_FOUND
        assert found.ledger.breaker == seen.ledger.breaker


def test_a_freeze_lets_a_restart_that_a_person_asked_for_be_finished() -> None:
    seen = HAPPENINGS["frozen"](restarting())
    assert seen.ledger.intent is not None
    asked = replace(seen, ledger=replace(seen.ledger, intent=replace(seen.ledger.intent, requested=True)))
    assert decide(asked, NO_WISH, NOW).action is Action.CONTINUE


def test_a_freeze_lets_pods_that_have_all_restarted_come_up_and_be_judged() -> None:
    seen = HAPPENINGS["frozen"](restarting())
    started = replace(pod("b", uid="uid-c"), ready=False)
    assert isinstance(seen.workload, Workload)
    seen = replace(seen, workload=replace(seen.workload, pods=(seen.workload.pods[0], started)))
    assert decide(seen, NO_WISH, NOW).action is Action.CONTINUE


@pytest.mark.parametrize("state", sorted(TRIALS))
def test_while_another_profile_probes_half_open_what_is_under_way_goes_on(state: str) -> None:
    """Only an Open breaker ends it; the probe itself is not held at all."""
    seen = STATES[state]()
    probing = replace(seen, brakes=Brakes(held=OPEN_FLEET))
    assert word(probing, decide(probing, NO_WISH, NOW)) == word(seen, decide(seen, NO_WISH, NOW))


def test_keep_goes_back_to_the_end_and_then_lets_go() -> None:
    """The twin: turning Auto away, or Keep after Restore, lets the profile go at once."""
    seen = HAPPENINGS["deleted, Keep"](STATES["trial, read back"]())
    begun = decide(seen, wish(TARGET), NOW)
    assert begun.ledger.intent is not None
    item = begun.ledger.intent
    written = in_course(item)
    written = replace(written, spec=seen.spec, deleting=True, ledger=begun.ledger)
    closed = decide(written, wish(TARGET), at(410))
    assert (closed.action, closed.reason, closed.ledger.incumbent) == (Action.CLOSE, Reason.RESTORED, PARENT)
    unwritten = replace(seen, ledger=begun.ledger)
    assert decide(unwritten, wish(TARGET), at(410)).desired == PARENT
    away = decide(replace(unwritten, spec=replace(seen.spec, mode=Mode.RECOMMEND)), wish(TARGET), at(410))
    assert (away.action, away.desired) == (Action.CLOSE, None)


def test_a_canary_that_is_left_behind_is_named_with_what_ends_it() -> None:
    found = decide(replace(canary(), claimed=frozenset({"workers", "pool"})), wish(TARGET), NOW)
    assert (found.action, found.desired) == (Action.CLOSE, None)
    assert "until the other profile writes its own document: a" in found.events[0].message


def test_a_canary_whose_mode_is_turned_goes_back_in_its_own_pods_once_it_is_auto_again() -> None:
    found = decide(HAPPENINGS["Recommend"](canary()), wish(TARGET), NOW)
    back = found.ledger.intent
    assert back is not None and back.cohort is not None and back.cohort.pods == ("a",)
    assert decide(replace(canary(), ledger=found.ledger), wish(TARGET), NOW).desired == PARENT
