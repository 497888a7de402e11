"""The kubelet and kube-proxy: their configuration and command lines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from dev.cluster import certs, files, network, tools
from dev.cluster.control import ControlPlane
from dev.cluster.paths import Paths
from dev.cluster.processes import Service


@dataclass(frozen=True)
class NodeOptions:
    """What a developer may choose. The kubelet's own default for `sync_frequency` is 1m0s."""

    sync_frequency: str = "5s"


def kubelet_config(paths: Paths, serving: certs.Pair, ca: str, options: NodeOptions) -> dict[str, Any]:
    """A KubeletConfiguration; every place is the cluster's own."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": ca},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "address": network.NODE_ADDRESS,
        "containerRuntimeEndpoint": f"unix://{paths.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": paths.cgroup,
        "failCgroupV1": False,
        "failSwapOn": False,
        "syncFrequency": options.sync_frequency,
        "podLogsDir": str(paths.state / "pod-logs"),
        "volumePluginDir": str(paths.state / "volume-plugins"),
        "clusterDomain": "cluster.local",
        "clusterDNS": [network.DNS_ADDRESS],
        "resolvConf": str(paths.state / "resolv.conf"),
        # Images come from archives: one that is collected could not be pulled again. 100 turns it off.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "2%", "nodefs.inodesFree": "2%"},
    }


def proxy_config(paths: Paths, kubeconfig: str) -> dict[str, Any]:
    """A KubeProxyConfiguration; conntrack limits belong to the host, so they are left alone."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": kubeconfig},
        "clusterCIDR": network.POD_RANGE,
        "hostnameOverride": paths.node,
        "bindAddress": network.NODE_ADDRESS,
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def kubelet(paths: Paths, plane: ControlPlane, options: NodeOptions) -> Service:
    """Write what the kubelet reads; gives the process to start."""
    files.write(paths.state / "resolv.conf", f"nameserver {network.DNS_ADDRESS}\n", mode=0o644)
    serving = plane.authority.server("kubelet", [f"IP:{network.NODE_ADDRESS}", f"DNS:{paths.node}"])
    file = paths.state / "kubelet.json"
    files.write(file, json.dumps(kubelet_config(paths, serving, str(plane.ca_file), options), indent=1))
    command = [
        str(tools.tool("kubelet").path),
        f"--config={file}",
        f"--kubeconfig={plane.kubeconfig_for(f'system:node:{paths.node}', ['system:nodes'])}",
        f"--root-dir={paths.state / 'kubelet'}",
        f"--cert-dir={paths.state / 'pki'}",
        f"--hostname-override={paths.node}",
        f"--node-ip={network.NODE_ADDRESS}",
    ]
    return Service("kubelet", command, network.prefix(paths))


def proxy(paths: Paths, plane: ControlPlane) -> Service:
    """Write what kube-proxy reads; gives the process to start."""
    file = paths.state / "kube-proxy.json"
    kubeconfig = plane.kubeconfig_for("system:kube-proxy")
    files.write(file, json.dumps(proxy_config(paths, str(kubeconfig)), indent=1))
    return Service("kube-proxy", [str(tools.tool("kube-proxy").path), f"--config={file}"], network.prefix(paths))


def is_ready(plane: ControlPlane, node: str) -> bool:
    """Whether the node has the condition Ready."""
    path = '{.status.conditions[?(@.type=="Ready")].status}'
    return plane.kubectl("get", "node", node, "-o", f"jsonpath={path}").stdout == "True"
