"""The ways in which an activity can run: a mode, the starts that its calendar allows, its span.

An activity that pauses over breaks takes longer where it meets some: it has one variant for each
set of breaks between start and end.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from optsched.core import BoolArray, InputError, IntArray
from optsched.problems.rcpsp.problem import Rcpsp

#: Most stretches of starts of one activity.
MOST_STRETCHES = 20_000


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run an activity.

    Attributes
    ----------
    mode : int
        Mode, counted from 0 within the activity.
    stretches : tuple of (int, int)
        Closed intervals of starts, apart and in order.
    span : int
        Time from start to end, breaks included.
    demand : tuple of int
        What it needs of each resource.
    """

    mode: int
    stretches: tuple[tuple[int, int], ...]
    span: int
    demand: tuple[int, ...]


def usable_modes(problem: Rcpsp) -> BoolArray:
    """Return which modes some optimal schedule may use, shape (n_modes,).

    Modes that exceed a capacity alone, or a non-renewable one with the least that all others
    consume, are out, and so are modes that another of the same activity beats in everything
    (Sprecher, Hartmann and Drexl 1997).
    """
    owner = np.repeat(np.arange(problem.n_activities), np.diff(problem.mode_offset))
    usable = np.ones(problem.n_modes, dtype=bool)
    for k in np.flatnonzero(problem.renewable).tolist():
        most = problem.profile(k)[1].max()
        usable &= (problem.mode_demand[:, k] <= most) | (problem.mode_duration == 0)
    scarce = np.flatnonzero(~problem.renewable).tolist()
    while True:
        before = usable.copy()
        for k in scarce:
            need = np.where(usable, problem.mode_demand[:, k], 2**53)
            least = np.minimum.reduceat(need, problem.mode_offset[:-1])
            rest = int(problem.profile(k)[1][0]) - least.astype(float).sum() + least[owner]
            usable &= need <= rest
        if np.array_equal(before, usable):
            break
    regular = problem.objective_kind in ("makespan", "total_weighted_tardiness")
    if regular and not (problem.lag[:, 2] >= 2).any():
        _drop_beaten(problem, usable)
    return usable


def _drop_beaten(problem: Rcpsp, usable: BoolArray) -> None:
    table = np.column_stack((problem.mode_duration, problem.mode_demand))
    for a, b in itertools.pairwise(problem.mode_offset.tolist()):
        for m in range(a, b):
            others = [q for q in range(a, b) if q != m and usable[q]]
            if usable[m] and any(
                (table[q] <= table[m]).all() and ((table[q] < table[m]).any() or q < m)
                for q in others
            ):
                usable[m] = False


def variants(
    problem: Rcpsp, activity: int, usable: BoolArray, low: int, high: int
) -> list[Variant]:
    """Return the variants of an activity that start between `low` and `high`."""
    first, last = problem.mode_offset[activity : activity + 2].tolist()
    rests, backs = (side.tolist() for side in problem.breaks(activity))
    found: list[Variant] = []
    for m in range(first, last):
        if not usable[m]:
            continue
        duration = int(problem.mode_duration[m])
        demand = tuple(problem.mode_demand[m].tolist())
        if not rests or duration == 0:
            ways = [(duration, [(low, high)])]
        elif problem.breakable[activity]:
            ways = _pausing(rests, backs, duration)
        else:
            ways = [(duration, _between(rests, backs, duration))]
        for span, stretches in ways:
            cut = [(max(a, low), min(b, high)) for a, b in stretches]
            kept = tuple((a, b) for a, b in cut if a <= b)
            if kept:
                found.append(Variant(m - first, kept, span, demand))
        if sum(len(v.stretches) for v in found) > MOST_STRETCHES:
            raise InputError(f"activity {activity}: its calendar has too many breaks")
    return found


def _between(rests: list[int], backs: list[int], duration: int) -> list[tuple[int, int]]:
    """Starts of an activity that runs between two breaks."""
    begins = [0, *backs]
    ends: list[int] = [*rests, 2**60]
    return [(a, b - duration) for a, b in zip(begins, ends, strict=True) if b - a >= duration]


def _pausing(
    rests: list[int], backs: list[int], duration: int
) -> list[tuple[int, list[tuple[int, int]]]]:
    """Spans and starts of an activity that pauses over breaks."""
    begins = [0, *backs]
    ends: list[int] = [*rests, 2**60]
    by_span: dict[int, list[tuple[int, int]]] = {}
    for a, b in zip(begins, ends, strict=True):
        if a >= b:
            continue
        paused = 0
        last = a  # begin of the stretch in which the activity ends
        for c, d in zip(begins, ends, strict=True):
            if c < a:
                continue
            if c > a:
                paused += c - last
            span = duration + paused
            low, high = max(a, c + 1 - span), min(b - 1, d - span)
            if c == a:
                low = a
            if low <= high:
                by_span.setdefault(span, []).append((low, high))
            if b - 1 + span <= d:
                break  # even the latest start ends here
            last = d
    return [(span, sorted(starts)) for span, starts in sorted(by_span.items())]


def shortest_and_longest(problem: Rcpsp, usable: BoolArray) -> tuple[IntArray, IntArray]:
    """Return the least and greatest duration over the usable modes of each activity."""
    low = np.where(usable, problem.mode_duration, 2**60)
    high = np.where(usable, problem.mode_duration, -1)
    first = problem.mode_offset[:-1]
    return np.minimum.reduceat(low, first), np.maximum.reduceat(high, first)


def least_demand(problem: Rcpsp, usable: BoolArray) -> IntArray:
    """Return the least demand over the usable modes, shape (n_activities, n_resources)."""
    need = np.where(usable[:, None], problem.mode_demand, 2**60)
    return np.asarray(np.minimum.reduceat(need, problem.mode_offset[:-1], axis=0))
