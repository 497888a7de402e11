"""The noise is common to all tuners, and ratios and costs are as by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from pegbox.bench.tasks import CORRELATION, OUTLIER, REPLICATES, Noise, Task, logs_of
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Setting
from tests.unit.bench.made import at, space, spec_of, task_of

SPACE = space(a=(1, 10), b=(1, 10))
START = at(a=4, b=4)


def metric(setting: Setting) -> float:
    """A hundred for each `a`; where b is 10 the workload fails."""
    return math.nan if setting["b"] == 10 else 100.0 * float(setting.number("a"))


def made(**changes: object) -> Task:
    return task_of(SPACE, START, metric, **{"sd": 0.02, **changes})  # type: ignore[arg-type]


def units(task: Task, seed: int, steps: int) -> list[float]:
    """The noise of each step, in sds."""
    noise, found = Noise(task, seed, steps), []
    for step in range(steps):
        measured = noise.measure(task, START, step).metric
        assert measured is not None
        found.append(math.log(measured / 400) / 0.02)
    return found


def test_the_same_step_has_the_same_noise_whatever_is_asked() -> None:
    task = made()
    one, other = Noise(task, 3, 8), Noise(task, 3, 8)
    assert one.measure(task, at(a=9, b=1), 0) != other.measure(task, START, 0)
    for step in (5, 2, 5):
        high, low = one.measure(task, at(a=8, b=1), step).metric, other.measure(task, START, step).metric
        assert high is not None and low is not None
        assert high / low == pytest.approx(2.0, rel=1e-12)


@pytest.mark.parametrize("change", [{"seed": 4}, {"model_seed": 1}, {"start_name": "bad"}, {"name": "other"}])
def test_another_seed_model_start_or_spec_has_another(change: dict[str, object]) -> None:
    from dataclasses import replace

    task, seed = made(), 3
    other = task
    if "seed" not in change:
        name = change.get("name")
        change = {"spec": spec_of(name=name)} if name else change
        other = replace(task, **change)  # type: ignore[arg-type]
    assert units(task, seed, 8) != units(other, 4 if "seed" in change else seed, 8)


def test_noise_is_autoregressive_with_a_half() -> None:
    found = np.array(units(made(), 1, 6000))
    assert abs(found.mean()) < 0.08
    assert found.std() == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(found[1:], found[:-1])[0, 1] == pytest.approx(CORRELATION, abs=0.04)
    assert np.corrcoef(found[2:], found[:-2])[0, 1] == pytest.approx(CORRELATION**2, abs=0.05)


def test_a_variant_has_outliers_that_are_always_worse() -> None:
    for better, factor in (("Higher", OUTLIER), ("Lower", 1 / OUTLIER)):
        plain, hit = made(better=better, sd=0.0), made(better=better, sd=0.0, outliers=True)
        noise = Noise(hit, 0, 2000)
        found = [noise.measure(hit, START, step).metric for step in range(2000)]
        worse = [m for m in found if m != 400.0]
        assert 20 <= len(worse) <= 60
        assert worse == pytest.approx([400 * factor] * len(worse))
        assert all(Noise(plain, 0, 9).measure(plain, START, step).metric == 400.0 for step in range(9))
        assert all(noise.measure(hit, START, -1 - i).metric == 400.0 for i in range(REPLICATES))


def test_free_replicates_are_told_and_are_not_the_steps() -> None:
    task = made()
    noise = Noise(task, 2, 8)
    free = task.problem(2, noise).free
    steps = [noise.measure(task, START, step) for step in range(8)]

    assert len({m.metric for m in free}) == REPLICATES == 5
    assert free == tuple(noise.measure(task, START, -1 - i) for i in range(REPLICATES))
    assert not {m.metric for m in free} & {m.metric for m in steps}


def test_a_setting_that_fails_is_told_as_failed() -> None:
    task = made()
    assert Noise(task, 0, 8).measure(task, at(a=4, b=10), 0).metric is None


@pytest.mark.parametrize(("better", "ratio", "cost"), [("Higher", 2.0, 3 / 2.0), ("Lower", 0.5, 3 / 0.5)])
def test_ratios_and_costs_by_hand(better: str, ratio: float, cost: float) -> None:
    """800 beside the start's 400, at three times its price. Where less is better, 800 is half as good."""
    price: Callable[[Setting], float] = lambda setting: 6.0 if setting["a"] == 8 else 2.0  # noqa: E731
    task = made(better=better, price=price)
    settings = [at(a=8, b=1), START, at(a=4, b=10)]
    metrics = task.true(settings)

    assert task.start_metric == 400.0
    assert list(task.ratios(metrics)) == [ratio, 1.0, 0.0]
    assert list(task.costs(settings, metrics)) == [cost, 1.0, math.inf]


def test_what_a_tuner_is_told_holds_nothing_of_the_truth() -> None:
    task = made(least="0.97")
    problem = task.problem(1, Noise(task, 1, 8))
    assert (problem.start, problem.steps, problem.seed, problem.maximise) == (START, 8, 1, True)
    assert (problem.floor, problem.least, problem.rows, problem.leaps, problem.nearby) == (
        0.9,
        0.97,
        None,
        False,
        False,
    )
    assert 400.0 not in [m.metric for m in problem.free]
    assert problem.admissible(START) and not problem.admissible(at(a=11, b=1))


def test_a_start_that_fails_in_the_model_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"made: starts: 'good' .*the model of the table fails there"):
        task_of(SPACE, at(a=4, b=10), metric)


def test_a_start_that_costs_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"made: price: 'good' .*this start costs nothing"):
        made(price=lambda setting: 0.0)


def test_wide_ranges_are_on_a_log_scale_unless_the_spec_says_otherwise() -> None:
    wide = space(a=(1, 8), b=(1, 7), c=(0, 100), d=(1, 100), e=(1, 2))
    knobs = [{"name": name} for name in "abc"] + [{"name": "d", "scale": "Linear"}, {"name": "e", "scale": "Log"}]
    assert logs_of(spec_of(knobs=knobs, price=None), wide) == {"a", "e"}
