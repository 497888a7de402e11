"""The chart's NetworkPolicy is on while all of this runs, and allows what the operator's process really does, no more.

Whether the cluster's network enforces policies is found out and said. Where it does not, what the process connects to
is held against the rules instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.demo import cluster as demo
from tests.e2e import sockets
from tests.e2e.api import Api, Object
from tests.e2e.conftest import cannot_run, remove, spaces
from tests.e2e.operators import SYSTEM, NotHere, Operator, process_of
from tests.e2e.sockets import Sockets
from tests.e2e.worlds import WORKLOAD, World

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


@pytest.fixture(scope="module")
def world(api: Api) -> Iterator[World]:
    """A profile that makes the operator ask Prometheus, whatever other tests do."""
    made = World(api, "network", patch={"mode": "Recommend"}, frozen=False)
    try:
        remove(api, [made.namespace])
        demo.apply((WORKLOAD / "class.yaml").read_text())
        demo.apply(
            json.dumps({"apiVersion": "v1", "kind": "List", "items": [*spaces([made.namespace]), *made.manifests()]})
        )
        made.apply_profile()
        made.until("figures", lambda: made.condition("MetricsAvailable").get("status") == "True", 240)
        yield made
    finally:
        remove(api, [made.namespace])


@pytest.fixture(scope="module")
def policy(api: Api) -> Object:
    return api.get("networkpolicy", SYSTEM, "pegbox")


@pytest.fixture(scope="module")
def process(operator: Operator) -> int:
    try:
        return process_of(operator.pod())
    except NotHere as error:
        cannot_run(str(error))


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


def test_the_operator_works_under_it_and_whether_anything_enforces_it_is_said(world: World) -> None:
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
    world.until("figures", lambda: world.condition("MetricsAvailable").get("status") == "True")


def _connects(world: World) -> bool:
    """Does a connection from the application's pod to Prometheus come about?"""
    program = "import socket; socket.create_connection(('prometheus.monitoring', 9090), 3)"
    pod = world.pods()[0]["metadata"]["name"]
    try:
        demo.kubectl("exec", "-n", world.namespace, pod, "--", "python3", "-c", program)
    except demo.DemoError:
        return False
    return True
