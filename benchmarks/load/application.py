"""What runs in the pods of a load run: it reads each document after a while, and a few settings make it slow."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.load import shops
from benchmarks.load.book import Standing, Tenant
from benchmarks.load.shops import Shops
from pegbox.model import settings_document
from pegbox.model.errors import PegboxError
from pegbox.model.snapshot import Acknowledgement, Document
from pegbox.ports import Object

Read = Callable[[str, str, int], None]
"""(profile, pod, generation): told when a pod begins to run a document."""


@dataclass
class Applications:
    """Pods that take from `least` to `most` seconds to see a document, as kubelets do."""

    shops: Shops
    tenants: dict[str, Tenant]
    read: Read
    chance: random.Random
    least: float = 0.5
    most: float = 15.0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def changed(self, kind: str, event: str, body: Object) -> None:
        """A ConfigMap was written."""
        text = (body.get("data") or {}).get(settings_document.KEY)
        key = f"{body['metadata'].get('namespace')}/{body['metadata']['name'].removesuffix('-pegbox')}"
        if kind != "ConfigMap" or event == "DELETED" or text is None or key not in self.tenants:
            return
        document = settings_document.parse(text)
        for pod in self.tenants[key].pods:
            task = asyncio.create_task(self._take(key, pod, document))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take(self, key: str, pod: str, document: Document) -> None:
        await asyncio.sleep(self.chance.uniform(self.least, self.most))
        namespace = key.partition("/")[0]
        standing = self.shops.pods.metrics.acks.get(namespace, {}).get(pod)
        if standing is not None and standing.generation >= document.generation:
            return  # it has read a newer one meanwhile
        ack = Acknowledgement(document.profile_uid, document.generation, document.hash)
        values = {name: float(text) for name, text in document.values.items() if text.isdigit()}
        self.shops.pods.run(namespace, pod, ack, values, harmed=shops.harmed(document))
        self.read(key, pod, document.generation)


@dataclass
class People:
    """They ask for trials, one per namespace at a time, since its budget lets one be tried at a time."""

    shops: Shops
    chance: random.Random
    asked: int = 0
    failed: int = 0

    async def ask(self, standing: Standing) -> None:
        """One `try`, some of them harmful on purpose. A server that does not answer is asked again next time."""
        self.asked += 1
        try:
            await self.shops.try_one(standing.tenant.key, wish(standing, self.chance), f"load{self.asked}")
        except PegboxError:
            self.failed += 1


def wish(standing: Standing, chance: random.Random) -> str:
    """What is tried next, from what stands now."""
    values = {**standing.tenant.start}
    if standing.document is not None:
        values |= {n: int(v) for n, v in standing.document.values.items() if v.isdigit()}
    workers, sockets = values["worker_count"], values["http_pool"]
    wishes = [
        f"worker_count={workers + 1}",
        f"http_pool={sockets + 1}",
        f"http_pool={max(2, sockets - 2)}",
        f"worker_count={max(2, workers - 1)},http_pool={sockets + 2}",  # one falls before the other rises
        f"http_pool={sockets + (sockets + 1) // 2}",  # as far as a step goes: harmful from 10 on
        f"worker_count={workers + (workers + 1) // 2}",
    ]
    if standing.tenant.maximum:
        wishes += [f"max_replicas={standing.maximum + 1}", f"max_replicas={max(2, standing.maximum - 1)},http_pool=9"]
    return chance.choice(wishes)
