"""Settings to rows of numbers and back: nothing is lost, and nothing leaves its limits or its type."""

from __future__ import annotations

from fractions import Fraction as F

import numpy as np
import pytest

from pegbox.bench.bowl import KINDS, bowl
from pegbox.bench.tuners.encoding import Encoding
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Knob, KnobMode, KnobType, KnobValue, SearchSpace, Setting

WORKERS = Knob("workers", minimum=F(1), maximum=F(64))
SPACE = SearchSpace(KINDS)
START = bowl(len(KINDS), seed=0).problem.start


def _of(*knobs: Knob, **values: KnobValue) -> tuple[Encoding, Setting]:
    setting = Setting(values)
    return Encoding(SearchSpace(knobs), setting), setting


def _code(knob: Knob, value: KnobValue) -> float:
    encoding, setting = _of(knob, **{knob.name: value})
    return float(encoding.codes([setting])[0, 0])


def test_a_wide_range_is_a_matter_of_factors() -> None:
    """1 to 64 on a log scale: 8 lies half-way."""
    assert _code(WORKERS, F(8)) == pytest.approx(0.5)


def test_a_narrow_range_is_a_matter_of_differences() -> None:
    """1 to 7 is a factor below 8: 4 lies half-way."""
    assert _code(Knob("n", minimum=F(1), maximum=F(7)), F(4)) == pytest.approx(0.5)


def test_a_range_from_zero_has_no_logs() -> None:
    assert _code(Knob("n", minimum=F(0), maximum=F(1000)), F(250)) == pytest.approx(0.25)


def test_choices_that_are_numbers_lie_on_a_line() -> None:
    """0, 1, 2, 4 in any order: 1 lies at a quarter."""
    assert _code(Knob("n", type=KnobType.CHOICE, choices=("4", "1", "0", "2")), "1") == pytest.approx(0.25)


