"""What no data does to a trial: what `onNoData` of its SLOs says, held against what the metrics server really said. Called by
`Watch`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from pegbox.model.reasons import Reason
from pegbox.model.trials import Intent, IntentKind, Ledger, TrialState
from tests.chaos.limits import trial_of
from tests.chaos.prometheus import ONE_SIGNAL
from tests.chaos.violation import Violation
from tests.chaos.world import World

MOST = {("Revert", False): 8, ("Revert", True): 8, ("Ignore", True): 15}
"""Looks in a row, by policy and whether an SLO alone is silent: a trialWindow of 5 s is two of them, and six are judged."""
TRIAL_TIMEOUT = timedelta(minutes=2)
WANTING = frozenset(
    {
        *(Reason.NO_DATA, Reason.METRICS_UNREACHABLE, Reason.NOT_A_NUMBER, Reason.PARTIAL_DATA),
        *(Reason.STALE_DATA, Reason.TOO_FEW_EVENTS),
    }
)
"""By which a trial ends for want of data."""
Looked = tuple[object, ...]  # the trial, the operator's clock, which may jump, the lie and the pods


@dataclass
class Silence:
    """Of each profile, as the wake under way reads it: what hides something of its trial, and the policy of its SLOs; its
    trial as it was last in force; for how many looks in a row nothing was known of that."""

    lies: dict[str, str] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)
    in_force: dict[str, Intent] = field(default_factory=dict)
    looks: dict[str, tuple[Looked, int]] = field(default_factory=dict)

    def woken(self, world: World, name: str) -> None:
        lie = world.silenced()
        # Rows of pods that acknowledge nothing are of no generation, and there is none before it (seed 2600013817).
        self.lies[name] = "" if lie == "old pods" and world.apps[name].deaf else lie
        slos = (world.profile(name) or {}).get("spec", {}).get("slos", [])
        self.policies[name] = "".join({slo.get("onNoData", "Hold") for slo in slos})  # all of a schedule have the same

    def judges(self, name: str) -> bool:
        """Is an SLO silent that has a say without data?"""
        lie, policy = self.lies.get(name, ""), self.policies.get(name, "")
        return bool(lie) and policy in ("Hold", "Revert")


def ends_unseen(world: World, name: str, silence: Silence) -> None:
    """Under Revert a trial in force of which something is not known goes back within some looks; under Ignore it is judged
    within some more where an SLO alone is silent, and there are pods (seed 1500000118: scaled to zero) that say what they
    run (seed 1800001354: no figure of a canary is known without) and serve (seed 2700005413: where little arrives, none
    of it may be chance). Looks are counted that went through in Auto, could judge it, and found the same pods as the one
    before."""
    trial, lie, policy = trial_of(world, name), silence.lies[name], silence.policies[name]
    waits = trial is not None and trial.in_force_at is not None and bool(lie)
    most = MOST.get((policy, lie == ONE_SIGNAL)) if waits else None
    app = world.apps[name]
    pods = tuple((p.uid, p.restarts, p.ready, p.leaving) for p in app.pods)
    serves = (bool(pods) and not app.deaf and app.service.served() > 0) or policy != "Ignore"
    if trial is None or most is None or not serves or not _judges(world, name):
        silence.looks.pop(name, None)
        return
    this = (trial.id, trial.started_at, world.own_clock.ahead, lie, pods)
    known, count = silence.looks.get(name, (this, 0))
    count = count + 1 if known == this else 1
    silence.looks[name] = this, count
    if count == most + 1:  # and is said once
        raise Violation(f"{name}: trial {trial.id} stands after {count} looks at {lie}, under {policy}")


def _judges(world: World, name: str) -> bool:
    right = world.own_clock.ahead >= 0  # else it takes containers for such as start in times to come
    return (
        right and world.allow_writes and world.mode(name) == "Auto" and world.condition(name, "Accepted")[0] == "True"
    )


def accepted_unseen(world: World, name: str, silence: Silence, known: Collection[str]) -> None:
    """Under Hold and Revert no trial is accepted while an SLO has no data."""
    for trial_id in _accepted(world.ledger(name), known) if silence.judges(name) else ():
        raise Violation(
            f"{name}: trial {trial_id} was accepted at {silence.lies[name]}, under {silence.policies[name]}"
        )


def _accepted(ledger: Ledger | None, known: Collection[str]) -> Iterator[str]:
    for trial in ledger.trials if ledger is not None else ():
        if trial.state is TrialState.ACCEPTED and trial.reason is not Reason.BUDGET_EXCEEDED and trial.id not in known:
            yield trial.id


def put_back_unseen(world: World, name: str, silence: Silence) -> None:
    """Under Hold no trial in force is put back for want of data before trialTimeout; under Ignore none ever is
    for want of what an SLO alone asks for, where that was silent since before it began."""
    ledger, policy = world.ledger(name), silence.policies.get(name, "")
    if ledger is None:
        return
    trial, intent = silence.in_force.pop(name, None), ledger.intent
    if intent is not None and intent.kind is IntentKind.TRIAL and intent.in_force_at is not None:
        silence.in_force[name] = intent
    ended = trial is not None and intent is not None and intent.kind is IntentKind.ROLLBACK and intent.id == trial.id
    if trial is None or intent is None or not ended or intent.reason not in WANTING or trial.in_force_at is None:
        return
    lasted, since = world.own_clock.now() - trial.in_force_at, world.metrics.since
    if policy == "Hold" and lasted < TRIAL_TIMEOUT:
        raise Violation(f"{name}: trial {trial.id} was put back after {lasted} for {intent.reason}, under Hold")
    ignored = (
        policy == "Ignore" and silence.lies[name] == ONE_SIGNAL and since is not None and since <= trial.started_at
    )
    if ignored:
        raise Violation(f"{name}: trial {trial.id} was put back for {intent.reason}, of an SLO that is to be ignored")


def begun_unseen(name: str, trial: Intent, silence: Silence) -> None:
    """No trial of our own accord begins while load, throughput or latency of the setting in force are hidden, by whatever lie,
    or an SLO whose policy is not Ignore."""
    lie = silence.lies.get(name, "")
    if lie and not trial.requested and (lie != ONE_SIGNAL or silence.judges(name)):
        raise Violation(f"{name}: trial {trial.id} began at {lie}, under {silence.policies[name]}")
