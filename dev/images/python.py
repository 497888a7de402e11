"""The two Python layers: the lock's wheels, and the project's code; both compiled by the image's own Python.

Bytecode is written at build time because the container's root is read-only: otherwise every start would
compile some 5,000 modules again. It carries the source's hash instead of its date, so that it reproduces.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dev.cluster.paths import cache_root
from dev.images import debian, layers
from dev.images.debian import BuildError
from dev.images.recipes import APP, DEPENDENCIES, Python, Recipe

#: Folders of wheels that no program needs at run time, wherever they stand.
_PRUNED = ("tests",)
_FORM = 1


def uv(repository: Path) -> Path:
    """The pinned uv that `make venv` installs."""
    pinned = re.search(r"^uv==(\S+)", (repository / "requirements/uv.in").read_text(), re.MULTILINE)
    if pinned is None:
        raise BuildError("requirements/uv.in pins no uv: write uv==VERSION")
    path = cache_root() / f"uv-{pinned[1]}" / "bin" / "uv"
    if not path.exists():
        raise BuildError(f"{path} is missing: run `make venv` first")
    return path


def install_command(program: Path, python: Python, lock: Path, target: Path) -> list[str]:
    """Wheels alone, each with its hash, for the image's Python and not for the one that runs this."""
    return [
        str(program), "pip", "install", "--quiet", "--no-build", "--require-hashes", "--link-mode", "copy",
        "--python-version", python.version, "--python-platform", f"{platform.machine()}-manylinux_2_28",
        "--target", str(target), "-r", str(lock),
    ]  # fmt: skip


def dependencies_key(recipe: Recipe, python: Python, lock: bytes) -> str:
    """A digest of all that decides the dependencies' layer."""
    digest = hashlib.sha256(lock)
    facts = (_FORM, _PRUNED, python.version, platform.machine(), debian.base_key(recipe.base, recipe.uid))
    digest.update(repr(facts).encode())
    return digest.hexdigest()[:16]


def dependencies(recipe: Recipe, python: Python, repository: Path, cache: Path) -> tuple[Path, Path]:
    """The layer of the lock's wheels, and the unpacked root file system that holds them."""
    lock = repository / python.lock
    if not lock.is_file():
        raise BuildError(f"{python.lock} of image {recipe.key} is missing: compile it with `make lock`")
    key = dependencies_key(recipe, python, lock.read_bytes())
    layer, root = cache / f"deps-{recipe.key}-{key}.tar", cache / f"root-{recipe.key}-{key}"
    if layer.exists() and root.exists():
        return layer, root
    base = debian.build(recipe.base, recipe.uid, cache)
    shutil.rmtree(root, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="root-", dir=cache) as work:
        fresh = Path(work) / "root"
        debian.extract(base, fresh)
        _same_python(fresh, python)
        target = fresh / DEPENDENCIES.lstrip("/")
        _run(install_command(uv(repository), python, lock, target), f"installing {python.lock}")
        _prune(target)
        _compile(fresh, DEPENDENCIES)
        layers.write_tree(layer, fresh, DEPENDENCIES)
        fresh.replace(root)
    _forget_old(recipe, cache)
    return layer, root


def _forget_old(recipe: Recipe, cache: Path) -> None:
    """Keep the two newest sets of dependencies: a lock that goes back and forth stays cheap, a disk stays free."""
    newest = sorted(cache.glob(f"deps-{recipe.key}-*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
    for layer in newest[2:]:
        layer.unlink()
        shutil.rmtree(cache / layer.name.replace("deps-", "root-", 1).removesuffix(".tar"), ignore_errors=True)


def app(recipe: Recipe, root: Path, repository: Path, cache: Path) -> Path:
    """The layer of the project's own files; where Python stands in the image, compiled and imported once."""
    seen = hashlib.sha256((root.name + layers.content_key(repository, recipe.copies)).encode()).hexdigest()[:16]
    layer = cache / f"app-{recipe.key}-{seen}.tar"
    if layer.exists():
        return layer
    own = root / APP.lstrip("/")
    shutil.rmtree(own, ignore_errors=True)
    layers.copy_into(root, repository, recipe.copies)
    _compile(root, APP)
    if recipe.python is not None:
        _smoke(root, recipe, recipe.python.smoke)
    for old in cache.glob(f"app-{recipe.key}-*.tar"):
        with suppress(FileNotFoundError):
            old.unlink()
    layers.write_tree(layer, root, APP)
    return layer


def _same_python(root: Path, python: Python) -> None:
    if not (root / "usr/bin" / f"python{python.version}").exists():
        there = sorted(path.name for path in (root / "usr/bin").glob("python3.*"))
        raise BuildError(f"the recipe says Python {python.version}, the base has {there}: change one of them")


def _prune(target: Path) -> None:
    for folder in [path for path in target.rglob("*") if path.is_dir() and path.name in _PRUNED]:
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(target / "bin", ignore_errors=True)  # scripts that name the builder's interpreter
    (target / ".lock").unlink(missing_ok=True)


def _compile(root: Path, folder: str) -> None:
    inside(root, 0, ["python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", folder])


def _smoke(root: Path, recipe: Recipe, modules: Sequence[str]) -> None:
    imports = "; ".join(f"import {module}" for module in modules)
    environment = {"PYTHONDONTWRITEBYTECODE": "1", **recipe.env}
    inside(root, recipe.uid, ["python3", "-c", imports], environment)


def inside(root: Path, uid: int, command: Sequence[str], env: dict[str, str] | None = None) -> str:
    """Run a program of the root file system in it, as `uid`; BuildError with what it said where it fails."""
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", **(env or {})}
    settings = [f"{name}={value}" for name, value in environment.items()]
    chroot = ["chroot", f"--userspec={uid}:{uid}", str(root), "env", "-i", *settings, *command]
    return _run(chroot, f"{' '.join(command)[:80]} in the image")


def _run(command: Sequence[str], what: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{what} failed:\n{(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout
