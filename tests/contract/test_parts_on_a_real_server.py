"""Election, events, and pods without a kubelet, on a real API server."""

from datetime import timedelta

from pegbox.adapters.kube.events import KubeEvents
from pegbox.adapters.kube.lease import LeaseElection, LeaseReader, Timing
from pegbox.adapters.kube.workload import decode, selector_text
from pegbox.commands import stop
from pegbox.model.brakes import STOP_ANNOTATION, Stop
from pegbox.model.decisions import Event
from pegbox.model.reasons import Reason
from pegbox.model.settings_document import KEY, render
from pegbox.model.snapshot import Workload
from pegbox.ports import DEPLOYMENT, EVENT, LEASE, POD, REPLICA_SET, Ref
from pegbox.testing.pods import FakePods
from pegbox.testing.suites.cluster import ClusterWorld
from tests.contract.conftest import SystemClock

SHORT = Timing(lease=3.0, renew=2.0, retry=0.05)


async def test_a_lease_is_taken_renewed_released_and_taken_over(world: ClusterWorld) -> None:
    ref = Ref(LEASE, world.namespace, "pegbox-leader")
    clock = SystemClock()
    one, two = (LeaseElection(world.cluster, clock, ref, identity=name, timing=SHORT) for name in ("one", "two"))
    await one.wait()
    assert one.leading and not await two._attempt() and not two.leading
    taken = await world.cluster.get(ref)
    assert taken["spec"]["holderIdentity"] == "one" and taken["spec"]["leaseDurationSeconds"] == 3
    assert await one._attempt()
    assert (await world.cluster.get(ref))["metadata"]["resourceVersion"] != taken["metadata"]["resourceVersion"]
    await one.release()
    await two.wait()
    assert two.leading and not one.leading
    assert (await world.cluster.get(ref))["spec"]["holderIdentity"] == "two"


async def test_a_dead_holders_lease_runs_out(world: ClusterWorld) -> None:
    ref = Ref(LEASE, world.namespace, "pegbox-leader")
    clock = SystemClock()
    dead, next_one = (LeaseElection(world.cluster, clock, ref, identity=n, timing=SHORT) for n in ("dead", "next"))
    await dead.wait()
    await next_one.wait()
    assert next_one.leading and not dead.leading


async def test_a_stop_on_the_lease_is_heard_survives_renewals_takeover_and_deletion_and_is_taken_away(
    world: ClusterWorld,
) -> None:
    """What one leader carries, the next one hears before it leads; what people wrote is never pruned by a renewal."""
    ref = Ref(LEASE, world.namespace, "pegbox-leader")
    people, clock = world.as_manager("helm"), SystemClock()
    one, two = (LeaseElection(world.cluster, clock, ref, identity=name, timing=SHORT) for name in ("one", "two"))
    heard: list[tuple[dict[str, str], bool]] = []
    two.heard = lambda notes, leading: heard.append((dict(notes), leading))
    one.carried = lambda: {"pegbox.dev/fleet-breaker": "{}"}
    two.kept = lambda: {STOP_ANNOTATION: "restore"}
    await one.wait()
    await stop.put(people, ref, Stop.RESTORE)
    for _ in range(3):
        assert await one._attempt()
    await one.release()
    await two.wait()
    carried = {STOP_ANNOTATION: "restore", "pegbox.dev/fleet-breaker": "{}"}
    assert (carried, False) in heard
    await people.delete(ref)
    assert await two._attempt()
    assert (await world.cluster.get(ref))["metadata"]["annotations"] == {STOP_ANNOTATION: "restore"}
    await stop.put(people, ref, None)
    assert await two._attempt()
    assert not (await world.cluster.get(ref))["metadata"].get("annotations")


async def test_without_an_election_a_lease_that_nobody_holds_is_made_and_read(world: ClusterWorld) -> None:
    ref = Ref(LEASE, world.namespace, "pegbox-leader")
    heard: list[dict[str, str]] = []
    reader = LeaseReader(world.cluster, SystemClock(), ref, lambda notes, leading: heard.append(dict(notes)))
    await reader.first()
    assert any("nobody holds" in line for line in await stop.put(world.as_manager("helm"), ref, Stop.STOP))
    await reader.look()
    assert heard == [{}, {STOP_ANNOTATION: "stop"}]


async def test_events_pass_the_servers_validation(world: ClusterWorld) -> None:
    made = await world.cluster.apply(world.config_map(a="1"))
    sink = KubeEvents(world.cluster, SystemClock(), instance="pegbox-0")
    await sink.emit(made, Event(Reason.SLO_BREACHED, "ü" * 2000, warning=True))
    await sink.emit(made, Event(Reason.ADOPTED, "short"))
    await sink.emit(made, Event(Reason.ADOPTED, "short"))
    written = await world.cluster.list(EVENT, world.namespace)
    assert sorted((each["type"], each["reason"]) for each in written) == [
        ("Normal", "Adopted"),
        ("Warning", "SLOBreached"),
    ]
    assert {each["regarding"]["uid"] for each in written} == {made["metadata"]["uid"]}


async def test_fake_pods_play_a_deployment_on_a_real_server(world: ClusterWorld) -> None:
    target = Ref(DEPLOYMENT, world.namespace, "web")
    pods = FakePods(world.as_manager("kubelet"), SystemClock(), target, "web-pegbox")

    async def workload() -> Workload:
        body = await world.cluster.get(target)
        own = await world.cluster.list(POD, world.namespace, labels=selector_text(body))
        return decode(body, own, await world.cluster.list(REPLICA_SET, world.namespace))

    async def write(generation: int, workers: str) -> None:
        text = render("u1", generation, {"worker_count": workers})
        await world.cluster.apply(world.config_map("web-pegbox") | {"data": {KEY: text}})

    def acknowledged() -> list[int]:
        return [ack.generation for ack in pods.metrics.acks[world.namespace].values()]

    await world.as_manager("helm").apply(world.deployment(replicas=2, env={"WORKERS": "4"}))
    assert (await workload()).rolling
    await write(1, "4")
    await pods.step()
    first = await workload()
    assert not first.rolling and len(first.pods) == 2 and all(pod.ready for pod in first.pods)
    assert {pod.revision for pod in first.pods} == {first.revision} and first.surge == 1
    assert acknowledged() == [1, 1]
    await write(2, "8")
    await pods.step()
    assert acknowledged() == [2, 2]
    await world.as_manager("helm").apply(world.deployment(replicas=2, env={"WORKERS": "8"}))
    assert (await workload()).rolling
    await pods.step()
    second = await workload()
    assert not second.rolling and second.revision != first.revision
    assert not {pod.uid for pod in first.pods} & {pod.uid for pod in second.pods}
    await pods.kill(second.pods[0].name)
    killed = (await workload()).pods[0]
    assert killed.restarts == 1 and killed.oom_killed_at is not None
    assert abs(SystemClock().now() - killed.oom_killed_at) < timedelta(hours=1)  # in UTC, whatever the zone here