def test_choices_that_are_words_lie_one_apart_from_each_other() -> None:
    encoding, _ = _of(Knob("n", type=KnobType.CHOICE, choices=("a", "b", "c")), n="a")
    columns = encoding.features(np.array([[0.0], [1.0], [2.0]]))
    apart = [float(np.linalg.norm(columns[i] - columns[j])) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert apart == pytest.approx([1.0, 1.0, 1.0])


def test_two_spellings_of_one_number_are_two_choices() -> None:
    encoding, _ = _of(Knob("n", type=KnobType.CHOICE, choices=("1", "1.0", "nan")), n="1.0")
    assert [encoding.setting(row)["n"] for row in encoding.codes([Setting({"n": c}) for c in ("1", "1.0", "nan")])] == [
        "1",
        "1.0",
        "nan",
    ]


def test_what_is_drawn_is_typed_inside_its_limits_and_comes_back_the_same() -> None:
    encoding = Encoding(SPACE, START)
    rows = encoding.random(np.random.default_rng(1), 100)
    settings = [encoding.setting(row) for row in rows]
    assert all(SPACE[name].admits(value) for setting in settings for name, value in setting.items())
    assert all(SPACE.parse(SPACE.format(setting)) == setting for setting in settings)
    assert [encoding.setting(row) for row in encoding.codes(settings)] == settings
    assert np.allclose(encoding.codes(settings), rows, atol=1e-9)


def test_every_value_of_a_small_space_is_drawn() -> None:
    encoding, _ = _of(Knob("b", type=KnobType.BOOLEAN), Knob("n", minimum=F(1), maximum=F(3)), b=False, n=F(1))
    drawn = {encoding.setting(row) for row in encoding.random(np.random.default_rng(1), 100)}
    assert len(drawn) == 6


def test_a_step_stays_within_a_half_more_or_a_third_less_or_15_percent_of_the_range() -> None:
    """At 8 of 1 to 64: 64^0.15 = 1.87 is more than 1.5, so from 8 / 1.87 = 4.3 to 14.9, in whole workers 5 to 14."""
    encoding, setting = _of(WORKERS, workers=F(8))
    chance = np.random.default_rng(1)
    row = encoding.codes([setting])[0]
    seen = {encoding.setting(encoding.step(chance, row, 0)).number("workers") for _ in range(300)}
    assert (min(seen), max(seen)) == (F(5), F(14))
    assert F(8) not in seen


def test_a_step_is_at_least_one_unit() -> None:
    encoding, setting = _of(WORKERS, workers=F(1))
    moved = encoding.step(np.random.default_rng(1), encoding.codes([setting])[0], 0)
    assert encoding.setting(moved).number("workers") == 2


def test_neighbours_change_one_knob_each_and_none_twice() -> None:
    encoding = Encoding(SPACE, START)
    found = [encoding.setting(row) for row in encoding.neighbours(encoding.codes([START])[0])]
    assert all(len(START.diff(setting)) == 1 for setting in found)
    assert {START.diff(setting)[0] for setting in found} == set(SPACE.names)
    assert len(set(found)) == len(found)


def test_an_ordered_choice_steps_to_the_next_level_and_a_word_to_any() -> None:
    encoding, setting = _of(
        Knob("level", type=KnobType.CHOICE, choices=("0", "1", "2", "4")),
        Knob("word", type=KnobType.CHOICE, choices=("a", "b", "c")),
        level="1",
        word="a",
    )
    found = [encoding.setting(row) for row in encoding.neighbours(encoding.codes([setting])[0])]
    assert [(s["level"], s["word"]) for s in found] == [("0", "a"), ("2", "a"), ("1", "b"), ("1", "c")]


def test_knobs_that_cannot_move_keep_their_value() -> None:
    encoding, setting = _of(
        WORKERS,
        Knob("pinned", minimum=F(1), maximum=F(9), pinned=F(3)),
        Knob("shown", minimum=F(1), maximum=F(9), mode=KnobMode.RECOMMEND),
        Knob("alone", minimum=F(2), maximum=F(2)),
        Knob("only", type=KnobType.CHOICE, choices=("a",)),
        workers=F(8),
        pinned=F(3),
        shown=F(4),
        alone=F(2),
        only="a",
    )
    assert len(encoding) == 1
    assert all(
        setting.diff(encoding.setting(r)) in ((), ("workers",)) for r in encoding.random(np.random.default_rng(1), 20)
    )


def test_a_value_that_is_off_the_grid_stays_as_it_is_until_its_knob_moves() -> None:
    """Half a worker came from a table; moving the other knob must not round it."""
    encoding, setting = _of(WORKERS, Knob("other", minimum=F(1), maximum=F(9)), workers=F(5, 2), other=F(3))
    row = encoding.codes([setting])[0]
    row[1] = 1.0
    assert encoding.setting(row) == setting.with_values(other=F(9))


def test_a_start_outside_of_the_limits_is_told_and_left() -> None:
    encoding, setting = _of(WORKERS, workers=F(0))
    row = encoding.codes([setting])[0]
    assert np.isfinite(row).all() and row[0] < 0
    moved = encoding.setting(encoding.step(np.random.default_rng(1), row, 0))
    assert WORKERS.admits(moved["workers"])


def test_a_space_of_one_point_has_no_columns() -> None:
    encoding, setting = _of(Knob("n", minimum=F(2), maximum=F(2)), n=F(2))
    assert encoding.features(encoding.random(np.random.default_rng(1), 3)).shape == (3, 0)
    assert encoding.setting(encoding.codes([setting])[0]) == setting
    assert encoding.neighbours(encoding.codes([setting])[0]).shape == (0, 0)


def test_a_number_without_limits_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="knob n"):
        _of(Knob("n"), n=F(1))


def test_a_word_that_the_knob_does_not_know_is_refused() -> None:
    encoding, _ = _of(Knob("n", type=KnobType.CHOICE, choices=("a", "b")), n="a")
    with pytest.raises(InvalidInput, match="knob n"):
        encoding.codes([Setting({"n": "z"})])
