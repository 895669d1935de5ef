"""Time windows of a shop, tightened by edge-finding until nothing changes or nothing fits.

Importing this module compiles its kernels when no cache is at hand.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.types import Array, int64

from optsched.core import Deadline, IntArray
from optsched.problems.job_shop.kernels import kernel

_I64 = Array(int64, 1, "C")


@kernel(int64(_I64, _I64, _I64, int64))
def preemptive(head: Any, duration: Any, tail: Any, size: Any) -> Any:
    """Return the preemptive bound of operations that share `size` machines.

    It is the maximum, over all pairs of a head and a tail, of the time that the operations with
    no smaller head and no smaller tail need; with one machine, the length of Jackson's
    preemptive schedule (Carlier 1982). The operations come by falling head.
    """
    best = np.int64(-1)
    for k in range(len(tail)):
        work = np.int64(0)
        for i in range(len(head)):
            if tail[i] >= tail[k]:
                work += duration[i]
                best = max(best, head[i] + (work + size - 1) // size + tail[k])
    return best


@kernel(int64(_I64, _I64, _I64, _I64, _I64, int64, _I64, _I64))
def _after(ops: Any, head: Any, duration: Any, tail: Any, new: Any, limit: Any, c: Any,
           due: Any) -> Any:  # fmt: skip
    """Raise the heads of one machine's operations by edge-finding; write them to `new`.

    `ops` come by rising head; an operation must end by `limit` minus its tail. The O(n^2) form
    of Nuijten (1994), as in Baptiste, Le Pape and Nuijten (2001), algorithm 2.1.

    Returns
    -------
    int
        -1 when the operations do not fit, otherwise how many heads have risen.
    """
    n = len(ops)
    for i in range(n):
        new[i] = head[ops[i]]
        due[i] = limit - tail[ops[i]]
    for k in range(n):
        latest = due[k]
        work = np.int64(0)
        bound = np.int64(-1)
        for t in range(n):
            i = n - 1 - t
            if due[i] <= latest:
                work += duration[ops[i]]
                bound = max(bound, head[ops[i]] + work)
                if bound > latest:
                    return -1
            c[i] = bound
        whole = np.int64(-1)
        for i in range(n):
            o = ops[i]
            if due[i] <= latest:
                whole = max(whole, head[o] + work)
                work -= duration[o]
            else:
                if work > 0 and head[o] + work + duration[o] > latest:
                    new[i] = max(new[i], c[i])
                if whole >= 0 and whole + duration[o] > latest:
                    new[i] = max(new[i], c[0])
    raised = 0
    for i in range(n):
        if new[i] > head[ops[i]]:
            raised += 1
            head[ops[i]] = new[i]
    return raised


@kernel(int64(_I64, _I64, _I64, _I64, _I64, int64))
def _along_jobs(head: Any, duration: Any, tail: Any, gap: Any, first: Any, limit: Any) -> Any:
    """Carry heads and tails along the jobs; return -1 when a window is too short, else 0."""
    for j in range(len(first) - 1):
        for o in range(first[j] + 1, first[j + 1]):
            head[o] = max(head[o], head[o - 1] + duration[o - 1] + gap[o - 1])
        for o in range(first[j + 1] - 2, first[j] - 1, -1):
            tail[o] = max(tail[o], gap[o] + duration[o + 1] + tail[o + 1])
        for o in range(first[j], first[j + 1]):
            if head[o] + duration[o] + tail[o] > limit:
                return -1
    return 0


class Windows:
    """Heads and tails of a shop, to be tightened under a limit on the longest path.

    Parameters
    ----------
    head, duration, tail, gap : ndarray of int64, shape (n_ops,)
        Earliest start, duration, least time from end to delivery, least time to the job's next.
    job_offset : ndarray of int64, shape (n_jobs + 1,)
        Operations of job ``j`` are ``job_offset[j]`` to ``job_offset[j + 1]``.
    machines : list of ndarray
        Operations of each machine that can run nowhere else.
    """

    def __init__(
        self,
        head: IntArray,
        duration: IntArray,
        tail: IntArray,
        gap: IntArray,
        job_offset: IntArray,
        machines: list[IntArray],
    ) -> None:
        self.start = head.copy(), tail.copy()
        self.head, self.tail = self.start
        self.duration, self.gap = duration, gap
        self.job_offset = job_offset.copy()  # writeable, as the kernels' signatures want it
        self.machines = machines
        widest = max(len(ops) for ops in machines)
        self._work = np.empty((3, widest), dtype=np.int64)
        #: The longest path is at least this.
        self.proven = 0

    def tighten(self, limit: int, deadline: Deadline | None) -> bool:
        """Tighten the windows under `limit` from the start; return whether they stay possible.

        Raises
        ------
        DeadlineExpired
            When the deadline expires before either is known.
        """
        head, tail = self.head, self.tail = self.start[0].copy(), self.start[1].copy()
        new, c, due = self._work
        todo = np.ones(len(self.machines), dtype=bool)
        if _along_jobs(head, self.duration, tail, self.gap, self.job_offset, limit) < 0:
            return False
        while todo.any():
            seen = head.copy(), tail.copy()
            for m in np.flatnonzero(todo):
                if deadline is not None:
                    deadline.check()
                ops = self.machines[m]
                for a, b in ((head, tail), (tail, head)):
                    order = ops[np.argsort(a[ops], kind="stable")]
                    if _after(order, a, self.duration, b, new, limit, c, due) < 0:
                        return False
            if _along_jobs(head, self.duration, tail, self.gap, self.job_offset, limit) < 0:
                return False
            changed = (head != seen[0]) | (tail != seen[1])
            todo = np.array([changed[ops].any() for ops in self.machines])
        return True

    def destructive_bound(self, bound: int, deadline: Deadline | None) -> int:
        """Return the least value from `bound` on that tightening does not refute.

        Klein and Scholl (1999): what is refuted for a value is refuted for all below. When the
        deadline expires, `proven` holds the best bound until then.
        """
        self.proven = bound
        step = 1
        while not self.tighten(self.proven, deadline):
            self.proven += 1
            # Steps double while they are refuted; then the interval is halved.
            if self.tighten(self.proven + step, deadline):
                break
            self.proven += step + 1
            step *= 2
        else:
            return self.proven
        possible = self.proven + step
        while self.proven < possible:
            middle = (self.proven + possible) // 2
            if self.tighten(middle, deadline):
                possible = middle
            else:
                self.proven = middle + 1
        return self.proven
