"""The card: what the prior is, how it was learned, what it is for and what not, and its figures with and without."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.prior.learn import SETTINGS, WINDOWS
from benchmarks.prior.run import HAND, LEFT_OUT, SHIPPED
from benchmarks.prior.score import NEIGHBOURS

COLUMNS = {
    "capacity_error": "median error of capacity",
    "capacity_coverage": "90 % interval of capacity holds",
    "capacity_width": "its width, high by low",
    "latency_error": "median error of latency",
    "latency_coverage": "90 % interval of latency holds",
    "harmful": "proposals that do harm",
    "gains": "proposals that gain",
    "proposes": "workloads with a proposal",
}
NAMES = {HAND: "without", SHIPPED: "with", LEFT_OUT: "with, learned without its family"}

HEAD = """# Card: the prior of the capacity model

Made by `make models`, which writes this file too. `make models ARGS=--check` makes it again and compares within 1e-6.

- File: `capacity-prior.json`, version {version}, sha256 `{sha256}`
  (of its contents without that field)
- Code that made it: sha256 `{code}`
- State: **{state}**

## What it is

What a workload that was observed for a few windows is likely to be like: means and sd of coefficients beside what
the first windows suggest, used as centre and width where the model is fitted; and how far the physics is off at
settings that were not seen, by which intervals are widened. Without it the model has physics and defaults written by
hand (`BY_HAND` in `operator/pegbox/learning/beliefs.py`), and so it has where this file is missing or damaged.

| belief | mean | sd | unit |
|---|---|---|---|
{beliefs}

Misfit per e-fold of distance to the nearest setting seen, as log sd: {capacity} (capacity), {latency} (latency).

## How it was learned

Random workloads of {count} families ({families}), seeds {seeds} of each:
`operator/pegbox/testing/drawn`. None shares a formula with the model; `events` simulates single events. Of each, a
survey of {settings} settings, at ease and overloaded, tells the coefficients; the first {windows} windows of a walk
in small steps tell what a cold start would have suggested. A belief is the mean of the families' medians; its variance
is that within families and that between them. What fewer than two families tell, or fewer than six in ten workloads of
a family, stays as by hand.

Which beliefs are taken was chosen on these workloads alone, each judged by beliefs from the other families:

| candidate | loss |
|---|---|
{losses}

Chosen: {chosen}. The loss is the median error and a tenth of the interval score, of capacity and of latency.

## Was it shipped?

The rule stands in `benchmarks/prior/decide.py`. On unseen workloads, each by beliefs that were learned without its
family, after 3, 5 and 8 windows:

{conditions}

## Figures

Unseen workloads, seeds {unseen}; {near} settings one step away from where the walk stands. Errors are of the
natural log: 0.10 is about 10 %. In brackets the 90 % interval by bootstrap over workloads.
"""

TAIL = """
## Windows ahead

From the fourth of {ahead} windows on, each window of {workloads} unseen workloads was predicted by a model of those
before it, which also knows by what it missed earlier (rolling conformal). Of the {measured} that measured capacity,
this share lay inside the 90 % interval:

{coverage}

## Meant for

The first hours of a profile, in `pegbox run`, `recommend` and `explain`. Each further window weighs against it.

## Limits

- Simulated workloads only. No real one took part: the figures say nothing of a workload of another shape than these.
- Families were left out one at a time; misfits of a left-out family come from guesses about other families by beliefs
  that had seen it.
- The coefficients are those of surveys that tell them: workloads whose survey could not are not in the sample.
- Six families are few to say how much families differ.
- Least squares end where the arithmetic says: another processor's may differ in digits that are not shipped, or tip
  a step of the random walk behind an interval. Then `--check` says where.
"""


def card(made: Mapping[str, Any]) -> str:
    learned, misfit = made["learned"], made["misfit"]
    head = HEAD.format(
        version=made["version"],
        sha256=made["sha256"],
        code=learned["code_sha256"],
        state="active" if made["active"] else "not active: it did not meet the rule below, so nothing of it is used",
        beliefs="\n".join(_belief(*each) for each in sorted(made["beliefs"].items())),
        capacity=misfit["capacity"],
        latency=misfit["latency"],
        count=len(learned["families"]),
        families=", ".join(learned["families"]),
        seeds=learned["seeds"],
        settings=SETTINGS,
        windows=", ".join(map(str, WINDOWS)),
        losses="\n".join(f"| {name} | {value} |" for name, value in sorted(learned["losses"].items())),
        chosen=learned["candidate"],
        conditions="\n".join(f"- {'met' if c['met'] else '**not met**'}: {c['condition']}" for c in made["conditions"]),
        unseen=learned["unseen_seeds"],
        near=NEIGHBOURS,
    )
    ahead = made["ahead"]
    coverage = "\n".join(f"- {NAMES[name]}: {_cell(told)}" for name, told in sorted(ahead["coverage"].items()))
    tail = TAIL.format(
        ahead=ahead["windows"], workloads=ahead["workloads"], measured=ahead["measured"], coverage=coverage
    )
    return head + "\n".join(_tables(made)) + "\n" + tail


def _belief(name: str, told: Mapping[str, Any]) -> str:
    return f"| {name} | {told['mean']} | {told['sd']} | {told['unit']} |"


def _tables(made: Mapping[str, Any]) -> Iterator[str]:
    yield "\n### All families\n"
    yield from _table([s for s in made["scores"] if s["family"] == "all"], "windows")
    for windows in WINDOWS:
        yield f"\n### By family, after {windows} windows\n"
        yield from _table([s for s in made["scores"] if s["family"] != "all" and s["windows"] == windows], "family")


def _table(rows: list[Mapping[str, Any]], first: str) -> Iterator[str]:
    yield f"| {first} | prior | {' | '.join(COLUMNS.values())} |"
    yield "|---" * (len(COLUMNS) + 2) + "|"
    for row in rows:
        yield f"| {row[first]} | {NAMES[row['beliefs']]} | {' | '.join(_cell(row[name]) for name in COLUMNS)} |"


def _cell(told: Mapping[str, float] | None) -> str:
    return f"{told['value']:.3f} ({told['low']:.3f} to {told['high']:.3f})" if told else "no data"
