"""The ledger in its object: whole, versioned, summed, and never larger than the cap."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from datetime import datetime
from fractions import Fraction
from typing import Any

import pytest

from pegbox.api.ledger_codec import KEPT_TRIALS, MAX_BYTES, decode, encode, state_of
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Setting
from pegbox.model.reasons import Reason
from pegbox.model.trials import MAX_TRIALS, Amount, Cohort, Intent, Ledger
from tests.unit.api.ledgers import INTENT, PARENT, ROW, TRIAL, WAY_BACK, full_ledger
from tests.unit.api.moments import NOON

BARE = Ledger(profile_uid="u-1")


def stored(ledger: Ledger) -> dict[str, Any]:
    """As it comes back from the server: through JSON."""
    body = encode(ledger, namespace="shop", name="checkout", profile="shop/checkout", written_at=NOON)
    return json.loads(json.dumps(body))


def with_state(change: Any) -> dict[str, Any]:
    """A stored ledger whose state was changed by somebody who also knows how to sum."""
    body = stored(full_ledger())
    state = json.loads(body["data"]["state"])
    change(state)
    body["data"]["state"] = json.dumps(state)
    body["data"]["sha256"] = hashlib.sha256(body["data"]["state"].encode()).hexdigest()
    return body


@pytest.mark.parametrize("ledger", [BARE, full_ledger()], ids=["a fresh one", "one with something in every field"])
def test_a_ledger_comes_back_as_it_was(ledger: Ledger) -> None:
    assert decode(stored(ledger)) == ledger


@pytest.mark.parametrize("name", [f.name for f in fields(Ledger) if f.name not in ("profile_uid", "rows")])
def test_every_field_of_the_ledger_is_kept(name: str) -> None:
    """A field that the codec forgot would come back as the bare ledger's."""
    value = getattr(full_ledger(), name)
    assert value != getattr(BARE, name), "full_ledger must say something here"
    assert getattr(decode(stored(replace(BARE, **{name: value}))), name) == value


@pytest.mark.parametrize("name", [f.name for f in fields(Intent)])
def test_every_field_of_an_intent_is_kept(name: str) -> None:
    others: dict[str, Any] = {
        "str": "other",
        "int": 77,
        "bool": not getattr(INTENT, name),
        "float | None": 0.5,
        "datetime": NOON.max.replace(tzinfo=NOON.tzinfo),
        "datetime | None": NOON,
        "tuple[str, ...]": ("pool",),
        "tuple[str, ...] | None": ("0123456789ab",),
        "tuple[Setting, ...]": (PARENT,),
        "Setting": Setting({"pool": Fraction(1)}),
        "Baseline | None": None,
        "Cohort | None": Cohort(("checkout-a", "checkout-b"), PARENT, (PARENT,)),
        "Amount | None": Amount(7, 250, 2**20),
        "TrialState | None": TRIAL.state,
        "IntentKind": INTENT.kind.ROLLBACK,
        "Reason": INTENT.reason.DEPLOYED,
        "Mapping[str, float]": {"fast": 1.25},
        "Mapping[str, tuple[tuple[float, float], ...]]": {"fast": ((1.0, 2.5),)},
    }
    hint = next(str(f.type) for f in fields(Intent) if f.name == name)
    changed = replace(INTENT, **{name: others[hint]})
    assert changed != INTENT
    found = decode(stored(replace(BARE, intent=changed))).intent
    assert found == changed


def test_a_boolean_and_a_one_are_two_settings() -> None:
    """To Python they are equal; a table that merged them would turn tracing=true into tracing=1."""
    first = replace(TRIAL, setting=Setting({"x": Fraction(1)}), parent=Setting({"x": True}))
    back = decode(stored(replace(BARE, trials=(first,)))).trials[0]
    assert type(back.setting["x"]) is Fraction
    assert back.parent["x"] is True


def test_equal_ledgers_are_equal_texts_whatever_the_order_of_their_maps() -> None:
    one = replace(BARE, tokens={"a": "1", "b": "2"})
    other = replace(BARE, tokens={"b": "2", "a": "1"})
    assert state_of(one) == state_of(other)


