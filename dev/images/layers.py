"""Reproducible layer tars: sorted names, root's ownership, one date, modes reduced to what matters.

The same content therefore gives the same digest on every build, and a node reuses the layer.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from dev.images.recipes import Copy, RecipeError

#: The date of every file in every layer: 2026-01-01, in seconds since 1970 (not 1970: zip refuses it).
EPOCH = 1767225600
_LEFT_OUT = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


def write_tree(tar: Path, root: Path, top: str) -> None:
    """Write everything below `root`/`top` as a layer; the folders that lead to it come first."""
    start = root / top.strip("/")
    parents = [parent for parent in reversed(start.relative_to(root).parents) if parent != Path()]
    temporary = tar.with_name(tar.name + ".part")
    with tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as layer:
        for path in [*(root / parent for parent in parents), start, *_below(start)]:
            _add(layer, path, path.relative_to(root).as_posix())
    temporary.replace(tar)


def copy_into(root: Path, repository: Path, copies: Iterable[Copy]) -> None:
    """Put the recipe's files below `root`, bytecode and caches left out."""
    for copy in copies:
        source, target = repository / copy.source, root / copy.target.lstrip("/")
        if source.is_dir():
            shutil.copytree(source, target, ignore=_ignored, dirs_exist_ok=True)
        elif source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            target.chmod(copy.mode)
        else:
            raise RecipeError(f"copy from {copy.source!r}: no such file or folder in the repository")


def content_key(repository: Path, copies: Iterable[Copy]) -> str:
    """A digest of all that `copy_into` would write: where it stays the same, the layer can be reused."""
    digest = hashlib.sha256()
    for copy in copies:
        source = repository / copy.source
        digest.update(f"{copy}\0".encode())
        for path in sorted(_files(source)):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(repository)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def _files(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
    for folder, folders, files in os.walk(source):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        yield from (Path(folder) / name for name in files if not name.endswith(".pyc"))


def _ignored(_folder: str, entries: list[str]) -> set[str]:
    return {entry for entry in entries if entry in _LEFT_OUT or entry.endswith(".pyc")}


def _below(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*")) if folder.is_dir() else []


def _add(layer: tarfile.TarFile, path: Path, name: str) -> None:
    entry = layer.gettarinfo(path, name)
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = EPOCH
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o111 else 0o644
    if entry.islnk():  # a hard link depends on where the file was seen first: store the content
        entry.type, entry.linkname, entry.size = tarfile.REGTYPE, "", path.stat().st_size
    if entry.isreg():
        with path.open("rb") as content:
            layer.addfile(entry, content)
    else:
        layer.addfile(entry)
