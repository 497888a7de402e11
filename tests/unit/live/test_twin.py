"""The operator and the application hold one contract: the same bytes, the same hash."""

from __future__ import annotations

import pytest

from pegbox.live import document
from pegbox.model import settings_document as operators
from pegbox.model.snapshot import Listed


def test_a_document_that_no_pod_takes_is_foreign_to_the_operator() -> None:
    twice = {name: Listed(("a",), {}) for name in ("one", "two")}
    text = operators.render("6f1c-uid", 7, {}, twice)
    assert operators.parse(text).foreign
    with pytest.raises(document.RejectedLoad, match="stands in"):
        document.parse(text.encode())


def test_both_know_the_same_version_and_limits() -> None:
    """Found by fuzzing: the application took cohorts that the operator refuses to read."""
    assert (operators.VERSION, operators.MAX_VALUE) == (document.VERSION, document.MAX_VALUE_CHARACTERS)
    for limit in ("MAX_BYTES", "MAX_KNOBS", "MAX_COHORTS", "MAX_NAME", "MAX_PODS", "MAX_GENERATION"):
        assert getattr(operators, limit) == getattr(document, limit), limit