def test_a_ledger_of_before_says_what_trials_added_and_nothing_of_what_they_removed() -> None:
    """And one of a release to come says more of it: what is known of it is read all the same."""

    def before(state: Any) -> None:
        for part in (state["intent"], *state["trials"]):
            del part["removed"]
            part["added"]["gpu"] = 1
            part["moved"] = {"pods": 1}

    full = full_ledger()
    assert full.intent is not None
    trials = tuple(replace(trial, removed=None) for trial in full.trials)
    assert decode(with_state(before)) == replace(full, intent=replace(full.intent, removed=None), trials=trials)


def test_an_old_ledger_without_a_newer_field_takes_its_default() -> None:
    body = with_state(lambda state: state.pop("revision"))
    assert decode(body) == replace(full_ledger(), revision="")


def test_a_ledger_of_before_the_way_back_reads_well_and_says_that_it_knows_none() -> None:
    body = with_state(lambda state: state.pop("way_back"))
    assert decode(body) == replace(full_ledger(), way_back=None)


def test_a_ledger_of_before_what_trials_spend_was_remembered_reads_well_and_starts_from_nothing() -> None:
    def older(state: Any) -> None:
        state.pop("spent")
        for name in ("variance", "looks"):
            state["intent"].pop(name)

    intent = replace(INTENT, variance={}, looks={})
    assert decode(with_state(older)) == replace(full_ledger(), spent={}, intent=intent)


def test_a_rung_of_before_failed_events_were_counted_reads_well() -> None:
    body = with_state(lambda state: state["ladder"][0].pop("counted"))
    assert decode(body).ladder == (replace(full_ledger().ladder[0], counted={}),)


def test_what_trials_spent_survives_a_restart_and_needs_no_newer_schema() -> None:
    """An older release goes on without it, and forgets it with its first write: each trial has a share to itself again."""
    body = stored(replace(full_ledger(), intent=None))
    assert body["data"]["schemaVersion"] == 1
    assert decode(body).spent == full_ledger().spent != {}


def test_bad_samples_that_others_disturbed_are_written_only_where_there_are_any() -> None:
    """So the text of all other ledgers is that of a release from before; it blames a trial that it takes over."""
    for count in (0, 2):
        body = stored(replace(full_ledger(), intent=replace(INTENT, disturbed=count)))
        state = json.loads(body["data"]["state"])
        assert state["intent"].get("disturbed", 0) == count
        assert ("disturbed" in state["intent"]) is (count > 0)
        assert decode(body).intent == replace(INTENT, disturbed=count)


def test_that_a_trial_is_urgent_is_written_only_where_it_is() -> None:
    """Likewise; an older release that takes it over leaves it out, and a freeze takes the trial back once the SLO is met."""
    for urgent in (False, True):
        body = stored(replace(full_ledger(), intent=replace(INTENT, urgent=urgent)))
        assert body["data"]["schemaVersion"] == stored(replace(full_ledger(), intent=INTENT))["data"]["schemaVersion"]
        assert ("urgent" in json.loads(body["data"]["state"])["intent"]) is urgent
        assert decode(body).intent == replace(INTENT, urgent=urgent)


def test_the_pods_of_a_baseline_are_written_only_where_they_are_known() -> None:
    """Likewise; a release from before leaves them out, and judges as it always did."""
    assert INTENT.baseline is not None
    for pods in (0, 3):
        item = replace(INTENT, baseline=replace(INTENT.baseline, pods=pods))
        body = stored(replace(full_ledger(), intent=item))
        measured = json.loads(body["data"]["state"])["intent"]["baseline"]
        assert ("pods" in measured) is (pods > 0)
        assert decode(body).intent == item


def test_places_need_no_newer_schema_so_that_an_older_release_can_go_on() -> None:
    """It ignores what it does not know, and the next release learns it again from the class."""
    assert stored(replace(full_ledger(), intent=None))["data"]["schemaVersion"] == 1


@pytest.mark.parametrize(
    "limit", [True, "48", 1.5, [1, 0], [1], [True, 2]], ids=["boolean", "text", "float", "zero", "half", "mixed"]
)
def test_a_number_of_the_way_back_that_is_no_fraction_is_refused(limit: object) -> None:
    with pytest.raises(InvalidInput, match="cannot read it"):
        decode(with_state(lambda state: state["way_back"]["budgets"][0].update(limit=limit)))


