"""Do broken profiles delay healthy ones? Lateness of the healthy alone, then with the broken beside them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from os import getloadavg
from typing import Any

import yaml

from benchmarks import fleet, servers
from benchmarks.fleet import CLASS_FILE, Fleet
from benchmarks.load.faults import Faults
from benchmarks.load.looks import Late
from benchmarks.load.proxy import Proxy
from benchmarks.load.shops import Shops, Times
from benchmarks.load.stage import STANDING_SECONDS, WATCHED, Shape, Stage, stage
from pegbox.model import settings_document
from pegbox.ports import POD, Object, Ref

NAMESPACE = "shop-99"
SETTLE_INTERVALS = 8  # adoption, what the first answers are worth, and the first trials: both measurements have such
HUGE = 800 * 1024  # bytes of a ConfigMap that nobody can read for a document


@dataclass(frozen=True)
class Plan:
    healthy: int = 200
    broken: int = 20
    seconds: float = 300.0  # of each of the two measurements
    interval: int = 60
    scrape: int = 15
    seed: int = 1

    @property
    def share(self) -> float:
        """Seconds by which so many more profiles may delay the others: their share of one interval."""
        return self.interval * self.broken / self.healthy


@dataclass(frozen=True)
class Outcome:
    plan: Plan
    alone: Late
    beside: Late
    said: Mapping[str, int]  # what the broken ones say of themselves -> how many
    load_average: float

    @property
    def held(self) -> bool:
        return self.beside.p99 - self.alone.p99 <= self.plan.share


async def run(plan: Plan, say: Callable[[str], None]) -> Outcome:
    """The operator's settings are its defaults, but for addresses and the right to write. Pods read what is written."""
    shape = Shape(plan.healthy, 0.0, plan.seed, Times(plan.interval, plan.scrape), {})
    async with stage(shape, say) as made, hung() as silent:
        sick = Proxy(made.prometheus.upstream, Faults(plan.seed, 1.0), queries=True)
        await sick.start()
        _sources(made, {"hung": f"http://127.0.0.1:{silent}", "sick": sick.url})
        tasks = [asyncio.create_task(made.watching.run(WATCHED), name="observer")]
        await asyncio.sleep(STANDING_SECONDS)
        tasks.append(asyncio.create_task(made.run_operator(), name="operator"))
        try:
            made.started = made.looks.started = time.monotonic()
            say(f"settling for {SETTLE_INTERVALS * plan.interval} s")
            await asyncio.sleep(SETTLE_INTERVALS * plan.interval)
            alone = await _measured(made, plan, "alone", say)
            say(f"adding {plan.broken} broken profiles")
            await _add(made.shops, plan.broken)
            await asyncio.sleep(plan.interval)
            beside = await _measured(made, plan, f"with {plan.broken} broken ones beside them", say)
            said = await _said(made.shops, plan.broken)
        finally:
            for task in tasks:
                task.cancel()
            with suppress(BaseException):
                await asyncio.gather(*tasks, return_exceptions=True)
            await sick.close()
    return Outcome(plan, alone, beside, said, getloadavg()[0])


async def _measured(made: Stage, plan: Plan, name: str, say: Callable[[str], None]) -> Late:
    since = time.monotonic()
    await asyncio.sleep(plan.seconds)
    late = made.looks.late(healthy(made.shops.keys), plan.interval, since)
    if not late.gaps:
        raise servers.CannotMeasure(f"no profile was looked at twice: {made.log_end()}")
    say(f"{name}: p50 {late.p50:.2f} s, p99 {late.p99:.2f} s, most {late.most:.1f} s late; {late.gaps} looks")
    return late


def healthy(keys: Iterable[str]) -> list[str]:
    """Broken ones with a workload are in the fleet, too: how late they are is their own affair."""
    return [key for key in keys if not key.startswith(f"{NAMESPACE}/")]


class hung:  # noqa: N801  used like a function
    """A server that takes every connection and never answers."""

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    @staticmethod
    async def _take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass
        writer.close()


def _sources(made: Stage, others: Mapping[str, str]) -> None:
    first = made.config["metricsSources"][0]
    made.config["metricsSources"] = [first, *(dict(first, name=name, url=url) for name, url in others.items())]


# --- what is broken


async def _add(shops: Shops, count: int) -> None:
    await Fleet.namespace(shops, NAMESPACE)
    for name in ("hung", "sick", "nowhere"):
        body = yaml.safe_load(CLASS_FILE.read_text())
        body["metadata"]["name"] = f"python-{name}"
        body["spec"]["sourceRef"] = name
        await shops.cluster.apply(body, force=True)
    for number in range(count):
        await KINDS[number % len(KINDS)](shops, f"bad-{number:03}")


