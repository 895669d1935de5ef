"""Flexible job shops in Numba: reassignment moves, their estimates, the tabu search.

On top of the matrices of `optsched.problems.job_shop.kernels` a flexible shop has further rows, the
table of alternatives, and the sequence of each machine as an array, where positions are found by
bisection. A move takes an operation to a place on another machine (the k-insertion of Mastrolilli
and Gambardella 2000), or resequences a block of a machine as in a classic shop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import boolean, void
from numba.types import Tuple, int64, uint64

from optsched.problems.job_shop import kernels as K
from optsched.problems.job_shop import tabu as T
from optsched.problems.job_shop.kernels import CTL, FAR, I32, IX, RNG, TM, U1, U32, kernel

# More rows of ``ix``: the alternative in use, that of the best schedule, place in the sequence.
ALT, BEST_ALT, INDEX = range(K.IX_ROWS, K.IX_ROWS + 3)
IX_ROWS = K.IX_ROWS + 3
# One more row of ``tm``: the lag behind an operation; row GAP has the transport in it, too.
LAG = K.TM_ROWS
TM_ROWS = K.TM_ROWS + 1
# More entries of ``ctl``: whether there are transport times; the window that `place` has changed;
# the weight of regret in the choice of moves, in units of 2 ** -10.
C_TRANSPORT, C_FIRST, C_LAST, C_WEIGHT = range(13, 17)
# How crowded the best schedule is with long paths, and how much shorter than the longest counts.
C_CROWD, C_MARGIN = range(17, 19)
# More entries of ``pick``: where in the sequence of its new machine an operation goes.
AT, SPARE_AT = range(T.PICK_SIZE, T.PICK_SIZE + 2)
PICK_SIZE = T.PICK_SIZE + 2
#: Kind of a move: to another alternative.
ELSEWHERE = 2

#: The tables: first alternative of each node, machine and duration of alternatives, transport
#: times, sequences one after the other, where each begins, how long each is, the regret of
#: alternatives, and for each sequence how many stand before the window, and before its end.
TABLES = Tuple((U32, U32, CTL, TM, U32, U32, CTL, CTL, CTL, CTL))


@kernel(int64(IX, TM, TABLES, CTL, uint64, uint64))
def gap_between(ix: Any, tm: Any, tables: Any, ctl: Any, node: Any, machine: Any) -> Any:
    """Return lag plus transport from `node`, where it runs, to its job's next one on `machine`."""
    alt_at, move = tables[0], tables[3]
    gap = tm[LAG, node]
    if ctl[C_TRANSPORT] and alt_at[node + U1] > alt_at[node]:
        gap += move[ix[K.MACHINE, node], machine]
    return gap


@kernel(void(IX, TM, TABLES, CTL, uint64, uint64))
def choose(ix: Any, tm: Any, tables: Any, ctl: Any, node: Any, alternative: Any) -> Any:
    """Let `node` run by `alternative`: machine, duration, and the gaps on both sides."""
    alt_at, alt_machine, alt_p = tables[0], tables[1], tables[2]
    ix[ALT, node] = np.uint32(alternative)
    machine = np.uint64(alt_machine[alternative])
    ix[K.MACHINE, node] = np.uint32(machine)
    tm[K.P, node] = alt_p[alternative]
    if ctl[C_TRANSPORT]:
        tm[K.GAP, node - U1] = gap_between(ix, tm, tables, ctl, node - U1, machine)
        after = node + U1
        if alt_at[after + U1] > alt_at[after]:
            there = np.uint64(ix[K.MACHINE, after])
            tm[K.GAP, node] = gap_between(ix, tm, tables, ctl, node, there)


