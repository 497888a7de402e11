"""Places that a profile's knobs are written to, as texts: the older of two profiles has the place that both name."""

from __future__ import annotations

from collections.abc import Container

from pegbox.model.knobs import LocationKind
from pegbox.model.profile import ProfileSpec
from pegbox.ports import Object


def knobs_at(spec: ProfileSpec, places: Container[str]) -> frozenset[str]:
    """The knobs that live at these places; all of them where it is the target itself."""
    scaler = _scaler_place(spec.autoscaler.name if spec.autoscaler is not None else "")
    found = set()
    for knob in spec.space.knobs:
        where = knob.location
        hpa = where.kind in (LocationKind.HPA_MIN, LocationKind.HPA_MAX)
        place = scaler if hpa else _text_place(where.config_map, where.key, where.path)
        if place in places or _target_place(spec.target.kind, spec.target.name) in places:
            found.add(knob.name)
    return frozenset(found)


def claimed_places(profile: Object) -> set[str]:
    spec = profile.get("spec", {})
    target = spec.get("targetRef", {})
    places = {_target_place(target.get("kind"), target.get("name"))}
    scaler = spec.get("autoscaler", {}).get("ref", {}).get("name")
    if scaler:
        places.add(_scaler_place(scaler))
    for knob in spec.get("knobs", []):
        where = knob.get("location") or {}
        if where.get("configMap"):
            places.add(_text_place(where["configMap"], where.get("key", ""), where.get("path", "")))
    return places


def _target_place(kind: str | None, name: str | None) -> str:
    return f"{kind} {name}"


def _scaler_place(name: str) -> str:
    return f"HorizontalPodAutoscaler {name}"


def _text_place(config_map: str, key: str, path: str) -> str:
    return f"ConfigMap {config_map}/{key}/{path}"
