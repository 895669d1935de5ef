"""Iterated local search on sequences for weighted tardiness: the kernels.

The cost of a job is ``w * max(0, end - d)``; with ``d = 0`` that is weighted completion time, with
``w = 1`` tardiness. Descent moves one job at a time to its best place (all places of a job cost
O(n) by running sums) and, where no such move helps, exchanges two. Kicks are a few random
exchanges of jobs that are close, and the walk goes on from any local optimum that is not worse
(as the iterated dynasearch of Congram, Potts and van de Velde 2002 does).
"""

# Numba takes the types of kernels from the arrays.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np
from numba import njit

_OPTIONS = {"nogil": True, "cache": True, "boundscheck": False}
_ZERO = np.int64(0)


@njit(**_OPTIONS)
def _draw(rng, n):
    """Return a number below `n` (xorshift64*, Vigna 2016); the state is ``rng[0]``."""
    x = rng[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    rng[0] = x
    high = (x * np.uint64(0x2545F4914F6CDD1D)) >> np.uint64(32)
    return np.int64((high * np.uint64(n)) >> np.uint64(32))


@njit(**_OPTIONS)
def cost(p, w, d, sequence):
    """Return the total weighted tardiness of a sequence that starts at 0 without idling."""
    end = _ZERO
    total = _ZERO
    for job in sequence:
        end += p[job]
        total += w[job] * max(_ZERO, end - d[job])
    return total


@njit(**_OPTIONS)
def _ends(p, sequence, ends, first, last):
    end = ends[first - 1] if first > 0 else _ZERO
    for at in range(first, last + 1):
        end += p[sequence[at]]
        ends[at] = end


@njit(**_OPTIONS)
def _insert(p, w, d, sequence, ends, a):
    """Move the job at place `a` to its best place; return the change."""
    n = len(sequence)
    x = sequence[a]
    px, wx, dx = p[x], w[x], d[x]
    own = wx * max(_ZERO, ends[a] - dx)
    best, target = _ZERO, a
    others = _ZERO
    for b in range(a + 1, n):
        y = sequence[b]
        late = ends[b] - d[y]
        others += w[y] * (max(_ZERO, late - px) - max(_ZERO, late))
        change = others + wx * max(_ZERO, ends[b] - dx) - own
        if change < best:
            best, target = change, b
    others = _ZERO
    for b in range(a - 1, -1, -1):
        y = sequence[b]
        late = ends[b] - d[y]
        others += w[y] * (max(_ZERO, late + px) - max(_ZERO, late))
        if others >= own:
            break  # the others lose more than this job has to gain
        change = others + wx * max(_ZERO, ends[b] - p[y] + px - dx) - own
        if change < best:
            best, target = change, b
    if target > a:
        for at in range(a, target):
            sequence[at] = sequence[at + 1]
        sequence[target] = x
        _ends(p, sequence, ends, a, target)
    elif target < a:
        for at in range(a, target, -1):
            sequence[at] = sequence[at - 1]
        sequence[target] = x
        _ends(p, sequence, ends, target, a)
    return best


@njit(**_OPTIONS)
def _sums(w, d, sequence, ends, weights, losses, first):
    """Refresh the sums, from place `first` on, of the late jobs' weights and weighted tardiness."""
    for at in range(first, len(sequence)):
        job = sequence[at]
        late = ends[at] - d[job]
        weights[at + 1] = weights[at] + (w[job] if late > 0 else _ZERO)
        losses[at + 1] = losses[at] + w[job] * max(_ZERO, late)


@njit(**_OPTIONS)
def _exchange(p, w, d, sequence, ends, reach, weights, losses):
    """Try all exchanges of two jobs at most `reach` apart once; return the change."""
    n = len(sequence)
    total = _ZERO
    _sums(w, d, sequence, ends, weights, losses, 0)
    for a in range(n - 1):
        x = sequence[a]
        before = ends[a] - p[x]
        own = w[x] * max(_ZERO, ends[a] - d[x])
        for b in range(a + 1, min(n, a + reach + 1)):
            y = sequence[b]
            shift = p[y] - p[x]
            change = w[x] * max(_ZERO, ends[b] - d[x]) - own
            change += w[y] * (max(_ZERO, before + p[y] - d[y]) - max(_ZERO, ends[b] - d[y]))
            if shift >= 0:
                # The late jobs in between lose this much at least.
                if change + shift * (weights[b] - weights[a + 1]) >= 0:
                    continue
            else:
                # The late jobs in between win this much at most.
                most = min(-shift * (weights[b] - weights[a + 1]), losses[b] - losses[a + 1])
                if change - most >= 0:
                    continue
            for at in range(a + 1, b):
                z = sequence[at]
                late = ends[at] - d[z]
                change += w[z] * (max(_ZERO, late + shift) - max(_ZERO, late))
            if change < 0:
                sequence[a], sequence[b] = y, x
                _ends(p, sequence, ends, a, b)
                _sums(w, d, sequence, ends, weights, losses, a)
                total += change
                x = y
                own = w[x] * max(_ZERO, ends[a] - d[x])
    return total


@njit(**_OPTIONS)
def descend(p, w, d, sequence, ends, reach):
    """Improve a sequence in place until no insertion (and no exchange) helps; return its cost."""
    n = len(sequence)
    _ends(p, sequence, ends, 0, n - 1)
    weights = np.zeros(n + 1, dtype=np.int64)
    losses = np.zeros(n + 1, dtype=np.int64)
    while True:
        idle = 0
        a = 0
        while idle < n:
            if _insert(p, w, d, sequence, ends, a) < 0:
                idle = 0
            else:
                idle += 1
            a = a + 1 if a + 1 < n else 0
        if reach == 0 or _exchange(p, w, d, sequence, ends, reach, weights, losses) == 0:
            return cost(p, w, d, sequence)


@njit(**_OPTIONS)
def iterate(p, w, d, current, best, values, rng, reach, rounds):
    """Kick and descend `rounds` times from `current`; ``values`` holds the costs of both."""
    n = len(current)
    trial = current.copy()
    ends = np.empty(n, dtype=np.int64)
    for _ in range(rounds):
        trial[:] = current
        for _ in range(2 + _draw(rng, 3)):
            a = _draw(rng, n)
            b = min(n - 1, a + 1 + _draw(rng, 15))
            trial[a], trial[b] = trial[b], trial[a]
        value = descend(p, w, d, trial, ends, reach)
        if value <= values[0]:
            values[0] = value
            current[:] = trial
            if value < values[1]:
                values[1] = value
                best[:] = trial
        elif _draw(rng, 100) == 0:
            values[0] = values[1]
            current[:] = best
