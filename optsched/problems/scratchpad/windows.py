"""In which steps an operator may run, and a tensor be alive, in any order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optsched.core import IntArray
from optsched.problems.scratchpad.problem import ScratchpadSchedule, ScratchpadSolution


@dataclass(frozen=True, eq=False)
class Windows:
    """Steps, both ends inclusive.

    Attributes
    ----------
    early, late : ndarray of int64, shape (n_operators,)
        An operator runs behind all its ancestors and before all its descendants.
    first, last : ndarray of int64, shape (n_tensors,)
        From the earliest production (or first use) to the latest use; 0 and -1 for a tensor that
        no operator touches.
    """

    early: IntArray
    late: IntArray
    first: IntArray
    last: IntArray


def windows(problem: ScratchpadSchedule) -> Windows:
    """Return the windows; a fixed order leaves each operator its own step."""
    graph, n = problem.graph, problem.graph.n_operators
    early, late = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    order = graph.default_order().tolist()
    if problem.order is not None:
        early[problem.order] = late[problem.order] = np.arange(n)
    else:
        # Sets of ancestors and descendants as bits of integers.
        above, below = [0] * n, [0] * n
        for i in order:
            for j in graph.predecessors(i).tolist():
                above[i] |= above[j] | 1 << j
        for i in reversed(order):
            for j in graph.successors(i).tolist():
                below[i] |= below[j] | 1 << j
        early[:] = [bits.bit_count() for bits in above]
        late[:] = [n - 1 - bits.bit_count() for bits in below]
    first = np.full(graph.n_tensors, n, dtype=np.int64)
    last = np.full(graph.n_tensors, -1, dtype=np.int64)
    for offset, tensor in (
        (graph.input_offset, graph.input_tensor),
        (graph.output_offset, graph.output_tensor),
    ):
        np.minimum.at(first, tensor, np.repeat(early, np.diff(offset)))
        np.maximum.at(last, tensor, np.repeat(late, np.diff(offset)))
    first[last < 0] = 0
    return Windows(early, late, first, last)


@dataclass(frozen=True, eq=False)
class Replay:
    """A solution as the step-by-step decisions of a time-indexed model, all of them (t, step).

    Attributes
    ----------
    resident : dict of (int, int) to int
        Address of each tensor in each step in which it is in the scratchpad.
    loads : set of (int, int)
        Loads from main memory before a step.
    """

    resident: dict[tuple[int, int], int]
    loads: set[tuple[int, int]]


def replay(problem: ScratchpadSchedule, solution: ScratchpadSolution) -> Replay:
    """Return a solution's decisions step by step."""
    graph = problem.graph
    step = np.empty(graph.n_operators, dtype=np.int64)
    step[solution.order] = np.arange(graph.n_operators)
    resident: dict[tuple[int, int], int] = {}
    loads = set()
    for (t, first, last), low in zip(
        solution.resident.tolist(), solution.offset.tolist(), strict=True
    ):
        for s in range(first, last + 1):
            resident[t, s] = low
        if graph.producer[t] < 0 or first > step[graph.producer[t]]:
            loads.add((t, first))
    return Replay(resident, loads)


def from_steps(
    problem: ScratchpadSchedule,
    order: IntArray,
    resident: dict[tuple[int, int], int],
    loads: set[tuple[int, int]],
) -> ScratchpadSolution:
    """Inverse of `replay`: stays run on until they end, or the tensor is loaded anew."""
    stays: list[list[int]] = []
    offset = []
    for t, s in sorted(resident):
        goes_on = stays and stays[-1][0] == t and stays[-1][2] == s - 1 and (t, s) not in loads
        if goes_on:
            stays[-1][2] = s
        else:
            stays.append([t, s, s])
            offset.append(resident[t, s])
    return ScratchpadSolution(order, stays, offset)
