"""Read: everything that one decision needs, from the API server, once per wake, as plain objects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction

from pegbox.adapters.kube import environment, owners, workload
from pegbox.api import budgets as budget_api
from pegbox.api.translate import Context
from pegbox.api.translate_limits import reason_of
from pegbox.core import restoring, way_back
from pegbox.model import settings_document, units
from pegbox.model.brakes import OPT_OUT_ANNOTATION, parse_opt_out
from pegbox.model.errors import InvalidInput, NotFound, NotServed
from pegbox.model.knobs import Knob, LocationKind, SearchSpace, Setting
from pegbox.model.observations import Missing
from pegbox.model.profile import Mode, ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Acknowledgement, Document, Request, SharedBudgetFacts, Workload
from pegbox.model.trials import Ledger
from pegbox.ports import (
    ADMISSION_BINDING,
    ADMISSION_POLICY,
    BUDGET,
    CLASS,
    CONFIG_MAP,
    DEPLOYMENT,
    HPA,
    LEDGER,
    POD,
    POD_ENVIRONMENT,
    PROFILE,
    REPLICA_SET,
    STATEFUL_SET,
    Cluster,
    Object,
    Ref,
)
from pegbox.runtime import beside, places
from pegbox.runtime.finding import maybe
from pegbox.runtime.parsed import Parsed

ORIGINALS = "pegbox.dev/originals"
PARENTS = "pegbox.dev/parents"
VERB_PREFIX = "pegbox.dev/"
VERBS = ("try", "rollback", "reset", "pause", "resume")
KINDS = {"Deployment": DEPLOYMENT, "StatefulSet": STATEFUL_SET}


@dataclass(frozen=True, slots=True)
class Objects:
    """One profile's objects as they were read: each write names their uid and resourceVersion."""

    profile: Object
    source: str  # the metrics source that the class names
    spec: ProfileSpec
    target: Object | None = None
    class_: Object | None = None  # as it was read with the profile, where it was
    pods: tuple[Object, ...] = ()
    workload: Workload | Missing = Missing(Reason.TARGET_NOT_FOUND)
    own_config_map: Object | None = None
    config_maps: Mapping[str, Object] = field(default_factory=dict)
    pod_environment: Object | None = None
    environments: bool = True  # does the server know PodEnvironments at all?
    admission: Missing | None = None  # why nothing puts variables into pods; None where it does, or no knob asks for it
    hpa: Object | None = None
    hpas: tuple[Object, ...] = ()
    shared: Mapping[str, Object] = field(default_factory=dict)
    document: Document | Missing = Missing(Reason.NOT_REPORTED, "not written yet")
    ledger: Object | None = None
    stored: Ledger | None = None  # what it says, where that is believed
    ledger_version: str = ""
    ledger_uid: str = ""
    ledger_problem: str = ""
    refusal: Missing | None = None  # why profile or class as they stand now cannot be used: `spec` was read before
    claimed: frozenset[str] = frozenset()  # knobs whose place another profile has
    restoring: bool = False  # a stop of everything asks for the values of the adoption
    known: frozenset[str] = frozenset()  # every knob of the class: of no other one is anything asked or kept

    @property
    def deleting(self) -> bool:
        return bool(self.profile["metadata"].get("deletionTimestamp"))

    @property
    def let_go(self) -> bool:
        """Is it being deleted without waiting for us? Somebody else's finalizer may show it to us all the same."""
        return self.deleting and not places.finalized(self.profile)


class ProfileGone(NotFound):
    """The profile itself does not exist any more; any other NotFound is an object that vanished under a write."""


class Unacceptable(Exception):
    """The profile cannot be worked on: `reason` and a message that names field, value and remedy. `class_`: where it
    could be read."""

    def __init__(self, reason: Reason, message: str, profile: Object, class_: Object | None = None) -> None:
        super().__init__(message)
        self.reason, self.profile, self.class_ = reason, profile, class_


async def read_spec(
    cluster: Cluster, namespace: str, name: str, reported: frozenset[str] | None, parsed: Parsed | None = None
) -> Objects:
    """Profile and class, merged. Raises ProfileGone and Unacceptable."""
    profile = await maybe(cluster, Ref(PROFILE, namespace, name))
    if profile is None:
        raise ProfileGone(f"PerformanceProfile {namespace}/{name} does not exist")
    class_name = profile.get("spec", {}).get("classRef", {}).get("name", "")
    try:
        class_ = await cluster.get(Ref(CLASS, "", class_name))
    except NotFound as error:
        raise Unacceptable(
            Reason.CLASS_NOT_FOUND,
            f"spec.classRef.name: {class_name!r} does not exist: apply it or correct the name",
            profile,
        ) from error
    target = await maybe(cluster, _target_ref(profile, namespace))
    try:
        spec = (parsed or Parsed()).merged(profile, class_, Context(_cpus(profile, target), reported))
    except InvalidInput as error:
        raise Unacceptable(reason_of(error), str(error), profile, class_) from error
    known = frozenset(str(knob["name"]) for knob in class_["spec"]["knobs"])
    return Objects(profile, source_of(class_), spec, target=target, class_=class_, known=known)


