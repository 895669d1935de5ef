"""Compiled propagation of the windows of starts under a makespan.

Lags, orders of conflicting pairs and energetic reasoning narrow the windows until nothing changes.
`shave` supposes that an activity starts early, or late, in its window; where propagation refutes
that, the other part of the window is left (Martin and Shmoys 1996; Dorndorf, Pesch and Phan-Huy
2000).
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from optsched.problems.rcpsp.energy import reason
from optsched.problems.rcpsp.network import NONE, add_lag

I64 = npt.NDArray[np.int64]


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def propagate(
    distance: I64,
    head: I64,
    latest: I64,
    pairs: I64,
    duration: I64,
    demand: I64,
    capacity: I64,
) -> bool:
    """Narrow windows and add orders, in place; return whether they contradict each other.

    Parameters
    ----------
    distance : ndarray of int64, shape (n, n)
        Closed least lags between starts; takes the orders of pairs that windows decide.
    head, latest : ndarray of int64, shape (n_items,)
        Earliest and latest starts of the activities and, after them, of what has no choice.
    pairs : ndarray of int64, shape (n_pairs, 2)
        Activities that cannot run together.
    duration : ndarray of int64, shape (n_items,)
    demand : ndarray of int64, shape (n_rows, n_items)
    capacity : ndarray of int64, shape (n_rows,)
    """
    n = len(distance)
    while True:
        # One pass in any order suffices, as the lags are closed.
        for i in range(n):
            for j in range(n):
                lag = distance[i, j]
                if lag != NONE:
                    head[j] = max(head[j], head[i] + lag)
                    latest[i] = min(latest[i], latest[j] - lag)
        for i in range(n):
            if head[i] > latest[i]:
                return True
        changed = False
        for p in range(len(pairs)):
            i, j = pairs[p]
            if distance[i, j] >= duration[i] or distance[j, i] >= duration[j]:
                continue
            first = head[i] + duration[i] <= latest[j] and distance[j, i] <= -duration[i]
            second = head[j] + duration[j] <= latest[i] and distance[i, j] <= -duration[j]
            if first and second:
                continue
            if not (first or second):
                return True
            a, b = (i, j) if first else (j, i)
            if add_lag(distance, a, b, duration[a]):
                return True
            changed = True
        if changed:
            continue
        found = reason(head, latest, duration, demand, capacity, True)
        if found < 0:
            return True
        if found == 0:
            return False


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def shave(
    i: int,
    distance: I64,
    head: I64,
    latest: I64,
    pairs: I64,
    duration: I64,
    demand: I64,
    capacity: I64,
) -> int:
    """Narrow the window of one activity, and what follows from it, in place.

    Returns
    -------
    int
        -1 when nothing is left, else how often something was refuted. Parameters as in `propagate`.
    """
    refuted = 0
    for late in (False, True):
        part = 2
        while part <= 8 and head[i] < latest[i]:
            reach = (latest[i] - head[i]) // part
            try_distance, try_head, try_latest = distance.copy(), head.copy(), latest.copy()
            if late:
                try_head[i] = latest[i] - reach
            else:
                try_latest[i] = head[i] + reach
            if not propagate(try_distance, try_head, try_latest, pairs, duration, demand, capacity):
                part *= 2
                continue
            refuted += 1
            if late:
                latest[i] -= reach + 1
            else:
                head[i] += reach + 1
            if propagate(distance, head, latest, pairs, duration, demand, capacity):
                return -1
            part = 2
    return refuted
