"""What is shipped as YAML, each file read once and by libyaml where it is there: many tests ask for the same files."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def documents(path: Path) -> tuple[dict[str, Any], ...]:
    """The documents of the file, without empty ones. Shared: who changes one takes a copy."""
    found = yaml.load_all(path.read_text(encoding="utf-8"), Loader=_LOADER)
    return tuple(document for document in found if document)
