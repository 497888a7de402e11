"""The local cluster: a real Kubernetes of our own processes, in one of three forms.

control: etcd and the API server, on loopback. controllers: with controller manager and scheduler.
node: everything, in a network namespace of its own, with pods.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dev.cluster import (
    addons,
    build,
    cgroups,
    containers,
    down,
    files,
    leftovers,
    network,
    node,
    prerequisites,
    tools,
)
from dev.cluster.control import API_SERVER, CONTROLLERS, ETCD, Addresses, ControlPlane
from dev.cluster.errors import ClusterError
from dev.cluster.paths import REPOSITORY, Paths
from dev.cluster.processes import Processes

FORMS = ("control", "controllers", "node")
_ADDRESSES = Addresses(network.NODE_ADDRESS, 6443, 2379, 2380)
_SECONDS = 90.0

_EXPECTED = {
    "control": (ETCD, API_SERVER),
    "controllers": (ETCD, API_SERVER, *CONTROLLERS),
    "node": (
        ETCD,
        API_SERVER,
        *CONTROLLERS,
        "containerd",
        "kubelet",
        "kube-proxy",
        "coredns",
        "metrics-server",
    ),
}


class Local:
    """One local cluster, by name; up, down or in between."""

    def __init__(
        self, paths: Paths, options: node.NodeOptions | None = None, report: Callable[[str], None] = build.say
    ) -> None:
        self.paths = paths
        self.options = options or node.NodeOptions()
        self.report = report
        self.processes = Processes(paths.state)

    @property
    def kubeconfig(self) -> Path:
        return self.paths.kubeconfig

    @property
    def form(self) -> str | None:
        """The form in which it was started, or None."""
        try:
            return self._recorded()["form"]
        except FileNotFoundError:
            return None

    def up(self, form: str) -> None:
        """Bring it up, or go on where an interrupted `up` stopped; says so if it is up already."""
        if self.form not in (None, form):
            raise ClusterError(
                f"cluster {self.paths.name} is there in the form {self.form}: "
                "take it down first, or choose another --name"
            )
        if self._complete() and not self._stopped(form):
            self.report(f"cluster {self.paths.name} is up already")
            self.status()
            return
        if self.form is not None and self._recorded()["boot"] != boot_id():
            self.report("the machine was started anew since: taking the old cluster away first")
            self.down()
        began = time.monotonic()
        if form == "node":
            prerequisites.ensure(form, self.report)
            build.ensure(tools.level(form), self.report)
            self._up_node()
        else:
            plane = ControlPlane.start(state_dir=self.paths.state, controllers=form == "controllers")
            self.report(f"API server at {plane.url}")
        if stopped := self._stopped(form):
            tails = "\n".join(self.processes.tail(name) for name in stopped)
            raise ClusterError(f"{', '.join(stopped)} ended after starting\n{tails}")
        self._record(form, complete=True)
        self.report(f"cluster {self.paths.name} ({form}) is up after {time.monotonic() - began:.0f} s")

    def down(self) -> bool:
        """Take it away; True if nothing stayed."""
        return down.down(self.paths, self.report)

    def status(self) -> bool:
        """Report what runs; True if all does."""
        form = self.form
        if form is None:
            self.report(f"cluster {self.paths.name} is not up: run `python3 -m dev.cluster up`")
            return False
        self.report(f"cluster {self.paths.name} ({form}), state in {self.paths.state}")
        for name in _EXPECTED[form]:
            pid = self.processes.pid(name)
            self.report(f"  {name:25} {f'pid {pid}' if pid else f'stopped, see {self.processes.log(name)}'}")
        plane = self.plane()
        listing = ("nodes,pods", "-A", "-o", "wide") if form == "node" else ("namespaces",)
        done = plane.kubectl("get", *listing, "--request-timeout=5s")
        self.report((done.stdout or done.stderr).rstrip())
        return done.returncode == 0 and not self._stopped(form)

    def plane(self) -> ControlPlane:
        """The control plane, reached the way this form needs."""
        return ControlPlane.attach(self.paths.state, self.prefix())

    def prefix(self) -> tuple[str, ...]:
        """What goes before a command that is to reach the cluster."""
        return network.prefix(self.paths) if self.form == "node" else ()

    def kubectl_command(self, arguments: Sequence[str]) -> list[str]:
        """The command line of kubectl against this cluster."""
        self._require_up()
        return [
            *self.prefix(),
            str(tools.tool("kubectl").path),
            f"--kubeconfig={self.kubeconfig}",
            *arguments,
        ]

    def exec_command(self, command: Sequence[str]) -> list[str]:
        """A command inside the cluster's network."""
        self._require_up()
        return [*self.prefix(), *command]

    def load(self, archive: Path) -> None:
        """Bring an image archive to the pods."""
        self._require_up()
        if self.form != "node":
            raise ClusterError(f"cluster {self.paths.name} ({self.form}) runs no pods: bring up the form node")
        self.report(containers.load(self.paths, archive))

    def _require_up(self) -> None:
        if self.form is None:
            raise ClusterError(f"cluster {self.paths.name} is not up: run `python3 -m dev.cluster up`")

    def _complete(self) -> bool:
        return self.form is not None and self._recorded()["complete"] == "yes"

    def _recorded(self) -> dict[str, str]:
        document: dict[str, str] = json.loads(self.paths.record.read_text())
        return document

    def _stopped(self, form: str) -> list[str]:
        return [name for name in _EXPECTED[form] if self.processes.pid(name) is None]

    def _record(self, form: str, *, complete: bool) -> None:
        document = {
            "form": form,
            "name": self.paths.name,
            "repository": str(REPOSITORY),
            "complete": "yes" if complete else "no",
            "boot": boot_id(),
        }
        files.write(self.paths.record, json.dumps(document, indent=1))

    def _up_node(self) -> None:
        """Each step leaves alone what an earlier run has done."""
        paths = self.paths
        paths.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        leftovers.save(paths.state / "before.json")
        self._record("node", complete=False)
        self._step("network namespace and cgroups")
        network.create(paths)
        cgroups.create(paths.cgroup)
        plane = ControlPlane(paths.state, _ADDRESSES, network.prefix(paths))
        self._step("control plane")
        plane.launch(controllers=True)
        self._step("containerd")
        self.processes.start(containers.service(paths))
        self.processes.wait(["containerd"], lambda: containers.ready(paths), _SECONDS)
        containers.load_pause(paths)
        self._step("kubelet and kube-proxy")
        self.processes.start(node.proxy(paths, plane))
        self.processes.start(node.kubelet(paths, plane, self.options))
        self.processes.wait(["kubelet"], lambda: node.is_ready(plane, paths.node), _SECONDS)
        self._step("DNS and metrics")
        self._start_addons(plane)

    def _start_addons(self, plane: ControlPlane) -> None:
        for name in ("dns", "metrics"):
            plane.apply(addons.manifest(name, plane))
        self.processes.start(addons.coredns(self.paths, plane))
        self.processes.start(addons.metrics_server(self.paths, plane))
        self.processes.wait(["coredns"], lambda: addons.dns_serves(plane), _SECONDS)
        self.processes.wait(["metrics-server"], lambda: addons.metrics_serve(plane), _SECONDS)

    def _step(self, what: str) -> None:
        self.report(f"starting {what}")


def boot_id() -> str:
    """Which start of the machine this is: no process or mount outlives it, but files do."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
