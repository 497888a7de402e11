"""A team's own release of its workload, by the real Helm: what it applies beside Pegbox, and what Helm answers.

Both Helms of our users: 4 applies on the server as field manager `helm`, and a field that somebody else holds is a
conflict; 3 compares three versions on the client, and what it patches is simply written.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dev.cluster import tools

Object = Mapping[str, Any]
Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]

HELM_4, HELM_3 = "helm", "helm3"  # names of programs in dev/cluster/tools.py
HELMS = (HELM_4, HELM_3)
IDS = {HELM_4: "Helm 4", HELM_3: "Helm 3"}


def unbuilt() -> str:
    """What is missing, and the command that builds it; "" where both are there."""
    missing = [name for name in HELMS if not tools.tool(name).path.is_file()]
    return "; ".join(f"{IDS[n]} is not built: run `python3 -m dev.cluster tool {n}`" for n in missing)


@dataclass(frozen=True)
class Said:
    """Helm's exit status and its words."""

    code: int
    text: str

    @property
    def passed(self) -> bool:
        return self.code == 0


@dataclass
class Release:
    """One chart, written anew for each version: `objects` as they stand, since no test is about templates."""

    helm: str
    namespace: str
    folder: Path
    run: Run
    name: str = "team"
    versions: int = field(default=0, init=False)

    def upgrade(self, *objects: Object, options: Sequence[str] = ()) -> Said:
        """The next version of the chart: installed where it is the first one."""
        self.versions += 1
        self._write(objects)
        return self._helm("upgrade", "--install", self.name, str(self.folder), *options)

    def rollback(self, revision: int, options: Sequence[str] = ()) -> Said:
        return self._helm("rollback", self.name, str(revision), *options)

    def status(self) -> str:
        """deployed, failed, ..."""
        said = self._helm("status", self.name, "--output", "json")
        assert said.passed, said.text
        return str(json.loads(said.text)["info"]["status"])

    def _helm(self, *words: str) -> Said:
        done = self.run([str(tools.tool(self.helm).path), *words, "--namespace", self.namespace])
        return Said(done.returncode, done.stdout if done.returncode == 0 else done.stdout + done.stderr)

    def _write(self, objects: Sequence[Object]) -> None:
        templates = self.folder / "templates"
        templates.mkdir(parents=True, exist_ok=True)
        for old in templates.iterdir():
            old.unlink()
        head = {"apiVersion": "v2", "name": self.name, "version": f"0.0.{self.versions}"}
        (self.folder / "Chart.yaml").write_text(json.dumps(head))
        for number, body in enumerate(objects):
            (templates / f"{number}-{body['kind'].lower()}.yaml").write_text(json.dumps(body, indent=1))
