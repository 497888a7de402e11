"""The base comes from the machine's own package sources, and is cached by all that decides it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from dev.images import debian, python
from dev.images.debian import BuildError
from dev.images.recipes import IMAGES, Base, Python, Recipe

BASE = Base("trixie", ("python3",), essential_hook="true", exclude=("/x/*",))
TARGETS = """\
http://packages.test/thing|Other|Other
http://mirror.test/debian/|Debian|Debian
http://mirror.test/debian/|Debian|Debian
http://mirror.test/debian-security/|Debian|Debian-Security
"""


class TestSources:
    def test_are_those_of_the_machine_for_the_recipes_release(self) -> None:
        assert debian.sources("trixie", TARGETS) == [
            "deb http://mirror.test/debian trixie main",
            "deb http://mirror.test/debian trixie-updates main",
            "deb http://mirror.test/debian-security trixie-security main",
        ]

    def test_go_without_security_updates_where_the_machine_has_no_source_for_them(self) -> None:
        assert debian.sources("trixie", "http://m.test/debian/|Debian|Debian") == [
            "deb http://m.test/debian trixie main",
            "deb http://m.test/debian trixie-updates main",
        ]

    @pytest.mark.parametrize("targets", ["", "http://archive.test/|Ubuntu|Ubuntu"], ids=["none", "another system's"])
    def test_missing_is_said_with_the_remedy(self, targets: str) -> None:
        with pytest.raises(BuildError, match=r"no Debian archive.*add one"):
            debian.sources("trixie", targets)

    def test_no_package_archive_is_named_in_what_is_committed(self) -> None:
        committed = [*IMAGES.rglob("*"), *(IMAGES.parent / "dev/images").glob("*.py")]
        for path in committed:
            if path.is_file() and path.suffix != ".pyc":
                assert not re.search(r"https?://", path.read_text()), path


class TestKeys:
    @pytest.mark.parametrize(
        "other",
        [
            replace(BASE, suite="sid"),
            replace(BASE, packages=("python3", "curl")),
            replace(BASE, essential_hook=""),
            replace(BASE, exclude=()),
        ],
        ids=["suite", "packages", "hook", "exclude"],
    )
    def test_of_the_base_change_with_every_fact(self, other: Base) -> None:
        assert debian.base_key(other, 65532) != debian.base_key(BASE, 65532)

    def test_of_the_base_change_with_the_user(self) -> None:
        assert debian.base_key(BASE, 1000) != debian.base_key(BASE, 65532)

    def test_of_the_dependencies_change_with_lock_python_and_base_and_not_with_the_code(self) -> None:
        wanted = Python("3.13", "lock.txt")
        recipe = Recipe("x", "docker.io/local/x:dev", 65532, ("x",), BASE, python=wanted)
        first = python.dependencies_key(recipe, wanted, b"a==1")
        assert python.dependencies_key(replace(recipe, entrypoint=("y",)), wanted, b"a==1") == first
        assert python.dependencies_key(recipe, wanted, b"a==2") != first
        assert python.dependencies_key(recipe, replace(wanted, version="3.12"), b"a==1") != first
        assert python.dependencies_key(replace(recipe, uid=1), wanted, b"a==1") != first


class TestCommands:
    def test_leave_out_what_differs_from_machine_to_machine(self) -> None:
        command = debian.command(BASE, 65532, Path("base.tar"), ["deb x"])
        assert "--skip=output/dev" in command
        cleaning = command[-5]
        assert all(name in cleaning for name in ("resolv.conf", "hostname", "sources.list"))

    def test_install_wheels_for_the_images_python_with_their_hashes_alone(self) -> None:
        command = python.install_command(Path("uv"), Python("3.13", "l"), Path("l"), Path("t"))
        assert "--require-hashes" in command
        assert "--no-build" in command
        assert command[command.index("--python-version") + 1] == "3.13"
        assert command[command.index("--python-platform") + 1].endswith("-manylinux_2_28")
