"""The settings document: any bytes are refused or read, and the hash is of the values alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegbox.live.document import RejectedLoad, parse, values_hash
from tests.unit.live.test_document import raw


@given(st.dictionaries(st.text("abc_", min_size=1), st.text(st.characters(exclude_categories=["Cs"]))))
def test_the_hash_ignores_the_order_of_keys(values: dict[str, str]) -> None:
    assert values_hash(values) == values_hash(dict(reversed(values.items())))


@given(st.binary(max_size=300))
def test_any_bytes_either_parse_or_are_refused(content: bytes) -> None:
    with pytest.raises(RejectedLoad):
        parse(content)


@given(st.integers(min_value=0, max_value=len(raw()) - 1))
def test_a_file_torn_anywhere_is_refused(length: int) -> None:
    with pytest.raises(RejectedLoad):
        parse(raw()[:length])
