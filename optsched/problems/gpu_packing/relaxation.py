"""A bound: pods and GPU patterns spread over node types as fractions.

Nodes of a type are taken together, with all that they have. Each of their GPUs carries a pattern,
a set of shares of at most a GPU (Gilmore and Gomory, 1961); patterns are generated as the prices
of shares demand. What is lost between the nodes of a type is not seen, what is lost within GPUs is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import highspy
import numba
import numpy as np
import numpy.typing as npt

from optsched.core import IntArray
from optsched.problems.gpu_packing.grouping import Types, types_of
from optsched.problems.gpu_packing.problem import WHOLE, GpuPacking

FloatArray = npt.NDArray[np.float64]
#: Rounds of pattern generation at most; a bound is at hand after each.
ROUNDS = 200
#: Gain of a pattern, in weight, below which it is not worth a column.
TOLERANCE = 1e-7


def bound(problem: GpuPacking, stopped: Callable[[], bool], remaining: float) -> int:
    """Return a lower bound on the weight left out; 0 where there is no time for a better one."""
    if not problem.n_pods or not problem.n_nodes:
        return int(problem.weight.sum())
    return _Relaxation(problem, types_of(problem)).run(stopped, remaining)


class _Relaxation:
    """The linear program; weights are maximised."""

    def __init__(self, problem: GpuPacking, types: Types) -> None:
        self.problem, self.types = problem, types
        self.weight = problem.weight[types.pod].astype(float)
        self.upper = np.minimum(types.most * types.number[None, :], types.size[:, None])
        self.request = problem.request[types.pod]
        self.capacity = problem.capacity[types.node] * types.number[:, None]
        self.gpus = problem.gpus[types.node] * types.number
        self.count, share = problem.count[types.pod], problem.share[types.pod]
        self.shares = np.unique(share[self.count > 0])
        #: Index of each pod type's share, -1 without GPUs.
        self.share_of = np.where(self.count > 0, np.searchsorted(self.shares, share), -1)
        n_types, n_nodes = self.upper.shape
        n_resources = self.request.shape[1]
        #: Rows: demand, resources by node type, GPUs by node type, places by node type and share.
        self.resource_row = n_types + np.arange(n_nodes * n_resources).reshape(n_nodes, n_resources)
        self.gpu_row = n_types + n_nodes * n_resources + np.arange(n_nodes)
        first = n_types + n_nodes * (n_resources + 1)
        self.place_row = first + np.arange(n_nodes * len(self.shares)).reshape(n_nodes, -1)
        self.n_rows = first + n_nodes * len(self.shares)
        self.highs = self._program()

    def _program(self) -> Any:
        highs = highspy.Highs()
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("threads", 1)
        lp = highspy.HighsLp()
        used, at = np.nonzero(self.upper)
        lp.num_col_, lp.num_row_ = len(used), self.n_rows
        lp.col_cost_ = -self.weight[used]
        lp.col_lower_, lp.col_upper_ = np.zeros(len(used)), self.upper[used, at].astype(float)
        lp.row_lower_ = np.full(self.n_rows, -highspy.kHighsInf)
        lp.row_upper_ = np.concatenate(
            (self.types.size, self.capacity.ravel(), self.gpus, np.zeros(self.place_row.size))
        ).astype(float)
        starts, rows, values = [0], [], []
        for t, j in zip(used.tolist(), at.tolist(), strict=True):
            column = [(t, 1.0)]
            for r, need in enumerate(self.request[t].tolist()):
                if need:
                    column.append((int(self.resource_row[j, r]), float(need)))
            if self.count[t]:
                column.append((int(self.place_row[j, self.share_of[t]]), float(self.count[t])))
            rows += [row for row, _ in column]
            values += [value for _, value in column]
            starts.append(len(rows))
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_ = np.array(starts, dtype=np.int32)
        lp.a_matrix_.index_ = np.array(rows, dtype=np.int32)
        lp.a_matrix_.value_ = np.array(values)
        highs.passModel(lp)
        return highs

    def run(self, stopped: Callable[[], bool], remaining: float) -> int:
        """Generate patterns until none helps, or it is time to stop; return the bound."""
        highs = self.highs
        if np.isfinite(remaining):
            highs.setOptionValue("time_limit", float(remaining))
        n_nodes = len(self.gpus)
        for j in np.flatnonzero(self.gpus).tolist():
            for k, share in enumerate(self.shares.tolist()):
                pattern = np.zeros(len(self.shares), dtype=np.int64)
                pattern[k] = WHOLE // share
                self._add(j, pattern)
        best = float(self.weight @ self.types.size)
        for _ in range(ROUNDS):
            highs.run()
            if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
                break
            price = np.maximum(0.0, -np.asarray(highs.getSolution().row_dual))
            fee = np.zeros(n_nodes)
            added = 0
            for j in np.flatnonzero(self.gpus).tolist():
                fee[j], pattern = best_pattern(self.shares, price[self.place_row[j]])
                if fee[j] > price[self.gpu_row[j]] + TOLERANCE:
                    self._add(j, pattern)
                    added += 1
            best = min(best, self._safe(price, fee))
            if not added or stopped():
                break
        total = int(self.problem.weight.sum())
        return max(0, total - int(np.floor(best + 1e-6 * max(1.0, best / 1e6))))

    def _add(self, j: int, pattern: IntArray) -> None:
        inside = np.flatnonzero(pattern)
        rows = np.append(self.gpu_row[j], self.place_row[j, inside]).astype(np.int32)
        values = np.append(1.0, -pattern[inside].astype(float))
        self.highs.addCol(0.0, 0.0, highspy.kHighsInf, len(rows), rows, values)

    def _safe(self, price: FloatArray, fee: FloatArray) -> float:
        """Return the bound of these prices by weak duality, whatever the solver's tolerances."""
        n_types = len(self.weight)
        demand = price[:n_types]
        resource = price[self.resource_row]
        worth = self.weight[:, None] - demand[:, None] - self.request @ resource.T
        uses = self.count > 0
        places = price[self.place_row][:, self.share_of[uses]].T
        worth[uses] -= self.count[uses, None] * places
        return float(
            demand @ self.types.size
            + (resource * self.capacity).sum()
            + fee @ self.gpus
            + (np.maximum(0.0, worth) * self.upper).sum()
        )


def best_pattern(shares: IntArray, price: FloatArray) -> tuple[float, IntArray]:
    """Return the most valuable set of shares that one GPU can carry, and its value."""
    pattern = np.zeros(len(shares), dtype=np.int64)
    value = _knapsack(shares, price, pattern)
    return float(value), pattern


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _knapsack(shares: Any, price: Any, pattern: Any) -> float:
    value = np.zeros(WHOLE + 1)
    last = np.full(WHOLE + 1, -1)
    for room in range(1, WHOLE + 1):
        value[room] = value[room - 1]
        for k in range(len(shares)):
            if shares[k] <= room and value[room - shares[k]] + price[k] > value[room]:
                value[room] = value[room - shares[k]] + price[k]
                last[room] = k
    room = WHOLE
    while room > 0:
        if last[room] < 0:
            room -= 1
        else:
            pattern[last[room]] += 1
            room -= shares[last[room]]
    return float(value[WHOLE])
