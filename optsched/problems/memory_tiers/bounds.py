"""Lower bounds on the time of all steps."""

from __future__ import annotations

import numpy as np

from optsched.core import Deadline
from optsched.problems.memory_tiers.gaps import GapProgram
from optsched.problems.memory_tiers.problem import MemoryTiers

#: Share of the time left, and seconds at most, that the relaxation may take.
SHARE, MOST_SECONDS = 0.2, 5.0


def lower_bound(problem: MemoryTiers, deadline: Deadline) -> int | None:
    """Return a lower bound on the time of all steps, by the linear relaxation of `GapProgram`.

    Parameters
    ----------
    problem : MemoryTiers
    deadline : Deadline
        A part of what is left of it is used.
    """
    best = fastest(problem)
    if problem.n_tiers == 1 or deadline.expired():
        return best
    clock = Deadline(min(MOST_SECONDS, SHARE * deadline.remaining()))
    program = GapProgram(problem, 1, deadline)
    while not clock.expired():
        bound = program.solve(clock, integral=False)
        if bound is None:
            break
        best = max(best, bound)
        if not program.separate():
            break
    return best


def fastest(problem: MemoryTiers) -> int:
    """Return the time if each tensor came for free to the fastest memory that it fits in."""
    access = problem.access_time().copy()
    for m in range(1, problem.n_tiers):
        too_large = problem.graph.size > problem.capacity[m]
        access[too_large, m] = access[too_large, 0]
    tensor, step = problem.touches().T
    load = np.zeros(problem.graph.n_operators, dtype=np.int64)
    np.add.at(load, step, access.min(axis=1)[tensor])
    return int(np.maximum(load, problem.compute[problem.order]).sum())
