"""A cluster with one tuned Deployment, its pods, its settings document, its ledger and its metrics; all fakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fractions import Fraction
from functools import cache
from typing import Any

from pegbox.api import ledger_codec, schema
from pegbox.commands.doctor_install import CRD
from pegbox.commands.documents import load, shipped_classes
from pegbox.model import settings_document
from pegbox.model.errors import NotFound
from pegbox.model.knobs import Setting
from pegbox.model.reasons import Reason
from pegbox.model.trials import Ledger, Rung, TrialState, TrialSummary
from pegbox.ports import CONFIG_MAP, DEPLOYMENT, PROFILE, Object, Ref
from pegbox.testing.clock import FakeClock
from pegbox.testing.cluster import FakeCluster
from pegbox.testing.pods import FakePods
from tests.unit.commands.worlds import NOW, Plant, ScopedMetrics

KEY = ("shop", "checkout")
PROFILE_REF = Ref(PROFILE, *KEY)
ONE, TWO, FOUR = (Setting({"worker_count": Fraction(n)}) for n in (1, 2, 4))


@cache
def _definitions() -> tuple[Object, ...]:
    """As a server answers them. Shared: who changes one puts a copy in its place."""
    established = {"conditions": [{"type": "Established", "status": "True"}]}
    return tuple(schema.crd(resource) | {"status": established} for resource in schema.RESOURCES)


@cache
def _class() -> Object:
    return load(str(shipped_classes()["python-worker"]))[0]


class Server(FakeCluster):
    """The fake with our CustomResourceDefinitions in it, of which it knows nothing by itself."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.definitions = {body["metadata"]["name"]: body for body in _definitions()}

    async def get(self, ref: Ref) -> Object:
        if ref.kind == CRD:
            if ref.name not in self.definitions:
                raise NotFound(f"{ref} does not exist")
            return self.definitions[ref.name]
        return await super().get(ref)


@dataclass
class Shop:
    """`profile` and `deployment` may be changed before `open`."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))
    mode: str = "Auto"
    load: float = 30.0
    workers: int = 1
    profile: dict[str, Any] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)  # of the document, beside worker_count
    mount: dict[str, Any] = field(default_factory=lambda: {"name": "settings", "mountPath": "/etc/pegbox"})

    def __post_init__(self) -> None:
        self.cluster = Server(self.clock)
        plant = Plant(lambda _: self.load, lambda _: self.workers, setting="3")
        self.metrics = ScopedMetrics(plant)
        self.pods = FakePods(
            self.cluster.as_manager("kubelet"), self.clock, Ref(DEPLOYMENT, *KEY), "checkout-pegbox", self.metrics
        )

    async def open(self) -> Shop:
        """Apply everything, with the settings document of generation 3 acknowledged by two pods."""
        helm = self.cluster.as_manager("helm")
        await helm.apply(_class())
        self.applied = await helm.apply(self._profile())
        await helm.apply(self._deployment())
        document = settings_document.render(self.uid, 3, {"worker_count": str(self.workers), **self.values})
        await self.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "checkout-pegbox", "namespace": "shop"},
                "data": {settings_document.KEY: document},
            }
        )
        await self.pods.step()
        await self.clock.advance(3600.0)  # the pods are an hour old
        return self

    @property
    def uid(self) -> str:
        return str(self.applied["metadata"]["uid"])

    def _profile(self) -> Object:
        spec = {
            "targetRef": {"kind": "Deployment", "name": "checkout"},
            "classRef": {"name": "python-worker"},
            "mode": self.mode,
            "preset": "Custom",
            "slos": [{"name": "fast", "signal": "task_duration", "threshold": "500ms", "goal": "95%"}],
            "knobs": [{"name": "worker_count", "max": 8}],
            **self.profile,
        }
        meta = {"name": KEY[1], "namespace": KEY[0]}
        return {"apiVersion": "pegbox.dev/v1alpha1", "kind": "PerformanceProfile", "metadata": meta, "spec": spec}

    def _deployment(self) -> Object:
        container = {"name": "app", "image": "checkout:1", "volumeMounts": [self.mount]}
        volume = {"name": "settings", "configMap": {"name": "checkout-pegbox", "optional": True}}
        template = {
            "metadata": {"labels": {"app": "checkout"}},
            "spec": {"containers": [container], "volumes": [volume]},
        }
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": KEY[1], "namespace": KEY[0]},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "checkout"}}, "template": template},
        }

    async def remember(self, **more: Any) -> Ledger:
        """Write a ledger: 1 worker at adoption, 2 accepted, 4 reverted."""
        now = self.clock.now()
        accepted = TrialSummary(
            "t-1",
            TWO,
            ONE,
            TrialState.ACCEPTED,
            Reason.TRIAL_ACCEPTED,
            now - timedelta(hours=2),
            now - timedelta(hours=1),
        )
        reverted = replace(
            accepted, id="t-2", setting=FOUR, parent=TWO, state=TrialState.REVERTED, reason=Reason.REGRESSION
        )
        ledger = Ledger(profile_uid=self.uid, incumbent=TWO, adopted=ONE, trials=(accepted, reverted), reporting=True)
        ledger = replace(ledger, **{"ladder": (Rung(TWO, 38.0, 3, 0.1, now),), **more})
        body = ledger_codec.encode(ledger, namespace=KEY[0], name=KEY[1], profile=KEY[1], written_at=now)
        await self.cluster.apply(body)
        return ledger

    async def tell(self, **status: Any) -> None:
        """Write the profile's status as the operator would."""
        body = {"apiVersion": "pegbox.dev/v1alpha1", "kind": "PerformanceProfile"}
        body["metadata"] = {"name": KEY[1], "namespace": KEY[0]}  # type: ignore[assignment]
        body["status"] = {"observedGeneration": 1, **status}  # type: ignore[assignment]
        await self.cluster.apply(body, force=True, subresource="status")

    async def profile_now(self) -> Object:
        return await self.cluster.get(PROFILE_REF)


Change = Callable[[Shop], None]
__all__ = ["CONFIG_MAP", "KEY", "PROFILE_REF", "Shop"]
