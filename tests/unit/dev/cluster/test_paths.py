"""Two clones on one machine share nothing that bears a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.cluster import containers, network, node
from dev.cluster.certs import Pair
from dev.cluster.errors import ClusterError
from dev.cluster.paths import Paths, cache_root, checkout_name

CACHE = Path("/c")
ONE, TWO = Paths.of("one", CACHE), Paths.of("two", CACHE)


def test_a_checkout_has_one_short_name_and_another_checkout_another() -> None:
    assert checkout_name(Path("/src/a")) == checkout_name(Path("/src/a"))
    assert checkout_name(Path("/src/a")) != checkout_name(Path("/src/b"))
    assert len(checkout_name(Path("/src/a"))) == 11


@pytest.mark.parametrize(
    "field", ["state", "netns", "cgroup", "node", "cni_network", "containerd_socket", "kubeconfig"]
)
def test_clusters_differ_in(field: str) -> None:
    assert getattr(ONE, field) != getattr(TWO, field)


def test_every_place_in_a_kubelets_configuration_is_the_clusters_own() -> None:
    pair = Pair(ONE.state / "k.crt", ONE.state / "k.key")
    document = node.kubelet_config(ONE, pair, str(ONE.state / "ca.crt"), node.NodeOptions())

    elsewhere = [
        key
        for key, value in document.items()
        if isinstance(value, str) and "/" in value and key != "apiVersion" and str(ONE.state) not in value
    ]
    assert elsewhere == ["cgroupRoot"]
    assert document["cgroupRoot"] == ONE.cgroup


def test_containerds_places_are_the_clusters_own() -> None:
    for line in containers.config(ONE).splitlines():
        key, equals, value = line.partition(" = ")
        if equals and key in ("root", "state", "address", "path", "conf_dir", "Root"):
            assert value.startswith(f'"{ONE.state}'), line


def test_pod_addresses_are_counted_per_cluster() -> None:
    assert str(ONE.state) in containers.pod_network(ONE)
    assert ONE.cni_network in containers.pod_network(ONE)


def test_a_command_enters_the_clusters_own_network() -> None:
    assert network.prefix(ONE) == ("nsenter", "--net=/run/netns/pegbox-one", "--")


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a_b", "../x", "a" * 31, "a b"])
def test_a_name_that_cannot_be_a_host_name_is_refused(name: str) -> None:
    with pytest.raises(ClusterError, match="cannot be used"):
        Paths.of(name, CACHE)


def test_a_cache_too_deep_for_unix_sockets_is_refused_with_its_remedy() -> None:
    # 107 bytes at most: "/clusters/one/" and "kubelet/device-plugins/kubelet.sock" take 14 + 35 = 49.
    assert Paths.of("one", Path("/" + "d" * 57)).name == "one"
    with pytest.raises(ClusterError, match=r"1 bytes too long.*PEGBOX_CACHE"):
        Paths.of("one", Path("/" + "d" * 58))


def test_the_cache_can_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEGBOX_CACHE", "/elsewhere")
    assert cache_root() == Path("/elsewhere")
    monkeypatch.delenv("PEGBOX_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_root() == Path("/xdg/pegbox")