def _profile(shops: Shops, name: str, **spec: Any) -> Object:
    body = Fleet.profile(shops, NAMESPACE, name, "Auto")
    return body | {"spec": body["spec"] | {"interval": f"{shops.times.interval}s"} | spec}


async def _without_class(shops: Shops, name: str) -> None:
    await shops.workload(NAMESPACE, name)
    await shops.cluster.apply(_profile(shops, name, classRef={"name": "nobody"}), force=True)


async def _without_target(shops: Shops, name: str) -> None:
    await shops.cluster.apply(_profile(shops, name), force=True)


def _of_class(class_name: str) -> Callable[[Shops, str], Awaitable[None]]:
    async def add(shops: Shops, name: str) -> None:
        await shops.workload(NAMESPACE, name)
        await shops.cluster.apply(_profile(shops, name, classRef={"name": class_name}), force=True)

    return add


async def _torn_ledger(shops: Shops, name: str) -> None:
    await shops.workload(NAMESPACE, name)
    body = fleet.object_of("pegbox.dev/v1alpha1", "TuningLedger", NAMESPACE, name)
    summary = {"profile": name, "profileUID": "x", "generation": 1, "breaker": "Closed", "intent": ""}
    summary |= {"trials": 0, "rows": 0, "writtenAt": "2026-01-01T00:00:00Z"}
    data = {"schemaVersion": 1, "sha256": "0" * 64, "state": "{", "summary": summary}
    await shops.cluster.apply(body | {"data": data}, force=True)
    await shops.cluster.apply(_profile(shops, name), force=True)


async def _unreadable_document(shops: Shops, name: str) -> None:
    """Somebody else's bytes where ours should be, and nobody may change them."""
    await shops.workload(NAMESPACE, name)
    body = fleet.object_of("v1", "ConfigMap", NAMESPACE, f"{name}-pegbox")
    await shops.cluster.apply(body | {"data": {settings_document.KEY: "x" * HUGE}, "immutable": True}, force=True)
    await shops.cluster.apply(_profile(shops, name), force=True)


async def _crash_looping(shops: Shops, name: str) -> None:
    played = await shops.workload(NAMESPACE, name)
    for pod in await played.pods():
        ref = Ref(POD, NAMESPACE, pod["metadata"]["name"])
        waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
        ready = [c | {"status": "False"} if c["type"] == "Ready" else c for c in pod["status"]["conditions"]]
        statuses = [
            c | {"state": waiting, "ready": False, "restartCount": 9} for c in pod["status"]["containerStatuses"]
        ]
        status = pod["status"] | {"containerStatuses": statuses, "conditions": ready}
        operations = [{"op": "replace", "path": "/status", "value": status}]
        await shops.cluster.json_patch(ref, operations, subresource="status")
    await shops.cluster.apply(_profile(shops, name), force=True)


KINDS: tuple[Callable[[Shops, str], Awaitable[None]], ...] = (
    _without_class,
    _without_target,
    _of_class("python-hung"),
    _of_class("python-sick"),
    _of_class("python-nowhere"),
    _torn_ledger,
    _unreadable_document,
    _crash_looping,
)


async def _said(shops: Shops, count: int) -> dict[str, int]:
    """The word that each of them begins its `why` with."""
    found: dict[str, int] = {}
    for number in range(count):
        why = str((await shops.status(f"{NAMESPACE}/bad-{number:03}")).get("why", "nothing"))
        word = why.partition(":")[0]
        found[word] = found.get(word, 0) + 1
    return found


def text(outcome: Outcome) -> str:
    plan = outcome.plan
    rows = [f"{plan.healthy} healthy profiles, interval {plan.interval} s; load average {outcome.load_average:.1f}"]
    for name, late in (("alone", outcome.alone), (f"with {plan.broken} broken ones", outcome.beside)):
        rows.append(
            f"late {name}: p50 {late.p50:.2f} s, p99 {late.p99:.2f} s, most {late.most:.1f} s, {late.gaps} looks"
        )
    rows.append("the broken ones say: " + ", ".join(f"{word} {n}" for word, n in sorted(outcome.said.items())))
    word = "within" if outcome.held else "BROKEN: beyond"
    rows.append(f"{word} their share of an interval, {plan.share:.1f} s more at p99")
    return "\n".join(rows)
