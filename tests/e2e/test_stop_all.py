"""`pegbox stop --all --restore` on a real cluster, in mid-trial: everything is as it was adopted, and stays there."""

from __future__ import annotations

from typing import Any

STOPPED = ("left-trial", "left-rest", "left-pods")


def test_it_comes_in_mid_trial_and_beside_accepted_values(stopped: Any) -> None:
    assert stopped["intent"].startswith("Trial")
    at_rest, in_pods = stopped["accepted"]
    assert at_rest == {"worker_count": "2"}
    assert (in_pods["lanes"], in_pods["cpu_request"]) == ("8", "40m")


def test_everything_is_put_back_and_acknowledged(stopped: Any) -> None:
    """That it waited for this is its fixture's doing: document, kubelet and program said so in every world."""
    assert set(stopped["seconds"]) == set(STOPPED)
    print(
        ", ".join(f"{name} restored {seconds:.1f} s after the command" for name, seconds in stopped["seconds"].items())
    )


def test_it_is_said_and_nothing_is_pending(stopped: Any) -> None:
    for name in STOPPED:
        progressing, degraded, setting = stopped[name]
        assert (progressing["status"], progressing["reason"]) == ("False", "Stopped"), name
        assert degraded["reason"] != "RestorePending", degraded
        assert setting["worker_count"] in ("1", "4"), "as adopted"


def test_the_trial_ends_inconclusive_and_is_in_the_ledger(stopped: Any) -> None:
    assert stopped["last"]["state"] == "Inconclusive"
    assert stopped["last"]["why"].startswith("Stopped"), stopped["last"]


def test_no_trial_begins_meanwhile_however_it_is_asked_for(stopped: Any) -> None:
    assert any("RequestRefused" in event and "stopped" in event for event in stopped["refused"])


def test_started_again_it_goes_on_from_there(stopped: Any) -> None:
    assert stopped["again"]["reason"] != "Stopped"
    assert stopped["setting"] == {"worker_count": "1"}
