"""The command line: `python3 -m dev.cluster COMMAND`. Progress goes to the error stream."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from dev.cluster import build, kwok, prerequisites, tools
from dev.cluster.choose import choose, docker_works
from dev.cluster.errors import ClusterError
from dev.cluster.existing import Existing
from dev.cluster.kind import Kind
from dev.cluster.local import FORMS, Local
from dev.cluster.node import NodeOptions
from dev.cluster.paths import Paths

_INTERRUPTED = 130


class Cluster(Protocol):
    """What every kind of cluster can do."""

    @property
    def kubeconfig(self) -> Path: ...
    def up(self, form: str) -> None: ...
    def down(self) -> bool: ...
    def status(self) -> bool: ...
    def kubectl_command(self, arguments: Sequence[str]) -> list[str]: ...
    def exec_command(self, command: Sequence[str]) -> list[str]: ...
    def load(self, archive: Path) -> None: ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. 0 done, 1 failed, 2 something is lacking, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except ClusterError as error:
        build.say(f"error: {error}")
        return error.status
    except KeyboardInterrupt:
        build.say("interrupted: run the same command again to go on, or `down` to take everything away")
        return _INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    command = options.command
    if command == "build":
        if options.level in ("node", "all"):  # which have a C library under them
            prerequisites.ensure("node", build.say)
        build.ensure(tools.level(options.level))
        return 0
    if command == "tool":
        build.ensure([tools.tool(options.tool)])
        print(tools.tool(options.tool).path)
        return 0
    cluster = _cluster(options)
    if command == "kwok":
        build.say(f"nodes: {', '.join(kwok.start(_local(cluster).plane(), options.nodes))}")
    elif command == "up":
        cluster.up(options.form)
    elif command == "load":
        cluster.load(options.archive)
    elif command == "kubeconfig":
        print(cluster.kubeconfig)
    elif command == "kubectl":
        _become(cluster.kubectl_command(options.arguments), {})
    elif command == "exec":
        words = options.arguments[1:] if options.arguments[:1] == ["--"] else options.arguments
        _become(cluster.exec_command(words), {"KUBECONFIG": str(cluster.kubeconfig), "PATH": _path()})
    else:
        return 0 if (cluster.status() if command == "status" else cluster.down()) else 1
    return 0


def _cluster(options: argparse.Namespace) -> Cluster:
    """The cluster to use; which and why is printed where something is brought up or asked about."""
    paths, node_options = Paths.of(options.name), NodeOptions(sync_frequency=options.sync_frequency)
    local = Local(paths, node_options)
    if getattr(options, "form", "node") != "node" or local.form in ("control", "controllers"):
        return local
    choice = choose(os.environ, docker_works)
    if options.command in ("up", "down", "status"):
        build.say(f"cluster: {choice.kind}, because {choice.why}")
    if choice.kind == "existing":
        return Existing(Path(os.environ["PEGBOX_KUBECONFIG"]).resolve(), build.say)
    if choice.kind == "kind":
        return Kind(paths, build.say, sync_frequency=options.sync_frequency)
    return local


def _local(cluster: Cluster) -> Local:
    if not isinstance(cluster, Local):
        raise ClusterError("kwok nodes belong to a local control plane: up --form controllers --name NAME first")
    return cluster


def _path() -> str:
    """PATH with our kubectl and helm before any other, where they are built."""
    ours = [tools.tool(name).path for name in ("kubectl", "helm")]
    return os.pathsep.join([*(str(each.parent) for each in ours if each.exists()), os.environ.get("PATH", "")])


def _become(command: Sequence[str], env: dict[str, str]) -> None:
    """Turn into the command, so that signals and the exit status are its own."""
    if not command:
        raise ClusterError("exec needs a command: exec -- CMD...")
    sys.stdout.flush()
    try:
        os.execvpe(command[0], list(command), {**os.environ, **env})
    except FileNotFoundError:
        raise ClusterError(f"{command[0]} is not there: install it") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m dev.cluster", description=__doc__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", help="the cluster's name; one of this checkout's own if left out")
    common.set_defaults(sync_frequency="5s")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", parents=[common], help="bring the cluster up, or go on where `up` stopped")
    up.add_argument("--form", choices=FORMS, default="node")
    up.add_argument("--sync-frequency", default="5s", help="how often a kubelet refreshes volumes; its default is 1m0s")
    commands.add_parser("status", parents=[common], help="what runs; exit 1 if not all does")
    commands.add_parser("down", parents=[common], help="take it away and show that nothing stayed")
    commands.add_parser("kubeconfig", parents=[common], help="print the administrator's kubeconfig")
    kubectl = commands.add_parser("kubectl", parents=[common], help="run kubectl against it")
    kubectl.add_argument("arguments", nargs=argparse.REMAINDER)
    execute = commands.add_parser("exec", parents=[common], help="run a command in its network, with KUBECONFIG set")
    execute.add_argument("arguments", nargs=argparse.REMAINDER)
    load = commands.add_parser("load", parents=[common], help="bring in an OCI or Docker image archive")
    load.add_argument("archive", type=Path)
    seeming = commands.add_parser("kwok", parents=[common], help="add nodes that only seem to run")
    seeming.add_argument("--nodes", type=int, default=1)
    tool = commands.add_parser("tool", help="print the path of a program, building it if needed")
    tool.add_argument("tool", choices=sorted(tools.TOOLS), metavar="NAME")
    builder = commands.add_parser("build", help="build the programs of a level")
    builder.add_argument("level", choices=list(tools.LEVELS))
    return parser
