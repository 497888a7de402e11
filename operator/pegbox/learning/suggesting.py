"""The safe search in the operator's loop: what was measured so far -> the one setting most worth a trial.

Nothing is kept between two questions: each time the search is told what the ledger remembers, so that a restart loses
nothing. The setting in force is its start: floors are beside what it does now.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import NormalDist

from pegbox.learning.features import measurable
from pegbox.learning.search import SafeSearch
from pegbox.learning.terms import Goal, Parameters, Weighed
from pegbox.model.knobs import Setting
from pegbox.model.observations import Missing
from pegbox.model.prediction import Interval, Row
from pegbox.model.reasons import Reason
from pegbox.model.searching import SearchRequest, Step, Suggestion

COMPARABLE = 1.35  # loads that differ by a larger factor are not compared, as in a trial's verdict
NEEDED = 3  # windows of the setting in force at about this load
REPLICATES = 6  # windows of one row that count: more of them make a refit slow and tell little
MOST_ROWS = 33  # the newest; with their replicates some 200 observations, and a refit below a second
FLOOR = 0.9  # of what the setting in force does
CLIFF = 0.5  # below that share of it a figure tells where the edge is, and nothing of slopes
RESTART = 0.02  # log cost that a restart of pods has to save
Z90 = 1.645
PARAMETERS = Parameters()


def suggest_setting(request: SearchRequest) -> Suggestion | Missing:
    """See pegbox.learning.suggest."""
    return _look(request)[0]


def weigh_steps(request: SearchRequest) -> tuple[Suggestion | Missing, list[Step]]:
    """See pegbox.learning.weigh."""
    found, looked = _look(request)
    return found, [_step(one) for one in looked]


def _look(request: SearchRequest) -> tuple[Suggestion | Missing, list[Weighed]]:
    """The suggestion, and all that it was chosen from."""
    rows, here = _measured(request)
    windows = sum(row.count for row in here)
    if windows < NEEDED:
        text = f"{windows} of {NEEDED} windows of the setting in force at about {request.load:.3g} events/s"
        return Missing(Reason.LEARNING, text), []
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):  # sums in thread order do not repeat
        search = _search(request, rows, here)
        looked = search.weigh()
        return _suggested(request, rows, search, looked), looked


def _suggested(
    request: SearchRequest, rows: list[Row], search: SafeSearch, looked: list[Weighed]
) -> Suggestion | Missing:
    if search.holds:
        return Missing(Reason.NOTHING_BETTER, f"the search holds: {request.misses} trials in a row came to nothing")
    wanted = search.best_of(looked)
    if wanted == request.incumbent:
        wanted = search.probe(_untried(request, rows))
    if wanted == request.incumbent:
        return Missing(Reason.NOTHING_BETTER, "the search expects no gain from any safe step")
    mean, spread, above, apart = search.outlook(wanted)
    return Suggestion(wanted, _share(mean, spread), _sure(above, apart), len({row.setting for row in rows}))


def _step(one: Weighed) -> Step:
    return Step(one.setting, _share(one.gain, one.spread), _sure(one.above, one.apart), _against(one))


def _against(one: Weighed) -> Missing | None:
    if not one.safe:
        return Missing(Reason.SLO_AT_RISK, f"at least {FLOOR:.0%} of now with {_sure(one.above, one.apart):.0%} only")
    if not one.wanted:
        return Missing(Reason.SLO_AT_RISK, "what is judged may lose more than is given for the saving")
    if one.score <= PARAMETERS.worth:
        return Missing(Reason.NOTHING_BETTER, "to know it promises no more than it costs")
    return None


def _measured(request: SearchRequest) -> tuple[list[Row], list[Row]]:
    """What can be compared with now; and of these, the setting in force."""
    rows = [row for row in request.rows if measurable(row) and _comparable(request, row)]
    return rows, [row for row in rows if row.setting == request.incumbent]


def _share(mean: float, spread: float) -> Interval:
    """Of the cost, by logs: mean and 90 % interval."""
    return Interval(*(1.0 - math.exp(-x) for x in (mean, mean - Z90 * spread, mean + Z90 * spread)))


def _sure(above: float, apart: float) -> float:
    return NormalDist().cdf(above / max(apart, 1e-9))


def _comparable(request: SearchRequest, row: Row) -> bool:
    """About the same load on as many pods; every knob that is known now was known then."""
    near = 1 / COMPARABLE <= row.load / request.load <= COMPARABLE
    return near and _known(request, row.setting) and round(row.pods) == round(request.pods)


def _untried(request: SearchRequest, rows: Iterable[Row]) -> frozenset[str]:
    """Knobs that never varied: one bounded probe tells whether they matter, however little is expected of it. None of
    those that restart pods: that has to be earned."""
    settings = [row.setting for row in rows] + [setting for _, setting in request.failed]
    moved = {name for setting in settings for name in request.incumbent.diff(setting)}
    return request.moving - request.restarting - moved


def _known(request: SearchRequest, setting: Setting) -> bool:
    return all(knob.name in setting for knob in request.space.tunable)


def _search(request: SearchRequest, rows: list[Row], here: list[Row]) -> SafeSearch:
    present = _pooled(request, here)

    def toll(setting: Setting) -> float:
        return RESTART if request.restarting & {*request.incumbent.diff(setting)} else 0.0

    made = SafeSearch(
        request.space,
        request.incumbent,
        Goal(math.log(FLOOR), request.least, request.price, request.admissible),
        _replicates(request, here),
        request.seed,
        fixed=frozenset(knob.name for knob in request.space.tunable) - request.moving,
        parameters=PARAMETERS,
        toll=toll,
    )
    others = sorted((row for row in rows if row.setting != request.incumbent), key=lambda row: row.last_seen)
    runs: list[tuple[Setting, float]] = []
    failed = [pair for pair in request.failed if all(_known(request, setting) for setting in pair)]
    for row in others[-MOST_ROWS:]:
        if _metric(request, row) < present + math.log(CLIFF):
            failed.append((request.incumbent, row.setting))
        else:
            runs += [(row.setting, value) for value in _replicates(request, [row])]
    made.recall(runs, failed, request.misses)
    return made


def _metric(request: SearchRequest, row: Row) -> float:
    """The log of what is judged, more is better."""
    return math.log(row.throughput) if request.throughput else -math.log(row.latency)


def _pooled(request: SearchRequest, rows: Iterable[Row]) -> float:
    """The mean log metric of some rows, by windows."""
    told = [(_metric(request, row), row.count) for row in rows]
    return sum(value * count for value, count in told) / sum(count for _, count in told)


def _replicates(request: SearchRequest, rows: Iterable[Row]) -> tuple[float, ...]:
    """Windows as they may have been: rows keep mean and variance, and the search asks for single figures."""
    found: list[float] = []
    for row in rows:
        mean, m2 = (row.throughput, row.throughput_m2) if request.throughput else (row.latency, row.latency_m2)
        spread = math.sqrt(max(m2, 0.0) / (row.count - 1)) / mean if row.count > 1 else 0.0
        count = min(row.count, REPLICATES)
        found += [_metric(request, row) + spread * score for score in _scores(count)]
    return tuple(found)


def _scores(count: int) -> list[float]:
    """Normal scores with mean 0 and a sample variance of 1."""
    raw = [NormalDist().inv_cdf((i + 0.5) / count) for i in range(count)]
    scale = math.sqrt(sum(x * x for x in raw) / max(count - 1, 1))
    return [x / scale if scale else 0.0 for x in raw]
