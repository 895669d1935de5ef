"""Compiled kernels: best fit, and windows of a few nodes that are emptied and filled anew."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

#: GPUs of a node that a window remembers, nodes of a window at most.
DEVICES, WINDOW = 64, 8


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def devices_for(free: Any, n_devices: int, count: int, share: int) -> int:
    """Return the GPUs for a pod as bits, those with the least room that suffices; -1: none."""
    bits = np.int64(0)
    for _ in range(count):
        best = -1
        for d in range(n_devices):
            if free[d] >= share and not (bits >> d) & 1 and (best < 0 or free[d] < free[best]):
                best = d
        if best < 0:
            return -1
        bits |= np.int64(1) << best
    return int(bits)


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def fits(room: Any, need: Any) -> bool:
    """Return whether `need` is within `room`, resource by resource."""
    enough = True
    for r in range(len(room)):
        enough = enough and need[r] <= room[r]
    return enough


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def put(room: Any, free: Any, need: Any, share: int, bits: int, sign: int) -> None:
    """Put a pod on a node (`sign` 1), or take it off (-1)."""
    for r in range(len(room)):
        room[r] -= sign * need[r]
    d = 0
    while bits >> d:
        if (bits >> d) & 1:
            free[d] -= sign * share
        d += 1


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def best_fit(
    order: Any, room: Any, free: Any, gpus: Any, column: Any, capacity: Any, need: Any, count: Any,
    share: Any, row: Any, admits: Any, node: Any, bits: Any,
) -> None:  # fmt: skip
    """Place pods in `order`, each on the node with the least room left.

    Room left is what is free of the GPUs after placing, and of the other resources, each as a part
    of the greatest node's; a pod without GPUs avoids nodes that have some.

    Parameters
    ----------
    order : ndarray of int64
        Pods to place.
    room : ndarray of int64, shape (n_nodes, n_resources)
        What is free; kept up to date, as are `free`, `node` and `bits`.
    free : ndarray of int64, shape (n_nodes, most_gpus)
        Thousandths that are free of each GPU.
    gpus, column : ndarray of int64, shape (n_nodes,)
    capacity : ndarray of int64, shape (n_resources,)
        Of the greatest node, at least 1.
    need : ndarray of int64, shape (n_pods, n_resources)
    count, share, row : ndarray of int64, shape (n_pods,)
    admits : ndarray of bool
    node, bits : ndarray of int64, shape (n_pods,)
    """
    most = 1000.0 * max(1, free.shape[1])
    for p in order:
        best, chosen = np.inf, -1
        for n in range(len(gpus)):
            if gpus[n] < count[p] or not admits[row[p], column[n]] or not fits(room[n], need[p]):
                continue
            left = 0.0
            if count[p] > 0:
                if devices_for(free[n], gpus[n], count[p], share[p]) < 0:
                    continue
                for d in range(gpus[n]):
                    left += free[n, d] / most
            elif gpus[n] > 0:
                left = 1000.0
            for r in range(room.shape[1]):
                left += room[n, r] / capacity[r]
            if left < best:
                best, chosen = left, n
        if chosen >= 0:
            node[p] = chosen
            bits[p] = devices_for(free[chosen], gpus[chosen], count[p], share[p])
            put(room[chosen], free[chosen], need[p], share[p], bits[p], 1)


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _uniform(seed: Any) -> float:
    """Return a random number from 0 to 1 (xorshift64*); `seed` holds the state."""
    x = seed[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    seed[0] = x
    return float((x * np.uint64(2685821657736338717)) >> np.uint64(11)) / 9007199254740992.0


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _wholeness(free: Any, n_devices: int) -> float:
    """Return how much of what is free lies together, in thousandths of a GPU."""
    total = 0.0
    for d in range(n_devices):
        total += free[d] * free[d] / 1000.0
    return total


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def improve(
    steps: int, heat: float, together: float, room: Any, free: Any, gpus: Any, column: Any,
    need: Any, count: Any, share: Any, weight: Any, row: Any, admits: Any, node: Any, bits: Any,
    on: Any, n_on: Any, out: Any, n_out: int, seed: Any, stop: Any,
) -> int:  # fmt: skip
    """Empty a few nodes and fill them anew, again and again; return how many pods are left out.

    A window is kept where its value has not fallen, or has fallen by little (simulated annealing
    at temperature `heat`). Its value is the weight placed, and `together` times what is free of
    each GPU, squared, so that what is free gathers.

    Parameters
    ----------
    steps : int
    heat, together : float
    room, free, gpus, column, need, count, share, row, admits, node, bits
        See `best_fit`.
    weight : ndarray of int64, shape (n_pods,)
    on : ndarray of int64, shape (n_nodes, most_pods)
        The pods on each node, `n_on` of them.
    out : ndarray of int64, shape (n_pods,)
        The pods left out, `n_out` of them.
    seed : ndarray of uint64, shape (1,)
    stop : ndarray of int64, shape (1,)
        Not 0: return soon.
    """
    n_nodes, n_resources = room.shape
    width = free.shape[1]
    window = np.zeros(WINDOW, dtype=np.int64)
    pool = np.zeros(WINDOW * on.shape[1] + 64, dtype=np.int64)
    key = np.zeros(len(pool))
    old_node = np.zeros(len(pool), dtype=np.int64)
    old_bits = np.zeros(len(pool), dtype=np.int64)
    old_room = np.zeros((WINDOW, n_resources), dtype=np.int64)
    old_free = np.zeros((WINDOW, width), dtype=np.int64)
    for step in range(steps):
        if step % 64 == 0 and stop[0]:
            break
        size = 2 + int(_uniform(seed) * (WINDOW - 2)) if n_nodes > 2 else n_nodes
        size = _choose(window, size, free, gpus, on, seed)
        n_pool = 0
        before = 0.0
        for k in range(size):
            n = window[k]
            before += together * _wholeness(free[n], gpus[n])
            old_room[k] = room[n]
            old_free[k] = free[n]
            keep = _uniform(seed) * 0.7  # some of the pods stay, so that steps are small, too
            kept = 0
            for j in range(n_on[n]):
                p = on[n, j]
                if _uniform(seed) < keep:
                    on[n, kept] = p
                    kept += 1
                    continue
                pool[n_pool] = p
                old_node[n_pool], old_bits[n_pool] = n, bits[p]
                put(room[n], free[n], need[p], share[p], bits[p], -1)
                before += weight[p]
                n_pool += 1
            n_on[n] = kept
        for _ in range(min(n_out, 24)):
            at = int(_uniform(seed) * n_out)
            p = out[at]
            # Drawn pods go to the end, so that none is drawn twice.
            n_out -= 1
            out[at], out[n_out] = out[n_out], p
            pool[n_pool] = p
            old_node[n_pool], old_bits[n_pool] = -1, 0
            n_pool += 1
        mix = _uniform(seed) * 0.4
        for j in range(n_pool):
            p = pool[j]
            key[j] = -(count[p] * 1000.0 + share[p]) * (1.0 + mix * (_uniform(seed) - 0.5))
            key[j] += 1e-3 * _uniform(seed)
        order = np.argsort(key[:n_pool])
        lean = _uniform(seed)
        after = 0.0
        for j in order:
            p = pool[j]
            n = _place(p, window, size, room, free, gpus, column, need, count, share, row, admits,
                       bits, lean, seed)  # fmt: skip
            node[p] = n
            if n >= 0:
                after += weight[p]
                if n_on[n] < on.shape[1]:
                    on[n, n_on[n]] = p
                n_on[n] += 1
        full = False
        for k in range(size):
            after += together * _wholeness(free[window[k]], gpus[window[k]])
            full = full or n_on[window[k]] > on.shape[1]
        loss = before - after
        if not full and (loss <= 0 or loss < -heat * np.log(_uniform(seed) + 1e-12)):
            for j in range(n_pool):
                if node[pool[j]] < 0:
                    out[n_out] = pool[j]
                    n_out += 1
        else:
            n_out = _undo(window, size, pool, n_pool, old_node, old_bits, old_room, old_free, room,
                          free, node, bits, on, n_on, out, n_out)  # fmt: skip
    return n_out


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _choose(window: Any, size: int, free: Any, gpus: Any, on: Any, seed: Any) -> int:
    """Choose different nodes; the first has something free of a GPU in most cases."""
    n_nodes = len(gpus)
    for k in range(size):
        n = int(_uniform(seed) * n_nodes)
        for _ in range(12):
            waste = False
            for d in range(gpus[n]):
                waste = waste or free[n, d] > 0
            if gpus[n] > 0 and (waste or k > 1):
                break
            n = int(_uniform(seed) * n_nodes)
        window[k] = n
        for j in range(k):
            if window[j] == n:
                return k  # a smaller window will do
    return size


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _place(
    p: int, window: Any, size: int, room: Any, free: Any, gpus: Any, column: Any, need: Any,
    count: Any, share: Any, row: Any, admits: Any, bits: Any, lean: float, seed: Any,
) -> int:  # fmt: skip
    """Put a pod on the node of the window whose GPU it fills best; return it, or -1."""
    best, chosen, chosen_bits = np.inf, -1, 0
    for k in range(size):
        n = window[k]
        if gpus[n] < count[p] or not admits[row[p], column[n]] or not fits(room[n], need[p]):
            continue
        mask = devices_for(free[n], gpus[n], count[p], share[p])
        if mask < 0 or _uniform(seed) < 0.02:  # overlooked now and then (a blink)
            continue
        left = 0.0
        if count[p] > 0:
            total = 0
            for d in range(gpus[n]):
                total += free[n, d]
                if (mask >> d) & 1:
                    left += free[n, d] - share[p]
            # What the pod takes of the other resources, as a part of what is left for a GPU.
            tight = 0.0
            for r in range(room.shape[1]):
                if need[p, r] > 0:
                    tight = max(tight, need[p, r] * total / (room[n, r] * 1000.0))
            left += 300.0 * lean * tight
        left += _uniform(seed)
        if left < best:
            best, chosen, chosen_bits = left, n, mask
    if chosen >= 0:
        put(room[chosen], free[chosen], need[p], share[p], chosen_bits, 1)
    bits[p] = chosen_bits
    return chosen


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _undo(
    window: Any, size: int, pool: Any, n_pool: int, old_node: Any, old_bits: Any, old_room: Any,
    old_free: Any, room: Any, free: Any, node: Any, bits: Any, on: Any, n_on: Any, out: Any,
    n_out: int,
) -> int:  # fmt: skip
    """Put everything back; return how many pods are left out."""
    for k in range(size):
        n = window[k]
        room[n] = old_room[k]
        free[n] = old_free[k]
        # Pods of the pool were added behind those that stayed.
        added = 0
        for j in range(n_pool):
            if node[pool[j]] == n:
                added += 1
        n_on[n] -= added
    for j in range(n_pool):
        p = pool[j]
        node[p], bits[p] = old_node[j], old_bits[j]
        if node[p] >= 0:
            on[node[p], n_on[node[p]]] = p
            n_on[node[p]] += 1
        else:
            out[n_out] = p
            n_out += 1
    return n_out
