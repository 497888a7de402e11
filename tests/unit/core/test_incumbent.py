"""An accepted setting on probation: what takes it back, what does not, and where to.

The record to hold it against: workers=4 proved good by three windows, up to 10 events/s, at 0.1 s. Accepted since:
workers=6, at second 100. Windows of `build.window` are as good as the record.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pegbox.core import incumbent
from pegbox.core.decide import decide
from pegbox.core.error_share import ALL
from pegbox.model.decisions import Action
from pegbox.model.knobs import Setting
from pegbox.model.observations import Attainment, Missing, Observation
from pegbox.model.prediction import Row
from pegbox.model.profile import Mode
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import BreakerState, IntentKind, Ledger, Rung, TrialState, TrialSummary
from tests.unit.core.build import (
    NO_WISH,
    T0,
    at,
    document,
    held,
    ledger,
    pod,
    setting,
    snapshot,
    spec,
    window,
    workload,
)

OLD, NEW = setting(workers=4, pool=4), setting(workers=6, pool=4)
RECORD = Rung(OLD, 10.0, 3, 0.1, T0)
YOUNG = Rung(NEW, 10.0, 1, 0.1, at(100))
TAKEN = TrialSummary("t", NEW, OLD, TrialState.ACCEPTED, Reason.TRIAL_ACCEPTED, at(0), at(100))
SLOW = {"latency": 0.21}
CRASHES = pod(waiting="CrashLoopBackOff", ready=False)
UNFAIR = {"latency": 0.5, "offered_load": 12.0}
MISSED = {"slos": {"fast": Attainment(1000.0, 1200.0)}}  # 83 % of 95 %


def probation(*ends: dict[str, Any], **changes: Any) -> Snapshot:
    """The accepted setting in force, with one window per item, oldest first."""
    windows = tuple(window(400 + 120 * i, **end) for i, end in enumerate(ends))
    memory = changes.pop("memory", kept())
    profile = changes.pop("profile", spec())
    plain = snapshot(
        profile,
        memory,
        held=held(memory.incumbent),
        document=document(profile, memory.incumbent, memory.generation),
        observation=windows[-1],
        baseline_windows=windows,
    )
    return replace(plain, **changes)


def kept(incumbent: Setting = NEW, **changes: Any) -> Ledger:
    return replace(ledger(incumbent, ladder=(YOUNG, RECORD), trials=(TAKEN,)), **changes)


def decided(given: Snapshot) -> Any:
    seen = given.observation
    assert isinstance(seen, Observation)
    return decide(given, NO_WISH, seen.window.end)


def watched(given: Snapshot, late: float = 0) -> Ledger:
    """So many seconds after the newest window ended."""
    seen = given.observation
    assert isinstance(seen, Observation)
    return incumbent.watch(given, seen.window.end + timedelta(seconds=late))


BACK = [
    ("twice as slow as the record in two windows", probation(SLOW, SLOW), Reason.REGRESSION),
    ("an SLO missed in two windows", probation(MISSED, MISSED), Reason.SLO_BREACHED),
    ("a pod killed for memory since the trial", probation({}, workload=workload(pod(oom_killed_at=at(300)))), Reason.OOM_KILLED),
    ("a crash loop", probation({}, workload=workload(CRASHES)), Reason.CRASH_LOOP),
    ("a crash loop, and a deploy before its acceptance", probation({}, workload=workload(CRASHES), memory=kept(deployed_at=at(99))), Reason.CRASH_LOOP),
    ("a crash loop after a rollout of ours", probation({}, workload=workload(CRASHES, revision="r2", template="t1"), memory=kept(template="t1")), Reason.CRASH_LOOP),
]  # fmt: skip

STAYS = [
    ("one bad window", probation({}, SLOW)),
    ("a bad window and a good one", probation(SLOW, {})),
    ("no window but a bad one", probation(SLOW)),
    ("more load than the record was proven for", probation(UNFAIR, UNFAIR)),
    ("as good as before", probation({}, {})),
    ("no record to hold it against", probation(SLOW, SLOW, memory=kept(ladder=(YOUNG,)))),
    ("a record of too few windows", probation(SLOW, SLOW, memory=kept(ladder=(YOUNG, replace(RECORD, replicates=2))))),
    ("proven itself: that is a halt", probation(SLOW, SLOW, memory=kept(ladder=(replace(YOUNG, replicates=3), RECORD)))),
    ("somebody else set it", probation(SLOW, SLOW, memory=kept(trials=()))),
    ("somebody else changed it since", probation(SLOW, SLOW, memory=kept(setting(workers=7, pool=4)))),
    ("a deploy", probation(SLOW, SLOW, workload=workload(revision="r2"))),
    ("a deploy that crashes", probation({}, workload=workload(CRASHES, revision="r2"))),
    ("a deploy that its controller has not seen", probation({}, workload=workload(CRASHES, revision="", template="t2"), memory=kept(template="t1"))),
    ("a crash, and a deploy since its acceptance", probation({}, workload=workload(CRASHES), memory=kept(deployed_at=at(101)))),
    ("killed before the trial", probation({}, workload=workload(pod(oom_killed_at=at(-5))))),
    ("mode Recommend", probation(SLOW, SLOW, profile=spec(mode=Mode.RECOMMEND))),
]  # fmt: skip


@pytest.mark.parametrize(("given", "reason"), [r[1:] for r in BACK], ids=[r[0] for r in BACK])
def test_what_takes_an_accepted_setting_back(given: Snapshot, reason: Reason) -> None:
    decision = decided(given)
    intent = decision.ledger.intent
    assert (decision.action, decision.reason) == (Action.REVERT, reason)
    assert intent.kind is IntentKind.ROLLBACK
    assert (intent.target, decision.desired) == (OLD, OLD)
    assert decision.ledger.breaker.failures == 1
    assert [t.state for t in decision.ledger.trials] == [TrialState.REVERTED]
    assert decision.events[0].reason is Reason.ROLLING_BACK


@pytest.mark.parametrize("given", [r[1] for r in STAYS], ids=[r[0] for r in STAYS])
def test_what_does_not(given: Snapshot) -> None:
    decision = decided(given)
    assert decision.action is not Action.REVERT
    assert decision.ledger.intent is None
    assert decision.ledger.breaker.failures == 0


def test_without_a_record_damage_leads_to_the_parent_of_the_trial() -> None:
    given = probation({}, memory=kept(ladder=()), workload=workload(pod(oom_killed_at=at(300))))
    assert decided(given).ledger.intent.target == OLD


def test_what_is_not_ours_to_write_stays_and_alone_is_no_way_back() -> None:
    given = probation(SLOW, SLOW)
    theirs = Missing(Reason.OWNED_BY_OTHER, "field manager helm")
    decision = decided(replace(given, held=held(NEW, workers=theirs)))
    assert decision.ledger.intent is None


def test_three_in_a_row_open_the_breaker() -> None:
    given = probation(SLOW, SLOW)
    twice = replace(given.ledger, breaker=replace(given.ledger.breaker, failures=2))
    assert decided(replace(given, ledger=twice)).ledger.breaker.state is BreakerState.OPEN


# --- an incident: the last known good setting itself fails

HALTED = Reason.LAST_KNOWN_GOOD_FAILING
OWN = replace(YOUNG, replicates=3)
AT_20 = Row(NEW, 1.0, 20.0, 20.0, 0.3, 3)  # what rows know: 0.3 s under twice the load that one pod has now
AT_10 = Row(NEW, 2.0, 20.0, 20.0, 0.3, 3)  # and under as much per pod, with two pods
FAILS = [
    ("twice as slow as its record", {}, {}, True),
    ("not as slow as that", {}, {"latency": 0.2}, False),
    ("under more load than was proven", {}, {"offered_load": 12.0}, False),
    ("not proven itself yet", {"ladder": (YOUNG, RECORD)}, {}, False),
    ("slow before, but under more load per pod", {"rows": (AT_20,)}, {}, True),
    ("slow before, under as much load per pod", {"rows": (AT_10,)}, {}, False),
    ("slower still than under as much load before", {"rows": (AT_10,)}, {"latency": 0.61}, True),
    ("fewer pods: more load for each than ever", {"rows": (replace(AT_10, pods=4.0, latency=0.1),)}, {}, False),
    ("rows of another setting tell nothing", {"rows": (replace(AT_10, setting=OLD),)}, {}, True),
    ("its latency is not known", {}, {"latency": Missing(Reason.NO_DATA)}, False),
    ("its load is not known", {}, {"offered_load": Missing(Reason.NO_DATA)}, False),
]  # fmt: skip


# --- and where it is told by failed events: 0.1 % of 12000 before

FEW = replace(OWN, counted={ALL: Attainment(11988.0, 12000.0)})
SURGE = {"errors": 0.1}  # 120 of 1200
SURGES = [
    ("a tenth fails, as fast as ever", {}, {}, True),
    ("a tenth fails, and nobody knows how fast", {}, {"latency": Missing(Reason.NO_DATA)}, True),
    ("2 points more", {}, {"errors": 0.02}, False),
    ("one among ten", {}, {"errors": 0.1, "throughput": 1 / 12}, False),
    ("no record of failed events, as in an older ledger", {"ladder": (OWN,)}, {}, False),
    ("not proven itself yet", {"ladder": (replace(FEW, replicates=2),)}, {}, False),
    ("under more load than was proven", {}, {"offered_load": 12.0}, False),
    ("more load for each pod than ever", {"rows": (replace(AT_10, pods=4.0),)}, {}, False),
    ("nobody knows how many", {}, {"errors": Missing(Reason.NO_DATA)}, False),
]  # fmt: skip


@pytest.mark.parametrize(("memory", "seen", "fails"), [r[1:] for r in SURGES], ids=[r[0] for r in SURGES])
def test_a_surge_of_failed_events_is_an_incident_too(memory: dict[str, Any], seen: dict[str, Any], fails: bool) -> None:
    given, looked = kept(**({"ladder": (FEW,)} | memory)), window(**(SURGE | seen))
    assert incumbent.failing(spec(), given, looked) is fails
    found = incumbent.set_apart(spec(), given, looked)
    assert isinstance(found, Observation) and found.clean is not fails
    halted = watched(probation({}, memory=given, observation=looked)).halted
    assert halted is (HALTED if fails else None)


def test_such_a_halt_ends_with_a_look_that_knows_the_errors_and_not_before() -> None:
    given = kept(ladder=(FEW,), halted=HALTED, halted_at=at(0))
    for silent in ({"errors": Missing(Reason.NO_DATA)}, {"latency": Missing(Reason.NO_DATA)}):
        assert watched(probation({}, memory=given, observation=window(400, **silent))) == given
    assert watched(probation({}, memory=given, observation=window(400))).halted is None


def test_a_surge_that_lasts_for_more_than_a_day_is_how_the_workload_is_now() -> None:
    given = kept(ladder=(FEW,), halted=HALTED, halted_at=at(0))
    for hours, halted in ((23, HALTED), (25, None)):
        found = watched(probation({}, memory=given, observation=window(3600 * hours, **SURGE)))
        assert found.halted is halted and bool(found.ladder) is (halted is HALTED)


@pytest.mark.parametrize(("memory", "seen", "fails"), [r[1:] for r in FAILS], ids=[r[0] for r in FAILS])
def test_what_makes_an_incident(memory: dict[str, Any], seen: dict[str, Any], fails: bool) -> None:
    given, looked = kept(**({"ladder": (OWN, RECORD)} | memory)), window(**(SLOW | seen))
    assert incumbent.failing(spec(), given, looked) is fails
    found = incumbent.set_apart(spec(), given, looked)
    assert isinstance(found, Observation)
    assert (found.clean, found.unclean_reason) == ((False, HALTED) if fails else (True, None))


def test_the_first_look_at_which_all_is_well_still_reaches_back_into_it() -> None:
    given = kept(ladder=(OWN,))
    first = incumbent.set_apart(spec(), given, window(120), window(**SLOW))
    assert isinstance(first, Observation) and not first.clean
    second = incumbent.set_apart(spec(), given, window(240), first)
    assert isinstance(second, Observation) and second.clean


def test_what_is_not_known_is_no_window_of_an_incident() -> None:
    gone = Missing(Reason.STALE_DATA)
    assert incumbent.set_apart(spec(), kept(ladder=(OWN,)), gone, window(**SLOW)) is gone


def test_a_halt_ends_with_a_clean_window_and_not_before() -> None:
    given = kept(ladder=(OWN,), halted=HALTED, halted_at=at(0))
    well = window(600, clean=False, unclean_reason=HALTED)
    assert watched(probation({}, memory=given, observation=well)) == given
    ended = watched(probation({}, memory=given))
    assert (ended.halted, ended.halted_at) == (None, None)


@pytest.mark.parametrize(("hours", "halts"), [(23, True), (25, False)])
def test_what_fails_for_a_day_is_no_incident_but_another_workload(hours: int, halts: bool) -> None:
    row = replace(AT_20, count=8)
    given = kept(ladder=(OWN, RECORD), rows=(row,), halted=HALTED, halted_at=at(0))
    found = watched(probation({}, memory=given, observation=window(3600 * hours, **SLOW)))
    if halts:
        assert found == given
    else:
        assert (found.halted, found.halted_at, found.ladder) == (None, None, ())
        assert [r.count for r in found.rows] == [4], "as after a deploy"


def test_since_when_it_halts_is_kept_from_the_first_window_on() -> None:
    first = watched(probation(SLOW, memory=kept(ladder=(OWN,))))
    assert (first.halted, first.halted_at) == (HALTED, at(400))
    later = watched(probation(SLOW, memory=first, observation=window(900, **SLOW)))
    assert later.halted_at == at(400)
    older = replace(first, halted_at=None)  # a ledger of the release before
    assert watched(probation(SLOW, memory=older, observation=window(900, **SLOW))).halted_at == at(900)


def test_an_old_answer_neither_begins_nor_ends_a_halt() -> None:
    """Two intervals are 60 s: what ended before is of then, not of now."""
    well = kept(ladder=(OWN,))
    assert watched(probation(SLOW, memory=well), late=61) == well
    assert watched(probation(SLOW, memory=well), late=60).halted is HALTED, "the twin"
    halted = kept(ladder=(OWN,), halted=HALTED, halted_at=at(0))
    assert watched(probation({}, memory=halted), late=61) == halted
    assert watched(probation({}, memory=halted), late=60).halted is None, "the twin"


GONE = Missing(Reason.METRICS_UNREACHABLE, "down")
OLD_NEWS = [
    ("ten hours ago, and nothing since", GONE, 36000),
    ("a minute ago, and nothing since", GONE, 60),
    ("the newest look is as old", window(520, **SLOW), 61),
    ("ten hours ago, and not clean now", window(36520, clean=False, **SLOW), 36000),
]


@pytest.mark.parametrize(("newest", "late"), [r[1:] for r in OLD_NEWS], ids=[r[0] for r in OLD_NEWS])
def test_nothing_is_taken_back_for_what_windows_showed_before(newest: Observation | Missing, late: float) -> None:
    given = replace(probation(SLOW, SLOW), observation=newest)
    assert decide(given, NO_WISH, at(520 + late)).ledger.intent is None


def test_what_pods_show_needs_no_window() -> None:
    """The twin: a crash loop is read from the API server."""
    given = probation(SLOW, SLOW, observation=GONE, workload=workload(CRASHES))
    assert decide(given, NO_WISH, at(36000)).reason is Reason.CRASH_LOOP
    assert decide(probation(SLOW, SLOW), NO_WISH, at(580)).action is Action.REVERT, "and that of now counts"
