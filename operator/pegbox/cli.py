"""The command line: arguments, errors as one line, exit codes. `kubectl pegbox` is the same program.

Nothing but the standard library is imported until a command was chosen: help must be there at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

from pegbox import __version__
from pegbox.bench import arguments as bench_arguments
from pegbox.model.errors import PegboxError

Command = Callable[[Namespace], int]
INTERRUPTED = 130
EPILOG = """exit codes: 0 done, 1 findings or refused, 2 the input cannot be used or the command cannot run,
3 (recommend) the metrics cannot carry an answer"""
VERBS = {
    "try": "try a setting now, in mode Auto: it is judged and put back like any other trial",
    "rollback": "put the last known good setting back, in mode Auto",
    "reset": "close the breaker and forget failures and what was learned",
    "pause": "start no trials until resumed, for a duration, or until a time",
    "resume": "end a pause",
}
BRAKES = {
    "stop": "stop tuning in the whole cluster: trials go back to their parents, none starts",
    "start": "end a stop of the whole cluster",
}


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code. Mistakes of the user are told on one line, never as a traceback."""
    arguments = parser().parse_args(argv)
    command: Command = arguments.command
    try:
        code = int(command(arguments))
        sys.stdout.flush()
        return code
    except PegboxError as error:
        return _failed(str(error))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "pegbox":
            raise
        return _failed(f"module {error.name} is missing: install the operator's parts: pip install 'pegbox[operator]'")
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED


def _failed(text: str) -> int:
    print(f"pegbox: {' '.join(text.split())}", file=sys.stderr)
    return 2


