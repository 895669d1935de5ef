"""What the self-check has found: models that HiGHS 1.14's presolve takes optima from."""

from __future__ import annotations

import pytest

import optsched as op
from optsched.selfcheck.ways import ways


@pytest.mark.parametrize(
    ("problem", "optimum"),
    [
        (op.SingleMachine([2, 1], due=[0, 1], objective="total_weighted_tardiness"), 3),
        (
            op.SingleMachine(
                [1, 1, 1],
                weight=[2, 2, 3],
                release=[5, 5, 0],
                precedence=[(0, 2)],
                objective="total_weighted_completion_time",
            ),
            49,
        ),
    ],
)
def test_linear_models_by_themselves(problem: op.SingleMachine, optimum: int) -> None:
    linear = [way for way in ways(problem) if way.name.startswith("highs")]
    assert len(linear) >= 3
    for way in linear:
        told = way(problem, 0, 60)
        assert told is not None
        assert told.objective == optimum, way.name
