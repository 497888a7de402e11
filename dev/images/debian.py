"""A Debian root file system from the machine's own package sources, cached by what it is made of.

No address stands here: the archive is the one that this machine's apt already uses (also through a
proxy or a local copy), so that a build works wherever `apt-get install` does.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from dev.cluster import oci
from dev.images.layers import EPOCH
from dev.images.recipes import Base

#: Raised whenever what this file does to a root file system changes, so that old ones are left aside.
_FORM = 2
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
_KEPT = ("/usr/share/doc/*/copyright",)


class BuildError(RuntimeError):
    """An image could not be built; the message says what to do about it."""


def base_key(base: Base, uid: int) -> str:
    """A digest of all that decides the root file system, the archive's own point in time apart."""
    facts = [_FORM, EPOCH, oci.architecture(), base.suite, base.packages, base.essential_hook, base.exclude, uid]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def sources(suite: str, targets: str) -> list[str]:
    """The sources.list lines for `suite`, from apt's own list of what it fetches (see `apt_targets`).

    Security updates are taken where the machine has a source for them. BuildError without a Debian archive.
    """
    found: dict[str, str] = {}
    for line in targets.splitlines():
        uri, origin, label = line.split("|")
        if origin == "Debian":
            found.setdefault(label, uri.rstrip("/"))
    if "Debian" not in found:
        raise BuildError(
            "apt on this machine has no Debian archive among its sources: add one to /etc/apt/sources.list.d "
            "and run `apt-get update`, or build with Docker from images/*/Dockerfile"
        )
    lines = [f"deb {found['Debian']} {part} main" for part in (suite, f"{suite}-updates")]
    if "Debian-Security" in found:
        lines.append(f"deb {found['Debian-Security']} {suite}-security main")
    return lines


def apt_targets() -> str:
    """What apt fetches here, one `address|origin|label` a line."""
    form = "$(REPO_URI)|$(ORIGIN)|$(LABEL)"
    command = ["apt-get", "indextargets", "--format", form, "Created-By: Packages"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def command(base: Base, uid: int, tar: Path, lines: list[str]) -> list[str]:
    """The mmdebstrap call. Device nodes, the host's name and the archive's address stay out of the image."""
    excludes = [f"--dpkgopt=path-exclude={path}" for path in (*_LEFT_OUT, *base.exclude)]
    includes = [f"--dpkgopt=path-include={path}" for path in _KEPT]
    hooks = [f"--essential-hook={base.essential_hook}"] if base.essential_hook else []
    account = (
        f'echo nonroot:x:{uid}:{uid}::/tmp:/usr/sbin/nologin >> "$1/etc/passwd" && '
        f'echo nonroot:x:{uid}: >> "$1/etc/group"'
    )
    cleaning = (
        'rm -rf "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/* "$1"/etc/resolv.conf '
        '"$1"/etc/hostname "$1"/var/log/*'
    )
    return [
        "mmdebstrap", "--quiet", "--variant=essential", f"--include={','.join(base.packages)}",
        *excludes, *includes, *hooks, f"--customize-hook={account}", f"--customize-hook={cleaning}",
        "--skip=output/dev", base.suite, str(tar), *lines,
    ]  # fmt: skip


def build(base: Base, uid: int, cache: Path) -> Path:
    """The root file system's tar, from the cache where it is there; else about half a minute of work."""
    tar = cache / f"base-{base.suite}-{base_key(base, uid)}.tar"
    if tar.exists():
        return tar
    for program in ("mmdebstrap", "apt-get"):
        if shutil.which(program) is None:
            raise BuildError(f"{program} is missing: install Debian's {program.replace('-get', '')} package")
    if os.geteuid() != 0:
        raise BuildError("building without Docker needs root: run as root, or use images/*/Dockerfile")
    temporary = tar.with_name(tar.name[: -len(".tar")] + ".part.tar")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)}
    done = subprocess.run(
        command(base, uid, temporary, sources(base.suite, apt_targets())),
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        temporary.unlink(missing_ok=True)
        raise BuildError(f"mmdebstrap failed for {', '.join(base.packages)}:\n{done.stderr.strip()[-2000:]}")
    temporary.replace(tar)
    return tar


def extract(tar: Path, folder: Path) -> None:
    """Unpack a root file system, to run its own Python in it."""
    folder.mkdir(parents=True)
    subprocess.run(["tar", "-xf", str(tar), "-C", str(folder)], check=True, capture_output=True)