@kernel(void(IX, TM, U32, TABLES, CTL))
def load(ix: Any, tm: Any, last: Any, tables: Any, ctl: Any) -> Any:
    """Build everything from the linear order in row ORDER and the alternatives in row ALT."""
    seq, seq_at, count = tables[4], tables[5], tables[6]
    n = ctl[K.C_OPS]
    for k in range(n):
        i = np.uint64(ix[K.ORDER, k])
        choose(ix, tm, tables, ctl, i, np.uint64(ix[ALT, i]))
    K.load(ix, tm, last, ctl)
    count[:] = 0
    for k in range(n):
        i = ix[K.ORDER, k]
        m = ix[K.MACHINE, i]
        seq[seq_at[m] + count[m]] = i
        ix[INDEX, i] = np.uint32(count[m])
        count[m] += 1
    tables[8][:] = 0
    tables[9][:] = count


@kernel(void(IX, TABLES, CTL, int64, int64))
def enclose(ix: Any, tables: Any, ctl: Any, low: Any, high: Any) -> Any:
    """Let only the positions from `low` to before `high` change."""
    front, rear = tables[8], tables[9]
    ctl[K.C_LOW], ctl[K.C_HIGH] = low, high
    front[:] = 0
    rear[:] = 0
    for k in range(high):
        m = ix[K.MACHINE, ix[K.ORDER, k]]
        rear[m] += 1
        if k < low:
            front[m] += 1


@kernel(int64(IX, CTL, uint64, uint64, uint64))
def place(ix: Any, ctl: Any, v: Any, x: Any, y: Any) -> Any:
    """Take `v` from its machine and put it between `x` and `y`, neighbours on another machine.

    The order stays topological: within the window between the old and the new place, what depends
    on `v` goes behind it. Neither machine nor times change here; the window is left in `ctl`.

    Returns
    -------
    int
        1, or 0 where the move would close a cycle; then nothing has changed.
    """
    order, pos, ms, mp = ix[K.ORDER], ix[K.POS], ix[K.MS], ix[K.MP]
    held, mark = ix[K.HELD], ix[K.MARK]
    nobody = np.uint64(ix.shape[1] - 1)
    after_in_job = v + U1
    a = b = np.uint64(pos[v])
    if y != nobody:
        a = min(a, np.uint64(pos[y]))
    if x != nobody:
        b = max(b, np.uint64(pos[x]))
    before, after = mp[v], ms[v]
    ms[before] = after
    mp[after] = before
    if np.uint64(pos[after_in_job]) <= b:
        mark[after_in_job] = 1
    if y != nobody and np.uint64(pos[y]) <= b:
        mark[y] = 1
    n_held = np.uint64(0)
    k = a
    while k <= b:
        w = order[k]
        if w != v:
            mark[w] |= mark[w - U1] | mark[mp[w]]
            if mark[w]:
                held[n_held] = w
                n_held += U1
        k += U1
    closed = (x != nobody and mark[x]) or mark[v - U1]
    for t in range(n_held):
        mark[held[t]] = 0
    if closed:
        ms[before] = np.uint32(v)
        mp[after] = np.uint32(v)
        return 0
    ms[x] = np.uint32(v)
    mp[v] = np.uint32(x)
    ms[v] = np.uint32(y)
    mp[y] = np.uint32(v)
    to = a
    h = np.uint64(0)
    k = a
    while k <= b:
        w = order[k]
        if h < n_held and held[h] == w:
            h += U1
        elif w != v:
            order[to] = w
            pos[w] = np.uint32(to)
            to += U1
        k += U1
    order[to] = np.uint32(v)
    pos[v] = np.uint32(to)
    for t in range(n_held):
        to += U1
        order[to] = held[t]
        pos[held[t]] = np.uint32(to)
    ctl[C_FIRST], ctl[C_LAST] = a, b
    return 1


