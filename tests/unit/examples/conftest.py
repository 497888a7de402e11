"""Puts the example's package on the path: it is installed in its image only."""

from __future__ import annotations

import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "examples" / "issue-service"
if str(EXAMPLE) not in sys.path:
    sys.path.insert(0, str(EXAMPLE))
