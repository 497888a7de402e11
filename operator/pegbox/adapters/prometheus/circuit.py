"""Circuit: after repeated failures the server is not asked for a while, so that a wake costs no timeouts.

(The breaker of the words of this project is about trials; this one is about a server that does not answer.)
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason


@dataclass(slots=True)
class Circuit:
    """Times are seconds of a monotonic clock, given by the caller."""

    failures_to_open: int = 3
    pause: float = 10.0  # first pause; doubles per failed probe
    longest_pause: float = 60.0
    failures: int = field(default=0, init=False)
    _next_at: float = field(default=0.0, init=False)  # when the next question is allowed
    _last: str = field(default="", init=False)
    _probing: bool = field(default=False, init=False)

    def refusal(self, now: float) -> Missing | None:
        """Why the server is not asked now, or None: ask it, then report `succeeded` or `failed`.

        After the pause one question goes through as a probe; the rest wait for its outcome.
        """
        why = self.would_refuse(now)
        if why is None and self.failures >= self.failures_to_open:
            self._probing = True
        return why

    def would_refuse(self, now: float) -> Missing | None:
        """The same for who does not ask yet, and may never: he reports nothing."""
        if self.failures < self.failures_to_open or (now >= self._next_at and not self._probing):
            return None
        wait = max(0.0, self._next_at - now)
        when = "a probe is under way" if self._probing else f"next attempt in {wait:.0f} s"
        return Missing(
            Reason.METRICS_UNREACHABLE,
            f"not asked after {self.failures} failures in a row, {when}: {self._last}",
        )

    def succeeded(self) -> None:
        self.failures, self._probing, self._last = 0, False, ""

    def failed(self, now: float, why: str) -> None:
        self.failures += 1
        self._probing, self._last = False, why
        beyond = self.failures - self.failures_to_open
        if beyond >= 0:
            self._next_at = now + min(self.longest_pause, self.pause * 2.0 ** min(beyond, 30))