def source_of(class_: Object) -> str:
    return named_source(class_["spec"].get("sourceRef"))


def named_source(name: object) -> str:
    """The metrics source of a class that names this one, or none."""
    return str(name or "default")


async def target_again(cluster: Cluster, found: Objects) -> Objects:
    """With the target as it is by now."""
    ref = Ref(KINDS[found.spec.target.kind], found.spec.namespace, found.spec.target.name)
    return replace(found, target=await maybe(cluster, ref))


async def read_rest(cluster: Cluster, found: Objects, parsed: Parsed | None = None) -> Objects:
    """Target, pods, ConfigMaps, HPAs, budgets and ledger. All are read anew: a decision never uses old objects."""
    found = _with_way_back(await _read_ledger(cluster, found, parsed or Parsed()))
    spec = found.spec
    found = await _beside_others(cluster, found)
    own = await maybe(cluster, Ref(CONFIG_MAP, spec.namespace, spec.config_map_name))
    names = sorted({k.location.config_map for k in spec.space.knobs if k.location.config_map})
    maps = {n: m for n in names if (m := await maybe(cluster, Ref(CONFIG_MAP, spec.namespace, n))) is not None}
    hpas = await cluster.list(HPA, spec.namespace)
    acting = tuple(h for h in hpas if owners.targets(h, spec.target.kind, spec.target.name))
    hpa = next((h for h in hpas if spec.autoscaler and h["metadata"]["name"] == spec.autoscaler.name), None)
    shared = {
        b.ref: o
        for b in spec.budgets
        if b.ref and (o := await maybe(cluster, Ref(BUDGET, spec.namespace, b.ref))) is not None
    }
    found = replace(
        found,
        own_config_map=own,
        config_maps=maps,
        hpas=acting,
        hpa=hpa if hpa is not None else (acting[0] if acting and spec.autoscaler is None else None),
        shared=shared,
        document=read_document(own),
    )
    if spec.space.at(LocationKind.POD_ENV):
        found = await _read_admission(cluster, found)
    return await _read_workload(cluster, _with_bounds(found))


async def _read_admission(cluster: Cluster, found: Objects) -> Objects:
    """Our variables for the target's pods, and whether this cluster puts them there."""
    try:
        body = await maybe(cluster, Ref(POD_ENVIRONMENT, found.spec.namespace, found.spec.name))
    except NotServed as error:
        return replace(found, environments=False, admission=Missing(Reason.ADMISSION_UNAVAILABLE, str(error)))
    found = replace(found, pod_environment=body)
    try:
        policy = await maybe(cluster, Ref(ADMISSION_POLICY, "", environment.POLICY))
        binding = await maybe(cluster, Ref(ADMISSION_BINDING, "", environment.POLICY))
    except NotServed as error:
        return replace(found, admission=Missing(Reason.ADMISSION_UNAVAILABLE, str(error)))
    missing = [k.kind for k, body in ((ADMISSION_POLICY, policy), (ADMISSION_BINDING, binding)) if body is None]
    if missing:
        detail = f"{' and '.join(missing)} {environment.POLICY} not installed: set podEnvironment.enabled of the chart"
        return replace(found, admission=Missing(Reason.ADMISSION_UNAVAILABLE, detail))
    return found


async def _beside_others(cluster: Cluster, found: Objects) -> Objects:
    """Two profiles must not write one field: one has the target, and the place in a ConfigMap.

    What is under way is put back, and so it is at a deletion, but for what another one has.
    """
    if found.let_go:
        return found
    auto = found.spec.mode is Mode.AUTO
    out = places.out(found.stored, auto=auto)
    side = beside.Side(found.profile, places.of_spec(found.spec), out, auto=auto and found.refusal is None)
    theirs = await beside.claims(cluster, side, found.class_)
    if not theirs:
        return found
    claimed = set[places.Place]().union(*theirs.values())
    texts = (
        f"profile {name} tunes {', '.join(sorted(map(places.in_words, its)))} already" for name, its in theirs.items()
    )
    text = f"{'; '.join(texts)}: remove it from one of the two"
    stored = found.stored
    waits = stored is None or (stored.intent is None and not (found.restoring and restoring.due(stored)))
    if waits and not found.deleting:
        raise Unacceptable(Reason.TARGET_BUSY, text, found.profile)
    refusal = found.refusal or Missing(Reason.TARGET_BUSY, text)
    return replace(found, refusal=refusal, claimed=places.knobs_at(found.spec, claimed))


