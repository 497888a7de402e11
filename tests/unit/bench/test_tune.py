"""`bench tune` on a small table: shards that are resumed, and what it says when data is missing. Whole runs: tests/sim."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from pegbox.bench import data, tune
from pegbox.bench.outcome import Run
from pegbox.model.errors import InvalidInput
from pegbox.testing.plants import SHIPPED
from tests.unit.bench.made import asked_of, small_forests, write_csv, write_spec
from tests.unit.bench.test_running import KEYS


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_forests(monkeypatch)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tune.Job]:
    """The jobs that ran, instead of what they do."""
    made: list[tune.Job] = []

    def one(job: tune.Job) -> Run:
        made.append(job)
        known = dict.fromkeys(KEYS, 0) | {"spec": "made", "start": job.start, "tuner": job.tuner, "seed": job.seed}
        return known | {"model_seed": job.model_seed, "steps": 8, "surrogate_sha256": "f" * 64}

    monkeypatch.setattr(tune, "one", one)
    monkeypatch.setattr(tune, "report", lambda runs: ("", {}))
    return made


def test_a_second_run_goes_on_from_the_shards(tmp_path: Path, calls: list[tune.Job]) -> None:
    spec, shards = write_spec(tmp_path), tmp_path / "deep" / "shards"
    first = tune.run(asked_of(spec, shards=shards))
    assert len(calls) == len(list(shards.iterdir())) == 4

    again = tune.run(asked_of(spec, shards=shards))
    assert len(calls) == 4
    assert again.runs == first.runs and again.meta == first.meta

    tune.run(asked_of(spec, shards=shards, seeds=3))
    assert [job.seed for job in calls[4:]] == [2, 2]


@pytest.mark.parametrize("torn", ['{"spec": "ma', "", "null", "3", "[]", '{"spec": "made"}', "\x00\xff"])
def test_a_torn_shard_is_run_again(torn: str, tmp_path: Path, calls: list[tune.Job]) -> None:
    spec, shards = write_spec(tmp_path), tmp_path / "shards"
    first = tune.run(asked_of(spec, shards=shards))
    victim = sorted(shards.iterdir())[1]
    victim.write_bytes(torn.encode("latin-1"))

    assert tune.run(asked_of(spec, shards=shards)).runs == first.runs
    assert len(calls) == 5
    assert json.loads(victim.read_text())["tuner"] == calls[4].tuner


def test_a_run_with_outliers_is_another_run(tmp_path: Path, calls: list[tune.Job]) -> None:
    spec, shards = write_spec(tmp_path), tmp_path / "shards"
    plain = tune.run(asked_of(spec, shards=shards))
    count = len(calls)
    outcome = tune.run(asked_of(spec, shards=shards, outliers=True))
    assert len(calls) == 2 * count
    assert all(job.outliers for job in calls[count:])
    assert (plain.meta["outliers"], outcome.meta["outliers"]) == (False, True)


def test_without_a_folder_nothing_is_kept(tmp_path: Path, calls: list[tune.Job]) -> None:
    spec = write_spec(tmp_path)
    tune.run(asked_of(spec))
    tune.run(asked_of(spec))
    assert len(calls) == 8


def test_a_folder_of_shards_that_cannot_be_written_is_refused(tmp_path: Path, calls: list[tune.Job]) -> None:
    spec = write_spec(tmp_path)
    with pytest.raises(InvalidInput, match=r"--shards: .*made.csv' cannot be used: name a folder that can be written"):
        tune.run(asked_of(spec, shards=tmp_path / "made.csv"))


def test_each_thing_that_a_run_depends_on_makes_another_shard(tmp_path: Path) -> None:
    spec = write_spec(tmp_path)
    csv, other = tmp_path / "made.csv", write_spec(tmp_path, file="other.yaml", steps=9)
    longer = write_csv(tmp_path / "longer.csv", [["1"] * 9])
    job = tune.Job(spec, csv, 0, "good", "nothing", 0)
    keys = [job.key("a"), job.key("b")]
    keys += [tune.Job(*args).key("a") for args in [
        (other, csv, 0, "good", "nothing", 0), (spec, longer, 0, "good", "nothing", 0),
        (spec, csv, 1, "good", "nothing", 0), (spec, csv, 0, "bad", "nothing", 0),
        (spec, csv, 0, "good", "tpe", 0), (spec, csv, 0, "good", "nothing", 1),
    ]]  # fmt: skip
    assert len(set(keys)) == 8
    assert job.key("a") == keys[0]


def test_a_spec_whose_data_is_missing_says_where_it_can_be_had(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, csv="tables/storm.csv")
    with pytest.raises(InvalidInput, match=r"made: csv: 'tables/storm.csv' .*can be had from github.com/.*--data DIR"):
        tune.run(asked_of(spec, data=tmp_path))


def test_without_spec_what_is_missing_is_left_out_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], calls: list[tune.Job]
) -> None:
    specs = tmp_path / "specs"
    specs.mkdir()
    monkeypatch.setattr(tune, "SHIPPED", specs)
    write_spec(specs, file="gone.yaml", csv="tables/gone.csv", name="gone")
    write_spec(specs)

    assert {row["spec"] for row in tune.run(asked_of(data=tmp_path)).runs} == {"made"}
    assert "left out: tables/gone.csv is not here: it can be had from github.com/" in capsys.readouterr().err

    (specs / "made.yaml").unlink()
    with pytest.raises(InvalidInput, match=r"--data: .*nothing to run: name a folder that holds what the specs read"):
        tune.run(asked_of(data=tmp_path))


@pytest.mark.parametrize(
    ("changes", "asked", "said"),
    [
        ({}, {"tuners": "pegbox,luck"}, "--tuners: 'luck' .*write some of pegbox,nothing,coward"),
        ({"starts": {"good": "3"}}, {}, "starts: '3' .*a failed trial"),
        ({"starts": {"good": "nine"}}, {}, "starts: 'nine' .*no row"),
        ({"knobs": [{"name": "still"}], "price": None}, {}, "every column has one value only"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_runs(
    changes: dict[str, Any], asked: dict[str, Any], said: str, tmp_path: Path, calls: list[tune.Job]
) -> None:
    with pytest.raises(InvalidInput, match=said):
        tune.run(asked_of(write_spec(tmp_path, **changes), **asked))
    assert calls == []


def test_two_specs_of_one_name_are_refused(tmp_path: Path, calls: list[tune.Job]) -> None:
    with pytest.raises(InvalidInput, match=r"--spec: .*another spec is named made as well: name each differently"):
        tune.run(asked_of(write_spec(tmp_path), write_spec(tmp_path, file="other.yaml")))


def test_a_tuner_that_is_named_twice_runs_once(tmp_path: Path, calls: list[tune.Job]) -> None:
    tune.run(asked_of(write_spec(tmp_path), tuners="nothing, nothing", seeds=1))
    assert [job.tuner for job in calls] == ["nothing"]


def test_an_error_of_another_process_keeps_its_words() -> None:
    error = InvalidInput("starts", "9", "no row")
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), str(copied), copied.value, copied.remedy) == (InvalidInput, str(error), "9", "no row")


def test_the_default_folder_counts_only_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "DEFAULT", tmp_path / "nowhere")
    assert data.folder(None) is None
    assert data.folder(tmp_path) == tmp_path
    monkeypatch.setattr(data, "DEFAULT", tmp_path)
    assert data.folder(None) == tmp_path
    assert data.source("made.csv") == "made.csv is not here; name its folder with --data DIR"


def test_plants_run_instead_of_specs_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = tune.run(asked_of(plant=["upstream", "cache", "upstream"], tuners="nothing", seeds=1))
    assert [(row["plant"], row["tuner"], row["seed"]) for row in outcome.runs] == [
        ("cache", "nothing", 0),
        ("upstream", "nothing", 0),
    ]
    assert outcome.meta["plants"] == ["upstream", "cache"]
    assert "plant cache" in outcome.text and "plant upstream" in outcome.text


def test_shipped_means_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from pegbox.bench import plant_tune

    def one(job: plant_tune.Job) -> Run:
        figures = (
            "violation_minutes",
            "start_violation_minutes",
            "settings_tried",
            "knobs_moved",
            "steps_ended",
            "steps_refused",
        )
        ratios = {"cost_ratio30": 1.5, "held30": True, "cost_ratio_after": None, "held_after": None}
        return {"plant": job[0], "tuner": job[1], "seed": job[2], **dict.fromkeys(figures, 2), **ratios}

    monkeypatch.setattr(plant_tune, "one", one)
    outcome = tune.run(asked_of(plant=["shipped"], tuners="", seeds=2))
    assert {row["plant"] for row in outcome.runs} == set(SHIPPED)
    assert {row["tuner"] for row in outcome.runs} >= {"pegbox", "nothing", "tpe"}
    assert "omniscient" not in {row["tuner"] for row in outcome.runs}
    line = next(line for line in outcome.text.splitlines() if line.startswith("pegbox"))
    assert line.split() == ["pegbox", "2.0", "2.0", "1.50", "2", "of", "2", "-", "-", "2.0", "2.0", "2.0", "2.0"]
    with pytest.raises(InvalidInput, match="--tuners: 'omniscient' "):
        tune.run(asked_of(plant=["shipped"], tuners="omniscient"))
    with pytest.raises(InvalidInput, match=r"--plant: 'mine' .*write FILE.py:Class"):
        tune.run(asked_of(plant=["mine"]))
