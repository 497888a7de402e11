"""The company that Pegbox is compared with, by the name that the tables show, in their order."""

from __future__ import annotations

from pegbox.bench.tuners.base import Make
from pegbox.bench.tuners.coward import Coward
from pegbox.bench.tuners.forest import rf_ei
from pegbox.bench.tuners.gp import gp_cei, gp_ei
from pegbox.bench.tuners.nothing import Nothing
from pegbox.bench.tuners.one_knob import OneKnob
from pegbox.bench.tuners.tpe import tpe, tpe_box

COMPANY: dict[str, Make] = {
    "nothing": Nothing,
    "coward": Coward,
    "one-knob": OneKnob,
    "tpe": tpe,
    "tpe-box": tpe_box,
    "gp-ei": gp_ei,
    "gp-cei": gp_cei,
    "rf-ei": rf_ei,
}
