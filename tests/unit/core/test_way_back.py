"""The places of values, as a ledger records them and as a way back reads them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction as F

import pytest

from pegbox.core import way_back
from pegbox.core.decide import decide
from pegbox.model.knobs import Effect, Knob, KnobMode, Location, LocationKind, Setting
from pegbox.model.observations import Missing
from pegbox.model.profile import Autoscaler, ConflictPolicy, DeletionPolicy, Mode, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.trials import IntentKind, Ledger, TrialState
from tests.unit.core.build import (
    ENV,
    HOT,
    HPA,
    NO_WISH,
    UID,
    at,
    document,
    held,
    intent,
    ledger,
    setting,
    snapshot,
    spec,
    under_way,
)

ADOPTED, TRIED = setting(workers=4, max_replicas=6), setting(workers=4, max_replicas=5)
SCALER = Autoscaler("checkout", create=False)
WHOLE = spec(HOT, HPA, autoscaler=SCALER, take_knobs=frozenset({"max_replicas"}))
LESS = spec(HOT)


def noted(profile: ProfileSpec, memory: Ledger, **changes: object) -> Ledger:
    return way_back.recorded(snapshot(profile, memory, **changes), memory, "default")


def at_rest() -> Ledger:
    return noted(WHOLE, ledger(ADOPTED, adopted=ADOPTED))


def in_mid_trial() -> Ledger:
    item = intent(parent=ADOPTED, stages=(TRIED,), revision="")
    return replace(under_way(item, adopted=ADOPTED, incumbent=ADOPTED), way_back=at_rest().way_back)


def places(memory: Ledger) -> dict[str, Location]:
    assert memory.way_back is not None
    return {place.knob: place.location for place in memory.way_back.places}


def test_what_was_adopted_is_recorded_with_its_places_and_the_consent_to_take_them() -> None:
    found = at_rest().way_back
    assert found is not None and found.autoscaler == SCALER and found.target == WHOLE.target
    assert [(p.knob, p.location.kind, p.effect, p.take) for p in found.places] == [
        ("workers", LocationKind.SETTINGS, Effect.HOT, False),
        ("max_replicas", LocationKind.HPA_MAX, Effect.HOT, True),
    ]


def test_a_policy_of_the_whole_profile_is_a_consent_to_each_place() -> None:
    found = noted(
        replace(LESS, conflict_policy=ConflictPolicy.TAKE), ledger(setting(workers=4), adopted=ADOPTED)
    ).way_back
    assert found is not None and [p.take for p in found.places] == [True]


def test_before_an_adoption_there_is_nothing_to_record() -> None:
    assert noted(WHOLE, replace(ledger(ADOPTED), adopted=None)).way_back is None


def test_the_same_places_are_the_same_ledger_so_that_nothing_is_written_for_them() -> None:
    memory = at_rest()
    assert noted(WHOLE, memory) is memory


def test_what_is_under_way_ends_where_it_began_whatever_the_class_says_by_now() -> None:
    memory = in_mid_trial()
    assert noted(LESS, memory) is memory


def test_a_deletion_moves_no_place_either() -> None:
    memory = at_rest()
    assert noted(LESS, memory, deleting=True) is memory


def test_a_spec_that_was_read_before_teaches_nothing() -> None:
    memory = at_rest()
    assert noted(LESS, memory, refusal=Missing(Reason.CLASS_NOT_FOUND)) is memory


def test_a_trial_of_an_older_release_is_recorded_as_soon_as_its_class_is_read() -> None:
    assert places(noted(WHOLE, replace(in_mid_trial(), way_back=None))) == places(at_rest())


def test_a_knob_that_is_not_adopted_anew_yet_keeps_its_place_and_loses_it_with_its_original() -> None:
    assert set(places(noted(LESS, at_rest()))) == {"workers", "max_replicas"}
    assert set(places(noted(LESS, replace(at_rest(), adopted=setting(workers=4))))) == {"workers"}


RECOMMENDED = spec(HOT, replace(HPA, mode=KnobMode.RECOMMEND), autoscaler=SCALER)


@pytest.mark.parametrize(
    ("incumbent", "kept"),
    [
        pytest.param(TRIED, True, id="a value of ours stands there"),
        pytest.param(ADOPTED, False, id="the adoption's stands there"),
    ],
)
def test_a_knob_that_is_tried_no_more_is_put_back_while_a_value_of_ours_stands_there(
    incumbent: Setting, kept: bool
) -> None:
    way = noted(RECOMMENDED, replace(at_rest(), incumbent=incumbent, generation=2))
    assert way.way_back is not None
    assert {p.knob: p.tunable for p in way.way_back.places} == {"workers": True, "max_replicas": kept}
    for asked in ({"deleting": True}, {"deleting": False, "restoring": True}):
        found = way_back.remembered(RECOMMENDED, way, **asked)
        assert found.space["max_replicas"].tunable is kept, asked
    assert way_back.remembered(RECOMMENDED, way, deleting=False) is RECOMMENDED, "and nothing else writes it"


def test_a_knob_that_was_never_tried_is_not_written_by_a_restore_either() -> None:
    """The twin: what differs there from the adoption is its owner's."""
    memory = noted(RECOMMENDED, ledger(ADOPTED, adopted=ADOPTED))
    way = noted(RECOMMENDED, replace(memory, incumbent=TRIED, generation=2))
    assert not way_back.remembered(RECOMMENDED, way, deleting=True).space["max_replicas"].tunable


