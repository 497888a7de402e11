"""Claims of LiveSettings: one piece or not at all; acknowledged only when in force; the last good one
stays.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from pegbox.live import LiveSettings, RejectReason, SettingsSource, Values, integer, values_hash

WORKERS = integer("worker_count", default=4, minimum=1, maximum=64)
POOL = integer("pool_size", default=2, minimum=1, maximum=64)


async def turns() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


class Mount:
    """A ConfigMap volume as a kubelet writes it: a dated folder, and the link `..data` moved onto it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "settings.json"
        self._number = 0

    def write_raw(self, content: bytes) -> None:
        self._number += 1
        dated = self.folder / f"..{self._number}"
        dated.mkdir()
        (dated / "settings.json").write_bytes(content)
        link = self.folder / "..new"
        link.symlink_to(dated.name)
        link.replace(self.folder / "..data")
        if not self.path.is_symlink():
            self.path.symlink_to("..data/settings.json")

    def write(self, generation: int, values: dict[str, str], **changes: Any) -> None:
        self.write_document(generation=generation, values=values, hash=values_hash(values), **changes)

    def write_document(self, **fields: Any) -> None:
        document = {"version": 1, "profileUID": "uid-a", "cohorts": {}}
        self.write_raw(json.dumps({**document, **fields}).encode())

    def remove(self) -> None:
        (self.folder / "..data").unlink()


class App:
    """Records what it was told; can refuse a setting, and can take its time to settle."""

    def __init__(self, mount: Mount, pod: str = "app-0") -> None:
        self.registry = CollectorRegistry()
        source = SettingsSource(mount.path, pod, poll_interval=0)
        self.live = LiveSettings([WORKERS, POOL], source, registry=self.registry)
        self.workers = self.pool = 0
        self.refuses = 0
        self.drained = asyncio.Event()
        self.drained.set()
        self.live.subscribe(self._set_workers, self._settled)
        self.live.subscribe(self._set_pool)

    def _set_workers(self, old: Values, new: Values) -> None:
        self.workers = new[WORKERS]

    def _set_pool(self, old: Values, new: Values) -> None:
        if new[POOL] == self.refuses:
            raise ValueError("no such pool")
        self.pool = new[POOL]

    async def _settled(self) -> None:
        await self.drained.wait()

    async def refresh(self) -> None:
        self.live.refresh()
        await turns()

    def acknowledged(self) -> list[tuple[str, str, float]]:
        return [
            (sample.labels["profile_uid"], sample.labels["hash"], sample.value)
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == "pegbox_settings_generation"
        ]

    def shown(self, knob: str) -> float | None:
        return self.registry.get_sample_value("pegbox_setting_value", {"knob": knob})

    def rejected(self, reason: RejectReason) -> float | None:
        return self.registry.get_sample_value("pegbox_settings_rejected_total", {"reason": reason.value})


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    return Mount(tmp_path)


async def test_without_a_file_the_defaults_are_in_force_and_shown_but_nothing_is_acknowledged(
    mount: Mount,
) -> None:
    app = App(mount)
    await app.refresh()
    assert app.live.current[WORKERS] == 4
    assert app.shown("worker_count") == 4.0
    assert app.acknowledged() == []


async def test_a_document_is_applied_and_acknowledged_with_uid_generation_and_hash(mount: Mount) -> None:
    values = {"worker_count": "8", "pool_size": "3"}
    mount.write(7, values)
    app = App(mount)
    await app.refresh()
    assert (app.workers, app.pool) == (8, 3)
    assert app.acknowledged() == [("uid-a", values_hash(values), 7.0)]
    assert (app.shown("worker_count"), app.shown("pool_size")) == (8.0, 3.0)


async def test_a_new_generation_replaces_the_old_acknowledgement(mount: Mount) -> None:
    app = App(mount)
    for generation in (1, 2):
        mount.write(generation, {"worker_count": str(generation)})
        await app.refresh()
    assert app.acknowledged() == [("uid-a", values_hash({"worker_count": "2"}), 2.0)]


async def test_a_pod_of_a_cohort_runs_and_acknowledges_the_overlaid_values(mount: Mount) -> None:
    cohorts = {"trial": {"pods": ["app-1"], "values": {"worker_count": "9"}}}
    mount.write(1, {"worker_count": "8", "pool_size": "3"}, cohorts=cohorts)
    trial, incumbent = App(mount, "app-1"), App(mount, "app-0")
    await trial.refresh()
    await incumbent.refresh()
    assert (trial.workers, incumbent.workers) == (9, 8)
    assert trial.acknowledged()[0][1] == values_hash({"worker_count": "9", "pool_size": "3"})
    assert incumbent.acknowledged()[0][1] == values_hash({"worker_count": "8", "pool_size": "3"})


async def test_the_acknowledgement_waits_until_the_setting_is_in_force(mount: Mount) -> None:
    mount.write(1, {"worker_count": "8"})
    app = App(mount)
    app.drained.clear()
    await app.refresh()
    assert app.workers == 8
    assert app.acknowledged() == [], "applied, but the excess is not gone yet"
    app.drained.set()
    await turns()
    assert app.acknowledged()[0][2] == 1.0


