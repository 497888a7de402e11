"""What the safe search is asked for: which knobs are its to move, at what price, and what it has tried enough."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction as F
from typing import Any

import pytest

from pegbox.core import searching
from pegbox.model.knobs import Effect, Knob, KnobType, Location, LocationKind, ResourceName, Setting, Side, Size
from pegbox.model.observations import Missing
from pegbox.model.prediction import Interval, Row
from pegbox.model.profile import Objective, Prices
from pegbox.model.proposals import ProposalKind, ProposeRequest
from pegbox.model.reasons import Reason
from pegbox.model.roles import Role
from pegbox.model.searching import SearchRequest, Suggestion
from pegbox.model.snapshot import ContainerSizes, Held, Snapshot
from pegbox.model.trials import TrialState, TrialSummary
from pegbox.runtime import predicting
from tests.unit.core import build

GIB = 2**30
BUFFER = Knob("buffer", minimum=F(1), maximum=F(1024))
PAUSE = Knob("pause", KnobType.DURATION, minimum=F(0), maximum=F(10), effect=Effect.RESTART)
FLAG = Knob("flag", KnobType.BOOLEAN)
WORKERS = Knob("workers", minimum=F(1), maximum=F(32))
LEAST_PODS = Knob("min_replicas", location=Location(LocationKind.HPA_MIN), minimum=F(1), maximum=F(9))


def size(name: str, kind: KnobType, side: Side, resource: ResourceName, most: int) -> Knob:
    place = Location(LocationKind.CONTAINER_RESOURCE, size=Size(side, resource))
    return Knob(name, kind, place, minimum=F(1, 100), maximum=F(most))


CPU = size("cpu_request", KnobType.CPU, Side.REQUESTS, ResourceName.CPU, 8)
CPU_LIMIT = size("cpu_limit", KnobType.CPU, Side.LIMITS, ResourceName.CPU, 8)
MEMORY = size("memory_request", KnobType.BYTES, Side.REQUESTS, ResourceName.MEMORY, 64 * GIB)
ALL = (WORKERS, BUFFER, PAUSE, FLAG, LEAST_PODS, CPU, CPU_LIMIT, MEMORY)
HERE = Setting(
    {
        "workers": F(4),
        "buffer": F(100),
        "pause": F(1),
        "flag": False,
        "min_replicas": F(2),
        "cpu_request": F(2),
        "cpu_limit": F(4),
        "memory_request": F(4 * GIB),
    }
)


def snapshot(objective: Objective = Objective.MINIMIZE_LATENCY, **changes: Any) -> Snapshot:
    knobs = changes.pop("knobs", ALL)
    profile = build.spec(*knobs, objective=objective, roles={"workers": Role.CONCURRENCY}, budgets=())
    profile = replace(profile, **changes.pop("spec", {}))
    memory = replace(build.ledger(Setting({k.name: HERE[k.name] for k in knobs})), **changes.pop("ledger", {}))
    return build.snapshot(profile, memory, read_at=build.T0, **changes)


def asked(found: Snapshot) -> SearchRequest | Missing:
    request: ProposeRequest = predicting.request(found)
    return searching.request(found, replace(request, admissible=lambda _: True))


def question(found: Snapshot) -> SearchRequest:
    request = asked(found)
    assert isinstance(request, SearchRequest)
    return request


def slow() -> Any:
    """A window in which the SLO is missed."""
    seen = build.window()
    return replace(seen, slos={"fast": replace(seen.slos["fast"], good=900.0)})  # type: ignore[arg-type]


MOVES = {
    "latency: numbers without a role, sizes among them": (
        Objective.MINIMIZE_LATENCY,
        {},
        {"buffer", "pause", "cpu_request", "cpu_limit", "memory_request"},
    ),
    "cheap at ease: only what has a price": (Objective.MINIMIZE_COST, {}, {"cpu_request", "memory_request"}),
    "cheap and pressed: everything without a role": (
        Objective.MINIMIZE_COST,
        {"observation": slow()},
        {"buffer", "pause", "cpu_request", "cpu_limit", "memory_request"},
    ),
    "cheap, and memory costs nothing": (
        Objective.MINIMIZE_COST,
        {"spec": {"prices": Prices(memory=F(0))}},
        {"cpu_request"},
    ),
    "what others own stays theirs": (
        Objective.MINIMIZE_COST,
        {"held": build.held(HERE) | {"cpu_request": Held(F(2), refusal=Missing(Reason.OWNED_BY_OTHER))}},
        {"memory_request"},
    ),
}


@pytest.mark.parametrize("case", MOVES.values(), ids=MOVES)
def test_which_knobs_the_search_may_move(case: tuple[Objective, dict[str, Any], set[str]]) -> None:
    objective, changes, moving = case
    assert question(snapshot(objective, **changes)).moving == moving


def test_booleans_pods_and_knobs_with_a_role_are_never_its_to_move() -> None:
    found = asked(snapshot(knobs=(WORKERS, FLAG, LEAST_PODS)))
    assert isinstance(found, Missing)
    assert found.reason is Reason.NO_TUNABLE_KNOB


def test_knobs_that_need_a_restart_are_named() -> None:
    assert question(snapshot()).restarting == {"pause"}


NOTHING = {
    "no figures": Missing(Reason.NO_DATA, "no series"),
    "no load": build.window(offered_load=0.0, throughput=0.0),
    "the load is not a number": build.window(offered_load=float("nan")),
}


@pytest.mark.parametrize("seen", NOTHING.values(), ids=NOTHING)
def test_without_data_nothing_is_asked(seen: Any) -> None:
    assert isinstance(asked(snapshot(observation=seen)), Missing)


PRICES = Prices(F("0.01"), F("0.03"), F("0.005"))
MINE = ContainerSizes("app", {}, tuned=True)
PROXY = ContainerSizes("proxy", {Size(Side.REQUESTS, ResourceName.CPU): F(1)})


def test_the_price_is_of_what_a_pod_requests() -> None:
    """0.01 for the pod, two cores at 0.03, four GiB at 0.005: 0.01 + 0.06 + 0.02 = 0.09; the limit costs nothing."""
    found = question(snapshot(spec={"prices": PRICES}, containers=(MINE,)))
    assert found.price(HERE) == pytest.approx(0.09)
    assert found.price(HERE.with_values(cpu_limit=F(8))) == pytest.approx(0.09)


def test_what_no_knob_moves_is_paid_for_too() -> None:
    """A core of another container, 0.03: one core less of ours is 0.12 to 0.09, a quarter and no third."""
    found = question(snapshot(spec={"prices": PRICES}, containers=(MINE, PROXY)))
    assert found.price(HERE) == pytest.approx(0.12)
    assert found.price(HERE.with_values(cpu_request=F(1))) == pytest.approx(0.09)


def test_where_no_knob_has_a_price_all_settings_cost_the_same() -> None:
    found = question(snapshot(knobs=(WORKERS, BUFFER), containers=(MINE, PROXY)))
    assert found.price(HERE) == found.price(HERE.with_values(buffer=F(1)))


def test_memory_is_never_cut_below_half_of_what_the_team_gave() -> None:
    """4 GiB at adoption, 2.2 now: 2.0 is half of it, and less is refused, however well it looks."""
    now = HERE.with_values(memory_request=F(11 * GIB, 5))
    found = question(snapshot(ledger={"incumbent": now, "adopted": HERE}))
    assert found.admissible(now.with_values(memory_request=F(2 * GIB)))
    assert not found.admissible(now.with_values(memory_request=F(19 * GIB, 10)))


def test_a_lower_metric_is_given_up_only_where_that_saves_money() -> None:
    assert question(snapshot(Objective.MINIMIZE_LATENCY)).least == -math.inf
    assert question(snapshot(Objective.MINIMIZE_COST)).least == pytest.approx(-0.0305, abs=1e-4)


# --- what it has tried enough


def row(setting: Setting) -> Row:
    return Row(setting, 1.0, 10.0, 10.0, 0.1, 3)


def trial(before: Setting, state: TrialState = TrialState.REVERTED, **moved: F) -> TrialSummary:
    after = before.with_values(**moved)
    reason = Reason.TRIAL_ACCEPTED if state is TrialState.ACCEPTED else Reason.NOT_BETTER
    return TrialSummary("t", after, before, state, reason, build.at(-60), build.at(-30))


def tried(*trials: TrialSummary, measured: bool = True) -> SearchRequest:
    rows = tuple(row(t.setting) for t in trials) if measured else ()
    return question(snapshot(ledger={"trials": trials, "rows": (row(HERE), *rows)}))


def test_what_came_to_nothing_is_not_tried_again() -> None:
    found = tried(trial(HERE, buffer=F(120)))
    assert found.misses == 1
    assert not found.admissible(HERE.with_values(buffer=F(120)))
    assert found.admissible(HERE.with_values(buffer=F(140)))


def test_a_direction_that_came_to_nothing_twice_is_left_alone_and_the_other_is_not() -> None:
    found = tried(trial(HERE, buffer=F(120)), trial(HERE, buffer=F(140)))
    assert not found.admissible(HERE.with_values(buffer=F(150)))
    assert found.admissible(HERE.with_values(buffer=F(80)))
    assert found.admissible(HERE.with_values(buffer=F(150), cpu_request=F(3))), "with another knob it is another step"


def test_an_accepted_trial_begins_the_count_anew() -> None:
    better = HERE.with_values(cpu_request=F(1))
    accepted = trial(HERE, TrialState.ACCEPTED, cpu_request=F(1))
    missed = [trial(HERE, buffer=F(120)), trial(HERE, buffer=F(140))]
    rows = tuple(row(t.setting) for t in missed)
    memory = {"incumbent": better, "trials": (*missed, accepted), "rows": rows}
    found = question(snapshot(ledger=memory))
    assert found.misses == 0
    assert found.admissible(better.with_values(buffer=F(150)))


def test_a_miss_whose_figures_are_forgotten_counts_no_longer() -> None:
    """As after a deploy. Its setting is still kept out by the guard against what failed lately, for as long as that is."""
    long_ago = replace(trial(HERE, buffer=F(120)), ended_at=build.at(-90 * 86400))
    assert tried(long_ago, measured=True).misses == 1
    assert tried(long_ago, measured=False).misses == 0


def test_trials_of_other_knobs_are_none_of_its_misses() -> None:
    assert tried(trial(HERE, workers=F(6))).misses == 0


# --- in words


def test_a_suggestion_is_a_proposal_that_says_what_it_rests_on() -> None:
    found = snapshot()
    request = predicting.request(found)
    wanted = HERE.with_values(buffer=F(120))
    made = searching.proposal(request, Suggestion(wanted, Interval(0.04, 0.01, 0.07), 0.99, 5))
    assert made.kind is ProposalKind.SEARCH
    assert made.setting == made.uncapped == wanted
    assert made.why == (
        "search: buffer 100 -> 120; expected to save 4.0% (1.0% to 7.0%) by 5 settings measured, safe with 99%"
    )


def test_a_search_without_knobs_adds_nothing_to_what_physics_says() -> None:
    physics = Missing(Reason.NOTHING_BETTER, "all is served")
    asked = predicting.request(snapshot())
    assert searching.answer(asked, physics, Missing(Reason.NO_TUNABLE_KNOB, "none")) == physics
    both = searching.answer(asked, physics, Missing(Reason.LEARNING, "1 of 3 windows"))
    assert isinstance(both, Missing)
    assert (both.reason, both.detail) == (Reason.NOTHING_BETTER, "all is served; 1 of 3 windows")
