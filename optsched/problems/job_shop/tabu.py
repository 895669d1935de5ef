"""Tabu search for the job shop: neighbourhood, estimates and the search loop, in Numba.

The matrices are those of `optsched.problems.job_shop.kernels`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import void
from numba.types import int64, uint64

from optsched.problems.job_shop import kernels as K
from optsched.problems.job_shop.kernels import CTL, FAR, I32, IX, RNG, TM, U1, U32, kernel


@kernel(uint64(uint64, uint64, uint64))
def slot(a: Any, b: Any, mask: Any) -> Any:
    """Return where the tabu table keeps the arc from `a` to `b` (multiplicative hashing)."""
    key = (a << np.uint64(32)) | b
    return ((key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)) & mask


@kernel(int64(TM, uint64, uint64, int64, int64, int64))
def estimate_right(tm: Any, i: Any, j: Any, start: Any, rest: Any, cap: Any) -> Any:
    """Estimate the makespan after moving entry `i` of the block to directly behind entry `j`.

    Balas and Vazacopoulos (1998): the longest path through the operations moved, with the times
    of all others unchanged. It is exact for neighbours (``j == i + 1``).

    Parameters
    ----------
    start, rest : int
        End of the operation before `i`, tail of the one behind `j`, on the machine.
    cap : int
        Once the estimate exceeds it, some value above `cap` is returned.
    """
    head, tail, p, h = tm[K.BLOCK_HEAD], tm[K.BLOCK_TAIL], tm[K.BLOCK_P], tm[K.BLOCK_H]
    k = i
    x = start
    while k < j:
        k += U1
        x = max(x, head[k])
        h[k] = x
        x += p[k]
    t = max(tail[i], rest) + p[i]
    value = max(x, head[i]) + t
    while k > i and value <= cap:
        t = max(t, tail[k]) + p[k]
        value = max(value, h[k] + t)
        k -= U1
    return value


@kernel(int64(TM, uint64, uint64, int64, int64, int64))
def estimate_left(tm: Any, i: Any, j: Any, start: Any, rest: Any, cap: Any) -> Any:
    """Estimate the makespan after moving entry `j` of the block to directly before entry `i`."""
    head, tail, p, h = tm[K.BLOCK_HEAD], tm[K.BLOCK_TAIL], tm[K.BLOCK_P], tm[K.BLOCK_H]
    k = j
    t = rest
    while k > i:
        k -= U1
        t = max(t, tail[k]) + p[k]
        h[k] = t
    x = max(start, head[j])
    value = x + max(t, tail[j]) + p[j]
    x += p[j]
    while k < j and value <= cap:
        x = max(x, head[k])
        value = max(value, x + h[k])
        x += p[k]
        k += U1
    return value


@kernel(uint64(IX, TM, U32, CTL, RNG))
def _path_end(ix: Any, tm: Any, last: Any, ctl: Any, rng: Any) -> Any:
    """Return a random operation that ends a critical path, in a window its part there."""
    order, ms, pos = ix[K.ORDER], ix[K.MS], ix[K.POS]
    p, gap, end, tail = tm[K.P], tm[K.GAP], tm[K.END], tm[K.TAIL]
    node = np.uint64(len(ms) - 1)
    seen = np.uint64(0)
    if ctl[K.C_LOW] == 0 and ctl[K.C_HIGH] == ctl[K.C_OPS]:
        for j in range(len(last)):
            i = np.uint64(last[j])
            if end[i] + tail[i + U1] == ctl[K.C_CURRENT]:
                seen += U1
                if seen == U1 or K.draw(rng, seen) == np.uint64(0):
                    node = i
        return node
    high = ctl[K.C_HIGH]
    for k in range(ctl[K.C_LOW], high):
        i = np.uint64(order[k])
        if end[i] - p[i] + tail[i] == ctl[K.C_CURRENT]:
            rest = tail[i] - p[i]
            in_job = pos[i + U1] < high and tail[i + U1] + gap[i] == rest
            on_machine = pos[ms[i]] < high and tail[ms[i]] == rest
            if not in_job and not on_machine:
                seen += U1
                if seen == U1 or K.draw(rng, seen) == np.uint64(0):
                    node = i
    return node


@kernel(uint64(IX, TM, U32, CTL, RNG))
def critical_path(ix: Any, tm: Any, last: Any, ctl: Any, rng: Any) -> Any:
    """Write a random critical path to row PATH, last operation first; return its length."""
    mp, pos, path = ix[K.MP], ix[K.POS], ix[K.PATH]
    p, gap, end = tm[K.P], tm[K.GAP], tm[K.END]
    nobody = np.uint64(len(mp) - 1)
    n_ops, low = ctl[K.C_OPS], ctl[K.C_LOW]
    n = np.uint64(0)
    node = _path_end(ix, tm, last, ctl, rng)
    while node != nobody:
        path[n] = np.uint32(node)
        n += U1
        head = end[node] - p[node]
        before = np.uint64(mp[node])
        on_machine = before != nobody and end[before] == head and pos[before] >= low
        in_job = low <= pos[node - U1] < n_ops and end[node - U1] + gap[node - U1] == head
        if in_job and (not on_machine or K.draw(rng, np.uint64(2)) == np.uint64(0)):
            node -= U1
        elif on_machine:
            node = before
        else:
            node = nobody
    return n


# Entries of ``pick``: the best move that is allowed (estimate, operation, where to, kind, number
# of equals), and a random one of those forbidden (operation, where to, kind, their number).
VALUE, MOVED, TO, KIND, TIES, SPARE_MOVED, SPARE_TO, SPARE_KIND, SPARES = range(9)
PICK_SIZE = 9
#: Kinds of moves: to directly behind, or directly before, another operation on the machine.
RIGHT, LEFT, NONE = 0, 1, -1


@kernel(void(IX, TM, I32, CTL, RNG, uint64, CTL))
def resequencing(ix: Any, tm: Any, tabu: Any, ctl: Any, rng: Any, size: Any, pick: Any) -> Any:
    """Write the best move on the critical path in row PATH to `pick`, which it resets.

    The neighbourhood is N7 of Zhang et al. (2007): any operation of a block goes to either end of
    it, and the ends go inside.
    """
    pos, ms, mp, path = ix[K.POS], ix[K.MS], ix[K.MP], ix[K.PATH]
    p, gap, end, tail = tm[K.P], tm[K.GAP], tm[K.END], tm[K.TAIL]
    block_head, block_tail, block_p = tm[K.BLOCK_HEAD], tm[K.BLOCK_TAIL], tm[K.BLOCK_P]
    n_ops = ctl[K.C_OPS]
    mask = np.uint64(len(tabu) - 1)
    now = ctl[K.C_MOVES]
    best = FAR
    ties = np.uint64(0)
    spares = np.uint64(0)
    pick[KIND] = pick[SPARE_KIND] = NONE
    low = size  # entries low - 1, low - 2, ... of the path are yet to be seen
    while low > np.uint64(0):
        # The block: path[low - 1] is its first operation.
        top = low
        first = np.uint64(path[top - U1])
        b = np.uint64(0)
        while low > np.uint64(0):
            w = np.uint64(path[low - U1])
            if b > np.uint64(0) and (mp[w] != path[low] or end[path[low]] != end[w] - p[w]):
                break
            block_head[b] = end[w - U1] + gap[w - U1]
            block_tail[b] = tail[w + U1] + gap[w]
            block_p[b] = p[w]
            b += U1
            low -= U1
        if b < np.uint64(2):
            continue
        final = np.uint64(path[low])
        opening = top == size and end[first] == p[first]
        closing = low == np.uint64(0) and tail[final] == p[final]
        # Four groups: any to the back; the last inwards; any to the front; the first inwards.
        for group in range(4):
            if (group < 2 and closing) or (group >= 2 and opening):
                continue
            # Each move once: some are in two groups.
            if group == 0:
                k, stop = np.uint64(0), b - U1
            elif group == 1:
                k, stop = np.uint64(0) if opening else U1, b - np.uint64(2)
            elif group == 2:
                k, stop = U1, b if b > np.uint64(2) or closing else U1
            else:
                k, stop = np.uint64(2), b if closing else b - U1
            left = group == 1 or group == 2
            while k < stop:
                if group < 2:
                    i, j = k, b - U1
                else:
                    i, j = np.uint64(0), k
                k += U1
                u = np.uint64(path[top - U1 - i])
                v = np.uint64(path[top - U1 - j])
                if left:
                    w = v - U1
                    if pos[w] < n_ops and pos[w] >= pos[u]:
                        if w == u:
                            continue
                        # A path from u to w would make w end after u, and so on.
                        apart = end[u] > end[w] or (end[u] == end[w] and p[w] > 0)
                        if not apart and tail[u] - p[u] >= tail[w]:
                            continue
                else:
                    w = u + U1
                    if pos[w] <= pos[v]:
                        if w == v:
                            continue
                        apart = tail[v] > tail[w] or (tail[v] == tail[w] and p[w] > 0)
                        if not apart and end[v] - p[v] >= end[w]:
                            continue
                start, rest = end[mp[u]], tail[ms[v]]
                if left:
                    value = estimate_left(tm, i, j, start, rest, best)
                else:
                    value = estimate_right(tm, i, j, start, rest, best)
                if value > best:
                    continue
                forbidden = False
                if value >= ctl[K.C_BEST]:
                    if left:
                        t = i
                        while t < j and not forbidden:
                            w = np.uint64(path[top - U1 - t])
                            forbidden = tabu[slot(v, w, mask)] > now
                            t += U1
                    else:
                        t = i + U1
                        while t <= j and not forbidden:
                            w = np.uint64(path[top - U1 - t])
                            forbidden = tabu[slot(w, u, mask)] > now
                            t += U1
                if forbidden:
                    spares += U1
                    if K.draw(rng, spares) == np.uint64(0):
                        pick[SPARE_MOVED], pick[SPARE_TO] = (v, u) if left else (u, v)
                        pick[SPARE_KIND] = LEFT if left else RIGHT
                    continue
                ties = ties + U1 if value == best else U1
                if value < best or K.draw(rng, ties) == np.uint64(0):
                    best = value
                    pick[MOVED], pick[TO] = (v, u) if left else (u, v)
                    pick[KIND] = LEFT if left else RIGHT
    pick[VALUE] = best
    pick[TIES], pick[SPARES] = ties, spares


@kernel(int64(IX, TM, I32, CTL, uint64, uint64, int64, int64))
def resequence(
    ix: Any, tm: Any, tabu: Any, ctl: Any, moved: Any, to: Any, kind: Any, until: Any
) -> Any:
    """Make a move of `resequencing` and forbid its reversal; return whether it was possible."""
    ms, pos = ix[K.MS], ix[K.POS]
    mask = np.uint64(len(tabu) - 1)
    if kind == LEFT:
        w = to
        while w != moved:
            tabu[slot(w, moved, mask)] = np.int32(until)
            w = np.uint64(ms[w])
        first, last = np.int64(pos[to]), np.int64(pos[moved])
        done = K.shift_left(ix, to, moved)
    else:
        w = moved
        while w != to:
            w = np.uint64(ms[w])
            tabu[slot(moved, w, mask)] = np.int32(until)
        first, last = np.int64(pos[moved]), np.int64(pos[to])
        done = K.shift_right(ix, moved, to)
    if done:
        K.heads(ix, tm, first, ctl[K.C_HIGH])
        K.tails_within(ix, tm, last, ctl[K.C_LOW])
    return done


@kernel(void(IX, CTL))
def keep_best(ix: Any, ctl: Any) -> Any:
    """Keep the current order in row BEST when it is the best so far."""
    if ctl[K.C_CURRENT] < ctl[K.C_BEST]:
        ctl[K.C_BEST] = ctl[K.C_CURRENT]
        ctl[K.C_IMPROVED] = ctl[K.C_MOVES]
        low, high = ctl[K.C_LOW], ctl[K.C_HIGH]
        ix[K.BEST, low:high] = ix[K.ORDER, low:high]


@kernel(int64(IX, TM, U32, I32, CTL, RNG, int64))
def search(ix: Any, tm: Any, last: Any, tabu: Any, ctl: Any, rng: Any, moves: Any) -> Any:
    """Run at most `moves` moves of tabu search; return how many were made.

    It ends early when ``ctl[K.C_PATIENCE]`` moves have brought no improvement, when the makespan
    is down to ``ctl[K.C_TARGET]``, or when no move is left, and goes on where it ended. The best
    order is kept in row BEST.
    """
    pick = np.zeros(PICK_SIZE, dtype=np.int64)
    done = 0
    while done < moves:
        keep_best(ix, ctl)
        if (
            ctl[K.C_BEST] <= ctl[K.C_TARGET]
            or ctl[K.C_MOVES] - ctl[K.C_IMPROVED] >= ctl[K.C_PATIENCE]
        ):
            break
        now = ctl[K.C_MOVES]
        size = critical_path(ix, tm, last, ctl, rng)
        resequencing(ix, tm, tabu, ctl, rng, size, pick)
        if pick[KIND] == NONE:
            pick[MOVED], pick[TO], pick[KIND] = pick[SPARE_MOVED], pick[SPARE_TO], pick[SPARE_KIND]
        ctl[K.C_MOVES] += 1
        done += 1
        if pick[KIND] == NONE:
            ctl[K.C_STUCK] += 1
            continue
        until = now + ctl[K.C_TENURE] + np.int64(K.draw(rng, np.uint64(ctl[K.C_SPREAD])))
        moved, to = np.uint64(pick[MOVED]), np.uint64(pick[TO])
        if resequence(ix, tm, tabu, ctl, moved, to, pick[KIND], until):
            ctl[K.C_CURRENT] = K.length(ix, tm, last, ctl)
    keep_best(ix, ctl)
    return done
