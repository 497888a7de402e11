"""One value of any JSON or YAML text is replaced and no other, or the edit is refused."""

import json
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from pegbox.adapters.kube.configmaps import read_path, write_path
from pegbox.model.errors import InvalidInput
from pegbox.model.textpath import parse_path, spell

STEPS = st.lists(st.text(max_size=8) | st.integers(0, 999_999), min_size=1, max_size=8)


@given(STEPS)
def test_steps_survive_their_spelling(steps: list[str | int]) -> None:
    assert parse_path(spell(tuple(steps))) == tuple(steps)


SCALARS = st.integers(-(10**6), 10**6) | st.booleans() | st.text(max_size=12)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


def _leaves(tree: Any, steps: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    if isinstance(tree, dict):
        return [leaf for key, each in tree.items() for leaf in _leaves(each, (*steps, key))]
    if isinstance(tree, list):
        return [leaf for index, each in enumerate(tree) for leaf in _leaves(each, (*steps, index))]
    return [(steps, tree)]


def _replaced(tree: Any, steps: tuple[str | int, ...], value: Any) -> Any:
    copy = json.loads(json.dumps(tree))
    here = copy
    for step in steps[:-1]:
        here = here[step]
    here[steps[-1]] = value
    return copy


def _new_value(old: Any, number: int, text: str) -> tuple[Any, str]:
    if isinstance(old, bool):
        return (not old), str(not old).lower()
    return (number, str(number)) if isinstance(old, int) else (text, text)


@given(TREES, st.integers(-99, 99), st.text(max_size=12), st.sampled_from([None, 1]), st.booleans(), st.data())
def test_in_any_json_one_leaf_changes_and_nothing_else(
    tree: Any, number: int, text: str, indent: int | None, ascii_only: bool, data: st.DataObject
) -> None:
    leaves = [leaf for leaf in _leaves(tree) if leaf[0]]
    if not leaves:
        return
    steps, old = data.draw(st.sampled_from(leaves))
    source = json.dumps(tree, indent=indent, ensure_ascii=ascii_only)
    value, spelled = _new_value(old, number, text)
    after = write_path(source, spell(steps), spelled)
    assert json.loads(after) == _replaced(tree, steps, value)
    assert read_path(after, spell(steps)) == spelled


PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF).filter(str.isprintable), max_size=10)
YAML_TREES = st.recursive(
    st.integers(-(10**6), 10**6) | st.booleans() | PRINTABLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PRINTABLE, inner, max_size=4),
    max_leaves=12,
)


@given(YAML_TREES, st.integers(-99, 99), PRINTABLE, st.sampled_from([None, True, False]), st.data())
def test_in_any_yaml_one_leaf_changes_and_nothing_else_or_it_is_refused(
    tree: Any, number: int, text: str, flow: bool | None, data: st.DataObject
) -> None:
    leaves = [leaf for leaf in _leaves(tree) if leaf[0]]
    if not leaves:
        return
    steps, old = data.draw(st.sampled_from(leaves))
    source = "# first\n" + yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True, width=10**6)
    value, spelled = _new_value(old, number, text)
    try:
        after = write_path(source, spell(steps), spelled)
    except InvalidInput:
        assert isinstance(old, str)  # numbers and booleans are always editable
        return
    assert yaml.safe_load(after) == _replaced(tree, steps, value)
    assert after.startswith("# first\n")
