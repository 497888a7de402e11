"""SharedBudget: something that several workloads of a namespace share, and who claims how much of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from pegbox.api.wire import Time, Wire, by_value, list_map, rules

MAX_CLAIMS = 200


class TrialSlot(StrEnum):
    """Whether this holder tries something that uses the budget: one at a time, or trials confound each other."""

    HOLDING = "Holding"
    NONE = "None"


class SharedBudgetSpec(Wire):
    """How much there is. `reserve` is never granted: it is for people, migrations and the like."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "self.reserve <= self.capacity",
                "spec.reserve must not be greater than capacity: lower reserve or raise capacity",
            )
        )
    )

    capacity: Annotated[int, Field(ge=0, le=2_000_000_000)]
    reserve: Annotated[int, Field(ge=0, le=2_000_000_000)] = 0
    unit: Annotated[str, Field(max_length=63)] = "units"


class Claim(Wire):
    """One profile's share. It counts until `expires`; a running operator renews it."""

    uid: Annotated[str, Field(min_length=1, max_length=64, description="The holder's uid.")]
    holder: Annotated[str, Field(max_length=320, description="namespace/name of the profile.")]
    amount: Annotated[int, Field(ge=0, le=2_000_000_000)]
    expires: Time
    trial: Annotated[TrialSlot, by_value(TrialSlot)] = TrialSlot.NONE


class SharedBudgetStatus(Wire):
    """Claims are granted by compare-and-swap on resourceVersion."""

    claimed: Annotated[int | None, Field(ge=0)] = None
    trial: Annotated[str | None, Field(max_length=320, description="Holder of the trial slot.")] = None
    claims: Annotated[
        list[Claim], Field(default_factory=list, max_length=MAX_CLAIMS, json_schema_extra=list_map("uid"))
    ]
