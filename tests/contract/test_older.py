"""The older release comes from git, and where git does not have it that is said with its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract import older


def test_a_checkout_without_the_commit_says_which_one_and_what_to_do() -> None:
    with pytest.raises(older.Absent, match=r"commit 0000000 is not in this checkout \(.*git fetch --unshallow"):
        older.unpacked("0" * 40)


def test_so_does_a_folder_that_is_no_checkout(tmp_path: Path) -> None:
    with pytest.raises(older.Absent, match=r"commit fffffff is not in this checkout"):
        older.unpacked("f" * 40, tmp_path)


@pytest.mark.parametrize(("required", "ends"), [("1", pytest.fail.Exception), ("0", pytest.skip.Exception)])
def test_where_every_level_is_required_its_absence_is_a_failure_and_no_skip(
    required: str, ends: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEGBOX_REQUIRE_ALL", required)
    with pytest.raises(ends, match="NOT UPGRADED: commit 0000000 is not in this checkout"):
        older.or_said("NOT UPGRADED", "0" * 40)


def test_it_runs_its_own_code_and_not_that_of_today() -> None:
    home = older.or_said("THE OLDER RELEASE DID NOT RUN")
    said = older.run(home, "import pegbox, pegbox.api.ledger_codec as c; print(pegbox.__file__, c.SCHEMA_VERSION)", "")
    assert said == f"{home}/operator/pegbox/__init__.py 2"
