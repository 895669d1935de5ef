"""Successive sublimation: dynamic programming over the network that remembers some jobs (kernels).

A state is a node of the network and the set of tracked jobs that the path has visited (Ibaraki and
Nakamura 1994; Tanaka, Fujikuma and Araki 2009). Tracked jobs are visited once. Each stage tracks
more jobs than the one before and runs in the opposite direction, so that the values of the stage
before are the bound on what is missing from a path: states that cannot beat the incumbent vanish.
"""

# Numba takes the types of kernels from the arrays.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from __future__ import annotations

import numpy as np
from numba import njit

_OPTIONS = {"nogil": True, "cache": True, "boundscheck": False}
FAR = np.int64(2**60)
# Entries of ``progress``: next node, states so far, work done, whether room ran out.
NODE, STATES, WORK, FULL = range(4)


@njit(**_OPTIONS)
def _slot(mask, room):
    h = (mask + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    h ^= h >> np.uint64(31)
    h *= np.uint64(0xBF58476D1CE4E5B9)
    h ^= h >> np.uint64(29)
    return np.int64(h & room)


@njit(**_OPTIONS)
def _room(size, table):
    """Return the bits of the table to use for `size` keys, so that it stays half empty."""
    room = np.int64(16)
    while room < 2 * size and room < len(table):
        room *= 2
    return np.uint64(room - 1)


@njit(**_OPTIONS)
def expand(
    node_cost, arc_first, arc_from, bit, need, forbid,
    old_start, old_stop, old_mask, old_value, old_tracked, limit,
    first, mask, value, parent, progress, old_table, table, until,
):  # fmt: skip
    """Fill the states of the nodes, source first, until ``progress[WORK]`` reaches `until`.

    Parameters
    ----------
    node_cost, arc_first, arc_from : ndarray
        The network in the direction of this stage.
    bit, need, forbid : ndarray of uint64, one a node
        The bit of the node's job; tracked jobs that must or must not have been visited before.
    old_start, old_stop, old_mask, old_value : ndarray
        States of the stage before, by node as numbered in this direction; their masks hold the
        jobs of ``old_tracked`` visited from the node on, itself included.
    first, mask, value, parent : ndarray
        States of this stage; ``value`` includes the node's cost.
    old_table, table : ndarray of int64, shape (power of two, 2)
        Hash tables of a node's states, each entry stamped with the node.
    """
    nodes = len(node_cost)
    x = progress[NODE]
    count = progress[STATES]
    work = progress[WORK]
    if x == 0:
        first[0] = 0
        mask[0], value[0], parent[0] = np.uint64(0), 0, -1
        count = 1
        first[1] = 1
        x = 1
    while x < nodes and work < until:
        begin = count
        a0, a1 = arc_first[x], arc_first[x + 1]
        o0, o1 = old_start[x], old_stop[x]
        candidates = np.int64(0)
        for a in range(a0, a1):
            candidates += first[arc_from[a] + 1] - first[arc_from[a]]
        work += 1 + a1 - a0
        if candidates > 0 and o1 > o0:
            work += candidates + o1 - o0
            own, here = node_cost[x], bit[x]
            old_room = _room(o1 - o0, old_table)
            for k in range(o0, o1):
                key = (old_tracked ^ old_mask[k]) | (here & old_tracked)
                slot = _slot(key, old_room)
                while old_table[slot, 0] == x:
                    slot = (slot + 1) & np.int64(old_room)
                old_table[slot, 0] = x
                old_table[slot, 1] = k
            room = _room(candidates, table)
            for a in range(a0, a1):
                y = arc_from[a]
                for k in range(first[y], first[y + 1]):
                    seen = mask[k]
                    if seen & here or seen & forbid[x] or (seen & need[x]) != need[x]:
                        continue
                    v = value[k] + own
                    now = seen | here
                    key = now & old_tracked
                    slot = _slot(key, old_room)
                    match = np.int64(-1)
                    while old_table[slot, 0] == x:
                        o = old_table[slot, 1]
                        if ((old_tracked ^ old_mask[o]) | (here & old_tracked)) == key:
                            match = o
                            break
                        slot = (slot + 1) & np.int64(old_room)
                    if match < 0 or v + old_value[match] - own > limit:
                        continue
                    slot = _slot(now, room)
                    while table[slot, 0] == x and mask[table[slot, 1]] != now:
                        slot = (slot + 1) & np.int64(room)
                    if table[slot, 0] == x:
                        s = table[slot, 1]
                        if v < value[s]:
                            value[s] = v
                            parent[s] = k
                    else:
                        crowded = 4 * (count - begin) > 3 * (np.int64(room) + 1)
                        if crowded or count >= len(value):
                            progress[FULL] = 1
                            progress[NODE], progress[STATES], progress[WORK] = x, begin, work
                            return
                        table[slot, 0] = x
                        table[slot, 1] = count
                        mask[count], value[count], parent[count] = now, v, k
                        count += 1
        x += 1
        first[x] = count
    progress[NODE], progress[STATES], progress[WORK] = x, count, work


@njit(**_OPTIONS)
def path(first, parent, best):
    """Return the nodes of the path to state `best`, the last one first, the source left out."""
    nodes = []
    state = best
    while state > 0:
        low, high = 0, len(first) - 1
        while high - low > 1:
            middle = (low + high) // 2
            if first[middle] <= state:
                low = middle
            else:
                high = middle
        nodes.append(low)
        state = np.int64(parent[state])
    return nodes
