"""CustomResourceDefinitions from the wire models: structural schemas as an API server takes them.

What pydantic emits and an API server refuses (references, null arms, additionalProperties, const, exclusive bounds as
numbers) is rewritten here; what only Kubernetes knows (list maps, CEL) stands on the models as extra schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from pegbox.api.budget_wire import SharedBudgetSpec, SharedBudgetStatus
from pegbox.api.class_wire import ClassSpecWire
from pegbox.api.environment_wire import PodEnvironmentSpec
from pegbox.api.ledger_wire import LedgerData
from pegbox.api.profile_wire import ProfileSpecWire
from pegbox.api.status_wire import ProfileStatus
from pegbox.api.wire import GROUP, VERSION, Wire

Schema = dict[str, Any]
_ROOT = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"type": "object"},
}
_KEPT = (
    "type", "format", "description", "pattern", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems",
    "maxItems", "maxProperties", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-validations",
    "x-kubernetes-int-or-string",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False

    def render(self) -> Schema:
        column = {"name": self.name, "type": self.type, "jsonPath": self.path, "description": self.description}
        return {**column, "priority": 1} if self.wide else column


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind: its names, its top-level fields and what `kubectl get` shows."""

    kind: str
    plural: str
    scope: str
    short: tuple[str, ...]
    description: str
    fields: Mapping[str, type[Wire]]
    required: tuple[str, ...]
    columns: tuple[Column, ...]


_AGE = Column("Age", ".metadata.creationTimestamp", "Time since creation.", "date")


def _condition(kind: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].status'


RESOURCES = (
    Resource(
        kind="PerformanceProfile",
        plural="performanceprofiles",
        scope="Namespaced",
        short=("perfp",),
        description="What to tune in one workload, and what must hold while it is tuned.",
        fields={"spec": ProfileSpecWire, "status": ProfileStatus},
        required=("spec",),
        columns=(
            Column("Target", ".spec.targetRef.name", "The workload."),
            Column("Mode", ".spec.mode", "Observe, Recommend or Auto."),
            Column("Ready", _condition("Ready"), "Whether Pegbox can work with the profile."),
            Column("Setting", ".status.summary.setting", "The setting in force."),
            Column("SLO", ".status.summary.slo", "The share of good events of the SLO that is nearest to its goal."),
            Column("Breaker", ".status.breaker.state", "Open after failed trials."),
            Column("Why", ".status.why", "What was decided last, and why.", wide=True),
            Column("Next", ".status.next", "What comes next.", wide=True),
            _AGE,
        ),
    ),
    Resource(
        kind="PerformanceClass",
        plural="performanceclasses",
        scope="Cluster",
        short=("perfc",),
        description="Knowledge of one kind of software: its knobs, signals and rules.",
        fields={"spec": ClassSpecWire},
        required=("spec",),
        columns=(Column("Source", ".spec.sourceRef", "The metrics source, by name."), _AGE),
    ),
    Resource(
        kind="SharedBudget",
        plural="sharedbudgets",
        scope="Namespaced",
        short=("perfb",),
        description="Something that several workloads of a namespace share, such as database connections.",
        fields={"spec": SharedBudgetSpec, "status": SharedBudgetStatus},
        required=("spec",),
        columns=(
            Column("Capacity", ".spec.capacity", "How much there is.", "integer"),
            Column("Reserve", ".spec.reserve", "What is never granted.", "integer"),
            Column("Claimed", ".status.claimed", "What profiles claim.", "integer"),
            Column("Unit", ".spec.unit", "Of what."),
            Column("Trial", ".status.trial", "The profile that tries something now."),
            _AGE,
        ),
    ),
    Resource(
        kind="TuningLedger",
        plural="tuningledgers",
        scope="Namespaced",
        short=("perfl",),
        description="Pegbox's memory of one profile. Written by Pegbox only.",
        fields={"data": LedgerData},
        required=("data",),
        columns=(
            Column("Profile", ".data.summary.profile", "The profile."),
            Column("Breaker", ".data.summary.breaker", "Open after failed trials."),
            Column("Intent", ".data.summary.intent", "What is under way."),
            Column("Trials", ".data.summary.trials", "Trials remembered.", "integer"),
            Column("Rows", ".data.summary.rows", "Rows of statistics.", "integer"),
            _AGE,
        ),
    ),
    Resource(
        kind="PodEnvironment",
        plural="podenvironments",
        scope="Namespaced",
        short=("perfe",),
        description="Variables that admission puts into new pods of one workload. Written by Pegbox only.",
        fields={"spec": PodEnvironmentSpec},
        required=("spec",),
        columns=(
            Column("Target", ".spec.target.name", "The workload."),
            Column("Container", ".spec.container", "The container."),
            Column("Variables", ".spec.env[*].name", "What is put into it."),
            _AGE,
        ),
    ),
)


