"""From solved sub-problems to a sequence, and stretches of a sequence put in optimal order.

The second is a local search for total tardiness: blocks of neighbouring jobs, half overlapping, are
solved exactly by branch and memorize (`decomposition`) until no block has a better order. Its
neighbourhood holds every sequence that keeps the jobs outside a block where they are.
"""

# Numba takes the types of kernels from the arrays.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np
from numba import njit

from optsched.problems.single_machine import decomposition, memo
from optsched.problems.single_machine.decomposition import (
    BY_LENGTH,
    HI,
    LAWLER,
    LEFTMOST,
    LO,
    OFFSET,
    RIGHTMOST,
    SUB,
    T,
)

#: Columns of a row of sub-problems to arrange: the sub-problem, its first and its last place.
ROW = 8
FIRST, LAST = 6, 7
#: Rows of the memory for one block.
_MEMORY = 2**13

_OPTIONS = {"nogil": True, "cache": True, "boundscheck": False}


@njit(**_OPTIONS)
def begin(todo, n):
    """Write the whole instance as the first row to arrange."""
    todo[0, :] = 0
    todo[0, RIGHTMOST] = todo[0, LAST] = n - 1
    todo[0, HI] = n


@njit(**_OPTIONS)
def arrange(p, d, rank, by_rank, work, memory, todo, count, order):
    """Put the jobs of the first `count` rows of `todo` in their places in `order`.

    Returns the rows that are left: 0, unless the memory has forgotten how the last of them was
    solved; then that one is to be solved again. ``n + 2`` rows suffice for n jobs.
    """
    sub = np.empty(FIRST, dtype=np.int64)
    ends = np.empty(2, dtype=np.int64)
    while count > 0:
        count -= 1
        if todo[count, FIRST] > todo[count, LAST]:
            continue
        sub[:] = todo[count, :FIRST]
        ends[:] = todo[count, FIRST:]
        if not decomposition.peel(p, d, rank, by_rank, work, sub, order, ends):
            continue
        row = memo.find(memory, decomposition.key(sub), sub[T])
        if row < 0:
            todo[count, :FIRST] = sub
            todo[count, FIRST:] = ends
            return count + 1
        code = memory[row, 3] >> 16
        place, kind = code // 3, code % 3
        first, second = todo[count], todo[count + 1]
        first[:FIRST] = sub
        second[:FIRST] = sub
        if kind == BY_LENGTH:
            first[HI] = second[LO] = place
        else:
            first[RIGHTMOST] = place
            second[LEFTMOST] = place + 1
        size = np.int64(0)
        for k in range(first[LEFTMOST], first[RIGHTMOST] + 1):
            if first[LO] <= rank[k] < first[HI]:
                size += 1
                second[T] += p[k]
        first[FIRST], first[LAST] = ends[0], ends[0] + size - 1
        second[FIRST], second[LAST] = ends[0] + size, ends[1]
        if kind == LAWLER:
            # The longest job, counted above, stands last of the first part.
            order[first[LAST]] = by_rank[sub[HI] - 1]
            first[LAST] -= 1
            first[HI] -= 1
            second[HI] -= 1
        first[OFFSET] = second[OFFSET] = 0
        count += 2
    return np.int64(0)


@njit(**_OPTIONS)
def best_order(p, d, jobs, start, budget):
    """Return an order of least total tardiness of some jobs from `start` on, and the nodes used.

    The order is empty when `budget` nodes do not suffice.
    """
    n = len(jobs)
    order = jobs[np.argsort(p[jobs], kind="mergesort")]
    order = order[np.argsort(d[order], kind="mergesort")]
    own_p, own_d = p[order], d[order] - start
    by_rank = np.argsort(own_p, kind="mergesort")
    rank = np.empty(n, dtype=np.int64)
    for place in range(n):
        rank[by_rank[place]] = place
    work = np.zeros((n + 1, n + 1), dtype=np.int64)
    decomposition.partial_work(own_p, rank, work)
    memory = np.zeros((_MEMORY, 4), dtype=np.int64)
    state = np.zeros(decomposition.STATE, dtype=np.int64)
    stack = np.zeros((n + 2, decomposition.FRAME), dtype=np.int64)
    places = np.empty(n * (n + 1) // 2 + 1, dtype=np.int64)
    todo = np.empty((n + 2, ROW), dtype=np.int64)
    begin(todo, n)
    state[SUB:] = todo[0, :FIRST]
    state[decomposition.CALL] = 1
    decomposition.run(
        own_p, own_d, rank, by_rank, work, memory, state, stack, places, places.copy(), budget
    )
    nodes = state[decomposition.NODES]
    found = np.empty(n, dtype=np.int64)
    if not state[decomposition.DONE]:
        return order[:0], nodes
    if arrange(own_p, own_d, rank, by_rank, work, memory, todo, 1, found) > 0:
        return order[:0], nodes
    return order[found], nodes


@njit(**_OPTIONS)
def _tardiness(p, d, jobs, start):
    total = np.int64(0)
    for job in jobs:
        start += p[job]
        total += max(np.int64(0), start - d[job])
    return total


@njit(**_OPTIONS)
def improve(p, d, sequence, size, budget):
    """Put blocks of `size` jobs, half overlapping, in optimal order; return what is left.

    `sequence` is changed in place. It ends when no block can be improved or `budget` nodes of all
    blocks together are spent; the nodes left are returned.
    """
    n = len(sequence)
    step = max(1, size // 2)
    count = max(1, (n + step - 1) // step)
    open_ = np.ones(count, dtype=np.bool_)
    starts = np.zeros(n + 1, dtype=np.int64)
    any_open = True
    while any_open:
        any_open = False
        for at in range(n):
            starts[at + 1] = starts[at] + p[sequence[at]]
        for block in range(count):
            if not open_[block]:
                continue
            open_[block] = False
            last = n - block * step
            first = max(0, last - size)
            jobs = sequence[first:last].copy()
            order, nodes = best_order(p, d, jobs, starts[first], min(budget, 100 * size))
            budget -= nodes
            if len(order) and _tardiness(p, d, order, starts[first]) < _tardiness(
                p, d, jobs, starts[first]
            ):
                any_open = True
                for at in range(first, last):
                    sequence[at] = order[at - first]
                    starts[at + 1] = starts[at] + p[sequence[at]]
                for other in (block - 1, block + 1):
                    if 0 <= other < count:
                        open_[other] = True
            if budget <= 0:
                return budget
    return budget
