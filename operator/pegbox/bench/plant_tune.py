"""`pegbox bench tune --plant`: every tuner on simulated workloads, shipped ones or the user's own."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path

from pegbox.bench import plant_file, plant_runs
from pegbox.bench.outcome import Outcome, Run, meta
from pegbox.bench.plant_report import report
from pegbox.bench.progress import Progress
from pegbox.testing.plants import SHIPPED

ALL = "shipped"
Job = tuple[str, str, int]  # plant, tuner, seed


def run(arguments: Namespace) -> Outcome:
    """Raises InvalidInput for a plant that cannot be loaded, and for a tuner that has to know the table."""
    from pegbox.bench.entries import TOLD, chosen, names

    plants = list(dict.fromkeys(name for text in arguments.plant for name in (SHIPPED if text == ALL else [text])))
    tuners = chosen(arguments.tuners, [name for name in names() if name != TOLD])
    loaded = [plant_file.load(text)[0] for text in plants]
    jobs = [(plant, tuner, seed) for plant in loaded for tuner in tuners for seed in range(arguments.seeds)]
    progress = Progress("runs", len(jobs))
    rows: list[Run] = []
    for row in _rows(jobs, arguments.processes):
        rows.append(row)
        progress.step()
    rows.sort(key=lambda row: (row["plant"], row["tuner"], row["seed"]))
    inputs = {text: Path(text.rpartition(":")[0]) for text in loaded if text not in SHIPPED}
    return Outcome(meta("tune", inputs, seeds=arguments.seeds, plants=loaded), rows, report(rows))


def _rows(jobs: Sequence[Job], processes: int) -> Iterator[Run]:
    if processes == 1 or len(jobs) < 2:
        yield from map(one, jobs)
        return
    with ProcessPoolExecutor(processes) as pool:
        for future in as_completed([pool.submit(one, job) for job in jobs]):
            yield future.result()


def one(job: Job) -> Run:
    """A row, with one BLAS thread: sums in thread order do not repeat."""
    from threadpoolctl import threadpool_limits

    from pegbox.bench.entries import OURS
    from pegbox.bench.tuners import COMPANY
    from pegbox.bench.tuners.pegbox import make as pegbox

    plant, tuner, seed = job
    with threadpool_limits(limits=1):
        row = plant_runs.run(_reference(plant), pegbox if tuner == OURS else COMPANY[tuner], seed)
    return {"plant": plant, "tuner": tuner, "seed": seed, **row}


@cache
def _reference(plant: str) -> plant_runs.Reference:
    """What all runs on a plant are compared with: once for each process."""
    return plant_runs.Reference(plant_file.load(plant)[1])
