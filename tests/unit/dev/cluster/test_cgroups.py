"""The cgroup root of the development cluster's pods."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.cluster import cgroups


@pytest.mark.parametrize(
    ("name", "fresh", "wanted"),
    [
        pytest.param("cpu.shares", "1024", "8192", id="cgroup v1"),
        pytest.param("cpu.weight", "100", "800", id="cgroup v2"),
    ],
)
def test_all_pods_together_weigh_as_much_as_eight_processes(tmp_path: Path, name: str, fresh: str, wanted: str) -> None:
    (tmp_path / name).write_text(fresh)
    cgroups.weigh(tmp_path)
    assert (tmp_path / name).read_text() == wanted


def test_a_hierarchy_without_a_weight_gets_none(tmp_path: Path) -> None:
    cgroups.weigh(tmp_path)
    assert not list(tmp_path.iterdir())
