"""Layers reproduce: the same content gives the same bytes, whatever the machine did to its dates and order."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from dev.images import layers
from dev.images.recipes import Copy, RecipeError


def _tree(root: Path, order: list[str]) -> Path:
    for name in order:
        path = root / "opt/pegbox/app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    return root


def _names(tar: Path) -> list[str]:
    with tarfile.open(tar) as layer:
        return layer.getnames()


class TestTheSameContentGivesTheSameBytes:
    def test_for_other_dates_another_order_of_writing_and_another_umask(self, tmp_path: Path) -> None:
        one = _tree(tmp_path / "one", ["b.py", "a/x.py", "a.py"])
        two = _tree(tmp_path / "two", ["a.py", "a/x.py", "b.py"])
        os.utime(two / "opt/pegbox/app/b.py", (1, 1))
        (two / "opt/pegbox/app/a.py").chmod(0o600)
        layers.write_tree(tmp_path / "one.tar", one, "/opt/pegbox/app")
        layers.write_tree(tmp_path / "two.tar", two, "/opt/pegbox/app")
        assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()

    def test_and_for_hard_links_which_a_cache_may_have_made(self, tmp_path: Path) -> None:
        one, two = tmp_path / "one", tmp_path / "two"
        for root in (one, two):
            (root / "opt").mkdir(parents=True)
            (root / "opt/a").write_text("same\n")
        (one / "opt/b").write_text("same\n")
        (two / "opt/b").hardlink_to(two / "opt/a")
        layers.write_tree(tmp_path / "one.tar", one, "opt")
        layers.write_tree(tmp_path / "two.tar", two, "opt")
        assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()

    def test_but_not_for_other_content(self, tmp_path: Path) -> None:
        one, two = _tree(tmp_path / "one", ["a.py"]), _tree(tmp_path / "two", ["a.py"])
        (two / "opt/pegbox/app/a.py").write_text("# b.py\n")
        layers.write_tree(tmp_path / "one.tar", one, "/opt/pegbox/app")
        layers.write_tree(tmp_path / "two.tar", two, "/opt/pegbox/app")
        assert (tmp_path / "one.tar").read_bytes() != (tmp_path / "two.tar").read_bytes()


class TestALayer:
    def test_holds_the_folders_that_lead_to_it_and_nothing_beside_them(self, tmp_path: Path) -> None:
        root = _tree(tmp_path / "root", ["a.py"])
        (root / "etc").mkdir()
        layers.write_tree(tmp_path / "layer.tar", root, "/opt/pegbox/app")
        assert _names(tmp_path / "layer.tar") == ["opt", "opt/pegbox", "opt/pegbox/app", "opt/pegbox/app/a.py"]

    def test_belongs_to_root_and_keeps_what_is_executable(self, tmp_path: Path) -> None:
        root = _tree(tmp_path / "root", ["run", "read"])
        (root / "opt/pegbox/app/run").chmod(0o700)
        layers.write_tree(tmp_path / "layer.tar", root, "/opt/pegbox/app")
        with tarfile.open(tmp_path / "layer.tar") as layer:
            assert {(entry.uid, entry.gid, entry.uname) for entry in layer} == {(0, 0, "")}
            assert layer.getmember("opt/pegbox/app/run").mode == 0o755
            assert layer.getmember("opt/pegbox/app/read").mode == 0o644


class TestCopies:
    def test_leave_out_bytecode_and_caches(self, tmp_path: Path) -> None:
        source = tmp_path / "repository/code"
        for name in ("a.py", "__pycache__/a.pyc", ".mypy_cache/x", "sub/b.py", "sub/b.pyc"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text("x")
        layers.copy_into(tmp_path / "root", tmp_path / "repository", [Copy("code", "/opt/code")])
        copied = {path.relative_to(tmp_path / "root/opt/code").as_posix() for path in (tmp_path / "root").rglob("*.*")}
        assert copied == {"a.py", "sub/b.py"}

    def test_of_something_that_is_not_there_name_it(self, tmp_path: Path) -> None:
        with pytest.raises(RecipeError, match="copy from 'gone': no such file"):
            layers.copy_into(tmp_path, tmp_path, [Copy("gone", "/opt/gone")])

    def test_give_another_key_exactly_when_something_that_is_copied_changes(self, tmp_path: Path) -> None:
        (tmp_path / "code/__pycache__").mkdir(parents=True)
        (tmp_path / "code/a.py").write_text("1")
        copies = [Copy("code", "/opt/code")]
        first = layers.content_key(tmp_path, copies)
        (tmp_path / "code/__pycache__/a.cpython-313.pyc").write_text("bytecode")
        assert layers.content_key(tmp_path, copies) == first
        assert layers.content_key(tmp_path, [Copy("code", "/opt/other")]) != first
        (tmp_path / "code/a.py").write_text("2")
        assert layers.content_key(tmp_path, copies) != first
