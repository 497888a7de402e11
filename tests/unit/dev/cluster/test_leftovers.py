"""What stayed is found, and told from what others did meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from dev.cluster import cgroups, down, leftovers, mounts
from dev.cluster.paths import Paths
from dev.cluster.processes import MARKER

PATHS = Paths("one", Path("/c/clusters/one"))
BEFORE = {"link": ["lo", "eth0"], "mount": ["/", "/proc", "/proc"]}


def compare(after: dict[str, list[str]], alone: bool = True) -> leftovers.Difference:
    return leftovers.compare(BEFORE, after, lambda line: down.is_ours(line, PATHS, alone))


def test_an_unchanged_machine_has_no_difference() -> None:
    difference = compare({"link": ["eth0", "lo"], "mount": ["/proc", "/", "/proc"]})

    assert difference == leftovers.Difference((), (), ())
    assert "nothing differs" in leftovers.table(BEFORE, BEFORE, difference)


@pytest.mark.parametrize(
    ("line", "alone", "ours"),
    [
        pytest.param("mount: /c/clusters/one/kubelet/pods/x", False, True, id="a mount in our state"),
        pytest.param("cgroup: /sys/fs/cgroup/cpu/pegbox-one/kubepods", False, True, id="a cgroup below our root"),
        pytest.param("network namespace: pegbox-one", False, True, id="our network namespace"),
        pytest.param("nft table: table ip kube-proxy", True, True, id="kube-proxy's table, if no other cluster is up"),
        pytest.param("nft table: table ip kube-proxy", False, False, id="kube-proxy's table, if another is up"),
        pytest.param("cgroup: /sys/fs/cgroup/cpu/pegbox-one-b", False, False, id="a cluster whose name begins alike"),
        pytest.param("mount: /c/clusters/one2/x", False, False, id="a state directory that begins alike"),
        pytest.param("link: veth7", True, False, id="somebody else's link"),
    ],
)
def test_ours_is_what_bears_our_name(line: str, alone: bool, ours: bool) -> None:
    assert down.is_ours(line, PATHS, alone) is ours


def test_what_stayed_what_came_and_what_went_are_shown() -> None:
    after = {"link": ["lo", "veth7"], "mount": ["/", "/proc", "/proc", "/c/clusters/one/x"]}
    difference = compare(after)

    assert difference.ours == ("mount: /c/clusters/one/x",)
    assert difference.others == ("link: veth7",)
    assert difference.gone == ("link: eth0",)
    shown = leftovers.table(BEFORE, after, difference)
    assert "LEFT BEHIND   mount: /c/clusters/one/x" in shown
    assert "nothing differs" not in shown


def test_one_more_mount_at_the_same_place_is_a_difference() -> None:
    after = {"link": ["lo", "eth0"], "mount": ["/", "/proc", "/proc", "/proc"]}

    assert compare(after).others == ("mount: /proc",)


def test_many_entries_of_others_are_counted_rather_than_listed() -> None:
    difference = leftovers.Difference((), tuple(f"link: v{number}" for number in range(10)), ())

    shown = leftovers.table(BEFORE, BEFORE, difference)

    assert shown.count("new, not ours") == 4
    assert "and 7 more" in shown


def test_a_resumed_up_keeps_the_first_record(tmp_path: Path) -> None:
    record = tmp_path / "one" / "before.json"
    record.parent.mkdir()
    record.write_text('{"link": ["first"]}')

    leftovers.save(record)

    assert json.loads(record.read_text()) == {"link": ["first"]}


def test_beside_another_cluster_the_machine_is_as_that_one_found_it(tmp_path: Path) -> None:
    other = tmp_path / "other" / "before.json"
    other.parent.mkdir()
    other.write_text('{"sysctl": ["kernel/panic=1"]}')

    leftovers.save(tmp_path / "one" / "before.json")

    assert json.loads((tmp_path / "one" / "before.json").read_text()) == {"sysctl": ["kernel/panic=1"]}


def test_the_record_of_an_interrupted_down_is_no_other_cluster(tmp_path: Path) -> None:
    """Else the kernel settings were never put back on this machine again."""
    stale = tmp_path / "other" / "before.json"
    stale.parent.mkdir()
    stale.write_text("{}")

    assert not down._other_nodes(Paths("one", tmp_path / "one"))


def test_a_cluster_of_which_something_runs_is_one(tmp_path: Path) -> None:
    record = tmp_path / "other" / "before.json"
    record.parent.mkdir()
    record.write_text("{}")
    with subprocess.Popen(["sleep", "60"], env={MARKER: str(record.parent), "PATH": os.environ["PATH"]}) as running:
        try:
            while not Path(f"/proc/{running.pid}/environ").read_bytes():
                pass  # it is there, and the kernel has not told its environment yet
            assert down._other_nodes(Paths("one", tmp_path / "one"))
            assert not down._other_nodes(Paths("other", record.parent)), "its own processes are nobody else's"
        finally:
            running.kill()


def test_shim_sockets_are_found_by_what_their_bundles_record(tmp_path: Path) -> None:
    paths = Paths("one", tmp_path)
    bundle = tmp_path / "containerd" / "state" / "io.containerd.runtime.v2.task" / "k8s.io" / "abc"
    bundle.mkdir(parents=True)
    (bundle / "bootstrap.json").write_text('{"address": "unix:///run/containerd/s/11"}')
    (bundle / "address").write_text("unix:///run/containerd/s/22")
    (bundle.parent / "address").write_text("unix:///somewhere/else")

    assert {str(each) for each in down.shim_sockets(paths)} == {"/run/containerd/s/11", "/run/containerd/s/22"}


MOUNTINFO = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
31 23 0:28 / /c/one rw - tmpfs tmpfs rw
32 31 0:29 / /c/one/a\\040b rw shared:7 - overlay overlay rw
33 31 0:29 / /c/one-more rw - overlay overlay rw
34 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
35 31 0:31 / /sys/fs/cgroup/unified rw shared:9 master:1 - cgroup2 cgroup2 rw
"""


def test_mounts_below_a_directory_come_innermost_first_and_no_neighbour_is_among_them() -> None:
    assert mounts.below(MOUNTINFO, Path("/c/one")) == ["/c/one/a b", "/c/one"]


def test_cgroup_hierarchies_of_both_versions_are_found() -> None:
    assert cgroups.hierarchies(MOUNTINFO) == [Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup/unified")]
