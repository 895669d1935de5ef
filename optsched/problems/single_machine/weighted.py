"""Total weighted tardiness, exact: successive sublimation dynamic programming, in slices.

Tanaka, Fujikuma and Araki, An exact algorithm for single-machine scheduling without machine idle
time, Journal of Scheduling 12 (2009). Three stages, each with less to look at: multipliers by
subgradient steps where only immediate repetition of a job is forbidden; again, on the network that
is left, with jobs that a swap would improve kept from following each other; then dynamic programs
that track more and more jobs until the best path is a sequence or nothing beats the incumbent.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optsched.core import IntArray
from optsched.problems.single_machine import local, network, sublimation
from optsched.problems.single_machine.lagrangian import SCALE, Relaxation, Stopped, TooLarge

__all__ = ["Stopped", "Sublimation", "TooLarge"]

#: Most entries of the table of times and jobs, and most states of a stage.
MOST_CELLS, MOST_STATES = 60_000_000, 40_000_000


class _Crowded(Exception):
    """No more jobs can be tracked: their bits are used up."""


class Sublimation(Relaxation):
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
        local.descend(self.p, self.w, self.d, sequence, self.n)
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
