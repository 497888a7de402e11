"""Open what commands talk to: the API server by a kubeconfig or a service account, and metrics servers."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from pegbox.model.errors import InvalidInput
from pegbox.runtime.settings import Settings, SourceSettings, load

if TYPE_CHECKING:  # the clients take most of a second to import
    from pegbox.adapters.kube.client import KubeCluster
    from pegbox.adapters.prometheus.client import Pace, PrometheusSource

Source = TypeVar("Source")
BURST = 50  # a command is short: it may ask faster than the operator


def kubeconfig_of(named: Path | None, environment: Mapping[str, str], home: Path) -> Path | None:
    """`--kubeconfig`, else KUBECONFIG, else ~/.kube/config; None: the pod's service account."""
    if named is not None:
        if not named.is_file():
            raise InvalidInput("--kubeconfig", str(named), "name a readable kubeconfig file")
        return named
    listed = environment.get("KUBECONFIG", "")
    if listed:
        if not any(Path(each).expanduser().is_file() for each in listed.split(os.pathsep)):
            raise InvalidInput("KUBECONFIG", listed, "name a readable kubeconfig file in it, or unset it")
        return Path(listed)
    usual = home / ".kube" / "config"
    return usual if usual.is_file() else None


@asynccontextmanager
async def cluster(arguments: Namespace) -> AsyncIterator[KubeCluster]:
    """The API server; raises NotAvailable, with the remedy, where no credentials are found."""
    from pegbox.adapters.clock import SystemClock
    from pegbox.adapters.kube.client import KubeCluster
    from pegbox.adapters.kube.connect import connect
    from pegbox.adapters.kube.limits import TokenBucket

    clock = SystemClock()
    path = kubeconfig_of(arguments.kubeconfig, os.environ, Path.home())
    client = await connect(clock, kubeconfig=path, context=arguments.context)
    opened = KubeCluster(client, clock, limit=TokenBucket(clock, rate=float(BURST), burst=BURST))
    try:
        yield opened
    finally:
        await opened.close()


def source_settings(arguments: Namespace) -> SourceSettings:
    """The one source that `--prometheus` and its companions name. Raises InvalidInput."""
    url: str = arguments.prometheus
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        raise InvalidInput("--prometheus", url, "write a URL such as http://127.0.0.1:9090")
    for name, path in (("--token-file", arguments.token_file), ("--ca-file", arguments.ca_file)):
        if path and not Path(path).is_file():
            raise InvalidInput(name, path, "name a readable file")
    return SourceSettings(
        url=url,
        tokenFile=arguments.token_file,
        caFile=arguments.ca_file,
        podLabel=arguments.pod_label,
        namespaceLabel=arguments.namespace_label,
    )


def settings_of(arguments: Namespace) -> Settings | None:
    """The operator's settings by `--config`, or one source by `--prometheus`; None where neither is given."""
    if arguments.config is not None:
        if arguments.prometheus is not None:
            raise InvalidInput("--prometheus", arguments.prometheus, "give --config or --prometheus, not both")
        return load(arguments.config)
    if arguments.prometheus is not None:
        return Settings(metricsSources=(source_settings(arguments),))
    return None


@contextmanager
def sources(settings: Settings | None) -> Iterator[dict[str, PrometheusSource]]:
    """Every source of the settings, by name; none without settings."""
    opened: dict[str, PrometheusSource] = {}
    try:
        for item in settings.metricsSources if settings is not None else ():
            opened[item.name] = metrics_source(item)
        yield opened
    finally:
        for each in opened.values():
            each.close()


def metrics_source(item: SourceSettings, pace: Pace | None = None) -> PrometheusSource:
    """A client for one source. Raises InvalidInput for a label that is none."""
    from pegbox.adapters.prometheus.client import PrometheusSource
    from pegbox.adapters.prometheus.promql import Dialect
    from pegbox.adapters.prometheus.transport import Server

    server = Server(
        url=item.url,
        token_file=item.tokenFile,
        ca_file=item.caFile,
        headers=dict(item.headers),
        read_timeout=item.timeoutSeconds,
    )
    dialect = Dialect(pod_label=item.podLabel, namespace_label=item.namespaceLabel)
    return PrometheusSource(server, dialect, pace)


def pick(opened: Mapping[str, Source], wanted: str) -> Source | None:
    """The source that a class names. A single one from the command line stands for all names."""
    if wanted in opened:
        return opened[wanted]
    return next(iter(opened.values())) if len(opened) == 1 else None
