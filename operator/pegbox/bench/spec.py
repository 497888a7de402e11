"""A task for `pegbox bench tune`: which columns of a table are knobs, what is measured, what it costs. YAML.

    name: kruize-5
    csv: kruize/experiment-5/experiment-data.csv   # in --data, or beside the spec
    mode: Surrogate                                # | TableGlobal | TableSafe
    order: TRIALS                                  # the column that numbers the rows
    metric: {column: THROUGHPUT_RATE_3m, better: Higher, failed: ["99999", "0"], noise: THRPT_WRK_CI}
    price: {CPU_REQ: "0.0316", MEM_REQ: "0.0042"}  # per unit of the knob: core, GiB; none: the metric alone counts
    least: "0.97"                                  # the metric asked for, beside the start's
    floor: "0.9"                                   # below it a step is unsafe
    steps: 60
    starts: {good: "59", mis-set: "17"}            # values of the order column; without one, drawn by the mode
    knobs:
    - {name: CPU_REQ, type: Cpu}
    - {name: QRKS_TP_QUEUESIZE, type: Integer, scale: Log}
    - {name: TieredCompilation, type: Boolean}

Bounds that are not given are those of the column. Tables may name `groupBy`, a column or a number of consecutive rows,
of which `group` picks one: blocks that were measured under something that the table does not name.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from pegbox.adapters.yamlfile import load_all
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import KnobType

Text = Annotated[str, BeforeValidator(lambda value: value if isinstance(value, bool) else str(value))]


class Mode(StrEnum):
    """What may be asked: any setting of a model of the table, any row, or rows near the incumbent."""

    SURROGATE = "Surrogate"
    TABLE_GLOBAL = "TableGlobal"
    TABLE_SAFE = "TableSafe"


class Scale(StrEnum):
    LINEAR = "Linear"
    LOG = "Log"


class Better(StrEnum):
    HIGHER = "Higher"
    LOWER = "Lower"


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class KnobColumn(_Part):
    """One knob: a column of that name. `min` and `max` are texts of the type; the column's own where absent."""

    name: str = Field(min_length=1)
    type: KnobType = KnobType.INTEGER
    scale: Scale | None = None
    min: Text | None = None
    max: Text | None = None


class Metric(_Part):
    """What was measured. `failed`: texts that stand for a trial that brought none; an empty cell always does.
    `noise`: a column of 95 % confidence intervals in percent, or absent for 2 %.
    """

    column: str
    better: Better = Better.HIGHER
    failed: tuple[Text, ...] = ()
    noise: str | None = None


class Spec(_Part):
    """One task, or one for each start."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    csv: str
    mode: Mode = Mode.SURROGATE
    order: str | None = None
    metric: Metric
    price: dict[str, Decimal] = Field(default_factory=dict)
    least: Decimal = Field(default=Decimal(0), ge=0, le=1)
    floor: Decimal = Field(default=Decimal("0.9"), gt=0, le=1)
    steps: int = Field(default=60, ge=1, le=1000)
    starts: dict[str, Text] = Field(default_factory=dict)
    group_by: str | Annotated[int, Field(ge=1)] | None = None
    group: Text | None = None
    knobs: tuple[KnobColumn, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Spec:
        names = [knob.name for knob in self.knobs]
        double = sorted({name for name in names if names.count(name) > 1})
        if double:
            raise InvalidInput("knobs", ", ".join(double), "it stands there twice: name each knob once")
        numeric = {knob.name for knob in self.knobs if knob.type.numeric}
        unknown = sorted(set(self.price) - numeric)
        if unknown:
            raise InvalidInput("price", ", ".join(unknown), "it is no knob with a number: name one of the knobs")
        if any(value < 0 for value in self.price.values()) or (self.price and not any(self.price.values())):
            shown = {name: str(value) for name, value in self.price.items()}
            raise InvalidInput("price", shown, "write prices of 0 or more, one of them above 0")
        if self.mode is Mode.SURROGATE and not (self.starts and self.order):
            remedy = "a Surrogate names its start rows, and as `order` the column that numbers them"
            raise InvalidInput("starts", self.starts, remedy)
        if self.metric.column in names or self.order in names:
            raise InvalidInput("knobs", self.metric.column, "neither the metric nor the order column is a knob")
        if self.group is not None and self.group_by is None:
            raise InvalidInput("group", self.group, "name groupBy as well, a column or a number of rows")
        if isinstance(self.group_by, int) and not (self.group or "0").isdecimal():
            raise InvalidInput("group", self.group, "write the number of a block, from 0: groupBy is a number of rows")
        return self


def read(path: Path) -> Spec:
    """The spec in a file. Raises InvalidInput, which names the field, its value and the remedy."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InvalidInput("--spec", str(path), f"name a file that can be read: {error.strerror}") from error
    bodies = load_all(raw, "--spec", str(path))
    if len(bodies) != 1:
        raise InvalidInput("--spec", str(path), f"it has {len(bodies)} documents: write one spec to a file")
    try:
        return Spec.model_validate(bodies[0])
    except ValidationError as error:
        first = error.errors()[0]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, InvalidInput):
            raise InvalidInput(f"{path.name}: {cause.field}", cause.value, cause.remedy) from error
        field = ".".join(str(part) for part in first["loc"]) or "spec"
        raise InvalidInput(f"{path.name}: {field}", first.get("input"), first["msg"]) from error


def located(spec: Spec, path: Path, data: Path | None) -> Path | None:
    """The CSV of a spec that stands at `path`: in the data folder, else beside the spec; None where in neither."""
    places = [folder / spec.csv for folder in (data, path.parent) if folder is not None]
    return next((place for place in places if place.is_file()), None)
