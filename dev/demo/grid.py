"""A fixed reference grid: the same workload under settings written by hand, for a ratio beside the result."""

from __future__ import annotations

import json
import time
from typing import Any

from dev.demo import cluster, figures
from dev.demo.cluster import kubectl

# (workers, HTTP pool, database pool, batch): from far too small to as much as the budgets allow.
POINTS = ((4, 4, 2, 1), (8, 8, 4, 1), (16, 16, 8, 1), (16, 16, 16, 2))
SECONDS = 30


def measure(
    namespace: str, generator: figures.Generator, numbers: dict[str, Any], after: figures.Figures
) -> dict[str, Any]:
    """Pause Pegbox, write each point into the settings document by hand, measure, put the tuned one back."""
    print("demo: a fixed reference grid, Pegbox paused (30 s each)", flush=True)
    verb(namespace, "pause", "grid")
    tuned = figures.document(namespace)
    best, rows = 0.0, []
    for point in POINTS:
        write(namespace, tuned, dict(zip(("worker_count", "http_pool", "pool_size", "batch_size"), point, strict=True)))
        time.sleep(8)
        seen = generator.span(SECONDS)
        ok = seen.p95 <= 0.5 and seen.success >= 0.99
        best = max(best, seen.committed if ok else 0.0)
        rows.append({"point": point, "ok": ok, **seen.as_dict()})
        print(
            f"  workers {point[0]:2d} http {point[1]:2d} db {point[2]:2d} batch {point[3]}: {seen.words()}", flush=True
        )
    write(namespace, tuned, tuned["values"])
    verb(namespace, "resume", "grid")
    ratio = after.committed / best if best else None
    shown = f"{ratio:.2f}" if ratio else "no point of the grid meets the SLO"
    print(f"  Pegbox's setting serves {shown} of what the grid's best point within the SLO serves")
    return {"rows": rows, "ratio": ratio}


def write(namespace: str, tuned: dict[str, Any], values: dict[str, Any]) -> None:
    """One document as a person would write it: higher generation, right hash."""
    from hashlib import sha256

    document = figures.document(namespace)
    document["values"] = tuned["values"] | {k: str(v) for k, v in values.items()}
    document["generation"] += 1
    text = json.dumps(document["values"], sort_keys=True, separators=(",", ":"))
    document["hash"] = sha256(text.encode()).hexdigest()[:12]
    patch = json.dumps({"data": {"settings.json": json.dumps(document)}})
    kubectl("patch", "configmap", "issue-workers-pegbox", "-n", namespace, "--type=merge", "-p", patch)


def verb(namespace: str, name: str, token: str) -> None:
    stamp = f"{token}-{int(time.time())}"
    kubectl(
        "annotate", "performanceprofile", "issue-workers", "-n", namespace, "--overwrite", f"pegbox.dev/{name}={stamp}"
    )
    cluster.wait_for(
        f"the verb {name}",
        lambda: any(
            t["name"] == name and t["value"] == stamp
            for t in cluster.get("performanceprofile", "issue-workers", namespace)["status"].get("tokens", [])
        ),
        60,
    )
