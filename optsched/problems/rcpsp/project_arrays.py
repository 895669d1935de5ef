"""An instance as the compiled schedule generation wants it, forwards and mirrored in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optsched.core import InputError, IntArray
from optsched.problems.rcpsp.problem import Rcpsp, RcpspSolution

#: Most entries of the table of free capacity: instants times resources.
MOST_ENTRIES = 20_000_000


@dataclass(frozen=True)
class Direction:
    """One direction of time: capacity, releases, and successors in rows with their lags."""

    free: IntArray
    release: IntArray
    first: IntArray
    after: IntArray
    lag: IntArray
    waiting: IntArray

    @property
    def parts(self) -> tuple[IntArray, ...]:
        """What the generation schemes take."""
        return self.free, self.release, self.first, self.after, self.lag, self.waiting


def rows(before: IntArray, after: IntArray, lag: IntArray, n: int) -> tuple[IntArray, ...]:
    """Return ``first, after, lag, waiting``: arcs sorted by origin, and arcs into each."""
    order = np.argsort(before, kind="stable")
    first = np.searchsorted(before[order], np.arange(n + 1))
    waiting = np.bincount(after, minlength=n)
    return tuple(
        np.ascontiguousarray(a, dtype=np.int64) for a in (first, after[order], lag[order], waiting)
    )


class Arrays:
    """One way to run every activity, as flat arrays.

    Attributes
    ----------
    duration : ndarray, shape (n,)
    demand : ndarray, shape (n, n_rows)
        Renewable resources, and a unary one for each disjunctive group.
    forward, mirrored : Direction
        Mirrored time knows no releases and no changes of capacity: what it schedules gives
        orders, not solutions.
    """

    def __init__(self, problem: Rcpsp, mode: IntArray | None = None) -> None:
        self.problem = problem
        n = problem.n_activities
        self.mode = np.zeros(n, dtype=np.int64) if mode is None else mode
        at = problem.mode_offset[:-1] + self.mode
        self.duration = problem.mode_duration[at].copy()
        kept = np.flatnonzero(problem.renewable)
        columns: list[IntArray] = [problem.mode_demand[at][:, kept]]
        for group in problem.groups():
            column = np.zeros((n, 1), dtype=np.int64)
            column[group] = 1
            columns.append(column)
        self.demand = np.ascontiguousarray(np.concatenate(columns, axis=1))
        self.horizon = problem.horizon() + 1
        if self.horizon * max(1, self.demand.shape[1]) > MOST_ENTRIES:
            raise InputError("the horizon is too long for schedule generation instant by instant")
        free = np.ones((self.horizon, self.demand.shape[1]), dtype=np.int64)
        most = np.ones(self.demand.shape[1], dtype=np.int64)
        for c, k in enumerate(kept.tolist()):
            times, levels = problem.profile(k)
            spans = np.diff(np.minimum(np.append(times, self.horizon), self.horizon))
            free[:, c] = np.repeat(levels, spans)
            most[c] = levels.max()
        i, j, kind, least = problem.lag.T
        lag = least + np.where((kind == 0) | (kind == 2), self.duration[i], 0)
        lag = lag - np.where(kind >= 2, self.duration[j], 0)
        back = lag + self.duration[j] - self.duration[i]
        self.forward = Direction(free, problem.earliest_start().copy(), *rows(i, j, lag, n))
        self.mirrored = Direction(
            np.ascontiguousarray(np.broadcast_to(most, free.shape)),
            np.zeros(n, dtype=np.int64),
            *rows(j, i, back, n),
        )
        self.left = np.empty_like(free)
        self.heap = np.empty(n, dtype=np.int64)
        self.count = np.empty(n, dtype=np.int64)

    def shorten(self, horizon: int) -> None:
        """Look no further than `horizon`: nothing better lies beyond."""
        if horizon < len(self.left):
            self.left = self.left[:horizon].copy()
            self.forward = self._cut(self.forward, horizon)
            self.mirrored = self._cut(self.mirrored, horizon)

    @staticmethod
    def _cut(one: Direction, horizon: int) -> Direction:
        free = one.free[:horizon].copy()
        return Direction(free, one.release, one.first, one.after, one.lag, one.waiting)

    @property
    def room(self) -> tuple[IntArray, IntArray, IntArray]:
        """Room to work in, which every scheme takes."""
        return self.left, self.heap, self.count

    def solution(self, start: IntArray) -> RcpspSolution:
        """Return a schedule in these modes."""
        return RcpspSolution(start.copy(), self.mode)
