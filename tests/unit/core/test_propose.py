"""Which setting is tried next, and why; and when nothing is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from pegbox.core.propose import propose
from pegbox.model.knobs import Knob, KnobMode, KnobType, SearchSpace, Setting
from pegbox.model.observations import Measured, Missing, Observation, Window
from pegbox.model.prediction import Interval, ModelReport, Prediction
from pegbox.model.proposals import Proposal, ProposalKind, ProposeRequest
from pegbox.model.reasons import Reason
from pegbox.model.roles import Role, busy_signal, demand_coefficient

END = datetime(2026, 1, 1, tzinfo=UTC)
ROLES = {"workers": Role.CONCURRENCY, "http": Role.POOL, "db": Role.POOL, "pods": Role.REPLICAS, "batch": Role.BATCH}
LEARNING = Missing(Reason.LEARNING, "1 of 3 observations")
DEMANDS = {"workers": 0.30, "http": 0.20, "db": 0.08}
IDLE = {"workers": 0.30, "http": 0.20, "db": 0.70}  # busy shares


def knob(name: str, **changes: object) -> Knob:
    return replace(Knob(name, minimum=Fraction(1), maximum=Fraction(64)), **changes)  # type: ignore[arg-type]


LIMITS = (knob("workers"), knob("http"), knob("db"))


def at(**values: int | bool | str) -> Setting:
    return Setting({n: v if isinstance(v, bool | str) else Fraction(v) for n, v in values.items()})


def seen(
    offered: Measured = 60.0, throughput: Measured = 60.0, busy: Mapping[str, Measured] | None = None
) -> Observation:
    return Observation(
        window=Window(END - timedelta(seconds=20), END),
        setting_hash="",
        offered_load=offered,
        throughput=throughput,
        latency=0.4,
        errors=0.0,
        pods=1,
        signals={busy_signal(name): share for name, share in (busy or {}).items()},
    )


def asked(incumbent: Setting | None = None, *knobs: Knob, **changes: object) -> ProposeRequest:
    """A request with everything at rest: 60 events/s offered and served, SLOs met, nothing forbidden."""
    request = ProposeRequest(
        space=SearchSpace(knobs or LIMITS),
        roles=ROLES,
        incumbent=incumbent or at(workers=8, http=8, db=8),
        observation=seen(),
        objective="MinimizeCost",
        slo_headroom=True,
        load=60.0,
        pods=1.0,
        recent_failures=(),
        seed=1,
        admissible=lambda _: True,
    )
    return replace(request, **changes)  # type: ignore[arg-type]


@dataclass
class Known:
    """A predictor that knows the service: the least of its limits, within 5 %."""

    capacity: Callable[[Setting], float] = lambda s: min(float(s.number(n)) / d for n, d in DEMANDS.items())
    latency: Callable[[Setting], float] | None = None
    width: float = 1.05
    in_domain: Callable[[Setting], bool] = lambda _: True
    coefficients: Mapping[str, float] = field(default_factory=dict)

    @property
    def report(self) -> ModelReport:
        return ModelReport(self.coefficients, 30, 0.05, 0.2)

    def predict(self, settings: Sequence[Setting], load: float, pods: float) -> list[Prediction]:
        return [self._one(s, load) for s in settings]

    def _one(self, setting: Setting, load: float) -> Prediction:
        capacity = self.capacity(setting)
        if self.latency is not None:
            late = self.latency(setting)
        else:
            late = 0.3 + (100 / capacity if load >= capacity else min(5.0, load / capacity / (capacity - load)))
        return Prediction(setting, load, self._around(capacity), self._around(late), self.in_domain(setting))

    def _around(self, mean: float) -> Interval:
        return Interval(mean, mean / self.width, mean * self.width)


def accepted(found: Proposal | Missing) -> Proposal:
    assert isinstance(found, Proposal), found
    return found


def refused(found: Proposal | Missing) -> Missing:
    assert isinstance(found, Missing), found
    return found


class TestWithoutAModel:
    def test_unserved_load_raises_all_limits_together(self) -> None:
        request = asked(at(workers=2, http=2, db=2), observation=seen(throughput=6.7), slo_headroom=False)
        found = accepted(propose(request, LEARNING))
        # maxStep 50 %: 2 + max(1, ceil(0.5 * 2)) = 3
        assert found.setting == at(workers=3, http=3, db=3)
        assert found.kind is ProposalKind.JOINT
        assert found.expected is LEARNING
        assert "11% of the offered load is served" in found.why

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            pytest.param({"slo_headroom": False}, None, id="a_missed_slo_raises"),
            pytest.param({"observation": seen(busy={"http": 0.85})}, None, id="a_limit_busy_for_85_percent_raises"),
            pytest.param(
                {"observation": seen(throughput=58.3)}, Reason.NOTHING_BETTER, id="noise_of_3_percent_is_noise"
            ),
            pytest.param({"observation": seen(throughput=57.0)}, None, id="95_percent_served_raises"),
            pytest.param({}, Reason.NOTHING_BETTER, id="at_rest_nothing_is_tried"),
            pytest.param(
                {"slo_headroom": Missing(Reason.TOO_FEW_EVENTS)},
                Reason.NOTHING_BETTER,
                id="unknown_slo_alone_is_no_evidence",
            ),
        ],
    )
    def test_only_evidence_acts(self, changes: dict[str, object], reason: Reason | None) -> None:
        found = propose(asked(**changes), LEARNING)
        assert (None if isinstance(found, Proposal) else found.reason) is reason

    def test_the_wish_is_an_estimate_of_physics_and_says_that_nothing_verified_it(self) -> None:
        """Two workers are busy all the time with 6.7/s: 0.2985 s each. 60/s at 65 % need 60 x 0.2985 / 0.65 = 27.6."""
        request = asked(at(workers=2, http=2, db=2), observation=seen(throughput=6.7, busy={"workers": 1.0}))
        found = accepted(propose(request, LEARNING))
        assert found.setting == at(workers=3, http=3, db=3)
        assert found.uncapped == at(workers=28, http=3, db=3)
        assert "Unverified: the utilisation law asks for workers=28" in found.why

    def test_without_a_known_use_there_is_no_estimate(self) -> None:
        request = asked(at(workers=2, http=2, db=2), observation=seen(throughput=6.7, busy={}))
        found = accepted(propose(request, LEARNING))
        assert found.uncapped == at(workers=3, http=3, db=3)
        assert "Unverified" not in found.why

    def test_a_limit_that_is_half_idle_is_left_alone(self) -> None:
        request = asked(
            at(workers=2, http=2, db=2),
            observation=seen(throughput=6.7, busy={"workers": 1.0, "http": 0.67, "db": 0.27}),
        )
        assert accepted(propose(request, LEARNING)).setting == at(workers=3, http=3, db=2)

    def test_a_limit_whose_budget_is_used_up_stays_and_the_others_rise(self) -> None:
        request = asked(
            at(workers=8, http=8, db=8),
            observation=seen(throughput=26.7),
            admissible=lambda s: s.number("http") <= 8,
        )
        found = accepted(propose(request, LEARNING))
        assert found.setting == at(workers=12, http=8, db=12)
        assert found.uncapped == at(workers=12, http=12, db=12)  # the wish is shown as it was

    def test_a_product_budget_is_shared_out_between_both_its_knobs(self) -> None:
        """workers x db <= 110: 12 x 12 = 144 is too much, three quarters of the step (11 x 11 = 121) too,
        half of it (10 x 10 = 100) fits; then what still fits of each: db 11 (110)."""
        request = asked(
            at(workers=8, http=8, db=8),
            observation=seen(throughput=26.7),
            admissible=lambda s: s.number("workers") * s.number("db") <= 110,
        )
        found = accepted(propose(request, LEARNING)).setting
        assert found.number("workers") * found.number("db") == 110
        assert min(found.number("workers"), found.number("db")) == 10

    def test_where_no_limit_can_rise_pods_are_added(self) -> None:
        request = asked(
            at(workers=64, http=64, db=64, pods=2), *LIMITS, knob("pods"), observation=seen(throughput=30.0)
        )
        found = accepted(propose(request, LEARNING))
        assert found.setting == at(workers=64, http=64, db=64, pods=3)
        assert found.kind is ProposalKind.ONE_KNOB

    def test_nothing_can_rise(self) -> None:
        request = asked(observation=seen(throughput=26.7), admissible=lambda _: False)
        found = refused(propose(request, LEARNING))
        assert found.reason is Reason.NOTHING_BETTER
        assert "budgets leave no raise" in found.detail

    def test_a_raise_that_failed_lately_is_tried_smaller(self) -> None:
        request = asked(observation=seen(throughput=26.7), recent_failures=(at(workers=12, http=12, db=12),))
        assert accepted(propose(request, LEARNING)).setting == at(workers=10, http=10, db=10)

    def test_where_the_smallest_raise_failed_nothing_is_left(self) -> None:
        request = asked(observation=seen(throughput=26.7), recent_failures=(at(workers=9, http=9, db=9),))
        assert refused(propose(request, LEARNING)).reason is Reason.RECENTLY_FAILED

    def test_half_open_moves_by_one_unit(self) -> None:
        request = asked(observation=seen(throughput=26.7), smallest_step=True)
        assert accepted(propose(request, LEARNING)).setting == at(workers=9, http=9, db=9)


class TestMissing:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            pytest.param({"observation": None}, Reason.NO_DATA, id="nothing_observed"),
            pytest.param({"load": Missing(Reason.STALE_DATA)}, Reason.STALE_DATA, id="load_is_stale"),
            pytest.param(
                {"observation": seen(throughput=Missing(Reason.PARTIAL_DATA))},
                Reason.PARTIAL_DATA,
                id="throughput_is_partial",
            ),
            pytest.param(
                {"observation": seen(offered=Missing(Reason.NOT_REPORTED))}, Reason.NOT_REPORTED, id="no_arrivals"
            ),
            pytest.param({"load": math.nan}, Reason.NOT_A_NUMBER, id="nan_cannot_enter_as_load"),
            pytest.param(
                {"observation": seen(throughput=math.inf)}, Reason.NOT_A_NUMBER, id="nor_infinity_as_throughput"
            ),
        ],
    )
    @pytest.mark.parametrize("predictor", [LEARNING, Known()], ids=["cold", "fitted"])
    def test_what_is_missing_is_passed_on(
        self, changes: dict[str, object], reason: Reason, predictor: Known | Missing
    ) -> None:
        assert refused(propose(asked(**changes), predictor)).reason is reason

    def test_without_a_tunable_knob_nothing_is_tried(self) -> None:
        pinned = (knob("workers", pinned=Fraction(8)), knob("http", mode=KnobMode.RECOMMEND))
        request = asked(at(workers=8, http=8), *pinned, observation=seen(throughput=5.0))
        assert refused(propose(request, Known())).reason is Reason.NO_TUNABLE_KNOB

    def test_a_service_without_load_is_at_rest(self) -> None:
        request = asked(observation=seen(0.0, 0.0), load=0.0)
        assert refused(propose(request, LEARNING)).reason is Reason.NOTHING_BETTER


class TestPressed:
    def test_the_joint_raise_beats_every_single_one(self) -> None:
        """8 / 0.30 = 26.7 are served; workers alone gain until http binds at 8 / 0.20 = 40."""
        request = asked(observation=seen(throughput=26.7), slo_headroom=False)
        found = accepted(propose(request, Known()))
        assert found.setting.number("workers") == 12
        assert isinstance(found.expected, Prediction)
        assert found.expected.capacity.mean == pytest.approx(40.0)

    def test_one_knob_moves_where_one_knob_is_all_that_is_needed(self) -> None:
        request = asked(at(workers=14, http=32, db=32), observation=seen(throughput=46.7), slo_headroom=False)
        found = accepted(propose(request, Known()))
        assert found.kind is ProposalKind.ONE_KNOB
        assert found.setting == at(workers=21, http=32, db=32)  # 21 / 0.30 = 70 events/s

    def test_the_physics_target_stands_as_the_uncapped_wish(self) -> None:
        """60 x 0.30 / 0.65 = 27.7 -> 28 workers are wanted; the step stops at 12."""
        known = Known(coefficients={demand_coefficient(n): d for n, d in DEMANDS.items()})
        request = asked(observation=seen(throughput=26.7), slo_headroom=False)
        found = accepted(propose(request, known))
        assert found.setting.number("workers") == 12
        assert found.uncapped.number("workers") == 28

    def test_limits_rise_before_pods_are_added(self) -> None:
        """One more pod would double capacity, a joint raise of the limits gives half more: the raise is cheaper."""
        known = Known(capacity=lambda s: float(s.number("pods") * min(s.number("workers"), s.number("http"))))
        request = asked(
            at(workers=8, http=8, db=8, pods=1),
            *LIMITS,
            knob("pods"),
            observation=seen(throughput=8.0),
            slo_headroom=False,
        )
        assert accepted(propose(request, known)).setting == at(workers=12, http=12, db=12, pods=1)

    def test_the_twin_where_only_pods_help_they_are_added(self) -> None:
        known = Known(capacity=lambda s: 8.0 * float(s.number("pods")))
        request = asked(
            at(workers=8, http=8, db=8, pods=1),
            *LIMITS,
            knob("pods"),
            observation=seen(throughput=8.0),
            slo_headroom=False,
        )
        assert accepted(propose(request, known)).setting == at(workers=8, http=8, db=8, pods=2)

    def test_where_the_model_sees_no_gain_nothing_is_tried(self) -> None:
        request = asked(observation=seen(throughput=26.7), slo_headroom=False)
        flat = Known(capacity=lambda _: 26.7, latency=lambda _: 5.0, width=1.001)
        assert refused(propose(request, flat)).reason is Reason.NOTHING_BETTER

    def test_the_twin_a_doubtful_gain_is_probed(self) -> None:
        """The mean promises nothing, but the interval of a raise reaches further than the incumbent's."""
        request = asked(observation=seen(throughput=26.7), slo_headroom=False)

        @dataclass
        class Doubtful(Known):
            def _one(self, setting: Setting, load: float) -> Prediction:
                high = 26.7 + float(setting.number("workers"))
                return Prediction(setting, load, Interval(26.7, 20.0, high), Interval(5.0, 4.0, 6.0), True)

        assert accepted(propose(request, Doubtful())).kind is ProposalKind.PROBE

    def test_out_of_range_the_evidence_acts_instead_of_the_model(self) -> None:
        request = asked(observation=seen(throughput=26.7), slo_headroom=False)
        found = accepted(propose(request, Known(in_domain=lambda _: False)))
        assert found.setting == at(workers=12, http=12, db=12)
        assert isinstance(found.expected, Missing)
        assert found.expected.reason is Reason.OUT_OF_RANGE

    def test_a_missed_slo_with_all_load_served_follows_latency(self) -> None:
        request = asked(at(workers=19, http=40, db=40), slo_headroom=False)
        found = accepted(propose(request, Known()))
        assert found.setting.number("workers") > 19

    def test_a_tail_that_the_model_cannot_see_is_relieved_at_the_busy_limit(self) -> None:
        """The SLO is missed, the model expects no gain in the mean, but the workers are 90 % busy."""
        request = asked(observation=seen(busy={"workers": 0.9, "http": 0.3, "db": 0.3}), slo_headroom=False)
        flat = Known(capacity=lambda _: 80.0, latency=lambda _: 0.4, width=1.001)
        assert accepted(propose(request, flat)).setting == at(workers=12, http=8, db=8)

    def test_the_twin_no_limit_is_busy_so_nothing_is_raised(self) -> None:
        request = asked(observation=seen(busy={"workers": 0.4, "http": 0.3, "db": 0.3}), slo_headroom=False)
        flat = Known(capacity=lambda _: 80.0, latency=lambda _: 0.4, width=1.001)
        assert refused(propose(request, flat)).reason is Reason.NOTHING_BETTER

    def test_between_equals_the_one_whose_rollback_only_lowers(self) -> None:
        """Every setting with 9 workers or more is equally good, so nothing else needs to be lowered."""
        good = Known(capacity=lambda s: 80.0 if s.number("workers") > 8 else 20.0, latency=lambda _: 0.4)
        found = accepted(propose(asked(observation=seen(throughput=20.0)), good)).setting
        assert found == at(workers=9, http=8, db=8)

    def test_choices_move_alone_by_one_step(self) -> None:
        codec = Knob("codec", KnobType.CHOICE, choices=("none", "fast", "best"))
        good = Known(capacity=lambda s: {"none": 20.0, "fast": 40.0, "best": 80.0}[str(s["codec"])])
        request = asked(at(workers=8, http=8, db=8, codec="none"), *LIMITS, codec, observation=seen(throughput=20.0))
        assert accepted(propose(request, good)).setting == at(workers=8, http=8, db=8, codec="fast")

    def test_booleans_move_alone(self) -> None:
        flag = Knob("pipelining", KnobType.BOOLEAN)
        good = Known(capacity=lambda s: 60.0 if s["pipelining"] else 20.0)
        request = asked(at(workers=8, http=8, db=8, pipelining=False), *LIMITS, flag, observation=seen(throughput=20.0))
        assert accepted(propose(request, good)).setting == at(workers=8, http=8, db=8, pipelining=True)

    def test_what_failed_lately_is_not_tried_again_nor_beyond_it(self) -> None:
        request = asked(
            at(workers=14, http=32, db=32),
            observation=seen(throughput=46.7),
            recent_failures=(at(workers=16, http=32, db=32),),
            slo_headroom=False,
        )
        found = accepted(propose(request, Known())).setting
        changed = request.incumbent.diff(found)
        assert changed != ("workers",) or found.number("workers") == 15


