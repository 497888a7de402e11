"""Every reason once: one CamelCase word, the same in condition, event, metric label, log and test id.

`SENTENCES` says each in words, with the remedy where a person can do something about it.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    # acceptance
    ACCEPTED = "Accepted"
    INVALID_SPEC = "InvalidSpec"
    BASELINE_UNKNOWN = "BaselineUnknown"
    CLASS_NOT_FOUND = "ClassNotFound"
    TARGET_NOT_FOUND = "TargetNotFound"
    TARGET_REPLACED = "TargetReplaced"
    TARGET_BUSY = "TargetClaimedByOther"
    BUDGET_NOT_FOUND = "BudgetNotFound"
    BUDGET_UNSATISFIABLE = "BudgetUnsatisfiable"
    VOLUME_NOT_HOT = "VolumeNotHot"
    CONFIG_UNREADABLE = "ConfigUnreadable"
    CONFIG_IMMUTABLE = "ConfigImmutable"
    # ownership
    OWNED_BY_OTHER = "OwnedByOther"
    OWNED_BY_KEDA = "OwnedByKEDA"
    OWNED_BY_VPA = "OwnedByVPA"
    RESIZE_UNSUPPORTED = "ResizeUnsupported"
    UTILIZATION_TARGET = "UtilizationTarget"
    ADMISSION_UNAVAILABLE = "AdmissionUnavailable"
    ADMISSION_MISSED = "AdmissionMissed"
    ENV_UNREADABLE = "EnvUnreadable"
    FOREIGN_CHANGE = "ForeignChange"
    NO_CONFLICT = "NoConflict"
    # data
    DATA_AVAILABLE = "DataAvailable"
    NO_DATA = "NoData"
    STALE_DATA = "StaleData"
    NOT_A_NUMBER = "NotANumber"
    PARTIAL_DATA = "PartialData"
    TOO_FEW_EVENTS = "TooFewEvents"
    METRICS_UNREACHABLE = "MetricsUnreachable"
    QUERY_INVALID = "QueryInvalid"
    QUERY_NOT_ANSWERED = "QueryNotAnswered"
    QUERY_NOT_SENT = "QueryNotSent"
    NOT_REPORTED = "NotReported"
    # model
    MODEL_TRUSTED = "ModelTrusted"
    LEARNING = "Learning"
    NOT_IDENTIFIABLE = "NotIdentifiable"
    MODEL_INACCURATE = "ModelInaccurate"
    OUT_OF_RANGE = "OutOfRange"
    # holding
    MODE_OBSERVE = "ModeObserve"
    MODE_RECOMMEND = "ModeRecommend"
    WRITES_NOT_ALLOWED = "WritesNotAllowed"
    STOPPED = "Stopped"
    OPTED_OUT = "OptedOut"
    FLEET_BREAKER_OPEN = "FleetBreakerOpen"
    WAITING_FOR_SLOT = "WaitingForSlot"
    PAUSED = "Paused"
    FROZEN = "Frozen"
    COOLING_DOWN = "CoolingDown"
    SETTLING = "Settling"
    JUDGING = "Judging"
    WAITING_FOR_PODS = "WaitingForPods"
    WAITING_FOR_BUDGET = "WaitingForBudget"
    EVICTION_FORBIDDEN = "EvictionForbidden"
    TRIAL_IN_FLIGHT = "TrialInFlight"
    ROLLOUT_IN_PROGRESS = "RolloutInProgress"
    CRASH_LOOP = "CrashLoop"
    WORKLOAD_NOT_READY = "WorkloadNotReady"
    WORKLOAD_SCALED_TO_ZERO = "ScaledToZero"
    NOTHING_BETTER = "NothingBetter"
    NO_TUNABLE_KNOB = "NoTunableKnob"
    BREAKER_OPEN = "BreakerOpen"
    BREAKER_HALF_OPEN = "BreakerHalfOpen"
    BREAKER_CLOSED = "BreakerClosed"
    # verdicts
    WITHIN_LIMITS = "WithinLimits"
    OUT_OF_BOUNDS = "OutOfBounds"
    STEP_TOO_LARGE = "StepTooLarge"
    BUDGET_EXCEEDED = "BudgetExceeded"
    SLO_AT_RISK = "SLOAtRisk"
    LIMITS_NARROWED = "LimitsNarrowed"
    AHEAD_OF_LOAD = "AheadOfLoad"
    RECENTLY_FAILED = "RecentlyFailed"
    RULE_VIOLATED = "RuleViolated"
    REQUESTS_ABOVE_LIMITS = "RequestsAboveLimits"
    QOS_CHANGE = "QosChange"
    MEMORY_IN_USE = "MemoryInUse"
    # trials
    TRIAL_STARTED = "TrialStarted"
    TRIAL_ACCEPTED = "TrialAccepted"
    TRIAL_REVERTED = "TrialReverted"
    TRIAL_INCONCLUSIVE = "TrialInconclusive"
    NOT_BETTER = "NotBetter"
    SLO_BREACHED = "SLOBreached"
    REGRESSION = "Regression"
    ERROR_SURGE = "ErrorSurge"
    ERROR_BUDGET_SPENT = "ErrorBudgetSpent"
    OOM_KILLED = "OOMKilled"
    NOT_ACKNOWLEDGED = "NotAcknowledged"
    RESIZE_NOT_POSSIBLE = "ResizeNotPossible"
    DEPLOYED = "Deployed"
    LOAD_CHANGED = "LoadChanged"
    SCALED = "Scaled"
    COHORT_GONE = "CohortGone"
    TRIAL_WIDENED = "TrialWidened"
    PROFILE_CHANGED = "ProfileChanged"
    ROLLED_BACK = "RolledBack"
    ROLLING_BACK = "RollingBack"
    RESTORED = "Restored"
    RESTORE_PENDING = "RestorePending"
    LAST_KNOWN_GOOD_FAILING = "LastKnownGoodFailing"
    REQUESTED = "Requested"
    REQUEST_REFUSED = "RequestRefused"
    ADOPTED = "Adopted"
    STABLE = "Stable"
    SLO_MET = "SLOMet"
    WRITE_FAILED = "WriteFailed"
    WRITE_REFUSED = "WriteRefused"
    LEDGER_LOST = "LedgerLost"
    INTERNAL_ERROR = "InternalError"


NOT_ASKED = frozenset({Reason.METRICS_UNREACHABLE, Reason.QUERY_NOT_SENT})
"""The metrics server said nothing, not even that it has nothing."""

SENTENCES: dict[Reason, str] = {
    Reason.ACCEPTED: "the profile is valid and its target is known",
    Reason.INVALID_SPEC: "the profile cannot be used as written",
    Reason.BASELINE_UNKNOWN: "the value in force is known for no source: export pegbox_setting_value, or set `initial`",
    Reason.CLASS_NOT_FOUND: "the PerformanceClass does not exist: apply it, or correct classRef.name",
    Reason.TARGET_NOT_FOUND: "the target does not exist: create it, or correct targetRef",
    Reason.TARGET_REPLACED: "the target was deleted and recreated under the same name: it is adopted afresh",
    Reason.TARGET_BUSY: "another profile tunes this field already: remove the knob from one of them",
    Reason.BUDGET_NOT_FOUND: "the SharedBudget does not exist in this namespace: create it, or correct budgetRef.name",
    Reason.BUDGET_UNSATISFIABLE: "no setting within the limits meets the budget: raise its limit or lower a minimum",
    Reason.VOLUME_NOT_HOT: "the settings volume can never change in a running pod: mount it without subPath",
    Reason.CONFIG_UNREADABLE: "the ConfigMap's text cannot be parsed where the knob points",
    Reason.CONFIG_IMMUTABLE: "the ConfigMap is immutable: remove `immutable: true` or choose another location",
    Reason.OWNED_BY_OTHER: "another field manager owns the value: it is recommended, not written",
    Reason.OWNED_BY_KEDA: "the HPA is managed by KEDA: set the bounds in the ScaledObject",
    Reason.OWNED_BY_VPA: "a VerticalPodAutoscaler sets the resources of this target",
    Reason.RESIZE_UNSUPPORTED: "pods of this target cannot be resized in place: see the message",
    Reason.UTILIZATION_TARGET: "an HPA scales on the utilisation of this request, which would move with it",
    Reason.ADMISSION_UNAVAILABLE: "nothing puts variables into new pods here: it needs Kubernetes 1.36 and the chart's "
    "podEnvironment.enabled",
    Reason.ADMISSION_MISSED: "a pod was created without the variables written for it: delete it once admission works",
    Reason.ENV_UNREADABLE: "the template takes the variable from elsewhere, or states what is no value of the knob",
    Reason.FOREIGN_CHANGE: "somebody else changed a value during the trial: it is theirs and stays",
    Reason.NO_CONFLICT: "no other owner holds a tuned value",
    Reason.DATA_AVAILABLE: "all signals have fresh data",
    Reason.NO_DATA: "the query answered with no series",
    Reason.STALE_DATA: "the newest sample is older than the window allows",
    Reason.NOT_A_NUMBER: "the value is NaN or infinite",
    Reason.PARTIAL_DATA: "the server answered with warnings or with fewer scrapes than a window needs",
    Reason.TOO_FEW_EVENTS: "fewer events than minimumEvents in the window",
    Reason.METRICS_UNREACHABLE: "the metrics server could not be asked",
    Reason.QUERY_INVALID: "the metrics server refused the class's query",
    Reason.QUERY_NOT_ANSWERED: "the metrics server is up, but this one question got no answer that can be used",
    Reason.QUERY_NOT_SENT: "the metrics server was not asked: other questions took too long",
    Reason.NOT_REPORTED: "the workload does not export the metric",
    Reason.MODEL_TRUSTED: "predictions were better than the baseline's",
    Reason.LEARNING: "too few observations for a prediction yet",
    Reason.NOT_IDENTIFIABLE: "the data cannot tell the effect of the knobs apart",
    Reason.MODEL_INACCURATE: "predictions were worse than the baseline's: the baseline acts",
    Reason.OUT_OF_RANGE: "the setting lies outside of what was observed",
    Reason.MODE_OBSERVE: "mode Observe: nothing is proposed",
    Reason.MODE_RECOMMEND: "mode Recommend: nothing is written to the workload",
    Reason.WRITES_NOT_ALLOWED: "this install may not write to workloads: set the chart's mode.allowWrites",
    Reason.STOPPED: "everything is stopped: `pegbox start --all` ends it",
    Reason.OPTED_OUT: "the workload opted out: nothing is written to it",
    Reason.FLEET_BREAKER_OPEN: "the breaker over all profiles holds new trials back",
    Reason.WAITING_FOR_SLOT: "as many trials as may run at once are under way in the cluster",
    Reason.PAUSED: "paused on request",
    Reason.FROZEN: "a freeze is in force",
    Reason.COOLING_DOWN: "cooling down after the last trial",
    Reason.SETTLING: "waiting for the workload to settle",
    Reason.JUDGING: "collecting evidence",
    Reason.WAITING_FOR_PODS: "waiting for every pod to acknowledge the written setting",
    Reason.WAITING_FOR_BUDGET: "another profile holds the shared budget's trial slot, or the budget is used up",
    Reason.EVICTION_FORBIDDEN: "a pod that is to be restarted may not be evicted",
    Reason.TRIAL_IN_FLIGHT: "a trial is in flight",
    Reason.ROLLOUT_IN_PROGRESS: "the workload is rolling out",
    Reason.CRASH_LOOP: "containers of the workload keep crashing",
    Reason.WORKLOAD_NOT_READY: "not all pods are ready",
    Reason.WORKLOAD_SCALED_TO_ZERO: "the workload has no pods",
    Reason.NOTHING_BETTER: "no reachable setting promises more than the tolerance",
    Reason.NO_TUNABLE_KNOB: "every knob is pinned, recommend-only or has one possible value",
    Reason.BREAKER_OPEN: "the breaker is open after failed trials: no new trials until it half-opens",
    Reason.BREAKER_HALF_OPEN: "the breaker is half open: one smallest step is tried",
    Reason.BREAKER_CLOSED: "the breaker is closed",
    Reason.WITHIN_LIMITS: "within limits",
    Reason.OUT_OF_BOUNDS: "outside of the knob's limits",
    Reason.LIMITS_NARROWED: "the setting lies outside of the limits: it is walked back into them, step by step",
    Reason.AHEAD_OF_LOAD: "more load is forecast than the replicas bear: the HPA's minimum is raised before it comes",
    Reason.STEP_TOO_LARGE: "further than maxStep allows in one trial",
    Reason.BUDGET_EXCEEDED: "the budget would be exceeded",
    Reason.SLO_AT_RISK: "the predicted interval reaches beyond the SLO",
    Reason.RECENTLY_FAILED: "this setting failed recently",
    Reason.RULE_VIOLATED: "a rule of the class forbids the combination",
    Reason.REQUESTS_ABOVE_LIMITS: "a request would be above its limit, now or on the way",
    Reason.QOS_CHANGE: "the pods' quality of service class would change, which the API server refuses",
    Reason.MEMORY_IN_USE: "the memory limit would come too close to what is in use, or nobody knows what is in use",
    Reason.TRIAL_STARTED: "a trial was started",
    Reason.TRIAL_ACCEPTED: "the trial's setting is the new incumbent",
    Reason.TRIAL_REVERTED: "the trial's setting was put back",
    Reason.TRIAL_INCONCLUSIVE: "the trial ended without a verdict",
    Reason.NOT_BETTER: "the setting was not better than its parent",
    Reason.SLO_BREACHED: "an SLO was breached",
    Reason.REGRESSION: "mean latency rose beyond what noise explains",
    Reason.ERROR_SURGE: "errors rose beyond what noise explains",
    Reason.ERROR_BUDGET_SPENT: "trials spent their share of an SLO's error budget",
    Reason.OOM_KILLED: "a container was killed for memory",
    Reason.RESIZE_NOT_POSSIBLE: "a node has no room for the new size of a pod, now or at all, or the server refused it",
    Reason.NOT_ACKNOWLEDGED: "pods did not acknowledge the setting in time",
    Reason.DEPLOYED: "a new revision of the workload was rolled out",
    Reason.LOAD_CHANGED: "offered load left the range in which the settings can be compared",
    Reason.SCALED: "the number of pods changed",
    Reason.COHORT_GONE: "the canary's pods went away, or too few pods are left to compare it with",
    Reason.TRIAL_WIDENED: "the canary did no harm: every pod takes the trial's setting now",
    Reason.PROFILE_CHANGED: "the profile was changed in mid-trial",
    Reason.ROLLED_BACK: "the last known good setting is in force again",
    Reason.ROLLING_BACK: "the last known good setting is being put back",
    Reason.RESTORED: "the values recorded at adoption are in place",
    Reason.RESTORE_PENDING: "what is to be put back could not be written yet",
    Reason.LAST_KNOWN_GOOD_FAILING: "the last known good setting fails as well: halted, look at the workload",
    Reason.REQUESTED: "done on request",
    Reason.REQUEST_REFUSED: "the request was refused",
    Reason.ADOPTED: "the setting in force was adopted as the incumbent",
    Reason.STABLE: "an accepted setting is in force",
    Reason.SLO_MET: "all SLOs are met",
    Reason.WRITE_FAILED: "a write did not go through and will be tried again",
    Reason.WRITE_REFUSED: "the API server refuses the write: see the message",
    Reason.LEDGER_LOST: "the ledger was lost: the incumbent was read from the workload",
    Reason.INTERNAL_ERROR: "the reconcile failed: see the operator's log",
}
