"""Who leaves the scratchpad in a fixed order, at least traffic: a covering program, by HiGHS.

One binary a gap ("the tensor leaves"), one a tensor that must be stored once before it may leave,
and a knapsack row for each step that is too full with everybody staying: those who leave must free
what is missing. Its linear relaxation is nearly integral, since the rows are intervals of steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optsched.core import BoolArray, Deadline, IntArray
from optsched.problems.scratchpad.covering import solve_covering
from optsched.problems.scratchpad.gaps import Gaps


@dataclass(frozen=True, eq=False)
class Residency:
    """Who stays, addresses not yet considered.

    Attributes
    ----------
    stay : ndarray of bool, shape (n_gaps,)
        Whether the tensor stays over each gap.
    cost, bound : int
        Bytes of traffic, and a proven lower bound on them; equal where the program was solved.
    """

    stay: BoolArray
    cost: int
    bound: int


@dataclass(frozen=True, eq=False)
class _Rows:
    """Covering rows over chosen gaps: ``sum(value * leave[gap]) >= least``."""

    gap: list[IntArray]
    value: list[IntArray]
    least: list[int]


def least_traffic(
    gaps: Gaps,
    capacity: int,
    cuts: Sequence[IntArray] = (),
    deadline: Deadline | None = None,
) -> Residency:
    """Return the residency of least traffic that fits in every step.

    Parameters
    ----------
    gaps : Gaps
    capacity : int
        Bytes; at least what each operator needs.
    cuts : sequence of ndarray of int64
        Sets of gaps, of each of which at least one must be left.
    deadline : Deadline, optional
        When it passes, what has been found is returned, with the bound so far.
    """
    full = np.ones(len(gaps.tensor), dtype=bool)
    everybody = gaps.load(full)
    if not cuts and not (everybody > capacity).any():
        return Residency(full, 0, 0)
    repairs: list[IntArray] = []
    while True:
        rows = _rows(gaps, capacity, [*cuts, *repairs])
        used = np.unique(np.concatenate(rows.gap))
        leave, bound = _solve(gaps, used, rows, deadline)
        stay = full.copy()
        stay[used[leave]] = False
        over = np.flatnonzero(gaps.load(stay) > capacity)
        if not over.size:
            cost = gaps.cost(stay)
            return Residency(stay, cost, min(cost, bound))
        # Floating point let a row pass that is short of a few bytes: somebody more must leave.
        repairs += [np.flatnonzero(stay & _across(gaps, step)) for step in over.tolist()]


def _across(gaps: Gaps, step: int) -> BoolArray:
    """Return the gaps in whose inside the step lies, of tensors that have any bytes."""
    inside: BoolArray = (gaps.first < step) & (step < gaps.last) & (gaps.size > 0)
    return inside


def _rows(gaps: Gaps, capacity: int, cuts: Sequence[IntArray]) -> _Rows:
    """Return a row for each step that overflows, none that another implies, and the cuts."""
    load = gaps.load(np.ones(len(gaps.tensor), dtype=bool))
    rows = _Rows([], [], [])
    known: dict[tuple[int, ...], int] = {}
    for step in np.flatnonzero(load > capacity).tolist():
        # Steps between the same touches have the same gaps: the fullest says it all.
        key = tuple(np.flatnonzero(_across(gaps, step)).tolist())
        known[key] = max(int(load[step]) - capacity, known.get(key, 0))
    for key, missing in known.items():
        chosen = np.array(key, dtype=np.int64)
        rows.gap.append(chosen)
        rows.value.append(np.minimum(gaps.size[chosen], missing))
        rows.least.append(missing)
    for cut in cuts:
        rows.gap.append(cut)
        rows.value.append(np.ones(len(cut), dtype=np.int64))
        rows.least.append(1)
    return rows


def _solve(
    gaps: Gaps, used: IntArray, rows: _Rows, deadline: Deadline | None
) -> tuple[BoolArray, int]:
    """Return which of the gaps used are left, and a proven bound on the cost.

    Columns are the gaps used, then the tensors that must be stored once before they leave.
    """
    tensor, stores, size = gaps.tensor[used], gaps.stores[used], gaps.size[used]
    count = np.bincount(tensor[stores], minlength=gaps.graph.n_tensors)
    # A tensor with one gap here is stored exactly when it leaves: no column of its own.
    several = stores & (count[tensor] > 1)
    stored = np.unique(tensor[several])
    cost = np.concatenate([size * np.where(stores & ~several, 2, 1), gaps.graph.size[stored]])
    place = np.full(len(gaps.tensor), -1, dtype=np.int64)
    place[used] = np.arange(len(used))
    index = [place[row] for row in rows.gap]
    value, least = list(rows.value), list(rows.least)
    column_of = {t: len(used) + k for k, t in enumerate(stored.tolist())}
    for g in np.flatnonzero(several).tolist():
        index.append(np.array([column_of[int(tensor[g])], g]))
        value.append(np.array([1, -1]))
        least.append(0)
    chosen, bound = solve_covering(cost, index, value, least, deadline)
    return chosen[: len(used)], bound
