"""The later goals in the aggregated model: hosts in use, their cost, and fragmentation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from ortools.sat.python import cp_model

from optsched.core import IntArray

if TYPE_CHECKING:
    from optsched.problems.pod_packing.model import TypeModel

#: A variable, and its value given how many of each type are on each node.
Hinted = tuple[Any, Callable[[IntArray], int]]


class LaterGoals:
    """Variables of the later goals, made when they are asked for.

    Attributes
    ----------
    hinted : list of (IntVar, callable)
        The variables, and what a table of numbers makes of each.
    """

    def __init__(self, m: TypeModel) -> None:
        self.m = m
        self.hinted: list[Hinted] = []
        self._made: dict[str, Any] = {}
        self._used: dict[int, Any] = {}

    def level(self, goal: str) -> Any:
        """Return a goal as an expression."""
        if goal not in self._made:
            self._made[goal] = (
                self._fragmentation() if goal == "fragmentation" else self._in_use(goal == "cost")
            )
        return self._made[goal]

    def _in_use(self, priced: bool) -> Any:
        problem = self.m.problem
        if not self._used:
            for h in np.unique(problem.first).tolist():
                self._used[h] = self._host(h)
        price = np.bincount(problem.first, weights=problem.price, minlength=problem.n_nodes)
        return cp_model.LinearExpr.sum(
            [(int(price[h]) if priced else 1) * used for h, used in self._used.items()]
        )

    def _host(self, h: int) -> Any:
        """Return a literal, or a number, for a host being in use."""
        m, movable = self.m, self.m.types.movable
        nodes = m.problem.host_nodes(h)
        here = [(t, n) for n in nodes.tolist() for t in m.on[n] if movable[t] and (t, n) in m.x]
        if (m.types.cur[m.fixed & movable][:, nodes]).any():
            return 1
        if not here:
            return 0
        used = m.model.new_bool_var(f"used{h}")
        for key in here:
            var = m.x[key]
            m.model.add(var <= int(var.proto.domain[1]) * used)
        for n in nodes.tolist():
            for r in range(m.types.request.shape[1]):
                terms = m.load([t for t in m.on[n] if movable[t]], n, r)
                if len(terms) > 1:  # tighter than one by one
                    room = int(m.room[n, r])
                    m.model.add(sum(need * var for need, var in terms) <= room * used)
        rows, columns = np.array(here).T
        self.hinted.append((used, lambda table: int(table[rows, columns].any())))
        return used

    def _fragmentation(self) -> Any:
        m, slot = self.m, self.m.problem.slot
        wanted = np.flatnonzero(slot)
        main = int(wanted[0])
        parts: list[Any] = []
        for n in range(m.problem.n_nodes):
            free = {
                r: int(m.room[n, r]) - sum(need * var for need, var in m.load(m.on[n], n, r))
                for r in wanted.tolist()
            }
            most = max(0, min(int(m.room[n, r]) // int(slot[r]) for r in free))
            parts.append(free[main])
            if not most:
                continue
            slots = m.model.new_int_var(0, most, f"slots{n}")
            for r, left in free.items():
                m.model.add(int(slot[r]) * slots <= left)
            parts.append(-int(slot[main]) * slots)
            self.hinted.append((slots, self._slots_of(n, most)))
        return cp_model.LinearExpr.sum(parts)

    def _slots_of(self, n: int, most: int) -> Callable[[IntArray], int]:
        m, slot = self.m, self.m.problem.slot
        here = np.array(m.on[n], dtype=np.int64)
        at = np.where(m.types.spans[here], m.problem.first[n], n)
        wanted = np.flatnonzero(slot)

        def value(table: IntArray) -> int:
            free = m.room[n] - table[here, at] @ m.types.request[here]
            return max(0, min(most, int((free[wanted] // slot[wanted]).min())))

        return value
