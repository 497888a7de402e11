"""Documents for `recommend`: profile, class and budgets from files, the shipped classes, and `--set`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pegbox.adapters import yamlfile
from pegbox.api.wire import API_VERSION, suggest
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import KnobValue, SearchSpace

Document = dict[str, Any]
NAMESPACE = "default"
LIMIT = yamlfile.MAX_BYTES + 1
"""Bytes that are read: one more than may be there, so that too much is seen."""
_CHECKOUT = "manifests/classes"


@dataclass(frozen=True, slots=True)
class Documents:
    """One profile with its class, and the SharedBudgets that stand in the same file, by name."""

    profile: Document
    class_: Document
    budgets: Mapping[str, Document]


def read(file: str, class_file: str | None) -> Documents:
    """Raises InvalidInput. The class: its own file, the profile's file, or a shipped one, in this order."""
    found = load(file)
    profile = _one(found, "PerformanceProfile", file)
    profile["metadata"] = {"namespace": NAMESPACE} | profile["metadata"]
    spec = profile.get("spec")
    ref = spec.get("classRef") if isinstance(spec, dict) else None
    name = str(ref.get("name", "")) if isinstance(ref, dict) else ""
    budgets = {str(d["metadata"].get("name", "")): d for d in found if d["kind"] == "SharedBudget"}
    return Documents(profile, _class(name, found, class_file, file), budgets)


def _class(name: str, found: Sequence[Document], class_file: str | None, file: str) -> Document:
    if class_file is not None:
        return _one(load(class_file), "PerformanceClass", class_file, name)
    if any(d["kind"] == "PerformanceClass" for d in found):
        return _one(found, "PerformanceClass", file, name)
    shipped = shipped_classes()
    if name not in shipped:
        remedy = f"give its class with --class-file; shipped classes: {suggest(name, sorted(shipped))}"
        raise InvalidInput("spec.classRef.name", name, remedy)
    return _one(_parse(shipped[name].read_bytes(), name), "PerformanceClass", name, name)


def shipped_classes() -> dict[str, Traversable]:
    """Name -> file of every shipped class: inside the installed package, or in the checkout it is run from."""
    directory: Traversable = resources.files("pegbox") / "classes"
    if not directory.is_dir():
        directory = Path(__file__).resolve().parents[3] / _CHECKOUT
    files = [f for f in directory.iterdir() if f.name.endswith(".yaml")] if directory.is_dir() else []
    return {f.name.removesuffix(".yaml"): f for f in sorted(files, key=lambda f: f.name)}


def load(file: str) -> list[Document]:
    """The Kubernetes documents of a YAML file, `-` for stdin. Raises InvalidInput."""
    try:
        raw = sys.stdin.buffer.read(LIMIT) if file == "-" else _start_of(Path(file))
    except OSError as error:
        raise InvalidInput("file", file, f"name a readable file: {error.strerror}") from error
    return _parse(raw, file)


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LIMIT)


def _parse(raw: bytes, file: str) -> list[Document]:
    found = yamlfile.load_all(raw, "file", file)
    for document in found:
        if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict) or "kind" not in document:
            raise InvalidInput("file", file, "write Kubernetes documents, each with apiVersion, kind and metadata")
        ours = str(document["kind"]).startswith(("Performance", "SharedBudget"))
        if ours and document.get("apiVersion") != API_VERSION:
            raise InvalidInput("apiVersion", document.get("apiVersion"), f"this release reads {API_VERSION}")
    return found


def _one(found: Sequence[Document], kind: str, file: str, name: str = "") -> Document:
    of_kind = [d for d in found if d["kind"] == kind]
    named = [d for d in of_kind if not name or d["metadata"].get("name") == name]
    if len(named) == 1:
        return named[0]
    if len(named) > 1:
        raise InvalidInput("file", file, f"it holds {len(named)} documents of kind {kind}: give one")
    known = ", ".join(str(d["metadata"].get("name")) for d in of_kind) or "none"
    wanted = f"{kind} {name}".strip()
    raise InvalidInput("file", file, f"it holds no {wanted} (of that kind: {known}): give a file that does")


def assignments(given: Sequence[str], space: SearchSpace) -> dict[str, KnobValue]:
    """`--set knob=value` as values of the profile's knobs. Raises InvalidInput."""
    out: dict[str, KnobValue] = {}
    for text in given:
        name, sign, raw = text.partition("=")
        if not sign or not raw or name not in space:
            remedy = f"write knob=value with a knob of this profile: {suggest(name, space.names)}"
            raise InvalidInput("--set", text, remedy)
        if name in out:
            raise InvalidInput("--set", text, "this knob is set twice: give it once")
        out[name] = space[name].type.parse(raw, f"--set {name}")
    return out
