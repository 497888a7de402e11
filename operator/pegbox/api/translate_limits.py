"""Budgets and class rules: do they name known knobs, and can any setting meet them?"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from pegbox.api import profile_wire
from pegbox.api.class_wire import ClassSpecWire
from pegbox.api.wire import suggest
from pegbox.core import budget
from pegbox.core import rules as core_rules
from pegbox.model import units
from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Knob, LocationKind, SearchSpace, Setting
from pegbox.model.profile import BudgetSpec, ProfileSpec
from pegbox.model.reasons import Reason


class BudgetUnsatisfiable(InvalidInput):
    """No setting within the limits meets the budget."""

    reason = Reason.BUDGET_UNSATISFIABLE


def reason_of(error: InvalidInput) -> Reason:
    """The reason that the condition Accepted shows for a refused profile."""
    return error.reason if isinstance(error, BudgetUnsatisfiable) else Reason.INVALID_SPEC


def rules(knowledge: ClassSpecWire, class_name: str, space: SearchSpace) -> tuple[str, ...]:
    """The class's rules that this profile's knobs can break. Raises InvalidInput for rules that nobody could."""
    kept: list[str] = []
    knobs = {k.name: k for k in knowledge.knobs}
    for wire in knowledge.rules:
        where = f"class {class_name}: spec.rules[{wire.name}].expr"
        names = core_rules.parse(wire.expr, where).names
        for name in sorted(names):
            if name not in knobs:
                remedy = f"the class has no knob {name}: {suggest(name, sorted(knobs))}"
                raise InvalidInput(where, wire.expr, remedy)
            if not knobs[name].type.numeric:
                raise InvalidInput(where, wire.expr, f"{name} is not a number: rules compare numeric knobs")
        if names <= set(space.names):
            _refuse_pinned(wire.expr, wire.message, space)
            kept.append(wire.expr)
    return tuple(kept)


def _refuse_pinned(text: str, message: str, space: SearchSpace) -> None:
    """Where every knob of a rule is pinned, the profile itself breaks or keeps it."""
    rule = core_rules.parse(text)
    pinned = {name: space[name].pinned for name in rule.names}
    if all(isinstance(value, Fraction) for value in pinned.values()) and not rule.holds(pinned):
        raise InvalidInput(f"spec.knobs[{min(rule.names)}].value", text, f"the class forbids it: {message}")


def budgets(wires: Sequence[profile_wire.Budget], space: SearchSpace) -> tuple[BudgetSpec, ...]:
    """Raises InvalidInput."""
    found: dict[str, BudgetSpec] = {}
    for wire in wires:
        if wire.name in found:
            raise InvalidInput("spec.budgets", wire.name, "this name stands twice: merge the two entries into one")
        found[wire.name] = _budget(wire, space)
        _refuse_shared_twice(found)
    return tuple(found.values())


def _refuse_shared_twice(found: dict[str, BudgetSpec]) -> None:
    """A profile has one claim per SharedBudget: two uses of it are one sum."""
    refs = [item.ref for item in found.values() if item.ref]
    twice = next((ref for ref in refs if refs.count(ref) > 1), None)
    if twice is not None:
        raise InvalidInput("spec.budgets[].budgetRef.name", twice, "two budgets name it: add up their uses in one")


def _budget(wire: profile_wire.Budget, space: SearchSpace) -> BudgetSpec:
    where = f"spec.budgets[{wire.name}]"
    numeric = sorted(k.name for k in space.knobs if k.type.numeric)
    for name in sorted(budget.parse(wire.uses, f"{where}.uses").knobs):
        if name not in numeric:
            remedy = f"{name} is no numeric knob of this profile: {suggest(name, ['pods', *numeric])}"
            raise InvalidInput(f"{where}.uses", wire.uses, remedy)
        if (space[name].minimum or 0) < 0:
            raise InvalidInput(f"{where}.uses", wire.uses, f"{name} may be negative: set spec.knobs[{name}].min to 0")
    if (wire.limit is None) == (wire.budget_ref is None):
        found = "both" if wire.limit is not None else "neither"
        raise InvalidInput(where, found, "give exactly one of limit and budgetRef")
    limit = None if wire.limit is None else units.parse_quantity(units.text_of(wire.limit, where), f"{where}.limit")
    return BudgetSpec(wire.name, wire.uses, limit, wire.budget_ref.name if wire.budget_ref else "")


def smallest(space: SearchSpace) -> Setting:
    """The least that every numeric knob may be: no setting uses less of any budget."""
    return Setting({k.name: _least(k) for k in space.knobs if k.type.numeric})


def fewest_pods(spec: ProfileSpec) -> Fraction:
    """The least that `pods` can mean, counting what the autoscaler may add."""
    scaled = spec.space.at(LocationKind.HPA_MAX, LocationKind.REPLICAS)  # never both: the HPA sets replicas
    return _least(scaled[0]) if scaled else Fraction(spec.autoscaler.max_replicas if spec.autoscaler else 1)


def check_satisfiable(spec: ProfileSpec) -> None:
    """Raises BudgetUnsatisfiable where even the smallest setting exceeds a budget's own limit."""
    low, pods = smallest(spec.space), fewest_pods(spec)
    for item in spec.budgets:
        if item.limit is None:
            continue
        used = budget.evaluate(item.uses, low, pods)
        if used > item.limit:
            text = units.format_decimal(used)
            remedy = f"the smallest setting with {pods} pods uses {text}: raise the limit or lower a knob's min"
            where = f"spec.budgets[{item.name}].limit"
            raise BudgetUnsatisfiable(where, units.format_decimal(item.limit), remedy)


def _least(knob: Knob) -> Fraction:
    if isinstance(knob.pinned, Fraction):
        return knob.pinned
    return Fraction(0) if knob.minimum is None else knob.minimum
