"""Compiled schedule generation: serial and parallel schemes, and two populations that evolve.

Everything works on flat arrays of one direction of time: ``duration`` (n,), ``demand`` (n, K),
``free`` (H, K) with the capacity at every instant, arcs in rows of successors with least lags
between starts, and ``release`` (n,). The mirrored instance has the arcs turned round.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
#: An activity that finds no place within the horizon makes a schedule worth this.
NOWHERE = 2**50
#: Percentages: of children with a few keys moved by chance; of worse ones that take a place all the
#: same (measured on j120).
MUTATED, WORSE = 10, 2


@numba.njit(nogil=True, cache=True, inline="always")  # type: ignore[untyped-decorator]
def _next(state: npt.NDArray[np.uint64]) -> int:
    """Return 31 random bits (xorshift, Marsaglia 2003)."""
    x = state[0]
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    state[0] = x
    return np.int64(x >> np.uint64(33))  # type: ignore[return-value]


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _push(heap: I64, size: int, key: I64, item: int) -> int:
    at = size
    while at > 0:
        up = (at - 1) >> 1
        if key[heap[up]] <= key[item]:
            break
        heap[at] = heap[up]
        at = up
    heap[at] = item
    return size + 1


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _pop(heap: I64, size: int, key: I64) -> int:
    """Return the item of least key; the caller counts one less."""
    top = heap[0]
    item = heap[size - 1]
    at = 0
    last = size - 1
    while True:
        down = 2 * at + 1
        if down >= last:
            break
        if down + 1 < last and key[heap[down + 1]] < key[heap[down]]:
            down += 1
        if key[item] <= key[heap[down]]:
            break
        heap[at] = heap[down]
        at = down
    heap[at] = item
    return top  # type: ignore[no-any-return]


@numba.njit(nogil=True, cache=True, inline="always")  # type: ignore[untyped-decorator]
def _place(begin: int, length: int, need: I64, left: I64) -> int:
    """Return the earliest instant from `begin` on at which the need is free for `length`."""
    horizon, n_resources = left.shape
    start = begin
    at = begin
    while at < start + length:
        if at >= horizon:
            return NOWHERE
        for k in range(n_resources):
            if need[k] > left[at, k]:
                start = at + 1
                break
        at += 1
    return start


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def serial(
    key: I64,
    duration: I64,
    demand: I64,
    free: I64,
    release: I64,
    first: I64,
    after: I64,
    lag: I64,
    waiting: I64,
    left: I64,
    heap: I64,
    count: I64,
    start: I64,
) -> int:
    """Serial generation scheme: the eligible activity of least key goes to its earliest place.

    `left`, `heap` and `count` are room to work in; `start` takes the schedule. Returns the
    makespan, or `NOWHERE`.
    """
    n = len(duration)
    left[:] = free
    size = 0
    for i in range(n):
        count[i] = waiting[i]
        start[i] = release[i]
        if waiting[i] == 0:
            size = _push(heap, size, key, i)
    makespan = 0
    while size > 0:
        i = _pop(heap, size, key)
        size -= 1
        length = duration[i]
        s = _place(start[i], length, demand[i], left)
        if s >= NOWHERE:
            return NOWHERE
        start[i] = s
        for at in range(s, s + length):
            for k in range(demand.shape[1]):
                left[at, k] -= demand[i, k]
        makespan = max(makespan, s + length)
        for e in range(first[i], first[i + 1]):
            j = after[e]
            start[j] = max(start[j], s + lag[e])
            count[j] -= 1
            if count[j] == 0:
                size = _push(heap, size, key, j)
    return makespan


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def parallel(
    key: I64,
    duration: I64,
    demand: I64,
    free: I64,
    release: I64,
    first: I64,
    after: I64,
    lag: I64,
    waiting: I64,
    left: I64,
    heap: I64,
    count: I64,
    start: I64,
) -> int:
    """Parallel generation scheme: at each instant what fits starts, least key first."""
    n = len(duration)
    horizon, n_resources = free.shape
    left[:] = free
    size = 0  # heap[:size]: eligible activities, sorted by key
    done = 0
    for i in range(n):
        count[i] = waiting[i]
        start[i] = release[i]
        if waiting[i] == 0:
            size = _insert(heap, size, key, i)
    makespan = 0
    now = 0
    while done < n:
        at = 0
        while at < size:
            i = heap[at]
            if start[i] > now or _place(now, duration[i], demand[i], left) != now:
                at += 1
                continue
            for q in range(at, size - 1):
                heap[q] = heap[q + 1]
            size -= 1
            start[i] = now
            done += 1
            for t in range(now, now + duration[i]):
                for k in range(n_resources):
                    left[t, k] -= demand[i, k]
            makespan = max(makespan, now + duration[i])
            again = False
            for e in range(first[i], first[i + 1]):
                j = after[e]
                start[j] = max(start[j], now + lag[e])
                count[j] -= 1
                if count[j] == 0:
                    size = _insert(heap, size, key, j)
                    again = again or start[j] <= now
            if again:
                at = 0
        now += 1
        if now >= horizon and done < n:
            return NOWHERE
    return makespan


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _insert(items: I64, size: int, key: I64, item: int) -> int:
    at = size
    while at > 0 and key[items[at - 1]] > key[item]:
        items[at] = items[at - 1]
        at -= 1
    items[at] = item
    return size + 1


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def cross(father: I64, mother: I64, low: int, high: int, large: int, child: I64) -> None:
    """Keys of a child: the father's between two instants, around them the mother's order."""
    for i in range(len(father)):
        if low <= father[i] <= high:
            child[i] = father[i]
        elif mother[i] < low:
            child[i] = mother[i] - large
        elif mother[i] > high:
            child[i] = mother[i] + large
        else:
            child[i] = mother[i]


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def evolve(
    steps: int,
    target: int,
    populations: I64,
    values: I64,
    best: I64,
    record: I64,
    state: npt.NDArray[np.uint64],
    duration: I64,
    demand: I64,
    free: I64,
    release: I64,
    first: I64,
    after: I64,
    lag: I64,
    waiting: I64,
    back_first: I64,
    back_after: I64,
    back_lag: I64,
    back_waiting: I64,
    back_free: I64,
    back_release: I64,
    left: I64,
    heap: I64,
    count: I64,
) -> int:
    """Evolve two populations by turns; return the number of schedules made.

    Left-justified schedules have children that are built from the right and the other way round
    (Debels and Vanhoucke 2005), so that every child is justified once against its parents.
    Schedules from the right are kept in mirrored time: their keys are starts there.

    Parameters
    ----------
    steps : int
        Most schedules to make.
    target : int
        Stop at a makespan of at most this.
    populations : ndarray of int64, shape (2, size, n)
        Starts; refined in place.
    values : ndarray of int64, shape (2, size)
        Makespans.
    best : ndarray of int64, shape (n,)
        Takes the best left-justified schedule, in true time.
    record : ndarray of int64, shape (4,)
        Best makespan; next side (0: children on the left); next index; steps since the best.
    state : ndarray of uint64, shape (1,)
        The random generator.
    """
    size, n = populations.shape[1], populations.shape[2]
    child = np.empty(n, dtype=np.int64)
    start = np.empty(n, dtype=np.int64)
    keep = np.empty(n, dtype=np.int64)
    made = 0
    while made < steps and record[0] > target:
        side = record[1]
        at = record[2]
        parents = populations[1 - side]
        worth = values[1 - side]
        a = at
        b = _next(state) % size
        c = _next(state) % size
        if worth[c] < worth[b]:
            b = c
        if b == a:
            b = (a + 1) % size
        found = NOWHERE
        for turn in range(2):
            mine, other = (a, b) if turn == 0 else (b, a)
            length = worth[mine]
            # A window of a quarter to three quarters of the schedule.
            span = max(1, length // 4 + _next(state) % max(1, length // 2))
            low = _next(state) % max(1, length - span + 1)
            high = low + span
            mirrored(parents[mine], duration, length, child)
            mirrored(parents[other], duration, worth[other], keep)
            cross(child, keep, low, high, 4 * (length + worth[other]), child)
            if _next(state) % 100 < MUTATED:
                _disturb(child, length, state)
            if side == 0:
                value = serial(
                    child,
                    duration,
                    demand,
                    free,
                    release,
                    first,
                    after,
                    lag,
                    waiting,
                    left,
                    heap,
                    count,
                    start,
                )
            else:
                value = serial(
                    child,
                    duration,
                    demand,
                    back_free,
                    back_release,
                    back_first,
                    back_after,
                    back_lag,
                    back_waiting,
                    left,
                    heap,
                    count,
                    start,
                )
            made += 1
            if value < found:
                found = value
                keep_start = start.copy()
                if value <= record[0] and side == 1:
                    # Justify at once what may be a record.
                    mirrored(start, duration, value, child)
                    other_value = serial(
                        child,
                        duration,
                        demand,
                        free,
                        release,
                        first,
                        after,
                        lag,
                        waiting,
                        left,
                        heap,
                        count,
                        start,
                    )
                    made += 1
                    if other_value < record[0]:
                        record[0] = other_value
                        record[3] = 0
                        best[:] = start
        if found >= NOWHERE:
            record[2] = (at + 1) % size
            continue
        if side == 0 and found < record[0]:
            record[0] = found
            record[3] = 0
            best[:] = keep_start
        else:
            record[3] += 2
        # A better child takes the place of the one before it, a worse one seldom; the best of a
        # side stays until a better one comes.
        worse = found > values[side, at]
        if not worse or (_next(state) % 100 < WORSE and at != np.argmin(values[side])):
            populations[side, at] = keep_start
            values[side, at] = found
        record[2] = at + 1
        if record[2] >= size:
            record[2] = 0
            record[1] = 1 - side
    return made


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def mirrored(start: I64, duration: I64, makespan: int, out: I64) -> None:
    """Starts of the same schedule in mirrored time."""
    for i in range(len(start)):
        out[i] = makespan - start[i] - duration[i]


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _disturb(key: I64, length: int, state: npt.NDArray[np.uint64]) -> None:
    """Move a few keys by up to an eighth of the schedule."""
    n = len(key)
    reach = max(1, length // 8)
    for _ in range(1 + n // 20):
        key[_next(state) % n] += _next(state) % (2 * reach + 1) - reach
