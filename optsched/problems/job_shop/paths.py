"""Numba kernels around the tabu search: dispatching, distance and path relinking.

They work on the matrices that `optsched.problems.job_shop.kernels` describes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import void
from numba.types import float64, int64

from optsched.problems.job_shop import kernels as K
from optsched.problems.job_shop.kernels import CTL, FAR, IX, RNG, TM, U1, U32, kernel


@kernel(void(IX, TM, U32, CTL, RNG, float64))
def dispatch(ix: Any, tm: Any, last: Any, ctl: Any, rng: Any, noise: Any) -> Any:
    """Write an active schedule to row ORDER: Giffler and Thompson (1960), most work remaining.

    `noise` from 0 to 1 is the share of chance in the priorities.
    """
    order, machine = ix[K.ORDER], ix[K.MACHINE]
    p, gap, end = tm[K.P], tm[K.GAP], tm[K.END]
    n, n_jobs = ctl[K.C_OPS], len(last)
    free = np.zeros(ctl[K.C_MACHINES], dtype=np.int64)
    node = np.empty(n_jobs, dtype=np.uint32)  # next operation of each job
    ready = np.empty(n_jobs, dtype=np.int64)
    work = np.zeros(n_jobs, dtype=np.int64)
    most = np.int64(1)
    for j in range(n_jobs):
        first = np.uint32(last[j - 1] + 2 if j > 0 else 1)
        node[j] = first
        ready[j] = end[first - U1]
        for i in range(first, last[j] + 1):
            work[j] += p[i] + gap[i]
        most = max(most, work[j])
    for k in range(n):
        soonest = FAR
        busy = np.uint32(0)
        for j in range(n_jobs):
            if node[j] <= last[j]:
                m = machine[node[j]]
                done = max(ready[j], free[m]) + p[node[j]]
                if done < soonest:
                    soonest = done
                    busy = m
        chosen = -1
        top = -1.0
        for j in range(n_jobs):
            i = node[j]
            if i <= last[j] and machine[i] == busy:
                begin = max(ready[j], free[busy])
                if begin < soonest or begin + p[i] == soonest:
                    key = (1.0 - noise) * work[j] / most
                    key += noise * np.float64(K.draw(rng, np.uint64(65536))) / 65536.0
                    if key > top:
                        top = key
                        chosen = j
        i = node[chosen]
        order[k] = i
        done = max(ready[chosen], free[busy]) + p[i]
        free[busy] = done
        ready[chosen] = done + gap[i]
        work[chosen] -= p[i] + gap[i]
        node[chosen] = i + np.uint32(1)


@kernel(int64(IX, CTL))
def distance(ix: Any, ctl: Any) -> Any:
    """Return how many pairs on a machine are the other way round in row GUIDE (ranks a node)."""
    order, ms, guide = ix[K.ORDER], ix[K.MS], ix[K.GUIDE]
    nobody = np.uint32(len(order) - 1)
    count = np.int64(0)
    for k in range(ctl[K.C_OPS]):
        rank = guide[order[k]]
        w = ms[order[k]]
        while w != nobody:
            if guide[w] < rank:
                count += 1
            w = ms[w]
    return count


@kernel(int64(IX, CTL, RNG, int64))
def relink(ix: Any, ctl: Any, rng: Any, steps: Any) -> Any:
    """Walk `steps` swaps from the loaded schedule towards row GUIDE; return how many were made.

    A step swaps two neighbours on a machine that the guiding schedule has the other way round
    (Peng, Lu and Cheng 2015); a swap that would close a cycle is refused, so that every schedule
    on the way is feasible. Times are not kept: `load` afterwards.
    """
    order, ms, guide = ix[K.ORDER], ix[K.MS], ix[K.GUIDE]
    nobody = np.uint32(len(order) - 1)
    n = np.uint64(ctl[K.C_OPS])
    made = np.int64(0)
    tries = np.int64(0)
    while made < steps and tries < 50 * (steps + ctl[K.C_OPS]):
        tries += 1
        u = order[K.draw(rng, n)]
        v = ms[u]
        if v != nobody and guide[v] < guide[u]:
            made += K.shift_right(ix, np.uint64(u), np.uint64(v))
    return made
