from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optsched.bench.metrics import (
    SHIFT,
    Steps,
    mean_gap_over_time,
    primal_gap,
    primal_integral,
    profile,
    time_to_target,
)


@pytest.mark.parametrize(
    ("objective", "reference", "gap"),
    [(None, 10, 1), (10, 10, 0), (9, 10, 0), (20, 10, 0.5), (5, -5, 1), (0, 0, 0), (3, 0, 1)],
)
def test_primal_gap(objective: int | None, reference: int, gap: float) -> None:
    assert primal_gap(objective, reference) == gap


def test_primal_integral() -> None:
    # Nothing for 2 s, gap 1/2 for 3 s, then 0 until 10 s.
    steps = Steps([2, 5], [200, 100])
    assert primal_integral(steps, 100, 10) == pytest.approx((2 + 1.5) / 10)
    assert primal_integral(Steps([], []), 100, 10) == 1
    # What comes after the limit does not count.
    assert primal_integral(Steps([12], [100]), 100, 10) == 1


@given(
    st.lists(st.tuples(st.floats(0, 20), st.integers(100, 300)), max_size=8),
    st.floats(1, 20),
)
def test_primal_integral_against_the_definition(
    events: list[tuple[float, int]], limit: float
) -> None:
    times = sorted(time for time, _ in events)
    values = sorted((value for _, value in events), reverse=True)
    steps = Steps(times, values)
    points = (np.arange(4000) + 0.5) * limit / 4000
    gaps = mean_gap_over_time([(steps, 100)], limit, points)
    assert primal_integral(steps, 100, limit) == pytest.approx(gaps.mean(), abs=5e-3)


def test_time_to_target() -> None:
    steps = Steps([1, 2, 3], [110, 101, 100])
    assert time_to_target(steps, 100, 10) == 2
    assert time_to_target(steps, 100, 1.5) == math.inf
    assert time_to_target(Steps([], []), 100, 10) == math.inf


def test_steps_of_trace() -> None:
    trace = [
        {"time": 0.1, "objective": 9, "bound": None},
        {"time": 0.2, "objective": 9, "bound": 4},
        {"time": 0.3, "objective": 8, "bound": 4},
    ]
    assert Steps.of_trace(trace, "objective").times.tolist() == [0.1, 0.3]
    assert Steps.of_trace(trace, "bound").values.tolist() == [4]


def test_profile() -> None:
    values = np.array([[1.0, 2.0], [3.0, 3.0], [math.inf, 1.0], [math.inf, math.inf]])
    ratios, shares = profile(values)
    assert ratios[0] == 1
    assert shares[0].tolist() == [0.5, 0.5]
    assert ratios[-1] == pytest.approx((2 + SHIFT) / (1 + SHIFT))
    assert shares[-1].tolist() == [0.5, 0.75]
    assert (np.diff(shares, axis=0) >= 0).all()
