"""The programs of a cluster: which Go module each comes from, with which flags, and where it is kept.

Every module has a go.mod and go.sum of its own below tools/, so that versions are pinned with hashes
and one program's dependencies never move another's. Binaries are kept outside the repository, keyed by
all that decides their content: go.mod, go.sum and flags.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dev.cluster.errors import ClusterError
from dev.cluster.paths import SOURCE, cache_root

_KUBERNETES_VERSION_PACKAGE = "k8s.io/component-base/version"

#: Kubernetes versions whose API server can be started. Of the oldest that is supported there is nothing else.
NEWEST, OLDEST = "1.36", "1.33"


@dataclass(frozen=True)
class Tool:
    """One program. `cold` is its first build in seconds, after those before it in its module, on 2 cores."""

    name: str
    module: str
    package: str
    pinned: str
    cold: int
    tags: str = ""
    cgo: bool = False

    @property
    def directory(self) -> Path:
        return SOURCE / ("pause" if self.module == "pause" else f"tools/{self.module}")

    @property
    def version(self) -> str:
        """The version that go.mod pins."""
        if self.module == "pause":
            return "v1"
        return pinned_version((self.directory / "go.mod").read_text(), self.pinned)

    @property
    def ldflags(self) -> str:
        """Kubernetes programs get their version this way; clients otherwise see v0.0.0."""
        flags = ["-s", "-w"]
        if self.module.startswith("kubernetes"):
            version = self.version
            major, minor = version.lstrip("v").split(".")[:2]
            values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
            flags += [f"-X {_KUBERNETES_VERSION_PACKAGE}.{key}={value}" for key, value in values.items()]
        return " ".join(flags)

    @property
    def key(self) -> str:
        """A digest of all that decides the binary."""
        digest = hashlib.sha256()
        for file in ("go.mod", "go.sum", "pause.go"):
            source = self.directory / file
            digest.update(source.read_bytes() if source.exists() else b"-")
        digest.update(repr((self.package, self.tags, self.cgo, self.ldflags)).encode())
        return digest.hexdigest()[:10]

    @property
    def path(self) -> Path:
        """Where the binary is, once built."""
        return cache_root() / "bin" / f"{self.name}-{self.version}-{self.key}" / self.name


def pinned_version(go_mod: str, module: str) -> str:
    """The version of `module` in the text of a go.mod."""
    found = re.search(rf"^(?:require)?\s*{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise ClusterError(f"go.mod does not require {module}: run `go get -tool` for it in its directory")
    return found[1]


def _kubernetes(name: str, cold: int) -> Tool:
    return Tool(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", "k8s.io/kubernetes", cold)


def _containerd(name: str, cold: int) -> Tool:
    module = "github.com/containerd/containerd/v2"
    return Tool(name, "containerd", f"{module}/cmd/{name}", module, cold, "no_btrfs,no_devmapper,no_zfs")


def _cni(kind: str, name: str) -> Tool:
    module = "github.com/containernetworking/plugins"
    return Tool(name, "cni", f"{module}/plugins/{kind}/{name}", module, 4)


def _prometheus(name: str, cold: int) -> Tool:
    module = "github.com/prometheus/prometheus"
    return Tool(name, "prometheus", f"{module}/cmd/{name}", module, cold)


_ALL = (
    Tool("etcd", "etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3", 45),
    _kubernetes("kube-apiserver", 200),
    _kubernetes("kubectl", 25),
    _kubernetes("kube-controller-manager", 45),
    _kubernetes("kube-scheduler", 8),
    _kubernetes("kubelet", 20),
    _kubernetes("kube-proxy", 8),
    Tool(f"kube-apiserver-{OLDEST}", f"kubernetes-{OLDEST}", "k8s.io/kubernetes/cmd/kube-apiserver",
         "k8s.io/kubernetes", 200),
    _containerd("containerd", 55),
    _containerd("ctr", 12),
    _containerd("containerd-shim-runc-v2", 6),
    # A kubelet gives every sandbox the runtime's seccomp profile: without libseccomp no pod starts.
    Tool("runc", "runc", "github.com/opencontainers/runc", "github.com/opencontainers/runc", 15,
         "seccomp", cgo=True),
    _cni("main", "ptp"),
    _cni("ipam", "host-local"),
    Tool("coredns", "coredns", "github.com/coredns/coredns", "github.com/coredns/coredns", 95),
    Tool("metrics-server", "metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server",
         "sigs.k8s.io/metrics-server", 120),
    _prometheus("prometheus", 260),
    _prometheus("promtool", 15),
    Tool("helm", "helm", "helm.sh/helm/v4/cmd/helm", "helm.sh/helm/v4", 100),
    # Only the tests of what a team's own release does to a trial need the older one, too.
    Tool("helm3", "helm3", "helm.sh/helm/v3/cmd/helm", "helm.sh/helm/v3", 110),
    Tool("pause", "pause", ".", "", 2),
    Tool("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", "sigs.k8s.io/kwok", 60),
)  # fmt: skip

TOOLS = {tool.name: tool for tool in _ALL}

_CONTROL = ("etcd", "kube-apiserver", "kubectl")
_CONTROLLERS = (*_CONTROL, "kube-controller-manager", "kube-scheduler")

#: What each level of tests needs, and no more.
LEVELS: dict[str, tuple[str, ...]] = {
    "control": _CONTROL,
    "controllers": _CONTROLLERS,
    "oldest": ("etcd", f"kube-apiserver-{OLDEST}", "kubectl"),
    "node": tuple(name for name in TOOLS if name not in ("kwok", "helm3", f"kube-apiserver-{OLDEST}")),
    "all": tuple(TOOLS),
}


def tool(name: str) -> Tool:
    """The tool of that name."""
    if name not in TOOLS:
        raise ClusterError(f"tool {name!r} is not known: take one of {', '.join(sorted(TOOLS))}")
    return TOOLS[name]


def api_server(kubernetes: str) -> Tool:
    """The API server of a Kubernetes version."""
    if kubernetes not in (NEWEST, OLDEST):
        raise ClusterError(f"Kubernetes {kubernetes!r} is not built here: take {NEWEST} or {OLDEST}")
    return TOOLS["kube-apiserver" if kubernetes == NEWEST else f"kube-apiserver-{kubernetes}"]


def level(name: str) -> tuple[Tool, ...]:
    """The tools of a level."""
    if name not in LEVELS:
        raise ClusterError(f"level {name!r} is not known: take one of {', '.join(LEVELS)}")
    return tuple(TOOLS[each] for each in LEVELS[name])


def unbuilt(tools: Iterable[Tool]) -> list[Tool]:
    """Those whose binary is not in the cache."""
    return [each for each in tools if not each.path.exists()]
