"""Programs are pinned, keyed by all that decides them, and built only where a level needs them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.cluster import build, toolchain, tools
from dev.cluster.errors import ClusterError
from dev.cluster.tools import LEVELS, TOOLS, Tool, pinned_version


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PEGBOX_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_every_program_is_pinned_with_hashes(name: str) -> None:
    tool = TOOLS[name]
    if tool.module == "pause":
        return
    assert (tool.directory / "go.sum").exists()
    assert re.fullmatch(r"v\d+\.\d+\.\d+", tool.version)


def test_the_kubernetes_programs_report_their_version() -> None:
    version = TOOLS["kube-apiserver"].version

    assert version.startswith("v1.36.")
    assert f"gitVersion={version}" in TOOLS["kubectl"].ldflags
    assert "gitMajor=1 " in TOOLS["kubectl"].ldflags
    assert "gitMinor=36" in TOOLS["kubectl"].ldflags


def test_the_oldest_api_server_is_built_alone_and_says_its_version() -> None:
    oldest = tools.api_server(tools.OLDEST)
    assert oldest.version.startswith(f"v{tools.OLDEST}.")
    assert f"gitMinor={tools.OLDEST.partition('.')[2]}" in oldest.ldflags
    assert LEVELS["oldest"] == ("etcd", oldest.name, "kubectl")
    assert oldest.name not in LEVELS["node"]


def test_the_newest_api_server_is_the_one_of_every_cluster() -> None:
    assert tools.api_server(tools.NEWEST) is TOOLS["kube-apiserver"]
    assert TOOLS["kube-apiserver"].version.startswith(f"v{tools.NEWEST}.")
    with pytest.raises(ClusterError, match=r"1\.20.*take 1\.36 or 1\.33"):
        tools.api_server("1.20")


def test_contract_tests_build_no_kubelet() -> None:
    assert LEVELS["control"] == ("etcd", "kube-apiserver", "kubectl")
    assert set(LEVELS["control"]) < set(LEVELS["controllers"]) < set(LEVELS["node"])
    assert not {"kwok", "helm3"} & set(LEVELS["node"])


def test_a_binary_has_a_place_of_its_own_for_each_set_of_flags(cache: Path) -> None:
    runc = TOOLS["runc"]
    without = Tool(runc.name, runc.module, runc.package, runc.pinned, runc.cold, "", runc.cgo)

    assert runc.path != without.path
    assert runc.path.parent.parent == cache / "bin"
    assert runc.path.parent.name.startswith(f"runc-{runc.version}-")


def test_what_is_built_is_not_built_again() -> None:
    etcd = TOOLS["etcd"]
    assert tools.unbuilt([etcd]) == [etcd]
    etcd.path.parent.mkdir(parents=True)
    etcd.path.touch()
    assert tools.unbuilt([etcd]) == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("require example.org/a v1.2.3\n", id="on a line of its own"),
        pytest.param("require (\n\texample.org/a/b v9.9.9\n\texample.org/a v1.2.3 // indirect\n)\n", id="in a block"),
    ],
)
def test_the_pinned_version_is_read(text: str) -> None:
    assert pinned_version(text, "example.org/a") == "v1.2.3"


def test_a_module_that_is_not_required_is_named() -> None:
    with pytest.raises(ClusterError, match=r"example\.org/b"):
        pinned_version("require example.org/a v1.2.3\n", "example.org/b")


@pytest.mark.parametrize("ask", [lambda: tools.tool("kubeadm"), lambda: tools.level("everything")])
def test_an_unknown_name_is_answered_with_the_known(ask: object) -> None:
    with pytest.raises(ClusterError, match="is not known: take one of"):
        ask()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.27 linux/arm64", (1, 27, 0)),
        ("go version go1.9rc1 x", (1, 9, 0)),
        ("command not found", None),
    ],
)
def test_gos_version_is_read(text: str, version: tuple[int, int, int] | None) -> None:
    assert toolchain.version_of(text) == version


def test_the_go_that_is_fetched_is_new_enough_for_every_module() -> None:
    pinned = tuple(int(part) for part in toolchain.PINNED.split("."))
    assert pinned >= toolchain.LEAST
    for tool in TOOLS.values():
        found = re.search(r"^go (\d+)\.(\d+)(?:\.(\d+))?$", (tool.directory / "go.mod").read_text(), re.MULTILINE)
        assert found is not None
        asked = (int(found[1]), int(found[2]), int(found[3] or 0))
        assert asked <= toolchain.LEAST, tool.name


def some(cold: int) -> Tool:
    return Tool(f"t{cold}", "etcd", ".", "go.etcd.io/etcd/server/v3", cold)


@pytest.fixture
def progress() -> Iterator[build.Progress]:
    yield build.Progress([some(60), some(120), some(30)], lambda line: None)


def test_the_first_estimate_is_the_known_times(progress: build.Progress) -> None:
    assert progress.left(progress.tools[0], elapsed=0.0, seconds=0.0) == 60 + 120 + 30


def test_a_machine_twice_as_slow_moves_the_estimate(progress: build.Progress) -> None:
    progress.finish(progress.tools[0])
    # 120 s went into what is known to take 60: pace (120 + 60) / (60 + 60) = 1.5; left (120 + 30) x 1.5 = 225.
    assert progress.left(progress.tools[1], elapsed=120.0, seconds=0.0) == 225


def test_a_program_that_takes_longer_than_known_leaves_no_negative_time(progress: build.Progress) -> None:
    assert progress.left(progress.tools[0], elapsed=500.0, seconds=500.0) == 120 + 30


def test_a_step_shows_elapsed_left_disk_and_cache(cache: Path) -> None:
    lines: list[str] = []
    build.Progress([some(60)], lines.append).step(some(60), 0.0)

    for part in ("[1/1] t60 v3.", "elapsed", "left", "GiB of disk free", str(cache)):
        assert part in lines[0]


def test_a_build_fetches_no_toolchain_behind_our_back() -> None:
    assert build.environment(TOOLS["etcd"])["GOTOOLCHAIN"] == "local"
    assert build.environment(TOOLS["etcd"])["CGO_ENABLED"] == "0"
    assert build.environment(TOOLS["runc"])["CGO_ENABLED"] == "1"
