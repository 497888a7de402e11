"""What a process on this machine connects to and listens on, by its network namespace's own tables (proc(5))."""

from __future__ import annotations

import ipaddress
import struct
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LISTENS = "0A"
Address = tuple[str, int]


@dataclass
class Sockets:
    """Of TCP where others were connected to and on which ports they may connect to us, loopback left out; of UDP
    what was connected to."""

    peers: set[Address] = field(default_factory=set)
    listening: set[int] = field(default_factory=set)
    datagrams: set[Address] = field(default_factory=set)

    def add_tcp(self, table: str) -> None:
        """A connection of ours has a local port on which nobody listens."""
        rows = list(_rows(table))
        self.listening |= {local[1] for local, _, state in rows if state == LISTENS and not _loopback(local)}
        for local, remote, state in rows:
            if state != LISTENS and local[1] not in self.listening and not _loopback(remote):
                self.peers.add(remote)

    def add_udp(self, table: str) -> None:
        self.datagrams |= {remote for _, remote, _ in _rows(table) if remote[1] and not _loopback(remote)}


def observed(process: int, seconds: float, every: float = 0.02) -> Sockets:
    """Closed connections stay in the table for a minute, so that none is missed; datagrams are caught by chance."""
    found, folder = Sockets(), Path(f"/proc/{process}/net")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for name in ("tcp", "tcp6"):
            found.add_tcp((folder / name).read_text())
        for name in ("udp", "udp6"):
            found.add_udp((folder / name).read_text())
        time.sleep(every)
    return found


def datagrams_sent(process: int) -> int:
    """How many the whole namespace has sent since it was made."""
    lines = [line.split() for line in Path(f"/proc/{process}/net/snmp").read_text().splitlines()]
    names, values = (line for line in lines if line[0] == "Udp:")
    return int(values[names.index("OutDatagrams")])


def connect(python: Sequence[str], host: str, port: int) -> str:
    """What comes of a TCP connection from where `python` runs: connected, refused, or silence."""
    done = subprocess.run([*python, "-c", _CONNECT, host, str(port)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


_CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)
    print("connected")
except ConnectionRefusedError:
    print("refused")
except TimeoutError:
    print("silence")
"""


def _rows(table: str) -> Iterable[tuple[Address, Address, str]]:
    for line in table.splitlines()[1:]:
        _, local, remote, state = line.split()[:4]
        yield _address(local), _address(remote), state


def _address(text: str) -> Address:
    """`0100007F:1F90`: the address in words of the machine's own byte order, the port as a number."""
    host, port = text.split(":")
    words = struct.unpack(f">{len(host) // 8}I", bytes.fromhex(host))
    address = ipaddress.ip_address(struct.pack(f"={len(words)}I", *words))
    plain = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped else address
    return str(plain), int(port, 16)


def _loopback(address: Address) -> bool:
    return ipaddress.ip_address(address[0]).is_loopback
