"""From a recipe to an OCI archive: base, dependencies, app; each layer from the cache where nothing changed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev.cluster import oci
from dev.cluster.paths import REPOSITORY, cache_root, checkout_name
from dev.images import debian, layers, python
from dev.images.recipes import Recipe


@dataclass(frozen=True)
class Archive:
    """A built image. `digest` is its manifest's; `reused` says that nothing had changed."""

    name: str
    path: Path
    digest: str
    reused: bool

    @property
    def size(self) -> int:
        """Bytes of the archive; layers are stored uncompressed, since it never leaves the machine."""
        return self.path.stat().st_size


def image_cache() -> Path:
    """Where layers are kept, outside the repository, for all checkouts of this machine."""
    return cache_root() / "images"


def archives(repository: Path = REPOSITORY) -> Path:
    """Where this checkout's archives go by default: apart from those of another, whose code differs."""
    return image_cache() / "archives" / checkout_name(repository)


def build(recipe: Recipe, out: Path | None = None, repository: Path = REPOSITORY) -> Archive:
    """Build one image, and give the archive `<key>.oci.tar` in `out` (default: `archives()`)."""
    cache = image_cache()
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / ".lock"):
        stack = _layers(recipe, repository, cache)
        return _archive(recipe, stack, out or archives(repository))


def _layers(recipe: Recipe, repository: Path, cache: Path) -> list[Path]:
    base = debian.build(recipe.base, recipe.uid, cache)
    if recipe.python is not None:
        deps, root = python.dependencies(recipe, recipe.python, repository, cache)
        return [base, deps, python.app(recipe, root, repository, cache)]
    if not recipe.copies:
        return [base]
    return [base, _files(recipe, repository, cache)]


def _files(recipe: Recipe, repository: Path, cache: Path) -> Path:
    """The layer of an image without Python: the recipe's files as they are, all below one folder."""
    layer = cache / f"app-{recipe.key}-{layers.content_key(repository, recipe.copies)}.tar"
    if not layer.exists():
        with tempfile.TemporaryDirectory(dir=cache) as root:
            layers.copy_into(Path(root), repository, recipe.copies)
            layers.write_tree(layer, Path(root), "opt")
    return layer


def _archive(recipe: Recipe, stack: list[Path], out: Path) -> Archive:
    out.mkdir(parents=True, exist_ok=True)
    path, note = out / f"{recipe.key}.oci.tar", out / f"{recipe.key}.json"
    facts = [recipe.name, recipe.uid, recipe.entrypoint, dict(recipe.env), recipe.workdir, *map(str, stack)]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    known = json.loads(note.read_text()) if note.exists() and path.exists() else {}
    if known.get("key") == key:
        return Archive(recipe.name, path, known["digest"], reused=True)
    note.unlink(missing_ok=True)
    digest = oci.write_archive(
        path,
        name=recipe.name,
        layers=stack,
        entrypoint=recipe.entrypoint,
        env=recipe.env,
        user=f"{recipe.uid}:{recipe.uid}",
        workdir=recipe.workdir,
    )
    note.write_text(json.dumps({"key": key, "digest": digest}))
    return Archive(recipe.name, path, digest, reused=False)


def clean() -> int:
    """Remove every cached layer and archive; gives the bytes set free."""
    cache = image_cache()
    freed = sum(path.lstat().st_size for path in cache.rglob("*") if path.is_file() and not path.is_symlink())
    shutil.rmtree(cache, ignore_errors=True)
    return freed


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One build at a time on a machine: two clones share the cache."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
