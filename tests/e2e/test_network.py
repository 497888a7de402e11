"""The chart's NetworkPolicy is on while all of this runs, and allows what the operator's process really does, no more.

The cluster's own network enforces no policy, which is found out and said. So the rules are laid on the operator's
packets by nft, for as long as the tests run: what all other files show was shown under them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.demo import cluster as demo
from tests.e2e import firewall, installed, sockets
from tests.e2e.api import Api, Object
from tests.e2e.operators import SYSTEM, NotHere, Operator, process_of
from tests.e2e.sockets import Sockets
from tests.e2e.worlds import Application, World
from tests.levels import cannot_run

DNS = 53
TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65532        0 1 1
   1: 0500F40A:B3A2 0100600A:01BB 01 00000000:00000000 00:00000000 00000000 65532        0 2 1
   2: 0500F40A:1F90 0900F40A:C350 01 00000000:00000000 00:00000000 00000000 65532        0 3 1
   3: 0100007F:B3A4 0100007F:2382 06 00000000:00000000 00:00000000 00000000 65532        0 4 1
"""


def test_the_table_of_a_kernel_is_read_by_hand() -> None:
    """10.244.0.5 listens on 8080, is connected to 10.96.0.1:443, and 10.244.0.9 reads its metrics."""
    found = Sockets()
    found.add_tcp(TABLE)
    assert (found.peers, found.listening) == ({("10.96.0.1", 443)}, {8080})


POLICY: Object = {
    "spec": {
        "ingress": [{"ports": [{"protocol": "TCP", "port": "http"}]}],
        "egress": [{"ports": [{"protocol": "UDP", "port": 53}]}, {"ports": [{"protocol": "TCP", "port": 6443}]}],
    }
}
POD: Object = {
    "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]},
    "status": {"podIP": "10.244.0.5"},
}


def test_a_policys_rules_are_read_by_hand() -> None:
    """In: TCP to 8080, no UDP. Out, to other pods and to the node: TCP to 6443, UDP to 53."""
    dropped = [line.split(maxsplit=2)[2] for line in firewall.rules(POLICY, POD).splitlines() if line.endswith("drop")]
    out = [
        "10.244.0.5 ct direction original tcp dport != { 6443 } counter name out drop",
        "10.244.0.5 ct direction original udp dport != { 53 } counter name out drop",
    ]
    assert dropped == [
        *out,
        "10.244.0.5 ct direction original tcp dport != { 8080 } counter name in drop",
        "10.244.0.5 ct direction original meta l4proto udp counter name in drop",
        *out,
    ]


def test_a_policy_that_names_peers_is_not_taken_for_one_of_ports_alone() -> None:
    peers: Object = {"spec": POLICY["spec"] | {"egress": [{"ports": [], "to": [{"podSelector": {}}]}]}}
    with pytest.raises(AssertionError):
        firewall.rules(peers, POD)


@pytest.fixture(scope="module")
def world(api: Api) -> Iterator[World]:
    """A profile that makes the operator ask Prometheus, whatever other tests do."""
    made = World(api, "network", Application(replicas=2), patch={"mode": "Recommend"}, frozen=False)
    try:
        installed.remove(api, [made.namespace])
        installed.apply([made.namespace], made.manifests())
        made.apply_profile()
        made.until("figures", lambda: made.condition("MetricsAvailable").get("status") == "True", 240)
        yield made
    finally:
        installed.remove(api, [made.namespace])


@pytest.fixture(scope="module")
def policy(api: Api) -> Object:
    return api.get("networkpolicy", SYSTEM, "pegbox")


@pytest.fixture(scope="module")
def process(operator: Operator) -> int:
    try:
        return process_of(operator.pod())
    except NotHere as error:
        cannot_run(f"END-TO-END TESTS NOT RUN: {error}")


@pytest.fixture(scope="module")
def seen(world: World, process: int) -> Sockets:
    return sockets.observed(process, 20)


def allowed(policy: Object, protocol: str) -> set[int]:
    return {p["port"] for rule in policy["spec"]["egress"] for p in rule["ports"] if p["protocol"] == protocol}


def used(api: Api, peers: set[sockets.Address]) -> set[int]:
    """The ports connected to, and those behind a Service: a policy is asked before or after its address is rewritten,
    by the network's own choice."""
    ports = {port for _, port in peers}
    for service in api.list("service", ""):
        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        named = [p.get("name", "") for p in service["spec"].get("ports", [])
                 if (service["spec"].get("clusterIP"), p["port"]) in peers]  # fmt: skip
        slices = api.list("endpointslice", namespace, labelSelector=f"kubernetes.io/service-name={name}")
        ports |= {int(p["port"]) for each in slices for p in each["ports"] if named and p.get("name", "") in named}
    return ports


