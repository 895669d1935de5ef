"""Sequences under side constraints: greedy construction and descent, for all objectives (kernels).

A sequence is worth ``(overrun, objective)``, lexicographically, where the overrun is the time by
which deadlines are missed; each job starts as early as its release and the setup allow.
"""

# Numba takes the types of kernels from the arrays.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np
from numba import njit

_OPTIONS = {"nogil": True, "cache": True, "boundscheck": False}
_ZERO = np.int64(0)
TARDINESS, COMPLETION, LATENESS, TARDY = range(4)


@njit(**_OPTIONS)
def worth(p, w, d, r, deadline, setup, kind, sequence):
    """Return the overrun of deadlines and the objective of a sequence."""
    t, overrun, total = _ZERO, _ZERO, _ZERO
    if kind == LATENESS:
        total = -np.int64(2**62)
    previous = np.int64(-1)
    for job in sequence:
        if previous >= 0 and len(setup) > 0:
            t += setup[previous, job]
        t = max(t, r[job]) + p[job]
        overrun += max(_ZERO, t - deadline[job])
        if kind == TARDINESS:
            total += w[job] * max(_ZERO, t - d[job])
        elif kind == COMPLETION:
            total += w[job] * t
        elif kind == LATENESS:
            total = max(total, t - d[job])
        elif t > d[job]:
            total += 1
        previous = job
    return overrun, total


@njit(**_OPTIONS)
def construct(p, rank, r, setup, first, after, waiting):
    """Build a sequence: of the jobs that can start first, the one of least rank.

    ``after[first[j]:first[j + 1]]`` are the jobs that must follow ``j``; ``waiting`` counts what
    each job still waits for, and is used up.
    """
    n = len(p)
    sequence = np.empty(n, dtype=np.int64)
    done = np.zeros(n, dtype=np.bool_)
    t = _ZERO
    previous = np.int64(-1)
    for at in range(n):
        best = np.int64(-1)
        low = np.int64(2**62)
        for j in range(n):
            if done[j] or waiting[j] > 0:
                continue
            change = setup[previous, j] if previous >= 0 and len(setup) > 0 else _ZERO
            begin = max(t + change, r[j])
            if begin < low or (begin == low and rank[j] < rank[best]):
                best, low = np.int64(j), begin
        sequence[at] = best
        done[best] = True
        t = low + p[best]
        previous = best
        for k in range(first[best], first[best + 1]):
            waiting[after[k]] -= 1
    return sequence


@njit(**_OPTIONS)
def improve(p, w, d, r, deadline, setup, kind, before, sequence, rounds):
    """Move single jobs while that helps, `rounds` sequences at most; keep precedence.

    ``before[i, j]``: job ``i`` must precede job ``j``, directly or not; empty without precedence.
    Returns the number of sequences looked at.
    """
    n = len(sequence)
    overrun, total = worth(p, w, d, r, deadline, setup, kind, sequence)
    trial = sequence.copy()
    looked = 0
    idle = 0
    a = 0
    while idle < n and looked < rounds:
        job = sequence[a]
        place = a
        for direction in (1, -1):
            trial[:] = sequence
            b = a
            while True:
                b += direction
                if b < 0 or b >= n:
                    break
                other = trial[b]
                if len(before) > 0 and (
                    before[job, other] if direction == 1 else before[other, job]
                ):
                    break
                trial[b - direction], trial[b] = other, job
                now, value = worth(p, w, d, r, deadline, setup, kind, trial)
                looked += 1
                if now < overrun or (now == overrun and value < total):
                    overrun, total = now, value
                    place = b
        if place != a:
            step = 1 if place > a else -1
            for k in range(a, place, step):
                sequence[k] = sequence[k + step]
            sequence[place] = job
            idle = 0
        else:
            idle += 1
        a = a + 1 if a + 1 < n else 0
    return looked
