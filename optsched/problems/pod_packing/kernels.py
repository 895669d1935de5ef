"""Compiled kernels: which sets of pods a node can hold.

Importing this module compiles them when no cache is at hand (some seconds): no deadline runs
meanwhile.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.types import Array, float64, int64

I1, I2, F1 = Array(int64, 1, "C"), Array(int64, 2, "C"), Array(float64, 1, "C")


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _is_maximal(left: Any, need: Any, most: Any, take: Any) -> bool:
    for k in range(len(take)):
        if take[k] < most[k]:
            fits = True
            for r in range(len(left)):
                if need[k, r] > left[r]:
                    fits = False
                    break
            if fits:
                return False
    return True


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _rates(need: Any, most: Any, value: Any) -> Any:
    """Return, for the items from each on, the greatest value a unit of a resource, and in all."""
    n, n_resources = need.shape
    bound = np.zeros((n + 1, n_resources + 1))
    for k in range(n - 1, -1, -1):
        for r in range(n_resources):
            rate = bound[k + 1, r]
            if value[k] > 0:
                rate = max(rate, value[k] / need[k, r] if need[k, r] > 0 else np.inf)
            bound[k, r] = rate
        bound[k, n_resources] = bound[k + 1, n_resources] + value[k] * most[k]
    return bound


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _rest(bound: Any, left: Any, k: int) -> float:
    """Return a bound on what the items from `k` on can add."""
    rest = bound[k, len(left)]
    for r in range(len(left)):
        rate = bound[k, r]
        if rate < np.inf:
            rest = min(rest, rate * left[r])
    return float(rest)


@numba.njit(float64(I1, I2, I1, F1, int64, I1), nogil=True, cache=True)  # type: ignore[untyped-decorator]
def best_set(room: Any, need: Any, most: Any, value: Any, limit: int, best: Any) -> float:
    """Return the greatest value of a set that fits into `room`, and write the set to `best`.

    Parameters
    ----------
    room : ndarray of int64, shape (n_resources,)
    need : ndarray of int64, shape (n_items, n_resources)
        By descending value per need, for a quick search.
    most : ndarray of int64, shape (n_items,)
    value : ndarray of float64, shape (n_items,)
    limit : int
        Steps at most.
    best : ndarray of int64, shape (n_items,)

    Returns
    -------
    float
        -1 when the limit was reached.
    """
    n, n_resources = need.shape
    bound = _rates(need, most, value)
    take = np.zeros(n, dtype=np.int64)
    left = room.copy()
    record, total = 0.0, 0.0
    best[:] = 0
    k, steps, forward = 0, 0, True
    while k >= 0:
        steps += 1
        if steps > limit:
            return -1.0
        if forward:
            if k == n:
                if total > record + 1e-9:
                    record = total
                    best[:] = take
                forward = False
                k -= 1
                continue
            if total + _rest(bound, left, k) <= record + 1e-9:
                forward = False
                k -= 1
                continue
            count = most[k]
            for r in range(n_resources):
                if need[k, r] > 0:
                    count = min(count, left[r] // need[k, r])
            take[k] = count
            for r in range(n_resources):
                left[r] -= count * need[k, r]
            total += count * value[k]
            k += 1
            continue
        if take[k] == 0:
            k -= 1
            continue
        take[k] -= 1
        for r in range(n_resources):
            left[r] += need[k, r]
        total -= value[k]
        forward = True
        k += 1
    return record


@numba.njit(int64(I1, I2, I1, F1, float64, int64, I2), nogil=True, cache=True)  # type: ignore[untyped-decorator]
def maximal_sets(
    room: Any, need: Any, most: Any, value: Any, least: float, limit: int, found: Any
) -> int:
    """Write the maximal sets that fit into `room` and have a value of at least `least` to `found`.

    Returns
    -------
    int
        How many there are, or -1 when there are more than rows in `found` or the limit of steps
        was reached.
    """
    n, n_resources = need.shape
    bound = _rates(need, most, value)
    take = np.zeros(n, dtype=np.int64)
    left = room.copy()
    total = 0.0
    k, steps, count, forward = 0, 0, 0, True
    while k >= 0:
        steps += 1
        if steps > limit:
            return -1
        if forward:
            if k == n:
                if total >= least and _is_maximal(left, need, most, take):
                    if count == len(found):
                        return -1
                    found[count] = take
                    count += 1
                forward = False
                k -= 1
                continue
            if total + _rest(bound, left, k) < least:
                forward = False
                k -= 1
                continue
            many = most[k]
            for r in range(n_resources):
                if need[k, r] > 0:
                    many = min(many, left[r] // need[k, r])
            take[k] = many
            for r in range(n_resources):
                left[r] -= many * need[k, r]
            total += many * value[k]
            k += 1
            continue
        if take[k] == 0:
            k -= 1
            continue
        take[k] -= 1
        for r in range(n_resources):
            left[r] += need[k, r]
        total -= value[k]
        forward = True
        k += 1
    return count
