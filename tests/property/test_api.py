"""The wire loses nothing: ledgers, settings and claims come back as they were, whatever is in them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pegbox.api.budgets import Wish, claim, facts, release
from pegbox.api.ledger_codec import MAX_BYTES, decode, encode, rounded, state_of
from pegbox.api.packing import stamp
from pegbox.api.translate import check_class
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Setting
from pegbox.model.observations import Attainment, Missing
from pegbox.model.prediction import Row
from pegbox.model.reasons import Reason
from pegbox.model.trials import (
    Baseline,
    Breaker,
    BreakerState,
    Intent,
    IntentKind,
    Ledger,
    Original,
    Rung,
    Spending,
    TrialState,
    TrialSummary,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
names = st.text(min_size=1, max_size=8)
values = st.fractions(max_denominator=10**6) | st.booleans() | names
knob_settings = st.dictionaries(names, values, max_size=4).map(Setting)
finite = st.floats(allow_nan=False, allow_infinity=False)
moments = st.datetimes(timezones=st.just(UTC))
counts = st.integers(0, 10**6)
trials = st.builds(
    TrialSummary,
    names,
    knob_settings,
    knob_settings,
    st.sampled_from(TrialState),
    st.sampled_from(Reason),
    moments,
    moments,
    st.none() | finite,
    st.none() | finite,
    st.none() | finite,
)
rows = st.builds(
    Row,
    knob_settings,
    finite,
    finite,
    finite,
    finite,
    counts,
    finite,
    finite,
    finite,
    st.dictionaries(names, finite, max_size=3),
)
baselines = st.builds(
    Baseline, finite, finite, finite, st.none() | finite, st.dictionaries(names, finite, max_size=2), finite, counts
)
intents = st.builds(
    Intent,
    id=names,
    kind=st.sampled_from(IntentKind),
    parent=knob_settings,
    stages=st.lists(knob_settings, min_size=1, max_size=3).map(tuple),
    started_at=moments,
    generation=counts,
    stage_at=st.none() | moments,
    applied_at=st.none() | moments,
    in_force_at=st.none() | moments,
    reason=st.sampled_from(Reason),
    why=names,
    baseline=st.none() | baselines,
    spent=st.dictionaries(names, finite, max_size=2),
    variance=st.dictionaries(names, finite, max_size=2),
    looks=st.dictionaries(names, st.lists(st.tuples(finite, finite), max_size=2).map(tuple), max_size=2),
    state=st.none() | st.sampled_from(TrialState),
    counted=st.booleans(),
    predicted=st.none() | finite,
    keep=st.lists(names, max_size=2).map(tuple),
)
shares = st.dictionaries(names, st.builds(Attainment, finite, finite), max_size=2)
ledgers = st.builds(
    Ledger,
    profile_uid=names,
    generation=counts,
    incumbent=st.none() | knob_settings,
    originals=st.lists(st.builds(Original, names, st.none() | names, names, names), max_size=3).map(tuple),
    ladder=st.lists(st.builds(Rung, knob_settings, finite, counts, finite, moments, shares), max_size=3).map(tuple),
    intent=st.none() | intents,
    breaker=st.builds(Breaker, st.sampled_from(BreakerState), counts, counts, st.none() | moments),
    trials=st.lists(trials, max_size=3).map(tuple),
    rows=st.lists(rows, max_size=3).map(tuple),
    paused_until=st.none() | moments,
    tokens=st.dictionaries(names, names, max_size=3),
    reporting=st.booleans(),
    halted=st.none() | st.sampled_from(Reason),
    halted_at=st.none() | moments,
    forecasts=st.lists(st.tuples(finite, finite, finite), max_size=3).map(tuple),
    spent=st.dictionaries(
        names, st.lists(st.builds(Spending, moments, moments, finite, finite), max_size=2).map(tuple), max_size=2
    ),
)


def stored(ledger: Ledger) -> dict[str, Any]:
    body = encode(ledger, namespace="shop", name="p", profile="shop/p", written_at=NOW)
    return json.loads(json.dumps(body))


@given(ledgers)
@settings(deadline=None, max_examples=60)
def test_a_ledger_comes_back_as_it_was_but_for_the_rows_ninth_digit(ledger: Ledger) -> None:
    back = decode(stored(ledger))
    assert back == rounded(ledger)
    assert state_of(back) == state_of(ledger), "what came back is not written again"


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=8)
def test_a_ledger_of_any_size_stays_within_the_cap(seed: int) -> None:
    """Up to 700 rows of eight knobs: from well within to several times the cap."""
    row = Row(Setting({}), 1.0, 1.0, 1.0, 1.0, 1)
    many = tuple(
        replace(row, setting=Setting({f"k{k}": Fraction(i * k + seed, 7) for k in range(8)}), last_seen=float(i))
        for i in range(seed % 700)
    )
    body = stored(Ledger("u", rows=many))
    assert len(body["data"]["state"].encode()) <= MAX_BYTES
    kept = decode(body).rows
    assert kept == many[len(many) - len(kept) :], "the newest are kept, in order"


@given(ledgers, st.data())
@settings(deadline=None, max_examples=40)
def test_a_torn_state_never_becomes_another_ledger(ledger: Ledger, data: st.DataObject) -> None:
    body = stored(ledger)
    state = body["data"]["state"]
    cut = data.draw(st.integers(0, len(state) - 1))
    body["data"]["state"] = state[:cut]
    try:
        decode(body)
    except InvalidInput as refused:
        assert "delete the ledger" in refused.remedy
    else:
        raise AssertionError("a torn state was believed")


steps = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 120), st.booleans(), st.booleans(), st.integers(0, 40)),
    max_size=25,
)


@given(st.integers(0, 200), st.integers(0, 50), steps)
@settings(deadline=None)
def test_claims_never_exceed_the_budget_and_one_at_a_time_tries(
    capacity: int, reserve: int, history: list[tuple[str, int, bool, bool, int]]
) -> None:
    """Any order of claims, renewals, releases and expiries by three profiles."""
    body: dict[str, Any] = {"metadata": {"name": "db"}, "spec": {"capacity": capacity, "reserve": reserve}}
    now = NOW
    for uid, amount, trial, gone, passed in history:
        now += timedelta(seconds=passed)
        answer = (
            release(body, uid, now)
            if gone
            else claim(body, Wish(uid, f"shop/{uid}", amount, now + timedelta(seconds=60), trial), now)
        )
        if isinstance(answer, Missing):
            continue
        body = {**body, "status": answer["status"]}
        claims = body["status"]["claims"]
        assert sum(c["amount"] for c in claims) <= max(0, capacity - reserve)
        assert sum(c["trial"] == "Holding" for c in claims) <= 1
        assert all(facts(body, c["uid"], now).claimed == c["amount"] for c in claims)


@given(moments)
@settings(deadline=None)
def test_a_time_comes_back_to_the_microsecond(moment: datetime) -> None:
    assert datetime.fromisoformat(stamp(moment)) == moment


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "knobs", "signals", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(json_values)
@settings(deadline=None)
def test_any_document_is_read_or_refused_with_its_field(spec: Any) -> None:
    try:
        check_class({"metadata": {"name": "c"}, "spec": spec})
    except InvalidInput as refused:
        assert refused.field.startswith("class c: spec")
        assert refused.remedy
