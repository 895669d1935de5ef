"""A job shop as the matrices of the kernels, and the way in and out of them.

Importing this module compiles the kernels when no cache is at hand (some seconds).
"""

from __future__ import annotations

import copy
from typing import Self

import numpy as np
import numpy.typing as npt

from optsched.core import IntArray
from optsched.problems.job_shop import kernels, paths, tabu
from optsched.problems.job_shop.problem import JobShop, JobShopSolution

#: Shares of Zhang's tenure: the least, and the width of the random part.
TENURE, SPREAD = 0.8, 0.5

Order = npt.NDArray[np.uint32]


class Shop:
    """The matrices of one job shop for the kernels, and the way in and out of them.

    Parameters
    ----------
    problem : JobShop
        One machine an operation; features within the search's `SUPPORTS`.
    seed : int
        Seed of the kernels' random numbers.
    """

    #: Sizes of the matrices; shops with more to keep have more rows.
    IX_ROWS, TM_ROWS = kernels.IX_ROWS, kernels.TM_ROWS

    def __init__(self, problem: JobShop, seed: int) -> None:
        self.problem = problem
        n, n_jobs = problem.n_ops, problem.n_jobs
        width = n + n_jobs + 2
        self.node = np.arange(n) + problem.op_job + 1
        self.last = self.node[problem.job_offset[1:] - 1].astype(np.uint32)
        self.ix = np.zeros((self.IX_ROWS, width), dtype=np.uint32)
        self.ix[kernels.POS] = np.iinfo(np.uint32).max  # dummies stand beyond every position
        self.tm = np.zeros((self.TM_ROWS, width), dtype=np.int64)
        self._fill()
        first_dummy = self.node[problem.job_offset[:-1]] - 1
        self.tm[kernels.END, first_dummy] = problem.release
        #: The kernels' longest path minus this is the objective.
        self.offset = 0
        if problem.objective_kind == "maximum_lateness":
            assert problem.due is not None
            self.offset = int(problem.due.max())
            self.tm[kernels.TAIL, self.last.astype(np.int64) + 1] = self.offset - problem.due
        self.ctl = np.zeros(kernels.CTL_SIZE, dtype=np.int64)
        self.ctl[kernels.C_OPS] = n
        self.ctl[kernels.C_MACHINES] = problem.n_machines
        # Zhang et al. (2007) forbid for 10 + n / m moves and more; but they compare whole
        # sequences, while any arc turned back is tabu here: less is better (measured).
        tenure = 10 + n_jobs // problem.n_machines
        self.ctl[kernels.C_TENURE] = max(1, round(TENURE * tenure))
        self.ctl[kernels.C_SPREAD] = max(1, round(SPREAD * tenure))
        self.rng = _state(seed)
        size = 1 << int(np.clip(int(n).bit_length() + 5, 14, 18))
        self.tabu = np.zeros(size, dtype=np.int32)

    def twin(self, seed: int) -> Self:
        """Return matrices of the same shop for another thread."""
        other = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                setattr(other, name, value.copy())
        other.rng = _state(seed)
        return other

    def merged(self, order: Order, other: Order, window: tuple[int, int]) -> Order:
        """Return `order` with what `other` has in a window of positions."""
        result = order.copy()
        result[slice(*window)] = other[slice(*window)]
        return result

    def _fill(self) -> None:
        """Set machines, durations and gaps of the operations."""
        self.ix[kernels.MACHINE, self.node] = self.problem.alt_machine
        self.tm[kernels.P, self.node] = self.problem.alt_duration
        self.tm[kernels.GAP, self.node] = gaps(self.problem)

    def reprice(self, order: Order) -> None:
        """Let the prices of machines follow a schedule, where there is a choice of machines."""

    def load(self, order: Order) -> int:
        """Load a linear order of the nodes; return its longest path."""
        self.ix[kernels.ORDER, : len(order)] = order
        kernels.load(self.ix, self.tm, self.last, self.ctl)
        return int(self.ctl[kernels.C_CURRENT])

    def dispatch(self, noise: float) -> Order:
        """Return the order of an active schedule by most work remaining, with `noise`."""
        paths.dispatch(self.ix, self.tm, self.last, self.ctl, self.rng, noise)
        return self.ix[kernels.ORDER, : self.problem.n_ops].copy()

    def order(self, solution: JobShopSolution) -> Order:
        """Return the operations of a schedule in the order of their starts."""
        end = solution.start + self.problem.alt_duration
        return self.node[np.lexsort((end, solution.start))].astype(np.uint32)

    def solution(self, order: Order) -> JobShopSolution:
        """Return the semi-active schedule of a linear order; what is loaded stays."""
        tm, ctl = self.tm.copy(), self.ctl.copy()
        ix = self.ix.copy()
        ix[kernels.ORDER, : len(order)] = order
        kernels.load(ix, tm, self.last, ctl)
        start = (tm[kernels.END] - tm[kernels.P])[self.node]
        return JobShopSolution(start, self.problem.alt_machine)

    def distance(self, a: Order, b: Order) -> int:
        """Return how many pairs of operations on a machine `a` and `b` order differently.

        `a` is loaded, and `b` the guide, afterwards.
        """
        self.load(a)
        self.ix[kernels.GUIDE, b] = np.arange(len(b))
        return int(paths.distance(self.ix, self.ctl))

    def by_start(self, order: Order) -> Order:
        """Return the same schedule as the order of its starts, so that windows are of time."""
        self.load(order)
        n = self.problem.n_ops
        nodes = order[:n]
        end, duration = self.tm[kernels.END, nodes], self.tm[kernels.P, nodes]
        return self._replaced(order, nodes[np.lexsort((end, end - duration))])

    def _replaced(self, order: Order, nodes: Order) -> Order:
        return nodes

    def relink(self, a: Order, b: Order, share: float) -> Order:
        """Return a schedule at `share` of the way from `a` to `b`."""
        apart = self.distance(a, b)
        paths.relink(self.ix, self.ctl, self.rng, max(1, int(apart * share)))
        return self.ix[kernels.ORDER, : len(a)].copy()

    def begin(self, order: Order, patience: int, window: tuple[int, int] | None = None) -> None:
        """Start a tabu search at `order`.

        With a `window` (first position and the one behind the last) only operations there move,
        among themselves, and what counts is the longest path through them.
        """
        self.load(order)
        ctl = self.ctl
        self.ix[kernels.BEST] = self.ix[kernels.ORDER]
        if window is not None:
            ctl[kernels.C_LOW], ctl[kernels.C_HIGH] = window
            ctl[kernels.C_CURRENT] = kernels.length(self.ix, self.tm, self.last, ctl)
        ctl[kernels.C_MOVES] = ctl[kernels.C_IMPROVED] = 0
        ctl[kernels.C_BEST] = np.iinfo(np.int64).max
        ctl[kernels.C_PATIENCE] = patience
        self.tabu.fill(0)

    def search(self, moves: int, target: int) -> int:
        """Go on with the tabu search for at most `moves` moves; return how many were made.

        It ends early when its patience is over or the longest path is down to `target`.
        """
        self.ctl[kernels.C_TARGET] = target
        return int(tabu.search(self.ix, self.tm, self.last, self.tabu, self.ctl, self.rng, moves))

    @property
    def best(self) -> int:
        """Longest path of the best schedule since `begin`."""
        return int(self.ctl[kernels.C_BEST])

    def best_order(self) -> Order:
        """Return the order of the best schedule since `begin`."""
        return self.ix[kernels.BEST, : self.problem.n_ops].copy()


def _state(seed: int) -> npt.NDArray[np.uint64]:
    """Return the state of the kernels' random numbers."""
    return np.random.SeedSequence(seed).generate_state(1, np.uint64) | np.uint64(1)


def gaps(problem: JobShop) -> IntArray:
    """Return lag plus transport behind each operation of a shop without alternatives."""
    gap = problem.lag.copy()
    if problem.transport is not None:
        before = np.ones(problem.n_ops, dtype=bool)
        before[problem.job_offset[1:] - 1] = False
        k = np.flatnonzero(before)
        gap[k] += problem.transport[problem.alt_machine[k], problem.alt_machine[k + 1]]
    return gap
