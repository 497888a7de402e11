"""`python3 -m dev.images list | build NAME... [--out DIR] | docker NAME... | clean`, on the system's Python."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from dev.cluster.paths import REPOSITORY
from dev.images import recipes
from dev.images.build import build, clean
from dev.images.debian import BuildError
from dev.images.recipes import Recipe, RecipeError


def docker_command(recipe: Recipe) -> list[str]:
    """The same image with Docker, from the repository's root. Not run by us: our machines have no Docker."""
    return ["docker", "build", "--tag", recipe.name, "--file", recipe.dockerfile, "."]


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 when all was built, 1 when something failed, 2 for a wrong call."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (BuildError, RecipeError, subprocess.CalledProcessError, OSError) as error:
        print(f"images: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m dev.images", description=__doc__)
    commands = parser.add_subparsers(required=True)
    for name, action, text in (
        ("build", _build, "build without Docker, as OCI archives"),
        ("docker", _docker, "build with Docker from the Dockerfile (not run by us)"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("names", nargs="*", help="images (default: all)")
        command.set_defaults(run=action)
        if name == "build":
            command.add_argument("--out", type=Path, help="where the archives go (default: the cache)")
    commands.add_parser("list", help="the images and their names").set_defaults(run=_list)
    commands.add_parser("clean", help="remove all cached layers and archives").set_defaults(run=_clean)
    return parser


def _build(options: argparse.Namespace) -> int:
    for key in options.names or recipes.names():
        recipe = recipes.load(key)
        started = time.monotonic()
        print(f"images: {key}: building", file=sys.stderr, flush=True)
        done = build(recipe, options.out)
        seconds = time.monotonic() - started
        word = "unchanged" if done.reused else "built"
        print(f"{done.name} {done.path} {done.digest} {done.size >> 20} MiB {word} in {seconds:.1f} s", flush=True)
    return 0


def _docker(options: argparse.Namespace) -> int:
    for key in options.names or recipes.names():
        subprocess.run(docker_command(recipes.load(key)), cwd=REPOSITORY, check=True)
    return 0


def _list(_options: argparse.Namespace) -> int:
    for key in recipes.names():
        print(key, recipes.load(key).name)
    return 0


def _clean(_options: argparse.Namespace) -> int:
    print(f"images: {clean() >> 20} MiB set free")
    return 0


if __name__ == "__main__":
    sys.exit(main())
