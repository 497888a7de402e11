"""A small made-up table in the shape of the real ones, a spec for it, and a task whose truth is a formula."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pegbox.bench import oracles, surrogate, tune
from pegbox.bench.spec import Spec
from pegbox.bench.tasks import Task
from pegbox.model.knobs import Knob, SearchSpace, Setting

COLUMNS = ("TRIALS", "cpu", "memory", "workers", "fast", "collector", "still", "rate", "rate_ci")
SPEC: dict[str, Any] = {
    "name": "made",
    "csv": "made.csv",
    "mode": "Surrogate",
    "order": "TRIALS",
    "metric": {"column": "rate", "better": "Higher", "failed": ["99999"], "noise": "rate_ci"},
    "price": {"cpu": "0.04"},
    "least": "0.97",
    "steps": 8,
    "starts": {"good": "7"},
    "knobs": [
        {"name": "cpu", "type": "Cpu"},
        {"name": "workers", "type": "Integer"},
        {"name": "fast", "type": "Boolean"},
        {"name": "collector", "type": "Choice"},
    ],
}


def lines(count: int = 40) -> list[list[str]]:
    """Rows of COLUMNS: more workers and more cores serve more; row 3 failed."""
    chance = np.random.default_rng(4)
    found = []
    for i in range(count):
        cpu, workers = 1 + int(chance.integers(7)) / 2, int(chance.integers(1, 20))
        fast, collector = bool(chance.integers(2)), ("serial", "parallel")[int(chance.integers(2))]
        rate = 100 * cpu**0.5 * workers**0.3 * (1.1 if fast else 1.0)
        cells = [f"{i}", f"{cpu}", "3474M", f"{workers}", str(fast).lower(), collector, "5"]
        found.append([*cells, "99999" if i == 3 else f"{rate:.3f}", "2.5"])
    return found


def write_csv(path: Path, rows: Sequence[Sequence[str]] | None = None, head: Sequence[str] = COLUMNS) -> Path:
    path.write_text("\n".join(",".join(cells) for cells in [head, *(rows or lines())]) + "\n", encoding="utf-8")
    return path


def body(**changes: Any) -> dict[str, Any]:
    """SPEC with some keys replaced; None takes a key away."""
    return {key: value for key, value in {**SPEC, **changes}.items() if value is not None}


def spec_of(**changes: Any) -> Spec:
    return Spec.model_validate(body(**changes))


def write_spec(folder: Path, *, file: str = "made.yaml", **changes: Any) -> Path:
    """The spec; the table beside it, where there is none yet."""
    if not (folder / "made.csv").exists():
        write_csv(folder / "made.csv")
    (folder / file).write_text(yaml.safe_dump(body(**changes)), encoding="utf-8")
    return folder / file


def asked_of(*specs: Path, **changes: Any) -> Namespace:
    """The arguments of `bench tune`."""
    known = {"spec": list(specs), "plant": [], "tuners": "nothing,one-knob", "seeds": 2, "models": 1}
    rest = {"processes": 1, "shards": None, "data": None, "json": None, "bench": "tune", "outliers": False}
    return Namespace(**{**known, **rest, **changes})


def small_forests(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a table is learned by, small enough for a test of everything around it."""
    monkeypatch.setattr(surrogate, "TREES", 25)
    monkeypatch.setattr(oracles, "SOBOL", 128)
    tune._ground.cache_clear()


def space(**limits: tuple[int, int]) -> SearchSpace:
    """Whole numbers by name."""
    return SearchSpace(tuple(Knob(n, minimum=Fraction(a), maximum=Fraction(b)) for n, (a, b) in limits.items()))


def at(**values: int) -> Setting:
    return Setting({name: Fraction(value) for name, value in values.items()})


def task_of(
    space: SearchSpace,
    start: Setting,
    truth: Callable[[Setting], float],
    *,
    price: Callable[[Setting], float] = lambda setting: 1.0,
    better: str = "Higher",
    sd: float = 0.0,
    least: str = "0",
    steps: int = 8,
    **more: Any,
) -> Task:
    """A task that is a formula. The spec's columns are never read."""
    metric = {"column": "rate", "better": better}
    spec = spec_of(metric=metric, least=least, steps=steps, price=None)
    return Task(
        spec=spec,
        space=space,
        start=start,
        start_name="good",
        model_seed=0,
        true=lambda settings: np.array([truth(each) for each in settings], dtype=np.float64),
        noise_sd=lambda setting: sd,
        price=price,
        logs=frozenset(),
        **more,
    )