@kernel(int64(IX, TM, TABLES, CTL, uint64, uint64, uint64))
def reassign(ix: Any, tm: Any, tables: Any, ctl: Any, v: Any, alternative: Any, at: Any) -> Any:
    """Let `v` run by `alternative`, at place `at` of that machine's sequence.

    Returns whether it was possible; if so, times are up to date, but the longest path is not.
    """
    alt_machine, seq, seq_at, count, rear = tables[1], tables[4], tables[5], tables[6], tables[9]
    index = ix[INDEX]
    nobody = np.uint64(ix.shape[1] - 1)
    old, new = np.uint64(ix[K.MACHINE, v]), np.uint64(alt_machine[alternative])
    begin = np.uint64(seq_at[new])
    x = np.uint64(seq[begin + at - U1]) if at > np.uint64(0) else nobody
    y = np.uint64(seq[begin + at]) if at < np.uint64(count[new]) else nobody
    if not place(ix, ctl, v, x, y):
        return 0
    begin = np.uint64(seq_at[old])
    k = np.uint64(index[v]) + U1
    while k < np.uint64(count[old]):
        w = seq[begin + k]
        seq[begin + k - U1] = w
        index[w] = np.uint32(k - U1)
        k += U1
    count[old] -= 1
    rear[old] -= 1
    begin = np.uint64(seq_at[new])
    k = np.uint64(count[new])
    while k > at:
        w = seq[begin + k - U1]
        seq[begin + k] = w
        index[w] = np.uint32(k)
        k -= U1
    seq[begin + at] = np.uint32(v)
    index[v] = np.uint32(at)
    count[new] += 1
    rear[new] += 1
    choose(ix, tm, tables, ctl, v, alternative)
    K.heads(ix, tm, ctl[C_FIRST], ctl[K.C_HIGH])
    K.tails_within(ix, tm, ctl[C_LAST], ctl[K.C_LOW])
    return 1


@kernel(void(IX, TABLES, uint64, uint64, int64))
def follow(ix: Any, tables: Any, moved: Any, to: Any, kind: Any) -> Any:
    """Bring the sequence array in line with a move on one machine that the links have made."""
    seq, seq_at = tables[4], tables[5]
    index = ix[INDEX]
    begin = np.int64(seq_at[ix[K.MACHINE, moved]])
    k, end = np.int64(index[moved]), np.int64(index[to])
    step = -1 if kind == T.LEFT else 1
    while k != end:
        w = seq[begin + k + step]
        seq[begin + k] = w
        index[w] = np.uint32(k)
        k += step
    seq[begin + end] = np.uint32(moved)
    index[moved] = np.uint32(end)


@kernel(Tuple((int64, uint64))(CTL, CTL, U32, RNG, U32, int64, int64, int64))
def best_place(
    end: Any, tail: Any, seq: Any, rng: Any, places: Any, head: Any, p: Any, rest: Any
) -> Any:
    """Return the estimate of the best place on another machine for an operation, and that place.

    The estimate is the longest path through the operation with the heads and tails of now.
    Operations that end after `head` (L) form the rear of the sequence, those whose tail exceeds
    `rest` (R) its front; only places between the first of L and the last of R are looked at,
    which are the feasible ones worth it (Mastrolilli and Gambardella 2000). Where the two do not
    meet, every place between them is optimal, and chance decides.

    Parameters
    ----------
    end, tail : ndarray, a row of the matrix of times
    seq : ndarray
        The sequences of all machines.
    places : ndarray, shape (4,)
        Where in `seq` the machine's sequence begins and ends, and where the operation may go:
        the first place and the last.
    head, p, rest : int
        When the job lets the operation begin there, its duration there, the job's tail behind it.
    """
    begin, n = np.uint64(places[0]), np.uint64(places[1])
    front, rear = np.uint64(places[2]), np.uint64(places[3])
    low, high = front, rear  # the first that ends after `head`
    while low < high:
        middle = (low + high) >> U1
        if end[seq[middle]] > head:
            high = middle
        else:
            low = middle + U1
    first = low
    low, high = front, rear  # the first whose tail is at most `rest`
    while low < high:
        middle = (low + high) >> U1
        if tail[seq[middle]] > rest:
            low = middle + U1
        else:
            high = middle
    last = low
    if last < first:
        first = np.uint64(last + K.draw(rng, first - last + U1))
        last = first
    best = FAR
    chosen = first
    at = first
    while at <= last:
        start = max(head, end[seq[at - U1]]) if at > begin else head
        if start + p + rest >= best:
            break
        value = start + p + (max(rest, tail[seq[at]]) if at < n else rest)
        if value < best:
            best = value
            chosen = at
        at += U1
    return best, chosen - begin


