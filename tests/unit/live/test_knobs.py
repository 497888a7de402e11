"""Claims of the typed declaration: strings become typed values within bounds, or the whole setting is
refused.
"""

from __future__ import annotations

from typing import Any

import pytest

from pegbox.live.document import RejectedLoad, RejectReason
from pegbox.live.knobs import Declaration, Knob, boolean, decimal, duration, integer, quantity, text

WORKERS = integer("worker_count", default=4, minimum=1, maximum=64)
SHARE = decimal("backpressure_threshold", default=0.8, minimum=0.0, maximum=1.0)
TIMEOUT = duration("worker_timeout", default="30s", minimum="10ms", maximum="1h")
TRACING = boolean("enable_detailed_tracing", default=False)
LEVEL = text("level", default="Balanced", choices=("Balanced", "HighPerformance"))
ALL: list[Knob[Any]] = [WORKERS, SHARE, TIMEOUT, TRACING, LEVEL]


@pytest.mark.parametrize(
    ("knob", "string", "value"),
    [
        (WORKERS, "8", 8),
        (SHARE, "0.75", 0.75),
        (SHARE, "1", 1.0),
        (TIMEOUT, "500ms", 0.5),
        (TIMEOUT, "1m30s", 90.0),
        (TIMEOUT, "1.5s", 1.5),
        (TIMEOUT, "1h", 3600.0),
        (TRACING, "true", True),
        (LEVEL, "HighPerformance", "HighPerformance"),
    ],
)
def test_a_string_has_one_typed_value(knob: Knob[Any], string: str, value: object) -> None:
    assert knob.parse(string) == value
    assert type(knob.parse(string)) is type(value)


@pytest.mark.parametrize(
    ("knob", "string"),
    [
        (WORKERS, ""), (WORKERS, "8.0"), (WORKERS, " 8"), (WORKERS, "8\n"), (WORKERS, "٨"), (WORKERS, "1e1"),
        (WORKERS, "0"), (WORKERS, "65"), (WORKERS, "1_0"), (WORKERS, "9" * 400),
        (SHARE, "nan"), (SHARE, "inf"), (SHARE, "1.01"), (SHARE, ".5"), (SHARE, "1e-1"),
        (TIMEOUT, "30"), (TIMEOUT, "30 s"), (TIMEOUT, "s"), (TIMEOUT, "9ms"), (TIMEOUT, "2h"),
        (TIMEOUT, "-1s"),
        (TRACING, "True"), (TRACING, "1"), (TRACING, ""),
        (LEVEL, "Fastest"),
    ],
)  # fmt: skip
def test_a_string_without_a_value_in_bounds_is_refused_by_name(knob: Knob[Any], string: str) -> None:
    with pytest.raises(RejectedLoad, match=rf"values\.{knob.name}") as caught:
        knob.parse(string)
    assert caught.value.reason == RejectReason.BAD_VALUE


def test_a_knob_that_the_document_leaves_out_takes_its_default() -> None:
    values = Declaration(ALL).parse({"worker_count": "9"})
    assert (values[WORKERS], values[SHARE], values[TIMEOUT]) == (9, 0.8, 30.0)


def test_a_knob_that_the_application_does_not_have_is_refused() -> None:
    with pytest.raises(RejectedLoad, match=r"values\.cache_ttl") as caught:
        Declaration(ALL).parse({"worker_count": "9", "cache_ttl": "5s"})
    assert caught.value.reason == RejectReason.UNKNOWN_KNOB


def test_a_knob_has_one_declaration() -> None:
    with pytest.raises(ValueError, match="worker_count: declared twice"):
        Declaration([WORKERS, WORKERS])


def test_bounds_that_no_value_meets_are_refused_at_the_declaration() -> None:
    with pytest.raises(ValueError, match="minimum 5"):
        integer("worker_count", default=5, minimum=5, maximum=4)


def test_a_default_outside_its_own_bounds_is_refused_at_the_declaration() -> None:
    with pytest.raises(ValueError, match="from 1 to 4"):
        integer("worker_count", default=5, minimum=1, maximum=4)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("8Ki", 8192.0, id="binary units count in 1024"),
        pytest.param("250m", 0.25, id="millicores are thousandths"),
        pytest.param("2", 2.0, id="a plain number is whole units"),
    ],
)
def test_quantities_are_read_as_the_operator_writes_them(text: str, value: float) -> None:
    assert quantity("q", default="1", minimum="0", maximum="1Gi").parse(text) == value


def test_a_quantity_with_an_unknown_unit_is_refused() -> None:
    with pytest.raises(RejectedLoad, match="8Ki"):
        quantity("q", default="1", minimum="0", maximum="1Gi").parse("8KB")
