"""What an image is made of: the facts of images/<name>/recipe.toml, read and checked.

The Dockerfile beside it states the same facts for machines with Docker; tests hold the two together.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dev.cluster.paths import REPOSITORY

IMAGES = REPOSITORY / "images"
#: Where Python's dependencies and the project's own code stand in an image; both are on PYTHONPATH.
DEPENDENCIES, APP = "/opt/pegbox/deps", "/opt/pegbox/app"


class RecipeError(ValueError):
    """A recipe says something that cannot be built; the message names the file, the field and the remedy."""


@dataclass(frozen=True)
class Base:
    """A Debian root file system.

    `essential_hook` is shell run before the packages are set up ($1: its root); `exclude` are paths of
    packages, with `*`, that are left out.
    """

    suite: str
    packages: tuple[str, ...]
    essential_hook: str = ""
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class Python:
    """What Python needs. `smoke` are modules that must import in the finished image, as its user."""

    version: str
    lock: str
    smoke: tuple[str, ...] = ()


@dataclass(frozen=True)
class Copy:
    """A file or folder of the repository, and where it goes. Folders leave out bytecode."""

    source: str
    target: str
    mode: int = 0o644


@dataclass(frozen=True)
class Recipe:
    """One image. `uid` is both user and group; `env` is the container's whole environment."""

    key: str
    name: str
    uid: int
    entrypoint: tuple[str, ...]
    base: Base
    copies: tuple[Copy, ...] = ()
    python: Python | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"

    @property
    def dockerfile(self) -> str:
        """Relative to the repository, which is the build's context."""
        return f"images/{self.key}/Dockerfile"


def names(root: Path = IMAGES) -> list[str]:
    """Every image that has a recipe."""
    return sorted(path.parent.name for path in root.glob("*/recipe.toml"))


def load(key: str, root: Path = IMAGES) -> Recipe:
    """The recipe of one image; RecipeError where there is none, or where it holds an unknown field."""
    path = root / key / "recipe.toml"
    if not path.is_file():
        raise RecipeError(f"image {key!r} has no recipe: take one of {', '.join(names(root))}")
    try:
        document = tomllib.loads(path.read_text())
        return _recipe(key, document)
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise RecipeError(f"{path}: {error}: correct the field, see the recipes beside it") from error


def _recipe(key: str, document: dict[str, Any]) -> Recipe:
    base = document.pop("base")
    python = document.pop("python", None)
    copies = [_copy(entry) for entry in document.pop("copy", [])]
    entrypoint = tuple(document.pop("entrypoint"))
    uid = document.pop("uid")
    if not isinstance(uid, int) or uid <= 0:
        raise RecipeError(f"images/{key}/recipe.toml: uid {uid!r} must be a positive number: never root")
    return Recipe(
        key=key,
        uid=uid,
        entrypoint=entrypoint,
        base=Base(**{name: _frozen(value) for name, value in base.items()}),
        python=None if python is None else Python(**{name: _frozen(value) for name, value in python.items()}),
        copies=tuple(copies),
        **document,
    )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _copy(entry: dict[str, Any]) -> Copy:
    mode = int(entry.pop("mode", "0644"), 8)
    return Copy(source=entry.pop("from"), target=entry.pop("to"), mode=mode, **entry)
