"""The shops in which schedules run: what is tuned, where it lives, and which budget must hold."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from pegbox.ports import Object
from tests.loop import documents
from tests.loop.documents import NAMESPACE

PerPod = Callable[[Mapping[str, int]], int]
GUARDS = documents.QUICK | {"failuresToOpen": 4, "breakerBase": "1m"}
BOUND = {"name": "max_replicas", "min": 1, "max": 6}
MOST = 6  # pods, and replicas
CORES = 2  # that a template states where they are tuned; whole ones, as all numbers here


@dataclass(frozen=True)
class Tenant:
    """One profile with its workload, ConfigMap and HPA, all of the profile's name. `sizes` are knobs that live in pods."""

    name: str
    knobs: tuple[str, ...]
    per_pod: PerPod
    profile: Object
    others: tuple[Object, ...] = ()
    kind: str = "Deployment"
    sizes: tuple[str, ...] = ()

    def target(self) -> Object:
        """The workload as its owner applies it."""
        body = documents.stateful_set(self.name) if self.kind == "StatefulSet" else documents.deployment(self.name)
        return documents.placed(documents.sized(body, requests={"cpu": str(CORES)}) if self.sizes else body, NAMESPACE)


@dataclass(frozen=True)
class Shop:
    """`limit` is that of the one budget, over all tenants together. By `wishes` the model, by `asks` a `try` would move a
    value; `drawn`: faults with another weight than everywhere else."""

    name: str
    weight: int
    limit: int
    tenants: tuple[Tenant, ...]
    others: tuple[Object, ...] = ()
    class_: Object = field(default_factory=lambda: documents.CLASS)
    wishes: tuple[int, ...] = (-1, -1, 1, 1, 2)
    asks: tuple[int, ...] = (-2, -1, 1, 1, 2)
    drawn: Mapping[str, int] = field(default_factory=dict)


def _local(uses: str, limit: int) -> list[Object]:
    return [{"name": "connections", "uses": uses, "limit": limit}]


def _shared(uses: str) -> list[Object]:
    return [{"name": "connections", "uses": uses, "budgetRef": {"name": "postgres"}}]


def _workers(values: Mapping[str, int]) -> int:
    return values["workers"]


def _pool(values: Mapping[str, int]) -> int:
    return values["pool"]


def _connections(values: Mapping[str, int]) -> int:
    return values["workers"] * values["pool"]


def _hot() -> Shop:
    """Two hot knobs and an HPA's maximum trade within one limit: 4 pods x 2 x 2 = 16 of 18, so that next to nothing rises
    before something else was lowered in every pod."""
    body = documents.profile(
        "checkout",
        documents.hot("workers", max=8),
        documents.hot("pool", max=8),
        BOUND,
        conflictPolicy="Take",
        autoscaler={"ref": {"name": "checkout"}},
        budgets=_local("pods * workers * pool", 18),
        guards=GUARDS,
    )
    tenant = Tenant("checkout", ("workers", "pool", "max_replicas"), _connections, body, (documents.hpa(),))
    return Shop("hot", 4, 18, (tenant,))


def _places() -> Shop:
    """A knob in each kind of place. With one pod more for restarts: (4 + 1) x 2 = 10 of 18 at the start."""
    body = documents.profile(
        "checkout",
        documents.hot("workers", max=8),
        documents.env("threads"),
        {
            "name": "cache",
            "location": {"configMap": "checkout-config", "key": "app.yaml", "path": "cache.size"},
            "max": 8,
        },
        BOUND,
        conflictPolicy="Take",
        autoscaler={"ref": {"name": "checkout"}},
        budgets=_shared("pods * workers"),
        guards=GUARDS,
    )
    names = ("workers", "threads", "cache", "max_replicas")
    others = (documents.hpa(), documents.config_map("checkout-config"))
    tenant = Tenant("checkout", names, _workers, body, others)
    return Shop("places", 4, 18, (tenant,), (documents.budget(capacity=20, reserve=2),))


