"""Is the prior shipped? By a rule that was written before the unseen split was scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.prior import figures
from benchmarks.prior.figures import Figure
from benchmarks.prior.run import HAND, LEFT_OUT, Run
from benchmarks.prior.score import Scores

COLD = (3, 5, 8)  # windows that count as a cold start
LEVEL = 0.9


@dataclass(frozen=True, slots=True)
class Decision:
    """Each condition in words, with whether it was met; active only where all were."""

    conditions: tuple[tuple[str, bool], ...]

    @property
    def active(self) -> bool:
        return all(met for _, met in self.conditions)


def decide(run: Run) -> Decision:
    """On unseen workloads, each by beliefs that were learned without its family, after 3, 5 and 8 windows."""
    found = [s for s in run.unseen if s.windows in COLD]
    error = figures.difference(found, figures.capacity_error, LEFT_OUT, HAND)
    harm = figures.difference(found, figures.harmful, LEFT_OUT, HAND)
    score = figures.difference(found, figures.capacity_loss, LEFT_OUT, HAND)
    hand, left = (figures.capacity_coverage(_of(found, name)) or 0.0 for name in (HAND, LEFT_OUT))
    return Decision(
        (
            ("the loss on the learn split is less than without", run.losses[run.chosen] < run.losses[HAND]),
            (f"the interval score of capacity is lower, surely: {_said(score)}", score is not None and score.high < 0),
            (f"the median error of capacity is no higher: {_said(error)}", error is not None and error.value <= 0),
            (f"no more proposals do harm: {_said(harm)}", harm is not None and harm.value <= 0),
            (f"coverage is nearer to 90 %: {left:.1%} against {hand:.1%}", abs(left - LEVEL) < abs(hand - LEVEL)),
        )
    )


def _of(found: Sequence[Scores], beliefs: str) -> list[Scores]:
    return [score for score in found if score.beliefs == beliefs]


def _said(figure: Figure | None) -> str:
    return "not measured" if figure is None else f"{figure.value:+.4f} ({figure.low:+.4f} to {figure.high:+.4f})"
