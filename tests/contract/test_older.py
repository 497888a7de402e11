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


def test_it_runs_its_own_code_and_not_that_of_today() -> None:
    try:
        home = older.unpacked()
    except older.Absent as error:
        pytest.skip(str(error))
    said = older.run(home, "import pegbox, pegbox.api.ledger_codec as c; print(pegbox.__file__, c.SCHEMA_VERSION)", "")
    assert said == f"{home}/operator/pegbox/__init__.py 2"
