"""The aggregated CP-SAT model: how many pods of each type run on each node.

Types of a tier whose optimum is known to disturb nobody are fixed where they run; what they need
is taken off the capacity. Types below the tier at hand are left out where nothing but capacity
ties them to those above, as they can then be evicted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from optsched.core import BoolArray, IntArray
from optsched.problems.pod_packing.grouping import Types
from optsched.problems.pod_packing.later_model import LaterGoals
from optsched.problems.pod_packing.problem import PodPacking
from optsched.problems.pod_packing.rules import add_rules


class TypeModel:
    """The model of some types, the others being fixed or left out.

    Attributes
    ----------
    model : CpModel
    x : dict of (type, node) to IntVar
        How many of the type run on the node; where absent none can.
    out : dict of (type, node) to IntVar
        How many of those that run on the node leave it.
    moves : dict of type to IntVar
        How many pods move to another node.
    evicted : dict of (type, node) to IntVar
        How many that leave the node end nowhere; only with pods that never preempt.
    """

    def __init__(
        self, problem: PodPacking, types: Types, active: BoolArray, pinned: BoolArray
    ) -> None:
        self.problem = problem
        self.types = types
        self.pinned = pinned | ~types.movable
        #: Types that stay as they are, and those with variables.
        self.fixed = self.pinned & (types.size == types.running)
        self.active = active & ~self.fixed
        self.model = cp_model.CpModel()
        self.x: dict[tuple[int, int], Any] = {}
        self.out: dict[tuple[int, int], Any] = {}
        self.moves: dict[int, Any] = {}
        self.evicted: dict[tuple[int, int], Any] = {}
        self._budgeted = {
            int(t) for budget in problem.budgets for t in types.of_pod[budget.pods].tolist()
        }
        self.room = residual(types, self.fixed)
        for t in np.flatnonzero(self.active).tolist():
            self._type(t)
        self.on = self._capacity()
        if problem.migration_limit is not None:
            leave = cp_model.LinearExpr.sum(list(self.out.values()))
            self.model.add(leave <= problem.migration_limit)
        add_rules(self)
        self.later = LaterGoals(self)

    def _type(self, t: int) -> None:
        types, model = self.types, self.model
        size, running = int(types.size[t]), int(types.running[t])
        request = types.request[t]
        needs = request > 0
        most = np.full(self.problem.n_nodes, size, dtype=np.int64)
        for r in np.flatnonzero(needs).tolist():
            most = np.minimum(most, np.maximum(0, self.room[:, r]) // request[r])
        if types.spans[t]:
            fewest = most.copy()
            np.minimum.at(fewest, self.problem.first, most)
            most = fewest
        most = np.where(types.fits[t], most, np.minimum(most, types.cur[t]))
        for n in np.flatnonzero(most).tolist():
            least = int(types.cur[t, n]) if self.pinned[t] else 0
            self.x[t, n] = model.new_int_var(least, int(most[n]), f"x{t}_{n}")
        placed = self.placed(t)
        model.add(placed <= size)
        if not running or self.pinned[t]:
            return
        choice = self.chooses(t)
        leave = []
        for n in np.flatnonzero(types.cur[t]).tolist():
            cur = int(types.cur[t, n])
            out = self.out[t, n] = model.new_int_var(0, cur, f"out{t}_{n}")
            leave.append(out)
            if choice:
                model.add_max_equality(out, [cur - self.x.get((t, n), 0), 0])
            else:
                model.add(out >= cur - self.x.get((t, n), 0))
        moves = self.moves[t] = model.new_int_var(0, running, f"moves{t}")
        # Those that come: all that are placed but for those that stay.
        model.add(moves >= placed - running + sum(leave) - (size - running))
        if choice:
            model.add(moves <= placed - running + sum(leave))
            model.add(moves <= sum(leave))

    def chooses(self, t: int) -> bool:
        """Return whether moves are a choice, which budgets and pods that never preempt see."""
        return bool(self.problem.never_preempts.any()) or t in self._budgeted

    def _capacity(self) -> list[list[int]]:
        """Limit what is on every node; return the types that may be there."""
        types = self.types
        on: list[list[int]] = [[] for _ in range(self.problem.n_nodes)]
        for t, n in self.x:
            for site in self.problem.host_nodes(n).tolist() if types.spans[t] else [n]:
                on[site].append(t)
        for n, here in enumerate(on):
            for r in range(types.request.shape[1]):
                terms = self.load(here, n, r)
                room = int(self.room[n, r])
                if sum(need * var.proto.domain[1] for need, var in terms) > room:
                    self.model.add(sum(need * var for need, var in terms) <= room)
        return on

    def load(self, here: list[int], n: int, r: int) -> list[tuple[int, Any]]:
        """Return amounts of a resource and variables of the types on a node that need it."""
        first = int(self.problem.first[n])
        return [
            (int(self.types.request[t, r]), self.x[t, first if self.types.spans[t] else n])
            for t in here
            if self.types.request[t, r]
        ]

    def placed(self, t: int) -> Any:
        """Return how many of the type are placed, as an expression."""
        return cp_model.LinearExpr.sum(
            [self.x[t, n] for n in range(self.problem.n_nodes) if (t, n) in self.x]
        )

    def level(self, goal: str, tier: int) -> Any:
        """Return a level of the objective as an expression."""
        if tier < 0:
            return self.later.level(goal)
        of_tier = np.flatnonzero((self.types.tier == tier) & self.active).tolist()
        if goal == "unplaced":
            total = sum(int(self.types.size[t]) for t in of_tier)
            stuck = (self.types.tier == tier) & self.fixed
            total += int((self.types.size - self.types.running)[stuck].sum())
            return total - cp_model.LinearExpr.sum([self.placed(t) for t in of_tier])
        leave = [var for (t, _), var in self.out.items() if self.types.tier[t] == tier]
        moves = [var for t, var in self.moves.items() if self.types.tier[t] == tier]
        return cp_model.LinearExpr.sum(leave + moves)

    def table(self, value: Any) -> IntArray:
        """Return how many of each type run on each node, by ``value(variable)``."""
        table = np.where(self.fixed[:, None], self.types.cur, 0)
        for (t, n), var in self.x.items():
            table[t, n] = value(var)
        return np.asarray(table, dtype=np.int64)

    def evictions(self, value: Any) -> IntArray:
        """Return how many that leave each node end nowhere, at least where that is a choice."""
        table = np.zeros_like(self.types.cur)
        for t, moves in self.moves.items():
            moved = int(value(moves)) if self.chooses(t) else 0
            for n in np.flatnonzero(self.types.cur[t]).tolist():
                if (t, n) in self.evicted:
                    table[t, n] = value(self.evicted[t, n])
                    continue
                stay = int(value(self.x[t, n])) if (t, n) in self.x else 0
                away = max(0, int(self.types.cur[t, n]) - stay)
                table[t, n] = max(0, away - moved)
                moved -= min(moved, away)
        return table

    def hint(self, table: IntArray, node: IntArray) -> None:
        """Hint a solution, given as numbers and node by node."""
        problem, types = self.problem, self.types
        moved = (problem.current >= 0) & (node >= 0) & (node != problem.current)
        count = np.bincount(types.of_pod[moved], minlength=types.count)
        gone = np.zeros_like(types.cur)
        lost = (problem.current >= 0) & (node < 0)
        np.add.at(gone, (types.of_pod[lost], problem.current[lost]), 1)
        self.model.clear_hints()
        for (t, n), var in self.x.items():
            self.model.add_hint(var, int(table[t, n]))
        for (t, n), var in self.out.items():
            self.model.add_hint(var, max(0, int(types.cur[t, n] - table[t, n])))
        for t, var in self.moves.items():
            self.model.add_hint(var, int(count[t]))
        for (t, n), var in self.evicted.items():
            self.model.add_hint(var, int(gone[t, n]))
        for var, value in self.later.hinted:
            self.model.add_hint(var, value(table))


def residual(types: Types, fixed: BoolArray) -> IntArray:
    """Return what the fixed types, where they run, leave of every node."""
    single, wide = fixed & ~types.spans, fixed & types.spans
    used = types.cur[single].T @ types.request[single]
    used += (types.cur[wide].T @ types.request[wide])[types.first]
    return np.asarray(types.limit - used)
