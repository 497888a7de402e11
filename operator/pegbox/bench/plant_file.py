"""A plant of the user's own: `FILE.py:Class`.

Loading one runs the file as Python, with all the rights of whoever runs the benchmark. Nothing else in Pegbox runs a
user's code; the operator never does.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import SearchSpace, Setting
from pegbox.testing.plants import SHIPPED, MakePlant
from pegbox.testing.plants.knobs import faults
from pegbox.testing.plants.protocol import MEMBERS, Plant

FIELD = "--plant"


def load(text: str) -> tuple[str, MakePlant]:
    """The name to show, and the class. `text` is a shipped plant's name or FILE.py:Class. Raises InvalidInput."""
    if text in SHIPPED:
        return text, SHIPPED[text]
    file, colon, name = text.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        known = ", ".join(SHIPPED)
        raise InvalidInput(FIELD, text, f"write FILE.py:Class, or one of the shipped plants: {known}")
    return text, _checked(text, _class(text, _run(Path(file)), name))


class _Source(SourceFileLoader):
    """A file of the user's: read anew each time, and nothing written beside it.

    Bytecode is taken for the file's as long as size and second are: a plant corrected at once would run as it was.
    """

    def path_stats(self, path: str) -> Mapping[str, Any]:
        raise OSError("no bytecode")  # what the import system takes for "keep none"


def _run(path: Path) -> ModuleType:
    """The module. It stays known by its name, as dataclasses and pickles in it need."""
    if not path.is_file():
        raise InvalidInput(FIELD, str(path), "name a Python file that exists")
    name = f"pegbox_plant_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_Source(name, str(path)))
    if spec is None or spec.loader is None:
        raise InvalidInput(FIELD, str(path), "name a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the file is the user's: whatever it raises is said in one line
        del sys.modules[name]
        raise InvalidInput(FIELD, str(path), f"it does not run: {type(error).__name__}: {error}") from error
    return module


def _class(text: str, module: ModuleType, name: str) -> type:
    found = getattr(module, name, None)
    if not isinstance(found, type):
        known = ", ".join(sorted(key for key, value in vars(module).items() if _own(value, module))) or "none"
        raise InvalidInput(FIELD, text, f"the file has no class {name}; it has: {known}")
    return found


def _own(value: object, module: ModuleType) -> bool:
    return isinstance(value, type) and value.__module__ == module.__name__


def _checked(text: str, made: type) -> MakePlant:
    """A class that can be made with a seed, has every member, and starts inside its own space."""
    try:
        plant = made(0)
    except Exception as error:
        remedy = f"it cannot be made with a seed, {made.__name__}(0): {type(error).__name__}: {error}"
        raise InvalidInput(FIELD, text, remedy) from error
    lacking = [member for member in MEMBERS if not hasattr(plant, member)]
    if lacking:
        remedy = f"it lacks {', '.join(lacking)}; see pegbox.testing.plants.protocol, or derive from base.Workload"
        raise InvalidInput(FIELD, text, remedy)
    _start(text, cast(Plant, plant))
    return cast(MakePlant, made)


def _start(text: str, plant: Plant) -> None:
    if not isinstance(plant.space, SearchSpace) or not plant.space.knobs:
        raise InvalidInput(FIELD, text, "its space is no SearchSpace with knobs")
    if not isinstance(plant.start, Setting):
        raise InvalidInput(FIELD, text, "its start is no Setting")
    found = faults(plant.space, tuple(plant.rules), plant.start)
    if found:
        raise InvalidInput(FIELD, text, f"its start is not in its own space: {found[0]}")
