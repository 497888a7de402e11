"""What the query texts mean on a real Prometheus. Figures of the fake pods: see conftest.py.

Counters grow by the clock of the exporter and are stamped by the server's, so rates are compared to 3 %;
shares, whose parts come from one scrape, to 0.1 %.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from pegbox.adapters.prometheus import promql
from pegbox.adapters.prometheus.client import Pace, PrometheusSource
from pegbox.adapters.prometheus.promql import Dialect
from pegbox.adapters.prometheus.transport import Server
from pegbox.core.histogram import quantile
from pegbox.model.observations import Missing
from pegbox.model.profile import Purpose, Signal, SignalKind
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Acknowledgement
from pegbox.ports import SignalQuery, SignalRow, SignalRows

from .conftest import MANY, ODD, Played

WINDOW = 6
LATENCY = Signal(
    "task_duration",
    SignalKind.HISTOGRAM,
    Purpose.LATENCY,
    "rate(task_seconds_bucket{$matchers}[$window])",
    "rate(task_seconds_sum{$matchers}[$window])",
    "rate(task_seconds_count{$matchers}[$window])",
)
SUCCESS = Signal(
    "success",
    SignalKind.RATIO,
    Purpose.ERRORS,
    'rate(tasks_total{outcome="success",$matchers}[$window])',
    count_expr="rate(tasks_total{$matchers}[$window])",
)
ARRIVED = Signal("load", SignalKind.RATE, Purpose.LOAD, "rate(arrived_total{$matchers}[$window])")
BUSY = Signal(
    "busy",
    SignalKind.GAUGE,
    Purpose.BUSY,
    "avg_over_time(in_use{$matchers}[$window]) / avg_over_time(limit{$matchers}[$window])",
    knob="worker_count",
)
SHARE = Signal("share", SignalKind.GAUGE, Purpose.BUSY, "avg_over_time(share{$matchers}[$window])")
ODD_RATE = Signal("odd", SignalKind.RATE, Purpose.THROUGHPUT, "rate(odd_total{$matchers}[$window])")


def query(signal: Signal, class_name: str = "worker", window: int = WINDOW) -> SignalQuery:
    return SignalQuery(class_name, signal, window)


async def fetched(source: PrometheusSource, asked: SignalQuery, played: Played) -> SignalRows:
    answer = await source.fetch(asked, played.at)
    assert isinstance(answer, SignalRows), answer
    return answer


def parts(rows: SignalRows, profile: str, cohort: str = "") -> dict[str, SignalRow]:
    found = [row for row in rows.rows if (row.profile, row.cohort) == (profile, cohort)]
    return {row.part if row.le is None else f"le {row.le:g}": row for row in found}


async def test_the_join_adds_pods_and_their_processes_by_setting_and_counts_a_second_scrape_once(
    source: PrometheusSource, played: Played
) -> None:
    rows = await fetched(source, query(LATENCY), played)
    incumbent, canary = parts(rows, "shop/checkout"), parts(rows, "shop/checkout", "canary")
    # a: 10/s, scraped by two jobs; b: two processes of 10/s; gone: its last samples lie in the window, if any.
    of_a_and_b = 30.0
    assert incumbent["count"].value >= of_a_and_b * 0.97
    assert incumbent["count"].value <= of_a_and_b * 1.03 + 10.0
    assert incumbent["count"].setting == "7"
    assert incumbent["count"].pods == 2  # deleted pods are never counted as sound
    assert canary["count"].value == pytest.approx(30.0, rel=0.03)
    assert canary["count"].setting == "8"
    assert canary["sum"].value / canary["count"].value == pytest.approx(0.25, rel=1e-3)
    assert canary["le 0.5"].value / canary["count"].value == pytest.approx(0.9, rel=1e-3)
    assert canary["le inf"].value == pytest.approx(canary["count"].value, rel=1e-3)


async def test_pods_that_nobody_tunes_are_in_no_row(source: PrometheusSource, played: Played) -> None:
    rows = await fetched(source, query(LATENCY), played)
    assert sum(row.value for row in rows.rows if row.part == "count") < 200.0  # stray alone has 1000/s
    assert {row.profile for row in rows.rows} == {"shop/checkout", "shop/nan", "shop/reset", "bank/other"}


def server_s_quantile(played: Played) -> float:
    text = 'histogram_quantile(0.8, sum by (le) (rate(task_seconds_bucket{pod="c"}[6s])))'
    parameters: dict[str, str | float] = {"query": text, "time": played.at.timestamp()}
    answer = requests.get(f"{played.url}/api/v1/query", params=parameters, timeout=5).json()
    return float(answer["data"]["result"][0]["value"][1])


async def test_our_quantile_is_the_server_s(source: PrometheusSource, played: Played) -> None:
    rows = parts(await fetched(source, query(LATENCY), played), "shop/checkout", "canary")
    buckets = {row.le: row.value for row in rows.values() if row.le is not None}
    assert quantile(0.8, buckets) == pytest.approx(server_s_quantile(played), rel=1e-6)


async def test_offered_load_is_read_per_profile_over_all_settings(source: PrometheusSource, played: Played) -> None:
    rows = await fetched(source, query(ARRIVED), played)
    [load] = [row for row in rows.rows if row.profile == "shop/checkout"]
    # 12/s for each 10/s of work: a 12, b 24, c 36; the rest of `gone` at most 12.
    assert 72 * 0.97 <= load.value <= 84 * 1.03
    assert (load.cohort, load.setting) == ("", "")


async def test_a_ratio_is_good_events_and_all_events(source: PrometheusSource, played: Played) -> None:
    rows = parts(await fetched(source, query(SUCCESS), played), "shop/checkout", "canary")
    assert rows["good"].value / rows["all"].value == pytest.approx(0.99, rel=1e-3)


async def test_a_level_is_averaged_over_pods(source: PrometheusSource, played: Played) -> None:
    rows = await fetched(source, query(BUSY), played)
    assert parts(rows, "shop/checkout", "canary")["value"].value == pytest.approx(9 / 4)  # in_use 9 of 4
    assert parts(rows, "bank/other")["value"].value == pytest.approx(3 / 4)


async def test_two_leaders_that_contradict_each_other_count_a_pod_once(
    source: PrometheusSource, played: Played
) -> None:
    rows = await fetched(source, query(LATENCY, "takeover"), played)
    assert len({row.setting for row in rows.rows}) == 1
    [count] = [row for row in rows.rows if row.part == "count"]
    assert count.value == pytest.approx(10.0, rel=0.03)
    assert count.pods == 1


async def test_nan_of_one_pod_refuses_its_profile_and_no_other(source: PrometheusSource, played: Played) -> None:
    rows = await source.fetch(query(SHARE), played.at)
    assert isinstance(rows, SignalRows)
    assert rows.rows == ()
    assert rows.refused["shop/nan", "", "1"].reason is Reason.NOT_A_NUMBER
    half = await fetched(source, query(SHARE, "half"), played)
    assert [row.value for row in half.rows] == [0.5]


async def test_a_target_that_stopped_answering_is_stale_while_its_window_still_holds_samples(
    source: PrometheusSource, played: Played
) -> None:
    rows = await fetched(source, query(LATENCY, window=20), played)
    assert rows.refused["shop/stale", "", "1"].reason is Reason.STALE_DATA


async def test_samples_that_stopped_without_a_marker_are_stale_by_their_age(
    source: PrometheusSource, played: Played
) -> None:
    rows = await fetched(source, query(LATENCY, window=10), played)  # newest: 6 s old or more, 5 s allowed
    assert rows.refused["shop/dated", "", "1"].reason is Reason.STALE_DATA


async def test_counters_that_start_over_are_no_negative_events(source: PrometheusSource, played: Played) -> None:
    """10 events/s before and after: what the reset hides is missing, and nothing is subtracted."""
    found = parts(await fetched(source, query(LATENCY, window=10), played), "shop/reset")
    whole = found["le inf"].value
    assert 5.0 < whole < 15.0
    assert 0.0 <= found["le 0.1"].value <= found["le 0.5"].value <= whole
    assert found["sum"].value / found["count"].value == pytest.approx(0.25, rel=0.2)


async def test_three_scrapes_are_no_window(source: PrometheusSource, played: Played) -> None:
    rows = await fetched(source, query(LATENCY, window=10), played)  # scraped every 4 s
    assert rows.refused["shop/slow", "", "1"].reason is Reason.PARTIAL_DATA


async def test_a_class_without_pods_has_no_data(source: PrometheusSource, played: Played) -> None:
    answer = await source.fetch(query(LATENCY, "nobody"), played.at)
    assert isinstance(answer, Missing)
    assert answer.reason is Reason.NO_DATA


async def test_a_time_before_all_data_has_no_data(source: PrometheusSource, played: Played) -> None:
    answer = await source.fetch(query(LATENCY), played.at - timedelta(hours=1))
    assert isinstance(answer, Missing)
    assert answer.reason is Reason.NO_DATA


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(ODD[:-1], id="one_character_less"),
        pytest.param('x"} or vector(1) or up{a="', id="closes_the_string"),
        pytest.param("x'} or vector(1) or up{a='", id="closes_a_single_quoted_string"),
        pytest.param("x\\", id="escapes_the_closing_quote"),
        pytest.param(".*", id="a_regular_expression"),
        pytest.param("x#\n", id="a_comment_and_a_newline"),
        pytest.param("\x00\x01\x7f", id="control_characters"),
    ],
)
async def test_a_matcher_value_stays_a_value(source: PrometheusSource, played: Played, value: str) -> None:
    exact = await fetched(source, replace(query(ODD_RATE), matchers=(("queue", ODD),)), played)
    assert [row.value for row in exact.rows] == [pytest.approx(7.0, rel=0.03)]
    other = await source.fetch(replace(query(ODD_RATE), matchers=(("queue", value),)), played.at)
    assert isinstance(other, Missing)
    assert other.reason is Reason.NO_DATA


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        pytest.param("rate(task_seconds_count{$matchers}[$window]", "never closed", id="open_parenthesis"),
        pytest.param("rate(task_seconds_count{$matchers})[$window]", "", id="range_in_the_wrong_place"),
        pytest.param("rat(task_seconds_count{$matchers}[$window])", "unknown function", id="unknown_function"),
        pytest.param(
            "rate(task_seconds_count{$matchers}[$window]) + on (job) task_seconds_count{$matchers}",
            "match",
            id="fails_when_it_runs",
        ),
    ],
)
async def test_a_query_that_the_server_refuses_is_invalid_in_its_own_words(
    source: PrometheusSource, played: Played, expression: str, said: str
) -> None:
    answer = await source.fetch(query(replace(ODD_RATE, expr=expression)), played.at)
    assert isinstance(answer, Missing)
    assert answer.reason is Reason.QUERY_INVALID
    assert said in answer.detail


async def test_acknowledgements_are_of_the_newest_document_and_the_slowest_process(
    source: PrometheusSource, played: Played
) -> None:
    acks = await source.acknowledgements("shop", played.at)
    assert not isinstance(acks, Missing)
    assert acks == {
        "a": Acknowledgement("u1", 7, "h7"),
        "b": Acknowledgement("u1", 6, "h6"),  # its other process runs 7 already
        "c": Acknowledgement("u1", 8, "h8"),  # h7 is within the lookback still, and gone
    }


async def test_values_in_force_are_read_per_pod_and_knob(source: PrometheusSource, played: Played) -> None:
    values = await source.setting_values("shop", ["worker_count"], played.at)
    assert not isinstance(values, Missing)
    assert (values["a"], values["c"]) == ({"worker_count": 8.0}, {"worker_count": 9.0})


async def test_a_pod_that_makes_up_buckets_has_no_histogram_and_the_others_have_theirs(
    source: PrometheusSource, played: Played
) -> None:
    rows = await fetched(source, query(LATENCY), played)
    assert ("evil/many", "", "1") in rows.refused
    assert {row.profile for row in rows.rows} == {"shop/checkout", "shop/nan", "shop/reset", "bank/other"}
    assert source.usage.samples < MANY + 50, "201 of its buckets were sent, of more than 300"
    load = await fetched(source, query(ARRIVED), played)
    assert "evil/many" in {row.profile for row in load.rows}, "what it does not spoil, it has"


async def test_a_pod_that_makes_up_knobs_and_documents_is_asked_for_few(
    source: PrometheusSource, played: Played
) -> None:
    assert await source.setting_values("evil", ["worker_count"], played.at) == {"many-1": {"worker_count": 5.0}}
    assert source.usage.samples == 2, "one value, and when it was scraped"
    acks = await source.acknowledgements("evil", played.at)
    assert not isinstance(acks, Missing)
    assert len(acks["many-1"].hash) <= promql.LONGEST_LABEL
    assert source.usage.samples <= 2 + 2 * promql.MOST_SERIES


@pytest.mark.parametrize("namespace", ["bank", 'x"} or pegbox_settings_generation{a!="'])
async def test_a_namespace_that_reports_nothing_says_so(
    source: PrometheusSource, played: Played, namespace: str
) -> None:
    answer = await source.acknowledgements(namespace, played.at)
    assert isinstance(answer, Missing)
    assert answer.reason is Reason.NOT_REPORTED


async def test_an_install_for_one_namespace_reads_only_that(played: Played) -> None:
    narrow = PrometheusSource(Server(played.url), Dialect(namespaces=("bank",)))
    rows = await fetched(narrow, query(LATENCY), played)
    assert {row.profile for row in rows.rows} == {"bank/other"}
    narrow.close()


async def test_without_the_join_pods_are_named_by_the_query(source: PrometheusSource, played: Played) -> None:
    scope = promql.scope_of_pods("shop/checkout", "shop", ("a", "b"))
    answer = await source.fetch_scope(query(LATENCY), scope, played.at)
    assert isinstance(answer, SignalRows), answer
    rows = parts(answer, "shop/checkout")
    assert rows["count"].value == pytest.approx(30.0, rel=0.03)
    assert rows["count"].pods == 2


async def test_a_hundred_profiles_of_a_class_cost_one_query_per_signal_and_window(
    source: PrometheusSource, played: Played
) -> None:
    for _ in range(100):
        await source.fetch(query(LATENCY), played.at)
        await source.fetch(query(ARRIVED), played.at)
    assert (source.usage.queries, source.usage.reused) == (2, 198)
    assert source.usage.samples > 0
    assert source.usage.samples_read > source.usage.samples


KEPT = sorted((Path(__file__).parents[2] / "golden" / "promql").glob("*.promql"))


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.stem)
def test_the_kept_texts_of_shipped_classes_parse(played: Played, file: Path) -> None:
    for text in file.read_text().splitlines():
        answer = requests.get(f"{played.url}/api/v1/parse_query", params={"query": text}, timeout=5).json()
        assert answer["status"] == "success", answer
        run = requests.get(f"{played.url}/api/v1/query", params={"query": text}, timeout=5).json()
        assert run["status"] == "success", run


def test_texts_are_kept() -> None:
    assert KEPT


async def test_the_server_answers_its_check(played: Played) -> None:
    pace = Pace()
    asked, nobody = (
        PrometheusSource(Server(played.url), pace=pace),
        PrometheusSource(Server("http://127.0.0.1:1"), pace=pace),
    )
    assert await asked.check() is None
    refused = await nobody.check()
    assert refused is not None
    assert refused.reason is Reason.METRICS_UNREACHABLE
    asked.close()
    nobody.close()
