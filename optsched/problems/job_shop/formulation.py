"""What the formulations of the job shop share: the windows, and questions about gaps."""

from __future__ import annotations

import numpy as np

from optsched.problems.job_shop.problem import JobShop
from optsched.problems.job_shop.timing import followed, holding
from optsched.problems.job_shop.windows import least_durations, windows
from optsched.solvers.base import Compiled

#: Features that both formulations express.
SUPPORTS = frozenset(
    {
        "flexible", "release dates", "deadlines", "lags", "transport",
        "calendars", "blocking", "no-wait", "setup",
        "objective makespan", "objective total_weighted_tardiness",
        "objective total_completion_time", "objective maximum_lateness",
    }
)  # fmt: skip


class Formulation(Compiled):
    """A job shop within its windows, before it becomes a model.

    Attributes
    ----------
    head, latest : ndarray, shape (n_ops,)
        Earliest start and latest end of each operation.
    least : ndarray, shape (n_ops,)
        Duration of each operation on its fastest machine.
    op_of_alt : ndarray, shape (n_alts,)
        Operation of each alternative.
    follows, holds : ndarray of bool, shape (n_ops,)
        Whether an operation has a next one in its job, and whether it blocks its machine until
        that one starts.

    Raises
    ------
    ProvenInfeasible
        When some operation has no window.
    """

    def __init__(self, problem: JobShop, upper_bound: int | None) -> None:
        self.problem = problem
        self.head, self.latest = windows(problem, upper_bound)
        self.least = least_durations(problem)
        self.op_of_alt = np.repeat(np.arange(problem.n_ops), np.diff(problem.alt_offset))
        self.follows = followed(problem)
        self.holds = holding(problem)

    def single(self, op: int) -> bool:
        """Return whether an operation has one eligible machine."""
        first, last = self.problem.alt_offset[op : op + 2]
        return bool(last == first + 1)

    def gap_between(self, op: int, a: int, b: int) -> int:
        """Return lag plus transport behind `op` from its alternative `a` to the next one's `b`."""
        problem = self.problem
        gap = int(problem.lag[op])
        if problem.transport is not None:
            gap += int(problem.transport[problem.alt_machine[a], problem.alt_machine[b]])
        return gap

    def fixed_gap(self, op: int) -> int | None:
        """Return the gap behind an operation where the machines do not matter, else None."""
        problem = self.problem
        if problem.transport is None:
            return int(problem.lag[op])
        first, middle, last = problem.alt_offset[op : op + 3]
        here, there = problem.alt_machine[first:middle], problem.alt_machine[middle:last]
        moves = problem.transport[np.ix_(here, there)]
        if moves.min() != moves.max():
            return None
        return int(problem.lag[op] + moves.min())

    def setup_between(self, machine: int, i: int, j: int) -> int:
        """Return the setup between two operations on a machine."""
        setup, job = self.problem.setup, self.problem.op_job
        return 0 if setup is None else int(setup[machine, job[i], job[j]])
