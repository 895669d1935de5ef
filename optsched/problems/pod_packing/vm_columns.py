"""The linear program over the columns of hosts, by column generation, and its integer program.

Every host takes one column; as many pods of a kind come as leave, and only so many leave. The
linear program bounds the slots that any migrations can make (Gilmore and Gomory, 1961, for the
method); over the columns generated the integer program mostly attains it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import highspy
import numpy as np

from optsched.core import Deadline
from optsched.problems.pod_packing.vm_grid import Column, Grid, Pricing

#: Reduced cost below which a column improves.
TOLERANCE = 1e-7
#: How far prices are shaken, relative to the greatest.
SPREAD = 0.1


class Master:
    """The program over the columns of `grid`.

    Parameters
    ----------
    grid : Grid
    limit : int
        Migrations at most.
    deadline : Deadline
    stopped : callable() -> bool

    Attributes
    ----------
    columns : list of Column
    bound : float
        Slots that no migrations can exceed.
    """

    def __init__(
        self, grid: Grid, limit: int, deadline: Deadline, stopped: Callable[[], bool]
    ) -> None:
        self.grid, self.limit, self.stopped = grid, limit, stopped
        self.deadline = deadline
        self.n_hosts, self.n_kinds = len(grid.host_start) - 1, len(grid.need)
        self.bound = math.inf
        self.columns: list[Column] = []
        self._known: set[tuple[int, bytes, bytes]] = set()
        self._pricing = Pricing(grid)
        self._fee, self._price = 0.0, np.zeros(self.n_kinds)
        for h, slots in enumerate(grid.base.tolist()):
            size = int(grid.host_start[h + 1] - grid.host_start[h])
            none = np.zeros((size, self.n_kinds), dtype=np.int64)
            self._take(Column(h, none, none, slots))

    def _take(self, column: Column) -> bool:
        if column.key in self._known:
            return False
        self._known.add(column.key)
        self.columns.append(column)
        return True

    def generate(self, enough: Callable[[int], bool]) -> bool:
        """Generate columns until the linear program is solved; return whether it is.

        Parameters
        ----------
        enough : callable(bound) -> bool
            Whether a bound closes the gap, so that nothing more is needed.
        """
        highs = self._empty()
        added = self.columns
        while not self.stopped():
            for column in added:
                self._add(highs, column)
            highs.run()
            if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
                return False
            dual = -np.asarray(highs.getSolution().row_dual)
            share, price = dual[: self.n_hosts], dual[self.n_hosts : -1]
            fee = max(0.0, float(dual[-1]))
            self._fee, self._price = fee, price
            value = self._pricing.run(fee, price)
            # Weak duality: holds whatever the solver's tolerances.
            self.bound = min(self.bound, fee * self.limit + float(value.sum()))
            if enough(math.floor(self.bound + 1e-6)):
                return True
            better = np.flatnonzero(value > share + TOLERANCE).tolist()
            before = len(self.columns)
            for h in better:
                self._take(self._pricing.column(h))
            added = self.columns[before:]
            if not added:
                return True
        return False

    def enrich(self, seed: int, rounds: int) -> None:
        """Add the best columns for prices near the optimal ones, each round for others."""
        rng = np.random.default_rng(seed)
        scale = max(0.1, float(np.abs(self._price).max(initial=0.0)), self._fee)
        for _ in range(rounds):
            if self.stopped():
                return
            price = self._price + scale * SPREAD * rng.standard_normal(self.n_kinds)
            fee = max(0.0, self._fee + scale * SPREAD * float(rng.standard_normal()))
            self._pricing.run(fee, price)
            for h in range(self.n_hosts):
                self._take(self._pricing.column(h))

    def solve(self, least: int, seed: int) -> list[Column] | None:
        """Return columns of at least `least` slots, the best of those generated; None: none."""
        highs = self._empty()
        rng = np.random.default_rng(seed)
        for column in self.columns:
            # Among equals any will do: another seed finds others.
            self._add(highs, column, extra=1e-3 * float(rng.random()) * int(column.out.any()))
        count = len(self.columns)
        kind = np.array([highspy.HighsVarType.kInteger] * count)
        highs.changeColsIntegrality(count, np.arange(count, dtype=np.int32), kind)
        highs.setOptionValue("mip_rel_gap", 0.0)
        highs.setOptionValue("mip_abs_gap", 0.9)
        used = np.arange(count, dtype=np.int32)
        slots = np.array([column.slots for column in self.columns], dtype=float)
        highs.addRow(float(least), highspy.kHighsInf, count, used, slots)
        self._pulse(highs)
        highs.run()
        values = np.asarray(highs.getSolution().col_value)
        if highs.getInfo().primal_solution_status != 2 or len(values) != count:
            return None
        return [column for column, x in zip(self.columns, values, strict=True) if x > 0.5]

    def _empty(self) -> Any:
        highs = highspy.Highs()
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("threads", 1)
        if math.isfinite(left := self.deadline.remaining()):
            highs.setOptionValue("time_limit", float(left))
        low = np.concatenate((np.ones(self.n_hosts), np.zeros(self.n_kinds), [-np.inf]))
        high = np.concatenate((np.ones(self.n_hosts), np.zeros(self.n_kinds), [self.limit]))
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = 0, len(low)
        lp.row_lower_, lp.row_upper_ = low, high
        lp.a_matrix_.start_ = np.zeros(1, dtype=np.int32)
        highs.passModel(lp)
        return highs

    def _pulse(self, highs: Any) -> None:
        def pulse(event: Any) -> None:
            if self.stopped():
                event.data_in.user_interrupt = 1

        highs.cbSimplexInterrupt.subscribe(pulse)
        highs.cbMipInterrupt.subscribe(pulse)

    def _add(self, highs: Any, column: Column, extra: float = 0.0) -> None:
        net = column.into.sum(axis=0) - column.out.sum(axis=0)
        kinds = np.flatnonzero(net)
        moved = int(column.out.sum())
        rows = [column.host, *(self.n_hosts + kinds).tolist()]
        values = [1.0, *net[kinds].astype(float).tolist()]
        if moved:
            rows.append(self.n_hosts + self.n_kinds)
            values.append(float(moved))
        highs.addCol(
            extra - float(column.slots), 0.0, highspy.kHighsInf, len(rows),
            np.array(rows, dtype=np.int32), np.array(values),
        )  # fmt: skip
