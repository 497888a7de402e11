"""What one benchmark says: `{"meta": {...}, "runs": [...]}`, one flat row per run."""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pegbox import __version__
from pegbox.model.errors import InvalidInput

Run = dict[str, Any]
LIBRARIES = ("numpy", "scipy", "scikit-learn", "optuna")


@dataclass(frozen=True)
class Outcome:
    """`runs` are JSON objects with the keys that docs/benchmarks.md lists; `text` is what people read."""

    meta: Mapping[str, Any]
    runs: Sequence[Run]
    text: str = ""
    pictures: Mapping[str, str] = field(default_factory=dict)  # name -> SVG

    def json(self) -> str:
        """Floats that are not finite become null: no data is never zero, and JSON has no NaN."""
        return json.dumps({"meta": _plain(self.meta), "runs": _plain(list(self.runs))}, indent=1) + "\n"

    def write(self, path: Path) -> list[Path]:
        """The JSON, and each picture beside it. Raises InvalidInput where that cannot be."""
        written = {path: self.json()}
        written |= {path.with_name(f"{path.stem}-{name}.svg"): text for name, text in self.pictures.items()}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            for place, text in written.items():
                place.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InvalidInput("--json", str(path), f"name a file that can be written: {error.strerror}") from error
        return list(written)


def meta(bench: str, inputs: Mapping[str, Path], **more: Any) -> dict[str, Any]:
    """What a run depends on: versions, the sha256 of every file read, and whatever else the benchmark names."""
    return {
        "bench": bench,
        "pegbox": __version__,
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "sha256": {name: sha256(path) for name, path in sorted(inputs.items())},
        **more,
    }


def sha256(path: Path) -> str:
    """Of the file's bytes. Raises InvalidInput."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InvalidInput("file", str(path), f"name a file that can be read: {error.strerror}") from error


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else None
    return value
