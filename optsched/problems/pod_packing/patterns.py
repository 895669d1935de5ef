"""A level's bound and optimum from whole nodes: which sets of pods each node can hold.

Every node takes one set (pattern) that fits; a type has at most as many pods on it as its pattern.
The linear relaxation is far tighter than that of capacities. It is solved by column generation
(Gilmore and Gomory, 1961), which proves most levels at once. Otherwise all maximal patterns whose
reduced cost leaves room for a better solution are enumerated (Baldacci, Christofides and Mingozzi,
2008), and the integer program over them is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import highspy
import numpy as np
import numpy.typing as npt

from optsched.core import BoolArray, Deadline, IntArray
from optsched.problems.pod_packing.grouping import Types
from optsched.problems.pod_packing.kernels import best_set, maximal_sets

FloatArray = npt.NDArray[np.float64]
#: Steps of a search for a node's best set or its maximal sets.
STEPS = 1_000_000
#: Patterns in the integer program at most, in all and a node.
MOST_PATTERNS, MOST_OF_NODE = 40_000, 8_000
#: Nodes of the integer program over the patterns generated, which only looks for a solution.
QUICK_NODES = 20
#: Reduced cost below which a pattern improves.
TOLERANCE = 1e-7


class Patterns:
    """The program of one level; rules between pods are not in it.

    Parameters
    ----------
    types : Types
    active, pinned : ndarray of bool, shape (n_types,)
        Types in the program, and those whose running pods stay.
    levels : list of (goal, tier, value)
        Levels that keep these values.
    goal, tier : str, int
        The level to be minimised.
    """

    def __init__(
        self,
        types: Types,
        active: BoolArray,
        pinned: BoolArray,
        levels: list[tuple[str, int, int]],
        goal: str,
        tier: int,
    ) -> None:
        stays = pinned | ~types.movable
        self.types = types
        self.stays = stays
        self.room = types.limit - types.cur[stays].T @ types.request[stays]
        #: Pods of each type that can be placed, and where they run, those that stay apart.
        self.avail = np.where(stays, types.size - types.running, types.size)
        self.avail[~active] = 0
        self.cur = np.where(stays[:, None], 0, types.cur)
        self.list = np.flatnonzero(self.avail)
        self._columns()
        self._rows(levels, goal, tier)

    def _columns(self) -> None:
        types, chosen = self.types, self.list
        most = np.broadcast_to(self.avail[chosen][:, None], (len(chosen), len(self.room))).copy()
        for r in range(types.request.shape[1]):
            need = types.request[chosen, r]
            wanted = need > 0
            most[wanted] = np.minimum(
                most[wanted], np.maximum(0, self.room[:, r])[None, :] // need[wanted][:, None]
            )
        cur = self.cur[chosen]
        self.most = np.where(types.fits[chosen], most, np.minimum(most, cur))
        #: Column of ``how many of type i on node n``, of ``how many leave``, and of moves.
        self.x = np.full(self.most.shape, -1)
        self.out = np.full(self.most.shape, -1)
        here = self.most > 0
        self.x[here] = np.arange(here.sum())
        leave = cur > 0
        self.out[leave] = here.sum() + np.arange(leave.sum())
        first = int(here.sum() + leave.sum())
        moving = leave.any(axis=1)
        self.moves = np.full(len(chosen), -1)
        self.moves[moving] = first + np.arange(moving.sum())
        self.n_columns = first + int(moving.sum())
        self.upper = np.zeros(self.n_columns)
        self.upper[self.x[here]] = self.most[here]
        self.upper[self.out[leave]] = cur[leave]
        self.upper[self.moves[moving]] = types.running[chosen][moving]

    def _level(self, goal: str, tier: int) -> tuple[dict[int, float], float]:
        """Return a level as coefficients of columns and a constant."""
        types, chosen = self.types, self.list
        rows = np.flatnonzero(types.tier[chosen] == tier)
        if goal == "unplaced":
            waiting = (types.tier == tier) & self.stays
            total = float(self.avail[chosen[rows]].sum())
            # Pods of types without a place in the program, as far as they do not run.
            lost = np.setdiff1d(np.flatnonzero(waiting), chosen)
            total += float((types.size - types.running)[lost].sum())
            return {int(c): -1.0 for c in self.x[rows].ravel() if c >= 0}, total
        columns = [*self.out[rows].ravel().tolist(), *self.moves[rows].tolist()]
        return {c: 1.0 for c in columns if c >= 0}, 0.0

    def _rows(self, levels: list[tuple[str, int, int]], goal: str, tier: int) -> None:
        self.entries: list[tuple[list[int], list[float]]] = []
        self.low: list[float] = []
        self.high: list[float] = []
        types, chosen = self.types, self.list
        for i, t in enumerate(chosen.tolist()):
            mine = [int(c) for c in self.x[i] if c >= 0]
            leaves = [int(c) for c in self.out[i] if c >= 0]
            self._row(mine, [1.0] * len(mine), -math.inf, float(self.avail[t]))
            if self.moves[i] >= 0:
                columns = [int(self.moves[i]), *mine, *leaves]
                values = [1.0] + [-1.0] * (len(columns) - 1)
                self._row(columns, values, -float(types.size[t]), math.inf)
            for n in np.flatnonzero(self.out[i] >= 0).tolist():
                pair = [int(c) for c in (self.out[i, n], self.x[i, n]) if c >= 0]
                self._row(pair, [1.0] * len(pair), float(self.cur[t, n]), math.inf)
        for name, of_tier, value in levels:
            coefficients, constant = self._level(name, of_tier)
            if coefficients:
                self._row(list(coefficients), list(coefficients.values()), -math.inf,
                          value - constant)  # fmt: skip
        #: The rows that tie numbers to patterns, and those that give each node one pattern.
        self.link = np.full(self.x.shape, -1)
        for i, n in np.argwhere(self.x >= 0).tolist():
            self.link[i, n] = len(self.low)
            self._row([int(self.x[i, n])], [1.0], -math.inf, 0.0)
        self.one = len(self.low) + np.arange(len(self.room))
        for _ in range(len(self.room)):
            self._row([], [], -math.inf, 1.0)
        coefficients, self.offset = self._level(goal, tier)
        self.cost = np.zeros(self.n_columns)
        self.cost[list(coefficients)] = list(coefficients.values())

    def _row(self, columns: list[int], values: list[float], low: float, high: float) -> None:
        self.entries.append((columns, values))
        self.low.append(low)
        self.high.append(high)

    # ---- solving -----------------------------------------------------------------------------

    def run(
        self,
        deadline: Deadline,
        start: IntArray,
        target: Callable[[], int | None],
        on_bound: Callable[[int], None],
        on_table: Callable[[IntArray], None],
        stopped: Callable[[], bool],
    ) -> None:
        """Bound the level, and solve it where that is possible.

        Parameters
        ----------
        deadline : Deadline
        start : ndarray of int64, shape (n_types, n_nodes)
            Numbers of each type on each node that keep the levels given.
        target : callable() -> int or None
            The best value known; a better one is wanted.
        on_bound : callable(bound)
            Takes proven bounds on the level.
        on_table : callable(table)
            Takes the numbers of each type on each node of a better solution.
        stopped : callable() -> bool
        """
        self.stopped = stopped
        highs = self._solver(deadline)
        self.found: list[tuple[int, IntArray]] = []
        known: list[set[bytes]] = [set() for _ in self.room]
        for n in range(len(self.room)):
            placed = start[self.list, n] - np.where(self.stays, self.types.cur[:, n], 0)[self.list]
            self.found.append((n, np.maximum(0, placed)))
            self._add(highs, *self.found[-1])
        while not stopped():
            highs.run()
            if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
                return
            dual = np.asarray(highs.getSolution().row_dual)
            price = np.where(self.link >= 0, np.maximum(0.0, -dual[self.link]), 0.0)
            fee = np.maximum(0.0, -dual[self.one])
            found = self._price(highs, price, fee, known)
            if found is None:
                return
            gain, added = found
            bound = self._safe_bound(dual, price, fee) - gain
            on_bound(math.ceil(bound + self.offset - 1e-6))
            best = target()
            if best is not None and math.ceil(bound + self.offset - 1e-6) >= best:
                return
            if not added:
                self._finish(deadline, price, fee, bound + self.offset, target, on_bound, on_table)
                return

    def _solver(self, deadline: Deadline) -> Any:
        highs = highspy.Highs()
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("threads", 1)
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self.n_columns, len(self.low)
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = (
            self.cost, np.zeros(self.n_columns), self.upper,
        )  # fmt: skip
        lp.row_lower_, lp.row_upper_ = np.array(self.low), np.array(self.high)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        sizes = [len(columns) for columns, _ in self.entries]
        lp.a_matrix_.start_ = np.concatenate(([0], np.cumsum(sizes))).astype(np.int32)
        flat = [c for columns, _ in self.entries for c in columns]
        lp.a_matrix_.index_ = np.array(flat, dtype=np.int32)
        lp.a_matrix_.value_ = np.array([v for _, values in self.entries for v in values])
        highs.passModel(lp)

        def pulse(event: Any) -> None:
            if self.stopped():
                event.data_in.user_interrupt = 1

        highs.cbSimplexInterrupt.subscribe(pulse)
        highs.cbMipInterrupt.subscribe(pulse)
        if np.isfinite(left := deadline.remaining()):
            highs.setOptionValue("time_limit", float(left))
        return highs

    def _add(self, highs: Any, n: int, pattern: IntArray) -> None:
        inside = np.flatnonzero(pattern)
        rows = np.append(self.link[inside, n], self.one[n]).astype(np.int32)
        values = np.append(-pattern[inside].astype(float), 1.0)
        highs.addCol(0.0, 0.0, 1.0, len(rows), rows, values)

    def _order(self, n: int, price: FloatArray) -> tuple[IntArray, IntArray]:
        """Return the types that fit on a node, the most valuable for their needs first."""
        inside = np.flatnonzero(self.most[:, n] > 0)
        need = self.types.request[self.list[inside]]
        share = (need / np.maximum(1, self.room[n])).sum(axis=1) + 1e-9
        order = inside[np.argsort(-price[inside, n] / share, kind="stable")]
        return order, self.types.request[self.list[order]]

    def _price(
        self, highs: Any, price: FloatArray, fee: FloatArray, known: list[set[bytes]]
    ) -> tuple[float, int] | None:
        """Add the best pattern of every node; return how much they gain at most, and how many."""
        gain, added = 0.0, 0
        for n in range(len(self.room)):
            if not price[:, n].any():
                continue
            if self.stopped():
                return None
            order, need = self._order(n, price)
            worth = price[order, n]
            useful = worth > 0
            order, need, worth = order[useful], need[useful], worth[useful]
            best = np.zeros(len(order), dtype=np.int64)
            value = best_set(self.room[n], need, self.most[order, n], worth, STEPS, best)
            if value < 0:
                return None
            if value <= fee[n] + TOLERANCE:
                continue
            gain += value - fee[n]
            pattern = np.zeros(len(self.list), dtype=np.int64)
            pattern[order] = best
            self._extend(n, pattern)
            if pattern.tobytes() not in known[n]:
                known[n].add(pattern.tobytes())
                self.found.append((n, pattern))
                self._add(highs, n, pattern)
                added += 1
        return gain, added

    def _extend(self, n: int, pattern: IntArray) -> None:
        """Fill a pattern up with what else fits, the smallest first."""
        need = self.types.request[self.list]
        left = self.room[n] - pattern @ need
        for i in np.argsort(need.sum(axis=1), kind="stable").tolist():
            while pattern[i] < self.most[i, n] and (need[i] <= left).all():
                pattern[i] += 1
                left = left - need[i]

    def _safe_bound(self, dual: FloatArray, price: FloatArray, fee: FloatArray) -> float:
        """Return the bound of the duals by weak duality, whatever the solver's tolerances."""
        low, high = np.array(self.low), np.array(self.high)
        dual = dual.copy()
        dual[np.isinf(low)] = np.minimum(0.0, dual[np.isinf(low)])
        dual[np.isinf(high)] = np.maximum(0.0, dual[np.isinf(high)])
        dual[self.link[self.link >= 0]] = -price[self.link >= 0]
        dual[self.one] = -fee
        side = np.where(dual > 0, low, high)
        total = float((dual[dual != 0] * side[dual != 0]).sum())
        reduced = self.cost.copy()
        for row in np.flatnonzero(dual).tolist():
            columns, values = self.entries[row]
            if columns:
                reduced[columns] -= dual[row] * np.array(values)
        return total + float((np.minimum(0.0, reduced) * self.upper).sum())

    def _finish(
        self,
        deadline: Deadline,
        price: FloatArray,
        fee: FloatArray,
        bound: float,
        target: Callable[[], int | None],
        on_bound: Callable[[int], None],
        on_table: Callable[[IntArray], None],
    ) -> None:
        """Look for a solution among the patterns generated, then solve over all that matter."""
        least = math.ceil(bound - 1e-6)
        best = target()
        if best is not None:
            self._integer(deadline, self.found, best, on_table, QUICK_NODES)
        best = target()
        if best is None or best <= least or self.stopped():
            return
        chosen = self._enumerate(price, fee, best - 1 - bound + 1e-5)
        if chosen is not None:
            value = self._integer(deadline, chosen, best, on_table, None)
            if value is not None:
                on_bound(value)

    def _enumerate(
        self, price: FloatArray, fee: FloatArray, slack: float
    ) -> list[tuple[int, IntArray]] | None:
        """Return the maximal patterns of a reduced cost of at most `slack`; None: too many."""
        chosen: list[tuple[int, IntArray]] = []
        for n in range(len(self.room)):
            if self.stopped():
                return None
            order, need = self._order(n, price)
            if not len(order):
                continue
            sets = np.zeros((MOST_OF_NODE, len(order)), dtype=np.int64)
            count = maximal_sets(
                self.room[n], need, self.most[order, n], price[order, n], fee[n] - slack, STEPS,
                sets,
            )  # fmt: skip
            if count < 0 or len(chosen) + count > MOST_PATTERNS:
                return None
            patterns = np.zeros((count, len(self.list)), dtype=np.int64)
            patterns[:, order] = sets[:count]
            chosen += [(n, pattern) for pattern in patterns]
        return chosen

    def _integer(
        self,
        deadline: Deadline,
        chosen: list[tuple[int, IntArray]],
        best: int,
        on_table: Callable[[IntArray], None],
        most_nodes: int | None,
    ) -> int | None:
        """Return the optimum over the patterns given, at most `best`; None where it stays open."""
        highs = self._solver(deadline)
        for n, pattern in list(chosen):
            self._add(highs, n, pattern)
        count = self.n_columns + len(chosen)
        kind = np.array([highspy.HighsVarType.kInteger] * count)
        highs.changeColsIntegrality(count, np.arange(count, dtype=np.int32), kind)
        highs.setOptionValue("mip_rel_gap", 0.0)
        highs.setOptionValue("mip_abs_gap", 0.0)
        if most_nodes is not None:
            highs.setOptionValue("mip_max_nodes", most_nodes)
        # Nothing but a better solution is of interest.
        used = np.flatnonzero(self.cost).astype(np.int32)
        most = best - 1 - self.offset
        highs.addRow(-highspy.kHighsInf, most, len(used), used, self.cost[used])

        def incumbent(event: Any) -> None:
            on_table(self._table(np.array(event.data_out.mip_solution)))

        highs.cbMipImprovingSolution.subscribe(incumbent)
        highs.run()
        status = highs.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            return best
        if status != highspy.HighsModelStatus.kOptimal:
            return None
        values = np.asarray(highs.getSolution().col_value)
        on_table(self._table(values))
        return round(float(self.cost @ values[: self.n_columns] + self.offset))

    def _table(self, values: FloatArray) -> IntArray:
        table = np.where(self.stays[:, None], self.types.cur, 0)
        here = self.x >= 0
        part = np.zeros(self.x.shape, dtype=np.int64)
        part[here] = np.rint(values[self.x[here]]).astype(np.int64)
        table[self.list] += part
        return np.asarray(table)
