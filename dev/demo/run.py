"""The main part: bring everything up, measure the bad start, apply the profile, watch, measure the end."""

from __future__ import annotations

import argparse
import json
import sys
import time
import tomllib
from dataclasses import asdict
from typing import Any

from dev.demo import breaking, cluster, figures, grid
from dev.demo.cluster import EXAMPLE, DemoError, kubectl

NAMESPACE = "demo"
LIMIT_SECONDS = 12 * 60
GAIN = 10.0  # throughput must rise at least this many times
SLO_SECONDS = 0.5
SUCCESS = 0.99
TOO_SLOW = 3
VALUES = (
    "mode.allowWrites=true",
    "metricsSources[0].name=default",
    "metricsSources[0].url=http://prometheus.monitoring:9090",
    "metricsSources[0].scrapeSeconds=2",
    "operator.logFormat=text",
)


def main(options: argparse.Namespace) -> int:
    numbers = tomllib.loads(options.workload.read_text())
    print(f"demo: workload {numbers['name']}: {numbers['arrivals']['rate']:g} issues/s offered, steady, open loop")
    bring_up(numbers, options.workload.read_text())
    if not calibrated():
        return TOO_SLOW
    generator = start_load()
    print("demo: every knob is badly set (one worker, pools of one); measuring 30 s of that", flush=True)
    generator.span(10)
    before = generator.span(30)
    print(f"  before: {before.words()}")
    cluster.apply(cluster.profile(NAMESPACE, numbers, "5s"))
    print("demo: profile applied (kubectl apply -f profile.yaml); from here on, Pegbox acts", flush=True)
    started = time.monotonic()
    after, steps = watch(generator, started)
    took = time.monotonic() - started
    kept = figures.budgets(NAMESPACE)
    result = report(before, after, kept, took, steps)
    if not options.no_grid:
        result["grid"] = grid.measure(NAMESPACE, generator, numbers, after)
    passed = result["passed"]
    if passed and not options.no_break:
        result["break"] = breaking.main(NAMESPACE, numbers)
    print("demo: all of it is still there to look at; `make demo-clean` removes it")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if passed else 1


def bring_up(numbers: dict[str, Any], text: str) -> None:
    """Cluster, images, Prometheus, operator, workload; everything that is there already is left alone."""
    print("demo: the cluster", flush=True)
    cluster.cluster("up", quiet=False)
    print("demo: images", flush=True)
    cluster.load_images()
    print("demo: Prometheus and Pegbox (by its Helm chart)", flush=True)
    cluster.install_prometheus()
    cluster.install_operator(*VALUES)
    print("demo: PostgreSQL, Redis, upstream, workers", flush=True)
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true")
    cluster.install_workload(NAMESPACE, numbers, text)


def calibrated() -> bool:
    """A job in the cluster measures CPU speed and event loop lag; a slow machine is not called bad tuning."""
    cluster.apply((EXAMPLE / "manifests/calibrate/job.yaml").read_text(), NAMESPACE)

    def ended() -> bool:
        status = cluster.get("job", "issue-calibrate", NAMESPACE).get("status", {})
        return bool(status.get("succeeded") or status.get("failed"))

    cluster.wait_for("calibration", ended, 120)
    said = kubectl("logs", "-n", NAMESPACE, "job/issue-calibrate").strip()
    print(f"demo: calibration: {said}")
    return bool(cluster.get("job", "issue-calibrate", NAMESPACE)["status"].get("succeeded"))


def start_load() -> figures.Generator:
    cluster.apply((EXAMPLE / "manifests/generator.yaml").read_text(), NAMESPACE)
    cluster.rolled_out("deployment", "issue-generator", NAMESPACE)
    return figures.Generator(NAMESPACE)


def watch(generator: figures.Generator, started: float) -> tuple[figures.Figures, int]:
    """Show what is in force and tried; done once the goal held for a minute. The last minute's figures."""
    said = ""
    while True:
        left = LIMIT_SECONDS - (time.monotonic() - started)
        body = cluster.get("performanceprofile", "issue-workers", NAMESPACE)
        status = body.get("status", {})
        lines = generator.read()
        now = f"{lines[-1]['committed_per_s']:5.1f}/s P95 {lines[-1].get('p95', 0) * 1000:6.0f} ms" if lines else ""
        text = f"{status.get('why', 'waiting')}"
        if text != said:
            setting = " ".join(f"{v['name']}={v['value']}" for v in status.get("setting", []))
            print(f"  {time.monotonic() - started:5.0f} s  {now}  [{setting}]  {text}", flush=True)
            said = text
        if reached(lines[-12:]):
            return figures.pooled(lines[-12:]), accepted(body)
        if left <= 0:
            return figures.pooled(lines[-12:]), accepted(body)
        time.sleep(2)


def reached(lines: list[dict[str, Any]]) -> bool:
    """A whole minute within the SLO, with the offered load served."""
    if len(lines) < 12:
        return False
    pooled = figures.pooled(lines)
    return pooled.p95 <= SLO_SECONDS and pooled.success >= SUCCESS and pooled.committed >= 0.95 * pooled.offered


def accepted(profile: dict[str, Any]) -> int:
    body = cluster.get("tuningledger", profile["metadata"]["name"], NAMESPACE)
    return int(body.get("data", {}).get("summary", {}).get("trials", 0))


def report(
    before: figures.Figures, after: figures.Figures, kept: figures.Budgets, took: float, steps: int
) -> dict[str, Any]:
    """The table, and whether the goal was reached."""
    gain = after.committed / before.committed if before.committed else float("inf")
    checks = {
        f"throughput at least {GAIN:g}-fold": gain >= GAIN,
        f"P95 within {SLO_SECONDS * 1000:.0f} ms": after.p95 <= SLO_SECONDS,
        f"success at least {SUCCESS:.0%}": after.success >= SUCCESS,
        "database refused nobody": kept.connections_refused == 0,
        "upstream's limits kept": kept.limit_exceeded == 0,
        f"within {LIMIT_SECONDS // 60} minutes": took <= LIMIT_SECONDS,
    }
    print(f"""
                         before        after
  issues/s            {before.committed:9.1f}    {after.committed:9.1f}    ({gain:.1f}-fold)
  P95                 {before.p95 * 1000:6.0f} ms    {after.p95 * 1000:6.0f} ms    (due to commit)
  success             {before.success:9.2%}    {after.success:9.2%}
  database            CONNECTION LIMIT {kept.connection_limit}, refused {kept.connections_refused}
  upstream            most at once {kept.concurrency_most} of {kept.concurrency_limit}, most calls a second \
{kept.rate_most} of {kept.rate_limit}, exceeded {kept.limit_exceeded} times
  took                {took:.0f} s, {steps} trials
""")
    for text, holds in checks.items():
        print(f"  {'ok  ' if holds else 'FAIL'}  {text}")
    return {
        "passed": all(checks.values()),
        "before": before.as_dict(),
        "after": after.as_dict(),
        "gain": gain,
        "budgets": asdict(kept),
        "seconds": took,
        "trials": steps,
    }


def clean() -> int:
    """Remove the demo: profile first, so that it is seen to restore, then the rest and the cluster."""
    try:
        kubectl("delete", "performanceprofile", "--all", "-n", NAMESPACE, "--ignore-not-found", "--timeout=60s")
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
    cluster.cluster("down", quiet=False)
    return 0
