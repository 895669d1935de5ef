"""The time-indexed network of weighted tardiness and its Lagrangian bound: the kernels.

A node is a job and the time at which it ends; an arc joins jobs that may follow each other
directly. A sequence is a path from the source (time 0) to the sink (time of all work); a path need
not visit each job once, and that is relaxed with multipliers (Abdul-Razaq and Potts 1988). Arcs
that a swap of the two jobs would improve are left out, and so are nodes and arcs on no path that
is cheaper than the incumbent (Tanaka, Fujikuma and Araki 2009). Everything is integral: costs are
scaled by the caller, so that multipliers have a fraction and bounds are exact.

Jobs must be numbered by due date, then processing time, then falling weight: among equally good
sequences the lexicographically least is never cut off.
"""

# Numba takes the types of kernels from the arrays.
# mypy: disable-error-code="no-untyped-def,no-untyped-call,assignment"
from __future__ import annotations

import numpy as np
from numba import njit

_OPTIONS = {"nogil": True, "cache": True, "boundscheck": False}
_ZERO = np.int64(0)
FAR = np.int64(2**60)


@njit(**_OPTIONS)
def relaxed(p, w, d, scale, multiplier, first, last, value, best, runner, holder, count):
    """Fill the forward values of all (time, job) where only immediate repetition is forbidden.

    ``value[t, j]`` is the least cost of a path that ends with job ``j`` at ``t``; ``first`` and
    ``last`` are the jobs' earliest and latest ends. Returns the cost of the best path, and counts
    the visits of each job on it.
    """
    n, total = len(p), len(best) - 1
    best[0] = 0
    runner[0] = 0
    holder[0] = -1
    for t in range(1, total + 1):
        low, second, who = FAR, FAR, np.int64(-1)
        for j in range(n):
            v = FAR
            if first[j] <= t <= last[j]:
                s = t - p[j]
                before = runner[s] if holder[s] == j else best[s]
                if before < FAR:
                    v = before + scale * w[j] * max(_ZERO, t - d[j]) - multiplier[j]
            value[t, j] = v
            if v < low:
                low, second, who = v, low, j
            elif v < second:
                second = v
        best[t], runner[t], holder[t] = low, second, who
    count[:] = 0
    t, avoid = total, np.int64(-1)
    while t > 0:
        job = holder[t]
        if job == avoid:
            job = np.int64(-1)
            for j in range(n):
                if j != avoid and value[t, j] == runner[t]:
                    job = np.int64(j)
                    break
        count[job] += 1
        avoid = job
        t -= p[job]
    return best[total]


@njit(**_OPTIONS)
def survivors(p, w, d, scale, multiplier, first, last, value, limit, tail, keep):
    """Mark the (time, job) that lie on a path of at most `limit`; return how many they are.

    ``tail`` is room for the backward values: three rows, one entry a time.
    """
    n, total = len(p), value.shape[0] - 1
    # tail[0, t]: the least cost of what starts at t; tail[1, t]: where its first job is another.
    kept = 0
    for t in range(total, -1, -1):
        low, second, who = FAR, FAR, np.int64(-1)
        if t == total:
            low, second = _ZERO, _ZERO
        else:
            for j in range(n):
                e = t + p[j]
                if e <= total and first[j] <= e <= last[j]:
                    after = tail[1, e] if tail[2, e] == j else tail[0, e]
                    if after < FAR:
                        v = after + scale * w[j] * max(_ZERO, e - d[j]) - multiplier[j]
                        if v < low:
                            low, second, who = v, low, np.int64(j)
                        elif v < second:
                            second = v
        tail[0, t], tail[1, t], tail[2, t] = low, second, who
        for j in range(n):
            after = second if who == j else low
            alive = value[t, j] < FAR and after < FAR and value[t, j] + after <= limit
            keep[t, j] = alive
            kept += alive
    return kept


@njit(**_OPTIONS)
def may_follow(p, w, d, before, i, j, s):
    """Whether job `j` may start at `s`, where job `i` ends."""
    if i == j or before[j, i]:
        return False
    end = s + p[j]
    kept = w[i] * max(_ZERO, s - d[i]) + w[j] * max(_ZERO, end - d[j])
    swapped = w[j] * max(_ZERO, end - p[i] - d[j]) + w[i] * max(_ZERO, end - d[i])
    return kept < swapped or (kept == swapped and i < j)


