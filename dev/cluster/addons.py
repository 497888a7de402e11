"""CoreDNS and metrics-server: processes on the node's address behind services without selectors."""

from __future__ import annotations

import base64
import subprocess
import sys
from string import Template

from dev.cluster import files, network, tools
from dev.cluster.control import ControlPlane
from dev.cluster.paths import SOURCE, Paths
from dev.cluster.processes import Service

METRICS_PORT = 4443

_COREFILE = """\
.:53 {{
    bind {address}
    errors
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
    }}
    cache 5
}}
"""


def coredns(paths: Paths, plane: ControlPlane) -> Service:
    """CoreDNS for the cluster's own names; there is no way out, so it forwards nothing."""
    file = paths.state / "Corefile"
    kubeconfig = plane.kubeconfig_for("system:coredns")
    files.write(file, _COREFILE.format(address=network.NODE_ADDRESS, kubeconfig=kubeconfig))
    return Service("coredns", [str(tools.tool("coredns").path), "-conf", str(file)], network.prefix(paths))


def metrics_server(paths: Paths, plane: ControlPlane) -> Service:
    """metrics-server; its request timeout must be below the resolution, which the default is not."""
    serving = plane.authority.server("metrics-server", ["DNS:metrics-server.kube-system.svc"])
    kubeconfig = plane.kubeconfig_for("system:metrics-server")
    command = [
        str(tools.tool("metrics-server").path),
        f"--secure-port={METRICS_PORT}",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--kubelet-certificate-authority={plane.ca_file}",
        "--kubelet-preferred-address-types=InternalIP",
        "--metric-resolution=10s",
        "--kubelet-request-timeout=5s",
    ]
    return Service("metrics-server", command, network.prefix(paths))


def manifest(name: str, plane: ControlPlane) -> str:
    """A manifest of manifests/, with the cluster's addresses filled in."""
    text = (SOURCE / "manifests" / f"{name}.yaml").read_text()
    return Template(text).substitute(
        node_address=network.NODE_ADDRESS,
        dns_address=network.DNS_ADDRESS,
        metrics_port=METRICS_PORT,
        ca_bundle=base64.b64encode(plane.ca_file.read_bytes()).decode(),
    )


def dns_serves(plane: ControlPlane) -> bool:
    """Whether CoreDNS answers on the node's address."""
    connect = f"import socket; socket.create_connection(({network.NODE_ADDRESS!r}, 53), 2)"
    command = [*plane.prefix, sys.executable, "-c", connect]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def metrics_serve(plane: ControlPlane) -> bool:
    """Whether the API server reaches metrics-server, which HPAs need."""
    path = '{.status.conditions[?(@.type=="Available")].status}'
    return plane.kubectl("get", "apiservice", "v1beta1.metrics.k8s.io", "-o", f"jsonpath={path}").stdout == "True"
