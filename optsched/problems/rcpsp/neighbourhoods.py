"""Neighbourhoods of a project schedule: which activities a large-neighbourhood search frees.

What is not free keeps its mode, and its place behind those that it takes resources over from: the
relaxation of a partial-order schedule (Godard, Laborie and Nuijten, Randomized large neighborhood
search for cumulative scheduling, 2005). What is gained in one place is so not lost to what comes
behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from optsched.core import BoolArray, Deadline, IntArray
from optsched.problems.rcpsp import cpsat
from optsched.problems.rcpsp.problem import Rcpsp, RcpspSolution
from optsched.search.lns import Neighbourhood, window
from optsched.solvers.base import Compiled

#: Whatever the formulation can express.
SUPPORTS = cpsat.SUPPORTS


def neighbourhoods(problem: Rcpsp) -> Mapping[str, Neighbourhood]:
    """Return the neighbourhoods of an instance by name."""
    return {name: kind(problem) for name, kind in NEIGHBOURHOODS.items()}


def items(problem: Rcpsp) -> int:
    """Return the number of activities, from which the neighbourhoods choose."""
    return problem.n_activities


def part(
    problem: Rcpsp,
    solution: RcpspSolution,
    free: BoolArray,
    *,
    upper_bound: int | None = None,
    deadline: Deadline | None = None,
) -> Part:
    """Return the model in which the free activities are free and the others keep their order."""
    return Part(problem, solution, free, upper_bound, deadline)


class Part(Compiled):
    """The CP-SAT model of a project in which some activities are held as a schedule has them.

    Parameters
    ----------
    problem : Rcpsp
    schedule : RcpspSolution
    free : ndarray of bool, shape (n_activities,)
    upper_bound : int, optional
        Leave out schedules of a greater objective.
    deadline : Deadline, optional
        Raises `DeadlineExpired` when it passes meanwhile.

    Raises
    ------
    ProvenInfeasible
        When the formulation sees at once that nothing fits.
    """

    def __init__(
        self,
        problem: Rcpsp,
        schedule: RcpspSolution,
        free: BoolArray,
        upper_bound: int | None,
        deadline: Deadline | None,
    ) -> None:
        self.inner = cpsat.build(problem, upper_bound=upper_bound, deadline=deadline)
        self.model = self.inner.model
        end = problem.completion(schedule)
        held = np.flatnonzero(~free)
        for i in held.tolist():
            self._hold_mode(i, int(schedule.mode[i]))
        # What has ended before anything free begins has no reason to move.
        begin = int(schedule.start[free].min()) if free.any() else -1
        over = ~free & (end <= begin)
        for i in np.flatnonzero(over).tolist():
            self.model.add(self.inner.start[i] == int(schedule.start[i]))
        for i, j in links(problem, schedule, end):
            if not (free[i] or free[j] or (over[i] and over[j])):
                self.model.add(self.inner.start[j] >= self.inner.end[i])

    def _hold_mode(self, i: int, mode: int) -> None:
        """Keep the mode of an activity; how it meets its breaks stays open."""
        ways, literals = self.inner.variants[i], self.inner.presence[i]
        for way, literal in zip(ways, literals, strict=True):
            if literal is not None and way.mode != mode:
                self.model.add(literal == 0)

    def options(self, solver: str, workers: int) -> dict[str, Any]:
        """Return what the formulation asks for."""
        return self.inner.options(solver, workers)

    def hint(self, solution: RcpspSolution) -> npt.NDArray[np.float64]:
        """Return the value of every variable in a schedule."""
        return self.inner.hint(solution)

    def decode(self, values: npt.NDArray[np.float64]) -> RcpspSolution:
        """Return the schedule that the variables' values stand for."""
        return self.inner.decode(values)


def links(problem: Rcpsp, schedule: RcpspSolution, end: IntArray) -> list[tuple[int, int]]:
    """Return the pairs of activities of which the second takes resources over from the first.

    Whatever keeps to them fits the resources, where capacities do not change. Each activity takes
    over from as few others as possible (chaining: Policella, Cesta, Oddi and Smith 2007).
    """
    mode = problem.mode_offset[:-1] + schedule.mode
    demand = problem.mode_demand[mode]
    order = np.lexsort((end, schedule.start))
    found: set[tuple[int, int]] = set()
    for k in np.flatnonzero(problem.renewable).tolist():
        # Who holds how much of the resource, and until when; -1 and 0 where nobody has had it.
        blocks = [(0, -1, int(problem.profile(k)[1].max()))]
        for i in order[demand[order, k] > 0].tolist():
            begin, needed = int(schedule.start[i]), int(demand[i, k])
            # From those it follows anyway, then from the latest to end.
            blocks.sort(key=lambda block: ((block[1], i) not in found, -block[0]))
            left = []
            for until, holder, amount in blocks:
                taken = min(amount, needed) if until <= begin else 0
                needed -= taken
                if taken and holder >= 0:
                    found.add((holder, i))
                if amount > taken:
                    left.append((until, holder, amount - taken))
            blocks = [*left, (int(end[i]), i, int(demand[i, k]))]
    return sorted(found)


class _Neighbourhood:
    def __init__(self, problem: Rcpsp) -> None:
        self.problem = problem

    def middle(self, solution: RcpspSolution) -> IntArray:
        """Return twice the middle of each activity in time."""
        return solution.start + self.problem.completion(solution)

    def mask(self, members: IntArray) -> BoolArray:
        free = np.zeros(self.problem.n_activities, dtype=bool)
        free[members] = True
        return free


class _Time(_Neighbourhood):
    """All activities of a window of time."""

    def __call__(
        self, solution: RcpspSolution, size: int, random: np.random.Generator
    ) -> BoolArray:
        return self.mask(window(self.middle(solution), size, random))


class _Near(_Neighbourhood):
    """What is near one activity in time, some of it by chance."""

    def __call__(
        self, solution: RcpspSolution, size: int, random: np.random.Generator
    ) -> BoolArray:
        middle = self.middle(solution)
        seed = int(random.integers(self.problem.n_activities))
        distance = np.abs(middle - middle[seed]) * random.uniform(0.2, 1.8, len(middle))
        return self.mask(np.argsort(distance, kind="stable")[:size])


class _Random(_Neighbourhood):
    """Activities by chance."""

    def __call__(
        self, solution: RcpspSolution, size: int, random: np.random.Generator
    ) -> BoolArray:
        return self.mask(random.permutation(self.problem.n_activities)[:size])


#: The neighbourhoods by name.
NEIGHBOURHOODS: dict[str, type[_Time | _Near | _Random]] = {
    "time": _Time,
    "near": _Near,
    "random": _Random,
}
