"""The MILP formulation: the rows of `rows.TimedRows`, written in PuLP."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pulp

from optsched.core import Deadline
from optsched.problems.memory_tiers.cpsat import refuse_large
from optsched.problems.memory_tiers.problem import MemoryTiers, MemoryTiersSolution
from optsched.problems.memory_tiers.rows import TimedRows
from optsched.solvers.base import Compiled

SUPPORTS: frozenset[str] = frozenset()


class MemoryTiersMilp(Compiled):
    """An instance as a PuLP model.

    Attributes
    ----------
    rows : TimedRows
        The formulation.
    variables : list of LpVariable
        Those of the formulation, in its order.
    """

    def __init__(self, rows: TimedRows, deadline: Deadline) -> None:
        self.rows = rows
        self.model = pulp.LpProblem("memory_tiers", pulp.LpMinimize)
        self.variables = [
            self.model.add_variable(f"v{k}", low, high, pulp.LpInteger)
            for k, (low, high) in enumerate(zip(rows.lower, rows.upper, strict=True))
        ]
        for k, row in enumerate(rows.rows):
            if k % 512 == 0:
                deadline.check()
            terms = [(self.variables[v], c) for v, c in row.terms]
            for sense, right in ((1, row.low), (-1, row.high)):
                if right is None or (sense == -1 and row.low == row.high):
                    continue
                kind = 0 if row.low == row.high else sense
                expression = pulp.LpAffineExpression(terms)
                name = f"r{k}_{sense + 1}"
                self.model.addConstraint(pulp.LpConstraint(expression, kind, name, right))
        total = [(self.variables[v], 1) for v in rows.objective]
        self.model.setObjective(pulp.LpAffineExpression(total))

    def hint(self, solution: MemoryTiersSolution) -> npt.NDArray[np.float64]:
        """Return the value of every variable in `solution`, in ``model.variables()`` order."""
        value = dict(zip(self.variables, self.rows.encode(solution).tolist(), strict=True))
        return np.array([value[v] for v in self.model.variables()])

    def decode(self, values: npt.NDArray[np.float64]) -> MemoryTiersSolution:
        """Return the mapping that the variables' values stand for."""
        value = dict(zip(self.model.variables(), values.tolist(), strict=True))
        return self.rows.decode([value.get(v, 0.0) for v in self.variables])


def build(
    problem: MemoryTiers,
    *,
    upper_bound: int | None = None,
    lower_bound: int | None = None,
    deadline: Deadline | None = None,
) -> MemoryTiersMilp:
    """Compile `problem` to a MILP; the parameters are those of the CP-SAT formulation.

    Raises
    ------
    InputError
        When the model would be too large.
    """
    refuse_large(problem)
    clock = deadline or Deadline()
    return MemoryTiersMilp(TimedRows(problem, upper_bound, lower_bound, clock), clock)