async def _read_workload(cluster: Cluster, found: Objects) -> Objects:
    spec, target = found.spec, found.target
    if target is None:
        gone = Missing(Reason.TARGET_NOT_FOUND, f"{spec.target.kind} {spec.target.name}")
        return _what_is_left(replace(found, workload=gone))
    labels = workload.selector_text(target)
    pods = tuple(await cluster.list(POD, spec.namespace, labels=labels))
    sets = await cluster.list(REPLICA_SET, spec.namespace, labels=labels) if spec.target.kind == "Deployment" else []
    found = replace(found, pods=pods, workload=workload.decode(target, pods, sets, spec.target.container))
    return _what_is_left(found)


def respecified(found: Objects, spec: ProfileSpec) -> Objects:
    """The same objects, for another reading of profile and class."""
    return _what_is_left(_with_bounds(_with_way_back(replace(found, spec=spec))))


def _with_way_back(found: Objects) -> Objects:
    if found.stored is None:
        return found
    spec = way_back.remembered(found.spec, found.stored, deleting=found.deleting, restoring=found.restoring)
    return replace(found, spec=spec)


def _with_bounds(found: Objects) -> Objects:
    """The spec, with the bounds of the HPA as they stand: one that is no knob may cross what is to be written."""
    bounds = None if found.hpa is None else owners.bounds(found.hpa)
    return replace(found, spec=replace(found.spec, scaled_between=bounds))


def _what_is_left(found: Objects) -> Objects:
    """At a deletion: the knobs whose place still stands. Only those can be put back. Without a target, an object of
    ours that is gone too is not made anew either, which a terminating namespace would refuse for ever."""
    if not found.deleting:
        return found
    left = SearchSpace(tuple(knob for knob in found.spec.space.knobs if _stands(found, knob)))
    return replace(found, spec=replace(found.spec, space=left))


def _stands(found: Objects, knob: Knob) -> bool:
    in_theirs = knob.location.kind in (LocationKind.CONFIG_MAP_KEY, LocationKind.CONFIG_MAP_PATH)
    if found.target is not None and not in_theirs:
        return True
    match knob.location.kind:
        case LocationKind.SETTINGS | LocationKind.ENV:
            return found.own_config_map is not None
        case LocationKind.HPA_MIN | LocationKind.HPA_MAX:
            return found.hpa is not None
        case LocationKind.CONFIG_MAP_KEY | LocationKind.CONFIG_MAP_PATH:
            return knob.location.config_map in found.config_maps
        case LocationKind.REPLICAS | LocationKind.CONTAINER_RESOURCE | LocationKind.POD_ENV:
            return False


async def _read_ledger(cluster: Cluster, found: Objects, parsed: Parsed) -> Objects:
    """A ledger of another profile of the same name, a torn or an edited one is told and not believed."""
    spec = found.spec
    body = await maybe(cluster, Ref(LEDGER, spec.namespace, spec.name))
    if body is None:
        return found
    version = str(body["metadata"].get("resourceVersion", ""))
    found = replace(found, ledger=body, ledger_uid=str(body["metadata"].get("uid", "")))
    try:
        ledger = parsed.decoded(body)
    except InvalidInput as error:
        return replace(found, ledger_version=version, ledger_problem=error.remedy)
    if ledger.profile_uid != spec.uid:
        return replace(found, ledger_version=version, ledger_problem="it belongs to a deleted profile of this name")
    return replace(found, stored=ledger, ledger_version=version)


def ledger_lost(found: Objects) -> str:
    """Why the ledger is not believed, or that it is gone although we wrote settings; "" where all is well."""
    document = found.document
    if found.stored is not None:
        return ""
    if found.ledger_version:
        return found.ledger_problem
    ours = not isinstance(document, Missing) and document.profile_uid == found.spec.uid
    ours = ours or _our_variables(found)
    return "it does not exist any more: the incumbent is read from the workload" if ours else ""


