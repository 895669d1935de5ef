"""The schedule of the job-shop search in Numba: its layout, its times, its moves.

A schedule is a linear order of the operations that respects jobs and machine sequences. It lives
in two matrices, one column a node: ``ix`` (uint32) holds links, order and positions, ``tm``
(int64) times. The operations of a job are consecutive nodes, and a dummy node stands before each
job and after the last, so the neighbours of node ``i`` in its job are ``i - 1`` and ``i + 1``
without a look-up. The dummy before a job "ends" at its release; the dummy behind it "starts" its
tail at the job's delivery time. The last column is nobody: it ends and starts at 0 and is what
machine links point to where a sequence begins or ends.

Unsigned indices spare Numba's wrap-around test on every access.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit, void
from numba.types import Array, int32, int64, uint32, uint64

_F = TypeVar("_F", bound=Callable[..., Any])

# Rows of ``ix``.
MS, MP, ORDER, POS, BEST, MACHINE, PATH, HELD, MARK, GUIDE = range(10)
IX_ROWS = 10
# Rows of ``tm``: duration, lag to the next operation of the job, end (head + duration), tail
# (from the start of the operation to the end of all); then the block under study.
P, GAP, END, TAIL, BLOCK_HEAD, BLOCK_TAIL, BLOCK_P, BLOCK_H = range(8)
TM_ROWS = 8
# Entries of ``ctl``.
C_MOVES, C_CURRENT, C_BEST, C_IMPROVED, C_PATIENCE, C_TARGET, C_TENURE, C_SPREAD = range(8)
C_OPS, C_MACHINES, C_STUCK = range(8, 11)
# Positions from C_LOW to before C_HIGH may change; they are all, or a window.
C_LOW, C_HIGH = range(11, 13)
CTL_SIZE = 20

U1 = np.uint64(1)
FAR = np.int64(2**62)
#: Types of the arguments.
IX = Array(uint32, 2, "C")
TM = Array(int64, 2, "C")
U32 = Array(uint32, 1, "C")
I32 = Array(int32, 1, "C")
CTL = Array(int64, 1, "C")
RNG = Array(uint64, 1, "C")


def kernel(signature: Any) -> Callable[[_F], _F]:
    """Compile a function for one signature, without the GIL, cached on disk."""
    compiler: Callable[[_F], _F] = njit(signature, nogil=True, cache=True, boundscheck=False)
    return compiler


@kernel(uint64(RNG, uint64))
def draw(rng: Any, n: Any) -> Any:
    """Return a number below `n` (xorshift64*, Vigna 2016); the state is ``rng[0]``."""
    x = rng[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    rng[0] = x
    high = (x * np.uint64(0x2545F4914F6CDD1D)) >> np.uint64(32)
    return (high * n) >> np.uint64(32)


@kernel(void(IX, TM, int64, int64))
def heads(ix: Any, tm: Any, first: Any, n: Any) -> Any:
    """Recompute the ends of all operations from position `first` of the order onwards."""
    order, mp = ix[ORDER], ix[MP]
    p, gap, end = tm[P], tm[GAP], tm[END]
    k, stop = np.uint64(first), np.uint64(n)
    while k < stop:
        i = order[k]
        before = i - U1
        a = end[before] + gap[before]
        b = end[mp[i]]
        end[i] = (a if a > b else b) + p[i]
        k += U1


@kernel(void(IX, TM, int64, int64))
def tails_within(ix: Any, tm: Any, last: Any, low: Any) -> Any:
    """Recompute the tails of all operations from position `last` of the order down to `low`."""
    order, ms = ix[ORDER], ix[MS]
    p, gap, tail = tm[P], tm[GAP], tm[TAIL]
    k = np.uint64(last + 1)
    while k > np.uint64(low):
        k -= U1
        i = order[k]
        a = tail[i + U1] + gap[i]
        b = tail[ms[i]]
        tail[i] = (a if a > b else b) + p[i]


@kernel(void(IX, TM, int64))
def tails(ix: Any, tm: Any, last: Any) -> Any:
    """Recompute the tails of all operations from position `last` of the order down to 0."""
    tails_within(ix, tm, last, 0)


@kernel(int64(TM, U32))
def longest(tm: Any, last: Any) -> Any:
    """Return the longest path; `last` holds the last operation of each job."""
    end, tail = tm[END], tm[TAIL]
    value = np.int64(0)
    for j in range(len(last)):
        i = last[j]
        value = max(value, end[i] + tail[i + U1])
    return value


@kernel(int64(IX, TM, U32, CTL))
def length(ix: Any, tm: Any, last: Any, ctl: Any) -> Any:
    """Return the longest path, or in a window the longest through any of its operations."""
    if ctl[C_LOW] == 0 and ctl[C_HIGH] == ctl[C_OPS]:
        return longest(tm, last)
    order = ix[ORDER]
    p, end, tail = tm[P], tm[END], tm[TAIL]
    value = np.int64(0)
    for k in range(ctl[C_LOW], ctl[C_HIGH]):
        i = order[k]
        value = max(value, end[i] - p[i] + tail[i])
    return value


@kernel(void(IX, TM, U32, CTL))
def load(ix: Any, tm: Any, last: Any, ctl: Any) -> Any:
    """Build links, positions and times from the linear order in row ORDER."""
    order, pos, ms, mp, machine = ix[ORDER], ix[POS], ix[MS], ix[MP], ix[MACHINE]
    n = ctl[C_OPS]
    nobody = np.uint32(len(order) - 1)
    latest = np.full(ctl[C_MACHINES], nobody, dtype=np.uint32)
    for k in range(n):
        i = order[k]
        pos[i] = np.uint32(k)
        m = machine[i]
        mp[i] = latest[m]
        ms[latest[m]] = i
        latest[m] = i
    for m in range(len(latest)):
        ms[latest[m]] = nobody
    heads(ix, tm, 0, n)
    tails(ix, tm, n - 1)
    ctl[C_LOW], ctl[C_HIGH] = 0, n
    ctl[C_CURRENT] = longest(tm, last)


@kernel(int64(IX, uint64, uint64))
def shift_right(ix: Any, u: Any, v: Any) -> Any:
    """Move `u` to directly behind `v` on their machine, and keep the order topological.

    Only the window of the order between the two changes: what depends on `u` goes behind it
    (Michel and Van Hentenryck 2003 call this the affected region).

    Returns
    -------
    int
        1, or 0 where the move would close a cycle; then nothing has changed.
    """
    order, pos, ms, mp, held, mark = ix[ORDER], ix[POS], ix[MS], ix[MP], ix[HELD], ix[MARK]
    a, b = np.uint64(pos[u]), np.uint64(pos[v])
    n_held = np.uint64(0)
    k = np.uint64(pos[u + U1])
    if k <= b:
        mark[u + U1] = 1
        while k <= b:
            w = order[k]
            mark[w] |= mark[w - U1] | mark[mp[w]]
            if mark[w]:
                held[n_held] = w
                n_held += U1
            k += U1
        closed = mark[v]
        for t in range(n_held):
            mark[held[t]] = 0
        if closed:
            return 0
    before, after, first = mp[u], ms[v], ms[u]
    ms[before] = first
    mp[first] = before
    ms[v] = np.uint32(u)
    mp[u] = np.uint32(v)
    ms[u] = after
    mp[after] = np.uint32(u)
    # Close the gaps that `u` and the operations held back leave; then append them.
    to = a
    h = np.uint64(0)
    k = a + U1
    while k <= b:
        w = order[k]
        if h < n_held and held[h] == w:
            h += U1
        else:
            order[to] = w
            pos[w] = np.uint32(to)
            to += U1
        k += U1
    order[to] = np.uint32(u)
    pos[u] = np.uint32(to)
    h = np.uint64(0)
    while h < n_held:
        to += U1
        w = held[h]
        order[to] = w
        pos[w] = np.uint32(to)
        h += U1
    return 1


@kernel(int64(IX, uint64, uint64))
def shift_left(ix: Any, u: Any, v: Any) -> Any:
    """Move `v` to directly before `u` on their machine: the mirror image of `shift_right`."""
    order, pos, ms, mp, held, mark = ix[ORDER], ix[POS], ix[MS], ix[MP], ix[HELD], ix[MARK]
    a, b = np.uint64(pos[u]), np.uint64(pos[v])
    n_held = np.uint64(0)
    k = np.uint64(pos[v - U1])
    if a <= k < b:  # a dummy's position is beyond any other
        mark[v - U1] = 1
        k += U1
        while k > a:
            k -= U1
            w = order[k]
            mark[w] |= mark[w + U1] | mark[ms[w]]
            if mark[w]:
                held[n_held] = w
                n_held += U1
        closed = mark[u]
        for t in range(n_held):
            mark[held[t]] = 0
        if closed:
            return 0
    before, after, first = mp[u], ms[v], mp[v]
    mp[after] = first
    ms[first] = after
    ms[before] = np.uint32(v)
    mp[v] = before
    ms[v] = np.uint32(u)
    mp[u] = np.uint32(v)
    to = b
    h = np.uint64(0)
    k = b
    while k > a:
        k -= U1
        w = order[k]
        if h < n_held and held[h] == w:
            h += U1
        else:
            order[to] = w
            pos[w] = np.uint32(to)
            to -= U1
    order[to] = np.uint32(v)
    pos[v] = np.uint32(to)
    h = np.uint64(0)
    while h < n_held:
        to -= U1
        w = held[h]
        order[to] = w
        pos[w] = np.uint32(to)
        h += U1
    return 1
