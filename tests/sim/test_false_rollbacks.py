"""How often the sequential rule imagines a regression, on simulated watches: no more often than it says."""

from __future__ import annotations

import math
import random

import pytest

from pegbox.core.sequential import ALPHA, Finding, Sample, State, begin, step

WATCHES = 400


def found(seed: int, shift: float, correlation: float, sd: float) -> bool:
    """Forty samples of AR(1) noise before a shift, sixty after it."""
    rng, noise, samples = random.Random(seed), 0.0, []
    for n in range(100):
        noise = correlation * noise + rng.gauss(0.0, sd * math.sqrt(1 - correlation**2))
        samples.append(Sample(math.exp(noise + (math.log1p(shift) if n >= 40 else 0.0))))
    state = begin(samples[:40], 30.0)
    assert isinstance(state, State)
    for sample in samples[40:]:
        state, verdict = step(state, sample)
        if verdict.found is not Finding.NONE:
            return True
    return False


@pytest.mark.parametrize(("correlation", "sd"), [(0.0, 0.2), (0.4, 0.15), (0.7, 0.1)])
def test_a_shift_below_the_minimum_effect_is_found_no_more_often_than_alpha(correlation: float, sd: float) -> None:
    assert sum(found(n, 0.09, correlation, sd) for n in range(WATCHES)) <= ALPHA * WATCHES


@pytest.mark.parametrize(("correlation", "sd"), [(0.0, 0.2), (0.4, 0.15), (0.7, 0.1)])
def test_no_shift_is_found_in_at_most_two_of_a_hundred_watches(correlation: float, sd: float) -> None:
    assert sum(found(n, 0.0, correlation, sd) for n in range(WATCHES)) <= 0.02 * WATCHES


def test_half_as_much_again_is_found_in_almost_all() -> None:
    assert sum(found(n, 0.5, 0.2, 0.15) for n in range(WATCHES)) >= 0.98 * WATCHES
