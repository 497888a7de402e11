"""What older versions of Kubernetes lack: the contract tests that cannot pass there, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping

from dev.cluster.tools import NEWEST, OLDEST
from pegbox.testing.suites import admission

_CONTROLLERS = "its controllers are built of the newest version only"
_ADMISSION = "MutatingAdmissionPolicy is of Kubernetes 1.36"

LACKING: Mapping[str, Mapping[str, str]] = {
    NEWEST: {},
    OLDEST: {
        "test_a_release_lives_and_dies_without_losing_a_profile_or_a_class": _CONTROLLERS,
        "test_the_install_for_kubectl_is_taken_by_a_real_server_twice_alike": _CONTROLLERS,
        **{f"test_the_real_server_holds[{claim.__name__}]": _ADMISSION for claim in admission.CLAIMS},
        "test_every_pod_has_it_the_deployment_is_untouched_and_everything_comes_back": _ADMISSION,
        "test_one_pod_of_five_takes_it_first_and_new_pods_beside_it_do_not": _ADMISSION,
        "test_a_value_that_hurts_is_never_in_more_pods_than_the_share": _ADMISSION,
        "test_variables_by_admission_are_handed_over_in_mid_trial": _ADMISSION,
        "test_a_canary_by_admission_is_nothing_that_the_older_one_reads_so_it_says_so_and_loses_no_original": _ADMISSION,
        "test_an_older_release_is_upgraded_by_helm_and_rolled_back_and_no_object_is_lost": _CONTROLLERS,
        "test_a_deployments_pod_has_no_name_yet_when_admission_looks_at_it": _ADMISSION,
        "test_a_helm_upgrade_and_self_heal_in_mid_trial_neither_fight_nor_remove_it": _ADMISSION,
        "test_a_variable_by_admission_outlives_every_upgrade_and_no_upgrade_meets_us_in_the_deployment": _ADMISSION,
        "test_what_the_owner_states_by_an_upgrade_wins_at_once": _ADMISSION,
        "test_a_variable_by_admission_is_nothing_that_could_be_healed_away": _ADMISSION,
        "test_a_budget_whose_controller_failed_says_why": "it does not say why a budget's controller failed",
        "test_a_run_that_nobody_kills_reaches_exactly_the_points_of_its_cases[admit*": _ADMISSION,
        "test_killed_there_the_next_start_ends_at_a_good_setting[admit*": _ADMISSION,
    },
}
"""version -> test, with or without its parameters, or their beginning and * -> why. `test_lacking.py` looks whether each
is still a test."""


def reason(kubernetes: str, test: str) -> str:
    """Why a test is left out on this version; "" where it runs. Raises LookupError for an unknown version."""
    if kubernetes not in LACKING:
        raise LookupError(f"PEGBOX_KUBERNETES={kubernetes}: take one of {', '.join(LACKING)}")
    function = test.partition("[")[0]
    for name, why in LACKING[kubernetes].items():
        if name in (test, function) or (name.endswith("*") and test.startswith(name[:-1])):
            return why
    return ""
