"""Queueing formulas against values worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pegbox.learning.queueing import bounded_wait, occupancy, sakasegawa_wait, utilisation


def _wait(rho: float, servers: float, capacity: float, variability: float) -> float:
    column = [np.array([value]) for value in (rho, servers, capacity, variability)]
    return float(sakasegawa_wait(*column)[0])


@pytest.mark.parametrize(
    ("rho", "servers", "service", "variability", "wait"),
    [
        # c = 1: exponent sqrt(4) - 1 = 1, so M/M/1 exactly: 0.5 / 0.5 * 0.1 s = 0.1 s
        pytest.param(0.5, 1, 0.1, 1.0, 0.1, id="m_m_1_at_half_load"),
        # 0.8 / 0.2 * 0.1 s = 0.4 s
        pytest.param(0.8, 1, 0.1, 1.0, 0.4, id="m_m_1_at_80_percent"),
        # M/D/1: service without variation halves the wait of M/M/1 (Pollaczek-Khinchine)
        pytest.param(0.8, 1, 0.1, 0.5, 0.2, id="m_d_1_waits_half"),
        # c = 7: exponent sqrt(16) - 1 = 3; 0.9^3 / 0.1 = 7.29; service / c = 0.7 / 7 = 0.1 -> 0.729 s
        pytest.param(0.9, 7, 0.7, 1.0, 0.729, id="seven_servers_at_90_percent"),
        # c = 17: exponent sqrt(36) - 1 = 5; 0.8^5 = 0.32768, / 0.2 = 1.6384; 0.17 / 17 = 0.01
        pytest.param(0.8, 17, 0.17, 1.0, 0.016384, id="seventeen_servers_at_80_percent"),
        pytest.param(0.0, 4, 0.2, 1.0, 0.0, id="no_load_no_wait"),
    ],
)
def test_sakasegawa(rho: float, servers: float, service: float, variability: float, wait: float) -> None:
    assert _wait(rho, servers, servers / service, variability) == pytest.approx(wait, rel=1e-9)


def test_sakasegawa_is_close_to_erlang_c_for_two_servers() -> None:
    """M/M/2 at rho 0.75, service 1 s: Erlang C = 2 rho^2 / (1 + rho) = 1.125 / 1.75 = 0.642857;
    wait = C / (c (1 - rho)) = 0.642857 / 0.5 = 1.2857 s. The approximation may be 5 % off."""
    assert _wait(0.75, 2, 2.0, 1.0) == pytest.approx(1.2857, rel=0.05)


def test_beyond_saturation_the_wait_is_finite_and_the_queue_bounds_it() -> None:
    open_wait = sakasegawa_wait(*(np.array([v]) for v in (1.5, 1.0, 10.0, 1.0)))
    # 200 events waiting at 10 events/s are worked off in 20 s
    assert float(bounded_wait(open_wait, np.array([20.0]))[0]) == pytest.approx(20.0, rel=1e-3)


def test_littles_law() -> None:
    assert occupancy(60.0, 0.3) == pytest.approx(18.0)  # 60 events/s for 0.3 s each keep 18 workers


def test_utilisation_law() -> None:
    assert utilisation(60.0, 0.08, 6) == pytest.approx(0.8)  # 4.8 of 6 connections in use
