"""Settings and changes in words, for events, conditions and `explain`."""

from __future__ import annotations

from pegbox.model.knobs import SearchSpace, Setting


def in_words(space: SearchSpace, setting: Setting, before: Setting | None = None) -> str:
    """`a=1, b=2`, or `a 1 -> 2` for what differs from `before`."""
    texts = space.format(setting)
    if before is None:
        return ", ".join(f"{n}={t}" for n, t in texts.items())
    old = space.format(before)
    return ", ".join(f"{n} {old.get(n, '?')} -> {t}" for n, t in texts.items() if old.get(n) != t) or "no change"
