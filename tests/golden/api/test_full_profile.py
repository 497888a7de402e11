"""The full sample and the shipped class, merged: every value, readable. PEGBOX_UPDATE_GOLDEN=1 writes it anew."""

from __future__ import annotations

import os
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import yaml

from pegbox.api.translate import Context, to_model
from pegbox.model.knobs import Knob
from pegbox.model.profile import ProfileSpec

HERE = Path(__file__).parent
MANIFESTS = HERE.parents[2] / "manifests"


def in_words(spec: ProfileSpec) -> str:
    """One line per field, one per knob, one per signal."""
    lines = [f"{f.name}: {getattr(spec, f.name)}" for f in fields(spec) if f.name not in ("space", "signals", "roles")]
    lines += [f"role {name}: {role.value}" for name, role in spec.roles.items()]
    lines += [f"signal {s.name}: {s.kind.value} for {s.purpose.value}" for s in spec.signals]
    return "\n".join([*lines, *(knob_in_words(knob) for knob in spec.space.knobs), ""])


def knob_in_words(knob: Knob) -> str:
    def text(value: object) -> str:
        return knob.type.format(value) if isinstance(value, Fraction | bool | str) else "-"

    limits = f"{text(knob.minimum)}..{text(knob.maximum)}"
    value = f"pinned {text(knob.pinned)}" if knob.pinned is not None else f"default {text(knob.default)}"
    place = f"{knob.location}, {knob.effect.value}"
    return f"knob {knob.name}: {knob.type.value} {limits}, {value}, {knob.mode.value}, {place}"


def test_the_full_sample_means_what_is_kept_here() -> None:
    profile = yaml.safe_load((MANIFESTS / "samples" / "full.yaml").read_text())
    class_ = yaml.safe_load((MANIFESTS / "classes" / "python-worker.yaml").read_text())
    found = in_words(to_model(profile, class_, Context(cpus=Fraction(4))))
    file = HERE / "full-profile.txt"
    if os.environ.get("PEGBOX_UPDATE_GOLDEN") == "1":
        file.write_text(found)
    assert file.read_text() == found