@kernel(void(IX, TM, TABLES, I32, CTL, RNG, uint64, CTL))
def reassignments(
    ix: Any, tm: Any, tables: Any, tabu: Any, ctl: Any, rng: Any, size: Any, pick: Any
) -> Any:
    """Replace the move in `pick` where taking a critical operation elsewhere promises more."""
    path, chosen, machine = ix[K.PATH], ix[ALT], ix[K.MACHINE]
    end, tail, lag = tm[K.END], tm[K.TAIL], tm[LAG]
    # Unpacked once: each unpacking costs more than an estimate.
    alt_at, alt_machine, alt_p, move, seq, seq_at, count, regret, front, rear = tables
    width = np.uint64(ix.shape[1])
    mask = np.uint64(len(tabu) - 1)
    weight, transport = ctl[C_WEIGHT], ctl[C_TRANSPORT]
    best = pick[T.VALUE]
    places = np.empty(4, dtype=np.uint32)
    ties, spares = np.uint64(pick[T.TIES]), np.uint64(pick[T.SPARES])
    for t in range(size):
        v = np.uint64(path[t])
        current = np.uint64(chosen[v])
        before, after = v - U1, v + U1
        moved_in = transport and alt_at[v] > alt_at[before]
        moved_out = transport and alt_at[after + U1] > alt_at[after]
        for alternative in range(alt_at[v], alt_at[after]):
            a = np.uint64(alternative)
            if a == current:
                continue
            k, p = np.uint64(alt_machine[a]), alt_p[a]
            head, rest = end[before] + lag[before], tail[after] + lag[v]
            if moved_in:
                head += move[machine[before], k]
            if moved_out:
                rest += move[k, machine[after]]
            more = (weight * (regret[a] - regret[current])) >> 10
            if head + p + rest + more > best:
                continue
            begin = seq_at[k]
            places[0], places[1] = begin, begin + count[k]
            places[2], places[3] = begin + front[k], begin + rear[k]
            estimate, at = best_place(end, tail, seq, rng, places, head, p, rest)
            value = estimate + more
            if value > best:
                continue
            key = T.slot(v, width + k, mask)
            if estimate >= ctl[K.C_BEST] and tabu[key] > ctl[K.C_MOVES]:
                spares += U1
                if K.draw(rng, spares) == np.uint64(0):
                    pick[T.SPARE_MOVED], pick[T.SPARE_TO] = v, a
                    pick[T.SPARE_KIND], pick[SPARE_AT] = ELSEWHERE, at
                continue
            ties = ties + U1 if value == best else U1
            if value < best or K.draw(rng, ties) == np.uint64(0):
                best = value
                pick[T.MOVED], pick[T.TO] = v, a
                pick[T.KIND], pick[AT] = ELSEWHERE, at
    pick[T.VALUE] = best
    pick[T.TIES], pick[T.SPARES] = ties, spares


