"""For every test: hypothesis without deadlines (a timing is never a test), examples that repeat."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("house")