def test_the_policy_selects_the_operators_pod_and_no_other(api: Api, operator: Operator, policy: Object) -> None:
    labels = policy["spec"]["podSelector"]["matchLabels"]
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    found = api.list("pod", SYSTEM, labelSelector=selector)
    assert [p["metadata"]["name"] for p in found if "deletionTimestamp" not in p["metadata"]] == [
        operator.pod()["metadata"]["name"]
    ]
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_it_lets_in_what_the_process_listens_on(operator: Operator, policy: Object, seen: Sockets) -> None:
    (rule,) = policy["spec"]["ingress"]
    (container,) = operator.pod()["spec"]["containers"]
    named = {p["name"]: p["containerPort"] for p in container["ports"]}
    assert {named[p["port"]] for p in rule["ports"]} == seen.listening


def test_it_lets_out_what_the_process_connects_to_and_nothing_else(api: Api, policy: Object, seen: Sockets) -> None:
    print(f"connected to {sorted(seen.peers)}, by datagrams to {sorted(seen.datagrams)}")
    assert allowed(policy, "TCP") - {DNS} == used(api, seen.peers)


def test_names_are_asked_for_by_datagrams_to_port_53_alone(policy: Object, process: int, seen: Sockets) -> None:
    """Over TCP only where an answer is too long for a datagram, so that it is not seen here."""
    assert allowed(policy, "UDP") == {DNS}
    assert DNS in allowed(policy, "TCP")
    assert sockets.datagrams_sent(process) > 0
    assert {port for _, port in seen.datagrams} <= {DNS}
    servers = Path(f"/proc/{process}/root/etc/resolv.conf").read_text()
    assert "nameserver" in servers


@pytest.fixture(scope="module")
def laid(enforced: bool) -> None:
    if not enforced:
        cannot_run(
            "END-TO-END TESTS NOT RUN: its rules are laid where `exec` enters the node's own network: in the local cluster alone"
        )


def test_the_operator_works_under_its_rules(laid: None, operator: Operator, world: World) -> None:
    """It leads, takes a profile and asks Prometheus while they are laid, and they spare no older connection. An answer of one
    look may lack something while all other worlds begin, so that the next ones count, too."""
    assert operator.leads()
    assert world.condition("Accepted")["status"] == "True"
    world.until("figures", lambda: world.condition("MetricsAvailable").get("status") == "True", 60)


def test_it_tries_nothing_that_they_forbid(laid: None, seen: Sockets) -> None:
    assert firewall.dropped() == firewall.Dropped(out=0, in_=0), "since the tests began"


def test_from_its_pod_nothing_else_is_reached(laid: None, api: Api, world: World, process: int) -> None:
    inside = ("nsenter", f"--net=/proc/{process}/ns/net", sys.executable)
    _, other = _addresses(world)
    prometheus = api.get("service", "monitoring", "prometheus")["spec"]["clusterIP"]
    before = firewall.dropped().out
    assert sockets.connect(inside, prometheus, 9090) == "connected"
    assert sockets.connect(inside, other, 9100) == "silence"
    assert firewall.dropped().out > before
    assert sockets.connect(_in(world), other, 9100) == "connected", "a pod without rules does"


def test_in_it_nothing_is_reached_but_its_metrics(laid: None, operator: Operator, world: World) -> None:
    """Nobody listens on 9999: a packet that gets there is answered by a refusal."""
    ours, (_, other) = operator.pod()["status"]["podIP"], _addresses(world)
    before = firewall.dropped().in_
    assert sockets.connect(_in(world), ours, 8080) == "connected"
    assert sockets.connect(_in(world), ours, 9999) == "silence"
    assert firewall.dropped().in_ > before
    assert sockets.connect(_in(world), other, 9999) == "refused", "in a pod without rules it is"


def test_whether_the_clusters_own_network_enforces_any_is_said(world: World) -> None:
    """A pod that may connect to nobody tries to: what comes of it tells whether policies mean anything here."""
    deny = {"podSelector": {}, "policyTypes": ["Egress"], "egress": []}
    meta = {"name": "nobody", "namespace": world.namespace}
    assert _connects(world), "without a policy it can"
    demo.apply(
        json.dumps({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": deny})
    )
    try:
        world.until("what becomes of it", lambda: not _connects(world), 10)
        print("NetworkPolicies are enforced here: the chart's own held for everything in this run")
    except AssertionError:
        print("no NetworkPolicy is enforced here: a pod that may connect to nobody still connects after 10 s")
    finally:
        demo.kubectl("delete", "networkpolicy", "nobody", "-n", world.namespace)


def _addresses(world: World) -> list[str]:
    return [pod["status"]["podIP"] for pod in world.pods()]


def _in(world: World) -> tuple[str, ...]:
    """A Python in the application's pod."""
    pod = world.pods()[0]["metadata"]["name"]
    return (sys.executable, "-m", "dev.cluster", "kubectl", "exec", "-n", world.namespace, pod, "--", "python3")


def _connects(world: World) -> bool:
    """Does a connection from the application's pod to Prometheus come about?"""
    return sockets.connect(_in(world), "prometheus.monitoring", 9090) == "connected"
