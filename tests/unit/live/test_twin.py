"""The operator and the application hold one contract: the same bytes, the same hash."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pegbox.live import document
from pegbox.model import settings_document as operators

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
SETTINGS = st.dictionaries(NAMES, st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=8)


@given(SETTINGS, st.integers(1, 2**31))
def test_what_the_operator_writes_the_application_reads_with_the_same_hash(
    values: dict[str, str], generation: int
) -> None:
    text = operators.render("6f1c-uid", generation, values)
    read = document.parse(text.encode())
    assert (dict(read.values), read.generation, read.profile_uid) == (values, generation, "6f1c-uid")
    assert operators.values_hash(values) == document.values_hash(values)


def test_both_know_the_same_version_and_size() -> None:
    assert operators.VERSION == document.VERSION
    assert operators.MAX_BYTES == document.MAX_BYTES
