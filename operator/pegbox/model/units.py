"""Durations, quantities, shares: exact, and what was parsed formats back to an equal value.

Every function raises InvalidInput naming the field, the value and the remedy. Numbers are Fractions, so
that `0.1` from a profile is one tenth and comparisons such as 2500m > 2 hold exactly.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from pegbox.model.errors import InvalidInput

_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(?:(m|k|M|G|T|Ki|Mi|Gi|Ti)|[eE]([+-]?[0-9]{1,2}))?")
_FACTOR = {
    "": Fraction(1),
    "m": Fraction(1, 1000),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
}
_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)%")
MAX_TEXT = 64  # no number a person writes is longer; bounds the work of the patterns above
MAX_WHOLE = 2**63 - 1
"""The largest whole number that the API server and its clients keep."""


def _short(field: str, text: object) -> str:
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise InvalidInput(field, text, f"write a text of at most {MAX_TEXT} characters")
    return text.strip()


def text_of(raw: str | int | bool, field: str) -> str:
    """The text of what an object holds where a text or a whole number may stand. Raises InvalidInput."""
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, int) and abs(raw) > MAX_WHOLE:
        raise InvalidInput(field, raw, f"write a whole number between {-MAX_WHOLE} and {MAX_WHOLE}")
    return str(raw)


def parse_duration(text: str, field: str = "duration") -> Fraction:
    """Seconds of a text such as `500ms`, `30s`, `1h30m`, `7d`."""
    plain = _short(field, text)
    if not _DURATION.fullmatch(plain):
        raise InvalidInput(field, text, "write a duration such as 500ms, 30s, 10m or 1h30m")
    return _seconds(plain)


@lru_cache(maxsize=256)  # few texts, read again and again
def _seconds(plain: str) -> Fraction:
    return sum(
        (Fraction(n) * _SECONDS[unit] for n, unit in _DURATION_PART.findall(plain)),
        start=Fraction(0),
    )


@lru_cache(maxsize=256, typed=True)  # every status says the same ones
def format_duration(seconds: Fraction) -> str:
    """The shortest single-unit text of an exact number of milliseconds, e.g. 1.5 s -> `1500ms`."""
    millis = seconds * 1000
    if millis.denominator != 1:
        millis = Fraction(round(millis))
    for unit in ("d", "h", "m", "s"):
        whole = millis / (_SECONDS[unit] * 1000)
        if whole.denominator == 1 and whole != 0:
            return f"{whole.numerator}{unit}"
    return f"{millis.numerator}ms" if millis else "0s"


def parse_quantity(text: str, field: str = "quantity") -> Fraction:
    """A Kubernetes quantity (`250m`, `1.5`, `512Mi`, `3474M`, `25e-2`) as an exact number of its base unit."""
    plain = _short(field, text)
    match = _QUANTITY.fullmatch(plain)
    if not match:
        raise InvalidInput(field, text, "write a quantity such as 250m, 2, 512Mi or 4G")
    return _quantity(match[1], match[2] or "", int(match[3] or 0))


@lru_cache(maxsize=256)
def _quantity(number: str, suffix: str, exponent: int) -> Fraction:
    return Fraction(number) * _FACTOR[suffix] * Fraction(10) ** exponent


def has_exponent(text: str) -> bool:
    """Is a quantity written with an exponent? Kubernetes keeps this form, and knows it for an equal value."""
    match = _QUANTITY.fullmatch(text.strip())
    return match is not None and match[3] is not None


def with_exponent(value: Fraction) -> str:
    """A quantity in whole thousandths or above, with an exponent: 500m is `500e-3`, 64Mi `67108864e0`."""
    return f"{value.numerator}e0" if value.denominator == 1 else f"{round(value * 1000)}e-3"


def format_cpu(cores: Fraction) -> str:
    """Cores as Kubernetes writes them: whole cores plain, else millicores rounded up."""
    if cores.denominator == 1:
        return str(cores.numerator)
    millis = cores * 1000
    return f"{-(-millis.numerator // millis.denominator)}m"


def format_bytes(count: Fraction) -> str:
    """Bytes in the largest binary unit that is exact, else plain."""
    whole = round(count)
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        factor = _FACTOR[unit].numerator
        if whole and whole % factor == 0:
            return f"{whole // factor}{unit}"
    return str(whole)


def parse_decimal(text: str, field: str = "decimal") -> Fraction:
    """A plain decimal number, exactly."""
    plain = _short(field, text)
    if not _DECIMAL.fullmatch(plain):
        raise InvalidInput(field, text, "write a plain decimal number such as 0.8")
    return _exact(plain)


@lru_cache(maxsize=256)
def _exact(plain: str) -> Fraction:
    return Fraction(plain)


def format_decimal(value: Fraction) -> str:
    """At most six decimals, without trailing zeros."""
    text = f"{float(value):.6f}".rstrip("0").rstrip(".")
    return text if text not in ("", "-0") else "0"


def parse_percent(text: str, field: str = "percent") -> Fraction:
    """The share of a text such as `99.9%`, between 0 and 1."""
    match = _PERCENT.fullmatch(_short(field, text))
    if not match or Fraction(match[1]) > 100:
        raise InvalidInput(field, text, "write a percentage between 0% and 100%, such as 99.9%")
    return Fraction(match[1]) / 100
