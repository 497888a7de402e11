"""PodEnvironment: variables that admission puts into new pods of one workload: the parameter of a policy."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pegbox.api.profile_wire import TargetKind
from pegbox.api.wire import VARIABLE_PATTERN, EntryName, ObjectName, Wire, by_value, list_map

VariableName = Annotated[str, Field(pattern=VARIABLE_PATTERN, min_length=1, max_length=253)]
"""What a shell takes for a name; Kubernetes allows more."""


class EnvironmentTarget(Wire):
    """The workload whose pods are meant. Pods are told by their controller, never by labels alone."""

    kind: Annotated[TargetKind, by_value(TargetKind)]
    name: ObjectName


class Variable(Wire):
    """One variable. Where its owner states another value than before, or one at all, his stands."""

    name: VariableName
    value: Annotated[str, Field(max_length=1024)]
    over: Annotated[
        str | None,
        Field(
            max_length=1024,
            description="What the template states itself; absent where it states none. Anything else is left alone.",
        ),
    ] = None


class PodEnvironmentSpec(Wire):
    """Written by Pegbox only: whoever may write it decides what these pods start with."""

    profile_uid: Annotated[str, Field(alias="profileUID", max_length=64)]
    target: EnvironmentTarget
    container: EntryName
    env: Annotated[list[Variable], Field(default_factory=list, max_length=64, json_schema_extra=list_map())]
