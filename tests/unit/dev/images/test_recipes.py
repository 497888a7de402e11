"""One recipe each: Dockerfile, recipe, chart and project say the same about an image."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from dev.cluster.paths import REPOSITORY
from dev.images import recipes
from dev.images.__main__ import docker_command
from dev.images.recipes import Recipe, RecipeError

KEYS = recipes.names()
WITH_PYTHON = [key for key in KEYS if recipes.load(key).python is not None]


def _dockerfile(recipe: Recipe) -> str:
    text = (REPOSITORY / recipe.dockerfile).read_text()
    return re.sub(r"\\\n\s*", " ", text)


def _last(instruction: str, text: str) -> str:
    return re.findall(rf"^{instruction} (.+)$", text, re.MULTILINE)[-1]


def test_every_image_of_the_project_has_a_recipe() -> None:
    assert KEYS == ["issue-service", "pegbox", "postgres", "redis"]


@pytest.mark.parametrize("key", KEYS)
class TestDockerfileAndRecipeAgree:
    def test_on_user_and_group(self, key: str) -> None:
        recipe = recipes.load(key)
        assert _last("USER", _dockerfile(recipe)) == f"{recipe.uid}:{recipe.uid}"
        assert f"useradd --uid {recipe.uid} --gid {recipe.uid} " in _dockerfile(recipe)

    def test_on_the_entrypoint(self, key: str) -> None:
        recipe = recipes.load(key)
        assert tuple(json.loads(_last("ENTRYPOINT", _dockerfile(recipe)))) == recipe.entrypoint

    def test_on_the_environment(self, key: str) -> None:
        recipe = recipes.load(key)
        assert dict(re.findall(r'(\w+)="([^"]*)"', _last("ENV", _dockerfile(recipe)))) == recipe.env

    def test_on_the_debian_release_of_every_stage(self, key: str) -> None:
        recipe = recipes.load(key)
        bases = re.findall(r"^FROM (\S+)", _dockerfile(recipe), re.MULTILINE)
        assert bases
        assert all(recipe.base.suite in base and ":latest" not in base and ":" in base for base in bases), bases

    def test_on_what_is_copied_where_and_with_which_mode(self, key: str) -> None:
        recipe = recipes.load(key)
        copied = re.findall(r"^COPY (?:--chmod=(\d+) )?(\S+) (/opt/\S+)$", _dockerfile(recipe), re.MULTILINE)
        found = {(source, target, int(mode or "0644", 8)) for mode, source, target in copied if ":" not in source}
        assert found == {(copy.source, copy.target, copy.mode) for copy in recipe.copies}

    def test_that_it_was_not_run_by_us(self, key: str) -> None:
        assert "Not run by us" in _dockerfile(recipes.load(key))

    def test_and_only_what_is_copied_is_sent_to_docker(self, key: str) -> None:
        recipe = recipes.load(key)
        allowed = [
            line[1:] for line in (REPOSITORY / f"{recipe.dockerfile}.dockerignore").read_text().splitlines()
            if line.startswith("!")
        ]  # fmt: skip
        sources = [copy.source for copy in recipe.copies] + ([recipe.python.lock] if recipe.python else [])
        assert all(any(source.startswith(path) for path in allowed) for source in sources)


@pytest.mark.parametrize("key", WITH_PYTHON)
class TestPythonImages:
    def test_dockerfile_and_recipe_agree_on_the_python_minor_version(self, key: str) -> None:
        recipe = recipes.load(key)
        assert recipe.python is not None
        bases = re.findall(r"^FROM python:(\d+\.\d+)-", _dockerfile(recipe), re.MULTILINE)
        assert bases == [recipe.python.version] * 2

    def test_dockerfile_and_recipe_agree_on_the_hashed_lock(self, key: str) -> None:
        recipe = recipes.load(key)
        assert recipe.python is not None
        assert f"COPY {recipe.python.lock} /tmp/lock.txt" in _dockerfile(recipe)
        assert "--require-hashes" in _dockerfile(recipe)
        assert "--only-binary :all:" in _dockerfile(recipe)

    def test_the_project_supports_the_python_of_the_image(self, key: str) -> None:
        recipe = recipes.load(key)
        assert recipe.python is not None
        project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
        assert f"Programming Language :: Python :: {recipe.python.version}" in project["classifiers"]

    def test_bytecode_is_written_at_build_time_and_never_at_run_time(self, key: str) -> None:
        recipe = recipes.load(key)
        assert recipe.env["PYTHONDONTWRITEBYTECODE"] == "1"
        assert "compileall -q --invalidation-mode unchecked-hash" in _dockerfile(recipe)

    def test_both_python_folders_are_found(self, key: str) -> None:
        assert recipes.load(key).env["PYTHONPATH"] == f"{recipes.APP}:{recipes.DEPENDENCIES}"


def test_all_python_images_share_one_base_layer() -> None:
    assert len({(recipes.load(key).base, recipes.load(key).uid) for key in WITH_PYTHON}) == 1


def test_the_operator_starts_what_pyproject_names_as_its_console_script() -> None:
    script = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]["pegbox"]
    module, function = script.split(":")
    assert f"from {module} import {function}" in (REPOSITORY / "images/pegbox/pegbox").read_text()
    assert module in (recipes.load("pegbox").python or pytest.fail("no Python")).smoke


def test_the_operator_image_carries_no_pandas() -> None:
    assert not re.search(r"^pandas==", (REPOSITORY / "requirements/operator.txt").read_text(), re.MULTILINE)


def test_docker_builds_from_the_repository_under_the_same_name() -> None:
    assert docker_command(recipes.load("redis")) == [
        "docker", "build", "--tag", "docker.io/local/redis:dev", "--file", "images/redis/Dockerfile", ".",
    ]  # fmt: skip


class TestRefusals:
    def _write(self, root: Path, text: str) -> Path:
        (root / "x").mkdir()
        (root / "x/recipe.toml").write_text(text)
        return root

    def test_an_unknown_image_is_answered_with_the_known_ones(self) -> None:
        with pytest.raises(RecipeError, match="'nothing' has no recipe: take one of issue-service, pegbox"):
            recipes.load("nothing")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            pytest.param('uid = 0\nentrypoint = ["x"]', "uid 0 must be", id="root"),
            pytest.param("uid = 1", "entrypoint", id="no entrypoint"),
            pytest.param('uid = 1\nentrypoint = ["x"]\nuser = "me"', "user", id="unknown field"),
            pytest.param("name = ", "Invalid value", id="not TOML"),
        ],
    )
    def test_a_wrong_recipe_is_named_with_its_field(self, tmp_path: Path, text: str, message: str) -> None:
        document = f'{text}\nname = "a"\n[base]\nsuite = "s"\npackages = []\n'
        with pytest.raises(RecipeError, match=message):
            recipes.load("x", self._write(tmp_path, document))
