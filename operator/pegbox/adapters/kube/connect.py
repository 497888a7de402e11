"""Where the API server is and how we prove who we are: the pod's service account, or a kubeconfig."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

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
    # The library has each call ask the environment in threads of its own: two of them per call, for a proxy and for a
    # .netrc, and they hold what the caller had read until their next call.
    configuration.client_session_kwargs = {"trust_env": False}
    configuration.proxy = configuration.proxy or _proxy(configuration.host)
    client = ApiClient(configuration)
    client.user_agent = "pegbox"
    return client


def _proxy(host: str) -> str | None:
    """What HTTPS_PROXY and NO_PROXY say at the start. No .netrc counts: credentials are named, not found."""
    url = urlsplit(host)
    return None if proxy_bypass(url.hostname or "") else getproxies().get(url.scheme)


def _refresh(clock: Clock, loader: Any) -> Callable[[Configuration], Awaitable[None]]:
    loaded = clock.monotonic()

    async def refresh(configuration: Configuration) -> None:
        nonlocal loaded
        if clock.monotonic() - loaded >= REFRESH_SECONDS:
            loaded = clock.monotonic()
            await loader.load_and_set(configuration)

    return refresh
