"""The whole runtime on a real API server: what recommending writes, and two operators at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest_asyncio
import yaml

from dev.cluster.control import ControlPlane
from pegbox.adapters.kube.events import KubeEvents
from pegbox.adapters.kube.lease import LeaseElection, Timing
from pegbox.api import budgets
from pegbox.ports import (
    BUDGET,
    CONFIG_MAP,
    DEPLOYMENT,
    EVENT,
    HPA,
    LEASE,
    LEDGER,
    POD,
    PROFILE,
    REPLICA_SET,
    Cluster,
    Kind,
    Object,
    Ref,
)
from pegbox.runtime import claims, reading
from pegbox.runtime.points import nobody
from tests.contract.conftest import Connect, SystemClock
from tests.loop import documents
from tests.loop.world import World

CHART = Path(__file__).resolve().parents[1] / "golden" / "helm" / "default.yaml"
ACCOUNT = "system:serviceaccount:pegbox-system:pegbox"  # of the chart's default install
WORKLOAD = (CONFIG_MAP, DEPLOYMENT, HPA, POD, REPLICA_SET)
USES = {"name": "postgres", "uses": "pods * workers", "budgetRef": {"name": "postgres"}}


@pytest_asyncio.fixture
async def recommender(shop: World, client: Connect, control_plane: ControlPlane) -> Cluster:
    """The server as the account of a default install sees it: recommend-only, by RBAC."""
    rendered: list[Object] = list(yaml.safe_load_all(CHART.read_text()))
    for body in rendered:
        if body["kind"] in ("ClusterRole", "ClusterRoleBinding"):
            control_plane.apply(yaml.safe_dump(body))
    groups = ["system:serviceaccounts", "system:serviceaccounts:pegbox-system", "system:authenticated"]
    made: Cluster = await client("pegbox", control_plane.kubeconfig_for(ACCOUNT, groups))
    return made


def as_account(shop: World, account: Cluster, **options: Any) -> World:
    """The same world, its operator with another account, its events on the server."""
    events = KubeEvents(account, SystemClock(), instance="pegbox-0")
    other = World(account, shop.outside, shop.clock, shop.namespace, metrics=shop.metrics, events=events, **options)
    other.apps, other.services = shop.apps, shop.services
    return other


def profile(mode: str) -> Object:
    """Everything that might be written, by consent."""
    return documents.profile(
        "checkout",
        documents.hot(),
        documents.path(),
        documents.env(),
        {"name": "max_replicas", "min": 1, "max": 8},
        mode=mode,
        conflictPolicy="Take",
        autoscaler={"ref": {"name": "checkout"}},
        budgets=[USES],
    )


async def versions(shop: World, *kinds: Kind) -> dict[tuple[str, str], str]:
    """resourceVersion of every object of these kinds: it moves with every write that changes anything."""
    found = {}
    for kind in kinds:
        for each in await shop.outside.list(kind, shop.namespace):
            found[kind.kind, each["metadata"]["name"]] = each["metadata"]["resourceVersion"]
    return found


async def test_recommending_needs_no_right_to_write_and_writes_nothing_but_ledger_status_and_events(
    shop: World, recommender: Cluster
) -> None:
    await shop.apply(documents.config_map(), documents.hpa(), documents.budget())
    await shop.add(profile("Recommend"), workers=2, cache=2, threads=2)
    before = await versions(shop, *WORKLOAD, BUDGET)
    operator = as_account(shop, recommender, allow_writes=True)  # only the mode and RBAC are in the way
    for _ in range(12):
        assert (await operator.wake() or -1.0) > 0, await operator.why()
        await shop.clock.advance(5)
    await operator.annotate("try", "workers=3")
    assert (await operator.wake() or -1.0) > 0
    assert await versions(shop, *WORKLOAD, BUDGET) == before
    assert set(await versions(shop, LEDGER)) == {("TuningLedger", "checkout")}
    assert "finalizers" not in (await shop.profile())["metadata"]
    assert {each["reason"] for each in await shop.outside.list(EVENT, shop.namespace)} == {"Adopted", "RequestRefused"}


async def test_the_same_account_in_auto_is_refused_by_the_server_and_says_so(shop: World, recommender: Cluster) -> None:
    """The twin: were it to write, RBAC would show it."""
    await shop.apply(documents.config_map(), documents.hpa(), documents.budget())
    await shop.add(profile("Auto"), workers=2, cache=2, threads=2)
    before = await versions(shop, *WORKLOAD)
    operator = as_account(shop, recommender, allow_writes=True)
    assert await operator.wake() == -1.0
    assert (await operator.condition("Degraded"))[:2] == ("True", "WriteRefused")
    assert await versions(shop, *WORKLOAD) == before


async def test_at_rest_nothing_on_the_server_moves(shop: World) -> None:
    await shop.apply(documents.config_map(), documents.hpa(), documents.budget())
    await shop.add(profile("Auto"), workers=2, cache=2, threads=2)
    await shop.steady()
    kinds = (*WORKLOAD, BUDGET, LEDGER, PROFILE)
    before = await versions(shop, *kinds)
    for _ in range(20):
        await shop.wake()
        await shop.clock.advance(5)
    assert await versions(shop, *kinds) == before


async def test_two_operators_at_once_make_one_history(shop: World) -> None:
    """The Lease of the first ran out, another holds it, and the first goes on as if nothing had happened: the ledger's
    compare-and-swap lets one of them through."""
    lease, timing = Ref(LEASE, shop.namespace, "pegbox-leader"), Timing(lease=1.0, renew=0.7, retry=0.05)
    former, successor = (LeaseElection(shop.pegbox, SystemClock(), lease, identity=n, timing=timing) for n in "ab")
    await former.wait()
    await shop.add(documents.profile(), workers=2)
    await shop.steady()
    await successor.wait()
    assert (await shop.outside.get(lease))["spec"]["holderIdentity"] == "b"
    first = shop.reconciler
    shop.restart()
    await shop.turn()
    await shop.annotate("try", "workers=3")
    key, generations = f"{shop.namespace}/checkout", []
    for _ in range(20):
        await asyncio.gather(first(key), shop.reconciler(key))
        generations.append((await shop.document()).generation)
        await shop.pods_step(shop.apps["checkout"])
        await shop.clock.advance(5)
    ledger = await shop.ledger()
    assert ledger is not None and ledger.intent is None
    assert [t.state.value for t in ledger.trials] == ["Accepted"]
    assert generations == sorted(generations) and generations[-1] == 2


async def test_of_many_claims_at_once_no_more_is_granted_than_there_is(shop: World) -> None:
    """Ten profiles ask for 10 of 64 - 4: six get it, whoever they are, and one trial slot is held at most."""
    await shop.apply(documents.budget(capacity=64, reserve=4))
    await shop.add(documents.profile(budgets=[USES]), workers=2)
    found = await reading.read_rest(
        shop.pegbox, await reading.read_spec(shop.pegbox, shop.namespace, "checkout", frozenset())
    )
    ref, now = Ref(BUDGET, shop.namespace, "postgres"), shop.clock.now()

    async def ask(number: int) -> bool:
        spec = replace(found.spec, uid=f"uid-{number}", name=f"profile-{number}")
        wish = budgets.Wish(spec.uid, spec.key, 10, now + claims.EXPIRY, number % 2 == 0)
        while True:
            try:
                return await claims._swap(shop.pegbox, ref, wish, None, now, nobody) is None
            except claims.WriteConflict:
                continue

    granted = await asyncio.gather(*(ask(number) for number in range(10)))
    status = (await shop.outside.get(ref))["status"]
    assert status["claimed"] == 10 * sum(granted) <= 60
    assert [each["trial"] for each in status["claims"]].count("Holding") == 1
    assert sum(granted) == 6  # five without a slot, and one of those with
