"""The settings document: a public contract between the operator and the application, versioned.

One ConfigMap key holding `{version, profileUID, generation, hash, values, cohorts}`. The application's side has
its own reader in pegbox.live; a test holds the two to the same hash and form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from pegbox.model import units
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import values_hash
from pegbox.model.snapshot import Document, Listed

KEY = "settings.json"
VERSION = 1
MAX_BYTES = 256 * 1024
MAX_KNOBS = 256
MAX_NAME = 63
MAX_VALUE = 1024
"""Characters of one value, and of uid and hash."""
MAX_COHORTS = 16
MAX_PODS = 1000
"""Of one cohort; Pegbox lists 50 at the most."""
TRIAL = "trial"
"""The one cohort that Pegbox writes, and the label `cohort` of its pods."""
MAX_GENERATION = 2**53 - 1
"""The largest whole number that every JSON reader keeps exact; pegbox.live has the same limits."""

_REMEDY = "let Pegbox write this key"


def render(
    profile_uid: str, generation: int, values: Mapping[str, str], cohorts: Mapping[str, Listed] | None = None
) -> str:
    """The document's text: stable order, so equal content is equal bytes."""
    body = {
        "version": VERSION,
        "profileUID": profile_uid,
        "generation": generation,
        "hash": values_hash(values),
        "values": dict(sorted(values.items())),
        "cohorts": {
            name: {"pods": list(c.pods), "values": dict(sorted(c.values.items()))}
            for name, c in sorted((cohorts or {}).items())
        },
    }
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def parse(text: str) -> Document:
    """The document, or InvalidInput. `foreign` is True where the hash does not match the values, or a pod is listed
    twice: no pod takes such a document.
    """
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        raise InvalidInput(KEY, f"{len(text)} characters", f"keep the document under {MAX_BYTES} bytes")
    try:
        body: Any = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(KEY, text[:64], f"{_REMEDY}; it is not JSON") from error
    if not isinstance(body, dict) or body.get("version") != VERSION:
        raise InvalidInput(f"{KEY}.version", text[:64], f"this release reads version {VERSION}")
    generation = body.get("generation")
    if type(generation) is not int or not 0 <= generation <= MAX_GENERATION:
        raise InvalidInput(f"{KEY}.generation", generation, f"{_REMEDY}; a whole number up to {MAX_GENERATION}")
    uid, stated = (_text(body.get(name), name) for name in ("profileUID", "hash"))
    values = _values(body.get("values"))
    cohorts = _cohorts(body.get("cohorts", {}))
    listed = [pod for cohort in cohorts.values() for pod in cohort.pods]
    foreign = values_hash(values) != stated or len(set(listed)) < len(listed)
    return Document(generation, stated, values, uid, foreign, cohorts)


def _cohorts(raw: Any) -> dict[str, Listed]:
    """name -> pods and values. Bounded: anybody who may edit our ConfigMap writes them."""
    field = f"{KEY}.cohorts"
    if not isinstance(raw, dict) or len(raw) > MAX_COHORTS:
        raise InvalidInput(field, raw, f"{_REMEDY}; an object of at most {MAX_COHORTS} cohorts")
    found: dict[str, Listed] = {}
    for name, entry in raw.items():
        pods = entry.get("pods") if isinstance(entry, dict) else None
        if len(name) > MAX_NAME or not _is_unicode(name) or not isinstance(pods, list) or len(pods) > MAX_PODS:
            raise InvalidInput(field, name, f"{_REMEDY}; a cohort has a name, values, and at most {MAX_PODS} pods")
        names = tuple(_text(pod, f"{field}.{name}.pods") for pod in pods)
        found[name] = Listed(names, _values(entry.get("values"), f"{field}.{name}.values"))
    return found


def _values(raw: Any, where: str = f"{KEY}.values") -> dict[str, str]:
    """knob -> text. A number typed by hand is taken as its text: the hash says that somebody did."""
    if not isinstance(raw, dict) or len(raw) > MAX_KNOBS:
        raise InvalidInput(where, raw, f"{_REMEDY}; an object of at most {MAX_KNOBS} knobs")
    found: dict[str, str] = {}
    for name, value in raw.items():
        if len(name) > MAX_NAME or not _is_unicode(name):
            raise InvalidInput(where, name, f"{_REMEDY}; a name has at most {MAX_NAME} characters")
        field = f"{where}.{name}"
        found[name] = _text(units.text_of(value, field) if isinstance(value, int) else _plain(value), field)
    return found


def _plain(value: object) -> object:
    return str(value) if isinstance(value, float) else value


def _text(value: object, field: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_VALUE or not _is_unicode(value):
        raise InvalidInput(field, value, f"{_REMEDY}; a text of at most {MAX_VALUE} characters")
    return value


def _is_unicode(text: str) -> bool:
    """JSON's escapes can spell half of a surrogate pair, which no UTF-8 and so no hash exists for."""
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in text)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