def test_the_places_of_thirty_knobs_are_an_eighth_of_what_a_ledger_may_hold() -> None:
    knobs = tuple(replace(WAY_BACK.places[1], knob=f"a_long_name_of_a_knob_{n:02}") for n in range(30))
    one, none = (replace(BARE, way_back=w) for w in (replace(WAY_BACK, places=knobs), None))
    assert len(state_of(one)) - len(state_of(none)) < MAX_BYTES / 8


def test_the_summary_is_for_people() -> None:
    summary = stored(full_ledger())["data"]["summary"]
    assert summary == {
        "profile": "shop/checkout",
        "profileUID": "u-1",
        "generation": 12,
        "breaker": "Open",
        "intent": "Trial t-2",
        "trials": 1,
        "rows": 1,
        "writtenAt": "2026-11-21T12:00:00Z",
    }


def many_rows(count: int) -> Ledger:
    """Rows that share nothing and hold awkward numbers; `last_seen` says how old each is."""
    rows = tuple(
        replace(
            ROW,
            setting=Setting({f"knob_{k}": Fraction(i, 7) for k in range(8)}),
            throughput=1 / (i + 3),
            signals={f"busy:knob_{k}": 1 / (i + k + 3) for k in range(8)},
            last_seen=1e9 + i,
        )
        for i in range(count)
    )
    return replace(full_ledger(trials=MAX_TRIALS), rows=rows)


def test_two_hundred_ordinary_rows_and_all_trials_fit() -> None:
    """Five knobs, six signals, 200 rows of 40 settings: what one profile comes to."""
    rows = tuple(
        replace(
            ROW,
            setting=Setting({f"knob_{k}": Fraction(i % 40 + k) for k in range(5)}),
            load=60 / (i + 7),
            throughput=59 / (i + 7),
            latency=1 / (i + 9),
            throughput_m2=1 / (i + 11),
            latency_m2=1 / (i + 13),
            last_seen=1.79e9 + i,
            signals={f"busy:knob_{k}": 1 / (i + k + 3) for k in range(6)},
        )
        for i in range(200)
    )
    back = decode(stored(replace(full_ledger(trials=MAX_TRIALS), rows=rows)))
    assert (len(back.rows), len(back.trials)) == (200, MAX_TRIALS)


def test_what_is_too_large_loses_the_oldest_trials_first_and_then_the_oldest_rows() -> None:
    body = stored(many_rows(600))
    assert len(body["data"]["state"].encode()) <= MAX_BYTES
    back = decode(body)
    assert len(back.trials) == KEPT_TRIALS
    assert 50 < len(back.rows) < 600
    newest = [row.last_seen for row in many_rows(600).rows][-len(back.rows) :]
    assert [row.last_seen for row in back.rows] == newest
    assert back.intent == INTENT


def test_only_the_newest_trials_are_kept() -> None:
    trials = tuple(replace(TRIAL, id=f"t-{i}") for i in range(MAX_TRIALS + 5))
    kept = decode(stored(replace(BARE, trials=trials))).trials
    assert kept == trials[5:]


def test_what_cannot_be_made_small_enough_is_refused_and_not_cut() -> None:
    huge = replace(BARE, tokens={"try": "x" * MAX_BYTES})
    with pytest.raises(InvalidInput, match="tune fewer knobs"):
        stored(huge)


@pytest.mark.parametrize(
    ("ledger", "what"),
    [
        pytest.param(replace(BARE, rows=(replace(ROW, load=float("nan")),)), "not JSON compliant", id="not a number"),
        pytest.param(replace(BARE, forecasts=((1.0, 2.0, float("inf")),)), "not JSON compliant", id="infinity"),
        pytest.param(replace(BARE, cooldown_until=datetime(2026, 1, 1)), "without a zone", id="a time of nowhere"),
    ],
)
def test_what_is_no_data_is_not_written(ledger: Ledger, what: str) -> None:
    with pytest.raises(InvalidInput, match=what):
        stored(ledger)


def test_a_newer_ledger_is_refused_by_its_version() -> None:
    body = stored(full_ledger())
    body["data"] |= {"schemaVersion": 4, "sha256": "of another form", "later": "field"}
    with pytest.raises(InvalidInput, match="reads versions up to 3: run the newer release"):
        decode(body)


