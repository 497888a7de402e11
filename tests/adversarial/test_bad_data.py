"""Data that teach nothing, or contradict themselves: a reason or a sound proposal, never a warning or a number from nowhere."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction as F

import pytest

from pegbox import learning
from pegbox.core import searching
from pegbox.core.propose import propose
from pegbox.model.knobs import Knob, SearchSpace, Setting
from pegbox.model.observations import Missing
from pegbox.model.prediction import Row
from pegbox.model.profile import Objective
from pegbox.model.proposals import Proposal
from pegbox.model.roles import Role
from pegbox.model.searching import SearchRequest
from pegbox.model.snapshot import Snapshot
from pegbox.runtime import predicting
from tests.unit.core import build

WORKERS = Knob("workers", minimum=F(1), maximum=F(32))
BUFFER = Knob("buffer", minimum=F(1), maximum=F(1024))
HERE = Setting({"workers": F(4), "buffer": F(16)})
NAN, INFINITE = float("nan"), float("inf")


def row(setting: Setting = HERE, count: int = 4, load: float = 10.0, served: float = 10.0, latency: float = 0.1) -> Row:
    return Row(setting, 1.0, load, served, latency, count)


def at(**values: int) -> Setting:
    return HERE.with_values(**{n: F(v) for n, v in values.items()})


ROWS: dict[str, tuple[Row, ...]] = {
    "nothing at all": (),
    "one window": (row(count=1),),
    "constant columns": (row(), row(load=12.0, served=12.0)),
    "the same row five times": (row(),) * 5,
    "a throughput that is not a number": (row(), row(at(workers=6), served=NAN)),
    "a latency without end": (row(), row(at(workers=6), latency=INFINITE)),
    "a load of zero": (row(), row(at(workers=6), load=0.0, served=0.0)),
    "negative figures": (row(), row(at(workers=6), served=-3.0, latency=-0.1)),
    "a knob without an effect": tuple(row(at(buffer=b)) for b in (8, 16, 24, 36)),
    "equal settings that differ by a factor of ten": (row(served=2.0), row(served=9.0, load=10.4), row(at(workers=6))),
    "figures of 300 decades": (
        row(),
        row(at(workers=6), latency=1e-300, served=1e-300),
        row(at(workers=8), served=1e300),
    ),
}
SEEN = {
    "at ease": build.window(),
    "half of it served": build.window(throughput=5.0),
    "no load": build.window(offered_load=0.0, throughput=0.0),
    "a load that is not a number": build.window(offered_load=NAN),
}


def snapshot(rows: tuple[Row, ...], objective: Objective, *knobs: Knob) -> Snapshot:
    space = knobs or (WORKERS, BUFFER)
    spec = build.spec(*space, objective=objective, roles={"workers": Role.CONCURRENCY}, budgets=())
    ledger = build.ledger(Setting({k.name: HERE[k.name] for k in space}), rows=rows)
    return build.snapshot(spec, ledger, read_at=build.T0)


def thought(found: Snapshot) -> list[Proposal | Missing]:
    """What physics and search make of it; a warning is an error."""
    spec, ledger = found.spec, found.ledger
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = learning.fit(spec.space, spec.roles, ledger.rows, ledger.forecasts)
        asked = predicting.request(found)
        wanted = searching.request(found, asked)
        suggested = learning.suggest(wanted) if isinstance(wanted, SearchRequest) else wanted
    said = suggested if isinstance(suggested, Missing) else searching.proposal(asked, suggested)
    return [propose(asked, model), said]


def sound(found: Snapshot, answer: Proposal | Missing) -> None:
    if isinstance(answer, Missing):
        assert answer.reason.value
        return
    for name, value in answer.setting.items():
        assert found.spec.space[name].admits(value)
    if not isinstance(answer.expected, Missing):
        assert all(math.isfinite(x) for x in (answer.expected.capacity.low, answer.expected.latency.high))


@pytest.mark.parametrize("objective", list(Objective), ids=lambda o: o.value)
@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_rows_that_teach_nothing_give_a_reason_or_a_sound_step(rows: tuple[Row, ...], objective: Objective) -> None:
    for seen in SEEN.values():
        found = snapshot(rows, objective)
        found = replace(found, observation=seen, slos=seen.slos)
        for answer in thought(found):
            sound(found, answer)


@pytest.mark.parametrize("seen", ["no load", "a load that is not a number"])
def test_without_load_nothing_is_proposed(seen: str) -> None:
    for rows in ROWS.values():
        found = replace(snapshot(rows, Objective.MINIMIZE_LATENCY), observation=SEEN[seen])
        physics, search = thought(found)
        assert isinstance(search, Missing), search
        assert isinstance(physics, Missing) or seen == "no load"


CORNERS: dict[str, Callable[[], Snapshot]] = {
    "no knob": lambda: snapshot(ROWS["constant columns"], Objective.MINIMIZE_LATENCY, replace(WORKERS, pinned=F(4))),
    "a space of one point": lambda: snapshot(
        ROWS["constant columns"], Objective.MINIMIZE_LATENCY, replace(WORKERS, minimum=F(4), maximum=F(4))
    ),
}


@pytest.mark.parametrize("make", CORNERS.values(), ids=CORNERS)
def test_where_there_is_nowhere_to_go_it_holds_with_its_reason(make: Callable[[], Snapshot]) -> None:
    for pressed in (build.window(), build.window(throughput=5.0)):
        found = replace(make(), observation=pressed, slos=pressed.slos)
        for answer in thought(found):
            assert isinstance(answer, Missing), answer


def test_settings_of_other_knobs_than_those_of_now_are_left_aside() -> None:
    """A class that gained a knob: what was measured before it has no value for it."""
    old = tuple(Row(Setting({"workers": F(w)}), 1.0, 10.0, 10.0, 0.1, 4) for w in (2, 4, 6))
    found = snapshot(old, Objective.MINIMIZE_LATENCY)
    for answer in thought(found):
        sound(found, answer)
    assert SearchSpace((WORKERS, BUFFER)) == found.spec.space