def _scaled() -> Shop:
    """Replicas themselves are tuned, beside a knob that needs a restart: (2 + 1) x 2 = 6 of 15."""
    body = documents.profile(
        "checkout",
        documents.hot("workers", max=8),
        documents.env("threads"),
        {"name": "replicas", "min": 1, "max": MOST},
        conflictPolicy="Take",
        budgets=_local("pods * workers", 15),
        guards=GUARDS,
    )
    return Shop("scaled", 3, 15, (Tenant("checkout", ("workers", "threads", "replicas"), _workers, body),))


def _created() -> Shop:
    """The HPA is ours: 3 pods x 2 x 2 = 12 of 20."""
    body = documents.profile(
        "checkout",
        documents.hot("workers", max=8),
        documents.hot("pool", max=8),
        {"name": "min_replicas", "min": 1, "max": MOST},
        BOUND,
        autoscaler={"create": {"minReplicas": 2, "maxReplicas": 3, "cpuUtilization": 60}},
        budgets=_local("pods * workers * pool", 20),
        guards=GUARDS,
    )
    return Shop(
        "created", 2, 20, (Tenant("checkout", ("workers", "pool", "min_replicas", "max_replicas"), _connections, body),)
    )


def _sharing() -> Shop:
    """Three profiles share one budget: 3 x 2 pods x 2 = 12 of 17."""

    def tenant(name: str) -> Tenant:
        body = documents.profile(
            name, documents.hot("workers", max=8), budgets=_shared("pods * workers"), guards=GUARDS
        )
        return Tenant(name, ("workers",), _workers, body)

    tenants = tuple(tenant(name) for name in ("alpha", "beta", "gamma"))
    return Shop("sharing", 2, 17, tenants, (documents.budget(capacity=20, reserve=3),))


def _dividing() -> Shop:
    """Two profiles share one budget, each with an HPA whose maximum is tuned, and one has a knob that needs a restart:
    3 x 2 + (3 + 1) x 2 = 14 of 18, so that a pod more here may be a worker less there."""

    def tenant(name: str, *knobs: str) -> Tenant:
        body = documents.profile(
            name,
            documents.hot("workers", max=8),
            *map(documents.env, knobs),
            BOUND,
            conflictPolicy="Take",
            autoscaler={"ref": {"name": name}},
            budgets=_shared("pods * workers"),
            guards=GUARDS,
        )
        return Tenant(name, ("workers", *knobs, "max_replicas"), _workers, body, (documents.hpa(name, 2, 3, name),))

    tenants = (tenant("alpha"), tenant("beta", "threads"))
    return Shop("dividing", 2, 18, tenants, (documents.budget(capacity=20, reserve=2),))


def _lanes(values: Mapping[str, int]) -> int:
    return values["workers"] * values["lanes"]


def _admitted() -> Shop:
    """Admission puts a value into new pods, which is counted with a hot one: (2 + 1) x 2 x 2 = 12 of 27."""
    body = documents.profile(
        "checkout",
        documents.hot("workers", max=8),
        documents.variable("lanes", max=8),
        conflictPolicy="Take",
        budgets=_local("pods * workers * lanes", 27),
        guards=GUARDS,
    )
    tenant = Tenant("checkout", ("workers", "lanes"), _lanes, body)
    return Shop("admitted", 2, 27, (tenant,), tuple(documents.policy()))


def _numbered() -> Shop:
    """A StatefulSet, whose pods are replaced in order, each by one of its name: no pod more for a restart, so that
    (2 pods) x 2 = 4 of 12 may become 6 x 2."""
    body = documents.profile(
        "checkout",
        documents.hot("workers", max=8),
        documents.env("threads"),
        {"name": "replicas", "min": 1, "max": MOST},
        kind="StatefulSet",
        conflictPolicy="Take",
        budgets=_local("pods * workers", 12),
        guards=GUARDS,
    )
    tenant = Tenant("checkout", ("workers", "threads", "replicas"), _workers, body, kind="StatefulSet")
    return Shop("numbered", 3, 12, (tenant,))


