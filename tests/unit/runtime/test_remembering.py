"""A ledger made anew: what is left of brakes holds on, and no ledger that was lost makes the operator bolder."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.api import status_told
from pegbox.api.status_wire import ProfileStatus
from pegbox.core import transitions
from pegbox.model.profile import Guards
from pegbox.model.trials import Breaker, BreakerState, Ledger
from pegbox.runtime import remembering
from pegbox.runtime.reading import Objects
from tests.unit.core.build import T0, at, spec

GUARDS = Guards(cooldown=F(120), breaker_base=F(900))
WAIT = at(900)
CLOSED = {"state": "Closed", "failures": 0}


def lost(status: dict[str, Any] | None, **guards: Any) -> Ledger:
    body = {"metadata": {"name": "p"}} | ({} if status is None else {"status": status})
    return remembering.anew(Objects(body, "default", spec(guards=Guards(**guards) if guards else GUARDS)), T0)


NESTED: list[Any] = []
for _ in range(5000):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    ("status", "paused", "breaker", "waits"),
    [
        pytest.param(None, None, Breaker(), None, id="a_new_profile_waits_for_nothing"),
        pytest.param({"why": "InvalidSpec", "conditions": []}, None, Breaker(), None, id="never_worked_on"),
        pytest.param({"breaker": CLOSED}, None, Breaker(), WAIT, id="one_backoff_for_what_nobody_tells"),
        pytest.param(
            {"breaker": CLOSED, "pausedUntil": "2026-01-05T13:00:00Z"},
            datetime(2026, 1, 5, 13, tzinfo=UTC), Breaker(), WAIT, id="paused_until",
        ),
        pytest.param(
            {"breaker": CLOSED, "pausedUntil": "9999-12-31T23:59:59Z"},
            datetime.max.replace(tzinfo=UTC), Breaker(), WAIT, id="paused_until_resumed",
        ),
        pytest.param(
            {"breaker": {"state": "Closed", "failures": 2}}, None, Breaker(failures=2), WAIT, id="two_failures_count_on",
        ),
        pytest.param(
            {"breaker": {"state": "Open", "failures": 5, "openings": 3, "until": "2026-01-05T14:00:00Z"}},
            None, Breaker(BreakerState.OPEN, 5, 3, datetime(2026, 1, 5, 14, tzinfo=UTC)), WAIT, id="open_as_it_was",
        ),
        pytest.param(
            {"breaker": {"state": "HalfOpen", "failures": 3}},
            None, Breaker(BreakerState.HALF_OPEN, 3, 1), WAIT, id="of_a_release_without_openings_after_its_first",
        ),
        pytest.param(
            {"breaker": {"state": "Ajar"}, "pausedUntil": "soon"}, None, Breaker(), WAIT, id="nonsense_is_left_out",
        ),
        pytest.param(
            {"breaker": CLOSED, "pausedUntil": "0001-01-01T00:00:00+14:00"}, None, Breaker(), WAIT, id="before_all_times",
        ),
        pytest.param(
            {"breaker": CLOSED, "pausedUntil": "2026-01-05T13:00:00"}, None, Breaker(), WAIT, id="a_time_without_a_zone",
        ),
        pytest.param({"breaker": CLOSED, "pausedUntil": NESTED}, None, Breaker(), WAIT, id="nested_without_end"),
    ],
)  # fmt: skip
def test_what_is_left_of_brakes(
    status: dict[str, Any] | None, paused: datetime | None, breaker: Breaker, waits: datetime | None
) -> None:
    made = lost(status)
    assert (made.paused_until, made.breaker, made.cooldown_until) == (paused, breaker, waits)


def test_verbs_that_the_status_echoes_are_not_acted_on_again() -> None:
    assert lost({"breaker": CLOSED, "tokens": [{"name": "try", "value": "t1"}]}).tokens == {"try": "t1"}


@pytest.mark.parametrize(("cooldown", "seconds"), [(120, 900), (1800, 1800)], ids=["backoff", "a_longer_cooldown"])
def test_the_wait_outlasts_the_look_for_a_clock_that_was_set_back(cooldown: int, seconds: int) -> None:
    guards = {"cooldown": F(cooldown), "breaker_base": F(900)}
    made = lost({"breaker": CLOSED}, **guards)
    assert transitions.not_ahead(Guards(**guards), made, T0).cooldown_until == at(seconds)
    early = transitions.not_ahead(Guards(**guards), made, at(-7200)).cooldown_until
    assert early == at(seconds - 7200), "and is no longer than itself where it was"


@pytest.mark.parametrize("kept", status_told.KEPT)
def test_what_is_kept_while_a_profile_cannot_be_worked_on_are_fields_of_the_status(kept: str) -> None:
    assert kept in {f.alias or n for n, f in ProfileStatus.model_fields.items()}
