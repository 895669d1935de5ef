"""The time-lag network of an instance: closure, windows, and what incompatible pairs add to it.

``distance[i, j]`` is the least time from the start of ``i`` to the start of ``j`` that every
schedule keeps, whatever modes are chosen. Activities that no resource can serve together must not
overlap; where the closure leaves only one of their two orders, that order enters it (Brucker,
Knust, Schoo and Thiele 1998; for largest lags Dorndorf, Pesch and Phan-Huy 2000).
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from optsched.core import BoolArray, IntArray, ProvenInfeasible
from optsched.problems.rcpsp.problem import Rcpsp
from optsched.problems.rcpsp.validation import NO_DEADLINE
from optsched.problems.rcpsp.variants import least_demand, shortest_and_longest, usable_modes

#: No lag at all; sums of two such stay far from the limits of int64.
NONE = -(2**60)
#: Most activities for which the closure is computed: it takes n^3 steps.
MOST = 600


@dataclass(frozen=True)
class Network:
    """What is known of starts before any search.

    Attributes
    ----------
    distance : ndarray of int64, shape (n, n), or None
        Least lags between starts; `NONE` where there is none. None beyond `MOST` activities.
    head : ndarray of int64, shape (n,)
        Earliest starts.
    tail : ndarray of int64, shape (n,)
        Least time from the start of an activity to the end of the last one that hangs by it.
    latest : ndarray of int64, shape (n,)
        Latest starts that deadlines allow; `NO_DEADLINE` where none does.
    conflict : ndarray of bool, shape (n, n)
        Pairs that can never run together, whatever their modes.
    shortest, longest : ndarray of int64, shape (n,)
        Least and greatest duration of each activity, over its usable modes.
    demand : ndarray of int64, shape (n, n_resources)
        Least demands, over the usable modes.
    usable : ndarray of bool, shape (n_modes,)
        Modes that some optimal schedule may use.
    """

    distance: IntArray | None
    head: IntArray
    tail: IntArray
    latest: IntArray
    conflict: BoolArray
    shortest: IntArray
    longest: IntArray
    demand: IntArray
    usable: BoolArray


def start_lags(problem: Rcpsp, shortest: IntArray, longest: IntArray) -> IntArray:
    """Return rows ``from, to, least lag between starts`` that hold in all modes."""
    i, j, kind, least = problem.lag.T
    held = problem.breakable & (problem.calendar >= 0)
    # An end is as early as the shortest mode allows; where it stands on the other side of the
    # inequality, the longest mode (and any break) takes from the lag.
    lag = least + np.where((kind == 0) | (kind == 2), shortest[i], 0)
    lag = lag - np.where(kind >= 2, longest[j], 0)
    lag = np.where((kind >= 2) & held[j], NONE, lag)
    return np.column_stack((i, j, lag))


#: The networks of the instances last asked for: models are built again and again.
_known: dict[int, tuple[weakref.ref[Rcpsp], Network]] = {}


def network(problem: Rcpsp) -> Network:
    """Return the closure of the instance's lags, windows and conflicts; it is kept for next time.

    Raises
    ------
    ProvenInfeasible
        When lags, windows or demands contradict each other.
    """
    key = id(problem)
    known = _known.get(key)
    if known is not None and known[0]() is problem:
        return known[1]
    found = _network(problem)
    _known[key] = (weakref.ref(problem, lambda _: _known.pop(key, None)), found)
    return found


def without_closure(problem: Rcpsp) -> Network:
    """Return windows by the lags alone, which takes no kernel; ``distance`` is None."""
    return _network(problem, 0)


def _network(problem: Rcpsp, most: int = MOST) -> Network:
    n = problem.n_activities
    usable = usable_modes(problem)
    for i in np.flatnonzero(~np.logical_or.reduceat(usable, problem.mode_offset[:-1])).tolist():
        raise ProvenInfeasible(f"activity {i} has no mode for which the resources suffice")
    shortest, longest = shortest_and_longest(problem, usable)
    demand = least_demand(problem, usable)
    rows = start_lags(problem, shortest, longest)
    head = problem.earliest_start().copy()
    end = problem.latest_end()
    latest = np.where(end == NO_DEADLINE, NO_DEADLINE, end - shortest)
    conflict = conflicts(problem, shortest, demand)
    if n > most:
        tail = relax(rows, head, latest, shortest)
        return Network(None, head, tail, latest, conflict, shortest, longest, demand, usable)
    distance = np.full((n, n), NONE, dtype=np.int64)
    np.fill_diagonal(distance, 0)
    keep = rows[:, 2] > NONE
    np.maximum.at(distance, (rows[keep, 0], rows[keep, 1]), rows[keep, 2])
    culprit = close(distance)
    if culprit >= 0:
        raise ProvenInfeasible(
            f"the time lags contradict each other in a cycle through activity {culprit}"
        )
    culprit = order_conflicts(distance, conflict, shortest)
    if culprit >= 0:
        raise ProvenInfeasible(
            f"activity {culprit} can run neither before nor after another that it excludes"
        )
    head = np.maximum(head, (head[:, None] + distance).max(axis=0))
    tail = (distance + shortest[None, :]).max(axis=1)
    bound = np.where(latest == NO_DEADLINE, 2**61, latest)
    bound = (bound[None, :] - distance).min(axis=1)
    latest = np.where(bound >= 2**59, NO_DEADLINE, bound)
    _refuse_empty(head, latest)
    return Network(distance, head, tail, latest, conflict, shortest, longest, demand, usable)


def relax(rows: IntArray, head: IntArray, latest: IntArray, shortest: IntArray) -> IntArray:
    """Narrow windows in place by the lags alone, over and over; return the tails."""
    i, j, lag = rows[rows[:, 2] > NONE].T
    tail = shortest.copy()
    bound = np.where(latest == NO_DEADLINE, 2**61, latest)
    for _ in range(len(head) + 1):
        before = (head.copy(), tail.copy(), bound.copy())
        np.maximum.at(head, j, head[i] + lag)
        np.maximum.at(tail, i, tail[j] + lag)
        np.minimum.at(bound, i, bound[j] - lag)
        if all(np.array_equal(a, b) for a, b in zip(before, (head, tail, bound), strict=True)):
            break
    else:
        raise ProvenInfeasible("the time lags contradict each other in a cycle")
    latest[:] = np.where(bound >= 2**59, NO_DEADLINE, bound)
    _refuse_empty(head, latest)
    return tail


def _refuse_empty(head: IntArray, latest: IntArray) -> None:
    for i in np.flatnonzero(head > latest).tolist():
        raise ProvenInfeasible(
            f"activity {i} cannot start before {head[i]}, but must start by {latest[i]}"
        )


def conflicts(problem: Rcpsp, shortest: IntArray, least: IntArray) -> BoolArray:
    """Return the pairs of activities that can never run at the same time.

    Their demands together exceed a capacity in all modes, or a disjunctive group holds both.
    """
    n = problem.n_activities
    conflict = np.zeros((n, n), dtype=bool)
    for k in np.flatnonzero(problem.renewable).tolist():
        most = int(problem.profile(k)[1].max())
        conflict |= least[:, k][:, None] + least[:, k][None, :] > most
    for group in problem.groups():
        conflict[np.ix_(group, group)] = True
    conflict &= (shortest > 0)[:, None] & (shortest > 0)[None, :]
    np.fill_diagonal(conflict, False)
    return conflict


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def close(distance: npt.NDArray[np.int64]) -> int:
    """Close a matrix of least lags in place; return an activity on a contradiction, or -1."""
    n = len(distance)
    for k in range(n):
        for i in range(n):
            first = distance[i, k]
            if first == NONE:
                continue
            for j in range(n):
                if distance[k, j] != NONE and first + distance[k, j] > distance[i, j]:
                    distance[i, j] = first + distance[k, j]
        for i in range(n):
            if distance[i, i] > 0:
                return i
    return -1


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def add_lag(distance: npt.NDArray[np.int64], a: int, b: int, lag: int) -> bool:
    """Add one least lag to a closed matrix and close it again; return whether it contradicts."""
    n = len(distance)
    if distance[b, a] != NONE and distance[b, a] + lag > 0:
        return True
    for i in range(n):
        if distance[i, a] == NONE:
            continue
        first = distance[i, a] + lag
        if first <= distance[i, b]:
            continue
        for j in range(n):
            if distance[b, j] != NONE and first + distance[b, j] > distance[i, j]:
                distance[i, j] = first + distance[b, j]
    return False


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def order_conflicts(
    distance: npt.NDArray[np.int64],
    conflict: npt.NDArray[np.bool_],
    duration: npt.NDArray[np.int64],
) -> int:
    """Add the orders that conflicting pairs are left with; return a contradiction, or -1.

    ``i`` before ``j`` is out when ``i`` must start less than its duration before ``j`` does.
    """
    n = len(distance)
    changed = True
    while changed:
        changed = False
        for i in range(n):
            for j in range(n):
                if not conflict[i, j] or distance[i, j] >= duration[i]:
                    continue
                # j before i needs start[j] - start[i] <= -duration[j].
                if distance[i, j] != NONE and distance[i, j] > -duration[j]:
                    if add_lag(distance, i, j, duration[i]):
                        return i
                    changed = True
    return -1
