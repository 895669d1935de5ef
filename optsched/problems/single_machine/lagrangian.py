"""Lagrangian bounds for total weighted tardiness: multipliers and the network that they leave.

The first two stages of successive sublimation (`weighted`): multipliers by subgradient steps where
only immediate repetition of a job is forbidden; again, on the network that is left, with jobs that
a swap would improve kept from following each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from optsched.core import IntArray
from optsched.problems.single_machine import local, network

#: Costs are multiplied by this, so that integral multipliers have a fraction.
SCALE = 1024
#: Most arcs of the network.
MOST_ARCS = 120_000_000
#: Seconds that a kernel may run before the driver looks at the clock again.
SLICE = 0.05


class Stopped(Exception):
    """The caller asked to stop."""


class TooLarge(Exception):
    """The network or the states do not fit the memory that is allowed."""


class Relaxation:
    """What is known of an instance of ``1 || sum w T``, and the stages that relax it.

    The parameters are those of `optsched.problems.single_machine.weighted.Sublimation`.
    """

    def __init__(
        self,
        processing: IntArray,
        due: IntArray,
        weight: IntArray,
        *,
        stopped: Callable[[], bool] = lambda: False,
        on_bound: Callable[[int], object] = lambda _: None,
        on_sequence: Callable[[IntArray], object] = lambda _: None,
    ) -> None:
        self._order = np.lexsort((-weight, processing, due))
        self.p = np.ascontiguousarray(processing[self._order])
        self.d = np.ascontiguousarray(due[self._order])
        self.w = np.ascontiguousarray(weight[self._order])
        self.n = len(self.p)
        self.total = int(self.p.sum())
        self._stopped = stopped
        self._on_bound = on_bound
        self._on_sequence = on_sequence
        self.lower = 0
        self.upper = int(np.iinfo(np.int64).max)
        self.multiplier = np.zeros(self.n, dtype=np.int64)
        self._clock = time.perf_counter()
        self.log: list[tuple[str, Any]] = []

    # ---- what is known -------------------------------------------------------------------

    def offer(self, sequence: IntArray) -> None:
        """Take a sequence in this class's numbering of the jobs."""
        value = int(local.cost(self.p, self.w, self.d, sequence))
        if value < self.upper:
            self.upper = value
            self._on_sequence(self._order[sequence])

    def start_from(self, sequence: IntArray) -> None:
        """Take a sequence in the caller's numbering."""
        number = np.empty(self.n, dtype=np.int64)
        number[self._order] = np.arange(self.n)
        self.offer(number[sequence])

    def _raise(self, scaled: int) -> None:
        bound = min(self.upper, -(-scaled // SCALE))
        if bound > self.lower:
            self.lower = bound
            self._on_bound(bound)

    def _limit(self) -> int:
        """Return the most that a path of a better sequence may cost, less the multipliers."""
        return (self.upper - 1) * SCALE - int(self.multiplier.sum())

    def _tick(self) -> None:
        now = time.perf_counter()
        if now - self._clock > SLICE:
            self._clock = now
            if self._stopped():
                raise Stopped

    # ---- the stages ------------------------------------------------------------------------

    def _dominance(self) -> npt.NDArray[np.bool_]:
        """Return which job goes before which in some optimal sequence, wherever they stand."""
        p, d, w = self.p, self.d, self.w
        no_worse = (p[:, None] <= p) & (d[:, None] <= d) & (w[:, None] >= w)
        # Equal jobs are ordered by number; the numbering agrees with all other pairs.
        index = np.arange(self.n)
        return np.asarray(no_worse & (index[:, None] < index))

    def _relax(self) -> None:
        """First multipliers, and the nodes on no path that is good enough eliminated."""
        n, total = self.n, self.total
        self.before = self._dominance()
        self._first = self.p + self.before.T @ self.p
        self._last = total - self.before @ self.p
        value = np.empty((total + 1, n), dtype=np.int64)
        value[0] = network.FAR
        rows = np.empty((3, total + 1), dtype=np.int64)
        count = np.empty(n, dtype=np.int64)
        jobs = (self.p, self.w, self.d, SCALE)
        window = (self._first, self._last)

        def evaluate() -> int:
            return int(network.relaxed(*jobs, self.multiplier, *window, value, *rows, count))

        self._ascend(evaluate, count, rounds=700, patience=15, step=1.0)
        if self.lower >= self.upper:
            return
        evaluate()
        keep = np.empty((total + 1, n), dtype=np.bool_)
        tail = np.empty((3, total + 1), dtype=np.int64)
        kept = network.survivors(*jobs, self.multiplier, *window, value, self._limit(), tail, keep)
        if not kept:
            self._raise(self.upper * SCALE)
            return
        end, job = np.nonzero(keep)
        self.job = np.concatenate(([-1], job, [-1])).astype(np.int32)
        self.end = np.concatenate(([0], end, [total])).astype(np.int64)

    def _ascend(
        self,
        evaluate: Callable[[], int],
        count: IntArray,
        *,
        rounds: int,
        patience: int,
        step: float,
    ) -> None:
        """Subgradient steps from the multipliers, which become the best ones found."""
        best, best_multiplier = -int(network.FAR), self.multiplier
        direction = np.zeros(self.n)
        idle = 0
        for _ in range(rounds):
            self._tick()
            reduced = evaluate()
            if reduced >= network.FAR:  # no path is left: nothing beats the incumbent
                self._raise(self.upper * SCALE)
                return
            value = reduced + int(self.multiplier.sum())
            if value > best:
                idle = 0 if value > best + SCALE // 16 else idle + 1
                best, best_multiplier = value, self.multiplier
                self._raise(value)
                if self.lower >= self.upper:
                    return
            else:
                idle += 1
            if idle >= patience:
                idle = 0
                step *= 0.6
                self.multiplier = best_multiplier
                if step < 0.005:
                    break
            gradient = 1.0 - count
            if not gradient.any():
                break  # the path is a sequence; the caller sees it
            direction = gradient + 0.5 * direction
            gap = max(1.0, float(self.upper * SCALE - value))
            length = step * gap / float(direction @ direction + 1e-9)
            self.multiplier = self.multiplier + np.rint(length * direction).astype(np.int64)
        self.multiplier = best_multiplier

    def _connect(self) -> None:
        """Build the network of what is left."""
        nodes = len(self.job)
        layer = np.searchsorted(self.end[:-1], np.arange(self.total + 2)).astype(np.int64)
        arc_first = np.empty(nodes + 1, dtype=np.int64)
        jobs = (self.p, self.w, self.d, self.before, self.job, self.end, layer, arc_first)
        nothing = np.empty(0, dtype=np.int32)
        arcs = network.connect(*jobs, nothing, False)
        if arcs > MOST_ARCS or nodes > 2**31 - 2:
            raise TooLarge
        self._tick()
        arc_from = np.empty(arcs, dtype=np.int32)
        network.connect(*jobs, arc_from, True)
        self.arc_first, self.arc_from = arc_first, arc_from
        inner = slice(1, nodes - 1)
        self._full = np.zeros(nodes, dtype=np.int64)
        own = self.job[inner]
        late = np.maximum(0, self.end[inner] - self.d[own])
        self._full[inner] = SCALE * self.w[own] * late

    def _node_cost(self) -> IntArray:
        cost = self._full.copy()
        cost[1:-1] -= self.multiplier[self.job[1:-1]]
        return cost

    def _refine(self) -> None:
        """Better multipliers on the network, which gets smaller meanwhile."""
        before = self.lower
        for attempt in range(8):
            nodes = len(self.job)
            value = np.empty(nodes, dtype=np.int64)
            back = np.empty(nodes, dtype=np.int32)
            count = np.empty(self.n, dtype=np.int64)

            def evaluate(value: IntArray = value, back: Any = back, count: IntArray = count) -> int:
                arcs = (self.arc_first, self.arc_from)
                return int(network.sweep(self._node_cost(), *arcs, value, back, self.job, count))

            # Shorter steps from the second time on: the multipliers are good by then.
            self._ascend(evaluate, count, rounds=40, patience=5, step=0.5 if attempt == 0 else 0.25)
            if self.lower >= self.upper:
                return
            reduced = evaluate()
            if reduced < network.FAR and (count == 1).all():
                self._take(back)
                return
            self._prune(value)
            if self.lower >= self.upper:
                return
            gained, before = self.lower - before, self.lower
            if attempt and gained <= 0.02 * (self.upper - self.lower):
                break

    def _take(self, back: Any) -> None:
        """Take the path of a sweep, which is a sequence, hence optimal."""
        sequence = []
        x = int(back[-1])
        while x > 0:
            sequence.append(int(self.job[x]))
            x = int(back[x])
        self.offer(np.array(sequence[::-1], dtype=np.int64))
        self._raise(self.upper * SCALE)

    def _prune(self, value: IntArray) -> None:
        cost = self._node_cost()
        rest = np.empty(len(cost), dtype=np.int64)
        network.sweep_back(cost, self.arc_first, self.arc_from, rest)
        self._drop(cost, value, rest, self._limit())
        if len(self.job) <= 2 or not len(self.arc_from):
            self._raise(self.upper * SCALE)

    def _drop(self, cost: IntArray, value: IntArray, rest: IntArray, limit: int) -> None:
        number = np.empty(len(cost), dtype=np.int32)
        nodes, arcs = network.prune(cost, self.arc_first, self.arc_from, value, rest, limit, number)
        kept = number >= 0
        self.job, self.end, self._full = self.job[kept], self.end[kept], self._full[kept]
        self.arc_first = self.arc_first[: nodes + 1].copy()
        self.arc_from = self.arc_from[:arcs].copy()
