"""Rows -> Observation. One profile with two pods; figures worked by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from pegbox.core.assess import Evidence, Question, _combine, assess, attained, needed, questions
from pegbox.model.knobs import SearchSpace
from pegbox.model.observations import Attainment, Missing, Observation
from pegbox.model.profile import (
    Mode,
    Objective,
    ProfileSpec,
    Purpose,
    Signal,
    SignalKind,
    Slo,
    Target,
)
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Acknowledgement, PodFacts, Workload
from pegbox.ports import SignalRow, SignalRows

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
WINDOW = 20
KEY = "shop/checkout"
E = "rate(a{$matchers}[$window])"
LOAD = Signal("arrived", SignalKind.RATE, Purpose.LOAD, E)
DONE = Signal("done", SignalKind.RATE, Purpose.THROUGHPUT, E)
TOOK = Signal("took", SignalKind.HISTOGRAM, Purpose.LATENCY, E, E, E)
OK = Signal("ok", SignalKind.RATIO, Purpose.ERRORS, E, count_expr=E)
BUSY = Signal("busy:pool", SignalKind.GAUGE, Purpose.BUSY, E, knob="pool")
FAST = Slo("fast", "took", Fraction(95, 100), Fraction(1, 2), window=Fraction(300))
GOOD = Slo("good", "ok", Fraction(99, 100), window=Fraction(20))
SPEC = ProfileSpec(
    namespace="shop",
    name="checkout",
    uid="u",
    generation=1,
    target=Target("Deployment", "checkout"),
    class_name="worker",
    class_generation=1,
    mode=Mode.AUTO,
    objective=Objective.MINIMIZE_COST,
    interval=Fraction(30),
    space=SearchSpace(()),
    roles={},
    signals=(LOAD, DONE, TOOK, OK, BUSY),
    slos=(FAST, GOOD),
)
OLD = AT - timedelta(hours=1)


def pod(name: str, **facts: object) -> PodFacts:
    plain = PodFacts(name, name, True, "r1", OLD, container_started_at=OLD, ack=Acknowledgement("u", 7, "h7"))
    return replace(plain, **facts)  # type: ignore[arg-type]


def workload(*pods: PodFacts, **facts: object) -> Workload:
    plain = Workload("Deployment", "w", len(pods), "r1", rolling=False, stuck=False, surge=1, pods=pods)
    return replace(plain, **facts)  # type: ignore[arg-type]


TWO = workload(pod("a"), pod("b"))
QUESTION = Question(SPEC, AT, WINDOW, "7", "h7", TWO, in_force_at=AT - timedelta(minutes=5))


@dataclass(frozen=True)
class Table:
    """Rows of one answer, built by part."""

    pods: int = 2
    cohort: str = ""
    setting: str = "7"
    parts: dict[str, float] = field(default_factory=dict)
    buckets: dict[float, float] = field(default_factory=dict)

    def rows(self) -> list[SignalRow]:
        of = (KEY, self.cohort, self.setting)
        rows = [SignalRow(*of, part, value, pods=self.pods) for part, value in self.parts.items()]
        return rows + [SignalRow(*of, "bucket", value, le, self.pods) for le, value in self.buckets.items()]


def answer(*tables: Table, at: datetime = AT) -> SignalRows:
    return SignalRows(tuple(row for table in tables for row in table.rows()), at)


# 10 events/s that take 0.25 s each: 5/s within 0.1 s, 9/s within 0.5 s.
HISTOGRAM = Table(parts={"sum": 2.5, "count": 10.0}, buckets={0.1: 5.0, 0.5: 9.0, math.inf: 10.0})
ALL: dict[tuple[str, int], SignalRows | Missing] = {
    ("arrived", WINDOW): answer(Table(setting="", parts={"value": 12.0})),
    ("done", WINDOW): answer(Table(parts={"value": 10.0})),
    ("took", WINDOW): answer(HISTOGRAM),
    ("took", 300): answer(HISTOGRAM),
    ("ok", WINDOW): answer(Table(parts={"good": 9.9, "all": 10.0})),
    ("busy:pool", WINDOW): answer(Table(parts={"value": 0.75})),
}


def observed(evidence: Evidence, question: Question = QUESTION) -> Observation:
    found = assess(question, evidence)
    assert isinstance(found, Observation), found
    return found


def changed(name: str, found: SignalRows | Missing, window: int = WINDOW) -> Evidence:
    return {**ALL, (name, window): found}


def test_all_facts_of_a_window() -> None:
    found = observed(ALL)
    assert found.offered_load == 12.0
    assert found.throughput == 10.0
    assert found.latency == pytest.approx(0.25)  # 2.5 s of duration per second, 10 events per second
    assert found.errors == pytest.approx(0.01)
    assert found.pods == 2
    assert found.signals["busy:pool"] == 0.75
    assert found.quantiles["p50"] == pytest.approx(0.1)  # rank 5 of 10: the end of the first bucket
    assert isinstance(found.quantiles["p95"], Missing)  # rank 9.5 lies beyond 0.5 s
    assert found.slos["fast"] == Attainment(good=9.0 * 300, total=10.0 * 300)
    assert found.slos["good"] == Attainment(good=9.9 * WINDOW, total=10.0 * WINDOW)
    assert (found.window.start, found.window.end) == (AT - timedelta(seconds=WINDOW), AT)
    assert (found.clean, found.unclean_reason, found.setting_hash) == (True, None, "h7")


def test_each_signal_and_window_is_asked_for_once() -> None:
    asked = [(signal.name, window) for signal, window in needed(SPEC, WINDOW)]
    assert asked == [
        *((s, WINDOW) for s in ("arrived", "done", "took", "ok", "busy:pool")),
        ("took", 300),  # ok over 20 s is asked for already
    ]
    assert set(asked) == set(ALL)


def test_a_trial_reads_its_slos_over_its_own_window() -> None:
    assert len(needed(SPEC, WINDOW, slo_window=WINDOW)) == 5
    found = observed(ALL, replace(QUESTION, slo_window=WINDOW))
    assert found.slos["fast"] == Attainment(good=180.0, total=200.0)


def test_an_slo_is_attained_over_its_own_window_whatever_the_trial_reads() -> None:
    found = attained(replace(QUESTION, slo_window=WINDOW), ALL)
    assert found["fast"] == Attainment(good=9.0 * 300, total=10.0 * 300)
    assert found["good"] == Attainment(good=9.9 * WINDOW, total=10.0 * WINDOW)


def test_an_slo_whose_own_window_was_not_asked_is_missing_and_not_taken_from_another_window() -> None:
    found = attained(replace(QUESTION, slo_window=WINDOW), {k: v for k, v in ALL.items() if k != ("took", 300)})
    assert isinstance(found["fast"], Missing)
    assert isinstance(found["good"], Attainment)


def test_the_own_window_is_one_question_more_where_it_differs() -> None:
    newest, own = questions(SPEC, WINDOW)
    assert {(s.name, w) for s, w in own} == {("took", 300)}  # ok over 20 s is asked for already
    assert {w for _, w in newest} == {WINDOW}
    assert {(s.name, w) for s, w in questions(SPEC, 300)[1]} == {("ok", WINDOW)}


def test_rows_of_other_settings_and_profiles_do_not_count() -> None:
    other = SignalRow("shop/other", "", "7", "value", 500.0, pods=9)
    before = SignalRow(KEY, "", "6", "value", 700.0, pods=2)
    mixed = SignalRows((*answer(Table(parts={"value": 10.0})).rows, other, before), AT)
    assert observed(changed("done", mixed)).throughput == 10.0


def test_cohorts_are_added_up_and_levels_weighted_by_their_pods() -> None:
    canary = Table(pods=1, cohort="canary", parts={"value": 4.0})
    found = observed(changed("done", answer(Table(pods=1, parts={"value": 10.0}), canary)))
    assert found.throughput == 14.0
    levels = answer(Table(pods=3, parts={"value": 0.2}), Table(pods=1, cohort="canary", parts={"value": 1.0}))
    # (3 x 0.2 + 1 x 1.0) / 4
    assert observed(changed("busy:pool", levels)).signals["busy:pool"] == pytest.approx(0.4)


def test_one_cohort_is_read_alone_where_asked_for() -> None:
    both = answer(Table(pods=1, parts={"value": 10.0}), Table(pods=2, cohort="canary", parts={"value": 4.0}))
    found = observed(changed("done", both), replace(QUESTION, cohort="canary"))
    assert (found.throughput, found.offered_load) == (4.0, 12.0)


NO = Missing(Reason.METRICS_UNREACHABLE, "timeout")


@pytest.mark.parametrize("name", ["arrived", "done", "took", "ok", "busy:pool"])
def test_what_is_missing_is_missing_alone_and_never_zero(name: str) -> None:
    found = observed(changed(name, NO))
    values = {
        "arrived": found.offered_load,
        "done": found.throughput,
        "took": found.latency,
        "ok": found.errors,
        "busy:pool": found.signals["busy:pool"],
    }
    for signal, value in values.items():
        assert isinstance(value, Missing) == (signal == name), signal
    missing = values[name]
    assert isinstance(missing, Missing)
    assert (missing.reason, missing.detail) == (Reason.METRICS_UNREACHABLE, f"{name}: timeout")


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        pytest.param(answer(), Reason.NO_DATA, id="no_rows"),
        pytest.param(answer(Table(setting="6", parts={"value": 1.0})), Reason.NO_DATA, id="only_another_setting"),
        pytest.param(answer(Table(pods=1, parts={"value": 5.0})), Reason.PARTIAL_DATA, id="one_of_two_pods"),
        pytest.param(SignalRows((), AT, {(KEY, "", "7"): Missing(Reason.STALE_DATA)}), Reason.STALE_DATA, id="refused"),
        pytest.param(
            SignalRows(
                answer(Table(parts={"value": 5.0})).rows, AT, {(KEY, "canary", "7"): Missing(Reason.NOT_A_NUMBER)}
            ),
            Reason.NOT_A_NUMBER,
            id="one_cohort_refused_leaves_no_sum",
        ),
    ],
)
def test_rows_that_say_too_little_are_missing(found: SignalRows, reason: Reason) -> None:
    throughput = observed(changed("done", found)).throughput
    assert isinstance(throughput, Missing)
    assert throughput.reason is reason


def test_a_refused_row_of_another_profile_is_none_of_ours() -> None:
    rows = answer(Table(parts={"value": 5.0})).rows
    refused = {("shop/other", "", "7"): Missing(Reason.NOT_A_NUMBER), (KEY, "", "6"): Missing(Reason.STALE_DATA)}
    assert observed(changed("done", SignalRows(rows, AT, refused))).throughput == 5.0


@pytest.mark.parametrize(
    "young",
    [
        pytest.param(pod("c", container_started_at=AT - timedelta(seconds=5)), id="started_in_the_window"),
        pytest.param(pod("c", ready=False), id="not_ready"),
        pytest.param(pod("c", terminating=True), id="terminating"),
        pytest.param(pod("c", finished=True), id="finished"),
        pytest.param(pod("c", ack=Acknowledgement("u", 6, "h6")), id="runs_another_setting"),
    ],
)
def test_pods_that_cannot_have_a_whole_window_are_not_waited_for(young: PodFacts) -> None:
    question = replace(QUESTION, workload=workload(pod("a"), pod("b"), young))
    assert observed(changed("arrived", NO), question).throughput == 10.0


def test_where_no_pod_acknowledges_every_pod_is_waited_for() -> None:
    silent = workload(pod("a", ack=None), pod("b", ack=None), pod("c", ack=None))
    found = assess(replace(QUESTION, workload=silent), ALL)
    assert isinstance(found, Missing)
    assert found.reason is Reason.PARTIAL_DATA


def test_no_events_are_no_mean_and_no_attainment() -> None:
    idle = answer(Table(parts={"sum": 0.0, "count": 0.0}, buckets={0.5: 0.0, math.inf: 0.0}))
    found = observed({**changed("took", idle), ("took", 300): idle})
    for value in (found.latency, found.slos["fast"], found.quantiles["p50"]):
        assert isinstance(value, Missing)
        assert value.reason is Reason.TOO_FEW_EVENTS


def test_a_negative_sum_is_no_latency() -> None:
    wrong = answer(Table(parts={"sum": -1.0, "count": 1.0}, buckets={math.inf: 1.0}))
    latency = observed(changed("took", wrong)).latency
    assert isinstance(latency, Missing)
    assert latency.reason is Reason.NOT_A_NUMBER


def test_more_good_events_than_events_are_rounding_and_no_negative_errors() -> None:
    found = observed(changed("ok", answer(Table(parts={"good": 10.001, "all": 10.0}))))
    assert found.errors == 0.0
    assert found.slos["good"] == Attainment(200.0, 200.0)


def test_a_threshold_below_all_buckets_says_which_bucket_to_add() -> None:
    spec = replace(SPEC, slos=(replace(FAST, threshold=Fraction(1, 100)),))
    found = observed(ALL, replace(QUESTION, spec=spec)).slos["fast"]
    assert isinstance(found, Missing)
    assert found.detail == (
        "SLO fast: no bucket bound at or below 0.01; the smallest is 0.1: add 0.01 to the histogram's buckets"
    )


def test_a_class_without_throughput_counts_its_durations() -> None:
    spec = replace(SPEC, signals=(LOAD, TOOK), slos=())
    assert observed(ALL, replace(QUESTION, spec=spec)).throughput == 10.0


def test_a_reused_answer_dates_the_window() -> None:
    earlier = AT - timedelta(seconds=7)
    found = observed(changed("done", answer(Table(parts={"value": 10.0}), at=earlier)))
    assert found.window.end == earlier


def test_nothing_read_is_no_observation_and_names_the_cause() -> None:
    nothing: Evidence = dict.fromkeys(ALL, NO)
    found = assess(QUESTION, nothing)
    assert isinstance(found, Missing)
    assert found.reason is Reason.METRICS_UNREACHABLE


def test_a_question_that_was_not_asked_is_no_data() -> None:
    found = assess(QUESTION, {})
    assert isinstance(found, Missing)
    assert "was not asked for" in found.detail


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        pytest.param(replace(QUESTION, in_force_at=None), None, id="in_force_for_ever"),
        pytest.param(replace(QUESTION, in_force_at=AT - timedelta(seconds=20)), None, id="just_in_force_throughout"),
        pytest.param(
            replace(QUESTION, in_force_at=AT - timedelta(seconds=19)), Reason.SETTLING, id="reaches_back_before"
        ),
        pytest.param(
            replace(QUESTION, workload=workload(pod("a"), pod("b"), rolling=True)),
            Reason.ROLLOUT_IN_PROGRESS,
            id="rollout",
        ),
        pytest.param(
            replace(QUESTION, workload=workload(pod("a"), pod("b"), stuck=True)),
            Reason.ROLLOUT_IN_PROGRESS,
            id="stuck_rollout",
        ),
        pytest.param(
            replace(QUESTION, workload=workload(pod("a"), pod("b"), pod("c", waiting="CrashLoopBackOff", ready=False))),
            Reason.CRASH_LOOP,
            id="crash_loop",
        ),
        pytest.param(
            replace(QUESTION, workload=workload(pod("a"), pod("b", oom_killed_at=AT - timedelta(seconds=3)))),
            Reason.OOM_KILLED,
            id="killed_for_memory_in_the_window",
        ),
        pytest.param(
            replace(QUESTION, workload=workload(pod("a"), pod("b", oom_killed_at=AT - timedelta(seconds=30)))),
            None,
            id="killed_for_memory_before_the_window",
        ),
        pytest.param(
            replace(QUESTION, workload=workload(pod("a"), pod("b"), pod("c", started_at=AT, container_started_at=AT))),
            Reason.SCALED,
            id="scaled_up",
        ),
        pytest.param(
            replace(QUESTION, workload=workload(pod("a"), pod("b"), pod("c", terminating=True))),
            Reason.SCALED,
            id="scaled_down",
        ),
        pytest.param(
            replace(QUESTION, workload=workload(pod("a"), pod("b"), pod("c", ready=False))),
            Reason.WORKLOAD_NOT_READY,
            id="a_pod_is_not_ready",
        ),
        pytest.param(
            replace(QUESTION, workload=workload(pod("a"), pod("b", container_started_at=AT))),
            Reason.WORKLOAD_NOT_READY,
            id="a_container_restarted",
        ),
        pytest.param(replace(QUESTION, workload=workload()), Reason.WORKLOAD_SCALED_TO_ZERO, id="no_pods"),
        pytest.param(
            replace(QUESTION, workload=Missing(Reason.TARGET_NOT_FOUND)), Reason.TARGET_NOT_FOUND, id="no_target"
        ),
    ],
)
def test_a_disturbed_window_is_not_learned_from(question: Question, reason: Reason | None) -> None:
    found = observed(ALL, question)
    assert found.unclean_reason is reason
    assert found.clean is (reason is None)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_never_becomes_an_observation(value: float) -> None:
    """The port promises finite values; one that came through would make the ledger unwritable, and lose a rollback."""
    rows = SignalRows((SignalRow(KEY, "", "7", "value", value, pods=2),), AT)
    found = _combine(DONE, rows.rows, 2)
    assert isinstance(found, Missing) and found.reason is Reason.NOT_A_NUMBER


LATE = AT - timedelta(seconds=WINDOW - 1)  # within the window


@pytest.mark.parametrize(
    ("question", "whole"),
    [
        pytest.param(QUESTION, True, id="both_pods_throughout"),
        pytest.param(replace(QUESTION, pods_since=AT - timedelta(seconds=WINDOW)), True, id="the_same_since_it_began"),
        pytest.param(replace(QUESTION, pods_since=LATE), False, id="one_went_and_took_its_samples_with_it"),
        pytest.param(
            replace(QUESTION, workload=workload(pod("a"), pod("b"), pod("c", ack=None))),
            False,
            id="one_did_not_read_yet",
        ),
        pytest.param(
            replace(QUESTION, workload=workload(pod("a"), pod("b"), pod("c", ack=None, ready=False))),
            True,
            id="one_serves_nobody",
        ),
        pytest.param(
            replace(QUESTION, workload=workload(pod("a"), pod("b", terminating=True))), False, id="one_is_going"
        ),
        pytest.param(replace(QUESTION, workload=workload(pod("a"), pod("b", started_at=LATE))), False, id="one_is_new"),
        pytest.param(
            replace(QUESTION, workload=workload(pod("a"), pod("b", container_started_at=LATE))),
            False,
            id="one_restarted",
        ),
        pytest.param(replace(QUESTION, workload=Missing(Reason.TARGET_NOT_FOUND)), False, id="nobody_knows"),
        pytest.param(replace(QUESTION, workload=workload()), False, id="there_are_none"),
    ],
)
def test_throughput_is_of_all_pods_or_is_not_held_against_what_arrives(question: Question, whole: bool) -> None:
    assert observed(ALL, question).whole is whole


def test_pods_that_came_or_went_are_told_before_the_settling_that_follows() -> None:
    found = observed(ALL, replace(QUESTION, pods_since=LATE, in_force_at=AT))
    assert found.unclean_reason is Reason.SCALED
    assert observed(ALL, replace(QUESTION, in_force_at=AT)).unclean_reason is Reason.SETTLING, "the twin"
