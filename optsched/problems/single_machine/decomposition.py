"""Total tardiness by decomposition with memory: the kernels.

Lawler (1977): in some optimal sequence the longest job, wherever it stands in the order of due
dates (EDD), goes after exactly the jobs up to some position of that order, and the others follow.
Both sides hold only shorter jobs. Positions are eliminated by the rules of Potts and Van Wassenhove
(1982) and Szwarc (1993); before that, jobs that Emmons (1969) shows to be first or last are peeled
off. So every sub-problem is "the jobs between two positions of the EDD order and between two ranks
of the SPT order, from a given time on": a key of five numbers, and no set needs to be hashed.
Solved sub-problems are memorised (Shang, T'Kindt and Della Croce, Branch and memorize, 2021).

Jobs are numbered in EDD order (shorter first among equals); ``rank`` is a job's place in the order
of processing times (EDD first among equals), ``by_rank`` the inverse. A sub-problem
``(i, j, lo, hi, t)`` holds the jobs ``k`` of ``i <= k <= j`` with ``lo <= rank[k] < hi``, and
starts at ``t``. ``work[k, r]`` is the processing time of the jobs before ``k`` of rank below ``r``.
"""

# Numba takes the types of kernels from the arrays.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np
from numba import njit

from optsched.problems.single_machine.memo import find, store

# A sub-problem, and what peeling it has cost; frames begin with one.
LEFTMOST, RIGHTMOST, LO, HI, T, OFFSET = range(6)
# The rest of a frame of the stack.
LONGEST, BASE, COUNT, AT, PHASE, BEST, CHOICE, LEFT, KIND = range(6, 15)
FRAME = 15
# What a frame branches on: the place of the longest job; or nothing, where the jobs up to a
# position of the EDD order, or the shortest ones, go before all others.
LAWLER, BY_DUE, BY_LENGTH = range(3)
# Entries of ``state``: sub-problems in memory and forgotten (as `memo` counts them), depth of the
# stack, value handed up (-1: none), whether there is a call to make, whether all is done, nodes;
# then the sub-problem to call.
ENTRIES, EVICTED, DEPTH, RETURNED, CALL, DONE, NODES, SUB = range(8)
STATE = SUB + 6

_FAR = np.int64(2**62)
_ZERO = np.int64(0)
_OPTIONS = {"nogil": True, "cache": True, "boundscheck": False}


@njit(**_OPTIONS)
def key(sub):
    """Return the first word of a key; the other is the start. Never 0, since HI is not."""
    return (sub[LEFTMOST] << 48) | (sub[RIGHTMOST] << 32) | (sub[LO] << 16) | sub[HI]


@njit(**_OPTIONS)
def partial_work(p, rank, work):
    """Fill ``work``."""
    n = len(p)
    for k in range(n):
        for r in range(n + 1):
            work[k + 1, r] = work[k, r] + (p[k] if rank[k] < r else _ZERO)


@njit(**_OPTIONS)
def relaxation(p, d, rank, by_rank, i, j, lo, hi, t):
    """Return a lower bound: k-th end in SPT order against k-th due date (Chu 1992)."""
    value = _ZERO
    end = t
    at = i
    for place in range(lo, hi):
        job = by_rank[place]
        if i <= job <= j:
            end += p[job]
            while rank[at] >= hi or rank[at] < lo:
                at += 1
            value += max(_ZERO, end - d[at])
            at += 1
    return value


@njit(**_OPTIONS)
def _goes_first(p, d, by_rank, sub, shortest):
    """Whether the shortest job goes first: Emmons' first theorem against every other job."""
    slack = d[shortest] - sub[T]
    for place in range(sub[LO], sub[HI]):
        k = by_rank[place]
        if p[k] >= slack:
            return True
        if sub[LEFTMOST] <= k < shortest and d[k] < d[shortest]:
            return False
    return True


