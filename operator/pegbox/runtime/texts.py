"""Texts of others: what a knob makes of one, and never the text itself.

A profile names a key, a path or a variable, and its author need not be allowed to read what stands there. So what is
said of a text that is no value of the knob (in conditions, Events, logs) is where it stands and what was expected.
"""

from __future__ import annotations

from pegbox.model.errors import InvalidInput
from pegbox.model.knobs import Knob, KnobType, KnobValue
from pegbox.model.observations import Missing
from pegbox.model.reasons import Reason
from pegbox.model.trials import Ledger


def value(knob: Knob, text: str, where: str, reason: Reason, ledger: Ledger | None) -> KnobValue | Missing:
    """The knob's value, or Missing with that reason.

    A choice is one of the knob's, or one that it had when the ledger recorded it: any other text would be a value, too.
    """
    what = f"{where} holds no {knob.type.value} for knob {knob.name}"
    try:
        found = knob.type.parse(text.strip(), where)
    except InvalidInput as error:
        return Missing(reason, f"{what}: {error.remedy}")
    if knob.type is KnobType.CHOICE and found not in knob.choices and not _recorded(knob, found, ledger):
        return Missing(reason, f"{what}: write one of {', '.join(knob.choices)}")
    return found


def _recorded(knob: Knob, found: KnobValue, ledger: Ledger | None) -> bool:
    if ledger is None:
        return False
    intent = ledger.intent
    moves = () if intent is None else (intent.parent, intent.target, *intent.stages)
    return any(s is not None and s.get(knob.name) == found for s in (ledger.incumbent, ledger.adopted, *moves))
