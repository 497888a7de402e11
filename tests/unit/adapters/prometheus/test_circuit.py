"""When a server that does not answer is asked again."""

from __future__ import annotations

from pegbox.adapters.prometheus.circuit import Circuit
from pegbox.model.reasons import Reason


def opened() -> Circuit:
    circuit = Circuit(failures_to_open=3, pause=10.0, longest_pause=35.0)
    for _ in range(3):
        assert circuit.refusal(100.0) is None
        circuit.failed(100.0, "refused")
    return circuit


def test_the_server_is_left_alone_after_three_failures_in_a_row() -> None:
    refusal = opened().refusal(109.9)
    assert refusal is not None
    assert refusal.reason is Reason.METRICS_UNREACHABLE
    assert "refused" in refusal.detail


def test_two_failures_are_not_three_and_an_answer_starts_over() -> None:
    circuit = Circuit(failures_to_open=3)
    for _ in range(5):
        circuit.failed(0.0, "x")
        circuit.failed(0.0, "x")
        circuit.succeeded()
        assert circuit.refusal(0.0) is None


def test_after_the_pause_one_probe_goes_through() -> None:
    circuit = opened()
    assert circuit.refusal(110.0) is None
    assert circuit.refusal(110.0) is not None
    circuit.succeeded()
    assert circuit.refusal(110.0) is None


def test_each_failed_probe_doubles_the_pause_up_to_the_longest() -> None:
    circuit, now = opened(), 110.0
    for pause in (20.0, 35.0, 35.0):  # 10 x 2, then 40 and 80, cut to 35
        assert circuit.refusal(now) is None
        circuit.failed(now, "again")
        assert circuit.refusal(now + pause - 0.1) is not None
        now += pause
