"""containerd with runc: its configuration, the pods' network, and images brought in as archives."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from dev.cluster import files, network, oci, tools
from dev.cluster.errors import ClusterError
from dev.cluster.paths import Paths
from dev.cluster.processes import Service

PAUSE_IMAGE = "docker.io/local/pegbox-pause:1"
#: The namespace of the images and containers that a kubelet sees.
_NAMESPACE = "k8s.io"
_PLUGINS = ("ptp", "host-local")

_CONFIG = """\
version = 3
root = "{state}/containerd/root"
state = "{state}/containerd/state"
imports = []

[grpc]
address = "{socket}"

[ttrpc]
address = "{socket}.ttrpc"

[plugins."io.containerd.internal.v1.opt"]
path = "{state}/containerd/opt"

# Its socket has one fixed place on the machine.
[plugins."io.containerd.nri.v1.nri"]
disable = true

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{pause}"

[plugins."io.containerd.cri.v1.runtime"]
# Without CAP_SYS_RESOURCE a lower OOM score is refused, and every sandbox would die.
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
enable_cdi = false
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = {plugins}
conf_dir = "{state}/cni/net.d"
max_conf_num = 1
# The loopback plugin would leave records in /var/lib/cni, named after nobody.
use_internal_loopback = true
[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "{runc}"
Root = "{state}/runc"
SystemdCgroup = false
"""


def config(paths: Paths) -> str:
    """containerd's configuration: nothing at a place that another cluster could also use."""
    return _CONFIG.format(
        state=paths.state,
        socket=paths.containerd_socket,
        pause=PAUSE_IMAGE,
        plugins=json.dumps([str(tools.tool(name).path.parent) for name in _PLUGINS]),
        runc=tools.tool("runc").path,
    )


def pod_network(paths: Paths) -> str:
    """The CNI configuration: each pod has a link of its own to the node, which routes between them.

    Not a bridge: services between pods of one bridge work only with the kernel's br_netfilter.
    """
    addresses = {
        "type": "host-local",
        "dataDir": str(paths.state / "cni" / "addresses"),
        "ranges": [[{"subnet": network.POD_RANGE}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins = [{"type": "ptp", "ipMasq": False, "ipam": addresses}]
    return json.dumps({"cniVersion": "1.0.0", "name": paths.cni_network, "plugins": plugins}, indent=1)


def service(paths: Paths) -> Service:
    """Write what containerd reads; gives the process to start."""
    (paths.state / "cni" / "net.d").mkdir(parents=True, exist_ok=True)
    files.write(paths.state / "cni" / "net.d" / "10-pegbox.conflist", pod_network(paths))
    file = paths.state / "containerd.toml"
    files.write(file, config(paths))
    shim = tools.tool("containerd-shim-runc-v2").path.parent
    env = {"PATH": f"{shim}:{os.environ.get('PATH', '/usr/sbin:/usr/bin:/sbin:/bin')}"}
    command = [str(tools.tool("containerd").path), "--config", str(file)]
    return Service("containerd", command, network.prefix(paths), env)


def ready(paths: Paths) -> bool:
    """Whether containerd answers."""
    return _ctr(paths, "version").returncode == 0


def load(paths: Paths, archive: Path) -> str:
    """Import an OCI or Docker image archive; gives what ctr said, which names the image."""
    if not archive.is_file():
        raise ClusterError(f"archive {archive} is not a file: write one with dev.cluster.oci.write_archive")
    done = _ctr(paths, "-n", _NAMESPACE, "images", "import", str(archive.resolve()))
    if done.returncode != 0:
        raise ClusterError(f"containerd does not take {archive}:\n{done.stderr}")
    return done.stdout.strip()


def load_pause(paths: Paths) -> None:
    """Bring in the image of every pod's sandbox: one static program of ours."""
    layer, archive = paths.state / "pause-layer.tar", paths.state / "pause.tar"
    oci.write_layer(layer, {"pause": (tools.tool("pause").path, 0o755)})
    oci.write_archive(archive, name=PAUSE_IMAGE, layers=[layer], entrypoint=["/pause"], user="65535:65535")
    load(paths, archive)


def _ctr(paths: Paths, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(tools.tool("ctr").path), "--address", str(paths.containerd_socket), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
