"""Redundant resources over all resources at once: weights that no set of activities exceeds.

Weights ``y`` with a sum of at most 1 over every set of activities that can run together make a
cumulative constraint of their own (Baptiste and Bonifas 2018). The best weights for given amounts
of work are the dual of the preemptive bound by sets that can run together (Mingozzi, Maniezzo,
Ricciardelli and Bianco 1998; Brucker and Knust 2000); its sets are generated as they are needed.
"""

from __future__ import annotations

import highspy
import numba
import numpy as np
import numpy.typing as npt

from optsched.core import BoolArray, Deadline, IntArray

#: Weights become whole numbers: shares of this capacity.
SCALE = 10_000
#: Most sets generated for one amount of work, and nodes of one search for a set.
MOST_SETS, MOST_NODES = 400, 200_000
#: A set is added when its weights exceed 1 by more than this.
EXCESS = 1e-4

FloatArray = npt.NDArray[np.float64]


class Weights:
    """Finds weights for one instance; the sets found serve all amounts of work.

    Parameters
    ----------
    together : ndarray of bool, shape (n, n)
        Whether two activities may overlap at all.
    demand : ndarray of int64, shape (n, n_resources)
    capacity : ndarray of int64, shape (n_resources,)
    """

    def __init__(self, together: BoolArray, demand: IntArray, capacity: IntArray) -> None:
        self.together = np.ascontiguousarray(together)
        self.demand = np.ascontiguousarray(demand)
        self.capacity = np.ascontiguousarray(capacity)
        n = len(demand)
        self.highs = highspy.Highs()
        self.highs.setOptionValue("output_flag", False)
        self.highs.setOptionValue("threads", 1)
        empty = np.zeros(0)
        for _ in range(n):
            self.highs.addCol(0.0, 0.0, 1.0, 0, np.zeros(0, dtype=np.int32), empty)
        self.highs.changeObjectiveSense(highspy.ObjSense.kMaximize)

    def best(self, work: IntArray, deadline: Deadline) -> tuple[IntArray, int] | None:
        """Return whole weights and their capacity that say most about `work`; None: no time.

        Parameters
        ----------
        work : ndarray of int64, shape (n,)
            Time that each activity must spend in some stretch of time.
        """
        n = len(work)
        for i in range(n):
            self.highs.changeColCost(i, float(work[i]))
        weight = np.zeros(n)
        for _ in range(MOST_SETS):
            if deadline.expired():
                return None
            self.highs.run()
            weight = np.clip(np.array(self.highs.getSolution().col_value), 0.0, 1.0)
            weight[work == 0] = 0.0
            chosen = np.zeros(n, dtype=np.bool_)
            order = np.argsort(-weight, kind="stable")
            order = order[weight[order] > 1e-9].astype(np.int64)
            value, whole = heaviest(
                weight, order, self.together, self.demand, self.capacity, MOST_NODES, chosen
            )
            if not whole:
                return None
            if value <= 1.0 + EXCESS:
                break
            members = np.flatnonzero(chosen).astype(np.int32)
            self.highs.addRow(-highspy.kHighsInf, 1.0, len(members), members, np.ones(len(members)))
        else:
            return None
        # Rounded down, and the capacity is what the heaviest set really weighs.
        scaled = np.floor(weight * SCALE).astype(np.int64)
        value, whole = heaviest(
            scaled.astype(np.float64), order, self.together, self.demand, self.capacity,
            4 * MOST_NODES, chosen,
        )  # fmt: skip
        if not whole:
            return None
        return scaled, max(1, round(value))


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def heaviest(
    weight: FloatArray,
    order: npt.NDArray[np.int64],
    together: npt.NDArray[np.bool_],
    demand: npt.NDArray[np.int64],
    capacity: npt.NDArray[np.int64],
    most_nodes: int,
    best: npt.NDArray[np.bool_],
) -> tuple[float, bool]:
    """Return the greatest weight of a set that can run together, and whether that is proven.

    Depth-first over the activities in `order` (falling weight): with it, then without it; `best`
    takes the set. What is left bounds each branch by its weights, and by the heaviest that the
    most scarce resource still admits.
    """
    m = len(order)
    n_resources = len(capacity)
    suffix = np.zeros(m + 1)
    for q in range(m - 1, -1, -1):
        suffix[q] = suffix[q + 1] + weight[order[q]]
    chosen = np.empty(m + 1, dtype=np.int64)  # positions taken
    depth = 0
    left = capacity.copy()
    value = 0.0
    record = 0.0
    best[:] = False
    at = 0
    nodes = 0
    while True:
        nodes += 1
        if nodes > most_nodes:
            return record, False
        # Find the next position that fits; leave the branch when it cannot win.
        found = -1
        if value + suffix[at] > record + 1e-9:
            bound = value
            for q in range(at, m):
                i = order[q]
                fits = True
                for k in range(n_resources):
                    if demand[i, k] > left[k]:
                        fits = False
                        break
                if fits:
                    for d in range(depth):
                        if not together[i, order[chosen[d]]]:
                            fits = False
                            break
                if fits:
                    if found < 0:
                        found = q
                    bound += weight[i]
                    if bound > record + 1e-9:
                        break
            if bound <= record + 1e-9:
                found = -1
        if found >= 0:
            i = order[found]
            chosen[depth] = found
            depth += 1
            value += weight[i]
            for k in range(n_resources):
                left[k] -= demand[i, k]
            if value > record + 1e-9:
                record = value
                best[:] = False
                for d in range(depth):
                    best[order[chosen[d]]] = True
            at = found + 1
            continue
        if depth == 0:
            return record, True
        depth -= 1
        i = order[chosen[depth]]
        value -= weight[i]
        for k in range(n_resources):
            left[k] += demand[i, k]
        at = chosen[depth] + 1
