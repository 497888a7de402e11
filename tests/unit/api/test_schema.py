"""CRDs: fresh in crds/, and free of everything that an API server refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from pegbox import ports
from pegbox.api import schema
from pegbox.api.schema import RESOURCES, Resource
from tests.unit.api.documents import ROOT

Node = dict[str, Any]
NAMES = [resource.kind for resource in RESOURCES]


def root(resource: Resource) -> Node:
    version = schema.crd(resource)["spec"]["versions"][0]
    body: Node = version["schema"]["openAPIV3Schema"]
    return body


def nodes(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    yield path, node
    for name, part in node.get("properties", {}).items():
        yield from nodes(part, f"{path}.{name}")
    if "items" in node:
        yield from nodes(node["items"], f"{path}[]")


REFUSED = {"$ref", "$defs", "title", "const", "uniqueItems", "prefixItems", "additionalProperties", "exclusiveMinimum"}
"""What pydantic may emit and an API server refuses, or loses without a word (const)."""

every_kind = pytest.mark.parametrize("resource", RESOURCES, ids=NAMES)


def test_crds_are_fresh() -> None:
    """`pegbox render-crds` writes them; a change of the models without it ends here."""
    kept = {file.name: file.read_text() for file in sorted((ROOT / "crds").glob("*.yaml"))}
    assert kept == schema.render()


@every_kind
def test_a_schema_node_is_structural(resource: Resource) -> None:
    for path, node in nodes(root(resource)):
        assert not REFUSED & set(node), path
        if node.get("x-kubernetes-int-or-string"):
            assert "type" not in node, path
            assert node["anyOf"] == [{"type": "integer"}, {"type": "string"}], path
        else:
            assert node["type"] in ("object", "array", "string", "integer"), f"{path}: no floats, no booleans"
            assert "anyOf" not in node, path


@every_kind
def test_a_schema_node_is_bounded_since_cel_costs_are_estimated_from_bounds(resource: Resource) -> None:
    for path, node in nodes(root(resource)):
        if node.get("type") == "array":
            assert node["maxItems"] <= 200, path
        text = node.get("type") == "string" and "enum" not in node and path.count(".") > 1
        if text or "x-kubernetes-int-or-string" in node:
            assert 0 < node["maxLength"] <= 65536, path


@every_kind
def test_a_list_merges_by_a_required_key_or_is_a_set(resource: Resource) -> None:
    for path, node in nodes(root(resource)):
        if node.get("type") != "array":
            continue
        if node["x-kubernetes-list-type"] == "set":
            assert node["items"]["type"] == "string", path
            continue
        assert node["x-kubernetes-list-type"] == "map", path
        assert set(node["x-kubernetes-list-map-keys"]) <= set(node["items"]["required"]), path


@every_kind
def test_a_pattern_is_re2(resource: Resource) -> None:
    for path, node in nodes(root(resource)):
        pattern = node.get("pattern", "")
        re.compile(pattern)
        assert "(?" not in pattern, f"{path}: RE2 has no lookaround"
        assert not re.search(r"\\[1-9]", pattern), f"{path}: RE2 has no backreference"


@every_kind
def test_a_cel_message_names_a_field_and_a_remedy(resource: Resource) -> None:
    for path, node in nodes(root(resource)):
        for rule in node.get("x-kubernetes-validations", []):
            assert rule["message"].startswith("spec."), path
            assert ": " in rule["message"], f"{path}: field and fault, then the remedy"


@every_kind
def test_cel_reads_no_text_of_a_field_that_may_be_a_number(resource: Resource) -> None:
    """Kubernetes 1.33 takes such a text for one of 3 MiB and refuses the whole definition: only int() and type() are free."""
    for path, node in nodes(root(resource)):
        fields = node.get("properties", {})
        either = [name for name, field in fields.items() if field.get("x-kubernetes-int-or-string")]
        for rule in node.get("x-kubernetes-validations", []):
            for name in either:
                left = re.sub(rf"\b(has|int|type)\(self\.{name}\)", "", rule["rule"])
                assert not re.search(rf"self\.{name}\b", left), f"{path}: {rule['rule']}"


@every_kind
def test_cel_reads_no_field_that_may_be_absent(resource: Resource) -> None:
    """`self.x` of an absent field fails at run time: it is required, has a default, or stands behind has()."""
    for path, node in nodes(root(resource)):
        for rule in node.get("x-kubernetes-validations", []):
            guarded = set(re.findall(r"has\(self\.(\w+)", rule["rule"]))
            for name in set(re.findall(r"self\.(\w+)", rule["rule"])) - {"matches"}:
                safe = name in node.get("required", []) or "default" in node["properties"][name] or name in guarded
                assert safe, f"{path}: {name}"


@every_kind
def test_status_has_no_defaults_and_defaults_are_of_their_type(resource: Resource) -> None:
    for path, node in nodes(root(resource)):
        if "default" in node:
            assert path.startswith(".spec"), path
            assert node["default"] in node.get("enum", [node["default"]])


@every_kind
def test_a_column_points_at_a_field_that_exists(resource: Resource) -> None:
    known = {path for path, _ in nodes(root(resource))} | {".metadata.creationTimestamp"}
    for column in resource.columns:
        path = re.sub(r"\[\?\(@\.type==\"\w+\"\)\]|\[\*\]", "[]", column.path)
        assert path in known, column


@every_kind
def test_the_ports_name_the_same_kinds(resource: Resource) -> None:
    kinds = {k.kind: k for k in vars(ports).values() if isinstance(k, ports.Kind)}
    kind = kinds[resource.kind]
    assert (kind.plural, kind.api_version) == (resource.plural, "pegbox.dev/v1alpha1")
    assert kind.namespaced is (resource.scope == "Namespaced")


def test_a_profile_at_a_glance() -> None:
    profile = schema.crd(RESOURCES[0])["spec"]
    columns = profile["versions"][0]["additionalPrinterColumns"]
    shown = [c["name"] for c in columns if not c.get("priority")]
    assert shown == ["Target", "Mode", "Ready", "Setting", "SLO", "Breaker", "Age"]
    assert [c["name"] for c in columns if c.get("priority")] == ["Why", "Next"]
    assert (profile["names"]["shortNames"], profile["names"]["categories"]) == (["perfp"], ["pegbox"])
    assert profile["versions"][0]["subresources"] == {"status": {}}


def test_conditions_merge_by_type() -> None:
    conditions = dict(nodes(root(RESOURCES[0])))[".status.conditions"]
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


@pytest.mark.parametrize("text", schema.render().values(), ids=schema.render().keys())
def test_a_file_is_plain_yaml_of_one_document(text: str) -> None:
    assert "&id" not in text and "*id" not in text
    assert len(list(yaml.safe_load_all(text))) == 1
