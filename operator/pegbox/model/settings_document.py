"""The settings document: a public contract between the operator and the application, versioned.

One ConfigMap key holding `{version, profileUID, generation, hash, values, cohorts}`. The application's side has
its own reader in pegbox.live; a test holds the two to the same hash and form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import values_hash
from pegbox.model.snapshot import Document

KEY = "settings.json"
VERSION = 1
MAX_BYTES = 256 * 1024


def render(profile_uid: str, generation: int, values: Mapping[str, str]) -> str:
    """The document's text: stable order, so equal content is equal bytes."""
    body = {
        "version": VERSION,
        "profileUID": profile_uid,
        "generation": generation,
        "hash": values_hash(values),
        "values": dict(sorted(values.items())),
        "cohorts": {},
    }
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def parse(text: str) -> Document:
    """The document, or InvalidInput. `foreign` is True where the hash does not match the values."""
    if len(text.encode()) > MAX_BYTES:
        raise InvalidInput(KEY, f"{len(text)} characters", f"keep the document under {MAX_BYTES} bytes")
    try:
        body: Any = json.loads(text)
        if not isinstance(body, dict) or body.get("version") != VERSION:
            raise InvalidInput(f"{KEY}.version", str(body)[:64], f"this release reads version {VERSION}")
        values = {str(k): str(v) for k, v in body["values"].items()}
        generation, uid, stated = int(body["generation"]), str(body["profileUID"]), str(body["hash"])
    except InvalidInput:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInput(KEY, text[:64], "let Pegbox write this key; it is not valid JSON of the format") from error
    return Document(generation, stated, values, uid, foreign=values_hash(values) != stated)
