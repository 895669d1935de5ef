"""Dynamic programming over downsets, layer by layer: the kernels.

A state is a set of units that have run (a downset of the precedence order) with the tensors that
are resident and those of which main memory has a copy; all are bits of 64-bit words, in this
order: done, ready, resident, stored. A child runs one ready unit; those that must leave to make
room for it are paid for at once, with the store, if it is the first, and the load that will follow.
So a tensor that is alive and not resident has been paid for, and only least sets need leave.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optsched.problems.scratchpad.states import bits_of, clear, dies, has, insert, jit, put

#: Children that one state may have, at the most; what is beyond is dropped and counted as such.
MOST_CHILDREN = 2048
#: Subsets that are looked at for each one that is wanted, at the most.
NODES = 32
#: Subsets that are looked at in one call, about: some hundredths of a second.
WORK = 500_000
#: Tensors that may leave for one unit, at the most.
MOST_LEAVING = 64


@jit
def _advance(
    words: Any, unit: int, w1: int, w2: int,
    input_offset: Any, input_tensor: Any, output_offset: Any, output_tensor: Any,
    reader_offset: Any, reader: Any, before_offset: Any, before: Any, after_offset: Any, after: Any,
    out: Any, gone: Any, n_gone: int, size: Any, store: Any,
) -> int:  # fmt: skip
    """Write the state behind `unit` to `out`; return the change of resident bytes."""
    out[:] = words
    resident, stored = 2 * w1, 2 * w1 + w2
    change = 0
    put(out, 0, unit)
    clear(out, w1, unit)
    for k in range(after_offset[unit], after_offset[unit + 1]):
        u = after[k]
        ready = True
        for j in range(before_offset[u], before_offset[u + 1]):
            if not has(out, 0, before[j]):
                ready = False
                break
        if ready:
            put(out, w1, u)
    for k in range(input_offset[unit], input_offset[unit + 1]):
        t = input_tensor[k]
        if dies(words, t, unit, reader_offset, reader):
            if has(out, resident, t):
                change -= size[t]
            clear(out, resident, t)
            clear(out, stored, t)
        elif not has(out, resident, t):
            put(out, resident, t)
            change += size[t]
    for k in range(output_offset[unit], output_offset[unit + 1]):
        put(out, resident, output_tensor[k])
        change += size[output_tensor[k]]
    for k in range(n_gone):
        t = gone[k]
        change -= size[t]
        clear(out, resident, t)
        if store[t] > 0:
            put(out, stored, t)
    return change


@jit
def _safe(
    words: Any, unit: int, w1: int, w2: int,
    input_offset: Any, input_tensor: Any, output_offset: Any, output_tensor: Any,
    reader_offset: Any, reader: Any, producer: Any, size: Any, store: Any,
) -> bool:  # fmt: skip
    """Return whether to run `unit` at once, which fits, can do no harm.

    Until the time at which it would otherwise run, its results lie in memory in place of the
    inputs that die with it. They must not be larger than what of these would have stayed, or else
    cost no more to evict than it would have cost to evict the others.
    """
    resident, stored = 2 * w1, 2 * w1 + w2
    grow = grow_cost = 0
    n_dying = 0
    dying = np.empty(8, dtype=np.int64)
    for k in range(input_offset[unit], input_offset[unit + 1]):
        t = input_tensor[k]
        here = has(words, resident, t)
        if dies(words, t, unit, reader_offset, reader):
            if not here or n_dying == 8:
                return False
            dying[n_dying] = t
            n_dying += 1
        elif not here:
            if producer[t] >= 0 or _touched(words, t, reader_offset, reader):
                return False
            grow += size[t]
            grow_cost += size[t]
    for k in range(output_offset[unit], output_offset[unit + 1]):
        t = output_tensor[k]
        grow += size[t]
        grow_cost += size[t] + store[t]
    for mask in range(1 << n_dying):
        left = cost = 0
        for j in range(n_dying):
            t = dying[j]
            if (mask >> j) & 1:
                cost += size[t]
                if not has(words, stored, t):
                    cost += store[t]
            else:
                left += size[t]
        if grow > left and grow_cost > cost:
            return False
    return True


@jit
def _touched(words: Any, t: int, reader_offset: Any, reader: Any) -> bool:
    for k in range(reader_offset[t], reader_offset[t + 1]):  # noqa: SIM110
        if has(words, 0, reader[k]):
            return True
    return False


@jit
def expand(
    start: int, n: int, state: Any, state_g: Any, state_mem: Any,
    child: Any, child_g: Any, child_mem: Any, child_parent: Any, child_unit: Any,
    count: int, table: Any, lost: Any, capacity: int, limit: int, choices: int, salt: int,
    w1: int, w2: int, rank: Any,
    size: Any, store: Any, producer: Any, first_need: Any, rest_need: Any,
    input_offset: Any, input_tensor: Any, output_offset: Any, output_tensor: Any,
    reader_offset: Any, reader: Any, before_offset: Any, before: Any, after_offset: Any, after: Any,
) -> tuple[int, int]:  # fmt: skip
    """Expand states from `start` on, until that takes long or the children fill the buffer.

    Parameters
    ----------
    state, state_g, state_mem : ndarray
        The layer: words of uint64, cost so far, resident bytes; `n` of them.
    child, ..., child_unit : ndarray
        Buffer of children, `count` of them so far, with a hash table over them.
    lost : ndarray of int64, shape (2,)
        Receives the least cost of a child dropped for want of room in a list, and the least bytes
        by which the capacity would have to grow for a child that costs `limit` or more.
    limit : int
        Children of at least this cost are of no interest.
    choices : int
        Ways to make room for one unit that are followed, at the most.
    rank : ndarray of int64, shape (n_units,)
        Where each unit is expected in the order: those that are needed last leave first.

    Returns
    -------
    next state, number of children
    """
    width = 2 * w1 + 2 * w2
    resident, stored = 2 * w1, 2 * w1 + w2
    out = np.empty(width, dtype=np.uint64)
    ready = np.empty(64 * w1, dtype=np.int64)
    present = np.empty(64 * w2, dtype=np.int64)
    pick = np.empty(MOST_LEAVING, dtype=np.int64)
    gone = np.empty(MOST_LEAVING, dtype=np.int64)
    cand = np.empty(MOST_LEAVING, dtype=np.int64)
    cand_first = np.empty(MOST_LEAVING, dtype=np.int64)
    cand_rest = np.empty(MOST_LEAVING, dtype=np.int64)
    cand_cost = np.empty(MOST_LEAVING, dtype=np.int64)
    cand_use = np.empty(MOST_LEAVING, dtype=np.int64)
    is_input = np.zeros(64 * w2, dtype=np.bool_)
    s = start
    work = 0
    while s < n and work < WORK:
        if count + MOST_CHILDREN + 64 * w1 > len(child):
            break
        words = state[s]
        g, mem = state_g[s], state_mem[s]
        n_ready = bits_of(words, w1, w1, ready)
        chosen = -1
        for r in range(n_ready):
            u = ready[r]
            here, keep = _inputs(
                words, u, resident, input_offset, input_tensor, reader_offset, reader, size
            )
            if mem - here + first_need[u] > capacity:
                continue
            if rest_need[u] > 0 and mem - here + keep + rest_need[u] > capacity:
                continue
            if _safe(
                words, u, w1, w2, input_offset, input_tensor, output_offset, output_tensor,
                reader_offset, reader, producer, size, store,
            ):  # fmt: skip
                chosen = u
                break
        n_present = bits_of(words, resident, w2, present)
        first_child = count
        for r in range(n_ready):
            u = ready[r]
            if chosen >= 0 and u != chosen:
                continue
            here, keep = _inputs(
                words, u, resident, input_offset, input_tensor, reader_offset, reader, size
            )
            over_first = mem - here + first_need[u] - capacity
            over_rest = -1
            if rest_need[u] > 0:
                over_rest = mem - here + keep + rest_need[u] - capacity
            if over_first <= 0 and over_rest <= 0:
                change = _advance(
                    words, u, w1, w2, input_offset, input_tensor, output_offset, output_tensor,
                    reader_offset, reader, before_offset, before, after_offset, after,
                    out, gone, 0, size, store,
                )  # fmt: skip
                count = insert(
                    out, g, mem + change, s, u,
                    child, child_g, child_mem, child_parent, child_unit, count, table, salt,
                )  # fmt: skip
                continue
            # Who may leave: what lies there and is not read; then inputs that are read again.
            for k in range(input_offset[u], input_offset[u + 1]):
                is_input[input_tensor[k]] = True
            m = 0
            for k in range(n_present):
                t = present[k]
                if not is_input[t] and size[t] > 0 and m < MOST_LEAVING:
                    cand[m], cand_first[m], cand_rest[m] = t, size[t], size[t]
                    m += 1
            for k in range(input_offset[u], input_offset[u + 1]):
                t = input_tensor[k]
                is_input[t] = False
                again = not dies(words, t, u, reader_offset, reader)
                if again and rest_need[u] > 0 and size[t] > 0 and m < MOST_LEAVING:
                    cand[m], cand_first[m], cand_rest[m] = t, 0, size[t]
                    m += 1
            if m == MOST_LEAVING:
                lost[0] = min(lost[0], g)
            for k in range(m):
                cand_use[k] = -_next_use(words, cand[k], u, reader_offset, reader, rank)
            by_use = np.argsort(cand_use[:m])
            cand[:m] = cand[:m][by_use]
            cand_first[:m] = cand_first[:m][by_use]
            cand_rest[:m] = cand_rest[:m][by_use]
            cheapest = np.int64(2**62)
            for k in range(m):
                t = cand[k]
                cand_cost[k] = size[t]
                if not has(words, stored, t):
                    cand_cost[k] += store[t]
                cheapest = min(cheapest, cand_cost[k])
            begun = count
            # All least subsets that free enough, depth first; pick[d] is the d-th chosen.
            depth = nodes = 0
            pick[0] = -1
            freed_first = freed_rest = cost = 0
            while depth >= 0:
                if pick[depth] >= 0:
                    k = pick[depth]
                    freed_first -= cand_first[k]
                    freed_rest -= cand_rest[k]
                    cost -= cand_cost[k]
                nodes += 1
                if nodes > NODES * choices or count - begun >= choices:
                    lost[0] = min(lost[0], g + cheapest)
                    break
                pick[depth] += 1
                k = pick[depth]
                if k >= m:
                    depth -= 1
                    continue
                freed_first += cand_first[k]
                freed_rest += cand_rest[k]
                cost += cand_cost[k]
                if g + cost >= limit:
                    lost[1] = min(lost[1], max(over_first, over_rest))
                    continue
                if freed_first < over_first or freed_rest < over_rest:
                    if depth + 1 < MOST_LEAVING:
                        depth += 1
                        pick[depth] = k
                        # The next level begins behind k: its entry is taken back first.
                        freed_first += cand_first[k]
                        freed_rest += cand_rest[k]
                        cost += cand_cost[k]
                    continue
                least = True
                for d in range(depth + 1):
                    j = pick[d]
                    if (
                        freed_first - cand_first[j] >= over_first
                        and freed_rest - cand_rest[j] >= over_rest
                    ):
                        least = False
                        break
                if not least:
                    continue
                if count - first_child >= MOST_CHILDREN:
                    lost[0] = min(lost[0], g + cost)
                    continue
                for d in range(depth + 1):
                    gone[d] = cand[pick[d]]
                change = _advance(
                    words, u, w1, w2, input_offset, input_tensor, output_offset, output_tensor,
                    reader_offset, reader, before_offset, before, after_offset, after,
                    out, gone, depth + 1, size, store,
                )  # fmt: skip
                count = insert(
                    out, g + cost, mem + change, s, u,
                    child, child_g, child_mem, child_parent, child_unit, count, table, salt,
                )  # fmt: skip
            work += nodes
        s += 1
        work += 10 * n_ready
    return s, count


@jit
def _next_use(words: Any, t: int, unit: int, reader_offset: Any, reader: Any, rank: Any) -> int:
    """Return the least rank of a unit that still has to read the tensor, beside `unit`."""
    least = np.int64(2**62)
    for k in range(reader_offset[t], reader_offset[t + 1]):
        if reader[k] != unit and not has(words, 0, reader[k]):
            least = min(least, rank[reader[k]])
    return int(least)


@jit
def _inputs(
    words: Any, unit: int, resident: int, input_offset: Any, input_tensor: Any,
    reader_offset: Any, reader: Any, size: Any,
) -> tuple[int, int]:  # fmt: skip
    """Return the bytes of the inputs that are resident, and of those that are read again."""
    here = keep = 0
    for k in range(input_offset[unit], input_offset[unit + 1]):
        t = input_tensor[k]
        if has(words, resident, t):
            here += size[t]
        if not dies(words, t, unit, reader_offset, reader):
            keep += size[t]
    return here, keep
