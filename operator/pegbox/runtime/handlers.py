"""Kopf as the watch engine: events of our kinds mark keys dirty, and nothing else happens here.

No timers, daemons or change handlers: each would cost a finalizer, an annotation or a task per object. A watch that
goes deaf is noticed by kopf's own inactivity timeout; beneath it every profile is looked at once per interval anyway.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kopf

from pegbox.runtime.news import News, changeable, profile_key, version

GROUP, VERSION = "pegbox.dev", "v1alpha1"

Mark = Callable[[str], None]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Marks:
    """What marks keys dirty: a profile's; those of a class; those of a namespace; those in it that wait for room."""

    profile: Mark
    of_class: Mark
    of_namespace: Mark
    waiting: Mark


def registry(mark: Marks, kubeconfig: Path | None = None, news: News | None = None) -> kopf.OperatorRegistry:
    """Handlers that only mark keys: profiles, classes in use and budgets.

    No kind of others is watched, ConfigMaps neither: kopf lists whole what it watches, and a label that would select
    ours anybody may write on his own. Each look reads ours by its name.

    A watch that outlived the server's history begins with a list of everything: what is in it and was told before marks
    nothing, or all profiles would be due in the same moment.
    """
    out = kopf.OperatorRegistry()
    news = news if news is not None else News()

    def new(type: str | None, key: str, seen: object) -> bool:  # noqa: A002
        if type == "DELETED":
            news.gone(key)
            return True
        return news.heard(key, seen)

    @kopf.on.event(GROUP, VERSION, "performanceprofiles", registry=out)
    async def profile(namespace: str | None, name: str, meta: Mapping[str, Any], type: str, **_: Any) -> None:  # noqa: A002
        """Our own status writes come back as events too: only what a person may have changed wakes the loop."""
        if new(type, profile_key(namespace, name), changeable(meta)):
            mark.profile(f"{namespace}/{name}")

    @kopf.on.event(GROUP, VERSION, "performanceclasses", registry=out)
    async def class_(name: str, meta: Mapping[str, Any], type: str, **_: Any) -> None:  # noqa: A002
        if new(type, f"class {name}", changeable(meta)):
            mark.of_class(name)

    @kopf.on.event(GROUP, VERSION, "sharedbudgets", registry=out)
    async def budget(namespace: str | None, name: str, meta: Mapping[str, Any], type: str, **_: Any) -> None:  # noqa: A002
        """Claims come and go several times in each trial: who is content looks no sooner for that."""
        edited = new(type, f"budget {namespace}/{name}", changeable(meta))
        claimed = new(type, f"claims {namespace}/{name}", version(meta))
        if edited:
            mark.of_namespace(namespace or "")
        elif claimed:
            mark.waiting(namespace or "")

    @kopf.on.login(registry=out)
    async def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        if kubeconfig is not None:
            os.environ["KUBECONFIG"] = str(kubeconfig)  # the only way to tell kopf which one
            return kopf.login_with_kubeconfig(**kwargs)
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    return out


def tuned() -> kopf.OperatorSettings:
    """Kopf's own settings; each differs from the default for the reason beside it."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # our kinds are known: no rights on CRDs or namespaces are needed
    settings.persistence.finalizer = "pegbox.dev/kopf"  # never used: no handler of ours needs one
    settings.posting.enabled = False  # events are ours, deduplicated
    settings.watching.server_timeout = 600  # a watch that the server forgot ends by itself
    settings.watching.client_timeout = 610
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.networking.error_backoffs = (1, 2, 4, 8)
    settings.queueing.worker_limit = 10
    settings.queueing.idle_timeout = 0.1  # a worker keeps its slot for this long: throughput = limit / timeout
    settings.process.ultimate_exiting_timeout = 25
    return settings


async def watch(
    handlers: kopf.OperatorRegistry,
    namespaces: tuple[str, ...],
    ready: asyncio.Event,
    stop: asyncio.Event,
    listen: Callable[[], None],
    settings: kopf.OperatorSettings | None = None,
) -> None:
    """Run kopf until `stop`; an error ends it, and the caller ends the process.

    Kopf takes SIGTERM and SIGINT for itself: it then waits 5 s for tasks that never end, ours among them, before
    anything of ours is told, and kills the process after a while. `listen` takes the signals back, before the loop
    can turn.
    """
    existing = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=handlers,
        settings=settings or tuned(),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=list(namespaces),
        ready_flag=ready,
        stop_flag=stop,
    )
    listen()
    await kopf.run_tasks(tasks, ignored=existing)


def configure_logging(style: str) -> None:
    """JSON lines with the profile beside each, or plain text; kopf's own chatter only from warnings up."""
    kopf.configure(log_format=kopf.LogFormat.JSON if style == "json" else kopf.LogFormat.FULL)
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("pegbox").setLevel(logging.INFO)