@njit(**_OPTIONS)
def connect(p, w, d, before, job, end, layer, arc_first, arc_from, fill):
    """Count the arcs into each node into ``arc_first``; with `fill`, write where they begin.

    Nodes stand in the order of their times; ``layer[t]`` is the first node of time ``t`` or later.
    """
    nodes = len(job)
    count = _ZERO
    for x in range(1, nodes):
        arc_first[x] = count
        s = end[x] if x == nodes - 1 else end[x] - p[job[x]]
        stop = layer[s + 1] if x < nodes - 1 else nodes - 1
        for y in range(layer[s], stop):
            if (
                x == nodes - 1
                or y == 0
                or may_follow(p, w, d, before, np.int64(job[y]), np.int64(job[x]), s)
            ):
                if fill:
                    arc_from[count] = y
                count += 1
    arc_first[0] = 0
    arc_first[nodes] = count
    return count


@njit(**_OPTIONS)
def sweep(node_cost, arc_first, arc_from, value, back, job, count):
    """Fill the cost of the best path to each node; return that of the sink, and count visits."""
    nodes = len(node_cost)
    value[0] = 0
    for x in range(1, nodes):
        low = FAR
        who = np.int32(-1)
        for a in range(arc_first[x], arc_first[x + 1]):
            v = value[arc_from[a]]
            if v < low:
                low = v
                who = arc_from[a]
        value[x] = low + node_cost[x] if low < FAR else FAR
        back[x] = who
    count[:] = 0
    x = np.int64(nodes - 1)
    if value[x] < FAR:
        x = np.int64(back[x])
        while x > 0:
            count[job[x]] += 1
            x = np.int64(back[x])
    return value[nodes - 1]


@njit(**_OPTIONS)
def sweep_back(node_cost, arc_first, arc_from, rest):
    """Fill the cost of the best path from each node to the sink, its own cost left out."""
    nodes = len(node_cost)
    rest[:] = FAR
    rest[nodes - 1] = 0
    for x in range(nodes - 1, 0, -1):
        if rest[x] < FAR:
            v = rest[x] + node_cost[x]
            for a in range(arc_first[x], arc_first[x + 1]):
                y = arc_from[a]
                if v < rest[y]:
                    rest[y] = v


@njit(**_OPTIONS)
def prune(node_cost, arc_first, arc_from, value, rest, limit, number):
    """Drop nodes and arcs on no path of at most `limit`, in place; return what is left of both.

    ``number`` receives the new number of each node, or -1. Source and sink stay.
    """
    nodes = len(node_cost)
    kept_nodes = _ZERO
    kept_arcs = _ZERO
    start = arc_first[0]
    for x in range(nodes):
        stop = arc_first[x + 1]
        ends_here = x == 0 or x == nodes - 1
        if ends_here or (value[x] < FAR and rest[x] < FAR and value[x] + rest[x] <= limit):
            number[x] = kept_nodes
            arc_first[kept_nodes] = kept_arcs
            for a in range(start, stop):
                y = arc_from[a]
                if number[y] >= 0 and value[y] + node_cost[x] + rest[x] <= limit:
                    arc_from[kept_arcs] = number[y]
                    kept_arcs += 1
            kept_nodes += 1
        else:
            number[x] = -1
        start = stop
    arc_first[kept_nodes] = kept_arcs
    return kept_nodes, kept_arcs


@njit(**_OPTIONS)
def reverse(arc_first, arc_from, new_first, new_from):
    """Turn all arcs round and number the nodes backwards, so that the sink becomes the source."""
    nodes = len(arc_first) - 1
    new_first[:] = 0
    for a in range(arc_first[nodes]):
        new_first[nodes - 1 - arc_from[a] + 1] += 1
    for x in range(nodes):
        new_first[x + 1] += new_first[x]
    place = new_first[:nodes].copy()
    for x in range(nodes - 1, -1, -1):
        for a in range(arc_first[x], arc_first[x + 1]):
            y = nodes - 1 - arc_from[a]
            new_from[place[y]] = nodes - 1 - x
            place[y] += 1
