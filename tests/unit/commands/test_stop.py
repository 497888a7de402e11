"""`stop --all`, `start --all`: one annotation on the operator's Lease, and what the operator reads of it."""

from __future__ import annotations

import pytest

from pegbox import cli
from pegbox.commands import stop
from pegbox.model.brakes import STOP_ANNOTATION, Stop, parse_stop
from pegbox.model.errors import InvalidInput, NotAvailable, Refused, WriteConflict
from pegbox.ports import LEASE, Ref
from pegbox.testing.cluster import FakeCluster

REF = Ref(LEASE, "pegbox-system", "pegbox")


async def cluster(holder: str = "one", **annotations: str) -> FakeCluster:
    server = FakeCluster(manager="kubectl")
    meta = {"name": REF.name, "namespace": REF.namespace, "annotations": annotations}
    body = {"apiVersion": LEASE.api_version, "kind": "Lease", "metadata": meta, "spec": {"holderIdentity": holder}}
    await server.create(body)
    return server


async def annotations(server: FakeCluster) -> dict[str, str]:
    return dict((await server.get(REF))["metadata"].get("annotations") or {})


@pytest.mark.parametrize(
    ("wanted", "said"),
    [(Stop.STOP, "back to their parents"), (Stop.RESTORE, "values of its adoption")],
    ids=["stop", "stop_and_restore"],
)
async def test_what_is_written_is_what_the_operator_reads(wanted: Stop, said: str) -> None:
    server = await cluster()
    lines = await stop.put(server, REF, wanted)
    assert parse_stop((await annotations(server))[STOP_ANNOTATION])[0] is wanted
    assert said in lines[0] and "pegbox-system/pegbox" in lines[1] and "pegbox start --all" in lines[-1]


async def test_start_removes_it_and_nothing_else() -> None:
    server = await cluster(**{STOP_ANNOTATION: "restore", "team": "a"})
    assert "started" in (await stop.put(server, REF, None))[0]
    assert await annotations(server) == {"team": "a"}


async def test_a_second_time_there_is_nothing_to_do_and_nothing_is_written() -> None:
    server = await cluster(**{STOP_ANNOTATION: "stop"})
    server.writes.clear()
    assert "nothing to do" in (await stop.put(server, REF, Stop.STOP))[0]
    assert server.writes == []


async def test_a_stop_becomes_a_restore() -> None:
    server = await cluster(**{STOP_ANNOTATION: "stop"})
    await stop.put(server, REF, Stop.RESTORE)
    assert await annotations(server) == {STOP_ANNOTATION: "restore"}


async def test_where_nobody_holds_the_lease_that_is_said() -> None:
    assert any("nobody holds" in line for line in await stop.put(await cluster(""), REF, Stop.STOP))
    assert not any("nobody holds" in line for line in await stop.put(await cluster(), REF, Stop.STOP))


async def test_a_lease_that_is_not_there_is_not_made_since_it_would_stop_nothing() -> None:
    server = FakeCluster()
    with pytest.raises(InvalidInput, match="--lease"):
        await stop.put(server, REF, Stop.STOP)
    assert server.writes == []


async def test_renewals_in_between_are_waited_out_but_not_for_ever() -> None:
    server = await cluster()
    server.faults.fail_next("json_patch", LEASE, WriteConflict("renewed"), times=3)
    await stop.put(server, REF, Stop.STOP)
    assert await annotations(server) == {STOP_ANNOTATION: "stop"}
    server.faults.fail_next("json_patch", LEASE, WriteConflict("renewed"), times=99)
    with pytest.raises(NotAvailable, match="try again"):
        await stop.put(server, REF, None)


async def test_who_may_not_is_told() -> None:
    server = await cluster()
    server.faults.deny("patch", "coordination.k8s.io", "leases")
    with pytest.raises(Refused):
        await stop.put(server, REF, Stop.STOP)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [(["stop", "--all"], Stop.STOP), (["stop", "--all", "--restore"], Stop.RESTORE), (["start", "--all"], None)],
    ids=["stop", "restore", "start"],
)
def test_the_command_line(arguments: list[str], wanted: Stop | None) -> None:
    parsed = cli.parser().parse_args(arguments)
    assert stop.asked(parsed) is wanted and parsed.lease == ("pegbox-system", "pegbox")


@pytest.mark.parametrize("verb", ["stop", "start"])
def test_without_all_it_refuses_and_says_what_to_write(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([verb]) == 2
    said = capsys.readouterr().err
    assert f"pegbox {verb} --all" in said and "NAMESPACE/NAME" in said and len(said.splitlines()) == 1