def render() -> dict[str, str]:
    """File name -> text of every CRD, as they stand in crds/."""
    return {f"{GROUP}_{resource.plural}.yaml": _text(crd(resource)) for resource in RESOURCES}


def crd(resource: Resource) -> Schema:
    """The CustomResourceDefinition of one kind."""
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root(resource)},
        "additionalPrinterColumns": [column.render() for column in resource.columns],
    }
    if "status" in resource.fields:
        version["subresources"] = {"status": {}}
    names = {
        "kind": resource.kind,
        "listKind": f"{resource.kind}List",
        "plural": resource.plural,
        "singular": resource.kind.lower(),
        "shortNames": list(resource.short),
        "categories": ["pegbox"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{GROUP}", "labels": {"app.kubernetes.io/name": "pegbox"}},
        "spec": {"group": GROUP, "names": names, "scope": resource.scope, "versions": [version]},
    }


def _root(resource: Resource) -> Schema:
    parts = {name: structural(model, defaults=name == "spec") for name, model in resource.fields.items()}
    return {
        "description": resource.description,
        "type": "object",
        "required": list(resource.required),
        "properties": {**_ROOT, **parts},
    }


def structural(model: type[Wire], *, defaults: bool) -> Schema:
    """The model as a structural schema; `defaults` are for what people write, never for status."""
    schema = model.model_json_schema(by_alias=True)
    return _Rewriter(schema.get("$defs", {}), defaults).rewrite(schema)


@dataclass(frozen=True, slots=True)
class _Rewriter:
    definitions: Mapping[str, Schema]
    defaults: bool

    def rewrite(self, node: Schema) -> Schema:
        node = self._resolve(node)
        out: Schema = {key: node[key] for key in _KEPT if key in node}
        if "const" in node:
            out["enum"] = [node["const"]]
        if node.get("x-kubernetes-int-or-string"):
            out.pop("type", None)
            out["anyOf"] = [{"type": "integer"}, {"type": "string"}]
            out["maxLength"] = max(arm.get("maxLength", 0) for arm in node.get("anyOf", [{}])) or 64
        if "properties" in node:
            out["properties"] = {name: self.rewrite(part) for name, part in node["properties"].items()}
            if node.get("required"):
                out["required"] = list(node["required"])
        if "items" in node:
            out["items"] = self.rewrite(node["items"])
        if "description" in out:
            out["description"] = " ".join(out["description"].split())
        return {**out, **self._default(node, out)}

    def _resolve(self, node: Schema) -> Schema:
        """References and optional arms replaced by what they stand for; the outer node's words win."""
        while True:
            arms = [arm for arm in node.get("anyOf", []) if arm.get("type") != "null"]
            outer = {key: value for key, value in node.items() if key not in ("anyOf", "$ref")}
            if "$ref" in node:
                node = {**self.definitions[node["$ref"].rsplit("/", 1)[-1]], **outer}
            elif len(arms) == 1:
                node = {**arms[0], **outer}
            else:
                return node

    def _default(self, node: Schema, out: Schema) -> Schema:
        """Scalars as they are, so that CEL may read them; `{}` where fields inside have defaults; nothing else."""
        value = node.get("default")
        if not self.defaults or value is None or isinstance(value, list):
            return {}
        if isinstance(value, dict):
            inner = any("default" in part for part in out.get("properties", {}).values())
            return {"default": {}} if inner else {}
        return {"default": value}


class _Dumper(yaml.SafeDumper):
    """No anchors: they are legal YAML and unreadable."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(body: Schema) -> str:
    head = "# Generated from operator/pegbox/api: `pegbox render-crds` writes it. Do not edit.\n"
    return head + yaml.dump(body, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)
