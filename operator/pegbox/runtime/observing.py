"""Observe: ask a metrics source for the windows of one setting, for the loop and for commands alike."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pegbox.core import assess, decide, force
from pegbox.model.knobs import Setting, values_hash
from pegbox.model.observations import Attainment, Missing, Observation
from pegbox.model.snapshot import Snapshot, Workload
from pegbox.ports import MetricsSource, SignalQuery


@dataclass(frozen=True, slots=True)
class Ages:
    """How old answers may be, in seconds: of the newest window, and of SLOs over a window of their own, which judge no
    trial. None: as the source likes."""

    newest: float | None = None
    own: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest window of a setting, each SLO over its own, and the answers that both were read from."""

    observation: Observation | Missing
    slos: Mapping[str, Attainment | Missing]
    evidence: assess.Evidence


def in_force(snapshot: Snapshot) -> Setting | None:
    """What the pods run: the stage under way once it was read back, else the incumbent, else what was found."""
    intent = snapshot.ledger.intent
    if intent is not None and intent.applied_at is not None:
        return intent.current
    if snapshot.ledger.incumbent is not None:
        return snapshot.ledger.incumbent
    setting = decide.baseline_setting(snapshot)
    return None if isinstance(setting, Missing) else setting


def question(
    snapshot: Snapshot, setting: Setting, since: datetime | None, now: datetime, pods_since: datetime | None = None
) -> assess.Question:
    """About a setting that is in force `since` then; None: for longer than anybody knows. Pods: likewise."""
    window = int(snapshot.spec.guards.trial_window)
    return assess.Question(
        spec=snapshot.spec,
        at=now,
        window=window,
        setting=setting_label(snapshot),
        setting_hash=values_hash(force.document_values(snapshot.spec.space, setting)),
        workload=snapshot.workload,
        in_force_at=since,
        slo_window=window,
        pods_since=pods_since,
    )


async def look(source: MetricsSource, asked: assess.Question, ages: Ages = Ages()) -> Seen:
    """All of its signals at once."""
    spec = asked.spec
    newest, own = assess.questions(spec, asked.window)
    wanted = [(s, w, ages.newest) for s, w in newest] + [(s, w, ages.own) for s, w in own]
    queries = ((SignalQuery(spec.class_name, s, w, spec.matchers), age) for s, w, age in wanted)
    mine = spec.namespace
    answers = await asyncio.gather(*(source.fetch(q, asked.at, namespace=mine, max_age=age) for q, age in queries))
    evidence = {(s.name, w): answer for (s, w, _), answer in zip(wanted, answers, strict=True)}
    return Seen(assess.assess(asked, evidence), assess.attained(asked, evidence), evidence)


def setting_label(snapshot: Snapshot) -> str:
    """How the rows of the setting in force are labelled: by the document's generation, "0" without one."""
    document = snapshot.document
    if isinstance(document, Missing) or document.profile_uid != snapshot.spec.uid:
        return "0"
    reporting = isinstance(snapshot.workload, Workload) and any(p.ack for p in snapshot.workload.unfinished)
    return str(document.generation) if reporting else "0"