async def test_a_newer_document_does_not_wait_for_one_that_still_settles(mount: Mount) -> None:
    app = App(mount)
    app.drained.clear()
    mount.write(1, {"worker_count": "2"})
    await app.refresh()
    mount.write(2, {"worker_count": "8"})
    await app.refresh()
    assert app.workers == 8
    app.drained.set()
    await turns()
    assert [sample[2] for sample in app.acknowledged()] == [2.0]


async def test_a_refused_setting_is_put_back_whole(mount: Mount) -> None:
    mount.write(1, {"worker_count": "8", "pool_size": "3"})
    app = App(mount)
    await app.refresh()
    app.refuses = 5
    mount.write(2, {"worker_count": "9", "pool_size": "5"})
    await app.refresh()
    assert (app.workers, app.pool) == (8, 3)
    assert app.rejected(RejectReason.APPLY_FAILED) == 1.0
    assert [sample[2] for sample in app.acknowledged()] == [1.0]


LAST_GOOD = {"worker_count": "8", "pool_size": "3"}
BAD: list[tuple[str, dict[str, Any], RejectReason]] = [
    ("an unknown version", {"version": 2}, RejectReason.UNKNOWN_VERSION),
    ("a hash that is not the values'", {"hash": "000000000000"}, RejectReason.HASH_MISMATCH),
    ("an older generation", {"generation": 4}, RejectReason.STALE_GENERATION),
    ("the same generation with other values", {"generation": 5}, RejectReason.GENERATION_REUSED),
    (
        "a value out of the application's bounds",
        {"values": {"worker_count": "65"}, "hash": values_hash({"worker_count": "65"})},
        RejectReason.BAD_VALUE,
    ),
    (
        "a knob that the application does not have",
        {"values": {"cache_ttl": "5s"}, "hash": values_hash({"cache_ttl": "5s"})},
        RejectReason.UNKNOWN_KNOB,
    ),
]


@pytest.mark.parametrize(("changes", "reason"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
async def test_the_last_good_setting_stays_after(mount: Mount, changes: dict[str, Any], reason: RejectReason) -> None:
    mount.write(5, LAST_GOOD)
    app = App(mount)
    await app.refresh()
    good = {"generation": 6, "values": {"worker_count": "9"}, "hash": values_hash({"worker_count": "9"})}
    mount.write_document(**{**good, **changes})
    await app.refresh()
    await app.refresh()
    assert (app.workers, app.pool) == (8, 3)
    assert [sample[2] for sample in app.acknowledged()] == [5.0]
    assert app.rejected(reason) == 1.0, "counted once per document, not once per look"


async def test_a_torn_file_is_counted_and_the_next_whole_one_is_taken(mount: Mount) -> None:
    mount.write(5, LAST_GOOD)
    app = App(mount)
    await app.refresh()
    mount.write_raw(mount.path.read_bytes()[:40])
    await app.refresh()
    assert (app.workers, app.rejected(RejectReason.MALFORMED)) == (8, 1.0)
    mount.write(6, {"worker_count": "9"})
    await app.refresh()
    assert app.workers == 9


async def test_a_lower_generation_of_another_profile_is_news(mount: Mount) -> None:
    mount.write(5, LAST_GOOD)
    app = App(mount)
    await app.refresh()
    mount.write(1, {"worker_count": "6"}, profileUID="uid-b")
    await app.refresh()
    assert app.workers == 6
    assert [sample[:1] for sample in app.acknowledged()] == [("uid-b",)]


async def test_a_file_that_vanishes_leaves_its_setting_in_force(mount: Mount) -> None:
    mount.write(5, LAST_GOOD)
    app = App(mount)
    await app.refresh()
    mount.remove()
    await app.refresh()
    await app.refresh()
    assert (app.workers, app.rejected(RejectReason.VANISHED)) == (8, 1.0)
    assert [sample[2] for sample in app.acknowledged()] == [5.0]


async def test_a_folder_in_place_of_the_file_is_counted_once(mount: Mount) -> None:
    mount.path.mkdir()
    app = App(mount)
    await app.refresh()
    await app.refresh()
    assert app.rejected(RejectReason.UNREADABLE) == 1.0


async def test_the_poll_sees_a_change_by_itself(mount: Mount) -> None:
    app, applied = App(mount), asyncio.Event()
    app.live.subscribe(lambda old, new: applied.set())
    async with app.live:
        mount.write(1, {"worker_count": "8"})
        async with asyncio.timeout(10):
            await applied.wait()
    assert app.workers == 8


async def test_after_the_start_nobody_may_subscribe_any_more(mount: Mount) -> None:
    app = App(mount)
    async with app.live:
        with pytest.raises(RuntimeError, match="subscribe first"):
            app.live.subscribe(lambda old, new: None)


def test_source_from_environment() -> None:
    source = SettingsSource.from_environment({"POD_NAME": "app-3", "PEGBOX_SETTINGS": "/x/y.json"})
    assert (source.pod_name, source.path) == ("app-3", Path("/x/y.json"))


def test_importing_pegbox_live_imports_no_adapter_library() -> None:
    heavy = {"aiohttp", "sqlalchemy", "redis", "pydantic", "kopf", "kubernetes", "numpy"}
    code = f"import sys, pegbox.live; print(sorted({heavy!r} & set(sys.modules)))"
    path = str(Path(__file__).parents[3] / "operator")
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
