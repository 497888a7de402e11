"""Splitting: the rows of one wake read by cohort, for a canary and the pods beside it. No further question is asked."""

from __future__ import annotations

from dataclasses import replace

from pegbox.core import assess, force
from pegbox.core.assess import Evidence, Question
from pegbox.model.knobs import values_hash
from pegbox.model.observations import Missing, Observation, Split
from pegbox.model.reasons import Reason
from pegbox.model.settings_document import TRIAL
from pegbox.model.snapshot import Snapshot
from pegbox.runtime.memory import Memory

WHOLE = Missing(Reason.NOT_REPORTED, "offered load cannot be told apart by cohort")


def by_cohort(snapshot: Snapshot, memory: Memory, question: Question, evidence: Evidence) -> Snapshot:
    """The newest window of the cohort and of the rest, and those kept of both."""
    intent = snapshot.ledger.intent
    assert intent is not None
    hashed = values_hash(force.document_values(snapshot.spec.space, intent.in_cohort))
    own = assess.assess(replace(question, cohort=TRIAL, setting_hash=hashed), evidence)
    rest = assess.assess(replace(question, cohort=""), evidence)
    split = Split(_without_load(own), _without_load(rest))
    memory.take_split(split)
    return replace(snapshot, split=split, splits=tuple(memory.splits), baseline_windows=memory.own_windows())


def _without_load(seen: Observation | Missing) -> Observation | Missing:
    return seen if isinstance(seen, Missing) else replace(seen, offered_load=WHOLE)
