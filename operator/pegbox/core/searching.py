"""What the safe search is asked for, beside `propose`: knobs whose effect no physics tells.

Pressed, or where the objective is latency or throughput, knobs without a role may move. At ease and to be cheap only
what has a price may: a lower latency saves nobody money.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from pegbox.core import pricing, propose
from pegbox.core.guards import limits
from pegbox.core.propose import SERVED, Situation
from pegbox.core.wording import in_words
from pegbox.model.knobs import Effect, Knob, KnobType, LocationKind, Setting
from pegbox.model.observations import Missing
from pegbox.model.profile import Objective, ProfileSpec
from pegbox.model.proposals import Proposal, ProposalKind, ProposeRequest
from pegbox.model.reasons import Reason
from pegbox.model.roles import Role
from pegbox.model.searching import SearchRequest, Suggestion
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import TrialState, TrialSummary

LEAVES_ROOM = frozenset({Reason.NOTHING_BETTER, Reason.SLO_AT_RISK, Reason.OUT_OF_RANGE})
PODS = frozenset({LocationKind.HPA_MIN, LocationKind.HPA_MAX, LocationKind.REPLICAS})  # never tried for the sake of it
GIVEN_UP = -math.log(0.97)  # of the log latency, where that saves money: less drowns in noise
ENOUGH = 2  # misses in one direction
LEAST_BYTES = Fraction(1, 2)  # of what the team gave: where memory runs out is not foretold


def request(snapshot: Snapshot, asked: ProposeRequest) -> SearchRequest | Missing:
    """The question to the search; Missing where nothing is its to move, or nothing was measured."""
    situation = propose.read(asked)
    if isinstance(situation, Missing):
        return situation
    assert asked.observation is not None and not isinstance(asked.observation.offered_load, Missing)
    load = asked.observation.offered_load  # the present one: what was measured is compared, and no forecast
    if load <= 0:
        return Missing(Reason.NO_DATA, "no load: nothing can be told apart")
    moving = frozenset(knob.name for knob in _movable(snapshot, situation))
    if not moving:
        return Missing(Reason.NO_TUNABLE_KNOB, "no knob without a role, or with a price, may move")
    spec, ledger = snapshot.spec, snapshot.ledger
    lowest = _least_bytes(spec, ledger.adopted or asked.incumbent)
    came_to_nothing = _came_to_nothing(snapshot, moving)
    spent = _spent(asked.incumbent, came_to_nothing)

    def admissible(setting: Setting) -> bool:
        moves = directions(asked.incumbent, setting)
        fresh = bool(moves - spent) and all(setting != trial.setting for trial in came_to_nothing)
        return fresh and all(setting.number(n) >= least for n, least in lowest.items()) and asked.admissible(setting)

    text = f"{spec.uid}/{ledger.generation}/search".encode()
    return SearchRequest(
        space=spec.space,
        incumbent=asked.incumbent,
        moving=moving,
        restarting=frozenset(k.name for k in spec.space.tunable if k.effect is Effect.RESTART),
        rows=ledger.rows,
        failed=tuple((t.parent, t.setting) for t in limits.recent_failures(snapshot) if _harmful(t.reason)),
        misses=len(came_to_nothing),
        load=load,
        pods=asked.pods,
        throughput=situation.served < SERVED,
        least=-GIVEN_UP if _thrifty(spec, situation) else -math.inf,
        price=lambda setting: float(pricing.per_pod(spec, snapshot.containers, setting)),
        admissible=admissible,
        seed=int.from_bytes(hashlib.sha256(text).digest()[:4], "big"),
    )


def _movable(snapshot: Snapshot, situation: Situation) -> list[Knob]:
    """Numbers without a role that are ours to write; to be cheap at ease, of these only what has a price."""
    spec = snapshot.spec
    thrifty = _thrifty(spec, situation)
    found = []
    for knob in spec.space.tunable:
        held = snapshot.held.get(knob.name)
        writable = held is None or held.refusal is None
        if knob.location.kind in PODS:
            continue
        if knob.type.numeric and writable and spec.roles.get(knob.name, Role.NONE) is Role.NONE:
            found += [knob] if not thrifty or pricing.priced(spec.prices, knob) else []
    return found


def _thrifty(spec: ProfileSpec, situation: Situation) -> bool:
    return spec.objective is Objective.MINIMIZE_COST and not situation.pressed


def _least_bytes(spec: ProfileSpec, given: Setting) -> Mapping[str, Fraction]:
    """The least that a knob of bytes may be cut to."""
    sizes = [k.name for k in spec.space.tunable if k.type is KnobType.BYTES and k.name in given]
    return {name: given.number(name) * LEAST_BYTES for name in sizes}


def _harmful(reason: Reason) -> bool:
    """Was it more than no gain? What only was not better is told by its figures."""
    return reason is not Reason.NOT_BETTER


def _came_to_nothing(snapshot: Snapshot, moving: frozenset[str]) -> list[TrialSummary]:
    """Trials of these knobs alone that were put back, since one was accepted; the newest first.

    One whose figures are forgotten (after a deploy most are) counts no longer: so the search wakes up.
    """
    known = {row.setting for row in snapshot.ledger.rows} | {t.setting for t in limits.recent_failures(snapshot)}
    found = []
    for trial in reversed(snapshot.ledger.trials):
        if trial.state is TrialState.ACCEPTED:
            break
        ours = moving >= {*trial.parent.diff(trial.setting)}
        found += [trial] if trial.state is TrialState.REVERTED and ours and trial.setting in known else []
    return found


def directions(before: Setting, after: Setting) -> frozenset[tuple[str, bool]]:
    """(knob, upwards) of each number that moves."""
    return frozenset((name, after.number(name) > before.number(name)) for name in before.diff(after))


def _spent(incumbent: Setting, missed: Sequence[TrialSummary]) -> frozenset[tuple[str, bool]]:
    """Directions that came to nothing ENOUGH times from here: what is left of them is below what a trial can prove."""
    counted = Counter(each for t in missed if t.parent == incumbent for each in directions(t.parent, t.setting))
    return frozenset(each for each, times in counted.items() if times >= ENOUGH)


def answer(asked: ProposeRequest, found: Missing, searched: Suggestion | Missing) -> Proposal | Missing:
    """What the search suggests where physics has nothing; or why neither has anything, in one sentence."""
    if not isinstance(searched, Missing):
        return proposal(asked, searched)
    if searched.reason is Reason.NO_TUNABLE_KNOB:
        return found
    return replace(found, detail="; ".join(text for text in (found.detail, searched.detail) if text))


def proposal(asked: ProposeRequest, found: Suggestion) -> Proposal:
    """The suggestion in the words of a proposal. Capacity is not what the search tells: nothing is forecast."""
    why = (
        f"search: {in_words(asked.space, found.setting, asked.incumbent)}; "
        f"expected to save {found.gain.mean:.1%} ({found.gain.low:.1%} to {found.gain.high:.1%}) "
        f"by {found.measured} settings measured, safe with {found.sure:.0%}"
    )
    unforeseen = Missing(Reason.OUT_OF_RANGE, "no physics tells what this knob does")
    return Proposal(found.setting, ProposalKind.SEARCH, why, unforeseen, found.setting)
