"""The job shop as a rolling horizon sees it: what comes next, and the model of a window."""

from __future__ import annotations

import numpy as np

from optsched.core import BoolArray, Deadline, IntArray
from optsched.problems.job_shop import cpsat, cutting, parts
from optsched.problems.job_shop.problem import UNLIMITED, JobShop, JobShopSolution

#: Whatever the formulation can express.
SUPPORTS = cpsat.SUPPORTS


class JobShopHorizon:
    """The operations of a job shop in the order in which they enter the window.

    That is by their relative position in their jobs, as in L-RHO (Li et al. 2025), ties broken at
    random. Operations that no buffer parts (blocking, no-wait) enter and are kept together: were
    the machine behind a blocked job taken meanwhile, nothing could follow.

    Parameters
    ----------
    problem : JobShop
    seed : int
        For the ties.
    tails : bool
        Whether a window counts the least time that the rest of each job will take; the published
        rolling horizon does not.
    deadline : Deadline, optional
        Of the whole.
    """

    def __init__(
        self,
        problem: JobShop,
        *,
        seed: int = 0,
        tails: bool = False,
        deadline: Deadline | None = None,
    ) -> None:
        self.problem = problem
        self.items = problem.n_ops
        self._tails, self._deadline = tails, deadline
        position = np.arange(problem.n_ops) - problem.job_offset[:-1][problem.op_job]
        size = np.diff(problem.job_offset)[problem.op_job]
        tie = np.random.default_rng(seed).random(problem.n_ops)
        self._sequence = np.lexsort((tie, position, position / size))
        begins = np.ones(problem.n_ops, dtype=bool)
        begins[1:] = problem.buffer[:-1] == UNLIMITED
        begins[problem.job_offset[:-1]] = True
        #: Number of the run of operations without a buffer in between that each belongs to.
        self._run = np.cumsum(begins) - 1
        self._first = np.flatnonzero(begins)

    def empty(self) -> JobShopSolution:
        """Return the plan of which nothing is done."""
        machine = self.problem.alt_machine[self.problem.alt_offset[:-1]]
        return JobShopSolution(np.zeros(self.items, dtype=np.int64), machine)

    def window(self, done: BoolArray, size: int) -> BoolArray:
        """Return the next `size` operations, and what must go with them."""
        waiting = self._sequence[~done[self._sequence]]
        return self._whole_runs(waiting[: max(1, size)])

    def part(self, plan: JobShopSolution, done: BoolArray, window: BoolArray) -> parts.Part:
        """Return the model in which `window` is free, what is done is fixed, the rest is absent."""
        state = np.full(self.items, cutting.ABSENT, dtype=np.int8)
        state[done], state[window] = cutting.FIXED, cutting.FREE
        return parts.Part(self.problem, plan, state, tails=self._tails, deadline=self._deadline)

    def keep(self, plan: JobShopSolution, window: BoolArray, step: int) -> BoolArray:
        """Return the operations of the window that begin first."""
        ops = np.flatnonzero(window)
        begin = plan.start[self._first[self._run[ops]]]
        order = ops[np.lexsort((ops, begin))]
        return self._whole_runs(order[:step])

    def _whole_runs(self, ops: IntArray) -> BoolArray:
        chosen = np.zeros(len(self._first), dtype=bool)
        chosen[self._run[ops]] = True
        return np.asarray(chosen[self._run])


def horizon(
    problem: JobShop, *, seed: int = 0, tails: bool = False, deadline: Deadline | None = None
) -> JobShopHorizon:
    """Return the view of a job shop that `optsched.search.rolling` works on."""
    return JobShopHorizon(problem, seed=seed, tails=tails, deadline=deadline)
