"""Plans of all tensors in the flat arrays of the kernels, and the way to solutions and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from optsched.core import IntArray
from optsched.problems.memory_tiers import kernels
from optsched.problems.memory_tiers.problem import MemoryTiers, MemoryTiersSolution
from optsched.problems.scratchpad.graph import OUTPUT

#: What `kernels` calls a state.
State = tuple[Any, ...]


class Program:
    """An instance in the arrays that the kernels take.

    Attributes
    ----------
    problem : MemoryTiers
    data : tuple of ndarray
        See `kernels`.
    """

    def __init__(self, problem: MemoryTiers) -> None:
        graph = problem.graph
        tensor, step = problem.touches().T
        first = np.searchsorted(tensor, np.arange(graph.n_tensors + 1)).astype(np.int64)
        # Copies: for frozen arrays Numba would compile every kernel once more.
        self.problem = problem
        self.data = (
            first,
            step.copy(),
            problem.access_time(),
            problem.copy_time(),
            graph.size.copy(),
            graph.producer >= 0,
            graph.kind == OUTPUT,
            problem.capacity.copy(),
            problem.compute[problem.order],
        )

    def empty(self) -> State:
        """Return the state in which everything is in main memory."""
        n_touches, n_tensors = len(self.data[1]), self.problem.graph.n_tensors
        n_steps = self.problem.graph.n_operators
        state = (
            np.zeros(n_touches, dtype=np.int64),
            np.zeros(n_touches, dtype=np.bool_),
            np.full(n_touches, -1, dtype=np.int64),
            np.full(n_tensors, -1, dtype=np.int64),
            np.zeros((self.problem.n_tiers, n_steps), dtype=np.int64),
            np.zeros(n_steps, dtype=np.int64),
        )
        for t in range(n_tensors):
            kernels.change(self.data, state, t, 1)
        return state

    def value(self, state: State) -> int:
        """Return the time of all steps."""
        slack = np.zeros(self.problem.graph.n_operators, dtype=np.int64)
        return int(kernels.evaluate(self.data, state, slack, np.empty((0, 4), dtype=np.int64))[0])

    def solution(self, state: State) -> MemoryTiersSolution:
        """Return the solution of a state."""
        first, step, written = self.data[0], self.data[1], self.data[5]
        tier, keep, start, evict = state[:4]
        slack = np.zeros(self.problem.graph.n_operators, dtype=np.int64)
        rows, size = 0, len(step) + len(slack)
        while rows == size or not rows:
            size *= 2
            record = np.zeros((size + 1, 4), dtype=np.int64)
            rows = kernels.evaluate(self.data, state, slack, record)[1]
            if rows <= size:
                break
        stays = []
        for t in range(len(evict)):
            k = int(first[t])
            while k < first[t + 1]:
                if not tier[k]:
                    k += 1
                    continue
                produced = bool(written[t]) and k == first[t]
                last = int(kernels.stay_end(keep, k, first[t + 1]))
                end = max(int(step[last]), int(evict[t]) if produced else -1)
                stays.append((t, int(tier[k]), int(step[k] if produced else start[k]), end))
                k = last + 1
        return MemoryTiersSolution(tier, stays, record[:rows])

    def state(self, solution: MemoryTiersSolution) -> State | None:
        """Return the state of a solution; None where plans cannot express it."""
        first, step, written = self.data[0], self.data[1], self.data[5]
        state = self.empty()
        tier, keep, start, evict = state[:4]
        stays: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for t, m, begin, end in solution.stays.tolist():
            stays.setdefault((t, m), []).append((begin, end))
        for t, m, at, _ in solution.copies.tolist():
            if m == 0:
                evict[t] = max(evict[t], at)
        for t in range(len(evict)):
            covering: tuple[int, int] | None = None
            for k in range(int(first[t]), int(first[t + 1])):
                m = int(solution.tier[k])
                tier[k] = m
                before = covering
                spans = stays.get((t, m), [])
                covering = next((s for s in spans if s[0] <= step[k] <= s[1]), None)
                if not m or covering is None:
                    covering = None
                elif covering == before and tier[k - 1] == m:
                    keep[k - 1] = True
                elif not (written[t] and k == first[t]):
                    start[k] = covering[0]
                    if k > first[t]:
                        start[k] = max(start[k], step[k - 1] + (1 if tier[k - 1] else 0))
        return self.repaired(state)

    def repaired(self, state: State) -> State | None:
        """Return a state whose plans alone are given, with room and load; None where it is none."""
        first, step, written = self.data[0], self.data[1], self.data[5]
        tier, keep, start = state[:3]
        state[4][:], state[5][:] = 0, 0
        for t in range(len(first) - 1):
            for k in range(int(first[t + 1]) - 1, int(first[t]), -1):
                if tier[k] and tier[k] == tier[k - 1] and 0 <= start[k] <= step[k - 1]:
                    keep[k - 1], start[k] = True, -1  # it is there already
                if keep[k - 1]:
                    tier[k - 1] = tier[k]  # it is there, wherever it is read from
            for k in range(int(first[t]), int(first[t + 1])):
                fresh = tier[k] and not (k > first[t] and keep[k - 1])
                if fresh and not (written[t] and k == first[t]) and not 0 <= start[k] < step[k]:
                    return None
            kernels.change(self.data, state, t, 1)
        return None if self.problem.check(self.solution(state)) else state


def by_density(problem: MemoryTiers) -> IntArray:
    """Return the tensors in the order in which they deserve room, as XLA sorts them.

    Those come first whose accesses in main memory take longest for the bytes that they hold and
    the steps over which they hold them.
    """
    tensor, step = problem.touches().T
    n = problem.graph.n_tensors
    access = problem.access_time()
    count = np.bincount(tensor, minlength=n)
    low = np.full(n, problem.graph.n_operators)
    high = np.zeros(n, dtype=np.int64)
    np.minimum.at(low, tensor, step)
    np.maximum.at(high, tensor, step)
    saved = count * (access[:, 0] - access.min(axis=1))
    held = np.maximum(1, problem.graph.size) * np.maximum(1, high - low + 1)
    return np.argsort(-saved / held, kind="stable").astype(np.int64)
