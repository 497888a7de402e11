"""An accepted setting on probation: what takes it back, what does not, and where to.

The record to hold it against: workers=4 proved good by three windows, up to 10 events/s, at 0.1 s. Accepted since:
workers=6, at second 100. Windows of `build.window` are as good as the record.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pegbox.core.decide import decide
from pegbox.model.decisions import Action
from pegbox.model.knobs import Setting
from pegbox.model.observations import Attainment, Missing, Observation
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


BACK = [
    ("twice as slow as the record in two windows", probation(SLOW, SLOW), Reason.REGRESSION),
    ("an SLO missed in two windows", probation(MISSED, MISSED), Reason.SLO_BREACHED),
    ("a pod killed for memory since the trial", probation({}, workload=workload(pod(oom_killed_at=at(300)))), Reason.OOM_KILLED),
    ("a crash loop", probation({}, workload=workload(pod(waiting="CrashLoopBackOff", ready=False))), Reason.CRASH_LOOP),
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
