"""What the fitted model claims, what it refuses, and how it says so."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import pytest

from pegbox.learning import fit
from pegbox.model.knobs import Knob, KnobType, Location, LocationKind, SearchSpace, Setting
from pegbox.model.observations import Missing
from pegbox.model.prediction import Prediction, Predictor, Row
from pegbox.model.reasons import Reason
from pegbox.model.roles import Role, busy_signal

ROLES = {"workers": Role.CONCURRENCY, "http": Role.POOL, "db": Role.POOL}
DEMANDS = {"workers": 0.30, "http": 0.20, "db": 0.08}


def space(*extra: Knob) -> SearchSpace:
    knobs = tuple(Knob(name, minimum=Fraction(1), maximum=Fraction(64)) for name in ROLES)
    return SearchSpace((*knobs, *extra))


def setting(workers: int, http: int, db: int, **extra: Fraction | bool | str) -> Setting:
    return Setting(
        {"workers": Fraction(workers), "http": Fraction(http), "db": Fraction(db), **extra},
    )


def row(
    at: Setting,
    load: float = 60.0,
    *,
    pods: float = 1.0,
    factor: float = 1.0,
    signals: Mapping[str, float] | None = None,
    count: int = 3,
) -> Row:
    """A noiseless row of a service that is the least of three limits; its queue holds 100 events per pod."""
    capacity = factor * pods * min(float(at.number(n)) / d for n, d in DEMANDS.items())
    served = min(load, capacity)
    full = 100.0 * pods / capacity
    wait = full if load >= capacity else min(full, load / capacity / (capacity - load))
    return Row(at, pods, load, served, 0.30 + wait, count, signals=signals or {})


def busy(at: Setting, throughput: float) -> dict[str, float]:
    return {busy_signal(n): min(1.0, throughput * d / float(at.number(n))) for n, d in DEMANDS.items()}


def fitted(found: Predictor | Missing) -> Predictor:
    assert not isinstance(found, Missing), found
    return found


def one(predictor: Predictor, at: Setting, load: float = 60.0, pods: float = 1.0) -> Prediction:
    return predictor.predict([at], load, pods)[0]


JOINT = tuple(row(setting(n, n, n)) for n in (1, 2, 4))


class TestRefusals:
    @pytest.mark.parametrize(
        ("rows", "detail"),
        [
            pytest.param((), "0 of 3 observations", id="nothing_was_seen"),
            pytest.param((row(setting(1, 1, 1), count=2),), "2 of 3 observations", id="two_windows"),
            pytest.param(
                (Row(setting(1, 1, 1), 1.0, 0.0, 0.0, 0.0, 9),),
                "0 of 3 observations; 1 rows without load or throughput do not count",
                id="idle_windows_do_not_count",
            ),
        ],
    )
    def test_too_little_data_is_said_with_the_count(self, rows: tuple[Row, ...], detail: str) -> None:
        found = fit(space(), ROLES, rows)
        assert found == Missing(Reason.LEARNING, detail)

    def test_rows_that_contradict_each_other_by_a_factor_of_ten_are_refused(self) -> None:
        at = setting(4, 4, 4)
        rows = tuple(Row(at, 1.0, 60.0 + i, throughput, 2.0, 3) for i, throughput in enumerate((2.0, 20.0) * 4))
        found = fit(space(), ROLES, rows)
        assert isinstance(found, Missing)
        assert found.reason is Reason.NOT_IDENTIFIABLE
        assert "contradict" in found.detail

    def test_the_twin_ordinary_noise_of_ten_percent_is_not(self) -> None:
        at = setting(4, 4, 4)
        rows = tuple(Row(at, 1.0, 60.0 + i, throughput, 2.0, 3) for i, throughput in enumerate((12.0, 14.6) * 4))
        assert one(fitted(fit(space(), ROLES, rows)), at).capacity.mean == pytest.approx(13.3, rel=0.1)


class TestCapacity:
    def test_limits_that_moved_together_are_not_told_apart_but_their_joint_effect_is(self) -> None:
        predictor = fitted(fit(space(), ROLES, JOINT))
        assert {"demand:workers", "demand:http", "demand:db"} <= set(predictor.report.unidentified)
        now, joint, alone = predictor.predict([setting(4, 4, 4), setting(8, 8, 8), setting(8, 4, 4)], 60.0, 1)
        assert now.capacity.mean == pytest.approx(4 / 0.30, rel=0.05)
        # doubling all of them gains for sure, doubling one may gain nothing
        assert joint.capacity.low > 1.4 * now.capacity.mean
        assert alone.capacity.low < 1.05 * now.capacity.mean
        assert alone.capacity.high > 1.5 * now.capacity.mean

    def test_busy_shares_tell_the_limits_apart(self) -> None:
        rows = tuple(row(setting(n, n, n), signals=busy(setting(n, n, n), min(60.0, n / 0.30))) for n in (1, 2, 4))
        predictor = fitted(fit(space(), ROLES, rows))
        told = predictor.report.coefficients
        assert told["demand:http"] == pytest.approx(0.20, rel=0.1)
        assert told["demand:db"] == pytest.approx(0.08, rel=0.1)
        # workers 6 and 7.5: http (4 / 0.20 = 20) is the next limit after workers (6 / 0.30 = 20)
        alone = one(predictor, setting(5, 4, 4))
        assert alone.capacity.mean == pytest.approx(5 / 0.30, rel=0.08)

    def test_a_worker_that_waits_for_a_pool_is_not_taken_for_a_slow_worker(self) -> None:
        """http is the limit: 2 / 0.20 = 10 events/s; all 8 workers are busy waiting for it."""
        at = setting(8, 2, 4)
        rows = (
            Row(at, 1, 60, 10.0, 10.0, 3, signals={busy_signal("workers"): 1.0, busy_signal("http"): 1.0}),
            row(setting(8, 4, 4), signals={busy_signal("workers"): 1.0, busy_signal("http"): 1.0}),
        )
        predictor = fitted(fit(space(), ROLES, rows))
        # were a worker held for 8 / 10 = 0.8 s, 6 workers would give 7.5; by the http pool they give 20
        assert one(predictor, setting(8, 8, 8)).capacity.high > 24

    def test_pods_multiply_capacity(self) -> None:
        rows = tuple(row(setting(2, 2, 2), pods=p) for p in (1.0, 2.0, 4.0))
        predictor = fitted(fit(space(), ROLES, rows))
        assert one(predictor, setting(2, 2, 2), pods=3.0).capacity.mean == pytest.approx(20.0, rel=0.08)

    def test_served_load_is_only_a_lower_bound_of_capacity(self) -> None:
        """8 of each would carry 26.7 events/s; at 5 events/s nothing shows it, and nothing denies it."""
        predictor = fitted(fit(space(), ROLES, tuple(row(setting(8, 8, 8), load) for load in (3.0, 4.0, 5.0))))
        found = one(predictor, setting(8, 8, 8), 5.0)
        assert found.capacity.low > 5.0
        assert found.capacity.high > 3 * found.capacity.low  # what is not known is not claimed

    def test_a_ceiling_is_found_where_two_raises_changed_nothing(self) -> None:
        ceiling = 25.0
        rows = []
        for n in (4, 8, 16, 32):
            capacity = min(n / 0.30, ceiling)
            rows.append(Row(setting(n, n, n), 1.0, 60.0, capacity, 0.3 + 100 / capacity, 3))
        predictor = fitted(fit(space(), ROLES, rows))
        assert predictor.report.coefficients["ceiling"] == pytest.approx(25.0, rel=0.1)
        assert one(predictor, setting(64, 64, 64)).capacity.mean == pytest.approx(25.0, rel=0.15)

    def test_the_twin_without_a_ceiling_reports_none(self) -> None:
        report = fitted(fit(space(), ROLES, JOINT)).report
        assert "ceiling" in report.unidentified
        assert "ceiling" not in report.coefficients

    def test_batches_stretch_a_limit_on_calls(self) -> None:
        """The upstream call takes 0.2 s whatever the batch: one http client lets 5 x batch events/s through."""
        batch = Knob("batch", minimum=Fraction(1), maximum=Fraction(16))
        rows = []
        for b in (1, 2, 4):
            at = setting(32, 1, 32, batch=Fraction(b))
            rows.append(Row(at, 1.0, 60.0, 5.0 * b, 0.3 + 100 / (5.0 * b), 3))
        predictor = fitted(fit(space(batch), {**ROLES, "batch": Role.BATCH}, rows))
        four, eight = predictor.predict([setting(32, 1, 32, batch=Fraction(b)) for b in (4, 8)], 60.0, 1.0)
        assert four.capacity.mean == pytest.approx(20.0, rel=0.15)
        # 40 by the service's own law; less is expected, since another limit may come first
        assert eight.capacity.mean > 1.2 * four.capacity.mean

    def test_without_any_limit_the_pod_is_the_limit(self) -> None:
        knob = Knob("cache", minimum=Fraction(1), maximum=Fraction(64))
        rows = tuple(Row(Setting({"cache": Fraction(8)}), p, 60.0, 10.0 * p, 2.0, 2) for p in (1.0, 2.0))
        predictor = fitted(fit(SearchSpace((knob,)), {}, rows))
        assert one(predictor, Setting({"cache": Fraction(8)}), pods=3.0).capacity.mean == pytest.approx(30.0, rel=0.1)

    def test_a_limit_of_zero_that_lets_events_through_is_no_limit(self) -> None:
        rows = tuple(Row(setting(n, n, 0), 1.0, 60.0, n / 0.30, 5.0, 3) for n in (1, 2, 4))
        predictor = fitted(fit(space(), ROLES, rows))
        assert "demand:db" not in predictor.report.coefficients
        assert one(predictor, setting(8, 8, 0)).capacity.mean == pytest.approx(8 / 0.30, rel=0.1)

    def test_what_physics_does_not_know_is_learned_by_the_residual(self) -> None:
        """A boolean doubles throughput; no role tells the physics so."""
        flag = Knob("compress", KnobType.BOOLEAN)
        rows = [
            row(setting(n, n, n, compress=on), load, factor=2.0 if on else 1.0)
            for n in (2, 3, 4)
            for on in (False, True)
            for load in (60.0, 90.0)
        ]
        predictor = fitted(fit(space(flag), ROLES, rows))
        off, on = predictor.predict([setting(3, 3, 3, compress=False), setting(3, 3, 3, compress=True)], 75.0, 1)
        assert off.capacity.mean == pytest.approx(10.0, rel=0.15)
        assert on.capacity.mean == pytest.approx(20.0, rel=0.15)


class TestLatency:
    def test_a_full_queue_decides_beyond_saturation(self) -> None:
        queue = Knob("queue", minimum=Fraction(10), maximum=Fraction(1000))
        rows = tuple(row(setting(n, n, n, queue=Fraction(100))) for n in (1, 2, 4))
        predictor = fitted(fit(space(queue), {**ROLES, "queue": Role.QUEUE}, rows))
        # 100 events wait; at 4 / 0.30 = 13.3 events/s that is 7.5 s, and with half the queue 3.75 s
        deep = one(predictor, setting(4, 4, 4, queue=Fraction(100)))
        flat = one(predictor, setting(4, 4, 4, queue=Fraction(50)))
        assert deep.latency.mean == pytest.approx(7.8, rel=0.25)
        assert flat.latency.mean == pytest.approx(deep.latency.mean / 2, rel=0.15)

    def test_latency_falls_when_capacity_outgrows_the_load(self) -> None:
        rows = (*JOINT, row(setting(8, 8, 8)), row(setting(24, 24, 24)), row(setting(32, 32, 32)))
        predictor = fitted(fit(space(), ROLES, rows))
        low, high = predictor.predict([setting(8, 8, 8), setting(32, 32, 32)], 60.0, 1.0)
        assert high.latency.mean == pytest.approx(0.31, rel=0.3)
        assert low.latency.mean > 5 * high.latency.mean

    def test_no_load_costs_the_service_time_alone(self) -> None:
        rows = tuple(row(setting(32, 32, 32), load) for load in (5.0, 10.0, 20.0))
        found = one(fitted(fit(space(), ROLES, rows)), setting(32, 32, 32), 0.0)
        assert found.latency.mean == pytest.approx(0.30, rel=0.15)

    def test_the_latency_of_a_draining_backlog_is_not_learned(self) -> None:
        steady = tuple(row(setting(32, 32, 32), load) for load in (5.0, 10.0, 20.0))
        draining = Row(setting(16, 16, 16), 1.0, 20.0, 50.0, 30.0, 3)  # 50 served of 20 arriving
        found = one(fitted(fit(space(), ROLES, (*steady, draining))), setting(16, 16, 16), 20.0)
        assert found.latency.mean < 1.0


class TestDomain:
    @pytest.mark.parametrize(
        ("at", "load", "inside"),
        [
            pytest.param(setting(4, 4, 4), 60.0, True, id="seen"),
            pytest.param(setting(8, 8, 8), 60.0, True, id="twice_of_what_was_seen"),
            pytest.param(setting(9, 8, 8), 60.0, False, id="beyond_twice"),
            pytest.param(setting(4, 4, 4), 120.0, True, id="twice_the_load"),
            pytest.param(setting(4, 4, 4), 121.0, False, id="beyond_twice_the_load"),
        ],
    )
    def test_predictions_are_vouched_for_inside_the_widened_box(self, at: Setting, load: float, inside: bool) -> None:
        assert one(fitted(fit(space(), ROLES, JOINT)), at, load).in_domain is inside

    def test_a_limit_that_never_was_half_busy_teaches_nothing_about_raising_it(self) -> None:
        rows = tuple(row(setting(n, 8, 8), signals={busy_signal("db"): 0.2}) for n in (1, 2, 4))
        predictor = fitted(fit(space(), ROLES, rows))
        assert not one(predictor, setting(4, 8, 9)).in_domain
        assert one(predictor, setting(4, 9, 8)).in_domain  # the twin: nothing says that http is idle

    def test_an_unseen_choice_is_outside(self) -> None:
        knob = Knob("codec", KnobType.CHOICE, choices=("a", "b"))
        rows = tuple(row(setting(n, n, n, codec="a")) for n in (1, 2, 4))
        predictor = fitted(fit(space(knob), ROLES, rows))
        assert one(predictor, setting(4, 4, 4, codec="a")).in_domain
        assert not one(predictor, setting(4, 4, 4, codec="b")).in_domain


@pytest.mark.parametrize(
    ("kind", "value", "pods"),
    [
        pytest.param(LocationKind.REPLICAS, 5, 5.0, id="replicas_name_the_pods"),
        pytest.param(LocationKind.HPA_MIN, 5, 5.0, id="hpa_minimum_raises_them"),
        pytest.param(LocationKind.HPA_MIN, 2, 3.0, id="hpa_minimum_below_them_changes_nothing"),
        pytest.param(LocationKind.HPA_MAX, 2, 2.0, id="hpa_maximum_caps_them"),
        pytest.param(LocationKind.HPA_MAX, 9, 3.0, id="hpa_maximum_above_them_changes_nothing"),
    ],
)
def test_a_setting_that_names_replicas_decides_the_pods(kind: LocationKind, value: int, pods: float) -> None:
    knob = Knob("r", location=Location(kind), minimum=Fraction(1), maximum=Fraction(64))
    rows = tuple(row(setting(2, 2, 2, r=Fraction(3)), pods=p) for p in (2.0, 3.0, 4.0))
    predictor = fitted(fit(space(knob), {**ROLES, "r": Role.REPLICAS}, rows))
    found = one(predictor, setting(2, 2, 2, r=Fraction(value)), 60.0, 3.0)
    assert found.capacity.mean == pytest.approx(pods * 2 / 0.30, rel=0.1)


class TestSoundness:
    @pytest.mark.parametrize(
        "rows",
        [
            pytest.param((row(setting(4, 4, 4)),), id="one_row"),
            pytest.param((row(setting(4, 4, 4)),) * 50, id="fifty_equal_rows"),
            pytest.param(tuple(row(setting(4, 4, 4), load) for load in (1e-6, 1.0, 1e6)), id="extreme_loads"),
            pytest.param((Row(setting(1, 1, 1), 1.0, 60.0, 3.0, 1e-9, 3),), id="no_latency_to_speak_of"),
            pytest.param((Row(setting(1, 1, 1), 1.0, 60.0, 90.0, 0.3, 3),), id="more_served_than_offered"),
            pytest.param((Row(setting(1, 1, 1), 900.0, 1e7, 1e6, 86400.0, 3),), id="a_very_large_system"),
            pytest.param((*JOINT, Row(setting(1, 1, 1), 1.0, 0.0, 0.0, 0.0, 5)), id="an_idle_row_among_others"),
        ],
    )
    def test_every_prediction_is_finite_ordered_and_positive(self, rows: tuple[Row, ...]) -> None:
        predictor = fitted(fit(space(), ROLES, rows))
        for found in predictor.predict([setting(1, 1, 1), setting(64, 64, 64), setting(64, 1, 8)], 60.0, 2.0):
            for interval in (found.capacity, found.latency):
                assert 0 < interval.low <= interval.mean <= interval.high < math.inf
        assert all(math.isfinite(v) for v in predictor.report.coefficients.values())

    def test_equal_rows_give_equal_predictors(self) -> None:
        first, second = (fitted(fit(space(), ROLES, JOINT)) for _ in range(2))
        assert first.report == second.report
        at = [setting(8, 8, 8), setting(8, 4, 4)]
        assert first.predict(at, 60.0, 1.0) == second.predict(at, 60.0, 1.0)

    def test_predictions_come_in_order_and_none_for_none(self) -> None:
        predictor = fitted(fit(space(), ROLES, JOINT))
        at = [setting(n, n, n) for n in (8, 1, 4)]
        assert [p.setting for p in predictor.predict(at, 60.0, 1.0)] == at
        assert predictor.predict([], 60.0, 1.0) == []

    def test_past_errors_widen_the_interval_to_what_they_were(self) -> None:
        """Nine forecasts, each 50 % off: a 90 % interval may not be narrower than a factor 1.5 each way."""
        plain = one(fitted(fit(space(), ROLES, JOINT)), setting(4, 4, 4)).capacity
        wrong = [(10.0, 10.0, 15.0)] * 9
        wide = one(fitted(fit(space(), ROLES, JOINT, wrong)), setting(4, 4, 4)).capacity
        assert plain.high / plain.mean < 1.3
        assert wide.high / wide.mean == pytest.approx(1.5)
        assert wide.mean / wide.low == pytest.approx(1.5)

    def test_the_report_counts_windows_and_scores_forecasts(self) -> None:
        report = fitted(fit(space(), ROLES, JOINT, [(10.0, 5.0, 10.0)] * 3)).report
        assert report.samples == 9
        assert report.error == 0.0
        assert report.baseline_error == pytest.approx(math.log(2))


def test_importing_the_package_loads_no_numerical_library() -> None:
    """They cost 150 MiB: an operator without observations must not pay for them. scikit-learn stays out even
    after a fit whose residuals need no correction."""
    script = """
import json, sys
from fractions import Fraction
import pegbox.learning
heavy = lambda: [n for n in ("numpy", "scipy", "sklearn") if n in sys.modules]
before = heavy()
from pegbox.model.knobs import Knob, SearchSpace, Setting
from pegbox.model.prediction import Row
from pegbox.model.roles import Role
space = SearchSpace((Knob("w", minimum=Fraction(1), maximum=Fraction(9)),))
rows = [Row(Setting({"w": Fraction(n)}), 1.0, 60.0, n / 0.3, 9.0, 3) for n in (1, 2, 3, 4, 5, 6)]
pegbox.learning.fit(space, {"w": Role.CONCURRENCY}, rows)
print(json.dumps([before, heavy()]))
"""
    source = Path(__file__).parents[3] / "operator"
    told = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        check=True,
        text=True,
        cwd=Path(__file__).parent,
    )
    assert json.loads(told.stdout) == [[], ["numpy", "scipy"]]
