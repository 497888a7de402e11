"""Others apply what is theirs in the middle of trials: the real Helm 3 and 4, and appliers that never stop.

Nobody fights: ours is our own ConfigMap, theirs is written once at most and only by consent, and their value wins.
"""

from __future__ import annotations

import pytest

from tests import releases
from tests.e2e.owners import KINDS
from tests.e2e.running import Running
from tests.releases import HELMS, IDS


@pytest.fixture(params=HELMS, ids=IDS.get)
def helm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=KINDS, ids=["server-side with force", "client-side three-way"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_an_upgrade_that_changes_no_template_goes_through_and_the_trial_goes_on(owned: Running, helm: str) -> None:
    seen = owned.seen(f"release-{helm}")["untouched"]
    assert seen["intent"].startswith("Trial")
    assert seen["said"].passed, seen["said"].text
    assert seen["ended"] == ("Accepted", "TrialAccepted")
    assert seen["values"] == {"worker_count": "2"}
    assert seen["trials"] == 1


def test_an_upgrade_of_the_template_goes_through_and_ends_the_trial_without_a_verdict(
    owned: Running, helm: str
) -> None:
    seen = owned.seen(f"release-{helm}")
    assert seen["deployed"]["said"].passed, seen["deployed"]["said"].text
    assert seen["deployed"]["ended"] == ("Inconclusive", "Deployed")
    assert seen["deployed"]["values"] == {"worker_count": "2"}, "its parent is put back"
    assert seen["env"]["FLAG"] == "on"


def test_a_rollback_of_the_release_is_a_deploy_like_any_other(owned: Running, helm: str) -> None:
    seen = owned.seen(f"release-{helm}")
    assert seen["rolled back"]["said"].passed, seen["rolled back"]["said"].text
    assert seen["rolled back"]["ended"] == ("Inconclusive", "Deployed")
    assert seen["rolled back"]["values"] == {"worker_count": "2"}
    assert "FLAG" not in seen["env after"]
    assert seen["status"] == "deployed"


def test_without_take_nothing_of_theirs_is_ever_written_so_that_nothing_conflicts(owned: Running, helm: str) -> None:
    seen = owned.seen(f"release-{helm}")
    assert (seen["conflict"]["status"], seen["conflict"]["reason"]) == ("True", "OwnedByOther")
    assert seen["hpa"]["spec"]["maxReplicas"] == 4, "they raised it in the middle of a trial"
    print(f"{IDS[helm]}: versions of Deployment and HPA {seen['versions']}, ours {len(seen['ours'])}")
    assert min(seen["versions"]) >= 2, "the watch saw their writes"
    assert seen["ours"] == []


def test_with_take_helm_4_names_the_conflict_and_changes_nothing(owned: Running) -> None:
    seen = owned.seen(f"taken-{releases.HELM_4}")
    assert not seen["refused"].passed
    assert 'conflict with "pegbox"' in seen["refused"].text and ".spec.maxReplicas" in seen["refused"].text
    assert seen["refused hpa"] == 4
    assert seen["intent"].startswith("Trial"), "and the trial went on"


def test_with_take_their_value_wins_ends_the_trial_and_is_not_written_again(owned: Running, helm: str) -> None:
    seen = owned.seen(f"taken-{helm}")
    assert seen["said"].passed, seen["said"].text
    assert seen["ended"] == ("Inconclusive", "ForeignChange", ["max_replicas"])
    assert (seen["condition"]["status"], seen["condition"]["reason"]) == ("True", "ForeignChange")
    assert seen["hpa"]["spec"]["maxReplicas"] == 5
    assert [body["spec"]["maxReplicas"] for body in seen["ours"]] == [4], "one write of ours, and no second one"
    assert seen["breaker"]["state"] == "Closed"


def test_a_hot_trial_is_accepted_beside_somebody_who_heals_and_writes_nothing_of_his(owned: Running, kind: str) -> None:
    seen = owned.seen(f"healed-{kind}")
    assert seen["hot"]["ended"] == ("Accepted", "TrialAccepted")
    assert seen["ours in the hot trial"] == {"Deployment": 0, "HorizontalPodAutoscaler": 0}
    assert seen["errors"] == []


def test_what_was_taken_from_somebody_who_heals_is_written_once_and_he_wins(owned: Running, kind: str) -> None:
    seen = owned.seen(f"healed-{kind}")
    first, last = seen["applied"]
    print(f"{kind}: {last} applies, {last - first} of them since the first trial; ours {seen['ours']}")
    assert last - first >= 10
    assert seen["taking"]["ended"] == ("Inconclusive", "ForeignChange")
    assert seen["foreign"] == ["max_replicas"]
    assert seen["ours"] == {"Deployment": 0, "HorizontalPodAutoscaler": 1}
    assert seen["hpa"]["spec"]["maxReplicas"] == 3
    assert seen["values"] == {"worker_count": "2"}, "what was ours is put back"
    assert (seen["condition"]["status"], seen["condition"]["reason"]) == ("True", "ForeignChange")
