"""Only what we started is ended: a pid that somebody else has now is left alone."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.cluster import certs, ports
from dev.cluster.control import ControlPlane, remove
from dev.cluster.errors import ClusterError
from dev.cluster.local import Local
from dev.cluster.paths import Paths
from dev.cluster.processes import MARKER, Processes, Service, end, marked, start_time

FOREVER = [sys.executable, "-c", "import sys; sys.stdin.read(); __import__('signal').pause()"]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    yield (made := Processes(tmp_path))
    for name in made.names():
        made.stop(name, 1.0)


def test_a_started_process_is_known_until_it_is_stopped(processes: Processes) -> None:
    pid = processes.start(Service("a", FOREVER))

    assert processes.pid("a") == pid
    processes.stop("a", 1.0)
    assert processes.pid("a") is None
    assert start_time(pid) is None


def test_starting_twice_starts_once(processes: Processes) -> None:
    assert processes.start(Service("a", FOREVER)) == processes.start(Service("a", FOREVER))


def test_a_recorded_pid_that_is_somebody_elses_now_is_neither_shown_nor_ended(processes: Processes) -> None:
    pids = processes.state / "pids"
    pids.mkdir()
    other = {"pid": os.getpid(), "started": 1, "command": "x"}  # this very test, under an older start time
    (pids / "a.pid").write_text(json.dumps(other))

    assert processes.pid("a") is None
    processes.stop("a", 1.0)  # SIGTERM would have ended the test run


def test_a_process_without_a_record_is_found_by_its_mark(processes: Processes) -> None:
    """Looked for once it runs: between fork and exec a process has no environment yet, on a busy machine for long."""
    pid = processes.start(Service("a", [sys.executable, "-c", "print('up', flush=True); __import__('signal').pause()"]))
    processes.wait(["a"], lambda: "up" in processes.tail("a"), 20.0)
    (processes.state / "pids" / "a.pid").unlink()

    assert marked(processes.state) == [pid]
    assert marked(processes.state / "other") == []
    end([pid], 1.0)
    assert marked(processes.state) == []


def test_a_process_that_ends_while_starting_is_shown_with_its_last_words(processes: Processes) -> None:
    processes.start(Service("a", ["sh", "-c", "echo the reason >&2"]))

    with pytest.raises(ClusterError, match=r"a ended while starting\n.*\nthe reason"):
        processes.wait(["a"], lambda: False, 20.0)


def test_a_process_that_is_never_ready_is_named_with_its_deadline(processes: Processes) -> None:
    processes.start(Service("a", FOREVER))

    with pytest.raises(ClusterError, match="a not ready within 0 s"):
        processes.wait(["a"], lambda: False, 0.0)


def test_a_command_of_the_users_does_not_carry_the_mark() -> None:
    assert MARKER not in os.environ


def test_free_ports_differ_and_nobody_listens_on_them() -> None:
    taken = ports.free(1, random.Random(1))[0]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", taken))
        found = ports.free(4, random.Random(1))
    assert taken not in found
    assert len(set(found)) == 4
    assert all(ports.RANGE[0] <= port <= ports.RANGE[1] for port in found)


def test_a_directory_with_something_else_in_it_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(ClusterError, match="holds something else"):
        remove(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_a_control_plane_that_was_never_started_cannot_be_attached(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"dev\.cluster up"):
        ControlPlane.attach(tmp_path)


def test_a_cluster_of_another_form_is_not_replaced(tmp_path: Path) -> None:
    paths = Paths("t", tmp_path)
    paths.record.write_text(json.dumps({"form": "control", "complete": "yes", "boot": "x"}))

    with pytest.raises(ClusterError, match="in the form control: take it down first, or choose another --name"):
        Local(paths).up("node")


@pytest.mark.parametrize("use", ["kubectl_command", "exec_command"])
def test_a_cluster_that_is_not_up_says_so(tmp_path: Path, use: str) -> None:
    with pytest.raises(ClusterError, match="is not up: run"):
        getattr(Local(Paths("t", tmp_path)), use)(["x"])


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_users_certificate_is_signed_and_names_user_and_groups(tmp_path: Path) -> None:
    authority = certs.Authority(tmp_path, "ca")

    pair = authority.client("system:serviceaccount:a:b", ["system:masters", "x/y"])

    command = ["openssl", "x509", "-in", str(pair.certificate), "-noout", "-subject", "-nameopt", "multiline"]
    subject = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for part in ("system:serviceaccount:a:b", "system:masters", "x/y"):
        assert f"= {part}\n" in subject
    verify = ["openssl", "verify", "-CAfile", str(authority.ca.certificate), str(pair.certificate)]
    subprocess.run(verify, capture_output=True, check=True)
    assert pair.key.stat().st_mode & 0o077 == 0
    assert authority.client("system:serviceaccount:a:b", ["system:masters", "x/y"]) == pair


def test_a_kubeconfig_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("ca")

    file = certs.kubeconfig(tmp_path / "k", "https://127.0.0.1:1", tmp_path / "ca", "secret")

    assert file.stat().st_mode & 0o077 == 0
    assert json.loads(file.read_text())["users"][0]["user"] == {"token": "secret"}


def test_a_process_that_ended_before_it_was_recorded_is_not_running(processes: Processes) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    record = processes.state / "pids" / "a.pid"
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"pid": ended.pid, "started": None, "command": "true"}))

    assert processes.pid("a") is None
