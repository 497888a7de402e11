"""The CPU work of an issue."""

from __future__ import annotations

import hashlib
import time


def compute(payload: bytes, cpu_ms: float) -> str:
    """Hash until this thread has used `cpu_ms` of CPU time.

    It runs in the event loop, not in a thread: at 1 to 2 ms it delays others less than a hop to a thread
    pool and back would cost under the interpreter's lock (a switch may wait 5 ms). CPU time, not wall time,
    so that a busy machine does the same work later instead of less of it.
    """
    digest = payload
    stop = time.thread_time() + cpu_ms / 1000
    while time.thread_time() < stop:
        for _ in range(20):
            digest = hashlib.sha256(digest + payload).digest()
    return digest.hex()
