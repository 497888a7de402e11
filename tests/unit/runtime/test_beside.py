"""Of two profiles that claim one place one has it, and both come to the same answer."""

from __future__ import annotations

import itertools

import pytest

from pegbox.runtime.beside import Side, lost
from pegbox.runtime.places import Place

SHOP: Place = ("Deployment", "shop")
CACHE: Place = ("ConfigMap", "app", "app.yaml", "cache")
OTHER: Place = ("ConfigMap", "app", "app.yaml", "other")


def loses(*, auto: bool, out: bool, older: bool, to_auto: bool, to_out: bool) -> bool:
    """Does a profile lose the place to another one that is this `older` and claims it thus?"""
    here = {CACHE}
    side = Side({}, here, here if out else set(), auto=auto)
    return bool(lost(side, here if to_auto else set(), here if to_out else set(), older=older))


@pytest.mark.parametrize(("auto", "out", "to_auto", "to_out"), list(itertools.product([False, True], repeat=4)))
def test_never_two_have_a_place_that_either_writes_and_never_nobody(
    auto: bool, out: bool, to_auto: bool, to_out: bool
) -> None:
    elder = loses(auto=auto, out=out, older=False, to_auto=to_auto, to_out=to_out)
    younger = loses(auto=to_auto, out=to_out, older=True, to_auto=auto, to_out=out)
    writes = auto or out or to_auto or to_out
    assert (elder, younger) in ([(True, False), (False, True)] if writes else [(False, False)])


TABLE = [  # who: (auto, out) of the elder and of the younger; does the elder lose?
    ("both in Auto: the older one", (True, False), (True, False), False),
    ("both with values out: the older one", (True, True), (True, True), False),
    ("the younger has values out", (True, False), (True, True), True),
    ("the younger has values out and left Auto", (True, False), (False, True), True),
    ("the elder has, and left Auto", (False, True), (True, False), False),
    ("the elder writes nothing any more", (False, False), (True, False), True),
]


@pytest.mark.parametrize(("elder", "younger", "found"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_who_has_it(elder: tuple[bool, bool], younger: tuple[bool, bool], found: bool) -> None:
    (auto, out), (to_auto, to_out) = elder, younger
    assert loses(auto=auto, out=out, older=False, to_auto=to_auto, to_out=to_out) is found
    assert loses(auto=to_auto, out=to_out, older=True, to_auto=auto, to_out=out) is not found


def test_values_out_in_one_place_take_no_other_one_from_an_older_profile() -> None:
    younger = Side({}, {SHOP, CACHE, OTHER}, {SHOP, CACHE}, auto=True)
    assert lost(younger, {CACHE, OTHER}, set(), older=True) == {OTHER}