@njit(**_OPTIONS)
def peel(p, d, rank, by_rank, work, sub, order, ends):
    """Reduce a sub-problem to its core, in place; False when nothing is left.

    Jobs peeled off are written to `order` from ``ends[0]`` on and down to ``ends[1]``, unless
    `order` is empty.
    """
    i, j, lo, hi = sub[LEFTMOST], sub[RIGHTMOST], sub[LO], sub[HI]
    total = work[j + 1, hi] - work[i, hi] - work[j + 1, lo] + work[i, lo] if i <= j else _ZERO
    kept = len(order) > 0
    while True:
        while i <= j and not lo <= rank[i] < hi:
            i += 1
        while i <= j and not lo <= rank[j] < hi:
            j -= 1
        if i > j:
            return False
        while not i <= by_rank[lo] <= j:
            lo += 1
        while not i <= by_rank[hi - 1] <= j:
            hi -= 1
        sub[LEFTMOST], sub[RIGHTMOST], sub[LO], sub[HI] = i, j, lo, hi
        end = sub[T] + total
        if d[j] + p[j] >= end:
            # Emmons' second theorem: all others precede the job of latest due date.
            sub[OFFSET] += max(_ZERO, end - d[j])
            total -= p[j]
            if kept:
                order[ends[1]] = j
                ends[1] -= 1
            j -= 1
            continue
        shortest = by_rank[lo]
        if _goes_first(p, d, by_rank, sub, shortest):
            sub[T] += p[shortest]
            sub[OFFSET] += max(_ZERO, sub[T] - d[shortest])
            total -= p[shortest]
            if kept:
                order[ends[0]] = shortest
                ends[0] += 1
            lo += 1
            continue
        return True


@njit(**_OPTIONS)
def _area(work, i, j, lo, hi):
    """Return the processing time of the jobs of ``i <= k <= j`` and ``lo <= rank[k] < hi``."""
    return work[j + 1, hi] - work[i, hi] - work[j + 1, lo] + work[i, lo]


@njit(**_OPTIONS)
def _split_by_due(p, d, rank, work, sub, longest, highest):
    """Return a position of the EDD order up to which all jobs precede all behind it, or -1.

    By Emmons' second theorem, applied to the jobs behind one by one: in EDD order, with the jobs
    left out that are longer than all before the position, each starts by its due date. The fewer
    jobs stand before it, the easier this is, so one pass finds the last position of all.
    """
    i, j, lo, hi, t = sub[LEFTMOST], sub[RIGHTMOST], sub[LO], sub[HI], sub[T]
    if longest == i:
        return np.int64(-1)
    top = np.int64(-1)
    for k in range(i, longest):
        if lo <= rank[k] < hi:
            top = max(top, rank[k])
        highest[k] = top
    place = longest - 1
    top = highest[place]
    start = t + _area(work, i, j, lo, top + 1)  # of job k, the longer ones left out
    k = j
    while k > place:
        if lo <= rank[k] <= top:
            start -= p[k]
            while start > d[k]:
                # Nothing changes before the place gets past the longest job in front of it.
                while place >= i and highest[place] == top:
                    place -= 1
                if place < i:
                    return np.int64(-1)
                top = highest[place]
                if rank[k] > top:
                    start = t + _area(work, i, k, lo, top + 1)
                    break
                start = t + _area(work, i, k - 1, lo, top + 1)
        k -= 1
    return place


@njit(**_OPTIONS)
def _split_by_length(p, d, by_rank, work, sub):
    """Return a rank below which all jobs precede all others, or -1.

    By Emmons' first theorem, applied to the short jobs one by one in EDD order: each is late, or
    nearly, if the short jobs due before it and then any longer job go first. The more jobs are
    short, the easier this is, so one pass finds the least rank of all.
    """
    i, j, lo, hi, t = sub[LEFTMOST], sub[RIGHTMOST], sub[LO], sub[HI], sub[T]
    r = lo + 1
    place = lo
    while place < r:
        k = by_rank[place]
        if i <= k <= j and d[k] > t + p[by_rank[r]] + _area(work, i, k - 1, lo, r):
            low, r = r, hi - 1
            if d[k] > t + p[by_rank[r]] + _area(work, i, k - 1, lo, r):
                return np.int64(-1)
            while r - low > 1:
                middle = (low + r) >> 1
                if d[k] > t + p[by_rank[middle]] + _area(work, i, k - 1, lo, middle):
                    low = middle
                else:
                    r = middle
        place += 1
    return r


