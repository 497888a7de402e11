"""A Kubernetes control plane: etcd and the API server, with controllers if wanted.

The same code serves both forms. Alone (contract and scale tests) it listens on free loopback ports, needs
no root, and several run at once. As part of a node it runs inside the cluster's network namespace.

    with ControlPlane.start(name="contract", state_dir=tmp_path) as cp:
        run_something(cp.kubeconfig)
"""

from __future__ import annotations

import json
import random
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from dev.cluster import build, certs, files, flags, ports, prerequisites, tools
from dev.cluster.errors import ClusterError
from dev.cluster.paths import Paths
from dev.cluster.processes import Processes, Service, end, marked

API_SERVER, ETCD = "kube-apiserver", "etcd"
CONTROLLERS = ("kube-controller-manager", "kube-scheduler")
_START_SECONDS = 90.0
_PORT_TRIES = 3


@dataclass(frozen=True)
class Addresses:
    """Where a control plane listens. `public` is what pods and the kubelet reach, loopback without a node."""

    public: str
    api: int
    etcd: int
    peer: int

    @property
    def url(self) -> str:
        return f"https://{self.public}:{self.api}"

    @property
    def alone(self) -> bool:
        """Whether this is a control plane without a node: on loopback, where no pod could reach it."""
        return self.public == "127.0.0.1"


