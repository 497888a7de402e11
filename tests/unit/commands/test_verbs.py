"""Verbs: one annotation with a fresh token, on the version that was looked at, and the operator's answer."""

from __future__ import annotations

import asyncio

import pytest

from pegbox.commands import verbs
from pegbox.commands.output import Exit
from pegbox.commands.verbs import Answer, Asked
from pegbox.model.errors import InvalidInput, NotAvailable, Refused, WriteConflict
from pegbox.ports import PROFILE, Ref
from pegbox.runtime import reading
from tests.unit.commands.shop import PROFILE_REF, Shop


def asked(verb: str, argument: str = "") -> Asked:
    return Asked(PROFILE_REF, verb, argument, "0f3a")


async def annotations(shop: Shop) -> dict[str, str]:
    found: dict[str, str] = (await shop.profile_now())["metadata"].get("annotations", {})
    return found


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        pytest.param(asked("try", "worker_count=4"), "0f3a worker_count=4", id="try_with_its_assignment"),
        pytest.param(asked("rollback"), "0f3a", id="rollback"),
        pytest.param(asked("reset"), "0f3a", id="reset"),
        pytest.param(asked("pause", "2h"), "0f3a 2h", id="pause_for_two_hours"),
        pytest.param(asked("pause"), "0f3a", id="pause_until_resumed"),
        pytest.param(asked("resume"), "0f3a", id="resume"),
    ],
)
async def test_a_verb_is_an_annotation_that_the_operator_reads(request_: Asked, text: str) -> None:
    shop = await Shop().open()
    await verbs.request(shop.cluster, request_)
    assert await annotations(shop) == {f"pegbox.dev/{request_.verb}": text}
    found = await reading.read_spec(shop.cluster, *("shop", "checkout"), None)
    [read] = reading.requests(found)
    assert (read.verb, read.token, read.argument) == (request_.verb, "0f3a", request_.argument)


async def test_other_annotations_stay_and_an_older_request_is_replaced() -> None:
    shop = await Shop().open()
    await shop.cluster.as_manager("kubectl").apply(
        {
            "apiVersion": "pegbox.dev/v1alpha1",
            "kind": "PerformanceProfile",
            "metadata": {
                "name": "checkout",
                "namespace": "shop",
                "annotations": {"team": "a", "pegbox.dev/pause": "old"},
            },
        }
    )
    await verbs.request(shop.cluster, asked("pause", "1h"))
    assert await annotations(shop) == {"team": "a", "pegbox.dev/pause": "0f3a 1h"}


@pytest.mark.parametrize("verb", ["try", "rollback"])
async def test_what_the_operator_would_refuse_is_refused_at_once(verb: str) -> None:
    shop = await Shop(mode="Recommend").open()
    with pytest.raises(InvalidInput, match="set mode Auto first"):
        await verbs.request(shop.cluster, asked(verb, "worker_count=4" if verb == "try" else ""))
    assert await annotations(shop) == {}


async def test_a_knob_that_the_profile_lacks_is_named_with_those_it_has() -> None:
    shop = await Shop().open()
    await shop.tell(knobs=[{"name": "worker_count", "value": "1", "location": "Settings", "writable": "True"}])
    with pytest.raises(InvalidInput, match="the profile has these knobs: worker_count"):
        await verbs.request(shop.cluster, asked("try", "workers=4"))


async def test_a_profile_that_is_not_there_is_named() -> None:
    shop = await Shop().open()
    missing = Asked(Ref(PROFILE, "shop", "nobody"), "reset", "", "0f3a")
    with pytest.raises(InvalidInput, match="shop/nobody"):
        await verbs.request(shop.cluster, missing)


async def test_another_writer_in_between_means_looking_again() -> None:
    shop = await Shop().open()
    shop.cluster.faults.fail_next("json_patch", PROFILE, WriteConflict("moved"), times=2)
    await verbs.request(shop.cluster, asked("reset"))
    assert await annotations(shop) == {"pegbox.dev/reset": "0f3a"}


async def test_a_profile_that_never_holds_still_is_given_up() -> None:
    shop = await Shop().open()
    shop.cluster.faults.fail_next("json_patch", PROFILE, WriteConflict("moved"), times=99)
    with pytest.raises(NotAvailable, match="try again"):
        await verbs.request(shop.cluster, asked("reset"))


async def test_without_the_right_to_patch_nothing_is_claimed() -> None:
    shop = await Shop().open()
    shop.cluster.faults.deny("patch", "pegbox.dev", "performanceprofiles")
    with pytest.raises(Refused):
        await verbs.request(shop.cluster, asked("reset"))


async def waiting(shop: Shop, request: Asked, *status: dict[str, object], seconds: float = 60.0) -> Answer:
    """The answer while the operator writes one status after the other, a second apart."""
    clock = shop.clock

    async def operator() -> None:
        for each in status:
            await clock.sleep(1.5)
            await shop.tell(**each)

    working = asyncio.create_task(operator())
    answer = await verbs.wait(shop.cluster, clock, request, seconds)
    await working
    return answer


async def test_waiting_for_a_reset_ends_when_its_token_is_shown() -> None:
    shop = await Shop().open()
    done = {"tokens": [{"name": "reset", "value": "0f3a"}], "why": "Requested: reset", "next": "try the next"}
    answer = await waiting(shop, asked("reset"), done)
    assert answer == Answer("Requested: reset\nnext: try the next", Exit.OK)


async def test_an_older_token_is_no_answer() -> None:
    shop = await Shop().open()
    answer = await waiting(shop, asked("reset"), {"tokens": [{"name": "reset", "value": "0000"}], "why": "x"})
    assert answer.code is Exit.FOUND
    assert "not taken up within 60 s" in answer.text


async def test_a_try_is_followed_to_its_end() -> None:
    shop = await Shop().open()
    token = [{"name": "try", "value": "0f3a"}]
    trial = {"id": "t-3", "candidate": [], "state": "Trial: stage 1 of 1", "since": "2026-01-05T12:00:00Z"}
    ended = {
        "tokens": token,
        "why": "TrialReverted: put back",
        "lastTrial": {**trial, "state": "Reverted", "why": "SLO"},
    }
    begun = {"tokens": token, "why": "TrialStarted: a trial was started", "trial": trial}
    answer = await waiting(shop, asked("try", "worker_count=4"), begun, ended)
    assert answer.code is Exit.OK
    assert "trial t-3: Reverted: SLO" in answer.text


async def test_a_try_that_outlasts_the_wait_is_still_under_way() -> None:
    shop = await Shop().open()
    trial = {"id": "t-3", "candidate": [], "state": "Trial", "since": "2026-01-05T12:00:00Z"}
    begun = {"tokens": [{"name": "try", "value": "0f3a"}], "why": "TrialStarted: begun", "trial": trial}
    answer = await waiting(shop, asked("try", "worker_count=4"), begun, seconds=5.0)
    assert answer == Answer("under way after 5 s: TrialStarted: begun", Exit.OK)


async def test_a_refused_try_says_why_and_ends_with_1() -> None:
    shop = await Shop().open()
    said = "RequestRefused: further than maxStep allows in one trial: worker_count"
    answer = await waiting(
        shop, asked("try", "worker_count=8"), {"tokens": [{"name": "try", "value": "0f3a"}], "why": said}
    )
    assert (answer.code, answer.text) == (Exit.FOUND, said)