class TestAtEase:
    def test_unused_limits_are_given_back_together(self) -> None:
        """30 % of 40 workers: 12 in use, 12 / 0.65 = 18.5 -> 19; the step stops at 40 - 20 = 20.
        http: 40 x 0.2 / 0.65 = 12.3 -> 13, stopped at 20 as well. db is used."""
        request = asked(at(workers=40, http=40, db=8), observation=seen(busy=IDLE))
        known = Known(capacity=lambda _: 100.0, latency=lambda _: 0.3)
        found = accepted(propose(request, known))
        assert found.setting == at(workers=20, http=20, db=8)
        assert found.uncapped == at(workers=19, http=13, db=8)
        assert found.kind is ProposalKind.SHRINK

    def test_without_busy_signals_the_utilisation_law_tells(self) -> None:
        """60 x 0.08 = 4.8 of 40 connections: 12 % busy."""
        known = Known(capacity=lambda _: 100.0, latency=lambda _: 0.3, coefficients={demand_coefficient("db"): 0.08})
        found = accepted(propose(asked(at(workers=40, http=40, db=40)), known))
        assert found.setting == at(workers=40, http=40, db=20)

    def test_a_cut_that_may_cost_latency_is_refused(self) -> None:
        request = asked(at(workers=40, http=40, db=8), observation=seen(busy=IDLE))
        slower = Known(capacity=lambda _: 100.0, latency=lambda s: 0.3 if s == request.incumbent else 0.3 * 1.06)
        assert refused(propose(request, slower)).reason is Reason.SLO_AT_RISK

    def test_a_cut_that_leaves_no_spare_capacity_is_refused(self) -> None:
        request = asked(at(workers=40, http=40, db=8), observation=seen(busy=IDLE))
        tight = Known(capacity=lambda _: 65.0, latency=lambda _: 0.3, width=1.0)  # wanted: 60 x 1.1 = 66
        assert refused(propose(request, tight)).reason is Reason.SLO_AT_RISK

    def test_nothing_is_cut_that_a_coming_load_needs(self) -> None:
        """12 workers bear 40/s. For 20/s fewer are enough (22/s with the spare); for 38/s not one may go."""
        wide = at(workers=12, http=12, db=12)
        known = Known(latency=lambda _: 0.3)
        idle = seen(20.0, 20.0, {"workers": 0.45, "http": 0.3, "db": 0.1})
        now = accepted(propose(asked(wide, observation=idle, load=20.0), known))
        assert now.kind is ProposalKind.SHRINK and now.setting.number("workers") < 12
        ahead = propose(asked(wide, observation=idle, load=38.0), known)
        assert isinstance(ahead, Missing) or ahead.setting.number("workers") == 12

    def test_nothing_is_cut_while_the_slos_are_unknown(self) -> None:
        request = asked(
            at(workers=40, http=40, db=8),
            observation=seen(busy=IDLE),
            slo_headroom=Missing(Reason.TOO_FEW_EVENTS),
        )
        known = Known(capacity=lambda _: 100.0, latency=lambda _: 0.3)
        assert refused(propose(request, known)).reason is Reason.NOTHING_BETTER

    def test_used_limits_stay(self) -> None:
        request = asked(observation=seen(busy={"workers": 0.6, "http": 0.5, "db": 0.7}))
        known = Known(capacity=lambda _: 100.0, latency=lambda _: 0.3)
        assert refused(propose(request, known)).reason is Reason.NOTHING_BETTER

    def test_a_pod_is_given_back_before_limits(self) -> None:
        request = asked(
            at(workers=40, http=8, db=8, pods=3), *LIMITS, knob("pods"), observation=seen(busy={"workers": 0.45})
        )
        known = Known(capacity=lambda s: 50.0 * float(s.number("pods")), latency=lambda _: 0.3)
        assert accepted(propose(request, known)).setting == at(workers=40, http=8, db=8, pods=2)

    def test_throughput_is_raised_while_latency_does_not_suffer(self) -> None:
        request = asked(objective="MaximizeThroughput", observation=seen(), load=30.0)
        # wanted: 30 x 1.5 = 45; in force: 8 / 0.30 = 26.7
        found = accepted(propose(request, Known(latency=lambda _: 0.3)))
        assert found.setting.number("workers") == 12

    def test_the_twin_at_the_price_of_latency_it_is_not(self) -> None:
        request = asked(objective="MaximizeThroughput", load=30.0)
        slower = Known(latency=lambda s: 0.3 if s == request.incumbent else 0.4)
        assert refused(propose(request, slower)).reason is Reason.SLO_AT_RISK

    def test_latency_is_lowered_where_that_is_the_objective(self) -> None:
        request = asked(objective="MinimizeLatency", load=20.0)
        faster = Known(latency=lambda s: 3.0 / float(s.number("db")))
        assert accepted(propose(request, faster)).setting.number("db") == 12

    def test_two_percent_less_latency_is_not_worth_a_trial(self) -> None:
        request = asked(objective="MinimizeLatency", load=20.0)
        hardly = Known(latency=lambda s: 0.3 if s == request.incumbent else 0.294)
        assert refused(propose(request, hardly)).reason is Reason.NOTHING_BETTER
