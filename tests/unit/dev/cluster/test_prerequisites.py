"""What a machine lacks is named in full, each with its remedy, before anything starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dev.cluster.prerequisites import PACKAGES, Machine, lacking, packages

COMPLETE = Machine(
    root=True, linux=True, apt=True, go=True, pip=True, unbuilt=True, disk_gib=40.0, cache=Path("/cache")
)
BARE = Machine(
    root=False,
    linux=True,
    apt=False,
    go=False,
    pip=False,
    unbuilt=True,
    disk_gib=1.5,
    programs=frozenset(),
    overlay=False,
    cgroups=False,
    cache=Path("/cache"),
)


@pytest.mark.parametrize("form", ["control", "controllers", "node"])
def test_a_complete_machine_lacks_nothing(form: str) -> None:
    assert lacking(form, COMPLETE) == []


@pytest.mark.parametrize(
    ("form", "machine", "what", "remedy"),
    [
        pytest.param("node", replace(COMPLETE, root=False), "root", "sudo", id="a node needs root"),
        pytest.param("node", replace(COMPLETE, linux=False), "Linux", "kind", id="a node needs Linux"),
        pytest.param("control", replace(COMPLETE, linux=False), "Linux", "kind", id="even a control plane needs Linux"),
        pytest.param("node", replace(COMPLETE, overlay=False), "overlay", "modprobe", id="a node needs overlayfs"),
        pytest.param("node", replace(COMPLETE, cgroups=False), "cgroups", "mount", id="a node needs cgroups"),
        pytest.param(
            "control", replace(COMPLETE, go=False, pip=False), "Go >= 1.26", "pip", id="a build needs Go or pip"
        ),
        # 12 GiB are needed to build a node.
        pytest.param("node", replace(COMPLETE, disk_gib=11.9), "11.9 of 12 GiB", "PEGBOX_CACHE", id="a node's disk"),
        pytest.param("control", replace(COMPLETE, disk_gib=7.9), "7.9 of 8 GiB", "free some", id="a control's disk"),
        pytest.param(
            "node",
            replace(COMPLETE, unbuilt=False, disk_gib=3.9),
            "3.9 of 4 GiB",
            "free some",
            id="a node that is built still needs disk to run",
        ),
        pytest.param(
            "control",
            replace(COMPLETE, programs=frozenset(PACKAGES) - {"openssl"}),
            "the program openssl",
            "openssl",
            id="a control plane needs openssl",
        ),
        pytest.param(
            "node",
            replace(COMPLETE, programs=frozenset(PACKAGES) - {"cc"}),
            "the program cc",
            "gcc",
            id="building runc needs a C compiler",
        ),
        pytest.param(
            "node",
            replace(COMPLETE, programs=frozenset(PACKAGES) - {"libseccomp"}),
            "the library libseccomp",
            "libseccomp-dev",
            id="building runc needs libseccomp",
        ),
    ],
)
def test_one_lack_is_named_with_its_remedy(form: str, machine: Machine, what: str, remedy: str) -> None:
    (lack,) = lacking(form, machine)

    assert what in lack.what
    assert remedy in lack.remedy


@pytest.mark.parametrize(
    ("form", "machine"),
    [
        pytest.param("control", replace(COMPLETE, root=False), id="a control plane needs no root"),
        pytest.param("node", replace(COMPLETE, go=False), id="pip stands in for Go"),
        pytest.param("node", replace(COMPLETE, pip=False), id="Go needs no pip"),
        pytest.param(
            "node", replace(COMPLETE, unbuilt=False, go=False, pip=False), id="what is built needs neither Go nor pip"
        ),
        pytest.param(
            "node",
            replace(COMPLETE, unbuilt=False, programs=frozenset(PACKAGES) - {"cc", "libseccomp"}),
            id="what is built needs no compiler",
        ),
        pytest.param("control", replace(COMPLETE, programs=frozenset({"openssl"})), id="a control plane needs no nft"),
        pytest.param("node", replace(COMPLETE, disk_gib=12.0), id="just enough disk is enough"),
    ],
)
def test_what_a_form_does_not_need_is_not_asked_for(form: str, machine: Machine) -> None:
    assert lacking(form, machine) == []


def test_everything_is_named_at_once() -> None:
    named = " ".join(lack.what for lack in lacking("node", BARE))

    for part in ("root", "overlay", "cgroups", "Go", "disk", *PACKAGES):
        assert part in named


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        pytest.param(COMPLETE, [], id="nothing to install where nothing is missing"),
        pytest.param(
            replace(COMPLETE, programs=frozenset(PACKAGES) - {"nft", "cc"}),
            ["gcc", "libc6-dev", "nftables"],
            id="root with apt installs what is missing",
        ),
        pytest.param(replace(COMPLETE, root=False, programs=frozenset()), [], id="without root nothing is installed"),
        pytest.param(replace(COMPLETE, apt=False, programs=frozenset()), [], id="without apt nothing is installed"),
    ],
)
def test_packages_that_we_install_ourselves(machine: Machine, expected: list[str]) -> None:
    assert packages("node", machine) == expected
