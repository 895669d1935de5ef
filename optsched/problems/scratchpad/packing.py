"""Addresses for stays: does a set of rectangles (steps x bytes) fit below the capacity?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from optsched.core import Deadline, IntArray
from optsched.problems.tensor_memory import search
from optsched.problems.tensor_memory.heuristics import FIRST, Placer
from optsched.problems.tensor_memory.problem import TensorMemory
from optsched.session import Session

#: Random orders that first-fit is given before the exact search.
TRIES = 200


class Fit(Enum):
    """Whether the rectangles fit."""

    YES = "yes"
    NO = "no"  #: proven
    OPEN = "open"  #: no answer within the time


def _none() -> IntArray:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Packing:
    """The answer.

    Attributes
    ----------
    fit : Fit
    offset : ndarray of int64, shape (n_rectangles,)
        Addresses, where the answer is yes.
    crowd : ndarray of int64
        Otherwise the rectangles that could not be packed; they share no step with the others.
    misfits : ndarray of int64
        Those of the crowd that first-fit, at its best, put beyond the capacity.
    """

    fit: Fit
    offset: IntArray | None = None
    crowd: IntArray = field(default_factory=_none)
    misfits: IntArray = field(default_factory=_none)


def pack(
    first: IntArray,
    last: IntArray,
    size: IntArray,
    capacity: int,
    deadline: Deadline | None,
    stopped: Callable[[], bool] = lambda: False,
) -> Packing:
    """Return addresses for rectangles, or that there are none.

    Parameters
    ----------
    first, last : ndarray of int64, shape (n_rectangles,)
        Steps of each, both inclusive.
    size : ndarray of int64, shape (n_rectangles,)
        Bytes of each.
    capacity : int
        Bytes.
    deadline : Deadline or None
        When it passes, the answer is OPEN. None: first-fit alone answers, YES or OPEN.
    stopped : callable() -> bool, optional
        Whether to stop before the deadline.
    """
    offset = np.zeros(len(size), dtype=np.int64)
    for part in separate(first, last, np.flatnonzero(size > 0)):
        a, b, s = first[part], last[part], size[part]
        best = _greedy(a, b, s, capacity)
        if (best + s).max() > capacity:
            answer = Packing(Fit.OPEN)
            if deadline is not None:
                answer = _exact(a, b, s, capacity, deadline, stopped)
            if answer.offset is None:
                return Packing(answer.fit, None, part, part[best + s > capacity])
            best = answer.offset
        offset[part] = best
    return Packing(Fit.YES, offset)


def separate(first: IntArray, last: IntArray, chosen: IntArray) -> list[IntArray]:
    """Return `chosen` in parts that share no step, in order of time."""
    if not len(chosen):
        return []
    order = chosen[np.argsort(first[chosen], kind="stable")]
    reach = np.maximum.accumulate(last[order])
    cuts = np.flatnonzero(first[order][1:] > reach[:-1]) + 1
    return np.split(order, cuts)


def _greedy(first: IntArray, last: IntArray, size: IntArray, capacity: int) -> IntArray:
    """Return the addresses of the lowest peak that first-fit finds in several orders."""
    best = np.cumsum(size) - size
    if int(size.sum()) <= capacity:
        return best
    placer = Placer(TensorMemory(np.stack([first, last + 1, size], axis=1)))
    length = last - first + 1
    rules = (-size, -size * length, -length, first, -size * length * length)
    rng = np.random.default_rng(0)
    least = np.inf
    for k in range(TRIES):
        noise = rng.gumbel(scale=0.5, size=len(size)) if k >= len(rules) else np.zeros(len(size))
        order = np.argsort(rules[k % len(rules)] * np.exp(noise), kind="stable")
        found = placer.run(order, FIRST)
        assert isinstance(found, np.ndarray)  # the placer's memory has no end: all are placed
        peak = int((found[0] + size).max())
        if peak < least:
            best, least = found[0], peak
        if peak <= capacity:
            break
    return best


def _exact(
    first: IntArray,
    last: IntArray,
    size: IntArray,
    capacity: int,
    deadline: Deadline,
    stopped: Callable[[], bool],
) -> Packing:
    rows = np.stack([first, last + 1, size], axis=1)
    problem = TensorMemory(rows, capacity, objective="fit")
    session = Session(problem, deadline)
    search.run(problem, session, seed=0, stopped=lambda: session.stopped or stopped())
    if session.infeasible:
        return Packing(Fit.NO)
    if session.solution is not None:
        return Packing(Fit.YES, np.asarray(session.solution.offset))
    return Packing(Fit.OPEN)
