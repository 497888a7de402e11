"""For every test: hypothesis without deadlines (a timing is never a test), examples that repeat."""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import settings

# Tests run on every core already: more threads would only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

settings.register_profile("house", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("house")


def pytest_collection_finish(session: pytest.Session) -> None:
    """What collection built lives to the end: a collector that walks it again and again only costs time."""
    gc.collect()
    gc.freeze()