def parser() -> ArgumentParser:
    """Every command with its arguments."""
    program = "kubectl pegbox" if Path(sys.argv[0]).name.startswith("kubectl-") else "pegbox"
    top = ArgumentParser(prog=program, description="Tune the numbers inside Kubernetes workloads.", epilog=EPILOG)
    top.add_argument("--version", action="version", version=f"pegbox {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, text: str, command: Command) -> ArgumentParser:
        made: ArgumentParser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        made.set_defaults(command=command)
        return made

    _add_run(add("run", "run the operator", _run))
    _add_recommend(
        add("recommend", "recommend a setting from a profile and Prometheus, without any cluster", _recommend)
    )
    _add_explain(add("explain", "say why each knob has its value, and what comes next", _explain))
    _add_doctor(add("doctor", "check rights, CRDs, metrics and profiles; each finding with its remedy", _doctor))
    crds = add("render-crds", "write the CustomResourceDefinitions of this version", _crds)
    crds.add_argument("--out", metavar="DIR", default="-", help="a directory, or - for stdout (default)")
    bench_arguments.add(add("bench", "measure how well Pegbox tunes, forecasts and rolls back", _bench))
    for verb, text in VERBS.items():
        _add_verb(add(verb, text, _verb), verb)
    for verb, text in BRAKES.items():
        _add_brake(add(verb, text, _stop), verb)
    return top


def _add_run(made: ArgumentParser) -> None:
    made.add_argument("--config", metavar="FILE", type=Path, required=True, help="the operator's settings, YAML")
    made.add_argument("--kubeconfig", metavar="FILE", type=Path, help="default: the pod's service account")


def _add_recommend(made: ArgumentParser) -> None:
    made.add_argument("-f", "--file", metavar="FILE", required=True, help="a PerformanceProfile, YAML; - for stdin")
    made.add_argument(
        "--class-file",
        metavar="FILE",
        help="its PerformanceClass; default: the one in the profile's file, or the shipped one of that name",
    )
    _add_prometheus(made, required=True)
    made.add_argument("--window", metavar="DURATION", default="5m", help="how far one window reaches (default 5m)")
    made.add_argument("--history", metavar="DURATION", help="learn from windows this far back, such as 6h")
    pods = made.add_mutually_exclusive_group()
    pods.add_argument("--pods", metavar="REGEX", help="names of the pods; default: those of the profile's target")
    pods.add_argument("--deployment", metavar="NAME", help="the pods of this Deployment")
    made.add_argument(
        "--set",
        metavar="KNOB=VALUE",
        action="append",
        default=[],
        dest="given",
        help="the value in force of a knob that the application does not export; may be repeated",
    )
    made.add_argument("--json", action="store_true", help="print JSON")


def _add_explain(made: ArgumentParser) -> None:
    _add_key(made)
    _add_cluster(made)
    _add_prometheus(made)
    _add_config(made)
    made.add_argument("--trials", metavar="N", type=_count, default=5, help="how many past trials to show (default 5)")
    made.add_argument("--json", action="store_true", help="print JSON")


def _add_doctor(made: ArgumentParser) -> None:
    _add_cluster(made)
    made.add_argument("-n", "--namespace", default="", help="look at profiles of this namespace; default: all")
    _add_prometheus(made)
    _add_config(made)
    made.add_argument("--json", action="store_true", help="print JSON")


def _add_verb(made: ArgumentParser, verb: str) -> None:
    _add_key(made)
    made.set_defaults(verb=verb, argument="")
    if verb == "try":
        made.add_argument("argument", metavar="KNOB=VALUE[,KNOB=VALUE]", help="what to change")
    if verb == "pause":
        made.add_argument(
            "argument",
            metavar="DURATION|TIME",
            nargs="?",
            default="",
            help="such as 2h or 2026-12-24T18:00:00Z; default: until resumed",
        )
    made.add_argument("--wait", metavar="SECONDS", type=_seconds, default=0.0, help="wait for the operator's answer")
    _add_cluster(made)


def _add_brake(made: ArgumentParser, verb: str) -> None:
    made.set_defaults(verb=verb, restore=False)
    made.add_argument("--all", action="store_true", help="needed: it concerns every profile of every namespace")
    if verb == "stop":
        made.add_argument("--restore", action="store_true", help="also put back the values of each adoption")
    made.add_argument(
        "--lease",
        metavar="NAMESPACE/NAME",
        type=_key,
        default=("pegbox-system", "pegbox"),
        help="the operator's Lease (default pegbox-system/pegbox)",
    )
    _add_cluster(made)


def _add_key(made: ArgumentParser) -> None:
    made.add_argument("key", metavar="NAMESPACE/NAME", type=_key, help="the PerformanceProfile")


def _add_cluster(made: ArgumentParser) -> None:
    made.add_argument(
        "--kubeconfig",
        metavar="FILE",
        type=Path,
        help="default: KUBECONFIG, ~/.kube/config, or the pod's service account",
    )
    made.add_argument("--context", metavar="NAME", help="the kubeconfig's context; default: its current one")


def _add_config(made: ArgumentParser) -> None:
    made.add_argument("--config", metavar="FILE", type=Path, help="the operator's settings, for its metrics sources")


def _add_prometheus(made: ArgumentParser, *, required: bool = False) -> None:
    made.add_argument("--prometheus", metavar="URL", required=required, help="a Prometheus-compatible server")
    made.add_argument("--token-file", metavar="FILE", default="", help="a bearer token for it")
    made.add_argument("--ca-file", metavar="FILE", default="", help="the CA of its certificate")
    made.add_argument("--pod-label", metavar="NAME", default="pod", help="its label for pods (default pod)")
    made.add_argument(
        "--namespace-label", metavar="NAME", default="namespace", help="its label for namespaces (default namespace)"
    )


def _key(text: str) -> tuple[str, str]:
    namespace, slash, name = text.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise argparse.ArgumentTypeError(f"{text!r}: write NAMESPACE/NAME, such as shop/checkout")
    return namespace, name


def _seconds(text: str) -> float:
    try:
        value = float(text.removesuffix("s"))
    except ValueError:
        value = -1.0
    if not 0 <= value <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r}: write seconds from 0 to 86400, such as 60")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > 50:
        raise argparse.ArgumentTypeError(f"{text!r}: write a number from 0 to 50")
    return int(text)


def _run(arguments: Namespace) -> int:
    from pegbox.commands import run

    return run.main(arguments)


def _recommend(arguments: Namespace) -> int:
    from pegbox.commands import recommend

    return recommend.main(arguments)


def _explain(arguments: Namespace) -> int:
    from pegbox.commands import explain

    return explain.main(arguments)


def _doctor(arguments: Namespace) -> int:
    from pegbox.commands import doctor

    return doctor.main(arguments)


def _crds(arguments: Namespace) -> int:
    from pegbox.commands import crds

    return crds.main(arguments)


def _bench(arguments: Namespace) -> int:
    from pegbox.commands import bench

    return bench.main(arguments)


def _verb(arguments: Namespace) -> int:
    from pegbox.commands import verbs

    return verbs.main(arguments)


def _stop(arguments: Namespace) -> int:
    from pegbox.commands import stop

    return stop.main(arguments)