@njit(**_OPTIONS)
def _candidates(p, d, rank, work, sub, longest, places, ends, base):
    """List the places behind which the longest job may go, and its ends there."""
    i, j, lo, hi = sub[LEFTMOST], sub[RIGHTMOST], sub[LO], sub[HI]
    k = longest
    end = sub[T] + work[k + 1, hi] - work[i, hi] - work[k + 1, lo] + work[i, lo]
    count = 0
    latest = -_FAR  # of due date plus processing time, over the jobs that it would go behind
    while True:
        following = k + 1
        while following <= j and not lo <= rank[following] < hi:
            following += 1
        if latest <= end and (following > j or end < d[following]):
            places[base + count] = k
            ends[base + count] = end
            count += 1
        if following > j:
            return count
        k = following
        end += p[k]
        latest = max(latest, d[k] + p[k])


@njit(**_OPTIONS)
def _open(p, d, rank, by_rank, work, memory, state, stack, places, ends, nothing, highest):
    """Take the call in `state`: hand up its value, or push a frame with its candidates."""
    state[CALL] = 0
    state[NODES] += 1
    depth = state[DEPTH]
    frame = stack[depth]
    for k in range(6):
        frame[k] = state[SUB + k]
    if not peel(p, d, rank, by_rank, work, frame, nothing, nothing):
        state[RETURNED] = frame[OFFSET]
        return
    row = find(memory, key(frame), frame[T])
    if row >= 0:
        state[RETURNED] = frame[OFFSET] + memory[row, 2]
        return
    longest = by_rank[frame[HI] - 1]
    base = stack[depth - 1, BASE] + stack[depth - 1, COUNT] if depth else _ZERO
    kind = LAWLER
    place = _split_by_due(p, d, rank, work, frame, longest, highest)
    if place >= 0:
        kind = BY_DUE
    else:
        place = _split_by_length(p, d, by_rank, work, frame)
        if place >= 0:
            kind = BY_LENGTH
    if kind == LAWLER:
        count = _candidates(p, d, rank, work, frame, longest, places, ends, base)
    else:
        count = 1
        places[base] = place
        if kind == BY_DUE:
            first = _area(work, frame[LEFTMOST], place, frame[LO], frame[HI])
        else:
            first = _area(work, frame[LEFTMOST], frame[RIGHTMOST], frame[LO], place)
        ends[base] = frame[T] + first
    frame[KIND] = kind
    frame[LONGEST], frame[BASE], frame[COUNT], frame[AT] = longest, base, count, 0
    frame[PHASE], frame[BEST], frame[CHOICE] = 0, _FAR, longest
    state[DEPTH] = depth + 1
    state[RETURNED] = -1


@njit(**_OPTIONS)
def _call(state, i, j, lo, hi, t):
    state[CALL], state[RETURNED] = 1, -1
    state[SUB + LEFTMOST], state[SUB + RIGHTMOST], state[SUB + LO], state[SUB + HI] = i, j, lo, hi
    state[SUB + T], state[SUB + OFFSET] = t, 0


@njit(**_OPTIONS)
def _own(d, frame, end):
    return max(_ZERO, end - d[frame[LONGEST]]) if frame[KIND] == LAWLER else _ZERO


