"""The operator's own settings, from one YAML file. Every field says its unit, its default and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pegbox.adapters import yamlfile
from pegbox.adapters.prometheus import promql
from pegbox.model import units
from pegbox.model.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """One Prometheus-compatible server. Classes name it by `sourceRef`; no class holds an address."""

    name: str = "default"
    url: str = "http://prometheus.monitoring:9090"
    tokenFile: str = ""  # noqa: N815  re-read for every question: bound tokens rotate
    caFile: str = ""  # noqa: N815
    insecure: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # e.g. X-Scope-OrgID; no credentials
    ownLabels: Mapping[str, str] = field(default_factory=dict)  # noqa: N815  which pegbox_pod_setting is the operator's
    podLabel: str = "pod"  # noqa: N815  as the scrape configuration names it
    namespaceLabel: str = "namespace"  # noqa: N815
    timeoutSeconds: float = 10.0  # noqa: N815
    scrapeSeconds: float = 30.0  # noqa: N815  windows must hold at least four scrapes


@dataclass(frozen=True, slots=True)
class LeaderElection:
    enabled: bool = True
    namespace: str = "pegbox-system"
    name: str = "pegbox"


@dataclass(frozen=True, slots=True)
class Http:
    port: int = 8080


@dataclass(frozen=True, slots=True)
class FleetBreaker:
    """The breaker over all profiles. 0 profiles: it never opens."""

    profiles: int = 3  # so many with harm: what they have in common is the likelier cause
    withinSeconds: float = 900.0  # noqa: N815  of each other
    baseSeconds: float = 600.0  # noqa: N815  the first wait; it doubles with every failed probe
    longestSeconds: float = 14400.0  # noqa: N815
    writeFailureShare: float = 0.5  # noqa: N815  of objects whose newest write got no answer; 1: never


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that `pegbox run` can be told."""

    metricsSources: tuple[SourceSettings, ...] = (SourceSettings(),)  # noqa: N815
    watchNamespaces: tuple[str, ...] = ()  # noqa: N815  empty: the whole cluster
    allowWrites: bool = False  # noqa: N815  False: nothing outside pegbox.dev, Events and the Lease is ever written
    leaderElection: LeaderElection = LeaderElection()  # noqa: N815
    http: Http = Http()
    workers: int = 4  # reconciles at a time: each waits for the API server most of its time
    kubeQps: float = 50.0  # noqa: N815  requests per second to the API server, burst twice as many
    nudgePods: bool = False  # noqa: N815  touch a pod annotation so that the kubelet refreshes its volumes at once
    logFormat: str = "json"  # noqa: N815
    maxConcurrentTrials: int = 5  # noqa: N815  in the whole cluster; 0: no limit
    maxConcurrentRestarts: int = 2  # noqa: N815  profiles whose pods we restart at a time; 0: no limit
    maxReplicasAddedPerHour: int = 0  # noqa: N815  by trials, in the whole cluster; 0: no limit
    maxCpuAddedPerHour: str = "0"  # noqa: N815  of requests, in cores as a quantity ("500m", "16"); likewise
    maxMemoryAddedPerHour: str = "0"  # noqa: N815  of requests, in bytes as a quantity ("64Gi"); likewise
    maxReplicasRemovedPerHour: int = 0  # noqa: N815  likewise, what trials may take away
    maxCpuRemovedPerHour: str = "0"  # noqa: N815
    maxMemoryRemovedPerHour: str = "0"  # noqa: N815
    fleetBreaker: FleetBreaker = FleetBreaker()  # noqa: N815


_PLAIN: dict[str, type | tuple[type, ...]] = {"str": str, "bool": bool, "int": int, "float": (int, float)}
_NESTED: dict[str, type] = {"leaderElection": LeaderElection, "http": Http, "fleetBreaker": FleetBreaker}


def load(path: Path) -> Settings:
    """Read the file. Raises InvalidInput naming field, value and remedy."""
    try:
        with path.open("rb") as file:
            raw = file.read(yamlfile.MAX_BYTES + 1)
    except OSError as error:
        raise InvalidInput(str(path), type(error).__name__, f"give a readable YAML file: {error.strerror}") from error
    documents = yamlfile.load_all(raw, str(path), "the file")
    if len(documents) > 1:
        raise InvalidInput(str(path), f"{len(documents)} documents", "write one")
    return parse(documents[0] if documents else {})


