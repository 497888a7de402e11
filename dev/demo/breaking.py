"""The second part: bad values on purpose. The breach is seen, the rollback is exact, the breaker opens."""

from __future__ import annotations

import json
import time
from typing import Any

from dev.demo import cluster, figures
from dev.demo.cluster import DemoError, kubectl

INTERVAL = 30  # seconds, as a production profile would have
TRIES = 3  # the breaker opens after this many failures


def main(namespace: str = "demo", numbers: dict[str, Any] | None = None) -> dict[str, Any] | int:
    """Try a value that makes the workload slow, as often as the breaker allows."""
    print("demo: now bad values on purpose, with an interval of 30 s", flush=True)
    patch = json.dumps({"spec": {"interval": f"{INTERVAL}s"}})
    kubectl("patch", "performanceprofile", "issue-workers", "-n", namespace, "--type=merge", "-p", patch)
    cluster.wait_for("an end of trials under way", lambda: not status(namespace).get("trial"), 300)
    rows = []
    for number in range(TRIES):
        rows.append(attempt(namespace, f"bad-{number}-{int(time.time())}"))
        if status(namespace).get("breaker", {}).get("state") == "Open":
            break
    state = status(namespace).get("breaker", {})
    print(f"  breaker: {state}")
    print(kubectl("get", "perfp", "-n", namespace))
    print(kubectl("events", "-n", namespace, "--for", "performanceprofile/issue-workers"))
    if state.get("state") != "Open":
        raise DemoError("the breaker did not open after repeated failures")
    return {"tries": rows, "breaker": state}


def attempt(namespace: str, token: str) -> dict[str, Any]:
    """One bad try: one worker, pools of one. Times from the ledger's own record of samples and writes."""
    before = figures.document(namespace)["values"]
    hpa = bounds(namespace)
    argument = "worker_count=1,http_pool=1,pool_size=1"
    kubectl(
        "annotate", "performanceprofile", "issue-workers", "-n", namespace, "--overwrite",
        f"pegbox.dev/try={token} {argument}",
    )  # fmt: skip
    print(f"  try {argument}", flush=True)
    started = time.monotonic()
    cluster.wait_for("the bad value in the document", lambda: figures.document(namespace)["values"] != before, 180)
    written = time.monotonic()
    cluster.wait_for("the rollback", lambda: figures.document(namespace)["values"] == before, 400, every=1)
    rolled = time.monotonic()
    cluster.wait_for("all pods' acknowledgement", lambda: not status(namespace).get("trial"), 180, every=1)
    acknowledged = time.monotonic()
    after_hpa = bounds(namespace)
    why = status(namespace).get("lastTrial", {})
    row = {
        "written_after_s": round(written - started, 1),
        "rolled_back_after_s": round(rolled - written, 1),
        "acknowledged_after_s": round(acknowledged - rolled, 1),
        "values_equal": figures.document(namespace)["values"] == before,
        "hpa_equal": hpa == after_hpa,
        "why": why.get("why", ""),
    }
    print(f"    {row}", flush=True)
    if not (row["values_equal"] and row["hpa_equal"]):
        raise DemoError("the rollback is not exact")
    return row


def status(namespace: str) -> dict[str, Any]:
    return dict(cluster.get("performanceprofile", "issue-workers", namespace).get("status", {}))


def bounds(namespace: str) -> tuple[int, int]:
    spec = cluster.get("hpa", "issue-workers-pegbox", namespace)["spec"]
    return spec["minReplicas"], spec["maxReplicas"]