@njit(**_OPTIONS)
def _call_first(state, frame, place):
    if frame[KIND] == LAWLER:
        _call(state, frame[LEFTMOST], place, frame[LO], frame[HI] - 1, frame[T])
    elif frame[KIND] == BY_DUE:
        _call(state, frame[LEFTMOST], place, frame[LO], frame[HI], frame[T])
    else:
        _call(state, frame[LEFTMOST], frame[RIGHTMOST], frame[LO], place, frame[T])


@njit(**_OPTIONS)
def _call_second(state, frame, place, end):
    if frame[KIND] == LAWLER:
        _call(state, place + 1, frame[RIGHTMOST], frame[LO], frame[HI] - 1, end)
    elif frame[KIND] == BY_DUE:
        _call(state, place + 1, frame[RIGHTMOST], frame[LO], frame[HI], end)
    else:
        _call(state, frame[LEFTMOST], frame[RIGHTMOST], place, frame[HI], end)


@njit(**_OPTIONS)
def run(p, d, rank, by_rank, work, memory, state, stack, places, ends, budget):
    """Go on with the search for about `budget` nodes; ``state[DONE]`` tells when it is over."""
    until = state[NODES] + budget
    nothing = np.zeros(0, dtype=np.int64)
    highest = np.zeros(len(p), dtype=np.int64)
    while state[NODES] < until:
        if state[CALL] == 1:
            _open(p, d, rank, by_rank, work, memory, state, stack, places, ends, nothing, highest)
        depth = state[DEPTH]
        if depth == 0:
            state[DONE] = 1
            return
        frame = stack[depth - 1]
        at = frame[BASE] + frame[AT]
        value = state[RETURNED]
        if value >= 0:  # a child has ended
            own = _own(d, frame, ends[at])
            if frame[PHASE] == 1:
                frame[LEFT] = own + value
                if frame[LEFT] < frame[BEST]:
                    frame[PHASE] = 2
                    _call_second(state, frame, places[at], ends[at])
                    continue
            elif frame[LEFT] + value < frame[BEST]:
                frame[BEST] = frame[LEFT] + value
                frame[CHOICE] = places[at]
            frame[AT] += 1
            at += 1
        if frame[AT] < frame[COUNT]:
            frame[PHASE] = 1
            _call_first(state, frame, places[at])
            continue
        span = frame[HI] - frame[LO]
        code = frame[CHOICE] * 3 + frame[KIND]
        store(memory, state, key(frame), frame[T], frame[BEST], code, span)
        state[RETURNED] = frame[BEST] + frame[OFFSET]
        state[DEPTH] = depth - 1


@njit(**_OPTIONS)
def open_bound(p, d, rank, by_rank, state, stack, places, ends):
    """Return a lower bound on the whole instance from a search that was cut short, or -1.

    Each frame is at least the least of what it has completed, what it is at, and the relaxation of
    what it has not begun.
    """
    below = np.int64(-1)  # bound of the child in progress
    calls = np.zeros(STATE, dtype=np.int64)
    sub = calls[SUB:]
    for level in range(state[DEPTH] - 1, -1, -1):
        frame = stack[level]
        least = frame[BEST]
        for at in range(frame[AT], frame[COUNT]):
            place, end = places[frame[BASE] + at], ends[frame[BASE] + at]
            phase = frame[PHASE] if at == frame[AT] else _ZERO
            if phase == 2:
                value = frame[LEFT]
            elif phase == 1 and below >= 0:
                value = _own(d, frame, end) + below
            else:
                _call_first(calls, frame, place)
                value = _own(d, frame, end) + relaxation(
                    p, d, rank, by_rank, sub[LEFTMOST], sub[RIGHTMOST], sub[LO], sub[HI], sub[T]
                )
            if phase == 2 and below >= 0:
                value += below
            else:
                _call_second(calls, frame, place, end)
                value += relaxation(
                    p, d, rank, by_rank, sub[LEFTMOST], sub[RIGHTMOST], sub[LO], sub[HI], sub[T]
                )
            least = min(least, value)
        below = least + frame[OFFSET]
    return below
