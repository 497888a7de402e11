"""Ahead of load: what a proposal is sized for, and the minimum of replicas that a coming load needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core import ahead
from pegbox.core.ahead import sized_for
from pegbox.core.decide import decide
from pegbox.core.propose import propose
from pegbox.core.verify import Outcome, bad_for, judge
from pegbox.model.brakes import Brakes, Stop
from pegbox.model.decisions import Action
from pegbox.model.knobs import Knob, Location, LocationKind, SearchSpace, Setting
from pegbox.model.observations import Attainment, Measured, Missing, Observation
from pegbox.model.prediction import Interval, LoadForecast, ModelReport, Prediction
from pegbox.model.profile import BudgetSpec, Freeze, Mode, ProfileSpec, Purpose, Signal, SignalKind
from pegbox.model.proposals import Proposal, ProposalKind
from pegbox.model.reasons import Reason
from pegbox.model.roles import Role
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import Breaker, BreakerState, Intent
from pegbox.runtime.predicting import request
from tests.unit.core.build import (
    HOT,
    NO_WISH,
    T0,
    at,
    held,
    intent,
    ledger,
    pod,
    setting,
    snapshot,
    spec,
    under_way,
    window,
    workload,
)  # fmt: skip

NONE = Missing(Reason.LEARNING, "42 more steps")
GAP = Missing(Reason.NO_DATA)


def coming(upper: float, now: float = 10.0) -> LoadForecast:
    return LoadForecast(now, upper, 180.0, 0.98)


@pytest.mark.parametrize(
    ("load", "forecast", "sized"),
    [
        pytest.param(10.0, coming(14.0), 14.0, id="the_peak_to_come"),
        pytest.param(10.0, coming(6.0), 10.0, id="never_less_than_the_present"),
        pytest.param(10.0, NONE, 10.0, id="without_a_forecast_the_present"),
        pytest.param(10.0, coming(math.nan), 10.0, id="nan_is_no_forecast"),
        pytest.param(10.0, coming(math.inf), 10.0, id="nor_is_infinity"),
        pytest.param(GAP, coming(14.0), GAP, id="what_nobody_measures_is_not_made_up"),
        pytest.param(0.0, coming(5.0), 5.0, id="an_idle_hour_before_work"),
    ],
)
def test_what_a_proposal_is_sized_for(load: Measured, forecast: LoadForecast | Missing, sized: Measured) -> None:
    assert sized_for(load, forecast) == sized
    assert request(snapshot(observation=window(offered_load=load), forecast=forecast)).load == sized


def test_the_model_is_held_to_what_it_said_of_the_present_load() -> None:
    """10/s arrive, 30/s may come, and 20/s are borne: 10/s will be seen. Told 20 it would seem wrong by a factor of 2."""
    some = Interval(20.0, 18.0, 22.0)
    wanted = setting(workers=6, pool=4)
    said = Prediction(wanted, 30.0, some, Interval(0.1, 0.1, 0.1), True)
    asked = Proposal(wanted, ProposalKind.ONE_KNOB, "why", said, wanted)
    intent = decide(snapshot(forecast=coming(30.0)), asked, T0).ledger.intent
    assert intent is not None and intent.predicted == 10.0


# --- the minimum of replicas

MIN = Knob("min_replicas", location=Location(LocationKind.HPA_MIN), minimum=F(1), maximum=F(20), max_step=F(1))
MAX = Knob("max_replicas", location=Location(LocationKind.HPA_MAX), minimum=F(1), maximum=F(30))
LATENCY = Signal("took", SignalKind.HISTOGRAM, Purpose.LATENCY, "d")
PARENT = setting(workers=4, min_replicas=4, max_replicas=12)


@dataclass
class Model:
    """A predictor: `each` replica bears so many events/s, as sure as `width`; mean latency is `late` at any load."""

    each: float = 2.5
    width: float = 1.0
    late: float = 0.1
    known: float = 1e15  # load up to which it vouches for anything

    @property
    def report(self) -> ModelReport:
        return ModelReport({}, 30, 0.05, 0.2)

    def predict(self, settings: Sequence[Setting], load: float, pods: float) -> list[Prediction]:
        return [self._one(s, load, max(pods, float(s.number("min_replicas")))) for s in settings]

    def _one(self, asked: Setting, load: float, pods: float) -> Prediction:
        bears = self.each * pods
        around = Interval(bears, bears / self.width, bears * self.width)
        return Prediction(asked, load, around, Interval(self.late, self.late, self.late), load <= self.known)


def profile(**changes: Any) -> ProfileSpec:
    roles = {"min_replicas": Role.REPLICAS, "max_replicas": Role.REPLICAS, "workers": Role.CONCURRENCY}
    plain = spec(HOT, MIN, MAX, roles=roles, budgets=(), signals=(LATENCY,))
    return replace(plain, **changes)


def rest(forecast: LoadForecast | Missing, parent: Setting = PARENT, **changes: Any) -> Snapshot:
    """Four replicas, as many as the minimum; 10/s are served, and the SLO is met."""
    pods = [pod(name) for name in "abcd"]
    plain = snapshot(profile(), ledger(parent), workload=workload(*pods), held=held(parent), observation=window(pods=4))
    return replace(plain, forecast=forecast, **changes)


def raised(seen: Snapshot, model: Model | Missing | None = None) -> int | None:
    """The proposed minimum, or None."""
    asked = request(seen)
    found = ahead.proposal(seen, asked, ahead.needed(seen, asked, model or Model()))
    return None if found is None else int(found.setting.number("min_replicas"))


@pytest.mark.parametrize(
    ("forecast", "minimum"),
    [
        pytest.param(coming(14.0), 6, id="14_of_2.5_each_are_six"),
        pytest.param(coming(15.0), 6, id="15_are_six_to_the_full"),
        pytest.param(coming(15.1), 7, id="a_little_more_is_one_more"),
        pytest.param(coming(10.0), 5, id="the_present_load_needs_its_spare"),  # 10 x 1.1 / 2.5 = 4.4
        pytest.param(coming(1.0), 5, id="a_forecast_of_less_never_goes_below_that"),
        pytest.param(coming(40.0), 8, id="no_further_than_one_step"),  # 16 wanted, 4 + 100 %
        pytest.param(NONE, None, id="without_a_forecast_nothing"),
        pytest.param(coming(math.nan), None, id="nan"),
        pytest.param(coming(math.inf), None, id="infinity"),
    ],
)
def test_the_minimum_ahead_of_load(forecast: LoadForecast | Missing, minimum: int | None) -> None:
    assert raised(rest(forecast)) == minimum


def test_a_forecast_beyond_all_sense_moves_nothing() -> None:
    """No model vouches for what is more than twice of what it saw; one that did would still make but one step."""
    assert raised(rest(coming(1e12)), Model(known=30.0)) is None
    assert raised(rest(coming(1e12))) == 8
    near = setting(workers=4, min_replicas=18, max_replicas=30)
    assert raised(rest(coming(1e12), near)) == 20, "the knob's maximum"


@pytest.mark.parametrize(
    ("model", "minimum"),
    [
        pytest.param(Missing(Reason.MODEL_INACCURATE), None, id="no_trust_no_step"),
        pytest.param(Missing(Reason.LEARNING), None, id="no_model_no_step"),
        pytest.param(Model(known=13.0), None, id="out_of_what_it_vouches_for"),
        pytest.param(Model(each=5.0), None, id="replicas_that_bear_it_all"),
        pytest.param(Model(each=5.0, width=4.0), 6, id="an_unsure_one_asks_in_proportion_to_load"),  # 4 x 14 / 10
        pytest.param(Model(late=0.6), 6, id="and_one_whose_latency_is_beyond_the_slo"),  # which is met at 10/s
        pytest.param(Model(each=math.nan), None, id="one_that_says_nan"),
        pytest.param(Model(each=0.0), None, id="or_zero"),
    ],
)
def test_what_a_replica_bears_is_the_models_word(model: Model | Missing, minimum: int | None) -> None:
    assert raised(rest(coming(14.0)), model) == minimum


def test_what_is_within_the_slo_counts_and_not_what_can_be_served_late() -> None:
    """2.5/s can be served by each, but beyond 2/s mean latency is over the SLO's threshold: 16 / 2 = 8, not 7."""

    class Slow(Model):
        def _one(self, asked: Setting, load: float, pods: float) -> Prediction:
            late = 0.1 if load <= 2.0 * pods else 0.9
            return replace(super()._one(asked, load, pods), latency=Interval(late, late, late))

    quiet = rest(coming(15.9), observation=window(pods=4, offered_load=5.0, throughput=5.0))
    assert (raised(quiet, Slow()), raised(quiet)) == (8, 7)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {"workload": workload(*[pod(n) for n in "abcd"], replicas=6)}, id="the_hpa_asked_for_them_already"
        ),
        pytest.param({"observation": Missing(Reason.NO_DATA)}, id="nobody_knows_the_load"),
        pytest.param({"observation": window(offered_load=Missing(Reason.PARTIAL_DATA))}, id="a_window_without_it"),
        pytest.param({"held": held(PARENT, min_replicas=Missing(Reason.OWNED_BY_KEDA))}, id="the_hpa_is_kedas"),
        pytest.param({"spec": replace(profile(), space=SearchSpace((HOT, MAX)))}, id="no_minimum_to_tune"),
        pytest.param(
            {"spec": replace(profile(), space=SearchSpace((HOT, replace(MIN, pinned=F(4)), MAX)))}, id="it_is_pinned"
        ),
    ],
)
def test_where_nothing_is_raised(changes: dict[str, Any]) -> None:
    assert raised(rest(coming(14.0))) == 6
    assert raised(rest(coming(14.0), **changes)) is None


