"""No data: every guard that reads figures, under every policy, for every way in which they can be lacking.

The table of docs/architecture.md, cell by cell. Missing figures never count as zero, never speak for a trial, never
count for the breaker, and move a workload only to the rollback target.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core import canary, incumbent
from pegbox.core.cut_short import note_sample
from pegbox.core.decide import decide
from pegbox.core.error_budget import overspent
from pegbox.core.guards import data, waiting
from pegbox.core.slo import headroom
from pegbox.core.verify import Outcome, damage, judge
from pegbox.model.decisions import Action
from pegbox.model.observations import Attainment, Missing, Observation, Split
from pegbox.model.profile import Freeze, Guards, Objective, OnNoData, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import Cohort, Rung, TrialState, TrialSummary
from pegbox.runtime.memory import learn
from tests.unit.core import test_mode_table
from tests.unit.core.build import (
    FAST,
    NO_WISH,
    T0,
    at,
    baseline,
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

GUARDS = Guards(settle=F(60), trial_window=F(120), trial_timeout=F(1800))
TRIAL = intent(in_force_at=T0, applied_at=T0)
KINDS = {
    "no_series": Missing(Reason.NO_DATA, "no series"),
    "stale": Missing(Reason.STALE_DATA, "old samples"),
    "not_a_number": Missing(Reason.NOT_A_NUMBER, "the server sent NaN or +Inf"),
    "partial": Missing(Reason.PARTIAL_DATA, "1 of 2 pods"),
    "no_events": Missing(Reason.TOO_FEW_EVENTS, "no events"),
    "unreachable": Missing(Reason.METRICS_UNREACHABLE, "down"),
}
NOBODY = KINDS["no_series"]
HOLD, REVERT, IGNORE = OnNoData.HOLD, OnNoData.REVERT, OnNoData.IGNORE
POLICIES = [pytest.param(p, id=p.value) for p in OnNoData]
WAYS = [pytest.param(m, id=name) for name, m in KINDS.items()]
every = pytest.mark.parametrize("policy", POLICIES)
lacking = pytest.mark.parametrize("why", WAYS)


def profile(policy: OnNoData, **changes: Any) -> ProfileSpec:
    return spec(guards=GUARDS, slos=(replace(FAST, on_no_data=policy),), **changes)


def without(why: Missing, whole: bool, end: float = 0) -> Observation | Missing:
    """Everything is lacking, or the one SLO alone."""
    return why if whole else window(end, slos={"fast": why})


CLEAN = (window(180), window(300))
SILENT = tuple(replace(w, slos={}) for w in CLEAN)


# --- a trial


@pytest.mark.parametrize("whole", [True, False], ids=["everything", "the_slo_alone"])
@lacking
@pytest.mark.parametrize(
    ("policy", "seconds", "outcome"),
    [
        # in force at 0, settled at 60; the last window with data ended at 300, one window is 120 s
        pytest.param(HOLD, 310, Outcome.WAIT, id="hold_waits"),
        pytest.param(HOLD, 1800, Outcome.WAIT, id="hold_waits_until_the_timeout"),
        pytest.param(HOLD, 1801, Outcome.INCONCLUSIVE, id="hold_ends_without_a_verdict"),
        pytest.param(REVERT, 420, Outcome.WAIT, id="revert_bears_one_window"),
        pytest.param(REVERT, 421, Outcome.REVERT, id="revert_goes_back_after_it"),
        pytest.param(REVERT, 1801, Outcome.REVERT, id="revert_is_not_overtaken_by_the_timeout"),
    ],
)
def test_a_trial_in_force(policy: OnNoData, seconds: int, outcome: Outcome, why: Missing, whole: bool) -> None:
    found = judge(profile(policy), TRIAL, CLEAN, at(seconds), without(why, whole, seconds))
    assert (found.outcome, found.reason, found.harmful) == (outcome, why.reason, False)


@lacking
def test_ignore_judges_by_what_there_is(why: Missing) -> None:
    ignoring = profile(IGNORE)
    cut = replace(TRIAL, stages=(setting(workers=3, pool=4),), baseline=baseline(slo_shares={}))
    newest = without(why, False, 310)
    assert judge(ignoring, cut, SILENT, at(310), newest).outcome is Outcome.ACCEPT
    assert judge(profile(HOLD), cut, SILENT, at(310), newest).outcome is Outcome.WAIT, "the twin"
    slower = tuple(replace(w, latency=0.2) for w in SILENT)
    assert judge(ignoring, cut, slower, at(310), newest).outcome is Outcome.REVERT
    assert judge(ignoring, cut, (), at(1801), why).outcome is Outcome.INCONCLUSIVE, "with nothing at all, it ends"


@lacking
def test_under_hold_data_that_comes_back_finds_the_trial_still_there(why: Missing) -> None:
    """Six windows in which load alone was known, as without the join, and trialTimeout is far: as long as they lacked data it
    waited, and with the first look that had some it went back for want of them (found by tests/chaos, `put_back_unseen`)."""
    lacked = tuple(window(end, throughput=why, latency=why, slos={"fast": why}) for end in range(180, 901, 120))
    before = judge(profile(HOLD), TRIAL, lacked, at(901), lacked[-1])
    assert before.outcome is Outcome.WAIT
    assert judge(profile(HOLD), TRIAL, lacked, at(960), window(960)).outcome is Outcome.WAIT


FASTER = tuple(replace(w, latency=0.05, slos={}) for w in CLEAN)
WITHOUT_SLOS = [
    pytest.param(spec(guards=GUARDS, slos=()), id="no_slo"),
    pytest.param(profile(IGNORE), id="an_ignored_slo"),
]


@pytest.mark.parametrize("given", WITHOUT_SLOS)
@lacking
def test_without_an_slo_nothing_is_accepted_while_nothing_is_seen(given: ProfileSpec, why: Missing) -> None:
    """Twice as fast in two windows, the last of which ended at 300: two intervals are 60 s."""
    item = replace(TRIAL, baseline=baseline(slo_shares={}))
    assert judge(given, item, FASTER, at(360)).outcome is Outcome.ACCEPT, "the twin: it is young enough"
    old = judge(given, item, FASTER, at(361))
    assert (old.outcome, old.reason) == (Outcome.WAIT, Reason.STALE_DATA)
    silent = judge(given, item, FASTER, at(310), why)
    assert (silent.outcome, silent.reason) == (Outcome.WAIT, why.reason)
    assert judge(given, item, FASTER, at(1500), window(1500, clean=False)).outcome is Outcome.ACCEPT, "seen again"
    late = judge(given, item, FASTER, at(1801), why)
    assert (late.outcome, late.reason, late.harmful) == (Outcome.INCONCLUSIVE, why.reason, False)
    slower = tuple(replace(w, latency=0.2) for w in FASTER)
    assert judge(given, item, slower, at(310), why).outcome is Outcome.REVERT, "what is known speaks against it"


@pytest.mark.parametrize("figure", ["offered_load", "throughput", "latency"])
def test_what_is_not_a_number_now_accepts_nothing_either(figure: str) -> None:
    item, given = replace(TRIAL, baseline=baseline(slo_shares={})), spec(guards=GUARDS, slos=())
    newest = replace(window(310), **{figure: KINDS["not_a_number"]})
    assert judge(given, item, FASTER, at(310), newest).outcome is Outcome.WAIT


@pytest.mark.parametrize("reason", [Reason.LIMITS_NARROWED, Reason.AHEAD_OF_LOAD])
def test_a_trial_that_needs_no_gain_ends_undecided_where_the_newest_answer_is_old(reason: Reason) -> None:
    """One window without harm, at trialTimeout: the newest look has to know that it still does none."""
    item = replace(TRIAL, reason=reason, baseline=baseline(slo_shares={}))
    given, one = spec(guards=GUARDS, slos=()), (window(180, slos={}),)
    assert judge(given, item, one, at(1801), window(1740, slos={})).outcome is Outcome.INCONCLUSIVE
    assert judge(given, item, one, at(1801), window(1741, slos={})).outcome is Outcome.ACCEPT, "the twin"


def test_an_ignored_slo_that_was_missed_and_fell_silent_is_not_met_now() -> None:
    missed = replace(TRIAL, baseline=baseline(slo_shares={"fast": 0.9}))
    newest = window(310, slos={"fast": KINDS["no_series"]})
    found = judge(profile(IGNORE, objective=Objective.MAXIMIZE_THROUGHPUT), missed, SILENT, at(310), newest)
    assert found.outcome is Outcome.WAIT
    seen = judge(profile(IGNORE), missed, CLEAN, at(310), window(310))
    assert (seen.outcome, seen.detail) == (Outcome.ACCEPT, "SLOs are met now"), "the twin, with data"


@every
@lacking
def test_known_harm_is_acted_on_whatever_is_lacking(policy: OnNoData, why: Missing) -> None:
    slower = tuple(replace(w, latency=0.2) for w in CLEAN)
    found = judge(profile(policy), TRIAL, slower, at(310), without(why, False, 310))
    assert (found.outcome, found.reason, found.harmful) == (Outcome.REVERT, Reason.REGRESSION, True)


@every
@lacking
@pytest.mark.parametrize("whole", [True, False], ids=["everything", "the_slo_alone"])
def test_silence_is_neither_a_bad_sample_nor_a_good_one(policy: OnNoData, why: Missing, whole: bool) -> None:
    """Everything lacking: the count stays. The SLO alone lacking: latency and errors still say what they say."""
    once = replace(TRIAL, bad_samples=1, first_bad_at=at(100), last_sample_at=at(100))
    found = note_sample(snapshot(profile(policy), under_way(once), observation=without(why, whole, 130)))
    assert found.ledger.intent is not None
    assert found.ledger.intent.bad_samples == (1 if whole else 0)


@every
@lacking
def test_silence_spends_no_error_budget(policy: OnNoData, why: Missing) -> None:
    item = replace(TRIAL, spent={"fast": 900.0})
    for whole in (True, False):
        seen = without(why, whole, 130)
        assert overspent(profile(policy), item, seen) is None
        noted = note_sample(snapshot(profile(policy), under_way(item), observation=seen)).ledger.intent
        assert noted is not None and noted.spent == {"fast": 900.0}


@every
@lacking
def test_damage_needs_no_metrics(policy: OnNoData, why: Missing) -> None:
    hurt = workload(pod(oom_killed_at=at(5)))
    found = decide(snapshot(profile(policy), under_way(TRIAL), observation=why, workload=hurt), NO_WISH, at(10))
    assert (found.action, found.reason, found.desired) == (Action.REVERT, Reason.OOM_KILLED, TRIAL.parent)
    assert damage(T0, workload()) is None


@every
@lacking
def test_nothing_but_the_rollback_target_is_ever_written_for_want_of_data(policy: OnNoData, why: Missing) -> None:
    seen = snapshot(profile(policy), under_way(TRIAL), observation=why, baseline_windows=())
    found = {decide(seen, NO_WISH, at(s)).desired for s in (1, 60, 181, 400, 1801, 10**6)}
    assert found <= {None, TRIAL.parent}
    assert decide(seen, NO_WISH, at(10**6)).ledger.breaker.failures == 0


# A trial that is not in force: at 400 s its stage was written at 390, so that the looks are at 391, 509, ... All of
# its states, as the table of modes builds them; the figures of a stage that pods still take up are not there yet.

UNFINISHED = ["trial, being written", "trial, between stages", "trial, restarting pods"]
unfinished = pytest.mark.parametrize("state", UNFINISHED)
EARLY = {"throughput": KINDS["no_series"], "latency": KINDS["no_series"], "slos": {"fast": KINDS["no_series"]}}


def halfway(state: str, policy: OnNoData, seen: Observation | Missing, **changes: Any) -> Snapshot:
    """Written at 390, or never found as written; every pod has 10 minutes to take it."""
    course = test_mode_table.STATES[state]()
    item = course.ledger.intent
    assert item is not None
    guards = replace(GUARDS, ack_timeout=F(3600))
    item = replace(item, **{"stage_at": at(390)} | changes)
    wanted = replace(course.spec, guards=guards, slos=(replace(FAST, on_no_data=policy),))
    return replace(course, spec=wanted, ledger=replace(course.ledger, intent=item), observation=seen)


@every
@unfinished
@lacking
def test_a_trial_that_would_write_or_restart_holds_while_nothing_is_known(
    state: str, why: Missing, policy: OnNoData
) -> None:
    stale = window(339)  # it ended 61 s before 400: two intervals are 60
    for seen in (why, stale):
        found = decide(halfway(state, policy, seen), NO_WISH, at(400))
        assert (found.action, found.desired) == (Action.CONTINUE, None)
        assert found.ledger.intent is not None and found.ledger.intent.stage == 0
        assert found.reason is (why.reason if seen is why else Reason.STALE_DATA)
    for seen in (window(340), window(400, **EARLY)):
        goes_on = decide(halfway(state, policy, seen), NO_WISH, at(400))
        assert goes_on.desired is not None, "the twin: seen, though nothing of what pods still take up"


@every
@unfinished
@pytest.mark.parametrize("figure", ["offered_load", "throughput", "latency"])
def test_a_figure_that_the_server_does_not_give_is_missing_half_way_too(
    state: str, policy: OnNoData, figure: str
) -> None:
    changes: dict[str, Any] = {figure: KINDS["not_a_number"]}
    assert decide(halfway(state, policy, window(400, **changes)), NO_WISH, at(400)).desired is None


@unfinished
@lacking
@pytest.mark.parametrize(
    ("policy", "last", "seconds", "ends"),
    [
        # the stage began at 390, a window has 120 s, trialTimeout 1800
        pytest.param(HOLD, None, 2190, None, id="hold_waits"),
        pytest.param(HOLD, None, 2191, TrialState.INCONCLUSIVE, id="until_the_timeout"),
        pytest.param(IGNORE, None, 2190, None, id="ignore_waits"),
        pytest.param(IGNORE, None, 2191, TrialState.INCONCLUSIVE, id="and_ignores_no_timeout"),
        pytest.param(REVERT, None, 510, None, id="revert_bears_one_window"),
        pytest.param(REVERT, None, 511, TrialState.REVERTED, id="revert_goes_back_after_it"),
        pytest.param(REVERT, 900, 1020, None, id="since_the_last_figures"),
        pytest.param(REVERT, 900, 1021, TrialState.REVERTED, id="and_after_a_window_of_them"),
    ],
)
def test_what_ends_the_hold(
    state: str, policy: OnNoData, last: int | None, seconds: int, ends: TrialState | None, why: Missing
) -> None:
    known = None if last is None else at(last)
    found = decide(halfway(state, policy, why, last_sample_at=known), NO_WISH, at(seconds))
    if ends is None:
        assert (found.action, found.desired) == (Action.CONTINUE, None)
        return
    said = found.ledger.trials[-1]
    assert (found.action, said.state, said.reason) == (Action.REVERT, ends, why.reason)
    assert found.ledger.breaker.failures == 0
    assert found.desired is not None and found.ledger.intent is not None
    assert found.ledger.intent.target == test_mode_table.PARENT


@every
@lacking
def test_ways_back_go_on_and_what_a_person_asked_for_waits(policy: OnNoData, why: Missing) -> None:
    for state in ("rolling back", "adopting"):
        assert decide(halfway(state, policy, why), NO_WISH, at(400)).desired is not None, state
    for state in UNFINISHED:
        assert decide(halfway(state, policy, why, requested=True), NO_WISH, at(400)).desired is None, state


@every
@lacking
def test_a_canary_widens_on_nothing_that_was_known_before(policy: OnNoData, why: Missing) -> None:
    pairs = tuple(Split(window(end, pods=1), window(end, pods=4)) for end in (180, 300))
    item = replace(TRIAL, stages=(setting(workers=6, pool=4),) * 2)
    ignoring = profile(IGNORE)

    def told(newest: Split, seconds: int) -> Outcome:
        return canary.judge(ignoring, item, pairs, at(seconds), newest).outcome

    assert told(Split(why, why), 310) is Outcome.WAIT
    assert told(Split(window(310), why), 310) is Outcome.WAIT, "one side alone"
    assert told(pairs[-1], 361) is Outcome.WAIT, "it ended 61 s before"
    assert told(Split(why, why), 1801) is Outcome.INCONCLUSIVE, "trialTimeout"
    assert told(pairs[-1], 310) is Outcome.ACCEPT, "the twin"


def test_while_a_canary_is_made_the_last_figures_are_those_of_all_pods() -> None:
    making = intent(cohort=Cohort((), TRIAL.parent, (TRIAL.target,), 1))
    seen = snapshot(profile(REVERT), under_way(making), observation=window(200), split=Split(NOBODY, window(200)))
    noted = note_sample(seen).ledger.intent
    assert noted is not None and noted.last_sample_at == at(200)
    blind = note_sample(replace(seen, observation=NOBODY, split=None)).ledger.intent
    assert blind is not None and blind.last_sample_at is None, "the twin"


# --- two SLOs with policies of their own


@pytest.mark.parametrize("order", [1, -1], ids=["as_listed", "turned_round"])
@pytest.mark.parametrize("whole", [True, False], ids=["everything", "the_slos_alone"])
@lacking
@pytest.mark.parametrize(
    ("policies", "seconds", "outcome"),
    [
        # as above: the last window with data ended at 300, Revert is due from 420 on
        pytest.param((HOLD, REVERT), 420, Outcome.WAIT, id="neither_is_due"),
        pytest.param((HOLD, REVERT), 421, Outcome.REVERT, id="what_is_due_outranks_waiting"),
        pytest.param((HOLD, REVERT), 1801, Outcome.REVERT, id="and_the_timeout"),
        pytest.param((IGNORE, REVERT), 421, Outcome.REVERT, id="ignoring_one_ignores_no_other"),
        pytest.param((HOLD, IGNORE), 421, Outcome.WAIT, id="hold_waits_beside_what_is_ignored"),
        pytest.param((HOLD, IGNORE), 1801, Outcome.INCONCLUSIVE, id="until_the_timeout"),
        pytest.param((HOLD, HOLD), 1801, Outcome.INCONCLUSIVE, id="two_that_hold"),
    ],
)
def test_the_order_of_slos_never_matters(
    policies: tuple[OnNoData, OnNoData], seconds: int, outcome: Outcome, why: Missing, whole: bool, order: int
) -> None:
    names = ("fast", "sound")
    slos = tuple(replace(FAST, name=n, on_no_data=p) for n, p in zip(names, policies, strict=True))[::order]
    windows = tuple(replace(w, slos=dict.fromkeys(names, w.slos["fast"])) for w in CLEAN)
    newest = why if whole else window(seconds, slos=dict.fromkeys(names, why))
    item = replace(TRIAL, baseline=baseline(slo_shares=dict.fromkeys(names, 0.99)))
    found = judge(spec(guards=GUARDS, slos=slos), item, windows, at(seconds), newest)
    assert (found.outcome, found.reason, found.harmful) == (outcome, why.reason, False)


@pytest.mark.parametrize("order", [1, -1], ids=["as_listed", "turned_round"])
def test_what_is_said_does_not_depend_on_the_order_either(order: int) -> None:
    slos = (replace(FAST, name="a"), replace(FAST, name="b"))[::order]
    silent = {"a": KINDS["stale"], "b": KINDS["no_events"]}
    found = judge(spec(guards=GUARDS, slos=slos), TRIAL, CLEAN, at(310), window(310, slos=silent))
    assert (found.reason, found.detail) == (Reason.STALE_DATA, "SLO a: onNoData Hold")


# --- a figure that is known and zero


@every
@pytest.mark.parametrize("whole", [True, False], ids=["nothing_completes", "half_completes"])
def test_zero_throughput_is_data_and_harm(policy: OnNoData, whole: bool) -> None:
    """Nothing completes: no latency and no SLO has data, and yet what arrives is not served."""
    none = KINDS["no_events"]
    changes: dict[str, Any] = {"throughput": 0.0, "latency": none, "errors": none, "slos": {"fast": none}}
    changes = changes if whole else {"throughput": 5.0}
    once = replace(TRIAL, bad_samples=1, first_bad_at=at(100), last_sample_at=at(100))
    seen = snapshot(profile(policy), under_way(once), observation=window(130, **changes), workload=workload())
    found = decide(seen, NO_WISH, at(130))
    assert (found.action, found.reason, found.ledger.breaker.failures) == (Action.REVERT, Reason.REGRESSION, 1)
    unknown = replace(seen, observation=window(130, **changes | {"throughput": none, "latency": none}))
    waits = decide(unknown, NO_WISH, at(130))
    assert (waits.action, waits.ledger.breaker.failures) == (Action.CONTINUE, 0), "the twin: it is not known"
    idle = decide(replace(seen, observation=window(130, **changes | {"offered_load": 0.0})), NO_WISH, at(130))
    assert (idle.action, idle.ledger.breaker.failures) == (Action.CONTINUE, 0), "the twin: nothing arrives"


# --- at rest


@pytest.mark.parametrize(
    ("policy", "starts"), [(HOLD, False), (REVERT, False), (IGNORE, True)], ids=["Hold", "Revert", "Ignore"]
)
@lacking
def test_a_trial_starts_without_an_slos_data_only_where_it_is_ignored(
    policy: OnNoData, starts: bool, why: Missing
) -> None:
    seen = snapshot(profile(policy), observation=without(why, False), slos={"fast": why})
    found = decide(seen, wish(setting(workers=6, pool=4)), T0)
    assert (found.action is Action.START) is starts
    assert starts or found.reason is why.reason


@every
@lacking
@pytest.mark.parametrize("figure", ["offered_load", "throughput", "latency"])
def test_no_trial_starts_without_load_throughput_or_latency(policy: OnNoData, why: Missing, figure: str) -> None:
    changes: dict[str, Any] = {figure: why}
    seen = snapshot(profile(policy), observation=window(**changes))
    assert data.freshness(seen, T0).reason is why.reason


@every
@lacking
def test_silence_is_not_urgent(policy: OnNoData, why: Missing) -> None:
    freeze = Freeze("lunch", "0 12 * * *", "UTC", F(3600), allow_urgent=True)  # T0 is 12:00
    seen = snapshot(profile(policy, freezes=(freeze,)), slos={"fast": why})
    assert waiting.frozen(seen, T0).reason is Reason.FROZEN
    missed = replace(seen, slos={"fast": Attainment(900, 1200)})
    assert waiting.frozen(missed, T0).reason is Reason.WITHIN_LIMITS, "the twin"


@pytest.mark.parametrize(("policy", "met"), [(HOLD, None), (REVERT, None), (IGNORE, True)])
@lacking
def test_silence_is_neither_met_nor_missed_but_where_it_is_ignored(
    policy: OnNoData, met: bool | None, why: Missing
) -> None:
    found = headroom(snapshot(profile(policy), slos={"fast": why}))
    assert found == (why if met is None else met)


@pytest.mark.parametrize(("policy", "rungs"), [(HOLD, 0), (REVERT, 0), (IGNORE, 1)])
@lacking
def test_silence_proves_no_last_known_good_but_where_it_is_ignored(policy: OnNoData, rungs: int, why: Missing) -> None:
    found = learn(profile(policy), ledger(), window(slos={"fast": why}), setting(workers=4, pool=4))
    assert len(found.ladder) == rungs


HERE, BEFORE = setting(workers=6, pool=4), setting(workers=4, pool=4)
RUNG = Rung(BEFORE, 10.0, 3, 0.1, T0)
ACCEPTED = TrialSummary("i-1", HERE, BEFORE, TrialState.ACCEPTED, Reason.TRIAL_ACCEPTED, at(-900), at(-600))


@every
@lacking
@pytest.mark.parametrize("whole", [True, False], ids=["everything", "the_slo_alone"])
def test_silence_takes_nothing_accepted_back(policy: OnNoData, why: Missing, whole: bool) -> None:
    memory = ledger(HERE, ladder=(RUNG,), trials=(ACCEPTED,))
    windows = () if whole else (window(-120, slos={"fast": why}), window(slos={"fast": why}))
    seen = snapshot(profile(policy), memory, observation=without(why, whole), baseline_windows=windows)
    assert incumbent.degraded(seen, workload(), T0) is None
    bad = tuple(window(end, slos={"fast": Attainment(900, 1200)}) for end in (-120, 0))
    known = replace(seen, observation=bad[-1], baseline_windows=bad)
    assert incumbent.degraded(known, workload(), T0) is not None, "the twin"


@every
@lacking
@pytest.mark.parametrize("halted", [None, Reason.LAST_KNOWN_GOOD_FAILING], ids=["running", "halted"])
def test_silence_neither_halts_nor_ends_a_halt(policy: OnNoData, why: Missing, halted: Reason | None) -> None:
    seen = snapshot(profile(policy), ledger(ladder=(RUNG,), halted=halted), observation=why)
    assert incumbent.watch(seen, T0).halted is halted
