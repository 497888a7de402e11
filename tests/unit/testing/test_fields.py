"""Paths and trees of managed fields."""

from typing import Any

import pytest

from pegbox.testing import fields


@pytest.mark.parametrize(
    ("name", "value", "keys"),
    [
        ("containers", [{"name": "a"}], ("name",)),
        ("env", [{"name": "a"}, {"value": "b"}], ()),
        ("ports", [{"containerPort": 80}], ("containerPort", "protocol")),
        ("args", ["a", "b"], ()),
        ("knobs", [{"name": "a"}, {"name": "b"}], ("name",)),
        ("metrics", [{"type": "Resource"}], ()),
        ("env", [], ()),
    ],
    ids=["by name", "an item without the key", "a key with a default", "scalars", "our own", "atomic", "empty"],
)
def test_lists_are_maps_where_the_schema_says_so(name: str, value: list[Any], keys: tuple[str, ...]) -> None:
    assert fields.list_keys(name, value) == keys


def test_paths_are_spelled_as_the_server_spells_them() -> None:
    path = ("f:spec", "f:containers", 'k:{"name":"app"}', "f:ports", 'k:{"containerPort":80,"protocol":"TCP"}')
    assert fields.spell(path) == '.spec.containers[name="app"].ports[containerPort=80,protocol="TCP"]'