@pytest.mark.parametrize(("limit", "minimum"), [(24, 6), (20, 5), (16, None)], ids=["room", "room_for_one", "none"])
def test_a_budget_that_is_too_small_cuts_it_or_forbids_it(limit: int, minimum: int | None) -> None:
    budget = BudgetSpec("licences", "min_replicas * workers", limit=F(limit))
    assert raised(rest(coming(14.0), spec=profile(budgets=(budget,)))) == minimum


def test_it_never_rises_above_the_maximum_of_the_hpa() -> None:
    assert raised(rest(coming(30.0), setting(workers=4, min_replicas=4, max_replicas=5))) == 5


def begun(seen: Snapshot, now: datetime = T0) -> Any:
    asked = request(seen)
    found = ahead.proposal(seen, asked, ahead.needed(seen, asked, Model()))
    return decide(seen, found or NO_WISH, now)


def test_it_begins_a_trial_that_says_why() -> None:
    found = begun(rest(coming(14.0)))
    assert (found.action, found.reason) == (Action.START, Reason.AHEAD_OF_LOAD)
    assert found.desired is not None and found.desired.number("min_replicas") == 6
    assert found.ledger.intent is not None
    assert found.ledger.intent.why == "10/s may be 14/s in 180 s, a replica bears 2.5/s: min_replicas 4 -> 6"


