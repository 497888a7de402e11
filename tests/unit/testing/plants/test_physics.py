"""Each plant does what its physics demands: which way a figure moves, and where it breaks."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from pegbox.model.knobs import Setting
from pegbox.testing.plants import SHIPPED
from pegbox.testing.plants.autoscaled import Autoscaled
from pegbox.testing.plants.database_pool import DatabasePool
from pegbox.testing.plants.deploys import DEPLOY, Deploys
from pegbox.testing.plants.protocol import Minute, Plant, Slo


def moved(plant: Plant, **texts: str) -> Setting:
    return plant.start.with_values(**{n: plant.space[n].type.parse(t, n) for n, t in texts.items()})


def score(plant: Plant, at: int = 0, **texts: str) -> float:
    return plant.slo.score(plant.steady(moved(plant, **texts), at))


def rises(figures: list[float]) -> bool:
    return all(a <= b + 1e-9 for a, b in pairwise(figures))


@pytest.mark.parametrize("name", ["database-pool", "deploys", "slow-leak"])
def test_more_pods_never_serve_worse_while_nothing_is_shared(name: str) -> None:
    plant = SHIPPED[name](0)

    assert rises([score(plant, replicas=str(n)) for n in (2, 3, 4, 6, 8)])


@pytest.mark.parametrize("name", ["database-pool", "upstream", "deploys", "slow-leak"])
def test_more_cores_never_serve_worse(name: str) -> None:
    plant = SHIPPED[name](0)

    assert rises([score(plant, cpu_request=f"{n}m") for n in (250, 400, 600, 1000, 2000)])
    assert score(plant, cpu_request="250m") < score(plant, cpu_request="2")


class CrowdedDatabase(DatabasePool):
    mean_load = 330.0  # the database runs 320 queries/s at most


def test_connections_beyond_what_the_database_runs_fight_for_locks() -> None:
    plant = CrowdedDatabase(0)
    few = moved(plant, pool_size="2", max_overflow="0", pool_pre_ping="false", worker_count="16")
    many = moved(plant, pool_size="20", max_overflow="5", pool_pre_ping="false", worker_count="32")

    assert plant.steady(few, 0).throughput > 2 * plant.steady(many, 0).throughput


def test_an_upstream_that_counts_calls_wants_batches_neither_small_nor_large() -> None:
    plant = SHIPPED["upstream"](0)
    small, right, large = (score(plant, batch_size=n, batch_timeout="5s") for n in ("10", "28", "300"))

    assert right > 0.97
    assert small < 0.5
    assert large < 0.9


def test_a_short_timeout_makes_small_batches_whatever_their_size() -> None:
    plant = SHIPPED["upstream"](0)

    assert score(plant, batch_size="28", batch_timeout="20ms") < 0.5


def test_patient_retries_waste_less_of_a_rate_limit() -> None:
    plant = SHIPPED["upstream"](0)
    scores = [score(plant, batch_size="18", retry_backoff=r) for r in ("fixed", "exponential", "jittered")]

    assert rises(scores)
    assert scores[0] < 0.5 < 0.9 < scores[1]


def test_a_larger_cache_hits_more_and_a_better_policy_is_like_a_larger_cache() -> None:
    plant = SHIPPED["cache"](0)
    hits = [plant.steady(moved(plant, cache_capacity=n), 0).busy["cache_hits"] for n in ("500", "2000", "8000")]
    kinds = [plant.steady(moved(plant, cache_policy=p), 0).busy["cache_hits"] for p in ("fifo", "lru", "lfu")]

    assert rises(hits)
    assert rises(kinds)
    assert hits[0] < hits[-1]


def test_what_is_kept_too_long_is_stale_and_too_short_misses() -> None:
    plant = SHIPPED["cache"](0)
    room = {"cache_capacity": "30000", "memory_limit": "2Gi"}
    short, right, long = (score(plant, cache_ttl=t, **room) for t in ("20s", "600s", "7200s"))

    assert short < right
    assert long < right


def test_a_cache_that_does_not_fit_is_killed_once_it_is_full_and_not_before() -> None:
    plant = SHIPPED["cache"](0)
    large = moved(plant, cache_policy="lfu", cache_capacity="60000", replicas="2", memory_limit="512Mi", cache_ttl="1h")
    seen = [plant.advance(large) for _ in range(20)]

    assert seen[0].kills == 0  # what it held until now fits
    assert sum(minute.kills for minute in seen) >= 2
    worst = min(seen, key=lambda minute: minute.good)
    assert worst.good < 0.6
    assert max(minute.errors for minute in seen if minute.kills) >= 1 / 3


def test_half_the_bytes_fit_where_all_of_them_kill() -> None:
    plant = SHIPPED["cache"](0)
    room = {
        "cache_capacity": "20000",
        "memory_limit": "512Mi",
        "replicas": "3",
        "cache_policy": "lfu",
        "cache_ttl": "1h",
    }

    assert plant.steady(moved(plant, **room), 0).kills > 0
    assert plant.steady(moved(plant, **room, enable_cache_compression="true"), 0).kills == 0


def test_replicas_follow_the_load_and_smaller_requests_make_more_pods() -> None:
    plant = Autoscaled(0)
    pods = [plant.steady(moved(plant, min_replicas="1", cpu_request=r), 0).pods for r in ("400m", "800m", "1500m")]
    targets = [plant.steady(moved(plant, min_replicas="1", cpu_target=t), 0).pods for t in ("40", "60", "90")]

    assert pods[0] > pods[1] > pods[2]
    assert targets[0] > targets[1] > targets[2]


def test_new_pods_are_a_minute_late_and_old_ones_stay_five() -> None:
    plant = Autoscaled(0)
    low, high = moved(plant, cpu_target="90", min_replicas="1"), moved(plant, cpu_target="40", min_replicas="1")
    for _ in range(8):
        before = plant.advance(low)
    up = [plant.advance(high) for _ in range(3)]
    down = [plant.advance(low) for _ in range(8)]

    assert up[0].pods == before.pods < up[1].pods
    assert down[0].pods == down[3].pods > down[-1].pods


def test_a_quota_that_is_nearly_used_up_stalls() -> None:
    plant = Autoscaled(0)
    texts = {"cpu_request": "500m", "cpu_target": "90", "min_replicas": "1"}
    tight = plant.steady(moved(plant, cpu_limit="500m", **texts), 0)
    wide = plant.steady(moved(plant, cpu_limit="1", **texts), 0)

    assert (tight.latency or 0.0) > (wide.latency or 0.0)


def test_an_hpa_is_priced_by_arithmetic_close_to_what_it_then_does() -> None:
    plant = Autoscaled(0)
    for target in ("40", "60", "80"):
        setting = moved(plant, cpu_target=target, min_replicas="2")
        assert plant.price(setting) == pytest.approx(plant.steady(setting, 0).money, rel=0.2)


def test_a_wave_has_one_truth_whenever_it_is_asked_for() -> None:
    plant = Autoscaled(0)

    assert plant.steady(plant.start, 0).money == plant.steady(plant.start, 77).money


def test_the_deploy_needs_more_cpu_and_fewer_workers() -> None:
    plant = Deploys(0)
    before, after = plant.steady(plant.start, DEPLOY - 1), plant.steady(plant.start, DEPLOY)

    assert after.cpu > 1.3 * before.cpu
    assert after.busy["worker_count"] < before.busy["worker_count"]
    assert plant.changes == (DEPLOY,)


def test_what_just_holds_before_the_deploy_does_not_hold_after_it() -> None:
    plant = Deploys(0)
    tight = {"replicas": "3", "worker_count": "16", "http_pool": "12", "cpu_request": "1100m"}

    quiet = {"enable_detailed_tracing": "false", "log_level": "warning", **tight}

    assert score(plant, DEPLOY - 1, **quiet) > plant.slo.share
    assert score(plant, DEPLOY, **quiet) < plant.slo.share


def test_load_rises_and_falls_over_the_day() -> None:
    plant = Deploys(0)
    loads = [plant.load(at) for at in (0, 150, 290, 800)]

    assert loads[0] < loads[1] < loads[2] == pytest.approx(130.0)
    assert loads[3] < loads[0]


@pytest.mark.parametrize(
    "texts",
    [
        {"memory_limit": "640Mi"},
        {"memory_limit": "1Gi", "replicas": "4"},
        {"memory_limit": "1Gi", "replicas": "3", "cpu_request": "1", "max_tasks_per_worker": "100000"},
    ],
)
def test_the_late_regression_is_late(texts: dict[str, str]) -> None:
    plant = SHIPPED["slow-leak"](0)
    seen = [plant.advance(moved(plant, **texts)) for _ in range(240)]
    bad = [m.at for m in seen if not plant.slo.holds(m)]

    assert bad
    assert bad[0] >= 20
    assert not plant.slo.holds(plant.steady(moved(plant, **texts), 0))
    assert any(m.kills for m in seen)


def test_workers_that_are_recycled_in_time_never_regress() -> None:
    plant = SHIPPED["slow-leak"](0)
    soon = moved(plant, memory_limit="640Mi", max_tasks_per_worker="2000")
    seen = [plant.advance(soon) for _ in range(240)]

    assert all(plant.slo.holds(m) for m in seen)
    assert plant.slo.holds(plant.steady(soon, 0))


def test_recycling_all_the_time_costs_workers() -> None:
    plant = SHIPPED["slow-leak"](0)
    busy = [plant.steady(moved(plant, max_tasks_per_worker=n), 0).busy["worker_count"] for n in ("50", "500", "5000")]

    assert busy[0] > busy[1] > busy[2]


def test_a_restart_takes_pods_away_for_its_minute_and_a_hot_change_does_not() -> None:
    plant = SHIPPED["slow-leak"](0)
    restart, hot = plant.advance(moved(plant, memory_limit="2Gi")), plant.advance(moved(plant, memory_limit="2Gi"))

    assert restart.pods == 0.75 * hot.pods


def test_a_mean_latency_is_scored_by_a_share_that_is_the_slos_at_its_limit() -> None:
    slo = Slo(seconds=0.2, share=0.95, mean=True)

    def minute(latency: float | None, errors: float = 0.0) -> Minute:
        return Minute(0, 10.0, 10.0, latency, 1.0, errors, 1.0, 1.0)

    assert slo.score(minute(0.2)) == pytest.approx(0.95)
    assert slo.score(minute(0.4)) == pytest.approx(1 / (1 + 4 / 19))
    assert slo.score(minute(0.2, errors=0.5)) == pytest.approx(0.475)
    assert slo.score(minute(None)) == 0.0
    assert slo.holds(minute(0.199)) and not slo.holds(minute(0.201))


def test_a_plants_own_share_is_what_scores_otherwise() -> None:
    assert Slo(seconds=9.0).score(Minute(0, 1.0, 1.0, 99.0, 0.4, 0.0, 1.0, 1.0)) == 0.4
    assert math.isclose(Slo(seconds=9.0).share, 0.95)