def parse(raw: Any) -> Settings:
    """Settings of a parsed document. Unknown fields are refused: a misspelt one would silently do nothing."""
    values = dict(_known(raw, Settings, "settings"))
    for name, kind in _NESTED.items():
        if name in values:
            values[name] = kind(**_known(values[name], kind, name))
    sources = values.get("metricsSources")
    if sources is not None:
        if not isinstance(sources, list) or not sources:
            raise InvalidInput("metricsSources", _hidden(sources), "list at least one source with name and url")
        values["metricsSources"] = tuple(_source(source) for source in sources)
    if "watchNamespaces" in values:
        names = values["watchNamespaces"] or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InvalidInput("watchNamespaces", _hidden(names), "list names of namespaces, or leave it empty")
        values["watchNamespaces"] = tuple(names)
    made = Settings(**values)
    _within(made, "maxConcurrentTrials", "maxConcurrentRestarts")
    _within(made, "maxReplicasAddedPerHour", "maxReplicasRemovedPerHour")
    for name in ("maxCpuAddedPerHour", "maxMemoryAddedPerHour", "maxCpuRemovedPerHour", "maxMemoryRemovedPerHour"):
        units.parse_quantity(getattr(made, name), name)
    _within(made.fleetBreaker, "profiles", "withinSeconds", "baseSeconds", "longestSeconds", name="fleetBreaker.")
    _within(made.fleetBreaker, "writeFailureShare", name="fleetBreaker.", most=1.0)
    if made.fleetBreaker.longestSeconds < made.fleetBreaker.baseSeconds:
        remedy = "write at least baseSeconds"
        raise InvalidInput("fleetBreaker.longestSeconds", made.fleetBreaker.longestSeconds, remedy)
    return made


def _within(made: object, *names: str, name: str = "", most: float = 31_536_000.0) -> None:
    """Numbers of these fields are from 0 to `most`; NaN is none."""
    for each in names:
        value = getattr(made, each)
        if not 0 <= value <= most:
            raise InvalidInput(f"{name}{each}", value, f"write a number from 0 to {most:g}")


_CREDENTIALS = re.compile(r"authori[sz]ation|cookie|token|secret|password|passwd|credential|api-?key", re.IGNORECASE)


def _source(raw: Any) -> SourceSettings:
    """This file is a ConfigMap: a credential in it would be readable by many, so it is refused and never shown."""
    values = _known(raw, SourceSettings, "metricsSources")
    url = values.get("url", "")
    if url and (not _usable(url) or urlsplit(url).username is not None or urlsplit(url).password is not None):
        remedy = "write http:// or https:// with a host and no user or password: name a mounted tokenFile instead"
        raise InvalidInput("metricsSources.url", _hidden(url), remedy)
    headers, own = (_texts(values.get(name), name) for name in ("headers", "ownLabels"))
    for name in headers:
        if _CREDENTIALS.search(name):
            remedy = "credentials are given by reference only: mount a Secret and name its file as tokenFile"
            raise InvalidInput(f"metricsSources.headers.{name}", "(hidden)", remedy)
    for name in (values.get("podLabel", "pod"), values.get("namespaceLabel", "pod"), *own):
        promql.label(name)
    return SourceSettings(**{**values, "headers": headers, "ownLabels": own})


def _texts(raw: Any, name: str) -> dict[str, str]:
    if raw is None:
        return {}
    if not isinstance(raw, dict) or not all(isinstance(part, str) for pair in raw.items() for part in pair):
        raise InvalidInput(f"metricsSources.{name}", _hidden(raw), "write a mapping of texts")
    return raw


def _usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _hidden(value: Any) -> object:
    """What may be said of a value that stands where it should not: it may be a credential."""
    return value if value is None or isinstance(value, bool | int | float) else f"a {type(value).__name__}"


def _known(raw: Any, kind: type, field_name: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise InvalidInput(field_name, _hidden(raw), "write a mapping of fields")
    types = {f.name: f.type for f in fields(kind)}
    for name, value in raw.items():
        if name not in types:
            raise InvalidInput(f"{field_name}.{name}", _hidden(value), f"known fields: {', '.join(sorted(types))}")
        plain = _PLAIN.get(str(types[name]))
        if plain is not None and (not isinstance(value, plain) or (plain is not bool and isinstance(value, bool))):
            raise InvalidInput(f"{field_name}.{name}", _hidden(value), f"write a {types[name]}")
    return dict(raw)
