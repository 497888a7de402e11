"""`pegbox bench rollback`: how soon a regression is found in a stream of latencies, and how often one is imagined.

A watch is 20 minutes of baseline and 30 minutes after a change. Into each is injected a shift of 0, 25, 50 and 100 %;
every rule sees the same watches. Given streams are cut into overlapping watches and into disjoint ones, simulated
streams into disjoint ones.
"""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pegbox.bench import data, pictures
from pegbox.bench.outcome import Outcome, Run, meta
from pegbox.bench.progress import Progress
from pegbox.bench.regressions import rules, scores, streams
from pegbox.bench.regressions.rules import Rule
from pegbox.bench.regressions.scores import Score
from pegbox.bench.regressions.simulated import SIMULATED
from pegbox.bench.regressions.streams import Stream, Watch
from pegbox.core import sequential
from pegbox.model.errors import InvalidInput

OURS = "pegbox"
WITHOUT = "pegbox, control and load not used"
FEWEST = 300  # disjoint watches from which a rate of 2 % can be told from none
PARAMETERS = ("MIN_EFFECT", "ALPHA", "SHIFTS", "AT_ONCE", "LATER", "WANDER", "WANDER_BESIDE", "SURGE", "SURGE_SDS")

# (shift, minutes, share): to be found on given streams
FOUND = ((0.25, 8, 0.65), (0.5, 3, 0.80), (0.5, 8, 0.95), (1.0, 1, 0.80), (1.0, 2, 0.98))
FALSE_GIVEN = 1 / 6
FALSE_SIMULATED = 0.02
BESIDE = (0.25, 8, 0.80)


@dataclass(frozen=True)
class Claim:
    stream: str
    text: str
    figure: float
    needed: float
    reached: bool

    @property
    def row(self) -> Run:
        return {"stream": self.stream, "claim": self.text, "figure": self.figure, "reached": self.reached}


def run(arguments: Namespace) -> Outcome:
    """Raises InvalidInput. Without a stream only simulated ones are judged, and the text says what is missing."""
    inputs, absent = _inputs(arguments)
    given = [_checked(path, streams.read(path)) for path in inputs]
    cuts = [(s, list(streams.cut(s, step))) for s in given for step in (1, s.length)]
    cuts += [_simulated(index, arguments.seeds) for index in range(len(SIMULATED))]
    company = [(cut, _rules(cut[0])) for cut in cuts]
    progress = Progress("rollback", sum(len(watches) * len(some) for (_, watches), some in company))
    found = [
        scores.score(stream, watches, name, rule, progress.step)
        for (stream, watches), some in company
        for name, rule in some.items()
    ]
    claims = _claims(found, {s.name for s in given})
    parameters = {name: getattr(sequential, name) for name in PARAMETERS}
    about = meta("rollback", {p.name: p for p in inputs}, seeds=arguments.seeds, parameters=parameters)
    return Outcome(
        meta={**about, "claims": [claim.row for claim in claims]},
        runs=[row for one in found for row in one.rows()],
        text=_text(found, claims, absent),
        pictures=_pictures(found) if arguments.json else {},
    )


def _inputs(arguments: Namespace) -> tuple[list[Path], str]:
    """The streams that were named, else those of the data's folder; and the line to say where there is none."""
    if arguments.stream:
        return list(arguments.stream), ""
    folder = data.folder(arguments.data)
    found = sorted((folder / "latency").glob("*.csv")) if folder is not None else []
    return found, "" if found else data.source("latency")


def _checked(path: Path, stream: Stream) -> Stream:
    if len(stream.latency) < stream.length:
        raise InvalidInput("--stream", str(path), "give it at least 50 minutes")
    return stream


def _simulated(index: int, seeds: int) -> tuple[Stream, list[Watch]]:
    """All seeds of one simulated stream, as disjoint watches."""
    made = [SIMULATED[index](seed) for seed in range(seeds)]
    return made[0], [watch for one in made for watch in streams.cut(one, one.length)]


def _rules(stream: Stream) -> dict[str, Rule]:
    helped = stream.control is not None or stream.load is not None
    without = {WITHOUT: rules.pegbox(load=False, control=False)} if helped else {}
    return {OURS: rules.pegbox(), **without, **rules.COMPANY}


def _claims(found: Sequence[Score], given: set[str]) -> list[Claim]:
    claims = []
    for one in (s for s in found if s.rule == OURS):
        if one.stream in given and one.overlapping:
            claims += [_at_least(one, *wanted) for wanted in FOUND]
            hits, of = one.worst(0.0, 30)
            text = f"false in {hits} of {of} disjoint watches, cut where most are"
            claims.append(Claim(one.stream, text, hits / of, FALSE_GIVEN, hits / of <= FALSE_GIVEN))
        elif one.stream in given:
            continue
        else:
            bound = one.bounds(0.0, 30)[1]
            text = f"false rollbacks per watch, upper 95 % bound, {len(one.found)} disjoint watches"
            enough = len(one.found) >= FEWEST
            claims.append(Claim(one.stream, text, bound, FALSE_SIMULATED, enough and bound <= FALSE_SIMULATED))
            claims += [_at_least(one, *BESIDE)] if "control" in one.stream else []
    return claims


def _at_least(one: Score, shift: float, minutes: int, needed: float) -> Claim:
    figure = one.share(shift, minutes)
    return Claim(one.stream, f"+{shift:.0%} found within {minutes} min", figure, needed, figure >= needed)


def _text(found: Sequence[Score], claims: Sequence[Claim], absent: str) -> str:
    lines = [absent] if absent else []
    for key in dict.fromkeys((s.stream, s.overlapping) for s in found):
        part = [s for s in found if (s.stream, s.overlapping) == key]
        kind = "overlapping" if key[1] else "disjoint"
        lines += [f"{key[0]}: {len(part[0].found)} {kind} watches", HEAD, *(_line(s) for s in part), ""]
    lines += [
        f"{'reached' if c.reached else 'MISSED '}  {c.stream}: {c.text}: {c.figure:.1%} (to reach {c.needed:.1%})"
        for c in claims
    ]
    return "\n".join(lines)


HEAD = f"{'rule':38}{'false':>7} |{'+25% 8 min':>11}{'30 min':>8}{'delay':>7} |{'+50% 3 min':>11}{'8 min':>7} |" + (
    f"{'+100% 1 min':>12}{'2 min':>7}"
)


def _line(s: Score) -> str:
    def of(shift: float, minutes: int, width: int) -> str:
        return f"{100 * s.share(shift, minutes):{width}.1f}"

    delay = s.delay(0.25) / 60.0
    return (
        f"{s.rule:38}{of(0.0, 30, 7)} |{of(0.25, 8, 11)}{of(0.25, 30, 8)}{delay:7.1f} |"
        f"{of(0.5, 3, 11)}{of(0.5, 8, 7)} |{of(1.0, 1, 12)}{of(1.0, 2, 7)}"
    )


def _pictures(found: Sequence[Score]) -> dict[str, str]:
    """For each stream: the share in which +25 % is found, by minutes since the change."""
    made = {}
    for key in dict.fromkeys((s.stream, s.overlapping) for s in found):
        part = [s for s in found if (s.stream, s.overlapping) == key]
        series = {s.rule: [(float(m), s.share(0.25, m)) for m in range(1, 31)] for s in part}
        kind = "overlapping" if key[1] else "disjoint"
        name = re.sub(r"[^a-z0-9]+", "-", f"{key[0]} {kind}".lower())
        made[name] = pictures.lines(f"+25 % found: {key[0]}", ("minutes since the change", "share found"), series)
    return made
