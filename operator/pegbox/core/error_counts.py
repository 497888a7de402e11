"""Have errors become more frequent? A test on counts that may be looked at after every sample.

exp(e ln k - (k - 1) q n) is an e-value against "errors come at a rate of at most q per request": e errors among n
requests, k the factor that is looked for. Its mean is at most 1 under Poisson counts of that rate, and under binomial
ones too. Errors come in bursts, so they are counted as twice as noisy: the square root of the e-value, whose mean is
at most 1 as well. A mixture over k is an e-value again, and by Ville's inequality it exceeds 1 / alpha at any time with
probability alpha at most (A. Ramdas et al., Statistical Science 38, 2023, "Game-theoretic statistics").
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

ALPHA = 0.01
FACTORS = (1.5, 2.0, 4.0, 8.0, 32.0)
LEAST_RISE = 0.001  # share of requests: fewer errors more than before are not worth a rollback
RATIO = 1.1  # nor is a tenth more of them
BURST = 2.0  # variance of a count over that of a Poisson count
BOUND_SDS = 2.0  # standard deviations by which the rate before may have been higher than it was counted
NEEDED = math.log(1 / ALPHA)
MOST_AT_ONCE = (NEEDED + math.log(len(FACTORS))) / 2  # of one sample: none decides alone, two can


@dataclass(frozen=True, slots=True)
class Counted:
    """Errors per request that are allowed, and the log e-value for each factor so far."""

    allowed: float
    logs: tuple[float, ...] = (0.0,) * len(FACTORS)

    def add(self, errors: float, requests: float) -> Counted:
        """After one more sample. A capped e-value's mean is still at most 1."""
        return replace(
            self,
            logs=tuple(
                log + min((errors * math.log(k) - (k - 1) * self.allowed * requests) / BURST, MOST_AT_ONCE)
                for log, k in zip(self.logs, FACTORS, strict=True)
            ),
        )

    @property
    def evidence(self) -> float:
        """Log of the mixture's e-value."""
        top = max(self.logs)
        return top + math.log(sum(math.exp(log - top) for log in self.logs) / len(self.logs))


def after(errors: float, requests: float) -> Counted:
    """The test against what was counted before; `requests` > 0."""
    bound = (errors + BOUND_SDS * math.sqrt(BURST * (errors + 1))) / requests
    return Counted(allowed=RATIO * bound + LEAST_RISE)
