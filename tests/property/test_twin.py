"""Whatever the operator writes, the application reads the same values of it, with the same hash."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pegbox.live import document
from pegbox.model import settings_document as operators
from pegbox.model.snapshot import Listed

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


@given(SETTINGS, SETTINGS, st.lists(st.from_regex(r"[a-z]{1,20}", fullmatch=True), unique=True, max_size=5))
def test_both_say_the_same_of_every_pod_of_a_document_with_a_cohort(
    values: dict[str, str], overlay: dict[str, str], pods: list[str]
) -> None:
    """The pod acknowledges the hash of what it runs, and the operator waits for that very hash."""
    text = operators.render("6f1c-uid", 7, values, {operators.TRIAL: Listed(tuple(pods), overlay)})
    mine, theirs = operators.parse(text), document.parse(text.encode())
    assert not mine.foreign
    for pod in (*pods, "0-of-no-cohort"):
        assert dict(mine.values_for(pod)) == theirs.values_for(pod)
    assert theirs.values_for("0-of-no-cohort") == values