FROZEN = Freeze("lunch", "0 12 * * *", "UTC", F(3600), allow_urgent=True)  # T0 is 12:00


@pytest.mark.parametrize(
    ("profiled", "remembered", "changes"),
    [
        pytest.param({"mode": Mode.RECOMMEND}, {}, {}, id="recommend"),
        pytest.param({"freezes": (FROZEN,)}, {}, {}, id="a_freeze_though_it_lets_urgent_things_through"),
        pytest.param({}, {"cooldown_until": at(60)}, {}, id="the_cool_down"),
        pytest.param({}, {"paused_until": at(60)}, {}, id="a_pause"),
        pytest.param({}, {"breaker": Breaker(BreakerState.OPEN, until=at(60))}, {}, id="an_open_breaker"),
        pytest.param({}, {}, {"brakes": Brakes(opted_out=True)}, id="an_opt_out"),
        pytest.param({}, {}, {"brakes": Brakes(stop=Stop.STOP)}, id="a_stop_of_everything"),
    ],
)
def test_what_holds_any_trial_holds_it(
    profiled: dict[str, Any], remembered: dict[str, Any], changes: dict[str, Any]
) -> None:
    seen = rest(coming(14.0), spec=profile(**profiled), ledger=ledger(PARENT, **remembered), **changes)
    found = begun(seen)
    assert (found.action, found.desired, found.ledger.intent) == (Action.HOLD, None, None)
    if profiled.get("mode") is Mode.RECOMMEND:
        assert found.proposal is not None and found.proposal.number("min_replicas") == 6


def test_while_the_breaker_is_half_open_it_is_the_smallest_step() -> None:
    assert raised(rest(coming(14.0), ledger=ledger(PARENT, breaker=Breaker(BreakerState.HALF_OPEN)))) == 5


# --- its cut, and that the two do not fight


def cut(seen: Snapshot) -> int | None:
    asked = request(seen)
    needed = ahead.needed(seen, asked, Model())
    found = propose(replace(asked, least_replicas=ahead.kept(needed)), Model())
    return None if isinstance(found, Missing) else int(found.setting.number("min_replicas"))


@pytest.mark.parametrize(
    ("upper", "to"),
    [
        pytest.param(10.0, 9, id="12_with_the_margin_need_five"),
        pytest.param(18.75, 9, id="22.5_need_nine"),
        pytest.param(18.8, 10, id="a_tenth_one_so_ten_stay"),
        pytest.param(24.9, None, id="ten_are_needed"),
    ],
)
def test_the_minimum_is_cut_no_lower_than_a_fifth_more_than_the_forecast_needs(upper: float, to: int | None) -> None:
    """Ten replicas of 2.5/s each, 10/s now."""
    high = PARENT.with_values(min_replicas=F(10))
    pods = workload(*[pod(f"p{i}") for i in range(10)])
    assert cut(rest(coming(upper), high, workload=pods)) == to


