"""Energetic reasoning with heads and tails: does the work forced into a stretch of time fit it?

Between two instants an activity must do at least what remains of it when it is pushed as far to
the left, or to the right, as its window allows (Erschler, Lopez and Thuriot 1991; adjustments
after Baptiste, Le Pape and Nuijten 1999). Demands are read in several ways: as they are, through
dual feasible functions (Carlier and Neron 2003), and as cliques of activities that exclude each
other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from optsched.core import BoolArray, IntArray

#: Most readings of the demands of one resource.
MOST_READINGS = 6
#: What a reading must add to the work, as a share of what the demands as they are say.
WORTH = 0.02


@dataclass(frozen=True)
class Rows:
    """Cumulative constraints that every schedule keeps.

    Attributes
    ----------
    demand : ndarray of int64, shape (n_rows, n_items)
        The items are the activities and after them stretches of missing capacity.
    capacity : ndarray of int64, shape (n_rows,)
    filler_start, filler_end : ndarray of int64, shape (n_items - n_activities,)
        When the missing capacity is missing.
    """

    demand: IntArray
    capacity: IntArray
    filler_start: IntArray
    filler_end: IntArray


def readings(demand: IntArray, capacity: int, duration: IntArray) -> list[tuple[IntArray, int]]:
    """Return the demands for one resource and transformed ones that may say more."""
    plain = (demand, capacity)
    if capacity <= 0:
        return [plain]
    work = float((demand * duration).sum()) / capacity
    found: list[tuple[float, IntArray, int]] = []
    small = np.unique(demand[(demand > 0) & (2 * demand <= capacity)]).tolist()
    for least in [*small, capacity // 2 + 1]:
        # Large demands leave no room for others of at least `least`: they count as everything.
        changed = np.where(demand > capacity - least, capacity, demand)
        changed = np.where(demand < least, 0, changed)
        found.append((float((changed * duration).sum()) / capacity, changed, capacity))
    for parts in range(2, 6):
        # Rounded shares of the capacity: an activity counts 1 where fewer than `parts` fit.
        changed = demand * (parts + 1) // (capacity + 1) if capacity > parts else demand
        found.append((float((changed * duration).sum()) / parts, changed, parts))
    found = [each for each in found if each[0] > (WORTH + 0.6) * work and each[1].any()]
    found.sort(key=lambda each: -each[0])
    unique: dict[bytes, tuple[IntArray, int]] = {demand.tobytes(): plain}
    for _, changed, total in found[:MOST_READINGS]:
        unique.setdefault(changed.tobytes(), (changed, total))
    return list(unique.values())


def cliques(exclude: BoolArray, conflict: BoolArray, duration: IntArray) -> list[list[int]]:
    """Return cliques of activities of which no two overlap, covering every conflict.

    Parameters
    ----------
    exclude : ndarray of bool, shape (n, n)
        Pairs that do not overlap in any schedule, by conflict or by precedence.
    conflict : ndarray of bool, shape (n, n)
        Those of them that only resources keep apart.
    duration : ndarray of int64, shape (n,)
    """
    left = conflict.copy()
    found: list[list[int]] = []
    while left.any():
        # The longest activities first: they make the cliques that bind.
        degree = left.sum(axis=1) * (duration + 1)
        i = int(np.argmax(degree))
        members = [i]
        candidates = exclude[i].copy()
        while candidates.any():
            gain = np.where(candidates, left[members].sum(axis=0) * (duration + 1), 0)
            j = int(np.argmax(gain))
            if gain[j] == 0:
                break
            members.append(j)
            candidates &= exclude[j]
        left[np.ix_(members, members)] = False
        found.append(sorted(members))
    return found


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def reason(
    head: npt.NDArray[np.int64],
    latest: npt.NDArray[np.int64],
    duration: npt.NDArray[np.int64],
    demand: npt.NDArray[np.int64],
    capacity: npt.NDArray[np.int64],
    adjust: bool,
) -> int:
    """Tighten windows by energetic reasoning; return -1 on a contradiction, else how many.

    Parameters
    ----------
    head, latest : ndarray of int64, shape (n_items,)
        Earliest and latest starts; narrowed in place.
    duration : ndarray of int64, shape (n_items,)
    demand : ndarray of int64, shape (n_rows, n_items)
    capacity : ndarray of int64, shape (n_rows,)
    adjust : bool
        Whether to narrow windows, or only to look for contradictions.
    """
    n = len(head)
    changed = 0
    item = np.empty(n, dtype=np.int64)
    for r in range(len(capacity)):
        m = 0
        largest = 0
        for i in range(n):
            if demand[r, i] > 0 and duration[i] > 0:
                item[m] = i
                m += 1
                largest = max(largest, demand[r, i] * duration[i])
        own = item[:m]
        first = np.unique(np.concatenate((head[own], latest[own])))
        second = np.unique(np.concatenate((latest[own] + duration[own], head[own] + duration[own])))
        # The work within [t1, t2) is, in t2, a sum of ramps: slope[b] * t2 + const[b] is what those
        # add that begin or end at second[b].
        slope = np.zeros(len(second), dtype=np.int64)
        const = np.zeros(len(second), dtype=np.int64)
        for t1 in first:
            slope[:] = 0
            const[:] = 0
            for q in range(m):
                i = item[q]
                part = min(duration[i], head[i] + duration[i] - t1)
                if part <= 0:
                    continue
                w = demand[r, i]
                begin = max(t1, latest[i])
                b = np.searchsorted(second, begin)
                slope[b] += w
                const[b] -= w * begin
                b = np.searchsorted(second, begin + part)
                slope[b] -= w
                const[b] += w * (begin + part)
            rising, sum_ = 0, 0
            for b in range(len(second)):
                rising += slope[b]
                sum_ += const[b]
                t2 = second[b]
                if t2 <= t1:
                    continue
                span = t2 - t1
                total = rising * t2 + sum_
                room = capacity[r] * span
                if total > room:
                    return -1
                # Windows that narrow meanwhile only make the total an understatement.
                if not adjust or room - total >= largest:
                    continue
                for q in range(m):
                    i = item[q]
                    w = demand[r, i]
                    most = min(duration[i], span)
                    if most * w <= room - total:
                        continue
                    left = min(most, head[i] + duration[i] - t1)
                    right = min(most, t2 - latest[i])
                    slack = room - total + w * max(0, min(left, right))
                    if most * w <= slack:
                        continue
                    if left * w > slack:
                        start = t2 - slack // w
                        if start > head[i]:
                            head[i] = start
                            changed += 1
                            if head[i] > latest[i]:
                                return -1
                    if right * w > slack:
                        start = t1 + slack // w - duration[i]
                        if start < latest[i]:
                            latest[i] = start
                            changed += 1
                            if head[i] > latest[i]:
                                return -1
    return changed


@numba.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def tightest(
    head: npt.NDArray[np.int64],
    latest: npt.NDArray[np.int64],
    duration: npt.NDArray[np.int64],
    demand: npt.NDArray[np.int64],
    capacity: npt.NDArray[np.int64],
    apart: int,
    most: int,
    found: npt.NDArray[np.int64],
) -> int:
    """Find the stretches of time that the work fills best; return how many.

    Parameters
    ----------
    apart : int
        Stretches whose begins and ends both differ by less than this count as one.
    found : ndarray of int64, shape (most, 2)
        Takes begins and ends, best first.
    """
    n = len(head)
    first = np.unique(np.concatenate((head, latest)))
    second = np.unique(np.concatenate((latest + duration, head + duration)))
    share = np.zeros((len(first), len(second)))
    for a in range(len(first)):
        for b in range(len(second)):
            span = second[b] - first[a]
            if span <= 0:
                continue
            for r in range(len(capacity)):
                total = 0
                for i in range(n):
                    part = min(
                        min(duration[i], span),
                        min(head[i] + duration[i] - first[a], second[b] - latest[i]),
                    )
                    if part > 0:
                        total += part * demand[r, i]
                if capacity[r] > 0:
                    # Missing time counts, not its share alone: long stretches say more.
                    share[a, b] = max(share[a, b], total / capacity[r] - span + 0.05 * span)
    count = 0
    while count < most:
        at = int(np.argmax(share))
        a, b = at // len(second), at % len(second)
        if share[a, b] <= 0:
            break
        found[count, 0], found[count, 1] = first[a], second[b]
        count += 1
        for c in range(len(first)):
            if abs(first[c] - first[a]) < apart:
                for d in range(len(second)):
                    if abs(second[d] - second[b]) < apart:
                        share[c, d] = 0.0
    return count
