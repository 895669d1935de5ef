"""A fixed order to optimality: residency first, addresses second, cuts where they do not fit.

Logic-based Benders decomposition (Hooker and Ottosson 2003). The master is the covering program of
`residency`; its stays are rectangles, steps times bytes, that must be packed below the capacity.
Where that is proven impossible, a least window of steps is sought in which it still is, and in it
a least set of tensors: of the gaps that these stay over, at least one must be left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from optsched.core import BoolArray, Deadline, IntArray
from optsched.problems.scratchpad.gaps import Gaps, gaps_of
from optsched.problems.scratchpad.graph import OperatorGraph
from optsched.problems.scratchpad.packing import Fit, Packing, pack
from optsched.problems.scratchpad.problem import ScratchpadSolution
from optsched.problems.scratchpad.residency import least_traffic

#: Seconds for one question of packing while a cut is made smaller.
SHRINKING = 0.2


@dataclass(frozen=True, eq=False)
class FixedOrder:
    """What is known of one order.

    Attributes
    ----------
    solution : ScratchpadSolution
        The best found.
    cost, bound : int
        Its traffic, bytes, and a lower bound on that of every schedule in this order.
    """

    solution: ScratchpadSolution
    cost: int
    bound: int


def solve_order(
    graph: OperatorGraph,
    capacity: int,
    order: IntArray,
    deadline: Deadline,
    *,
    packing: float = np.inf,
    report: Callable[[FixedOrder], None] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> FixedOrder:
    """Return the schedule of least traffic in a given order.

    Parameters
    ----------
    graph : OperatorGraph
    capacity : int
        Bytes; at least what each operator needs.
    order : ndarray of int64, shape (n_operators,)
        A topological order.
    deadline : Deadline
        When it passes, the best found is returned, with the bound so far.
    packing : float
        Seconds for one question of packing; without an answer the search for this order ends.
    report : callable(FixedOrder), optional
        Called with every improvement of solution or bound.
    stopped : callable() -> bool, optional
        Whether to stop before the deadline.
    """
    task = _Benders(gaps_of(graph, order), capacity, deadline, packing, stopped)
    ended = False
    while not ended:
        ended = task.step() or deadline.expired() or stopped()
        if report is not None:
            report(task.known())
    return task.known()


def repaired(gaps: Gaps, capacity: int, stay: BoolArray) -> FixedOrder:
    """Return a schedule in which those who stay, or fewer, have addresses; its bound is 0.

    Parameters
    ----------
    gaps : Gaps
    capacity : int
    stay : ndarray of bool, shape (n_gaps,)
        Who stays over each gap; it fits in every step.
    """
    task = _Benders(gaps, capacity, Deadline())
    task.repair(stay)
    return task.known()


class _Benders:
    def __init__(
        self,
        gaps: Gaps,
        capacity: int,
        deadline: Deadline,
        packing: float = np.inf,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.gaps = gaps
        self.capacity = capacity
        self.deadline = deadline
        self.packing = packing
        self.stopped = stopped
        self.cuts: list[IntArray] = []
        self.bound = 0
        self.best: tuple[int, ScratchpadSolution] | None = None

    def known(self) -> FixedOrder:
        assert self.best is not None
        return FixedOrder(self.best[1], self.best[0], min(self.bound, self.best[0]))

    def step(self) -> bool:
        """Solve the master once, and pack or cut; return whether that was the last time."""
        residency = least_traffic(self.gaps, self.capacity, self.cuts, self.deadline)
        self.bound = max(self.bound, residency.bound)
        if self.best is not None and self.best[0] <= self.bound:
            return True
        stays = self.gaps.stays(residency.stay)
        answer = self._pack(*self._rectangles(stays), self.packing)
        if answer.offset is not None:
            self._offer(residency.cost, stays, answer.offset)
        else:
            self.repair(residency.stay)
        if answer.fit is Fit.NO:
            self.cuts.append(self._cut(residency.stay, stays, answer.crowd))
        return answer.fit is not Fit.NO

    def _pack(self, first: IntArray, last: IntArray, size: IntArray, seconds: float) -> Packing:
        left = min(seconds, self.deadline.remaining())
        # A first answer is wanted even at the very end; packing mostly takes milliseconds.
        deadline = Deadline(max(left, 0.01) if np.isfinite(left) else None)
        return pack(first, last, size, self.capacity, deadline, self.stopped)

    def _rectangles(self, stays: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        return stays[:, 1], stays[:, 2], self.gaps.graph.size[stays[:, 0]]

    def _offer(self, cost: int, stays: IntArray, offset: IntArray) -> None:
        if self.best is None or cost < self.best[0]:
            self.best = (cost, ScratchpadSolution(self.gaps.order, stays, offset))

    # ---- a schedule from a residency that does not pack -----------------------------------

    def repair(self, stay: BoolArray) -> None:
        """Let tensors leave until first-fit succeeds, which it does when all have left."""
        stay = stay.copy()
        while True:
            stays = self.gaps.stays(stay)
            answer = pack(*self._rectangles(stays), self.capacity, None)
            if answer.offset is not None:
                self._offer(self.gaps.cost(stay), stays, answer.offset)
                return
            leaving = self._gaps_of(stay, stays, answer.misfits)
            if not leaving.size:  # all are there for one step: those around them must leave
                low = stays[answer.misfits, 1].min()
                high = stays[answer.misfits, 2].max()
                around = (stays[:, 1] <= high) & (stays[:, 2] >= low)
                leaving = self._gaps_of(stay, stays, np.flatnonzero(around))
            stay[leaving] = False

    def _gaps_of(self, stay: BoolArray, stays: IntArray, chosen: IntArray) -> IntArray:
        """Return the gaps that the chosen stays span."""
        return np.flatnonzero(stay & np.isin(self.gaps.stay_of(stay), chosen))

    # ---- cuts -----------------------------------------------------------------------------

    def _cut(self, stay: BoolArray, stays: IntArray, crowd: IntArray) -> IntArray:
        """Return gaps, all stayed over, of which one must be left: the crowd does not fit."""
        low, high = int(stays[crowd, 1].min()), int(stays[crowd, 2].max())

        def refuted(chosen: IntArray, low: int, high: int) -> bool:
            inside = chosen[(stays[chosen, 1] <= high) & (stays[chosen, 2] >= low)]
            first, last, size = self._rectangles(stays[inside])
            first, last = np.maximum(first, low), np.minimum(last, high)
            return self._pack(first, last, size, SHRINKING).fit is Fit.NO

        # Refutation of a window holds for every wider one: bisection finds its least ends.
        low = _last_true(low, high, lambda at: refuted(crowd, at, high))
        high = -_last_true(-high, -low, lambda at: refuted(crowd, low, -at))
        crowd = crowd[(stays[crowd, 1] <= high) & (stays[crowd, 2] >= low)]
        for k in crowd.tolist():
            if self.deadline.expired() or self.stopped():
                break
            if refuted(rest := crowd[crowd != k], low, high):
                crowd = rest
        cut = self._gaps_of(stay, stays, crowd)
        first, last = self.gaps.first[cut], self.gaps.last[cut]
        meets = np.maximum(first + 1, low) <= np.minimum(last - 1, high)
        return cut[meets | ((first >= low) & (last <= high))]


def _last_true(low: int, high: int, test: Callable[[int], bool]) -> int:
    """Return the last of `low` to `high` that passes a test which `low` passes; monotone."""
    while low < high:
        middle = (low + high + 1) // 2
        if test(middle):
            low = middle
        else:
            high = middle - 1
    return low
