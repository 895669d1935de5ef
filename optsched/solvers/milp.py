"""A mixed-integer program as flat arrays: what is left of a PuLP model for a solver's process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Milp:
    """``min cost x + offset`` over rows ``row_lower <= A x <= row_upper``, A in row order.

    Attributes
    ----------
    cost, lower, upper : ndarray of float, shape (n_columns,)
    integral : ndarray of bool, shape (n_columns,)
    row_start : ndarray of int, shape (n_rows + 1,)
    column, value : ndarray, shape (n_entries,)
    row_lower, row_upper : ndarray of float, shape (n_rows,)
    offset : float
    """

    cost: FloatArray
    lower: FloatArray
    upper: FloatArray
    integral: npt.NDArray[np.bool_]
    row_start: npt.NDArray[np.int32]
    column: npt.NDArray[np.int32]
    value: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray
    offset: float


def from_pulp(model: Any) -> Milp:
    """Return a PuLP minimisation problem as arrays; columns in ``model.variables()`` order."""
    variables = model.variables()
    index = {variable: i for i, variable in enumerate(variables)}
    cost = np.zeros(len(variables))
    for variable, coefficient in model.objective.items():
        cost[index[variable]] = coefficient
    rows = model.constraints()
    sizes = np.fromiter((len(row) for row in rows), dtype=np.int32, count=len(rows))
    column = np.fromiter((index[v] for row in rows for v in row), dtype=np.int32)
    value = np.fromiter((c for row in rows for c in row.values()), dtype=np.float64)
    right = np.fromiter((-row.constant for row in rows), dtype=np.float64, count=len(rows))
    sense = np.fromiter((row.sense for row in rows), dtype=np.int8, count=len(rows))

    def bounds(name: str, absent: float) -> FloatArray:
        values = (getattr(v, name) for v in variables)
        return np.array([absent if v is None else v for v in values], dtype=np.float64)

    return Milp(
        cost=cost,
        lower=bounds("lowBound", -np.inf),
        upper=bounds("upBound", np.inf),
        integral=np.array([v.cat == "Integer" for v in variables], dtype=bool),
        row_start=np.concatenate(([0], np.cumsum(sizes))).astype(np.int32),
        column=column,
        value=value,
        row_lower=np.where(sense >= 0, right, -np.inf),
        row_upper=np.where(sense <= 0, right, np.inf),
        offset=float(model.objective.constant),
    )


def to_pulp(milp: Milp, hint: FloatArray | None) -> Any:
    """Inverse of `from_pulp`, with variables ``x0, x1, ...`` set to `hint`."""
    import pulp

    model = pulp.LpProblem("optsched", pulp.LpMinimize)
    variables = [
        model.add_variable(
            f"x{i}",
            None if np.isinf(low) else low,
            None if np.isinf(high) else high,
            "Integer" if integral else "Continuous",
        )
        for i, (low, high, integral) in enumerate(
            zip(milp.lower.tolist(), milp.upper.tolist(), milp.integral.tolist(), strict=True)
        )
    ]
    used = np.flatnonzero(milp.cost).tolist()
    costs = [(variables[i], float(milp.cost[i])) for i in used]
    model.setObjective(pulp.LpAffineExpression(costs, constant=milp.offset))
    starts, columns, values = milp.row_start.tolist(), milp.column.tolist(), milp.value.tolist()
    for r, (low, high) in enumerate(
        zip(milp.row_lower.tolist(), milp.row_upper.tolist(), strict=True)
    ):
        entries = range(starts[r], starts[r + 1])
        expression = pulp.LpAffineExpression([(variables[columns[k]], values[k]) for k in entries])
        sense, right = (0, low) if low == high else (1, low) if np.isfinite(low) else (-1, high)
        model.addConstraint(pulp.LpConstraint(expression, sense, f"c{r}", right))
    if hint is not None:
        for variable, start in zip(variables, hint.tolist(), strict=True):
            variable.setInitialValue(start, check=False)
    return model, variables
