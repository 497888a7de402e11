"""Splitting: the rows of one wake read by cohort, for a canary and the pods beside it. No further question is asked."""

from __future__ import annotations

from dataclasses import replace

from pegbox.core import assess, cohorts, force, incumbent, pod_env
from pegbox.core.assess import Evidence, Question
from pegbox.model.knobs import values_hash
from pegbox.model.observations import Missing, Observation, Split
from pegbox.model.reasons import Reason
from pegbox.model.settings_document import TRIAL
from pegbox.model.snapshot import Snapshot
from pegbox.model.trials import Intent
from pegbox.runtime.memory import Memory

WHOLE = Missing(Reason.NOT_REPORTED, "offered load cannot be told apart by cohort")


def by_cohort(snapshot: Snapshot, memory: Memory, question: Question, evidence: Evidence) -> Snapshot:
    """The newest window of the cohort and of the rest, and those kept of both."""
    intent = snapshot.ledger.intent
    assert intent is not None
    hashed = values_hash(force.document_values(snapshot.spec.space, intent.in_cohort))
    ahead, others = _told_apart(snapshot, intent)
    own = assess.assess(replace(question, cohort=TRIAL, setting_hash=hashed, pods=ahead), evidence)
    rest = assess.assess(replace(question, cohort="", pods=others), evidence)
    rest = incumbent.set_apart(snapshot.spec, snapshot.ledger, _with_its_load(rest, own, snapshot.observation))
    memory.note_incident(rest, question.at)
    split = Split(_without_load(own), _without_load(rest))
    memory.take_split(split)
    return replace(snapshot, split=split, splits=tuple(memory.splits), baseline_windows=memory.own_windows())


def _told_apart(snapshot: Snapshot, intent: Intent) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    """The pods of both sides, where variables tell them apart: what both acknowledge may be the same."""
    space, workload = snapshot.spec.space, snapshot.workload
    if isinstance(workload, Missing) or not pod_env.told_apart(space, intent):
        return None, None
    own = frozenset(p.name for p in cohorts.members(space, intent, workload))
    return own, frozenset(p.name for p in workload.unfinished) - own


def _with_its_load(
    rest: Observation | Missing, own: Observation | Missing, both: Observation | Missing
) -> Observation | Missing:
    """The rest runs the incumbent, and shows what befalls all pods. Its load is taken for its share of them."""
    if isinstance(rest, Missing) or isinstance(own, Missing) or isinstance(both, Missing):
        return rest
    load, pods = both.offered_load, own.pods + rest.pods
    return rest if isinstance(load, Missing) or not pods else replace(rest, offered_load=load * rest.pods / pods)


def _without_load(seen: Observation | Missing) -> Observation | Missing:
    return seen if isinstance(seen, Missing) else replace(seen, offered_load=WHOLE)
