"""Managed fields: trees of paths, and two writers who apply whatever they like."""

from hypothesis import given
from hypothesis import strategies as st

from pegbox.ports import Object
from pegbox.testing import fields, managed
from pegbox.testing.fields import Path
from pegbox.testing.managed import Managed, Stamp, Writer

NAMES = st.sampled_from(["a", "b", "spec", "env", "containers", "data"])
ELEMENTS = NAMES.map(lambda name: f"f:{name}")
PATHS = st.lists(ELEMENTS, min_size=1, max_size=4).map(tuple)
VALUES = st.integers(0, 3) | st.sampled_from(["x", "y"])
ITEMS = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["p", "q", "r"]), "value": VALUES}),
    max_size=3,
    unique_by=lambda item: item["name"],
)
BODIES = st.fixed_dictionaries(
    {"apiVersion": st.just("v1"), "kind": st.just("X"), "metadata": st.just({"name": "a"})},
    optional={"data": st.dictionaries(st.sampled_from("abc"), VALUES, min_size=1), "env": ITEMS.filter(bool)},
)


@given(st.frozensets(PATHS, max_size=6))
def test_a_field_tree_gives_back_its_leaves(paths: frozenset[Path]) -> None:
    """A path inside another one makes the outer a container; FieldsV1 marks it with `.`."""
    assert frozenset(fields.decode(fields.encode(paths))) == paths


@given(BODIES)
def test_what_is_flattened_can_be_put_together_again(body: Object) -> None:
    made: Object = {key: body[key] for key in ("apiVersion", "kind", "metadata")}
    for path, value in sorted(fields.flatten(body).items(), key=lambda each: len(each[0])):
        fields.put(made, path, None if value is fields.PRESENT else value)
    assert fields.flatten(made) == fields.flatten(body)


def _apply(live: Object, body: Object, claims: Managed, who: str, force: bool) -> Object:
    return managed.apply(live, body, claims, Stamp(Writer(who, "Apply"), "t", "v1"), force=force)


@given(BODIES, BODIES)
def test_two_writers_with_force_always_leave_the_last_ones_values(first: Object, second: Object) -> None:
    claims = Managed()
    live = _apply({"metadata": {"name": "a"}}, first, claims, "one", True)
    live = _apply(live, second, claims, "two", True)
    standing = fields.flatten(live)
    for path, value in fields.flatten(second).items():
        assert standing[path] == value or value is fields.PRESENT
    again = _apply(live, second, claims, "two", False)
    assert again == live


@given(BODIES, BODIES)
def test_an_apply_without_force_never_changes_what_another_owns(first: Object, second: Object) -> None:
    claims = Managed()
    live = _apply({"metadata": {"name": "a"}}, first, claims, "one", False)
    before = dict(claims.claims)
    try:
        after = _apply(live, second, claims, "two", False)
    except managed.WriteConflict as error:
        assert error.owners and claims.claims == before
        return
    standing = fields.flatten(after)
    assert all(standing.get(path) == value for path, value in fields.flatten(first).items())


@given(BODIES, BODIES)
def test_releasing_everything_leaves_the_other_writers_object(first: Object, second: Object) -> None:
    claims = Managed()
    head: Object = {"metadata": {"name": "a"}}
    alone = _apply(head, first, claims, "one", False)
    try:
        both = _apply(alone, second, claims, "two", False)
    except managed.WriteConflict:
        return
    empty = {key: second[key] for key in ("apiVersion", "kind", "metadata")}
    left = _apply(both, empty, claims, "two", False)
    assert fields.flatten(left) == fields.flatten(alone)
