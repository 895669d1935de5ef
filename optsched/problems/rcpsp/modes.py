"""Choice of modes: within the non-renewable resources first, then annealed for the makespan."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from optsched.core import IntArray
from optsched.problems.rcpsp.kernels import I64, NOWHERE, _next, serial
from optsched.problems.rcpsp.network import Network
from optsched.problems.rcpsp.problem import Rcpsp

#: Rounds of repair before a choice within the non-renewable resources is given up.
ROUNDS = 2000
#: What a unit of excess consumption counts for, in units of time.
PENALTY = 1000


def initial(problem: Rcpsp, net: Network, seed: int) -> IntArray | None:
    """Return a mode for every activity that the non-renewable resources allow; None: not found.

    Each activity begins in its shortest usable mode; while too much is consumed, the change that
    lowers the excess most for the time that it costs is made.
    """
    n = problem.n_activities
    first = problem.mode_offset[:-1]
    chosen = np.array(
        [
            min(
                (m for m in range(a, b) if net.usable[m]),
                key=lambda m: int(problem.mode_duration[m]),
            )
            for a, b in zip(first.tolist(), problem.mode_offset[1:].tolist(), strict=True)
        ],
        dtype=np.int64,
    )
    scarce = np.flatnonzero(~problem.renewable)
    if not len(scarce):
        return chosen - first
    capacity = np.array([problem.profile(k)[1][0] for k in scarce.tolist()])
    demand = problem.mode_demand[:, scarce]
    owner = np.repeat(np.arange(n), np.diff(problem.mode_offset))
    rng = np.random.default_rng(seed)
    used = demand[chosen].sum(axis=0)
    scale = np.maximum(capacity, 1)
    for _ in range(ROUNDS):
        excess = float((np.maximum(0, used - capacity) / scale).sum())
        if excess == 0:
            return chosen - first
        after = used + demand - demand[chosen[owner]]
        left = (np.maximum(0, after - capacity) / scale).sum(axis=1)
        longer = problem.mode_duration - problem.mode_duration[chosen[owner]]
        gain = (excess - left) / np.maximum(1, 1 + longer)
        gain = np.where(net.usable & (chosen[owner] != np.arange(len(owner))), gain, -np.inf)
        # A little noise, or two resources in turn lead round in circles.
        gain = gain * rng.uniform(0.7, 1.3, len(gain)) + rng.uniform(0, 1e-3, len(gain))
        m = int(np.argmax(gain))
        if not np.isfinite(gain[m]):
            return None
        used = used + demand[m] - demand[chosen[owner[m]]]
        chosen[owner[m]] = m
    return None


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def anneal(
    steps: int,
    hot: float,
    cold: float,
    key: I64,
    mode: I64,
    best_mode: I64,
    best_start: I64,
    record: I64,
    state: npt.NDArray[np.uint64],
    mode_offset: I64,
    mode_duration: I64,
    mode_demand: I64,
    mode_scarce: I64,
    usable: npt.NDArray[np.bool_],
    stock: I64,
    kinds: I64,
    least: I64,
    before: I64,
    free: I64,
    release: I64,
    first: I64,
    after: I64,
    waiting: I64,
    left: I64,
    heap: I64,
    count: I64,
) -> None:
    """Anneal modes and order together (Bouleimen and Lecocq 2003); penalties for excess.

    Parameters
    ----------
    steps : int
        Schedules to make, from temperature `hot` down to `cold`.
    key, mode : ndarray, shape (n,)
        The current order and modes (indices into all modes); changed in place.
    record : ndarray of int64, shape (2,)
        Best cost; current cost.
    kinds, least, before : ndarray, shape (n_arcs,)
        Lag kinds, least lags and origins of the arcs in rows `first`, `after`.
    """
    n = len(key)
    duration = np.empty(n, dtype=np.int64)
    demand = np.empty((n, mode_demand.shape[1]), dtype=np.int64)
    lag = np.empty(len(after), dtype=np.int64)
    start = np.empty(n, dtype=np.int64)
    used = np.zeros(len(stock), dtype=np.int64)
    for i in range(n):
        duration[i] = mode_duration[mode[i]]
        demand[i] = mode_demand[mode[i]]
        used += mode_scarce[mode[i]]
    reach = 1
    for i in range(n):
        reach = max(reach, key[i])
    for step in range(steps):
        temperature = hot * (cold / hot) ** (step / steps)
        i = _next(state) % n
        old_key, old_mode = key[i], mode[i]
        choices = mode_offset[i + 1] - mode_offset[i]
        if choices > 1 and _next(state) % 2:
            mode[i] = mode_offset[i] + _next(state) % choices
            if not usable[mode[i]] or mode[i] == old_mode:
                mode[i] = old_mode
                continue
        else:
            width = max(2, reach // 4)
            key[i] += _next(state) % (2 * width + 1) - width
        duration[i] = mode_duration[mode[i]]
        demand[i] = mode_demand[mode[i]]
        excess = 0
        for k in range(len(stock)):
            used[k] += mode_scarce[mode[i], k] - mode_scarce[old_mode, k]
            excess += max(0, used[k] - stock[k])
        for e in range(len(after)):
            lag[e] = least[e]
            if kinds[e] == 0 or kinds[e] == 2:
                lag[e] += duration[before[e]]
            if kinds[e] >= 2:
                lag[e] -= duration[after[e]]
        value = serial(
            key,
            duration,
            demand,
            free,
            release,
            first,
            after,
            lag,
            waiting,
            left,
            heap,
            count,
            start,
        )
        cost = NOWHERE if value >= NOWHERE else value + PENALTY * excess
        worse = cost - record[1]
        chance = (_next(state) % 1000000) / 1000000.0
        if cost < NOWHERE and (worse <= 0 or chance < np.exp(-worse / temperature)):
            record[1] = cost
            if excess == 0 and worse <= 0:
                # Starts are a finer order than keys: equal ones sort themselves out.
                for q in range(n):
                    key[q] = start[q]
                reach = max(1, value)
            if cost < record[0]:
                record[0] = cost
                best_mode[:] = mode
                best_start[:] = start
            continue
        for k in range(len(stock)):
            used[k] += mode_scarce[old_mode, k] - mode_scarce[mode[i], k]
        key[i], mode[i] = old_key, old_mode
        duration[i] = mode_duration[old_mode]
        demand[i] = mode_demand[old_mode]
