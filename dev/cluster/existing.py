"""A cluster that somebody else runs, perhaps in production: used only if it was marked for this."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.cluster.errors import ClusterError

MARKER_NAMESPACE = "pegbox-dev"
MARKER_LABEL = "pegbox.dev/development"
MARKER_VALUE = "allowed"

Runner = Callable[[Sequence[str]], "Answer"]


@dataclass(frozen=True)
class Answer:
    """What a command gave back."""

    status: int
    output: str = ""
    errors: str = ""


def run(command: Sequence[str]) -> Answer:
    """Run a command to its end; a program that is not there is an answer too."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return Answer(127, errors=f"{command[0]}: not found")
    return Answer(done.returncode, done.stdout, done.stderr)


class Existing:
    """The cluster of PEGBOX_KUBECONFIG. Nothing is made or removed in it by `up` and `down`."""

    def __init__(self, kubeconfig: Path, report: Callable[[str], None], runner: Runner = run) -> None:
        self.kubeconfig = kubeconfig
        self.report = report
        self._run = runner

    def up(self, form: str) -> None:
        """Check that the cluster answers and is marked."""
        self.check()
        self.report(f"using the cluster of {self.kubeconfig} ({form} is what it is); nothing was started")

    def down(self) -> bool:
        """Nothing was started, so nothing is ended."""
        self.report(f"the cluster of {self.kubeconfig} is not ours: nothing to take down")
        return True

    def status(self) -> bool:
        """Report the nodes."""
        self.check()
        answer = self._run(self._kubectl("get", "nodes", "-o", "wide"))
        self.report((answer.output or answer.errors).rstrip())
        return answer.status == 0

    def kubectl_command(self, arguments: Sequence[str]) -> list[str]:
        """The command line of kubectl, once the marker was seen."""
        self.check()
        return self._kubectl(*arguments)

    def exec_command(self, command: Sequence[str]) -> list[str]:
        """The command itself, once the marker was seen."""
        self.check()
        return list(command)

    def load(self, archive: Path) -> None:
        """Not possible: we have no way to this cluster's nodes."""
        raise ClusterError(f"{archive} cannot be loaded into an existing cluster: push the image to its registry")

    def check(self) -> None:
        """Refuse a cluster that was not marked: it may be production."""
        if not self.kubeconfig.is_file():
            raise ClusterError(f"PEGBOX_KUBECONFIG={self.kubeconfig} is not a file: name a kubeconfig")
        label = MARKER_LABEL.replace(".", "\\.")
        path = f"jsonpath={{.metadata.labels.{label}}}"
        answer = self._run(self._kubectl("get", "namespace", MARKER_NAMESPACE, "-o", path))
        if answer.status == 0 and answer.output.strip() == MARKER_VALUE:
            return
        if answer.status != 0 and "NotFound" not in answer.errors:
            raise ClusterError(f"the cluster of {self.kubeconfig} does not answer:\n{answer.errors.strip()}")
        kubectl = f"kubectl --kubeconfig={self.kubeconfig}"
        raise ClusterError(
            f"the cluster of {self.kubeconfig} may be production: it lacks the namespace "
            f"{MARKER_NAMESPACE} labelled {MARKER_LABEL}={MARKER_VALUE}. If Pegbox may be tried on it:\n"
            f"  {kubectl} create namespace {MARKER_NAMESPACE}\n"
            f"  {kubectl} label namespace {MARKER_NAMESPACE} {MARKER_LABEL}={MARKER_VALUE}"
        )

    def _kubectl(self, *arguments: str) -> list[str]:
        return ["kubectl", f"--kubeconfig={self.kubeconfig}", *arguments]
