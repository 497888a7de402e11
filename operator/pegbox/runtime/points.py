"""Points at which the operator may be killed: an enumerated list, each with its test.

The shell announces every one; the test suite ends the process there and shows that the next start brings the
workload to last-known-good or to an accepted setting. In production nothing listens.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from enum import StrEnum


class Point(StrEnum):
    BEFORE_FENCE = "before-fence"
    AFTER_FENCE = "after-fence"
    BEFORE_CLAIM = "before-claim"
    AFTER_CLAIM = "after-claim"
    BEFORE_FINALIZER = "before-finalizer"
    AFTER_FINALIZER = "after-finalizer"
    BEFORE_LEDGER = "before-ledger"
    AFTER_LEDGER = "after-ledger"
    BEFORE_DOCUMENT = "before-document"
    AFTER_DOCUMENT = "after-document"
    BEFORE_POD_ENVIRONMENT = "before-pod-environment"
    AFTER_POD_ENVIRONMENT = "after-pod-environment"
    BEFORE_CONFIG_MAP = "before-config-map"
    AFTER_CONFIG_MAP = "after-config-map"
    BEFORE_HPA = "before-hpa"
    AFTER_HPA = "after-hpa"
    BEFORE_SCALE = "before-scale"
    AFTER_SCALE = "after-scale"
    BEFORE_RESIZE = "before-resize"
    AFTER_RESIZE = "after-resize"
    BEFORE_EVICTION = "before-eviction"
    AFTER_EVICTION = "after-eviction"
    BEFORE_ROLLOUT = "before-rollout"
    AFTER_ROLLOUT = "after-rollout"
    BEFORE_READ_BACK = "before-read-back"
    AFTER_READ_BACK = "after-read-back"
    BEFORE_STATUS = "before-status"
    AFTER_STATUS = "after-status"
    BEFORE_GIVE_BACK = "before-give-back"
    AFTER_GIVE_BACK = "after-give-back"
    BEFORE_VARIABLES_GO = "before-variables-go"
    AFTER_VARIABLES_GO = "after-variables-go"
    BEFORE_RELEASE = "before-release"
    AFTER_RELEASE = "after-release"


Reached = Callable[[Point], None]


def nobody(point: Point) -> None:
    """In production nothing listens."""


def killer(environ: str | None) -> Reached:
    """`point:count` ends this process with SIGKILL when the point is reached for the count-th time."""
    if not environ:
        return nobody
    name, _, count_text = environ.partition(":")
    wanted, left = Point(name), [int(count_text or "1")]

    def reached(point: Point) -> None:
        if point is wanted:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return reached
