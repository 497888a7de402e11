"""The list of what older versions lack names tests that exist, and nothing of the newest version."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.cluster.tools import NEWEST, OLDEST
from tests.contract import lacking
from tests.contract.test_kill_points import SCENARIOS

SUITES = Path(__file__).resolve().parents[2] / "operator" / "pegbox" / "testing" / "suites"


def test_every_name_on_the_list_is_a_test() -> None:
    files = [*Path(__file__).parent.glob("test_*.py"), *SUITES.glob("*.py")]
    source = "\n".join(file.read_text(encoding="utf-8") for file in files)
    for name in (name for names in lacking.LACKING.values() for name in names):
        function, _, parameters = name.partition("[")
        assert f"def {function}(" in source, name
        if parameters.endswith("]"):  # the port's claims are parameters of one test
            assert f"def {parameters[:-1]}(" in source, name
        elif parameters:
            assert any(case.startswith(parameters[:-1]) for case in SCENARIOS), name


def test_the_newest_version_lacks_nothing() -> None:
    assert not lacking.LACKING[NEWEST]
    assert lacking.reason(NEWEST, "test_a_release_lives_and_dies_without_losing_a_profile_or_a_class") == ""


def test_a_test_is_left_out_with_all_its_parameters() -> None:
    name = "test_a_release_lives_and_dies_without_losing_a_profile_or_a_class"
    assert lacking.reason(OLDEST, f"{name}[some]") == lacking.reason(OLDEST, name) != ""


def test_parameters_that_begin_alike_are_left_out_together_and_no_others() -> None:
    name = "test_killed_there_the_next_start_ends_at_a_good_setting"
    assert lacking.reason(OLDEST, f"{name}[admit-before-fence-1]") != ""
    assert lacking.reason(OLDEST, f"{name}[adopt-before-claim-1]") == "" == lacking.reason(OLDEST, name)


def test_an_unknown_version_is_answered_with_the_known() -> None:
    with pytest.raises(LookupError, match=OLDEST):
        lacking.reason("1.20", "test_x")
