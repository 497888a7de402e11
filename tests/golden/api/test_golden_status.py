"""A whole status, as `kubectl get perfp -o yaml` shows it. PEGBOX_UPDATE_GOLDEN=1 writes it anew."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from pegbox.api import status
from tests.unit.api.snapshots import DECISION, REPORT, SNAPSHOT

FILE = Path(__file__).parent / "status.yaml"


def test_the_status_of_a_trial_is_the_kept_one() -> None:
    found = yaml.safe_dump(status.render(DECISION, SNAPSHOT, REPORT), sort_keys=False)
    if os.environ.get("PEGBOX_UPDATE_GOLDEN") == "1":
        FILE.write_text(found)
    assert FILE.read_text() == found
