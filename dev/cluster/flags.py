"""The command lines of the control plane, and why each unusual flag is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dev.cluster.control import ControlPlane

SERVICE_RANGE = "10.96.0.0/16"
SERVICE_ADDRESS = "10.96.0.1"


def etcd(plane: ControlPlane) -> list[str]:
    """etcd on loopback. It does not fsync: a cluster that dies with its machine is made anew."""
    client = f"http://127.0.0.1:{plane.addresses.etcd}"
    peer = f"http://127.0.0.1:{plane.addresses.peer}"
    return [
        f"--data-dir={plane.state / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server(plane: ControlPlane) -> list[str]:
    """The API server with RBAC, client certificates, a token file and the aggregation layer."""
    addresses, pki = plane.addresses, plane.state / "pki"
    names = ["DNS:localhost", "DNS:kubernetes.default.svc", f"IP:{SERVICE_ADDRESS}", "IP:127.0.0.1"]
    if not addresses.alone:
        names.append(f"IP:{addresses.public}")
    serving = plane.authority.server("kube-apiserver", names)
    kubelet = plane.authority.client("kube-apiserver-kubelet-client", ["system:masters"])
    front_ca, front = plane.front_proxy()
    return [
        f"--etcd-servers=http://127.0.0.1:{addresses.etcd}",
        f"--bind-address={'127.0.0.1' if addresses.alone else '0.0.0.0'}",
        f"--advertise-address={addresses.public}",
        # Loopback is no valid endpoint: without a node the `kubernetes` service has none.
        f"--endpoint-reconciler-type={'none' if addresses.alone else 'lease'}",
        f"--secure-port={addresses.api}",
        f"--cert-dir={pki}",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        f"--client-ca-file={plane.ca_file}",
        f"--token-auth-file={plane.state / 'tokens.csv'}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        # The node's name is in no DNS: by name, logs and exec would fail.
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={plane.ca_file}",
        f"--kubelet-client-certificate={kubelet.certificate}",
        f"--kubelet-client-key={kubelet.key}",
        # For metrics-server, an extension server outside any pod.
        "--enable-aggregator-routing=true",
        f"--requestheader-client-ca-file={front_ca}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={front.certificate}",
        f"--proxy-client-key-file={front.key}",
        "--profiling=false",
    ]


def controller(plane: ControlPlane, name: str) -> list[str]:
    """kube-controller-manager or kube-scheduler: alone, so without leader election or a port of its own."""
    common = [
        f"--kubeconfig={plane.kubeconfig_for(f'system:{name}')}",
        "--leader-elect=false",
        "--secure-port=0",
        "--profiling=false",
    ]
    if name == "kube-scheduler":
        return common
    return [
        *common,
        "--use-service-account-credentials=true",
        f"--root-ca-file={plane.ca_file}",
        f"--service-account-private-key-file={plane.state / 'pki' / 'sa.key'}",
        f"--cluster-signing-cert-file={plane.ca_file}",
        f"--cluster-signing-key-file={plane.authority.ca.key}",
    ]
