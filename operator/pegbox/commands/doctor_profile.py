"""Doctor, one profile: is it accepted, can it be written, does it keep its budgets, what do its pods say?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pegbox.api.status import in_force
from pegbox.commands.findings import Finding, Level, bad, note, ok
from pegbox.commands.fresh import Fresh, read
from pegbox.core import usage
from pegbox.core.guards.workload import unhealthy
from pegbox.model.errors import InvalidInput, NotFound, Refused
from pegbox.model.knobs import KnobMode, LocationKind
from pegbox.model.observations import Missing
from pegbox.model.profile import Mode
from pegbox.model.reasons import SENTENCES, Reason
from pegbox.model.snapshot import Workload
from pegbox.ports import Cluster, MetricsSource, Object
from pegbox.runtime.reading import Unacceptable

REMEDIES = {
    Reason.VOLUME_NOT_HOT: "mount the ConfigMap as a directory, without subPath, into the tuned container",
    Reason.CONFIG_IMMUTABLE: "remove `immutable: true` (recreate the ConfigMap), or choose another location",
    Reason.CONFIG_UNREADABLE: "correct the ConfigMap's text, or the knob's key and path",
    Reason.OWNED_BY_KEDA: "set the bounds in the ScaledObject, or tune replicas elsewhere",
    Reason.OWNED_BY_OTHER: "leave the field out of what its owner applies, or set conflictPolicy: Take",
    Reason.RESIZE_UNSUPPORTED: "state the size in the template, or take the knob out; the message says what is missing",
    Reason.UTILIZATION_TARGET: "let the HPA keep an AverageValue, or pin the knob",
    Reason.OWNED_BY_VPA: "let one of VerticalPodAutoscaler and Pegbox set resources",
}
EXPORT = "export it by pegbox.live (or another way), scrape the pods, or write `initial` for the knob"


async def read_profile(
    cluster: Cluster, source: MetricsSource | None, profile: Object, now: datetime
) -> Fresh | Finding:
    """The fresh read, or why there is none. Raises NotAvailable."""
    meta = profile["metadata"]
    about = f"{meta['namespace']}/{meta['name']}"
    try:
        return await read(cluster, source, (meta["namespace"], meta["name"]), now)
    except Unacceptable as error:
        return bad(about, f"{error.reason.value}: {error}", SENTENCES[error.reason])
    except NotFound:
        return note(about, "it was deleted meanwhile")
    except (Refused, InvalidInput) as error:
        return bad(about, str(error), "grant the right, or correct the object")


def look(profile: Object, fresh: Fresh) -> list[Finding]:
    """Everything but the signals."""
    about = fresh.snapshot.spec.key
    found = [
        *_operator(about, profile),
        *_workload(about, fresh),
        *_values(about, fresh),
        *_acknowledgements(about, fresh),
        *_budgets(about, fresh),
    ]
    if all(f.level is not Level.FINDING for f in found):
        found.insert(0, ok(about, "accepted; target, values and budgets are in order"))
    return found


def _operator(about: str, profile: Object) -> list[Finding]:
    """What the operator itself says of it, if it runs."""
    status, generation = profile.get("status") or {}, int(profile["metadata"].get("generation", 1))
    if not status:
        return [bad(about, "the operator has not written a status", "start it; it serves watchNamespaces only")]
    seen = int(status.get("observedGeneration", 0))
    if seen < generation:
        remedy = "wait one interval; else look at the operator's log"
        return [note(about, f"the operator has seen generation {seen} of {generation}", remedy)]
    told: Mapping[str, Object] = {c["type"]: c for c in status.get("conditions", [])}
    out = []
    for kind, unwanted in (("Ready", "False"), ("Degraded", "True"), ("Conflict", "True")):
        item = told.get(kind)
        if item is not None and item["status"] == unwanted:
            remedy = SENTENCES.get(_reason(item["reason"]), "see kubectl describe perfp")
            out.append(bad(about, f"condition {kind} is {unwanted}: {item['reason']}: {item['message']}", remedy))
    return out


def _reason(text: str) -> Reason:
    try:
        return Reason(text)
    except ValueError:
        return Reason.INTERNAL_ERROR


def _workload(about: str, fresh: Fresh) -> list[Finding]:
    sick = unhealthy(fresh.snapshot.workload)
    if sick is None:
        return []
    return [bad(about, f"{sick.reason.value}: {SENTENCES[sick.reason]}: {sick.detail}", "repair the workload first")]


def _values(about: str, fresh: Fresh) -> list[Finding]:
    """Knobs that may not be written, or whose value nobody knows."""
    out = []
    incumbent = fresh.snapshot.ledger.incumbent
    for knob in fresh.snapshot.spec.space.knobs:
        held = fresh.snapshot.held.get(knob.name)
        if held is None or knob.pinned is not None or knob.mode is KnobMode.RECOMMEND:
            continue
        if held.refusal is not None:
            remedy = REMEDIES.get(held.refusal.reason, SENTENCES[held.refusal.reason])
            out.append(bad(about, f"knob {knob.name} cannot be written: {held.refusal}", remedy))
        if isinstance(held.value, Missing) and (incumbent is None or knob.name not in incumbent):
            out.append(bad(about, f"knob {knob.name}: its value in force is not known: {held.value}", EXPORT))
    return out


def _acknowledgements(about: str, fresh: Fresh) -> list[Finding]:
    """Do the pods say what they run? Only asked where knobs live in the settings document."""
    snapshot = fresh.snapshot
    if not snapshot.spec.space.at(LocationKind.SETTINGS) or not isinstance(snapshot.workload, Workload):
        return []
    if snapshot.acks is not None and snapshot.acks.reason is Reason.METRICS_UNREACHABLE:
        return []  # told once, for the server
    silent = [p.name for p in snapshot.workload.unfinished if p.ack is None]
    if not silent or snapshot.spec.mode is not Mode.AUTO or isinstance(snapshot.document, Missing):
        return []
    text = f"pods do not export pegbox_settings_generation: {', '.join(silent[:3])}"
    more = f" and {len(silent) - 3} more" if len(silent) > 3 else ""
    remedy = "use pegbox.live, and let Prometheus scrape the pods; until then every step waits for ackTimeout"
    return [bad(about, text + more, remedy)]


def _budgets(about: str, fresh: Fresh) -> list[Finding]:
    """Is each budget known, and kept by the setting in force?"""
    snapshot = fresh.snapshot
    setting = in_force(snapshot.ledger, snapshot)
    out = [
        bad(about, f"{facts}", SENTENCES[facts.reason])
        for facts in snapshot.budgets.values()
        if isinstance(facts, Missing)
    ]
    if setting is None or not isinstance(snapshot.workload, Workload):
        return out
    if any(name not in setting for name in snapshot.spec.space.names):
        return out  # its unknown values are told already
    for use in usage.uses(snapshot, snapshot.workload, setting):
        if isinstance(use, usage.Use) and not use.fits:
            text = f"budget {use.name}: the setting in force may use {float(use.used):g} of {float(use.limit):g}"
            remedy = "raise the limit, or lower the values that it counts: until then only lowering moves are made"
            out.append(bad(about, text, remedy))
    return out
