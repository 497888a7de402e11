"""Claims of the settings document: one hash, whole documents or none, every refusal with its reason."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from pegbox.live.document import MAX_BYTES, RejectedLoad, RejectReason, parse, values_hash

VALUES = {"worker_count": "8", "pool_size": "4"}


def document(**changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "version": 1,
        "profileUID": "6f1c",
        "generation": 3,
        "hash": values_hash(VALUES),
        "values": VALUES,
        "cohorts": {"trial": {"pods": ["app-1"], "values": {"worker_count": "9"}}},
    }
    return {**whole, **changes}


def raw(**changes: Any) -> bytes:
    return json.dumps(document(**changes)).encode()


def test_the_hash_is_the_first_12_hex_digits_of_the_canonical_json() -> None:
    # Written out by hand: keys sorted, no spaces.
    canonical = b'{"pool_size":"4","worker_count":"8"}'
    assert values_hash(VALUES) == hashlib.sha256(canonical).hexdigest()[:12]


def test_the_hash_is_over_utf8_without_escapes() -> None:
    assert values_hash({"a": "ü"}) == hashlib.sha256(b'{"a":"\xc3\xbc"}').hexdigest()[:12]


def test_an_unlisted_pod_is_incumbent() -> None:
    assert parse(raw()).values_for("app-0") == VALUES


def test_a_listed_pod_takes_the_values_overlaid_by_its_cohort() -> None:
    assert parse(raw()).values_for("app-1") == {"worker_count": "9", "pool_size": "4"}


def test_fields_that_version_1_does_not_know_are_ignored() -> None:
    assert parse(raw(comment={"new": 1})).generation == 3


REFUSED: list[tuple[str, bytes, RejectReason]] = [
    ("an empty file", b"", RejectReason.MALFORMED),
    ("a torn file", raw()[:-20], RejectReason.MALFORMED),
    ("bytes that are not UTF-8", b"\xff\xfe{}", RejectReason.MALFORMED),
    ("nesting without end", b"[" * 100_000, RejectReason.MALFORMED),
    ("a list in place of an object", b"[]", RejectReason.MALFORMED),
    ("NaN", raw().replace(b'"generation": 3', b'"generation": NaN'), RejectReason.MALFORMED),
    ("a key twice", raw().replace(b'"version": 1', b'"version": 1, "version": 1'), RejectReason.MALFORMED),
    ("a newer version", raw(version=2), RejectReason.UNKNOWN_VERSION),
    ("version true, which equals 1 in Python", raw(version=True), RejectReason.UNKNOWN_VERSION),
    ("version as a string", raw(version="1"), RejectReason.UNKNOWN_VERSION),
    ("no profile uid", raw(profileUID=""), RejectReason.MALFORMED),
    ("generation 0", raw(generation=0), RejectReason.MALFORMED),
    ("generation true", raw(generation=True), RejectReason.MALFORMED),
    ("a generation that JavaScript cannot hold", raw(generation=2**53), RejectReason.MALFORMED),
    ("a number in place of a string", raw(values={"worker_count": 8}), RejectReason.MALFORMED),
    ("a knob name with a space", raw(values={"worker count": "8"}), RejectReason.MALFORMED),
    ("a value without end", raw(values={"worker_count": "8" * 1025}), RejectReason.MALFORMED),
    ("half a surrogate pair", raw(values={"a": "\ud800"}), RejectReason.MALFORMED),
    ("too many knobs", raw(values={f"k{n}": "1" for n in range(257)}), RejectReason.MALFORMED),
    ("values edited by hand", raw(values={**VALUES, "pool_size": "40"}), RejectReason.HASH_MISMATCH),
    ("cohorts as a list", raw(cohorts=[]), RejectReason.MALFORMED),
    ("a cohort without pods", raw(cohorts={"t": {"values": {}}}), RejectReason.MALFORMED),
    ("a cohort's name without end", raw(cohorts={"t" * 64: {"pods": [], "values": {}}}), RejectReason.MALFORMED),
    (
        "half a surrogate pair in a cohort's name",
        raw(cohorts={"\ud800": {"pods": [], "values": {}}}),
        RejectReason.MALFORMED,
    ),
    ("a name without end of what is no cohort", raw(cohorts={"t" * 9999: 1}), RejectReason.MALFORMED),
    (
        "too many cohorts",
        raw(cohorts={f"t{n}": {"pods": [], "values": {}} for n in range(17)}),
        RejectReason.MALFORMED,
    ),
    (
        "too many pods",
        raw(cohorts={"t": {"pods": [f"p{n}" for n in range(1001)], "values": {}}}),
        RejectReason.MALFORMED,
    ),
    ("a hash without end", raw(hash="a" * 1000), RejectReason.HASH_MISMATCH),
    ("a cohort with numbers", raw(cohorts={"t": {"pods": [], "values": {"a": 1}}}), RejectReason.MALFORMED),
    (
        "a pod in two cohorts",
        raw(cohorts={"a": {"pods": ["p"], "values": {}}, "b": {"pods": ["p"], "values": {}}}),
        RejectReason.POD_IN_TWO_COHORTS,
    ),
    ("more than 256 KiB", raw(padding="x" * MAX_BYTES), RejectReason.TOO_LARGE),
]


@pytest.mark.parametrize(("content", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_with_its_reason(content: bytes, reason: RejectReason) -> None:
    with pytest.raises(RejectedLoad) as caught:
        parse(content)
    assert caught.value.reason == reason
    assert ":" in str(caught.value), "the message names the field first"
    assert len(str(caught.value)) < 500 and str(caught.value).encode(), "and fits a log line"
