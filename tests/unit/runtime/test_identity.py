"""Which dead process's Lease need not run out: only that of the same pod, on the port that we hold."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from pegbox.runtime import identity
from pegbox.runtime.server import Health, serve

POD = {"POD_NAME": "pegbox-6f", "POD_UID": "6c1e"}


def test_two_processes_of_one_pod_differ_and_the_later_one_follows_the_former() -> None:
    former, later = identity.of(POD, 8080), identity.of(POD, 8080)
    assert former.name != later.name and later.followed(former.name)


@pytest.mark.parametrize(
    ("environment", "port"),
    [
        pytest.param(POD | {"POD_UID": "6c1f"}, 8080, id="another pod of the same name"),
        pytest.param(POD | {"POD_NAME": "pegbox-6"}, 8080, id="another pod"),
        pytest.param({"POD_NAME": "pegbox-6f"}, 8080, id="a pod that does not know its uid"),
        pytest.param(POD, 8081, id="another port: both may run"),
        pytest.param(POD, 808, id="a port that the former one's begins with"),
        pytest.param(POD, 0, id="any port"),
    ],
)
def test_nobody_else_is_followed_in_either_direction(environment: dict[str, str], port: int) -> None:
    one, other = identity.of(POD, 8080), identity.of(environment, port)
    assert not one.followed(other.name) and not other.followed(one.name)


@pytest.mark.parametrize("environment", [POD, {"POD_NAME": "pegbox-6f"}])
def test_nobody_follows_itself_or_who_left_no_name(environment: dict[str, str]) -> None:
    process = identity.of(environment, 0)
    again = identity.of(environment, 0)
    assert not process.followed(process.name) and not process.followed("") and not process.followed(again.name)


async def test_while_a_process_lives_no_other_one_gets_its_port() -> None:
    """What `followed` stands on."""
    health = Health(str, str)
    first = await serve(0, CollectorRegistry(), health)
    try:
        port = first.addresses[0][1]
        with pytest.raises(OSError, match="address already in use"):
            await serve(port, CollectorRegistry(), health)
    finally:
        await first.cleanup()
    second = await serve(port, CollectorRegistry(), health)
    await second.cleanup()
