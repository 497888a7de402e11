"""What all wire models share: the base, the texts with their patterns and bounds, and parsing with clear errors.

Every text and list is bounded, because the API server refuses CEL rules over unbounded ones (their cost is
estimated from the bounds). Patterns are RE2, which the API server runs: no lookaround, no backreference.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StrictStr, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from pegbox.model.errors import InvalidInput

GROUP = "pegbox.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$"
PERCENT_PATTERN = r"^[0-9]+(\.[0-9]+)?%$"
DECIMAL_PATTERN = r"^-?[0-9]+(\.[0-9]+)?$"
SUBDOMAIN_PATTERN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
IDENTIFIER_PATTERN = r"^[a-z][a-z0-9_]*$"
SIGNAL_PATTERN = r"^[a-z][a-z0-9_:]*$"
VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"


class Wire(BaseModel):
    """camelCase on the wire, unknown fields refused, nothing coerced, never changed after parsing."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
        use_enum_values=False,
    )


def list_map(*keys: str) -> dict[str, Any]:
    """Schema of a list that merges, and refuses duplicates, by these fields."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys or ("name",))}


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """CEL validations: (rule, message). A message names the field and the remedy."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


IntOrString = Annotated[
    StrictInt | Annotated[StrictStr, Field(max_length=64)],
    Field(json_schema_extra={"x-kubernetes-int-or-string": True}),
]
Duration = Annotated[str, Field(pattern=DURATION_PATTERN, max_length=32, examples=["30s"])]
Percent = Annotated[str, Field(pattern=PERCENT_PATTERN, max_length=16)]
Decimal = Annotated[str, Field(pattern=DECIMAL_PATTERN, max_length=64)]
ObjectName = Annotated[str, Field(pattern=SUBDOMAIN_PATTERN, min_length=1, max_length=253)]
EntryName = Annotated[str, Field(pattern=SUBDOMAIN_PATTERN, min_length=1, max_length=63)]
KnobName = Annotated[str, Field(pattern=IDENTIFIER_PATTERN, min_length=1, max_length=63)]
SignalName = Annotated[str, Field(pattern=SIGNAL_PATTERN, min_length=1, max_length=80)]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, max_length=40)]
Text = Annotated[str, Field(max_length=1024)]
ShortText = Annotated[str, Field(max_length=253)]


def by_value(kind: type[Enum]) -> BeforeValidator:
    """Reads an enum from its text; strict pydantic would take enum members only."""
    known = {str(member.value): member for member in kind}

    def take(raw: object) -> object:
        if isinstance(raw, kind) or not isinstance(raw, str):
            return raw
        if raw not in known:
            raise PydanticCustomError("enum", "write one of {expected}", {"expected": ", ".join(known)})
        return known[raw]

    return BeforeValidator(take)


class Reference(Wire):
    """An object of the same namespace (or of the cluster), by name."""

    name: ObjectName


class NamedValue(Wire):
    """One entry of a list that says knob -> value, or the like."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    value: Annotated[str, Field(max_length=253)]


_Model = TypeVar("_Model", bound=Wire)


def read(model: type[_Model], raw: object, field: str) -> _Model:
    """The model of a plain dict, or InvalidInput naming the first field that is wrong, its value and the remedy."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise _explain(model, raw, field, error) from error


def _explain(model: type[Wire], raw: object, field: str, error: ValidationError) -> InvalidInput:
    first = min(error.errors(), key=lambda e: e["type"] == "missing")
    path = first["loc"]
    where = _path(field, raw, path)
    if first["type"] == "extra_forbidden":
        return InvalidInput(where, first["input"], _unknown_remedy(model, path))
    if first["type"] == "missing":
        return InvalidInput(where, "(absent)", "this field is required: add it")
    others = f" (and {error.error_count() - 1} more errors)" if error.error_count() > 1 else ""
    return InvalidInput(where, first["input"], _remedy(first) + others)


def _remedy(error: Mapping[str, Any]) -> str:
    match error["type"]:
        case "string_pattern_mismatch":
            return _PATTERN_REMEDIES.get(error["ctx"]["pattern"], f"match the pattern {error['ctx']['pattern']}")
        case "int_type" | "string_type" if isinstance(error["input"], float | bool):
            return "write it in quotes"
        case _:
            return str(error["msg"])


_PATTERN_REMEDIES = {
    DURATION_PATTERN: "write a duration such as 500ms, 30s, 10m or 1h30m",
    PERCENT_PATTERN: 'write a percentage such as "95%"',
    DECIMAL_PATTERN: 'write a decimal number in quotes, such as "0.8"',
    SUBDOMAIN_PATTERN: "write lower-case letters, digits, - and . only, beginning and ending with a letter or digit",
    IDENTIFIER_PATTERN: "write lower-case letters, digits and _ only, beginning with a letter",
    SIGNAL_PATTERN: "write lower-case letters, digits, _ and : only, beginning with a letter",
}


def _path(field: str, raw: object, path: tuple[int | str, ...]) -> str:
    """`spec.knobs[pool_size].min`: entries of list maps are named, since people count names, not positions."""
    text, at = field, raw
    for step in path:
        if isinstance(at, list) and isinstance(step, int) and step < len(at):
            at = at[step]
            name = at.get("name") if isinstance(at, dict) else None
            text += f"[{name if isinstance(name, str) else step}]"
        elif isinstance(at, dict) and isinstance(step, str):
            at = at.get(step)
            text += f".{step}"
    return text


def _unknown_remedy(model: type[Wire], path: tuple[int | str, ...]) -> str:
    known = _fields_at(model, path[:-1])
    return f"there is no such field: {suggest(str(path[-1]), known)}"


def _fields_at(model: type[Wire], path: tuple[int | str, ...]) -> list[str]:
    """Aliases of the fields of the model nested at a path; follows lists and optional fields."""
    schema: Any = model.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    for step in (*path, None):
        while "$ref" in schema or "anyOf" in schema or "allOf" in schema:
            arms = schema.get("anyOf") or schema.get("allOf") or [schema]
            chosen: dict[str, Any] = next(
                (arm for arm in arms if "$ref" in arm or arm.get("type") in ("array", "object")), {}
            )
            schema = definitions[chosen["$ref"].rsplit("/", 1)[-1]] if "$ref" in chosen else chosen
        if step is not None:
            schema = schema.get("items", {}) if isinstance(step, int) else schema.get("properties", {}).get(step, {})
    return sorted(schema.get("properties", {}))


def suggest(wrong: str, known: list[str] | tuple[str, ...]) -> str:
    """`did you mean X? known: A, B`: what to write in place of a name that nobody knows."""
    close = difflib.get_close_matches(wrong, known, n=1)
    listed = ", ".join(known) if known else "none"
    return f"did you mean {close[0]!r}? known: {listed}" if close else f"known: {listed}"