def test_without_a_forecast_a_minimum_is_cut_as_before() -> None:
    high = PARENT.with_values(min_replicas=F(10))
    pods = workload(*[pod(f"p{i}") for i in range(10)])
    assert cut(rest(NONE, high, workload=pods)) == 9


# --- the verdict

STEP = intent(
    parent=PARENT,
    stages=(PARENT.with_values(min_replicas=F(6)),),
    reason=Reason.AHEAD_OF_LOAD,
    in_force_at=T0,
    applied_at=T0,
)
MISSED = {"fast": Attainment(1080, 1200)}  # 90 % of 95 %


def judged(count: int, now: datetime, item: Intent = STEP, **changes: Any) -> tuple[Outcome, Reason]:
    windows = tuple(window(180 + 120 * n, **changes) for n in range(count))
    found = judge(profile(), item, windows, now)
    return found.outcome, found.reason


def test_it_needs_no_gain_but_two_windows_without_harm() -> None:
    assert judged(1, at(200)) == (Outcome.WAIT, Reason.JUDGING)
    assert judged(2, at(310)) == (Outcome.ACCEPT, Reason.TRIAL_ACCEPTED)
    assert judged(2, at(310), replace(STEP, reason=Reason.TRIAL_STARTED))[0] is Outcome.WAIT, "the twin has to gain"
    assert judged(0, at(1801)) == (Outcome.INCONCLUSIVE, Reason.NO_DATA)


@pytest.mark.parametrize(
    ("load", "changes", "verdict"),
    [
        pytest.param(10.0, {"latency": 0.3}, (Outcome.REVERT, Reason.REGRESSION), id="slower_under_the_same_load"),
        pytest.param(10.0, {"slos": MISSED}, (Outcome.REVERT, Reason.SLO_BREACHED), id="an_slo_lost_under_it"),
        pytest.param(13.0, {"latency": 0.3}, (Outcome.ACCEPT, Reason.TRIAL_ACCEPTED), id="slower_since_more_came"),
        pytest.param(13.0, {"slos": MISSED}, (Outcome.ACCEPT, Reason.TRIAL_ACCEPTED), id="an_slo_lost_to_the_peak"),
        pytest.param(30.0, {}, (Outcome.ACCEPT, Reason.TRIAL_ACCEPTED), id="three_times_the_load_came"),
        pytest.param(5.0, {}, (Outcome.ACCEPT, Reason.TRIAL_ACCEPTED), id="the_load_went"),
        pytest.param(
            10.0, {"throughput": Missing(Reason.NO_DATA)}, (Outcome.WAIT, Reason.NO_DATA), id="silence_is_no_proof"
        ),
    ],
)
def test_what_the_load_does_is_not_held_against_it(
    load: float, changes: dict[str, Any], verdict: tuple[Outcome, Reason]
) -> None:
    assert judged(3, at(420), **{"offered_load": load, "throughput": load, **changes}) == verdict


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        pytest.param(window(latency=0.3), Reason.REGRESSION, id="slow_under_the_same_load"),
        pytest.param(window(latency=0.3, offered_load=13.0, throughput=13.0), None, id="slow_under_more"),
        pytest.param(window(errors=0.1, offered_load=13.0), Reason.ERROR_SURGE, id="errors_under_any"),
        pytest.param(window(latency=0.3, offered_load=Missing(Reason.NO_DATA)), Reason.REGRESSION, id="unknown_load"),
    ],
)
def test_a_bad_sample_of_it(seen: Observation, reason: Reason | None) -> None:
    assert bad_for(STEP, seen, profile()) is reason


def test_damage_stops_it_and_an_error_budget_that_the_peak_spends_does_not() -> None:
    memory = under_way(replace(STEP, in_force_at=None, applied_at=None))
    seen = replace(rest(coming(14.0)), ledger=memory)
    killed = workload(*[pod(n) for n in "abc"], pod("d", oom_killed_at=at(5)))
    assert decide(replace(seen, workload=killed), NO_WISH, at(10)).reason is Reason.OOM_KILLED
    spent = {"fast": Attainment(1140, 1200)}
    calm, peak = window(120, slos=spent), window(120, slos=spent, offered_load=13.0, throughput=13.0)
    assert decide(replace(seen, observation=calm), NO_WISH, at(120)).reason is Reason.ERROR_BUDGET_SPENT
    assert decide(replace(seen, observation=peak), NO_WISH, at(120)).reason is not Reason.ERROR_BUDGET_SPENT
