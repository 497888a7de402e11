"""A cluster by kind, where Docker works. Not run by us: its commands are tested with a recording fake.

metrics-server, without which no HPA acts, is our own build wrapped as an image, so that the versions
are those of the local cluster and no further registry is needed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from dev.cluster import build, oci, tools
from dev.cluster.errors import ClusterError, PrerequisiteError
from dev.cluster.existing import Answer, Runner, run
from dev.cluster.paths import SOURCE, Paths

#: What kind v0.32.0 takes by default, pinned by digest.
NODE_IMAGE = "kindest/node:v1.36.1@sha256:3489c7674813ba5d8b1a9977baea8a6e553784dab7b84759d1014dbd78f7ebd5"
METRICS_IMAGE = "docker.io/local/pegbox-metrics-server:{version}"


class Kind:
    """The kind cluster of this checkout."""

    def __init__(
        self,
        paths: Paths,
        report: Callable[[str], None],
        runner: Runner = run,
        metrics_archive: Callable[[Path], None] | None = None,
        sync_frequency: str = "5s",
    ) -> None:
        self.paths = paths
        self.report = report
        self._run = runner
        self._metrics_archive = metrics_archive or write_metrics_archive
        self._sync_frequency = sync_frequency

    @property
    def kubeconfig(self) -> Path:
        return self.paths.kubeconfig

    @property
    def name(self) -> str:
        return f"pegbox-{self.paths.name}"

    def up(self, form: str) -> None:
        """Create the cluster unless it is there, then bring in metrics-server; both may be repeated."""
        self._require_programs()
        self.report("kind: this path was not run by us; its commands are tested with a recording fake only")
        if self._is_there():
            self.report(f"kind cluster {self.name} is up already")
            self._ask("kind", "export", "kubeconfig", "--name", self.name, "--kubeconfig", str(self.kubeconfig))
        else:
            self._create()
        self._bring_metrics()
        self.report(f"kind cluster {self.name} ({form}) is up")

    def down(self) -> bool:
        """Delete the cluster; kind removes its containers and volumes."""
        self._ask("kind", "delete", "cluster", "--name", self.name, "--kubeconfig", str(self.kubeconfig))
        gone = not self._is_there()
        self.report(f"kind cluster {self.name} is {'gone' if gone else 'still there: see `kind get clusters`'}")
        return gone

    def status(self) -> bool:
        """Report the nodes."""
        if not self._is_there():
            self.report(f"kind cluster {self.name} is not up: run `python3 -m dev.cluster up`")
            return False
        answer = self._run(self._kubectl("get", "nodes,pods", "-A", "-o", "wide"))
        self.report((answer.output or answer.errors).rstrip())
        return answer.status == 0

    def kubectl_command(self, arguments: Sequence[str]) -> list[str]:
        """The command line of kubectl against this cluster."""
        return self._kubectl(*arguments)

    def exec_command(self, command: Sequence[str]) -> list[str]:
        """The command itself: kind publishes the API server on loopback; pods are reached from pods."""
        return list(command)

    def load(self, archive: Path) -> None:
        """Bring an image archive to the node."""
        if not archive.is_file():
            raise ClusterError(f"archive {archive} is not a file: write one with dev.cluster.oci.write_archive")
        self._ask("kind", "load", "image-archive", str(archive), "--name", self.name)
        self.report(f"loaded {archive}")

    def _create(self) -> None:
        self.paths.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        config = self.paths.state / "kind.json"
        config.write_text(json.dumps(self._config(), indent=1))
        self.report(f"creating the kind cluster {self.name} from {NODE_IMAGE}")
        command = ["kind", "create", "cluster", "--name", self.name, "--image", NODE_IMAGE, "--wait", "180s"]
        self._ask(*command, "--config", str(config), "--kubeconfig", str(self.kubeconfig))

    def _config(self) -> dict[str, object]:
        kubelet = {
            "kind": "KubeletConfiguration",
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "syncFrequency": self._sync_frequency,
        }
        return {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "nodes": [{"role": "control-plane"}],
            "kubeadmConfigPatches": [json.dumps(kubelet)],
        }

    def _bring_metrics(self) -> None:
        archive = self.paths.state / "metrics-server.tar"
        self.paths.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._metrics_archive(archive)
        self.load(archive)
        image = METRICS_IMAGE.format(version=tools.tool("metrics-server").version)
        manifest = self.paths.state / "metrics-server.yaml"
        manifest.write_text((SOURCE / "manifests" / "kind-metrics.yaml").read_text().replace("$image", image))
        self._ask(*self._kubectl("apply", "--server-side", "-f", str(manifest)))

    def _is_there(self) -> bool:
        return self.name in self._ask("kind", "get", "clusters").output.split()

    def _require_programs(self) -> None:
        remedies = {
            "kind": "install kind >= 0.32, or PEGBOX_CLUSTER=local",
            "kubectl": "install kubectl, or PEGBOX_CLUSTER=local",
        }
        asked = {"kind": ("kind", "version"), "kubectl": ("kubectl", "version", "--client")}
        lacks = [f"  {name}: {remedies[name]}" for name, command in asked.items() if self._run(command).status != 0]
        if lacks:
            raise PrerequisiteError("\n".join(["this machine lacks what a kind cluster needs:", *lacks]))

    def _kubectl(self, *arguments: str) -> list[str]:
        return ["kubectl", f"--kubeconfig={self.kubeconfig}", *arguments]

    def _ask(self, *command: str) -> Answer:
        answer = self._run(command)
        if answer.status != 0:
            raise ClusterError(f"{' '.join(command)} failed:\n{(answer.errors or answer.output).strip()}")
        return answer


def write_metrics_archive(archive: Path) -> None:
    """Build metrics-server and wrap it as an image: one static program."""
    program = tools.tool("metrics-server")
    build.ensure([program])
    layer = archive.with_name("metrics-layer.tar")
    oci.write_layer(layer, {"metrics-server": (program.path, 0o755)})
    oci.write_archive(archive, name=METRICS_IMAGE.format(version=program.version), layers=[layer],
                      entrypoint=["/metrics-server"], user="65534:65534")  # fmt: skip
    layer.unlink()
