"""A lower bound on the traffic of every order, from what is alive whatever the order.

A tensor that an ancestor of an operator touches, and a descendant too, is alive while the operator
runs, in any order. Where those and the operator's own tensors exceed the capacity, some must have
left. Of a tensor each of whose operators is an ancestor or a descendant, it is even known in which
of its gaps; two such gaps are different where an operator of the tensor must come in between. The
least cost of satisfying all operators at once is a covering program.
"""

from __future__ import annotations

import numpy as np

from optsched.core import BoolArray, Deadline, IntArray
from optsched.problems.scratchpad.covering import solve_covering
from optsched.problems.scratchpad.graph import INTERMEDIATE, OperatorGraph
from optsched.problems.scratchpad.problem import ScratchpadSchedule

#: Most operators for which ancestors are listed, n^2 bytes.
MOST = 6_000


def lower_bound(problem: ScratchpadSchedule, deadline: Deadline) -> int | None:
    """Return bytes that every schedule moves beyond the compulsory; None where that is not known.

    Parameters
    ----------
    problem : ScratchpadSchedule
        Where its order is fixed, None: the gap model knows more.
    deadline : Deadline
        When it passes, the bound so far is returned.
    """
    graph = problem.graph
    if graph.n_operators > MOST or problem.order is not None:
        return None
    cover = _Cover(graph, problem.capacity)
    if not cover.least:
        return 0
    cost, index, value = cover.program()
    return solve_covering(cost, index, value, cover.least, deadline)[1]


def ancestors(graph: OperatorGraph) -> BoolArray:
    """Return whether operator ``j`` must run before ``i``; shape (n_operators, n_operators)."""
    above = np.zeros((graph.n_operators, graph.n_operators), dtype=bool)
    for i in graph.default_order().tolist():
        before = graph.predecessors(i)
        above[i] = above[before].any(axis=0)
        above[i, before] = True
    return above


class _Cover:
    """A row for each operator that has too much beside it: who could leave, how much must."""

    def __init__(self, graph: OperatorGraph, capacity: int) -> None:
        self.graph = graph
        above = ancestors(graph)
        missing = graph.working_sets() - capacity
        beside: list[list[tuple[int, int]]] = [[] for _ in range(graph.n_operators)]
        self.column: dict[tuple[int, bytes], int] = {}
        self.columns_of: dict[int, list[int]] = {}
        for t in np.flatnonzero(graph.size > 0).tolist():
            producer = [int(graph.producer[t])] if graph.producer[t] >= 0 else []
            touch = np.array([*producer, *graph.consumers(t).tolist()], dtype=np.int64)
            if len(touch) < 2:
                continue
            before, behind = above[:, touch], above[touch].T
            alive = np.asarray(np.logical_and(before.any(axis=1), behind.any(axis=1)))
            alive[touch] = False
            known = np.asarray(np.logical_or(before, behind).all(axis=1))
            missing += np.where(alive, graph.size[t], 0)
            for i in np.flatnonzero(alive).tolist():
                key = before[i].tobytes() if known[i] else b""
                column = self.column.setdefault((t, key), len(self.column))
                if column not in self.columns_of.setdefault(t, []):
                    self.columns_of[t].append(column)
                beside[i].append((t, column if known[i] else -1))
        self.rows = [beside[i] for i in np.flatnonzero(missing > 0).tolist()]
        self.least: list[int] = missing[missing > 0].tolist()

    def program(self) -> tuple[IntArray, list[IntArray], list[IntArray]]:
        """Return cost, columns and coefficients; columns are gaps, then stores."""
        graph = self.graph
        owner = [t for t, _ in self.column]
        stored = sorted({t for t in owner if graph.kind[t] == INTERMEDIATE})
        column_of = {t: len(owner) + k for k, t in enumerate(stored)}
        cost = np.concatenate([graph.size[owner], graph.size[stored]])
        index, value = [], []
        for row, least in zip(self.rows, self.least, strict=True):
            entries: list[tuple[int, int]] = []
            for t, column in row:
                # Where the gap is not known, any gap of the tensor may be meant.
                columns = self.columns_of[t] if column < 0 else [column]
                entries += [(c, min(int(graph.size[t]), least)) for c in columns]
            index.append(np.array([c for c, _ in entries], dtype=np.int64))
            value.append(np.array([v for _, v in entries], dtype=np.int64))
        for c, t in enumerate(owner):
            if t in column_of:
                index.append(np.array([column_of[t], c]))
                value.append(np.array([1, -1]))
                self.least.append(0)
        return cost, index, value
