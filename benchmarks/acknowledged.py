"""Acknowledgement delay: how long running pods take to say that they run a setting, on the development cluster.

Only looks: it reads the ledgers of whatever Pegbox tunes there (the demo, the end-to-end tests) and waits for trials
and rollbacks to come into force. The delay is the operator's own: from its first write of the last stage to the wake
at which every pod had acknowledged it. The kubelet's refresh, a scrape and a wake are all in it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

from pegbox.api import ledger_codec
from pegbox.model.errors import InvalidInput
from pegbox.model.trials import Ledger

POLL_SECONDS = 3.0


def delays(seconds: float) -> list[float]:
    """Every one seen within so many seconds, once each; none where there is no cluster or nothing was tried."""
    found: dict[tuple[str, str, int], float] = {}
    limit = time.monotonic() + seconds
    while True:
        for ledger in _ledgers():
            intent = ledger.intent
            if intent is not None and intent.in_force_at is not None and intent.stage_at is not None:
                waited = (intent.in_force_at - intent.stage_at).total_seconds()
                found[ledger.profile_uid, intent.id, intent.generation] = waited
        if time.monotonic() >= limit:
            return list(found.values())
        time.sleep(min(POLL_SECONDS, max(0.0, limit - time.monotonic())))


def _ledgers() -> list[Ledger]:
    command = [sys.executable, "-m", "dev.cluster", "kubectl", "get", "tuningledgers", "-A", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return []
    ledgers = []
    for item in json.loads(done.stdout).get("items", []):
        try:
            ledgers.append(ledger_codec.decode(item))
        except InvalidInput:
            continue
    return ledgers
