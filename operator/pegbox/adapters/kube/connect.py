"""Where the API server is and how we prove who we are: the pod's service account, or a kubeconfig."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import yaml
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from pegbox.model.errors import NotAvailable
from pegbox.ports import Clock

_UNREADABLE = (config.ConfigException, OSError, ValueError, TypeError, AttributeError, yaml.YAMLError)
"""What the library raises for files that are absent, torn, or no kubeconfig."""
REFRESH_SECONDS = 60.0
"""How long credentials of a kubeconfig are used before its plugin or token file is asked again."""


async def connect(clock: Clock, *, kubeconfig: Path | None = None, context: str | None = None) -> ApiClient:
    """An API client: from the kubeconfig, or in a pod without one. Tokens are refreshed as they age.

    Raises NotAvailable, naming the remedy, where neither can be read.
    """
    configuration = Configuration()
    try:
        if kubeconfig is None:
            config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        else:
            loader = await config.load_kube_config(  # type: ignore[no-untyped-call]
                str(kubeconfig), context=context, client_configuration=configuration, persist_config=False
            )
            configuration.refresh_api_key_hook = _refresh(clock, loader)  # type: ignore[assignment]
    except _UNREADABLE as error:
        where = "the pod's service account" if kubeconfig is None else f"kubeconfig {kubeconfig}"
        reason = " ".join(str(error).split())
        raise NotAvailable(
            f"{where} cannot be read: {reason}: run in a pod with a service account, or name a kubeconfig"
        ) from error
    client = ApiClient(configuration)
    client.user_agent = "pegbox"
    return client


def _refresh(clock: Clock, loader: Any) -> Callable[[Configuration], Awaitable[None]]:
    loaded = clock.monotonic()

    async def refresh(configuration: Configuration) -> None:
        nonlocal loaded
        if clock.monotonic() - loaded >= REFRESH_SECONDS:
            loaded = clock.monotonic()
            await loader.load_and_set(configuration)

    return refresh
