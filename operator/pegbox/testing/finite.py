"""What no object of ours may hold: a number that is none."""

from __future__ import annotations

import math
from typing import Any


def not_finite(value: Any, where: str) -> str:
    """Where a JSON value holds NaN or an infinite number, as a number or as a text; "" where it holds none."""
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"{where} is {value}"
    if isinstance(value, str):
        return f"{where} is {value}" if value.lower() in ("nan", "inf", "-inf", "+inf", "infinity") else ""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next((found for key, each in items if (found := not_finite(each, f"{where}.{key}"))), "")
