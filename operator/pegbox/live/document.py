"""The settings document: the public contract between Pegbox and an application, version 1.

One ConfigMap key, mounted as a file::

    {"version": 1, "profileUID": "...", "generation": 7, "hash": "0a1b2c3d4e5f",
     "values": {"worker_count": "8"},
     "cohorts": {"trial": {"pods": ["app-1"], "values": {"worker_count": "9"}}}}

Every value is a string; the application's own declaration gives it a type. A reader takes a document whole or
refuses it whole, with a reason: half a document in force would be a setting that nobody proposed. Top-level
fields that version 1 does not know are ignored, so that fields can be added without a new version.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

VERSION = 1
MAX_BYTES = 256 * 1024
"""A ConfigMap holds at most 1 MiB; a setting is a few hundred bytes, so anything near this is not a
setting.
"""
MAX_KNOBS = 256
MAX_VALUE_CHARACTERS = 1024
MAX_COHORTS = 16
MAX_NAME = 63
"""Characters of a cohort's name."""
MAX_PODS = 1000
"""Of one cohort. All these limits are the operator's own, so that both take the same documents."""
MAX_GENERATION = 2**53 - 1
"""The largest whole number that every JSON reader, JavaScript's included, keeps exact."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}", re.ASCII)


class RejectReason(StrEnum):
    """Why a load was refused; the label `reason` of `pegbox_settings_rejected_total`."""

    UNREADABLE = "Unreadable"
    VANISHED = "Vanished"
    TOO_LARGE = "TooLarge"
    MALFORMED = "Malformed"
    UNKNOWN_VERSION = "UnknownVersion"
    HASH_MISMATCH = "HashMismatch"
    POD_IN_TWO_COHORTS = "PodInTwoCohorts"
    UNKNOWN_KNOB = "UnknownKnob"
    BAD_VALUE = "BadValue"
    STALE_GENERATION = "StaleGeneration"
    GENERATION_REUSED = "GenerationReused"
    APPLY_FAILED = "ApplyFailed"


class RejectedLoad(Exception):
    """A document that may not come into force. `reason` is stable, the message names field, value and
    remedy.
    """

    def __init__(self, reason: RejectReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def values_hash(values: Mapping[str, str]) -> str:
    """First 12 hex digits of the SHA-256 of `values` as canonical JSON.

    Canonical: keys sorted by code point, separators "," and ":", UTF-8 without escapes. The operator
    computes the same over the values that it wrote, so the two must never drift apart.
    """
    text = json.dumps(dict(values), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]


@dataclass(frozen=True)
class Cohort:
    """The pods of a trial and the values that they take in place of the incumbent's."""

    pods: frozenset[str]
    values: Mapping[str, str]


@dataclass(frozen=True)
class SettingsDocument:
    """A parsed document: well-formed, of a known version, its hash checked against its values."""

    profile_uid: str
    generation: int
    values: Mapping[str, str]
    cohorts: Mapping[str, Cohort] = field(default_factory=dict)

    def values_for(self, pod_name: str) -> dict[str, str]:
        """The values in force for one pod: the incumbent's, overlaid by the cohort that lists the pod."""
        overlaid = dict(self.values)
        for cohort in self.cohorts.values():
            if pod_name in cohort.pods:
                overlaid.update(cohort.values)
        return overlaid


def parse(raw: bytes) -> SettingsDocument:
    """Read a document; raise RejectedLoad with the first thing that is wrong with it."""
    if len(raw) > MAX_BYTES:
        raise RejectedLoad(
            RejectReason.TOO_LARGE,
            f"document: more than {MAX_BYTES} bytes; is the mounted file the key that Pegbox writes?",
        )
    top = _load_json(raw)
    if not isinstance(top, dict):
        raise _malformed("document", top, "an object")
    version = top.get("version")
    if type(version) is not int or version != VERSION:
        raise RejectedLoad(
            RejectReason.UNKNOWN_VERSION,
            f"version: {version!r:.60} is not {VERSION}; upgrade the application's pegbox.live first",
        )
    values = _string_map("values", top.get("values"))
    document = SettingsDocument(
        profile_uid=_text("profileUID", top.get("profileUID")),
        generation=_generation(top.get("generation")),
        values=values,
        cohorts=_cohorts(top.get("cohorts", {})),
    )
    written = _text("hash", top.get("hash"))
    if written != values_hash(values):
        raise RejectedLoad(
            RejectReason.HASH_MISMATCH,
            f"hash: {written!r:.60} is not the hash of values ({values_hash(values)!r}); the file is torn or "
            f"was edited "
            "by hand: change settings through the profile (`pegbox try`)",
        )
    return document


def _load_json(raw: bytes) -> Any:
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RejectedLoad(
            RejectReason.MALFORMED, f"document: not JSON ({error}); it is torn or not Pegbox's"
        ) from error


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _malformed(field_name: str, value: object, wanted: str) -> RejectedLoad:
    return RejectedLoad(RejectReason.MALFORMED, f"{field_name}: {value!r:.60} is not {wanted}")


def _text(field_name: str, value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > MAX_VALUE_CHARACTERS or not _is_unicode(value):
        raise _malformed(field_name, value, f"a string of 1 to {MAX_VALUE_CHARACTERS} characters")
    return value


def _is_unicode(value: str) -> bool:
    """JSON's escapes can spell half of a surrogate pair, which no UTF-8 and so no hash exists for."""
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in value)


def _generation(value: object) -> int:
    if type(value) is not int or not 1 <= value <= MAX_GENERATION:
        raise _malformed("generation", value, f"a whole number from 1 to {MAX_GENERATION}")
    return value


def _string_map(field_name: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MAX_KNOBS:
        raise _malformed(field_name, value, f"an object of at most {MAX_KNOBS} knobs")
    for knob, setting in value.items():
        if not _NAME.fullmatch(knob):
            raise _malformed(f"{field_name} key", knob, "a knob name (letters, digits, _ . -, at most 63)")
        if not isinstance(setting, str) or len(setting) > MAX_VALUE_CHARACTERS or not _is_unicode(setting):
            raise _malformed(
                f"{field_name}.{knob}",
                setting,
                f'a string such as "8", "30s", "0.8" or "true" of at most {MAX_VALUE_CHARACTERS} characters',
            )
    return value


def _cohorts(value: object) -> dict[str, Cohort]:
    if not isinstance(value, dict) or len(value) > MAX_COHORTS:
        raise _malformed("cohorts", value, f"an object of at most {MAX_COHORTS} cohorts")
    cohorts: dict[str, Cohort] = {}
    claimed: dict[str, str] = {}
    for name, raw in value.items():
        if len(name) > MAX_NAME or not _is_unicode(name):
            raise _malformed("cohorts key", name, f"a name of at most {MAX_NAME} characters")
        if not isinstance(raw, dict) or not isinstance(raw.get("pods"), list) or len(raw["pods"]) > MAX_PODS:
            raise _malformed(f"cohorts.{name}", raw, f"an object with pods (a list of at most {MAX_PODS}) and values")
        pods = frozenset(_text(f"cohorts.{name}.pods", pod) for pod in raw["pods"])
        for pod in pods:
            if pod in claimed:
                raise RejectedLoad(
                    RejectReason.POD_IN_TWO_COHORTS,
                    f"cohorts: pod {pod!r:.255} stands in {claimed[pod]!r} and {name!r}; list it in one",
                )
            claimed[pod] = name
        cohorts[name] = Cohort(pods=pods, values=_string_map(f"cohorts.{name}.values", raw.get("values")))
    return cohorts
