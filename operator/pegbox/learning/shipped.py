"""The prior that is shipped in the package: `models/capacity-prior.json`, checked against its own hash.

A file that is missing or damaged never stops a fit: physics and defaults are what a model without it has, too.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pegbox.learning.beliefs import BY_HAND, DEFAULTS, POOL_TIE, WORKER_TIE, Belief, ColdStart
from pegbox.model.errors import InvalidInput

log = logging.getLogger(__name__)

FILE = "capacity-prior.json"
KIND, FORMAT = "pegbox-capacity-prior", 1
MOST_BYTES = 1_000_000
KEYS = (*BY_HAND, WORKER_TIE, POOL_TIE)
REMEDY = "install Pegbox anew, or run `make models` in a checkout"
_CHECKOUT = "models"


@lru_cache(maxsize=1)
def shipped() -> ColdStart:
    """What the package brings, read once."""
    return load(location())


def load(file: Traversable) -> ColdStart:
    """The prior in a file; the defaults, named with the reason, where it cannot be used."""
    try:
        with file.open("rb") as opened:
            return read(opened.read(MOST_BYTES + 1), str(file))
    except (OSError, InvalidInput) as error:
        log.warning("no prior for cold starts", extra={"error": str(error)})
        return ColdStart(f"none: {error}", DEFAULTS.beliefs)


def location() -> Traversable:
    """Inside the installed package, or in the checkout that it is run from."""
    file: Traversable = resources.files("pegbox") / "models" / FILE
    return file if file.is_file() else Path(__file__).resolve().parents[3] / _CHECKOUT / FILE


def read(raw: bytes, name: str) -> ColdStart:
    """Raises InvalidInput, which names the file, what is wrong and the remedy."""
    try:
        document = json.loads(raw) if len(raw) <= MOST_BYTES else None
    except (ValueError, RecursionError) as error:
        raise InvalidInput(name, type(error).__name__, f"it is no JSON: {REMEDY}") from error
    if not isinstance(document, dict) or (document.get("kind"), document.get("format")) != (KIND, FORMAT):
        raise InvalidInput(name, "kind, format", f"this release reads {KIND} {FORMAT}: {REMEDY}")
    if document.get("sha256") != content_hash(document):
        raise InvalidInput(f"{name}: sha256", document.get("sha256"), f"the contents have another hash: {REMEDY}")
    if document.get("active") is not True:
        return ColdStart("none: the shipped one is not active, see models/CARD.md", DEFAULTS.beliefs)
    try:
        return _cold(document)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidInput(f"{name}: beliefs, misfit", repr(error), f"write finite numbers: {REMEDY}") from error


def content_hash(document: Mapping[str, Any]) -> str:
    """SHA-256 of the document without its own hash, as JSON with sorted keys and no blanks."""
    rest = {key: value for key, value in document.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _cold(document: Mapping[str, Any]) -> ColdStart:
    beliefs = {
        str(key): Belief(_finite(told["mean"]), _finite(told["sd"], least=1e-9))
        for key, told in document["beliefs"].items()
    }
    unknown = sorted(beliefs.keys() - set(KEYS))
    if unknown:
        raise ValueError(f"unknown beliefs {', '.join(unknown)}")
    misfit = {which: _finite(document["misfit"][which], least=0.0) for which in ("capacity", "latency")}
    name = f"capacity-prior {document['version']} (sha256 {document['sha256'][:12]})"
    return ColdStart(name, beliefs, misfit["capacity"], misfit["latency"])


def _finite(value: object, least: float = -math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < least:
        raise ValueError(f"{value!r} is no finite number of at least {least}")
    return float(value)
