"""What the timing times, and how its quantiles are taken. How long it took is for people to read. A whole run: tests/sim."""

from __future__ import annotations

from pegbox.bench import decide
from pegbox.bench.standing import NOW, at_rest
from pegbox.bench.tuners import COMPANY
from pegbox.core.decide import decide as decided
from pegbox.model.decisions import Action
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason


def test_a_tuner_is_timed_on_copies_of_itself() -> None:
    """Twelve rounds: ten steps from the primed state on, then two from it again."""
    assert len(decide.suggestions(COMPANY["one-knob"], 8, 6, 12)) == 12


def test_the_workload_that_is_decided_about_is_healthy_and_adopted() -> None:
    """Every guard is asked, and what is decided is to hold: a refusal at the door would be timed in vain."""
    snapshot = at_rest(6, 50)
    decision = decided(snapshot, Missing(Reason.NOTHING_BETTER), NOW)
    assert decision.action is Action.HOLD
    assert decision.reason is Reason.NOTHING_BETTER
    assert len(snapshot.ledger.rows) == 50 and len(snapshot.spec.space.knobs) == 6


def test_quantiles_are_times_that_were_taken() -> None:
    assert decide.quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert decide.quantile([3.0, 1.0, 2.0], 0.99) == 3.0