# --- read again


def test_a_knob_of_the_intent_that_the_class_lost_is_known_where_it_was_written() -> None:
    found = way_back.remembered(LESS, in_mid_trial(), deleting=False)
    knob = found.space["max_replicas"]
    assert (knob.location, knob.tunable, knob.minimum, knob.maximum) == (HPA.location, True, F(1), F(12))
    assert found.forgotten == {"max_replicas"} == found.take_knobs and found.autoscaler == SCALER


def test_at_rest_a_knob_that_the_class_lost_is_its_owners() -> None:
    assert way_back.remembered(LESS, at_rest(), deleting=False) is LESS


def test_a_deletion_knows_every_knob_of_the_adoption() -> None:
    assert way_back.remembered(LESS, at_rest(), deleting=True).forgotten == {"max_replicas"}


def test_knobs_that_are_still_there_are_read_from_the_class() -> None:
    assert way_back.remembered(WHOLE, in_mid_trial(), deleting=True) is WHOLE


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(replace(HPA, mode=KnobMode.RECOMMEND), id="recommended_only_by_now"),
        pytest.param(replace(HPA, pinned=F(9)), id="pinned_by_now"),
        pytest.param(replace(HPA, location=Location(LocationKind.REPLICAS)), id="another_place_by_now"),
    ],
)
def test_a_knob_that_would_not_be_written_there_any_more_is_read_as_it_was(now: Knob) -> None:
    found = way_back.remembered(spec(HOT, now, autoscaler=SCALER), in_mid_trial(), deleting=False)
    assert found.forgotten == {"max_replicas"} and found.space["max_replicas"].location == HPA.location


def test_a_bound_goes_back_in_the_hpa_in_which_it_was_written() -> None:
    found = way_back.remembered(replace(WHOLE, autoscaler=Autoscaler("other", False)), in_mid_trial(), deleting=False)
    assert found.autoscaler == SCALER and found.forgotten == {"max_replicas"}


def test_a_ledger_of_an_older_release_changes_no_spec() -> None:
    memory = replace(in_mid_trial(), way_back=None)
    assert way_back.remembered(LESS, memory, deleting=True) is LESS


# --- alone


def named(mode: Mode = Mode.AUTO) -> way_back.Named:
    return way_back.Named("shop", "checkout", UID, 3, "gone", mode, DeletionPolicy.RESTORE)


def alone(memory: Ledger, mode: Mode = Mode.AUTO) -> ProfileSpec:
    assert memory.way_back is not None
    return way_back.alone(named(mode), memory.way_back)


def test_alone_it_knows_places_budgets_and_patience_and_nothing_to_judge_by() -> None:
    found = alone(at_rest())
    assert found.space.names == ("max_replicas", "workers") and found.forgotten == {"max_replicas", "workers"}
    assert (found.budgets, found.guards.ack_timeout) == (WHOLE.budgets, WHOLE.guards.ack_timeout)
    assert (found.signals, found.slos, found.class_name, found.key) == ((), (), "gone", "shop/checkout")


def test_a_knob_that_was_not_tuned_stands_in_the_document_and_is_written_nowhere_else() -> None:
    found = alone(noted(spec(HOT, replace(ENV, pinned=F(2))), ledger(setting(workers=4, threads=2), adopted=ADOPTED)))
    assert [k.name for k in found.space.tunable] == ["workers"] and "threads" in found.space


def decided(profile: ProfileSpec, memory: Ledger) -> Ledger:
    stands = document(profile, TRIED, 1)
    found = decide(snapshot(profile, memory, held=held(TRIED), document=stands), NO_WISH, at(5))
    return found.ledger


def test_a_trial_of_a_knob_that_only_the_ledger_knows_goes_back_and_no_breaker_counts_it() -> None:
    for profile in (alone(in_mid_trial()), way_back.remembered(LESS, in_mid_trial(), deleting=False)):
        after = decided(profile, in_mid_trial())
        assert after.intent is not None and after.intent.kind is IntentKind.ROLLBACK
        assert after.intent.target == ADOPTED and after.breaker.failures == 0
        assert (after.trials[-1].state, after.trials[-1].reason) == (TrialState.INCONCLUSIVE, Reason.PROFILE_CHANGED)


def test_a_trial_of_knobs_that_the_class_still_has_goes_on() -> None:
    after = decided(replace(WHOLE, budgets=()), in_mid_trial())
    assert after.intent is not None and after.intent.kind is IntentKind.TRIAL


def test_alone_the_mode_of_now_still_forbids() -> None:
    found = decide(snapshot(alone(in_mid_trial(), Mode.RECOMMEND), in_mid_trial()), NO_WISH, at(60))
    assert found.desired is None and found.reason is Reason.MODE_RECOMMEND
