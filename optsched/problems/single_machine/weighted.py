"""Total weighted tardiness, exact: successive sublimation dynamic programming, in slices.

Tanaka, Fujikuma and Araki, An exact algorithm for single-machine scheduling without machine idle
time, Journal of Scheduling 12 (2009). Three stages, each with less to look at: multipliers by
subgradient steps where only immediate repetition of a job is forbidden; again, on the network that
is left, with jobs that a swap would improve kept from following each other; then dynamic programs
that track more and more jobs until the best path is a sequence or nothing beats the incumbent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from optsched.core import IntArray
from optsched.problems.single_machine import local, network, sublimation

#: Costs are multiplied by this, so that integral multipliers have a fraction.
SCALE = 1024
#: Most entries of the table of times and jobs, most arcs, and most states of a stage.
MOST_CELLS, MOST_ARCS, MOST_STATES = 60_000_000, 120_000_000, 40_000_000
#: Seconds that a kernel may run before the driver looks at the clock again.
SLICE = 0.05


class Stopped(Exception):
    """The caller asked to stop."""


class _Crowded(Exception):
    """No more jobs can be tracked: their bits are used up."""


class TooLarge(Exception):
    """The network or the states do not fit the memory that is allowed."""


class Sublimation:
    """Exact algorithm for ``1 || sum w T``.

    Parameters
    ----------
    processing, due, weight : ndarray of int64, shape (n_jobs,)
        Processing times and weights at least 1.
    stopped : callable() -> bool
    on_bound : callable(int)
        Takes every better lower bound.
    on_sequence : callable(ndarray)
        Takes every better sequence.
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

    # ---- the algorithm -------------------------------------------------------------------

    def run(self) -> None:
        """Solve to optimality: at the end ``lower == upper``.

        Raises
        ------
        Stopped
            When the caller asked to.
        TooLarge
            When the memory that is allowed does not suffice.
        """
        if (self.total + 1) * self.n > MOST_CELLS:
            raise TooLarge
        stages = (self._relax, self._connect, self._refine, self._track)
        for stage in stages:
            if self.lower >= self.upper:
                return
            stage()
            self.log.append((stage.__name__, (self.lower, self.upper)))

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

    def _track(self) -> None:
        """Track jobs until all is proven; begin anew where that has shrunk the network."""
        while self.lower < self.upper:
            nodes = len(self.job)
            try:
                self._sublimate()
            except _Crowded:
                self._refine()
                if len(self.job) > 0.98 * nodes:
                    raise TooLarge from None

    def _sublimate(self) -> None:
        """Dynamic programs that track more and more jobs, there and back."""
        cost = self._node_cost()
        nodes = len(cost)
        rest = np.empty(nodes, dtype=np.int64)
        value = np.empty(nodes, dtype=np.int64)
        back = np.empty(nodes, dtype=np.int32)
        count = np.empty(self.n, dtype=np.int64)
        network.sweep(cost, self.arc_first, self.arc_from, value, back, self.job, count)
        network.sweep_back(cost, self.arc_first, self.arc_from, rest)
        reached = (rest < network.FAR) & (value < network.FAR)
        # The stage before the first tracks nothing and ran backwards: a state a node.
        states = _States(
            first=np.concatenate(([0], np.cumsum(reached[::-1]))),
            mask=np.zeros(int(reached.sum()), dtype=np.uint64),
            value=(rest + cost)[::-1][reached[::-1]],
        )
        tracked: list[int] = []
        forward = True
        tables = np.zeros((2, 2**22, 2), dtype=np.int64)
        while self.lower < self.upper:
            self._choose(tracked, count, len(states.value))
            old_tracked = len(tracked) - self._added
            states = self._stage(tracked, old_tracked, states, tables, forward)
            last = slice(int(states.first[-2]), int(states.first[-1]))
            if last.start == last.stop:
                self._raise(self.upper * SCALE)
                return
            best = last.start + int(np.argmin(states.value[last]))
            self._raise(int(states.value[best]) + int(self.multiplier.sum()))
            nodes_of = sublimation.path(states.first, states.parent, best)
            route = np.array([x for x in nodes_of if x < len(self.job) - 1], dtype=np.int64)
            visited = self.job[route] if forward else self.job[::-1][route]
            visited = visited[visited >= 0].astype(np.int64)
            jobs = visited[::-1] if forward else visited
            count = np.bincount(jobs, minlength=self.n).astype(np.int64)
            self.log.append(("stage", (len(tracked), len(states.value), self.lower, self.upper)))
            self._repair(jobs, count)
            if (count == 1).all():
                self._raise(self.upper * SCALE)
                return
            states = self._shrink(states, forward)
            forward = not forward

    def _choose(self, tracked: list[int], count: IntArray, states: int) -> None:
        """Track more of the jobs that the best path visits twice or not at all."""
        wrong = [j for j in np.flatnonzero(count != 1).tolist() if j not in tracked]
        size = np.bincount(self.job[1:-1], minlength=self.n)
        wrong.sort(key=lambda j: (-abs(int(count[j]) - 1), int(size[j]), j))
        room = 6 if states < 300_000 else 3 if states < 3_000_000 else 2
        chosen = wrong[:room]
        if len(tracked) + len(chosen) > 64:
            raise _Crowded
        tracked += chosen
        self._added = len(chosen)

    def _stage(
        self,
        tracked: list[int],
        old_tracked: int,
        old: _States,
        tables: Any,
        forward: bool,
    ) -> _States:
        nodes = len(self.job)
        arc_first, arc_from, job = self.arc_first, self.arc_from, self.job
        cost = self._node_cost()
        goes_before = self.before
        if not forward:
            arc_first, arc_from = np.empty_like(arc_first), np.empty_like(arc_from)
            network.reverse(self.arc_first, self.arc_from, arc_first, arc_from)
            job, cost, goes_before = job[::-1], cost[::-1].copy(), goes_before.T
        bits = np.zeros(self.n + 1, dtype=np.uint64)  # the last entry is that of no job
        need, forbid = np.zeros_like(bits), np.zeros_like(bits)
        for k, j in enumerate(tracked):
            bits[j] = np.uint64(1 << k)
            need[:-1][goes_before[j]] |= bits[j]
            forbid[:-1][goes_before[:, j]] |= bits[j]
        need_at, forbid_at = need[job], forbid[job]
        everything = np.uint64((1 << len(tracked)) - 1)
        need_at[-1] = everything
        need_at[0] = forbid_at[0] = forbid_at[-1] = 0
        start, stop = old.first[:-1][::-1].copy(), old.first[1:][::-1].copy()
        first = np.zeros(nodes + 1, dtype=np.int64)
        mask = np.empty(MOST_STATES, dtype=np.uint64)
        value = np.empty(MOST_STATES, dtype=np.int64)
        parent = np.empty(MOST_STATES, dtype=np.int32)
        progress = np.zeros(4, dtype=np.int64)
        tables[:] = 0
        budget = 1_000_000
        while progress[sublimation.NODE] < nodes:
            self._tick()
            sublimation.expand(
                cost, arc_first, arc_from, bits[job], need_at, forbid_at,
                start, stop, old.mask, old.value, np.uint64((1 << old_tracked) - 1), self._limit(),
                first, mask, value, parent, progress, tables[0], tables[1],
                int(progress[sublimation.WORK]) + budget,
            )  # fmt: skip
            if progress[sublimation.FULL]:
                raise TooLarge
        states = int(progress[sublimation.STATES])
        return _States(first, mask[:states].copy(), value[:states].copy(), parent[:states].copy())

    def _repair(self, jobs: Any, count: Any) -> None:
        """Make a sequence of a path, repeated visits out and missing jobs in; then descend."""
        _, visits = np.unique(jobs, return_index=True)
        missing = np.flatnonzero(count == 0)
        sequence = np.concatenate((jobs[np.sort(visits)], missing))
        ends = np.empty(self.n, dtype=np.int64)
        local.descend(self.p, self.w, self.d, sequence, ends, self.n)
        self.offer(sequence)

    def _shrink(self, states: _States, forward: bool) -> _States:
        """Leave out the nodes that have no state any more."""
        empty = np.diff(states.first) == 0
        empty[[0, -1]] = False
        gone = empty if forward else empty[::-1]
        if gone.mean() < 0.05:
            return states
        nodes = len(self.job)
        nothing = np.zeros(nodes, dtype=np.int64)
        self._drop(nothing, np.where(gone, network.FAR, 0), nothing, 0)
        first = np.append(states.first[:-1][~empty], states.first[-1])
        return _States(first, states.mask, states.value)


class _States:
    """The states of a stage, grouped by node in the direction of the stage."""

    def __init__(self, first: IntArray, mask: Any, value: IntArray, parent: Any = None) -> None:
        self.first = first
        self.mask = mask
        self.value = value
        self.parent = parent
