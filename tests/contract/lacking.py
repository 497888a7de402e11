"""What older versions of Kubernetes lack: the contract tests that cannot pass there, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping

from dev.cluster.tools import NEWEST, OLDEST

_CONTROLLERS = "its controllers are built of the newest version only"

LACKING: Mapping[str, Mapping[str, str]] = {
    NEWEST: {},
    OLDEST: {
        "test_a_release_lives_and_dies_without_losing_a_profile_or_a_class": _CONTROLLERS,
        "test_the_install_for_kubectl_is_taken_by_a_real_server_twice_alike": _CONTROLLERS,
    },
}
"""version -> test, with or without its parameters -> why. `test_lacking.py` looks whether each is still a test."""


def reason(kubernetes: str, test: str) -> str:
    """Why a test is left out on this version; "" where it runs. Raises LookupError for an unknown version."""
    if kubernetes not in LACKING:
        raise LookupError(f"PEGBOX_KUBERNETES={kubernetes}: take one of {', '.join(LACKING)}")
    named = LACKING[kubernetes]
    return named.get(test) or named.get(test.partition("[")[0], "")
