"""A flexible job shop as the matrices of the kernels, and the way in and out of them.

Importing this module compiles the kernels when no cache is at hand (some seconds).
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from optsched.core import Deadline
from optsched.problems.job_shop import assignment, dispatch, kernels, paths
from optsched.problems.job_shop import flexible_kernels as fk
from optsched.problems.job_shop.assignment import FloatArray
from optsched.problems.job_shop.problem import JobShop, JobShopSolution
from optsched.problems.job_shop.shop import Order, Shop

#: Seconds that the relaxed assignment may take, for the sake of a good start.
RELAXATION_LIMIT = 5.0
#: How strongly the starts keep to the relaxed assignment: cost of leaving it, in units of it.
LOYALTIES = (0.0, 0.3, 1.0, 3.0, np.inf)
#: Share of an operation that an alternative needs in the relaxed assignment to belong to it.
USED = 0.01
#: Paths that are shorter than the longest by less than so many mean durations crowd a schedule.
MARGIN = 1.0
#: Weight of regret against the estimate of the longest path, and the unit it is kept in.
REGRET_WEIGHT, REGRET_UNIT = 1.0, 64
#: Power of its load, as a multiple of the mean, by which a machine's price rises (measured).
STEEPNESS = 10.0


class FlexibleShop(Shop):
    """The matrices of one flexible job shop; an `Order` is followed by the alternatives chosen.

    Parameters
    ----------
    problem : JobShop
        Features within the search's `SUPPORTS`.
    seed : int
        Seed of the kernels' random numbers.
    deadline : Deadline, optional
        Of the relaxed assignment that the starts are led by.
    """

    IX_ROWS, TM_ROWS = fk.IX_ROWS, fk.TM_ROWS

    def __init__(self, problem: JobShop, seed: int, deadline: Deadline | None = None) -> None:
        super().__init__(problem, seed)
        n, n_machines = problem.n_ops, problem.n_machines
        width = self.ix.shape[1]
        sizes = np.zeros(width + 1, dtype=np.int64)
        sizes[self.node + 1] = np.diff(problem.alt_offset)
        room = np.bincount(problem.alt_machine, minlength=n_machines)
        move = np.zeros((1, 1), dtype=np.int64)
        if problem.transport is not None:
            move = problem.transport.copy()  # writeable, as the kernels' signatures want it
            self.ctl[fk.C_TRANSPORT] = 1
        self.tables: tuple[Any, ...] = (
            np.cumsum(sizes).astype(np.uint32),
            problem.alt_machine.astype(np.uint32),
            problem.alt_duration.copy(),
            move,
            np.zeros(int(room.sum()), dtype=np.uint32),
            (np.cumsum(room) - room).astype(np.uint32),
            np.zeros(n_machines, dtype=np.int64),
            np.zeros(len(problem.alt_machine), dtype=np.int64),
            np.zeros(n_machines, dtype=np.int64),
            np.zeros(n_machines, dtype=np.int64),
        )
        self.random = np.random.default_rng(seed)
        self._price: FloatArray | None = None
        self._regret: FloatArray | None = None
        left = float("inf") if deadline is None else deadline.remaining()
        relaxation = assignment.relax(problem, deadline=Deadline(min(left, RELAXATION_LIMIT)))
        if relaxation is not None:
            self._price = relaxation.price / max(relaxation.price.mean(), 1e-12)
            self._regret = self._regrets(self._price)
            self._regret[relaxation.share > USED] = 0.0
            self._charge(self._regret)
            self.ctl[fk.C_WEIGHT] = round(1024 * REGRET_WEIGHT / REGRET_UNIT)
        self._op_of_alt = np.repeat(np.arange(n), np.diff(problem.alt_offset))

    def _fill(self) -> None:
        self.tm[fk.LAG, self.node] = self.tm[kernels.GAP, self.node] = self.problem.lag

    def _regrets(self, price: FloatArray) -> FloatArray:
        """Return what each alternative costs more than the cheapest of its operation."""
        problem = self.problem
        cost = price[problem.alt_machine] * problem.alt_duration
        least = np.minimum.reduceat(cost, problem.alt_offset[:-1])
        regret: FloatArray = cost - np.repeat(least, np.diff(problem.alt_offset))
        return regret

    def reprice(self, order: Order) -> None:
        """Let the prices of machines follow what a schedule loads them with.

        Those of the relaxed assignment hold where the loads are as even as there; what is busier
        than others in the schedule at hand is what bounds it from below.
        """
        if self._price is None:
            return
        problem, chosen = self.problem, order[self.problem.n_ops :].astype(np.int64)
        load = np.bincount(
            problem.alt_machine[chosen], problem.alt_duration[chosen], problem.n_machines
        )
        self._charge(self._regrets(self._price * (load / load.mean()) ** STEEPNESS))

    def _charge(self, regret: FloatArray) -> None:
        """Let the kernels choose moves by these regrets."""
        self.tables[7][:] = np.rint(REGRET_UNIT * regret)

    def twin(self, seed: int) -> Self:
        """Return matrices of the same shop for another thread."""
        other = super().twin(seed)
        other.random = np.random.default_rng(seed)
        other.tables = tuple(table.copy() for table in self.tables)
        return other

    def merged(self, order: Order, other: Order, window: tuple[int, int]) -> Order:
        """Return `order` with what `other` has in a window: sequence and alternatives."""
        result = super().merged(order, other, window)
        n = self.problem.n_ops
        # Nodes of a job are consecutive, and a dummy stands before each job.
        ops = np.searchsorted(self.node, other[slice(*window)])
        result[n + ops] = other[n + ops]
        return result

    def load(self, order: Order) -> int:
        """Load a linear order and its alternatives; return the longest path."""
        n = self.problem.n_ops
        self.ix[kernels.ORDER, :n] = order[:n]
        self.ix[fk.ALT, self.node] = order[n:]
        fk.load(self.ix, self.tm, self.last, self.tables, self.ctl)
        return int(self.ctl[kernels.C_CURRENT])

    def begin(self, order: Order, patience: int, window: tuple[int, int] | None = None) -> None:
        """Start a tabu search at `order`, perhaps of a window alone."""
        super().begin(order, patience, window)
        self.ix[fk.BEST_ALT] = self.ix[fk.ALT]
        self.ctl[fk.C_MARGIN] = round(MARGIN * float(self.tm[kernels.P, self.node].mean()))
        if window is not None:
            fk.enclose(self.ix, self.tables, self.ctl, *window)

    def dispatch(self, noise: float) -> Order:
        """Return a schedule by earliest completion, more or less close to the relaxed assignment.

        Without `noise` it is the best of several degrees of closeness.
        """
        regret = self._regret
        if regret is None:
            return self._dispatch(np.zeros(len(self.problem.alt_machine)), noise)
        if noise > 0:
            loyalty = float(self.random.uniform(0.1, 4.0))
            return self._dispatch(loyalty * regret, noise)
        best: tuple[int, Order] | None = None
        for loyalty in LOYALTIES:
            bias = np.where(regret > 0, np.inf, 0.0) if loyalty == np.inf else loyalty * regret
            order = self._dispatch(bias, 0.0)
            value = self.load(order)
            if best is None or value < best[0]:
                best = value, order
        assert best is not None
        return best[1]

    def _dispatch(self, bias: FloatArray, noise: float) -> Order:
        dispatch.dispatch(self.ix, self.tm, self.last, self.tables, self.ctl, self.rng, bias, noise)
        return self._current(kernels.ORDER, fk.ALT)

    def _current(self, order_row: int, alternative_row: int) -> Order:
        order = self.ix[order_row, : self.problem.n_ops]
        return np.concatenate((order, self.ix[alternative_row, self.node]))

    def order(self, solution: JobShopSolution) -> Order:
        """Return the operations of a schedule in the order of their starts, and alternatives."""
        problem = self.problem
        chosen = np.flatnonzero(problem.alt_machine == solution.machine[self._op_of_alt])
        end = solution.start + problem.alt_duration[chosen]
        order = self.node[np.lexsort((end, solution.start))]
        return np.concatenate((order, chosen)).astype(np.uint32)

    def solution(self, order: Order) -> JobShopSolution:
        """Return the semi-active schedule of a linear order; what is loaded stays."""
        kept = self.ix.copy(), self.tm.copy(), self.ctl.copy()
        tables = [np.copy(table) for table in self.tables]
        self.load(order)
        start = (self.tm[kernels.END] - self.tm[kernels.P])[self.node]
        solution = JobShopSolution(start, self.ix[kernels.MACHINE, self.node].astype(np.int64))
        self.ix, self.tm, self.ctl = kept
        for table, values in zip(self.tables, tables, strict=True):
            np.copyto(table, values)
        return solution

    def distance(self, a: Order, b: Order) -> int:
        """Return how many operations run elsewhere, plus pairs on a machine of `a` in other order.

        `a` is loaded, and `b` the guide, afterwards.
        """
        n = self.problem.n_ops
        self.load(a)
        self.ix[kernels.GUIDE, b[:n]] = np.arange(n)
        return int((a[n:] != b[n:]).sum()) + int(paths.distance(self.ix, self.ctl))

    def relink(self, a: Order, b: Order, share: float) -> Order:
        """Return a schedule at about `share` of the way from `a` to `b`.

        The mean of two linear orders keeps every pair that both have the same way round, so it
        respects the jobs; operations that run elsewhere change over by chance.
        """
        n = self.problem.n_ops
        rank = np.empty(self.ix.shape[1])
        # By starts, which tell more than any linear order.
        rank[self.by_start(a)[:n]] = np.arange(n) * (1.0 - share)
        rank[self.by_start(b)[:n]] += np.arange(n) * share
        order = self.node[np.argsort(rank[self.node], kind="stable")]
        alternatives = np.where(self.random.random(n) < share, b[n:], a[n:])
        return np.concatenate((order, alternatives)).astype(np.uint32)

    def _replaced(self, order: Order, nodes: Order) -> Order:
        return np.concatenate((nodes, order[len(nodes) :]))

    def search(self, moves: int, target: int) -> int:
        """Go on with the tabu search for at most `moves` moves; return how many were made.

        It ends early when its patience is over or the longest path is down to `target`.
        """
        self.ctl[kernels.C_TARGET] = target
        args = (self.ix, self.tm, self.last, self.tables, self.tabu, self.ctl, self.rng, moves)
        return int(fk.search(*args))

    def best_order(self) -> Order:
        """Return the best schedule since `begin`."""
        return self._current(kernels.BEST, fk.BEST_ALT)
