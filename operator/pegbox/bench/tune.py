"""`pegbox bench tune`: every tuner on every task, in shards that a later run resumes."""

from __future__ import annotations

import hashlib
import json
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pegbox.bench import data, plant_tune, tables
from pegbox.bench import spec as specs
from pegbox.bench.outcome import Outcome, Run, meta, sha256
from pegbox.bench.progress import Progress
from pegbox.bench.report import report
from pegbox.bench.spec import Mode, Spec
from pegbox.model.errors import InvalidInput

SHIPPED = Path(__file__).parent / "specs"
MODEL_SEEDS = (0, 1, 2)
CODE = ("bench", "learning", "model/knobs.py")  # what a run's figures depend on, beside its input


@dataclass(frozen=True)
class Job:
    """One run; picklable, since another process may do it."""

    spec: Path
    csv: Path
    model_seed: int
    start: str
    tuner: str
    seed: int
    outliers: bool = False

    def key(self, code: str) -> str:
        """Names the shard: the same only where spec, table, code and everything drawn are the same."""
        drawn = (self.model_seed, self.start, self.tuner, self.seed, self.outliers)
        parts = (sha256(self.spec), sha256(self.csv), code, *drawn)
        return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:24]


def run(arguments: Namespace) -> Outcome:
    """Raises InvalidInput."""
    if arguments.plant:
        return plant_tune.run(arguments)
    folder = data.folder(arguments.data)
    paths = arguments.spec or sorted(SHIPPED.glob("*.yaml"))
    jobs: list[Job] = []
    inputs: dict[str, Path] = {}
    named: set[str] = set()
    for path in paths:
        spec = specs.read(path)
        if spec.name in named:
            raise InvalidInput("--spec", str(path), f"another spec is named {spec.name} as well: name each differently")
        named.add(spec.name)
        csv = specs.located(spec, path, folder)
        if csv is None:
            if arguments.spec:
                raise InvalidInput(f"{spec.name}: csv", spec.csv, data.source(spec.csv))
            print(f"left out: {data.source(spec.csv)}", file=sys.stderr)
            continue
        _check(spec, csv)
        inputs |= {path.name: path, spec.csv: csv}
        jobs += _jobs(spec, path, csv, arguments)
    if not jobs:
        raise InvalidInput("--data", str(folder), "nothing to run: name a folder that holds what the specs read")
    code = _code()
    runs = sorted(_all(jobs, arguments, code), key=_order)
    hashes = {f"{run['spec']}/{run['model_seed']}": run.pop("surrogate_sha256", None) for run in runs}
    about = meta("tune", inputs, seeds=arguments.seeds, outliers=arguments.outliers, code=code, surrogates=hashes)
    text, pictures = report(runs)
    return Outcome(about, runs, text, pictures)


def _check(spec: Spec, csv: Path) -> None:
    """Before hours of runs: the table can be read and has the starts. Raises InvalidInput."""
    from pegbox.bench.grounds import check

    check(spec, tables.read(spec, csv))


def _order(run: Run) -> tuple[str, ...]:
    return tuple(str(run[key]).rjust(6, "0") for key in ("spec", "model_seed", "start", "tuner", "seed"))


def _jobs(spec: Spec, path: Path, csv: Path, arguments: Namespace) -> Iterator[Job]:
    from pegbox.bench.entries import chosen, names

    wanted = chosen(arguments.tuners, names())
    surrogate = spec.mode is Mode.SURROGATE
    for model_seed in MODEL_SEEDS[: arguments.models] if surrogate else (0,):
        for start in list(spec.starts) if surrogate else ["drawn"]:
            for name in wanted:
                for seed in range(arguments.seeds):
                    yield Job(path, csv, model_seed, start, name, seed, arguments.outliers)


def _all(jobs: Sequence[Job], arguments: Namespace, code: str) -> list[Run]:
    """From shards where they are there; the rest is run, one process per core that was allowed."""
    folder: Path | None = arguments.shards
    runs, left = [], []
    for job in jobs:
        found = _shard(folder, job.key(code)) if folder else None
        if found is not None:
            runs.append(found)
        else:
            left.append(job)
    progress = Progress("runs", len(jobs), done=len(runs))
    for job, row in _rows(left, arguments.processes):
        if folder:
            _keep(folder, job.key(code), row)
        runs.append(row)
        progress.step()
    return runs


def _rows(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, Run]]:
    if processes == 1 or len(jobs) < 2:
        yield from ((job, one(job)) for job in jobs)
        return
    with ProcessPoolExecutor(processes) as pool:
        waiting = {pool.submit(one, job): job for job in jobs}
        for future in as_completed(waiting):
            yield waiting[future], future.result()


def _shard(folder: Path, key: str) -> Run | None:
    """None for a shard that is not there, or that was torn when its run ended."""
    try:
        found = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and "surrogate_sha256" in found else None


def _keep(folder: Path, key: str, row: Run) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{key}.json").write_text(json.dumps(row), encoding="utf-8")
    except OSError as error:
        raise InvalidInput("--shards", str(folder), f"name a folder that can be written: {error.strerror}") from error


def one(job: Job) -> Run:
    """A row. One BLAS thread: small matrices, and sums in thread order do not repeat."""
    from threadpoolctl import threadpool_limits

    from pegbox.bench import running
    from pegbox.bench.entries import make

    with threadpool_limits(limits=1):
        ground = _ground(job.spec, job.csv, job.model_seed)
        task, truth = ground.of(job.start, job.seed)
        task = replace(task, outliers=job.outliers)
        row = running.run(task, truth, job.tuner, make(job.tuner, task), job.seed)
        return row | {"surrogate_sha256": ground.sha256}


@cache
def _ground(spec: Path, csv: Path, model_seed: int) -> Any:
    from pegbox.bench.grounds import prepare

    parsed = specs.read(spec)
    return prepare(parsed, tables.read(parsed, csv), model_seed)


def _code() -> str:
    root = Path(__file__).parent.parent
    found = hashlib.sha256()
    for part in CODE:
        place = root / part
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()[:16]
