"""Iterated local search on sequences for weighted tardiness: the kernels.

The cost of a job is ``w * max(0, end - d)``; with ``d = 0`` that is weighted completion time, with
``w = 1`` tardiness. Descent moves one job at a time to its best place (all places of a job cost
O(n) by running sums) and, where no such move helps, exchanges two. Kicks are a few random
exchanges, and the walk goes on from any local optimum that is not worse
(as the iterated dynasearch of Congram, Potts and van de Velde 2002 does).
"""

# Numba takes the types of kernels from the arrays.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_OPTIONS = {"nogil": True, "cache": True, "boundscheck": False}
_ZERO = np.int64(0)
# Rows of what a descent keeps by place.
_JOB, _LENGTH, _WEIGHT, _DUE, _END = range(5)


def generator(seed: int) -> Any:
    """Return the state of a random generator, for `iterate`."""
    return np.random.SeedSequence(seed).generate_state(1, np.uint64) | np.uint64(1)


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
def _ends(by_place, first, last):
    """Refresh the ends of places `first` to `last`."""
    end = by_place[_END, first - 1] if first > 0 else _ZERO
    for at in range(first, last + 1):
        end += by_place[_LENGTH, at]
        by_place[_END, at] = end


@njit(**_OPTIONS)
def _insert(by_place, a):
    """Move the job at place `a` to its best place; return the change."""
    length, weight, due, ends = by_place[_LENGTH], by_place[_WEIGHT], by_place[_DUE], by_place[_END]
    n = len(ends)
    px, wx, dx = length[a], weight[a], due[a]
    own = wx * max(_ZERO, ends[a] - dx)
    best, target = _ZERO, a
    others = _ZERO
    for b in range(a + 1, n):
        others -= weight[b] * max(_ZERO, min(ends[b] - due[b], px))
        change = others + wx * max(_ZERO, ends[b] - dx) - own
        if change < best:
            best, target = change, b
    others = _ZERO
    for b in range(a - 1, -1, -1):
        late = ends[b] - due[b]
        others += weight[b] * (max(_ZERO, late + px) - max(_ZERO, late))
        if others >= own:
            break  # the others lose more than this job has to gain
        change = others + wx * max(_ZERO, ends[b] - length[b] + px - dx) - own
        if change < best:
            best, target = change, b
    if target == a:
        return best
    step = 1 if target > a else -1
    for row in range(_END):
        x = by_place[row, a]
        for at in range(a, target, step):
            by_place[row, at] = by_place[row, at + step]
        by_place[row, target] = x
    _ends(by_place, min(a, target), max(a, target))
    return best


@njit(**_OPTIONS)
def _sums(by_place, weights, losses, first):
    """Refresh the sums, from place `first` on, of the late jobs' weights and weighted tardiness."""
    for at in range(first, len(by_place[0])):
        late = by_place[_END, at] - by_place[_DUE, at]
        own = by_place[_WEIGHT, at]
        weights[at + 1] = weights[at] + (own if late > 0 else _ZERO)
        losses[at + 1] = losses[at] + own * max(_ZERO, late)


@njit(**_OPTIONS)
def _exchange(by_place, reach, weights, losses):
    """Try all exchanges of two jobs at most `reach` apart once; return the change."""
    length, weight, due, ends = by_place[_LENGTH], by_place[_WEIGHT], by_place[_DUE], by_place[_END]
    n = len(ends)
    total = _ZERO
    _sums(by_place, weights, losses, 0)
    for a in range(n - 1):
        px, wx, dx = length[a], weight[a], due[a]
        before = ends[a] - px
        own = wx * max(_ZERO, ends[a] - dx)
        for b in range(a + 1, min(n, a + reach + 1)):
            shift = length[b] - px
            change = wx * max(_ZERO, ends[b] - dx) - own
            change += weight[b] * (
                max(_ZERO, before + length[b] - due[b]) - max(_ZERO, ends[b] - due[b])
            )
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
                late = ends[at] - due[at]
                change += weight[at] * (max(_ZERO, late + shift) - max(_ZERO, late))
            if change < 0:
                for row in range(_END):
                    x = by_place[row, a]
                    by_place[row, a] = by_place[row, b]
                    by_place[row, b] = x
                _ends(by_place, a, b)
                _sums(by_place, weights, losses, a)
                total += change
                px, wx, dx = length[a], weight[a], due[a]
                own = wx * max(_ZERO, ends[a] - dx)
    return total


@njit(**_OPTIONS)
def descend(p, w, d, sequence, reach):
    """Improve a sequence in place until no insertion (and no exchange) helps; return its cost."""
    n = len(sequence)
    # By place rather than by job: the loops run over neighbouring memory.
    by_place = np.empty((5, n), dtype=np.int64)
    for at in range(n):
        job = sequence[at]
        by_place[_JOB, at] = job
        by_place[_LENGTH, at], by_place[_WEIGHT, at], by_place[_DUE, at] = p[job], w[job], d[job]
    _ends(by_place, 0, n - 1)
    weights = np.zeros(n + 1, dtype=np.int64)
    losses = np.zeros(n + 1, dtype=np.int64)
    while True:
        change = _ZERO
        for a in range(n):
            change += _insert(by_place, a)
        if reach > 0:
            change += _exchange(by_place, reach, weights, losses)
        if change == 0:
            sequence[:] = by_place[_JOB]
            return cost(p, w, d, sequence)


@njit(**_OPTIONS)
def iterate(p, w, d, current, best, values, rng, reach, rounds, exchanges, far):
    """Kick and descend `rounds` times from `current`; ``values`` holds the costs of both.

    A kick is `exchanges` to twice as many exchanges of jobs at most `far` places apart.
    """
    n = len(current)
    trial = current.copy()
    for _ in range(rounds):
        trial[:] = current
        for _ in range(exchanges + _draw(rng, exchanges + 1)):
            a = _draw(rng, n)
            b = min(n - 1, a + 1 + _draw(rng, far)) if far < n else _draw(rng, n)
            trial[a], trial[b] = trial[b], trial[a]
        value = descend(p, w, d, trial, reach)
        if value <= values[0]:
            values[0] = value
            current[:] = trial
            if value < values[1]:
                values[1] = value
                best[:] = trial
        elif _draw(rng, 100) == 0:
            values[0] = values[1]
            current[:] = best
