"""What is remembered between wakes."""

from __future__ import annotations

from pegbox.model.observations import Missing
from pegbox.runtime.memory import Memory
from tests.unit.core.build import at, window


def test_a_clock_set_back_forgets_windows_that_lie_ahead() -> None:
    """Disjoint windows are asked for: one that ended in an hour from now would shut out all others until then."""
    memory = Memory(settled_at=at(60), ledger_saved_at=at(0), status_saved_at=at(0))
    memory.note_time(at(0))
    memory.windows.append(window())
    memory.note_time(at(-3600))
    assert not memory.windows and isinstance(memory.newest, Missing)
    assert (memory.disturbed_at, memory.settled_at) == (at(-3600), None)
    assert (memory.ledger_saved_at, memory.status_saved_at) == (None, None)


def test_time_that_runs_on_forgets_nothing() -> None:
    memory = Memory(settled_at=at(60))
    memory.note_time(at(0))
    memory.windows.append(window())
    memory.note_time(at(30))
    assert len(memory.windows) == 1 and memory.settled_at == at(60)
