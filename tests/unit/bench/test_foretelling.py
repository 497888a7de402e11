"""What a tuner foretold, held against what came: by hand."""

from __future__ import annotations

import pytest

from pegbox.bench.foretelling import KEYS, Told, columns


class _Teller:
    def __init__(self, *told: Told) -> None:
        self.foretold = told


@pytest.mark.parametrize(
    ("told", "covered"),
    [
        pytest.param(Told(0.022, 0.01, 1.2, repeat=False), True, id="a move within 1.96 x 1.2 sds"),
        pytest.param(Told(-0.024, 0.01, 1.2, repeat=False), False, id="a move beyond"),
        pytest.param(Told(0.022, 0.01, 1.2, repeat=True), False, id="a repeat has the model's own interval"),
    ],
)
def test_an_interval_covers_what_is_within_it(told: Told, covered: bool) -> None:
    assert told.covered is covered


def test_the_score_is_the_length_and_forty_times_what_lies_outside() -> None:
    told = Told(0.0296, 0.01, 1.0, repeat=False)
    assert told.score(1.0) == pytest.approx(2 * 0.0196 + 40 * 0.01)
    assert told.score(2.0) == pytest.approx(4 * 0.0196)


def test_moves_and_repeats_are_told_apart() -> None:
    row = columns(_Teller(Told(0.0, 0.01, 1.5, False), Told(0.5, 0.01, 1.5, False), Told(0.0, 0.01, 1.5, True)))
    assert (row["moves_foretold"], row["moves_covered"], row["repeats_foretold"], row["repeats_covered"]) == (
        2,
        1,
        1,
        1,
    )
    assert row["moves_score"] == pytest.approx((2 * 0.0294 + 2 * 0.0294 + 40 * (0.5 - 0.0294)) / 2)
    assert row["moves_score_raw"] == pytest.approx((2 * 0.0196 + 2 * 0.0196 + 40 * (0.5 - 0.0196)) / 2)


@pytest.mark.parametrize("tuner", [object(), _Teller()], ids=["who foretells nothing", "who was never asked"])
def test_no_figure_is_none_and_not_zero(tuner: object) -> None:
    assert columns(tuner) == dict.fromkeys(KEYS)