def read_document(own: Object | None) -> Document | Missing:
    """Our settings document; Missing where the ConfigMap, the key or its sense is gone."""
    text = (own or {}).get("data", {}).get(settings_document.KEY)
    if text is None:
        return Missing(Reason.NOT_REPORTED, "the settings document does not exist")
    try:
        return settings_document.parse(text)
    except InvalidInput as error:
        return Missing(Reason.CONFIG_UNREADABLE, f"{settings_document.KEY}: {error.remedy}")  # of whoever edited it


def with_acknowledgements(found: Objects, acks: Mapping[str, Acknowledgement] | Missing) -> Objects:
    """Pods with what they say they run."""
    if isinstance(acks, Missing) or isinstance(found.workload, Missing):
        return found
    pods = tuple(replace(p, ack=acks.get(p.name)) for p in found.workload.pods)
    return replace(found, workload=replace(found.workload, pods=pods))


def budget_facts(found: Objects, now: datetime) -> dict[str, SharedBudgetFacts | Missing]:
    """By name of the SharedBudget."""
    out: dict[str, SharedBudgetFacts | Missing] = {}
    for item in found.spec.budgets:
        if not item.ref:
            continue
        body = found.shared.get(item.ref)
        if body is None:
            out[item.ref] = Missing(Reason.BUDGET_NOT_FOUND, f"SharedBudget {item.ref}")
        else:
            out[item.ref] = budget_api.facts(body, found.spec.uid, now)
    return out


def adopted_before(found: Objects) -> Setting | None:
    """The values at adoption, from the annotation on our own ConfigMap: a lost ledger does not lose them.

    A document of another profile of this name is not ours to restore from.
    """
    document = found.document
    another = not isinstance(document, Missing) and document.profile_uid != found.spec.uid
    texts = {} if another else noted(found.own_config_map)
    if _our_variables(found):
        texts |= noted(found.pod_environment)
    try:
        return found.spec.space.parse(texts) if texts else None
    except ValueError:
        return None


def noted(body: Object | None, key: str = ORIGINALS) -> dict[str, str]:
    """knob -> text, from the annotation on an object of ours; nothing where it cannot be read."""
    annotations = (body or {}).get("metadata", {}).get("annotations") or {}
    try:
        texts = json.loads(annotations.get(key, "{}"))
        return {str(k): str(v) for k, v in texts.items()}
    except (ValueError, AttributeError, RecursionError):
        return {}


def _our_variables(found: Objects) -> bool:
    spec = (found.pod_environment or {}).get("spec") or {}
    return bool(spec.get("env")) and spec.get("profileUID") == found.spec.uid


def requests(found: Objects) -> tuple[Request, ...]:
    """Verbs from the profile's annotations, `pegbox.dev/<verb>: "<token> <argument>"`."""
    annotations = found.profile["metadata"].get("annotations") or {}
    out = []
    for verb in VERBS:
        token, _, argument = str(annotations.get(VERB_PREFIX + verb, "")).strip().partition(" ")
        if token:
            out.append(Request(verb, token[:64], argument.strip()[:1024]))
    return tuple(out)


def echoed_tokens(found: Objects) -> dict[str, str]:
    """verb -> token that the status says was acted on: a lost ledger must not act on them again."""
    listed = (found.profile.get("status") or {}).get("tokens") or []
    return {str(item["name"]): str(item["value"]) for item in listed if item.get("name") in VERBS and "value" in item}


def opt_out(target: Object | None) -> tuple[bool, str]:
    """Does the workload's owner want nothing to be written to it? With what he wrote."""
    annotations = (target or {}).get("metadata", {}).get("annotations") or {}
    return parse_opt_out(annotations.get(OPT_OUT_ANNOTATION))


def gate_reads_writes(spec: ProfileSpec, allow_writes: bool) -> bool:
    """May this profile's workload be written at all?"""
    return allow_writes and spec.mode is Mode.AUTO


def _target_ref(profile: Object, namespace: str) -> Ref:
    ref = profile.get("spec", {}).get("targetRef", {})
    return Ref(KINDS.get(ref.get("kind", ""), DEPLOYMENT), namespace, ref.get("name", ""))


def _cpus(profile: Object, target: Object | None) -> Fraction | None:
    """Cores of the tuned container: its limit, else its request; None where neither is stated."""
    wanted = profile.get("spec", {}).get("targetRef", {}).get("container", "")
    pod = (target or {}).get("spec", {}).get("template", {}).get("spec", {})
    for container in pod.get("containers", []):
        if wanted in ("", container.get("name")):
            resources = container.get("resources", {})
            for side in ("limits", "requests"):
                text = resources.get(side, {}).get("cpu")
                if text is not None:
                    return units.parse_quantity(str(text), "cpu")
            return None
    return None