def test_only_an_intent_with_a_cohort_needs_the_newer_version() -> None:
    """A release that knows version 1 can go on with all other ledgers, and refuses what it would misread."""
    plain = stored(full_ledger())
    cohort = Cohort(("checkout-a",), PARENT, (TRIAL.setting, TRIAL.setting))
    canary = stored(replace(full_ledger(), intent=replace(INTENT, cohort=cohort)))
    assert (plain["data"]["schemaVersion"], canary["data"]["schemaVersion"]) == (1, 2)
    assert decode(canary).intent == replace(INTENT, cohort=cohort)
    made = replace(cohort, pods=(), size=2)
    admitted = stored(replace(full_ledger(), intent=replace(INTENT, cohort=made)))
    assert admitted["data"]["schemaVersion"] == 3
    assert decode(admitted).intent == replace(INTENT, cohort=made)


def test_a_reason_that_came_later_is_written_as_a_word_that_older_releases_know_and_comes_back_as_itself() -> None:
    said = {"reason": Reason.AHEAD_OF_LOAD}
    ledger = replace(BARE, intent=replace(INTENT, **said), trials=(TRIAL, replace(TRIAL, **said)))
    body = stored(ledger)
    state = json.loads(body["data"]["state"])
    assert [part["reason"] for part in (state["intent"], *state["trials"])] == ["Requested", TRIAL.reason, "Requested"]
    assert decode(body) == ledger


def test_a_later_word_that_this_release_does_not_know_either_leaves_what_it_may_read() -> None:
    """As of a release to come: the ledger is kept, and the reason is the one that stands in the old place."""

    def change(state: Any) -> None:
        state["trials"][0] |= {"reason": "Requested", "exactly": "OfTheYear2030"}

    assert decode(with_state(change)).trials[0].reason is Reason.REQUESTED


def test_a_ledger_from_before_cohorts_still_reads() -> None:
    body = stored(full_ledger())
    state = json.loads(body["data"]["state"])
    del state["intent"]["cohort"]
    text = json.dumps(state)
    body["data"] |= {"state": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    assert decode(body) == full_ledger()


def test_an_edited_state_is_refused_by_its_sum() -> None:
    body = stored(full_ledger())
    body["data"]["state"] = body["data"]["state"].replace('"generation":12', '"generation":13', 1)
    with pytest.raises(InvalidInput, match="edited or torn"):
        decode(body)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda s: s.pop("profile_uid"), id="a required field is gone"),
        pytest.param(lambda s: s.pop("settings"), id="the table of settings is gone"),
        pytest.param(lambda s: s.update(incumbent=99), id="a setting that is not in the table"),
        pytest.param(lambda s: s.update(incumbent=-1), id="a position from the end"),
        pytest.param(lambda s: s.update(profile_uid="u" * 65), id="a uid that is too long to write"),
        pytest.param(lambda s: s.update(revision="\ud800"), id="half a character, which no UTF-8 exists for"),
        pytest.param(lambda s: s.update(generation=-1), id="a number below zero that could not be written"),
        pytest.param(lambda s: s.update(generation="12"), id="a text where a number belongs"),
        pytest.param(lambda s: s.update(reporting=1), id="a number where a truth belongs"),
        pytest.param(lambda s: s.update(halted="NoSuchReason"), id="a reason that nobody knows"),
        pytest.param(lambda s: s.update(cooldown_until="yesterday"), id="a time that is none"),
        pytest.param(lambda s: s.update(trials={}), id="a map where a list belongs"),
        pytest.param(lambda s: s["breaker"].update(state="Ajar"), id="a state that is none"),
        pytest.param(lambda s: s["rows"][0].pop(), id="a row that is too short"),
        pytest.param(lambda s: s["settings"][0].update(workers=[1, 0]), id="a fraction over zero"),
    ],
)
def test_a_state_that_this_release_cannot_read_is_refused_with_its_remedy(change: Any) -> None:
    with pytest.raises(InvalidInput, match="delete the ledger to adopt the workload afresh"):
        decode(with_state(change))


@pytest.mark.parametrize("data", [None, {}, [], "text", {"schemaVersion": 1}], ids=repr)
def test_an_object_without_its_data_is_refused(data: Any) -> None:
    with pytest.raises(InvalidInput):
        decode({"metadata": {"name": "checkout"}, "data": data})
