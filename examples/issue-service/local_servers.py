"""A real PostgreSQL and a real Redis on loopback, from the binaries that Debian installs, in a temporary
folder.

Used by run_local.py and by the integration tests. PostgreSQL refuses to run as root, so as root its
processes run as the user `postgres`. Both stop, and their folder goes, when the context ends.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class NotInstalled(RuntimeError):
    """A binary is missing; the message names it and its remedy."""


@dataclass(frozen=True)
class RedisServer:
    port: int
    pid: int


@dataclass(frozen=True)
class Postgres:
    port: int
    folder: Path
    pid: int

    def url(self, role: str, database: str = "postgres") -> str:
        return f"postgresql+asyncpg://{role}@127.0.0.1:{self.port}/{database}"

    def run_sql(self, sql: str, database: str = "postgres") -> str:
        """Run statements as the superuser and return what psql prints, tuples only."""
        command = [binary("psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-qAt", database]
        done = subprocess.run(
            [*command, "-v", "ON_ERROR_STOP=1"],
            input=sql,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        if done.returncode:
            raise RuntimeError(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()


def binary(name: str) -> str:
    """Path of a server binary; PostgreSQL's lie outside PATH on Debian."""
    if found := shutil.which(name):
        return found
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if versions:
        return str(versions[-1])
    raise NotInstalled(f"{name} is not installed; on Debian: apt-get install postgresql redis-server")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _server_user() -> str | None:
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError as error:
        raise NotInstalled(
            "user postgres is missing and PostgreSQL does not run as root; install postgresql"
        ) from error


@contextmanager
def postgres(max_connections: int = 100) -> Iterator[Postgres]:
    """A PostgreSQL with its own data folder; superuser `postgres`, no passwords, loopback only."""
    initdb, server, user = binary("initdb"), binary("postgres"), _server_user()
    folder = Path(tempfile.mkdtemp(prefix="pegbox-pg-"))
    try:
        if user:
            shutil.chown(folder, user)
        data = folder / "data"
        _run([initdb, "-D", str(data), "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-sync"], user)
        port = free_port()
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": str(folder),
            "max_connections": str(max_connections),
            "superuser_reserved_connections": "3",
            "fsync": "on",
        }
        command = [server, "-D", str(data), *(f"--{key}={value}" for key, value in options.items())]
        log = (folder / "log").open("wb")
        process = subprocess.Popen(
            command, stdout=log, stderr=log, user=user, extra_groups=[] if user else None, cwd="/"
        )
        try:
            found = Postgres(port, folder, process.pid)
            _wait_for(lambda: found.run_sql("select 1") == "1", process, folder / "log")
            yield found
        finally:
            # SIGINT is PostgreSQL's fast shutdown: sessions are ended, nothing waits for them.
            _stop(process, signal.SIGINT)
            log.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis() -> Iterator[RedisServer]:
    """A Redis without persistence on a free loopback port."""
    server, port = binary("redis-server"), free_port()
    folder = Path(tempfile.mkdtemp(prefix="pegbox-redis-"))
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    log = (folder / "log").open("wb")
    process = subprocess.Popen([*command, "--dir", str(folder)], stdout=log, stderr=log)
    try:
        _wait_for(lambda: _answers(port), process, folder / "log")
        yield RedisServer(port, process.pid)
    finally:
        _stop(process, signal.SIGTERM)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: list[str], user: str | None) -> None:
    done = subprocess.run(
        command,
        user=user,
        extra_groups=[] if user else None,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip()}")


def _answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")


def _wait_for(ready: object, process: subprocess.Popen[bytes], log: Path) -> None:
    assert callable(ready)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended at its start: {log.read_text(errors='replace')[-2000:]}")
        try:
            if ready():
                return
        except (OSError, RuntimeError):
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the server did not answer in 30 s: {log.read_text(errors='replace')[-2000:]}")


def _stop(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