def _sized() -> Shop:
    """Running pods are resized: 2 x 2 = 4 of 12."""
    body = documents.profile(
        "checkout",
        documents.hot("workers", max=8),
        {"name": "cpu_request", "min": "1", "max": "4"},
        conflictPolicy="Take",
        budgets=_local("pods * workers", 12),
        guards=GUARDS,
    )
    return Shop("sized", 2, 12, (Tenant("checkout", ("workers",), _workers, body, sizes=("cpu_request",)),))


def _tight() -> Shop:
    """Narrow limits, some of the profile and some of the class alone, and steps of a half: half of what is wished and asked
    for goes beyond. With one pod more for restarts (4 + 1) x 2 = 10 of 11, so that an HPA's maximum rises after the rest."""
    class_ = copy.deepcopy(documents.CLASS)
    stated = {"pool": {"max": 3}, "threads": {"max": 6, "maxStep": "40%"}, "max_replicas": {"min": 2, "max": MOST}}
    for knob in class_["spec"]["knobs"]:
        knob |= stated.get(knob["name"], {})
    body = documents.profile(
        "checkout",
        documents.hot("workers", min=2, max=5),
        documents.hot("pool"),
        documents.env("threads"),
        BOUND | {"min": 3, "max": 5, "maxStep": "30%"},
        conflictPolicy="Take",
        autoscaler={"ref": {"name": "checkout"}},
        budgets=_local("pods * pool", 11),
        guards=GUARDS | {"maxStep": "50%"},
    )
    names = ("workers", "pool", "threads", "max_replicas")
    tenant = Tenant("checkout", names, _pool, body, (documents.hpa(),))
    far = (-2, -1, -1, 1, 1, 2, 2, 3)
    often = {"limits narrowed in mid-trial": 130, "verb try": 80, "proposal of the model": 80}
    return Shop("tight", 0, 11, (tenant,), class_=class_, wishes=far, asks=far, drawn=often)


def with_canaries(shop: Shop) -> Shop:
    """The same shop, where a trial of hot knobs begins as a canary: half of the pods, two are enough. Where
    admission puts values into pods, of those, too."""
    canary = {"trial": {"canary": {"share": "50%", "minPods": 2}}}
    tenants = tuple(
        replace(t, profile=t.profile | {"spec": copy.deepcopy(t.profile["spec"]) | canary}) for t in shop.tenants
    )
    return replace(shop, name=f"{shop.name}{CANARIES}", weight=0, tenants=tenants)


def with_no_data(shop: Shop, policy: str) -> Shop:
    """The same shop, of whose SLOs each says this of no data. One counts what no figure of a verdict comes from, and may be
    silent alone."""
    available = {"name": "available", "signal": "success", "goal": "90%", "minimumEvents": 10}

    def stated(tenant: Tenant) -> Tenant:
        spec = copy.deepcopy(tenant.profile["spec"])
        slos = [slo | {"onNoData": policy} for slo in (spec["slos"][0], available)]
        return replace(tenant, profile=tenant.profile | {"spec": spec | {"slos": slos}})

    return replace(shop, tenants=tuple(map(stated, shop.tenants)))


CANARIES = ", canaries"
NO_DATA = (HOLD := "Hold", "Revert", "Ignore")
TIGHT = _tight()
_PLAIN = (_hot(), _places(), _scaled(), _created(), _sharing(), _dividing(), _admitted(), _numbered(), _sized())
_ALL = (*_PLAIN, *map(with_canaries, _PLAIN), TIGHT, with_canaries(TIGHT))
SHOPS = {shop.name: with_no_data(shop, HOLD) for shop in _ALL}
"""Those with canaries, and the tight one, are drawn beside the rest, by seed: what is drawn for other seeds does not change
with them."""