@kernel(boolean(IX, TM, TABLES, I32, CTL, RNG, CTL))
def make(ix: Any, tm: Any, tables: Any, tabu: Any, ctl: Any, rng: Any, pick: Any) -> Any:
    """Make the move in `pick` and forbid its reversal; return whether it was possible."""
    until = ctl[K.C_MOVES] + ctl[K.C_TENURE]
    until += np.int64(K.draw(rng, np.uint64(ctl[K.C_SPREAD])))
    moved, to, kind = np.uint64(pick[T.MOVED]), np.uint64(pick[T.TO]), pick[T.KIND]
    if kind != ELSEWHERE:
        done = T.resequence(ix, tm, tabu, ctl, moved, to, kind, until)
        if done:
            follow(ix, tables, moved, to, kind)
        return done > 0
    mask = np.uint64(len(tabu) - 1)
    here = np.uint64(ix.shape[1]) + np.uint64(ix[K.MACHINE, moved])
    tabu[T.slot(moved, here, mask)] = np.int32(until)
    return reassign(ix, tm, tables, ctl, moved, to, np.uint64(pick[AT])) > 0


@kernel(int64(IX, TM, CTL))
def crowding(ix: Any, tm: Any, ctl: Any) -> Any:
    """Return how crowded the window is with paths that are nearly the longest.

    Of schedules of one length the least crowded one is the most easily shortened: the search of
    the next window, and of the next sweep, begins with it.
    """
    order = ix[K.ORDER]
    p, end, tail = tm[K.P], tm[K.END], tm[K.TAIL]
    limit = ctl[K.C_CURRENT] - ctl[C_MARGIN]
    total = np.int64(0)
    for k in range(ctl[K.C_LOW], ctl[K.C_HIGH]):
        i = order[k]
        excess = end[i] - p[i] + tail[i] - limit
        if excess > 0:
            total += excess * excess
    return total


@kernel(void(IX, TM, CTL))
def keep_best(ix: Any, tm: Any, ctl: Any) -> Any:
    """Keep the current order and alternatives when they are the best so far."""
    if ctl[K.C_CURRENT] > ctl[K.C_BEST]:
        return
    crowd = crowding(ix, tm, ctl)
    if ctl[K.C_CURRENT] == ctl[K.C_BEST]:
        if crowd >= ctl[C_CROWD]:
            return
        low, high = ctl[K.C_LOW], ctl[K.C_HIGH]
        ix[K.BEST, low:high] = ix[K.ORDER, low:high]
    else:
        T.keep_best(ix, ctl)
    ctl[C_CROWD] = crowd
    for k in range(ctl[K.C_LOW], ctl[K.C_HIGH]):
        i = ix[K.ORDER, k]
        ix[BEST_ALT, i] = ix[ALT, i]


@kernel(int64(IX, TM, U32, TABLES, I32, CTL, RNG, int64))
def search(
    ix: Any, tm: Any, last: Any, tables: Any, tabu: Any, ctl: Any, rng: Any, moves: Any
) -> Any:
    """Run at most `moves` moves of tabu search, as `optsched.problems.job_shop.tabu.search`."""
    pick = np.zeros(PICK_SIZE, dtype=np.int64)
    done = 0
    while done < moves:
        keep_best(ix, tm, ctl)
        if (
            ctl[K.C_BEST] <= ctl[K.C_TARGET]
            or ctl[K.C_MOVES] - ctl[K.C_IMPROVED] >= ctl[K.C_PATIENCE]
        ):
            break
        size = T.critical_path(ix, tm, last, ctl, rng)
        T.resequencing(ix, tm, tabu, ctl, rng, size, pick)
        reassignments(ix, tm, tables, tabu, ctl, rng, size, pick)
        if pick[T.KIND] == T.NONE:
            pick[T.MOVED], pick[T.TO] = pick[T.SPARE_MOVED], pick[T.SPARE_TO]
            pick[T.KIND], pick[AT] = pick[T.SPARE_KIND], pick[SPARE_AT]
        if pick[T.KIND] == T.NONE:
            ctl[K.C_STUCK] += 1
        elif make(ix, tm, tables, tabu, ctl, rng, pick):
            ctl[K.C_CURRENT] = K.length(ix, tm, last, ctl)
        ctl[K.C_MOVES] += 1
        done += 1
    keep_best(ix, tm, ctl)
    return done
