"""Evictions that something forbids: what a PodDisruptionBudget keeps from a restart, and for how long. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction

from pegbox.core import force, looks
from pegbox.model.decisions import Decision, Event
from pegbox.model.errors import NotEvicted
from pegbox.model.profile import ProfileSpec
from pegbox.model.reasons import SENTENCES, Reason
from pegbox.model.snapshot import Snapshot, Workload
from pegbox.model.trials import Intent, TrialState

KEPT = Fraction(1, 2)
"""Of a pod's ackTimeout: what is left for the rollout."""


def waits(
    snapshot: Snapshot, workload: Workload, intent: Intent, forbidden: NotEvicted, since: datetime | None = None
) -> bool:
    """Is the eviction tried again at the next look, rather than a rollout begun in its place?

    A budget that others use up (a drain, a pod that starts) allows it again in a moment, and a rollout costs a
    revision and asks no budget. So a trial waits, while its time of ackTimeout per pod lasts: those that were
    restarted have had theirs, and half of one is kept. A canary's values are for no other pod: it waits to its
    end. At rest it is one `ackTimeout` from the first refusal that this process met, `since`. A way back does not wait,
    and nothing else waits for what no time will change.
    """
    if intent.canary:
        return True
    share = _patience(snapshot)
    if snapshot.ledger.intent is None:
        over = since is not None and snapshot.read_at is not None and snapshot.read_at >= since + share
        return not forbidden.lasting and not over
    if intent.kind.goes_back or forbidden.lasting:
        return False
    if intent.applied_at is None or snapshot.read_at is None:
        return True
    pods = len(workload.unfinished)
    done = pods - len(force.outdated(snapshot.spec.space, intent, workload))
    return snapshot.read_at < intent.applied_at + share * float(done + 1 - KEPT)


def goes_on(snapshot: Snapshot, workload: Workload, intent: Intent) -> bool:
    """Is the next pod of a way back restarted although the workload has not settled: beside pods without a node, or
    such as never end, for which it would wait for ever?

    After `ackTimeout`, and never so that one more is missing: a ready pod stands for each one that went, and another
    one serves meanwhile.
    """
    if not intent.kind.goes_back or workload.rolling or intent.applied_at is None or snapshot.read_at is None:
        return False
    serving = [p for p in workload.unfinished if p.ready and not p.terminating]
    in_time = snapshot.read_at < intent.applied_at + _patience(snapshot)
    return not in_time and len(serving) > 1 and force.made_up_for(intent, workload)


def leaving(snapshot: Snapshot, workload: Workload, intent: Intent) -> bool:
    """Does a pod still go, with all that it uses? A way back waits until `ackTimeout` after its grace period and no
    longer: its node is gone, or something holds what is left of it."""
    going = [p for p in workload.unfinished if p.terminating]
    if not intent.kind.goes_back or snapshot.read_at is None:
        return bool(going)
    return any(p.ends_at is None or snapshot.read_at < p.ends_at + _patience(snapshot) for p in going)


def _patience(snapshot: Snapshot) -> timedelta:
    return timedelta(seconds=float(snapshot.spec.guards.ack_timeout))


def outweighed(intent: Intent) -> bool:
    """May a rollout that ends all pods at once take the place of a forbidden eviction?

    Only on the way back from harm, or one that a person or a budget asks for. After an inconclusive trial nothing is
    known to be bad: it waits.
    """
    return intent.kind.goes_back and intent.state is not TrialState.INCONCLUSIVE


def told(spec: ProfileSpec, decision: Decision, forbidden: NotEvicted, *, rolls_out: bool) -> Decision:
    """The decision as it is said: what it waits for, or what is done in the place of an eviction. At rest it is tried
    again once per interval."""
    text = f"{SENTENCES[Reason.EVICTION_FORBIDDEN]}: {forbidden}"
    if rolls_out:
        event = Event(Reason.EVICTION_FORBIDDEN, f"{text}; a rollout restarts the pods instead", warning=True)
        return replace(decision, events=(*decision.events, event))
    if decision.reason is Reason.NOT_ACKNOWLEDGED:  # which degrades the profile: that is not taken back
        return replace(decision, message=f"{decision.message}; {text}")
    wake = looks.at_rest(spec) if decision.ledger.intent is None else decision.wake_after
    return replace(decision, reason=Reason.EVICTION_FORBIDDEN, message=text, wake_after=wake)
