"""The same version of profile, class and ledger is parsed once; any other version is parsed anew."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pegbox.api import ledger_codec
from pegbox.api.translate import Context, to_model
from pegbox.model.errors import InvalidInput
from pegbox.model.profile import Mode
from pegbox.runtime.parsed import Parsed
from tests.loop import documents
from tests.unit.api.ledgers import NOON, full_ledger

PROFILE = documents.profile("checkout", documents.hot("workers", max=8))


def _stored(body: dict[str, Any], uid: str, generation: int = 1) -> dict[str, Any]:
    out = copy.deepcopy(body)
    out["metadata"] |= {"uid": uid, "generation": generation}
    return out


CLASS = _stored(documents.CLASS, "c")


def test_the_same_versions_are_merged_once() -> None:
    parsed, profile = Parsed(), _stored(PROFILE, "p")
    first = parsed.merged(profile, CLASS, Context())
    assert parsed.merged(copy.deepcopy(profile), CLASS, Context()) is first
    assert first == to_model(profile, CLASS)


@pytest.mark.parametrize(
    ("profile", "class_", "context"),
    [
        pytest.param(_stored(PROFILE, "p", 2), CLASS, Context(), id="an edited profile"),
        pytest.param(_stored(PROFILE, "q"), CLASS, Context(), id="another profile of the name"),
        pytest.param(_stored(PROFILE, "p"), _stored(documents.CLASS, "c", 2), Context(), id="an edited class"),
        pytest.param(_stored(PROFILE, "p"), _stored(documents.CLASS, "d"), Context(), id="another class of the name"),
        pytest.param(_stored(PROFILE, "p"), CLASS, Context(reported=frozenset({"pool"})), id="more that is reported"),
    ],
)
def test_any_other_version_is_merged_anew(profile: dict[str, Any], class_: dict[str, Any], context: Context) -> None:
    parsed = Parsed()
    before = parsed.merged(_stored(PROFILE, "p"), CLASS, Context())
    found = parsed.merged(profile, class_, context)
    assert found is not before and found == to_model(profile, class_, context)


def test_what_has_no_version_is_merged_each_time() -> None:
    parsed, profile = Parsed(), copy.deepcopy(PROFILE)
    profile["metadata"]["uid"] = "p"
    before = parsed.merged(profile, CLASS, Context())
    profile["spec"]["mode"] = "Observe"
    assert before.mode is Mode.AUTO and parsed.merged(profile, CLASS, Context()).mode is Mode.OBSERVE


def _ledger(version: str) -> dict[str, Any]:
    body = ledger_codec.encode(full_ledger(), namespace="shop", name="checkout", profile="checkout", written_at=NOON)
    body["metadata"] |= {"uid": "l", "resourceVersion": version}
    return body


def test_a_ledger_is_decoded_once_per_version_and_a_torn_one_is_never_taken_for_the_one_before() -> None:
    parsed = Parsed()
    first = parsed.decoded(_ledger("1"))
    assert parsed.decoded(_ledger("1")) is first
    torn = _ledger("2")
    torn["data"]["state"] = torn["data"]["state"][:40]
    with pytest.raises(InvalidInput):
        parsed.decoded(torn)
    again = parsed.decoded(_ledger("3"))
    assert again == first  # the same text says the same, whatever its version
