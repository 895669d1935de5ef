"""Neighbourhoods of a job-shop schedule: which operations a large-neighbourhood search frees.

They look at times and machines alone, never at the rules, so they serve every variant. What is not
free keeps its machine and its order there, but may move in time; see
`optsched.problems.job_shop.parts`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from optsched.core import BoolArray, Deadline, IntArray
from optsched.problems.job_shop import cpsat, cutting, parts
from optsched.problems.job_shop.problem import JobShop, JobShopSolution
from optsched.search.lns import Neighbourhood, window

#: Whatever the formulation can express.
SUPPORTS = cpsat.SUPPORTS


def neighbourhoods(problem: JobShop) -> Mapping[str, Neighbourhood]:
    """Return the neighbourhoods of an instance by name."""
    return {name: kind(problem) for name, kind in NEIGHBOURHOODS.items()}


def items(problem: JobShop) -> int:
    """Return the number of operations, from which the neighbourhoods choose."""
    return problem.n_ops


def part(
    problem: JobShop,
    solution: JobShopSolution,
    free: BoolArray,
    *,
    upper_bound: int | None = None,
    deadline: Deadline | None = None,
) -> parts.Part:
    """Return the model in which the free operations are free and the others keep their order.

    What has ended before the first free operation begins stays where it is.
    """
    state = np.where(free, cutting.FREE, cutting.ORDERED).astype(np.int8)
    if free.any():
        begin = int(solution.start[free].min())
        over = ~free & (problem.completion(solution) <= begin)
        state[over] = cutting.FIXED
    return parts.Part(problem, solution, state, upper_bound=upper_bound, deadline=deadline)


def _mask(problem: JobShop, ops: IntArray) -> BoolArray:
    free = np.zeros(problem.n_ops, dtype=bool)
    free[ops] = True
    return free


class _Neighbourhood:
    def __init__(self, problem: JobShop) -> None:
        self.problem = problem

    def middle(self, solution: JobShopSolution) -> IntArray:
        """Return twice the middle of each operation in time."""
        return solution.start + self.problem.completion(solution)


class _Time(_Neighbourhood):
    """All operations of a window of time."""

    def __call__(
        self, solution: JobShopSolution, size: int, random: np.random.Generator
    ) -> BoolArray:
        return _mask(self.problem, window(self.middle(solution), size, random))


class _Machines(_Neighbourhood):
    """The operations of some machines, in a window of time where that is too many."""

    def __call__(
        self, solution: JobShopSolution, size: int, random: np.random.Generator
    ) -> BoolArray:
        problem = self.problem
        count = int(random.integers(2, max(3, problem.n_machines // 2 + 1)))
        chosen = random.choice(problem.n_machines, min(count, problem.n_machines), replace=False)
        ops = np.flatnonzero(np.isin(solution.machine, chosen))
        if not ops.size:
            ops = np.arange(problem.n_ops)
        ops = ops[np.argsort(self.middle(solution)[ops], kind="stable")]
        first = int(random.integers(max(1, len(ops) - size + 1)))
        return _mask(problem, ops[first : first + size])


class _Jobs(_Neighbourhood):
    """All operations of some jobs, the last one in part."""

    def __call__(
        self, solution: JobShopSolution, size: int, random: np.random.Generator
    ) -> BoolArray:
        problem = self.problem
        rank = random.permutation(problem.n_jobs)
        order = np.argsort(rank[problem.op_job], kind="stable")
        return _mask(problem, order[:size])


class _Critical(_Neighbourhood):
    """A stretch of the operations that decide the objective, and what is around them."""

    def __call__(
        self, solution: JobShopSolution, size: int, random: np.random.Generator
    ) -> BoolArray:
        problem = self.problem
        completion = problem.completion(solution)
        path = critical(problem, solution, completion)
        path = path[np.argsort(solution.start[path], kind="stable")]
        length = int(random.integers(2, max(3, min(len(path), size // 2) + 1)))
        first = int(random.integers(max(1, len(path) - length + 1)))
        stretch = path[first : first + length]
        # Around: what is nearest in time, first of all what the stretch could trade places with.
        middle = self.middle(solution)
        near = np.searchsorted(middle[stretch], middle)
        below = middle[stretch][np.maximum(near - 1, 0)]
        above = middle[stretch][np.minimum(near, len(stretch) - 1)]
        distance = np.minimum(np.abs(middle - below), np.abs(middle - above)).astype(float)
        machines = np.unique(solution.machine[stretch])
        distance *= np.where(np.isin(solution.machine, machines), 1.0, 2.0)
        distance *= random.uniform(0.5, 1.5, problem.n_ops)
        distance[stretch] = -1.0
        return _mask(problem, np.argsort(distance, kind="stable")[:size])


def critical(problem: JobShop, solution: JobShopSolution, completion: IntArray) -> IntArray:
    """Return operations that decide the objective: from one that does, back over tight links.

    A link is tight where an operation begins as soon as the one before it in its job, or on its
    machine, lets it. What gaps there have to be (lags, setups, breaks) is not looked at: of the two
    that go before, the one that ends later is taken.
    """
    last = problem.job_offset[1:] - 1
    cost = completion[last].astype(float)
    if problem.due is not None and problem.objective_kind != "makespan":
        cost = cost - problem.due
    if problem.objective_kind.startswith("total"):
        cost = cost * problem.weight
    op = int(last[int(np.argmax(cost))])
    order = np.lexsort((completion, solution.start, solution.machine))
    before = np.full(problem.n_ops, -1, dtype=np.int64)
    same = solution.machine[order][1:] == solution.machine[order][:-1]
    before[order[1:][same]] = order[:-1][same]
    first = np.zeros(problem.n_ops, dtype=bool)
    first[problem.job_offset[:-1]] = True
    path = [op]
    while len(path) < problem.n_ops:
        candidates = [k for k in (int(before[op]), -1 if first[op] else op - 1) if k >= 0]
        if not candidates:
            break
        op = max(candidates, key=lambda k: int(completion[k]))
        if op in path[-8:]:
            break
        path.append(op)
    return np.array(sorted(set(path)), dtype=np.int64)


#: The neighbourhoods by name.
NEIGHBOURHOODS: dict[str, type[_Time | _Machines | _Critical | _Jobs]] = {
    "time": _Time,
    "machines": _Machines,
    "critical": _Critical,
    "jobs": _Jobs,
}
