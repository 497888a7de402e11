"""Free ports on loopback for several control planes at once."""

from __future__ import annotations

import random
import socket

from dev.cluster.errors import ClusterError

#: Below the kernel's ephemeral range (32768 on): no outgoing connection can take the port of an API
#: server that is stopped and started again.
RANGE = (20000, 32000)
_TRIES = 200


def free(count: int, choice: random.Random, address: str = "127.0.0.1") -> list[int]:
    """`count` different ports that nobody listens on now."""
    found: list[int] = []
    for _ in range(_TRIES):
        port = choice.randint(*RANGE)
        if port not in found and _is_free(address, port):
            found.append(port)
        if len(found) == count:
            return found
    raise ClusterError(f"no {count} free ports between {RANGE[0]} and {RANGE[1]} on {address}: end what listens there")


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
