"""Total tardiness, exact: branch and memorize, in slices that can be stopped."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from optsched.core import IntArray
from optsched.problems.single_machine import blocks, memo
from optsched.problems.single_machine import decomposition as kernel

#: Bytes that solved sub-problems may occupy by default.
MEMORY = 4 * 2**30
#: Most jobs: a table of as many rows and columns is kept.
MOST_JOBS = 6000
#: Seconds that the kernel may run before the driver looks at the clock again.
SLICE = 0.05
_ROW = 32  # bytes of a memorised sub-problem


class Decomposition:
    """Branch and bound by decomposition for ``1 || sum T``.

    Parameters
    ----------
    processing, due : ndarray of int64, shape (n_jobs,)
        At most `MOST_JOBS` jobs.
    memory : int
        Bytes that solved sub-problems may occupy; past it some are forgotten, and solved again
        when they are needed.
    """

    def __init__(self, processing: IntArray, due: IntArray, *, memory: int = MEMORY) -> None:
        n = len(processing)
        if n > MOST_JOBS:
            raise ValueError(f"{n} jobs are more than {MOST_JOBS}")
        self.edd = np.lexsort((processing, due))
        self.p = np.ascontiguousarray(processing[self.edd])
        self.d = np.ascontiguousarray(due[self.edd])
        self.by_rank = np.argsort(self.p, kind="stable")
        self.rank = np.empty(n, dtype=np.int64)
        self.rank[self.by_rank] = np.arange(n)
        self._work = np.zeros((n + 1, n + 1), dtype=np.int64)
        kernel.partial_work(self.p, self.rank, self._work)
        self._limit = max(1024, 1 << max(0, (memory // _ROW).bit_length() - 1))
        self._memory = np.zeros((min(self._limit, 2**14), 4), dtype=np.int64)
        self._state = np.zeros(kernel.STATE, dtype=np.int64)
        self._stack = np.zeros((n + 2, kernel.FRAME), dtype=np.int64)
        # A frame of m jobs has at most m candidates, and the frames above it have fewer jobs.
        self._places = np.zeros(n * (n + 1) // 2 + 1, dtype=np.int64)
        self._ends = np.zeros_like(self._places)
        self._budget = 2000

    @property
    def nodes(self) -> int:
        """Number of sub-problems looked at."""
        return int(self._state[kernel.NODES])

    @property
    def entries(self) -> int:
        """Number of sub-problems in memory."""
        return int(self._state[kernel.ENTRIES])

    @property
    def evicted(self) -> int:
        """Number of sub-problems forgotten for lack of memory."""
        return int(self._state[kernel.EVICTED])

    def bound(self) -> int:
        """Return a lower bound on the instance: of the search where it stands now."""
        n = len(self.p)
        jobs = (self.p, self.d, self.rank, self.by_rank)
        first = int(kernel.relaxation(*jobs, 0, n - 1, 0, n, 0))
        now = kernel.open_bound(*jobs, self._state, self._stack, self._places, self._ends)
        return max(first, int(now))

    def solve(self, stopped: Callable[[], bool] = lambda: False) -> int | None:
        """Return the least total tardiness, or None when `stopped` came first."""
        n = len(self.p)
        return self._value((0, n - 1, 0, n, 0, 0), stopped)

    def sequence(self, stopped: Callable[[], bool] = lambda: False) -> IntArray | None:
        """Return an optimal sequence (after `solve`), or None when `stopped` came first."""
        n = len(self.p)
        order = np.empty(n, dtype=np.int64)
        todo = np.empty((n + 2, blocks.ROW), dtype=np.int64)
        blocks.begin(todo, n)
        left = 1
        while True:
            jobs = (self.p, self.d, self.rank, self.by_rank)
            left = int(blocks.arrange(*jobs, self._work, self._memory, todo, left, order))
            if not left:
                return np.asarray(self.edd[order])
            # Forgotten for lack of memory: solved again.
            sub = tuple(todo[left - 1, : blocks.FIRST].tolist())
            if self._value(sub, stopped) is None:
                return None

    def _value(self, sub: tuple[int, ...], stopped: Callable[[], bool]) -> int | None:
        state = self._state
        state[kernel.DEPTH] = state[kernel.DONE] = 0
        state[kernel.SUB :] = sub
        state[kernel.CALL] = 1
        while True:
            began = time.perf_counter()
            kernel.run(
                self.p, self.d, self.rank, self.by_rank, self._work, self._memory,
                state, self._stack, self._places, self._ends, self._budget,
            )  # fmt: skip
            if state[kernel.DONE]:
                return int(state[kernel.RETURNED])
            if stopped():
                return None
            took = max(1e-6, time.perf_counter() - began)
            self._budget = int(np.clip(self._budget * SLICE / took, 100, 2 * self._budget))
            self._grow()

    def _grow(self) -> None:
        rows = len(self._memory)
        if rows < self._limit and 2 * self.entries > rows:
            larger = np.zeros((min(self._limit, 4 * rows), 4), dtype=np.int64)
            memo.rehash(self._memory, larger, self._state)
            self._memory = larger
