"""Held values: what each knob is at where it lives, who owns the place, and whether we may write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from pegbox.adapters.kube import configmaps, owners
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Effect, Knob, KnobType, KnobValue, Location, LocationKind
from pegbox.model.observations import Missing
from pegbox.model.profile import ProfileSpec
from pegbox.model.reasons import Reason
from pegbox.model.snapshot import Held, Workload
from pegbox.model.trials import Ledger
from pegbox.ports import Object
from pegbox.runtime import pod_env, sizes, texts
from pegbox.runtime.reading import Objects

Reported = Mapping[str, Mapping[str, float]] | Missing
"""pod -> knob -> value in base units, from the application's own metrics."""


def held(found: Objects, reported: Reported, ledger: Ledger | None = None) -> dict[str, Held]:
    """Every knob of the profile, by name. `ledger`: what this process knows, where the stored one is gone."""
    ledger = ledger if ledger is not None else found.stored
    return {knob.name: _held(found, knob, reported, ledger) for knob in found.spec.space.knobs}


def _held(found: Objects, knob: Knob, reported: Reported, ledger: Ledger | None) -> Held:
    match knob.location.kind:
        case LocationKind.CONTAINER_RESOURCE:
            return sizes.container_size(found, knob, ledger, _consent)
        case LocationKind.POD_ENV:
            agreed: pod_env.Agreed = lambda found, knob: _agreed(found, knob, reported)  # noqa: E731
            return pod_env.held(pod_env.Asking(found, ledger, agreed, _consent), knob)
        case LocationKind.SETTINGS:
            return _settings(found, knob, reported)
        case LocationKind.ENV:
            return _env(found, knob, reported, ledger)
        case LocationKind.CONFIG_MAP_KEY | LocationKind.CONFIG_MAP_PATH:
            return _config_map(found, knob, ledger)
        case LocationKind.HPA_MIN | LocationKind.HPA_MAX:
            return _hpa(found, knob)
        case LocationKind.REPLICAS:
            return _replicas(found, knob)


def _settings(found: Objects, knob: Knob, reported: Reported) -> Held:
    """Ours by construction. The document's value where there is one, else what the pods agree on."""
    refusal = _volume(found, found.spec.config_map_name) if knob.effect is Effect.HOT else None
    document = found.document
    if not isinstance(document, Missing) and document.profile_uid == found.spec.uid and knob.name in document.values:
        return Held(_parse(knob, document.values[knob.name]), document.values[knob.name], refusal=refusal)
    return Held(_agreed(found, knob, reported), refusal=refusal)


def _env(found: Objects, knob: Knob, reported: Reported, ledger: Ledger | None) -> Held:
    data = (found.own_config_map or {}).get("data", {})
    key = knob.location.key or knob.name.upper()
    if key in data:
        where = f"ConfigMap {found.spec.config_map_name}/{key}"
        return Held(texts.value(knob, data[key], where, Reason.CONFIG_UNREADABLE, ledger), data[key])
    return Held(_agreed(found, knob, reported))


def _agreed(found: Objects, knob: Knob, reported: Reported) -> KnobValue | Missing:
    """The one value that all pods report; Missing where they do not, or differ."""
    if isinstance(reported, Missing):
        return reported
    workload = found.workload
    names = {p.name for p in workload.unfinished} if isinstance(workload, Workload) else set()
    seen = {values[knob.name] for pod, values in reported.items() if pod in names and knob.name in values}
    if len(seen) != 1:
        return Missing(Reason.NOT_REPORTED, f"{knob.name}: {len(seen)} different values reported")
    return from_metric(knob, seen.pop())


def from_metric(knob: Knob, value: float) -> KnobValue | Missing:
    """A metric's float as the knob's exact value."""
    if knob.type is KnobType.BOOLEAN:
        return value != 0
    if knob.type is KnobType.CHOICE:
        return Missing(Reason.NOT_REPORTED, f"{knob.name}: a choice is no number: set `initial`")
    return round(Fraction(str(value)) / knob.unit) * knob.unit


def _config_map(found: Objects, knob: Knob, ledger: Ledger | None) -> Held:
    where = knob.location
    body = found.config_maps.get(where.config_map)
    if body is None:
        return Held(Missing(Reason.NOT_REPORTED, f"ConfigMap {where.config_map} does not exist"))
    uid = body["metadata"]["uid"]
    text = body.get("data", {}).get(where.key)
    if text is None:
        gone = _no_text(body, where)
        return Held(gone, refusal=gone, object_uid=uid)
    place = f"ConfigMap {'/'.join(part for part in (where.config_map, where.key, where.path) if part)}"
    try:
        raw = configmaps.read_path(text, where.path) if where.path else text
    except InvalidInput as error:  # its remedy says what is wrong, and nothing of what stands there
        value: KnobValue | Missing = Missing(Reason.CONFIG_UNREADABLE, f"{place}: {error.remedy}")
    else:
        value = texts.value(knob, raw, place, Reason.CONFIG_UNREADABLE, ledger)
    if isinstance(value, Missing):
        return Held(value, refusal=value, object_uid=uid)  # without the text: it is no value, so nothing restores it
    refusal = _volume(found, where.config_map) if knob.effect is Effect.HOT else None
    if body.get("immutable"):
        refusal = Missing(Reason.CONFIG_IMMUTABLE, where.config_map)
    return _consent(found.spec, knob, body, owners.data_key(where.key), Held(value, raw, refusal=refusal))


