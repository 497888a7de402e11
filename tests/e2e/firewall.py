"""The rules of a NetworkPolicy, laid on a running pod's packets by nft: for a cluster whose own network enforces none.

They stand in the node's network namespace, behind the rewriting of service addresses, where network plugins have theirs.
Each packet of a connection is asked, so that connections from before the rules are no way around them. What the node
itself sends to its pods passes, as the API says it must.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from dev.demo import cluster as demo
from tests.e2e.api import Object

TABLE = "pegbox-e2e-policy"
OUT, IN = "out", "in"  # names of the two counters


def rules(policy: Object, pod: Object) -> str:
    """An nft script. Only ports are known here: a policy that names peers is refused, so that none is taken for less."""
    spec, address = policy["spec"], pod["status"]["podIP"]
    assert not any(rule.get(peers) for rule, peers in [*((r, "to") for r in spec["egress"]),
                                                       *((r, "from") for r in spec["ingress"])]), spec  # fmt: skip
    named = {
        p["name"]: p["containerPort"] for c in pod["spec"]["containers"] for p in c.get("ports", []) if "name" in p
    }
    out = _dropped(f"ip saddr {address} ct direction original", spec["egress"], named, OUT)
    in_ = _dropped(f"ip daddr {address} ct direction original", spec["ingress"], named, IN)
    return "\n".join([
        f"table inet {TABLE} {{",
        f"  counter {OUT} {{ }}",
        f"  counter {IN} {{ }}",
        "  chain forwarded {",
        "    type filter hook forward priority filter; policy accept;",
        *out,
        *in_,
        "  }",
        "  chain to_the_node {",
        "    type filter hook input priority filter; policy accept;",
        *out,
        "  }",
        "}\n",
    ])  # fmt: skip


def _dropped(packets: str, allowed: list[Object], named: dict[str, int], counter: str) -> list[str]:
    """Packets to any other port. What has no ports, such as ICMP, is nothing that the API decides on."""
    ports = [(p["protocol"].lower(), named.get(p["port"], p["port"])) for rule in allowed for p in rule["ports"]]
    lines = []
    for protocol in ("tcp", "udp"):
        numbers = sorted({port for each, port in ports if each == protocol})
        others = f"{protocol} dport != {{ {', '.join(map(str, numbers))} }}" if numbers else f"meta l4proto {protocol}"
        lines.append(f"    {packets} {others} counter name {counter} drop")
    return lines


@dataclass(frozen=True)
class Dropped:
    """Packets that the rules dropped so far: of the pod's own connections, and of others' to it."""

    out: int
    in_: int


def lay(policy: Object, pod: Object) -> None:
    """Instead of what was laid before. Raises DemoError where nft does not do it."""
    lift()
    _nft("-f", "-", stdin=rules(policy, pod))


def lift() -> None:
    _nft("-f", "-", stdin=f"table inet {TABLE} {{ }}\ndelete table inet {TABLE}\n")


def dropped() -> Dropped:
    found: list[dict[str, Any]] = json.loads(_nft("-j", "list", "counters", "table", "inet", TABLE))["nftables"]
    packets = {each["counter"]["name"]: each["counter"]["packets"] for each in found if "counter" in each}
    return Dropped(packets[OUT], packets[IN])


def _nft(*words: str, stdin: str | None = None) -> str:
    return demo.cluster("exec", "--", "nft", *words, stdin=stdin)
