"""The CP-SAT formulation: the rows of `rows.TimedRows`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from ortools.sat.python import cp_model

from optsched.core import Deadline, InputError
from optsched.problems.memory_tiers.problem import MemoryTiers, MemoryTiersSolution
from optsched.problems.memory_tiers.rows import TimedRows, n_variables
from optsched.solvers.base import Compiled

SUPPORTS: frozenset[str] = frozenset()
#: Larger models exhaust the memory before they are of use.
MOST_VARIABLES = 2_000_000


class MemoryTiersCpsat(Compiled):
    """An instance as a CP-SAT model.

    Attributes
    ----------
    rows : TimedRows
        The formulation; its variables are those of the model, in order.
    """

    def __init__(self, rows: TimedRows, deadline: Deadline) -> None:
        self.rows = rows
        self.model = cp_model.CpModel()
        self.model.name = rows.problem.name
        variables = [
            self.model.new_int_var(low, high, f"v{k}")
            for k, (low, high) in enumerate(zip(rows.lower, rows.upper, strict=True))
        ]
        for k, row in enumerate(rows.rows):
            if k % 4096 == 0:
                deadline.check()
            total = cp_model.LinearExpr.weighted_sum(
                [variables[v] for v, _ in row.terms], [c for _, c in row.terms]
            )
            low = cp_model.INT_MIN if row.low is None else row.low
            high = cp_model.INT_MAX if row.high is None else row.high
            self.model.add_linear_constraint(total, low, high)
        self.model.minimize(cp_model.LinearExpr.sum([variables[v] for v in rows.objective]))

    def hint(self, solution: MemoryTiersSolution) -> npt.NDArray[np.float64]:
        """Return the value of every variable in `solution`, in model order."""
        return self.rows.encode(solution)

    def decode(self, values: npt.NDArray[np.float64]) -> MemoryTiersSolution:
        """Return the mapping that the variables' values stand for."""
        return self.rows.decode(values)


def build(
    problem: MemoryTiers,
    *,
    upper_bound: int | None = None,
    lower_bound: int | None = None,
    deadline: Deadline | None = None,
) -> MemoryTiersCpsat:
    """Compile `problem` to CP-SAT.

    Parameters
    ----------
    problem : MemoryTiers
    upper_bound, lower_bound : int, optional
        Proven bounds on the optimum; they tighten the model and never cut off the optimum.
    deadline : Deadline, optional
        Raises `DeadlineExpired` when it passes meanwhile.

    Raises
    ------
    InputError
        When the model would be too large.
    """
    refuse_large(problem)
    clock = deadline or Deadline()
    return MemoryTiersCpsat(TimedRows(problem, upper_bound, lower_bound, clock), clock)


def refuse_large(problem: MemoryTiers) -> None:
    """Raise `InputError` where the step-by-step formulation is out of reach."""
    if n_variables(problem) > MOST_VARIABLES:
        raise InputError(
            f"the step-by-step formulation would have {n_variables(problem)} variables, more than "
            f"{MOST_VARIABLES}; solver native has no such limit"
        )
