"""models/: the prior as JSON with its own hash, and the card beside it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.prior import figures
from benchmarks.prior.decide import Decision
from benchmarks.prior.figures import Statistic
from benchmarks.prior.learn import WINDOWS, told
from benchmarks.prior.run import AHEAD_SEEDS, AHEAD_WINDOWS, HAND, LEARN, LEFT_OUT, SHIPPED, UNSEEN, Run
from benchmarks.prior.score import Scores
from pegbox.learning.shipped import FILE, FORMAT, KIND, content_hash
from pegbox.testing.drawn import FAMILIES

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"
CARD = "CARD.md"
VERSION = "1"
CLOSE = 1e-6
SOURCES = ("benchmarks/prior", "operator/pegbox/learning", "operator/pegbox/testing/drawn")
WORDS = [ROOT / "benchmarks/prior" / name for name in ("__main__.py", "card.py", "files.py")]
SAMPLE = ("cache", 0)  # what it told is kept, so that a test can see whether the code still says so
LINEAR = ("sigma", "kappa", "batch_latency", "batch_ceiling", "batch_share")
STATISTICS: dict[str, Statistic] = {
    "capacity_error": figures.capacity_error,
    "capacity_coverage": figures.capacity_coverage,
    "capacity_width": figures.capacity_width,
    "capacity_loss": figures.capacity_loss,
    "latency_error": figures.latency_error,
    "latency_coverage": figures.latency_coverage,
    "harmful": figures.harmful,
    "gains": figures.gains,
    "proposes": figures.proposes,
}


def document(run: Run, decision: Decision) -> dict[str, Any]:
    """All of the file; the hash comes last."""
    cold = run.learned
    made: dict[str, Any] = {
        "kind": KIND,
        "format": FORMAT,
        "version": VERSION,
        "active": decision.active,
        "beliefs": {
            key: {"mean": b.mean, "sd": b.sd, "unit": "none" if key in LINEAR else "natural log of a ratio"}
            for key, b in sorted(cold.beliefs.items())
        },
        "misfit": {"capacity": cold.capacity_misfit, "latency": cold.latency_misfit, "unit": "log sd per e-fold"},
        "learned": {
            "candidate": run.chosen,
            "losses": dict(run.losses),
            "families": list(FAMILIES),
            "seeds": _span(LEARN),
            "unseen_seeds": _span(UNSEEN),
            "windows": list(WINDOWS),
            "code_sha256": code_hash(),
        },
        "conditions": [{"condition": text, "met": met} for text, met in decision.conditions],
        "sample": {"family": SAMPLE[0], "seed": SAMPLE[1], "misses": dict(told(*SAMPLE).misses)},
        "scores": list(scores(run)),
        "ahead": {
            "windows": AHEAD_WINDOWS,
            "workloads": AHEAD_SEEDS * len(FAMILIES),
            "measured": len(figures.guesses_of(run.ahead, HAND)),
            "coverage": {name: asdict(figures.covered(run.ahead, name)) for name in (HAND, LEFT_OUT)},
        },
    }
    rounded: dict[str, Any] = _rounded(made)
    return {**rounded, "sha256": content_hash(rounded)}


def scores(run: Run) -> Iterator[dict[str, Any]]:
    """One entry per beliefs, windows and family ("all" of them together)."""
    for windows in WINDOWS:
        for family in ("all", *FAMILIES):
            own = [s for s in run.unseen if s.windows == windows and family in ("all", s.family)]
            for beliefs in (HAND, SHIPPED, LEFT_OUT):
                yield {"windows": windows, "family": family, "beliefs": beliefs, **_figures(own, beliefs)}


def _figures(found: Sequence[Scores], beliefs: str) -> dict[str, Any]:
    own = [s for s in found if s.beliefs == beliefs]
    told = {name: figures.figure(own, statistic) for name, statistic in STATISTICS.items()}
    refused = sum(not s.capacity for s in own)
    return {"refused": refused, **{name: asdict(f) if f else None for name, f in told.items()}}


def _span(seeds: range) -> str:
    return f"{seeds.start} to {seeds.stop - 1}"


def code_hash() -> str:
    """Of everything that learns and judges, by path and content; not of what puts it into words."""
    digest = hashlib.sha256()
    found = (path for folder in SOURCES for path in (ROOT / folder).rglob("*.py"))
    for path in sorted(path for path in found if path not in WORDS):
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _rounded(value: Any) -> Any:
    """Six digits: what is below is not the same on two machines."""
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def differences(one: Any, other: Any, place: str = "") -> Iterator[str]:
    """Where two documents differ, numbers by more than 1e-6; hashes follow from the rest."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other} - {"sha256", "code_sha256", "conditions"}):
            yield from differences(one.get(key), other.get(key), f"{place}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for at, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{place}[{at}]")
    elif isinstance(one, float | int) and isinstance(other, float | int):
        if not math.isclose(one, other, rel_tol=CLOSE, abs_tol=CLOSE):
            yield f"{place}: {one} and {other}"
    elif one != other:
        yield f"{place}: {one!r} and {other!r}"


def write(made: dict[str, Any], card: str, folder: Path = MODELS) -> None:
    folder.mkdir(exist_ok=True)
    (folder / FILE).write_text(json.dumps(made, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (folder / CARD).write_text(card, encoding="utf-8")


def load(folder: Path = MODELS) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return found