class ControlPlane:
    """A control plane in a state directory, running or stopped. Make one with `start` or `attach`."""

    def __init__(
        self, state: Path, addresses: Addresses, prefix: Sequence[str] = (), kubernetes: str = tools.NEWEST
    ) -> None:
        self.state = state
        self.addresses = addresses
        self.kubernetes = kubernetes
        self.prefix = tuple(prefix)
        self.processes = Processes(state)
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        # First of all, so that a directory of ours can be told from any other.
        files.write(state / "control.json", json.dumps(asdict(addresses) | {"kubernetes": kubernetes}))
        self.authority = certs.Authority(state / "pki", "pegbox-ca")
        self._front_proxy = certs.Authority(state / "pki", "front-proxy-ca")

    @classmethod
    def start(
        cls,
        *,
        name: str | None = None,
        state_dir: Path | None = None,
        controllers: bool = False,
        kubernetes: str = tools.NEWEST,
    ) -> ControlPlane:
        """Start one on free loopback ports, building what is not built; what an earlier run left is ended.

        `kubernetes` is the API server's version; controllers are of the newest only.
        """
        if controllers and kubernetes != tools.NEWEST:
            raise ClusterError(f"controllers are not built of Kubernetes {kubernetes}: start the API server alone")
        state = state_dir if state_dir is not None else Paths.of(name).state
        form = "controllers" if controllers else "control"
        prerequisites.ensure(form, build.say)
        kept = [each for each in tools.level(form) if each.name != API_SERVER]
        build.ensure([*kept, tools.api_server(kubernetes)])
        for attempt in range(1, _PORT_TRIES + 1):
            remove(state)
            api, etcd, peer = ports.free(3, random.Random())
            plane = cls(state, Addresses("127.0.0.1", api, etcd, peer), kubernetes=kubernetes)
            try:
                plane.launch(controllers=controllers)
                return plane
            except ClusterError as error:
                plane.stop()
                if "address already in use" not in str(error) or attempt == _PORT_TRIES:
                    raise
            except BaseException:
                plane.stop()
                raise
        raise AssertionError("unreachable")

    @classmethod
    def attach(cls, state: Path, prefix: Sequence[str] = ()) -> ControlPlane:
        """The control plane that was started in this directory."""
        try:
            recorded = json.loads((state / "control.json").read_text())
        except FileNotFoundError:
            raise ClusterError(f"no control plane was started in {state}: run `python3 -m dev.cluster up`") from None
        kubernetes = recorded.pop("kubernetes", tools.NEWEST)
        return cls(state, Addresses(**recorded), prefix, kubernetes)

    def launch(self, *, controllers: bool) -> None:
        """Start everything that does not run yet, and wait until it serves."""
        self._credentials()
        self._start(ETCD, flags.etcd(self))
        self.start_apiserver()
        if controllers:
            for name in CONTROLLERS:
                self._start(name, flags.controller(self, name))
            self.processes.wait(CONTROLLERS, self._has_service_account, _START_SECONDS)

    def start_apiserver(self) -> None:
        """Start the API server at the same address as before, and wait until it is ready."""
        self._start(API_SERVER, flags.api_server(self))
        self.processes.wait([API_SERVER, ETCD], self.ready, _START_SECONDS)

    def stop_apiserver(self, seconds: float = 3.0) -> None:
        """Stop the API server. It would drain watches for up to a minute: after `seconds` it is killed."""
        self.processes.stop(API_SERVER, seconds)

    def ready(self) -> bool:
        """Whether the API server says that it is ready, RBAC's own roles included."""
        return self.kubectl("get", "--raw", "/readyz", "--request-timeout=5s").returncode == 0

    def stop(self) -> None:
        """End every process; the state directory stays."""
        ordered = (*reversed(CONTROLLERS), API_SERVER, ETCD)
        for name in (*(set(self.processes.names()) - set(ordered)), *ordered):
            self.processes.stop(name, 3.0)

    def __enter__(self) -> ControlPlane:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return self.addresses.url

    @property
    def ca_file(self) -> Path:
        return self.authority.ca.certificate

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig."""
        return self.state / "admin.kubeconfig"

    @property
    def token(self) -> str:
        """The administrator's bearer token (group system:masters)."""
        return (self.state / "tokens.csv").read_text().split(",")[0]

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig of another user, who may do only what RBAC grants.

        A service account is the user `system:serviceaccount:NAMESPACE:NAME` with the groups
        `system:serviceaccounts` and `system:serviceaccounts:NAMESPACE`.
        """
        pair = self.authority.client(user, groups)
        return certs.kubeconfig(pair.certificate.with_suffix(".kubeconfig"), self.url, self.ca_file, pair)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl as administrator and give what it said, whatever its exit status."""
        command = [
            *self.prefix,
            str(tools.tool("kubectl").path),
            f"--kubeconfig={self.kubeconfig}",
            *arguments,
        ]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)

    def apply(self, manifest: str) -> None:
        """Apply a manifest (YAML or JSON) server-side."""
        done = self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)
        if done.returncode != 0:
            raise ClusterError(f"kubectl apply refused:\n{done.stderr}")

    def front_proxy(self) -> tuple[Path, certs.Pair]:
        """The authority and the client certificate by which the API server proves itself to extensions."""
        return self._front_proxy.ca.certificate, self._front_proxy.client("front-proxy")

    def _credentials(self) -> None:
        tokens = self.state / "tokens.csv"
        if not tokens.exists():
            files.write(tokens, f'{secrets.token_hex(20)},pegbox-admin,pegbox-admin,"system:masters"\n')
        certs.kubeconfig(self.kubeconfig, self.url, self.ca_file, self.token)
        certs.public_key(certs.key_file(self.state / "pki" / "sa.key"), self.state / "pki" / "sa.pub")

    def _start(self, name: str, arguments: Sequence[str]) -> None:
        program = tools.api_server(self.kubernetes) if name == API_SERVER else tools.tool(name)
        command = [str(program.path), *arguments]
        self.processes.start(Service(name, command, self.prefix))

    def _has_service_account(self) -> bool:
        """Whether controllers act: one of them makes this account, and pods need it."""
        return self.kubectl("get", "serviceaccount", "default", "-n", "default").returncode == 0


def remove(state: Path) -> None:
    """End every process of a state directory, recorded or not, and remove the directory.

    Refuses a directory with content that no control plane put there.
    """
    if state.exists() and any(state.iterdir()) and not (state / "control.json").exists():
        raise ClusterError(f"state directory {state} holds something else: name an empty or new one")
    end(marked(state), 3.0)
    shutil.rmtree(state, ignore_errors=True)
