"""Dispatching of flexible job shops in Numba, led by prices of the machines.

It works on the matrices that `optsched.problems.job_shop.flexible_kernels` describes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import void
from numba.types import Array, float64

from optsched.problems.job_shop import flexible_kernels as fk
from optsched.problems.job_shop import kernels as K
from optsched.problems.job_shop.kernels import CTL, FAR, IX, RNG, TM, U1, U32, kernel

F64 = Array(float64, 1, "C")


@kernel(void(IX, TM, U32, fk.TABLES, CTL, RNG, F64, float64))
def dispatch(
    ix: Any, tm: Any, last: Any, tables: Any, ctl: Any, rng: Any, bias: Any, noise: Any
) -> Any:
    """Write a schedule to rows ORDER and ALT: earliest completion, then Giffler and Thompson.

    Each waiting operation looks to the alternative of least completion plus `bias`; of those that
    look to the machine with the first completion, and can begin before it, the one with most work
    remaining goes. `noise` from 0 to 1 is the share of chance in the priorities.
    """
    order = ix[K.ORDER]
    end = tm[K.END]
    alt_at, alt_machine, alt_p = tables[0], tables[1], tables[2]
    n, n_jobs = ctl[K.C_OPS], len(last)
    free = np.zeros(ctl[K.C_MACHINES], dtype=np.int64)
    node = np.empty(n_jobs, dtype=np.uint64)  # next operation of each job
    ready = np.empty(n_jobs, dtype=np.int64)  # end of the one before
    begin = np.empty(n_jobs, dtype=np.int64)
    work = np.zeros(n_jobs, dtype=np.int64)
    least = np.empty(ix.shape[1], dtype=np.int64)
    most = np.int64(1)
    for j in range(n_jobs):
        node[j] = np.uint64(last[j - 1] + 2 if j > 0 else 1)
        ready[j] = end[node[j] - U1]
        for i in range(node[j], last[j] + 1):
            least[i] = FAR
            for a in range(alt_at[i], alt_at[i + 1]):
                least[i] = min(least[i], alt_p[a])
            least[i] += tm[fk.LAG, i]
            work[j] += least[i]
        most = max(most, work[j])
    for k in range(n):
        soonest = FAR
        busy = np.uint64(0)
        for j in range(n_jobs):
            i = node[j]
            if i > np.uint64(last[j]):
                continue
            lowest = np.inf
            for a in range(alt_at[i], alt_at[i + U1]):
                m = np.uint64(alt_machine[a])
                arrival = ready[j] + fk.gap_between(ix, tm, tables, ctl, i - U1, m)
                start = max(arrival, free[m])
                value = np.float64(start + alt_p[a]) + bias[a]
                if value < lowest:
                    lowest = value
                    ix[fk.ALT, i] = np.uint32(a)
                    begin[j] = start
            chosen = ix[fk.ALT, i]
            if begin[j] + alt_p[chosen] < soonest:
                soonest = begin[j] + alt_p[chosen]
                busy = np.uint64(alt_machine[chosen])
        best = -1
        top = -1.0
        for j in range(n_jobs):
            i = node[j]
            if i > np.uint64(last[j]) or np.uint64(alt_machine[ix[fk.ALT, i]]) != busy:
                continue
            if begin[j] < soonest or begin[j] + alt_p[ix[fk.ALT, i]] == soonest:
                key = (1.0 - noise) * work[j] / most
                key += noise * np.float64(K.draw(rng, np.uint64(65536))) / 65536.0
                if key > top:
                    top = key
                    best = j
        i = node[best]
        order[k] = np.uint32(i)
        ix[K.MACHINE, i] = np.uint32(busy)
        ready[best] = begin[best] + alt_p[ix[fk.ALT, i]]
        free[busy] = ready[best]
        work[best] -= least[i]
        node[best] = i + U1
