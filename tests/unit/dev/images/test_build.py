"""A build reuses what did not change, and one checkout never gets another's image."""

from __future__ import annotations

import hashlib
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from dev.images import build, debian, python
from dev.images.__main__ import main
from dev.images.debian import BuildError
from dev.images.recipes import Base, Copy, Python, Recipe

BASE = Base("trixie", ("tool",))
RECIPE = Recipe("tool", "docker.io/local/tool:dev", 65532, ("/opt/tool",), BASE, (Copy("code", "/opt/code"),))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with some code, and a cache that already holds the base (a tar with one file)."""
    monkeypatch.setenv("PEGBOX_CACHE", str(tmp_path / "cache"))
    cache = build.image_cache()
    cache.mkdir(parents=True)
    (tmp_path / "hosts").write_text("x")
    with tarfile.open(cache / f"base-trixie-{debian.base_key(BASE, 65532)}.tar", "w") as base:
        base.add(tmp_path / "hosts", "etc/hosts")
    (tmp_path / "one/code").mkdir(parents=True)
    (tmp_path / "one/code/run.sh").write_text("echo 1\n")
    return tmp_path / "one"


def _layers(archive: Path) -> list[str]:
    """The layers' digests, as the archive's own manifest gives them; each must be what it says."""
    with tarfile.open(archive) as opened:

        def blob(digest: str) -> bytes:
            stream = opened.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert stream is not None
            content = stream.read()
            assert digest == "sha256:" + hashlib.sha256(content).hexdigest()
            return content

        index = opened.extractfile("index.json")
        assert index is not None
        manifest = json.loads(blob(json.loads(index.read())["manifests"][0]["digest"]))
        layers = [layer["digest"] for layer in manifest["layers"]]
        assert all(blob(layer) for layer in layers)
        return layers


class TestABuild:
    def test_of_the_same_content_is_reused(self, repository: Path) -> None:
        first, second = build.build(RECIPE, repository=repository), build.build(RECIPE, repository=repository)
        assert (first.reused, second.reused) == (False, True)
        assert second.digest == first.digest

    def test_after_a_change_of_code_keeps_the_base_and_replaces_one_layer(self, repository: Path) -> None:
        before = _layers(build.build(RECIPE, repository=repository).path)
        (repository / "code/run.sh").write_text("echo 2\n")
        done = build.build(RECIPE, repository=repository)
        after = _layers(done.path)
        assert not done.reused
        assert (before[0], before[1] != after[1], len(after)) == (after[0], True, 2)

    def test_gives_the_same_digest_when_everything_is_built_anew(self, repository: Path) -> None:
        first = build.build(RECIPE, repository=repository)
        for layer in build.image_cache().glob("app-*.tar"):
            layer.unlink()
        first.path.unlink()
        again = build.build(RECIPE, repository=repository)
        assert (again.digest, again.reused) == (first.digest, False)

    @pytest.mark.parametrize(
        "other",
        [replace(RECIPE, entrypoint=("/opt/other",)), replace(RECIPE, env={"A": "b"}), replace(RECIPE, workdir="/tmp")],
        ids=["entrypoint", "environment", "folder"],
    )
    def test_with_another_setting_is_another_image(self, repository: Path, other: Recipe) -> None:
        first = build.build(RECIPE, repository=repository)
        assert build.build(other, repository=repository).digest != first.digest

    def test_of_another_checkout_leaves_this_ones_archive_alone(self, repository: Path) -> None:
        mine = build.build(RECIPE, repository=repository)
        other = repository.with_name("two")
        (other / "code").mkdir(parents=True)
        (other / "code/run.sh").write_text("echo other\n")
        theirs = build.build(RECIPE, repository=other)
        assert theirs.path != mine.path
        assert build.build(RECIPE, repository=repository).reused

    def test_goes_where_it_is_told(self, repository: Path, tmp_path: Path) -> None:
        assert build.build(RECIPE, tmp_path / "out", repository).path == tmp_path / "out/tool.oci.tar"


class TestRefusals:
    def test_a_lock_that_is_not_there_is_named(self, repository: Path) -> None:
        recipe = replace(RECIPE, python=Python("3.13", "requirements/gone.txt"))
        with pytest.raises(BuildError, match=r"requirements/gone\.txt of image tool is missing"):
            build.build(recipe, repository=repository)

    def test_uv_that_is_not_there_is_named_with_the_remedy(self, repository: Path) -> None:
        (repository / "requirements").mkdir()
        (repository / "requirements/uv.in").write_text("uv==9.9.9\n")
        with pytest.raises(BuildError, match=r"uv-9\.9\.9/bin/uv is missing: run `make venv`"):
            python.uv(repository)

    def test_an_unknown_image_ends_the_command_with_1(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["build", "nothing"]) == 1
        assert "image 'nothing' has no recipe" in capsys.readouterr().err


def test_clean_removes_all_and_says_how_much(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build.build(RECIPE, repository=repository)
    assert main(["clean"]) == 0
    assert not build.image_cache().exists()
    assert "MiB set free" in capsys.readouterr().out