def _no_text(body: Object, where: Location) -> Missing:
    """Why a key has no text. It is never made by us: there is nothing to put back then, and the server takes no key
    twice, be it among what is no text."""
    if where.key in body.get("binaryData", {}):
        detail = f"{where.config_map} holds {where.key} in binaryData: move it to data"
    else:
        detail = f"{where.config_map} has no key {where.key}: write it with the value in force"
    return Missing(Reason.CONFIG_UNREADABLE, detail)


def _hpa(found: Objects, knob: Knob) -> Held:
    """The HPA that the profile creates is ours; an existing one needs consent."""
    scaler = found.spec.autoscaler
    body = found.hpa
    if body is None:
        created = scaler is not None and scaler.create
        missing = Missing(Reason.NOT_REPORTED, "the HPA does not exist")
        return Held(missing, refusal=None if created else missing)
    low = knob.location.kind is LocationKind.HPA_MIN
    path = owners.MIN_REPLICAS if low else owners.MAX_REPLICAS
    refusal = owners.keda(body, path) or _scales_another(found, body)
    count = owners.bounds(body)[0 if low else 1]
    return _consent(found.spec, knob, body, path, Held(Fraction(count), str(count), refusal=refusal))


def _scales_another(found: Objects, body: Object) -> Missing | None:
    """A name that is misspelt, or an HPA that its owner gave another target: its bounds are not this workload's."""
    target = found.spec.target
    scaler = found.spec.autoscaler
    if owners.targets(body, target.kind, target.name) or scaler is None:
        return None
    named = "spec.autoscaler.create" if scaler.create else "spec.autoscaler.ref.name"
    detail = f"HPA {body['metadata']['name']} does not scale {target.kind} {target.name}"
    return Missing(Reason.OWNED_BY_OTHER, f"{detail}: name the one that does in {named}, or remove it")


def _replicas(found: Objects, knob: Knob) -> Held:
    """/scale only where nothing else holds it: no HPA, no KEDA, no VPA, no other field manager."""
    body = found.target
    if body is None:
        return Held(Missing(Reason.TARGET_NOT_FOUND))
    count = body["spec"].get("replicas", 1)
    value = Held(Fraction(count), str(count), object_uid=body["metadata"]["uid"])
    if found.hpas or found.spec.autoscaler is not None:
        names = ", ".join(h["metadata"]["name"] for h in found.hpas) or "created by this profile"
        refusal = Missing(Reason.OWNED_BY_OTHER, f"the HPA ({names}) sets spec.replicas: tune its bounds instead")
        return replace(value, refusal=refusal)
    sized = owners.vpa(found.pods)
    if sized is not None:
        return replace(value, refusal=sized)
    return _consent(found.spec, knob, body, owners.REPLICAS, value)


def _consent(spec: ProfileSpec, knob: Knob, body: Object, path: owners.Path, value: Held) -> Held:
    """Refused while another field manager holds the place, unless the profile says Take."""
    others = owners.owners(body, path)
    entries = tuple(str(e) for e in owners.entries_owning(body, path) if e.manager in others)
    value = replace(value, owners=others, entries=entries, object_uid=body["metadata"]["uid"])
    if value.refusal is not None or not others or spec.takes(knob.name):
        return value
    detail = owners.holders(body, path)
    remedy = "leave it out of what you apply, or set conflictPolicy: Take"
    return replace(value, refusal=Missing(Reason.OWNED_BY_OTHER, f"{detail}: {remedy}"))


def _volume(found: Objects, config_map: str) -> Missing | None:
    """A mount with subPath never changes in a running pod; neither does a ConfigMap read only as env. Without a target
    nobody reads it."""
    if found.target is None:
        return None
    pod = found.target.get("spec", {}).get("template", {}).get("spec", {})
    volumes = {
        v["name"]
        for v in pod.get("volumes", [])
        if v.get("configMap", {}).get("name") == config_map
        or any(s.get("configMap", {}).get("name") == config_map for s in v.get("projected", {}).get("sources", []))
    }
    mounts = [
        m
        for c in pod.get("containers", [])
        if found.spec.target.container in ("", c.get("name"))
        for m in c.get("volumeMounts", [])
        if m.get("name") in volumes
    ]
    if any(m.get("subPath") or m.get("subPathExpr") for m in mounts):
        return Missing(Reason.VOLUME_NOT_HOT, f"ConfigMap {config_map} is mounted with subPath: mount the directory")
    if not mounts:
        remedy = f"mount ConfigMap {config_map} as a directory (optional: true) into the container"
        return Missing(Reason.VOLUME_NOT_HOT, f"ConfigMap {config_map} is not mounted: {remedy}")
    return None


def _parse(knob: Knob, text: str) -> KnobValue | Missing:
    try:
        return knob.type.parse(text, f"knob {knob.name}")
    except InvalidInput as error:
        return Missing(Reason.CONFIG_UNREADABLE, f"knob {knob.name} in the settings document: {error.remedy}")
