"""A part of a shop, compiled by the ordinary formulation: some operations free, the others held.

Large-neighbourhood search, the rolling horizon and replanning ask the same: given a schedule, what
is the best for some operations while the others stay as they are? An operation that is held keeps
its machine, and either its start (`FIXED`) or its place in the order of that machine (`ORDERED`),
so that it may move in time. The latter is the relaxation of a partial-order schedule (Godard,
Laborie and Nuijten, Randomized large neighborhood search for cumulative scheduling, 2005): what is
gained in one place is not lost to what comes behind it.

The part is a job shop of its own: held operations have one eligible machine, operations beyond the
horizon are left out, and so is the past that nothing can meet any more. The features of the family
are therefore those of its formulation, and no rule is written down twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from optsched.core import Deadline, IntArray
from optsched.problems.job_shop import cpsat, cutting
from optsched.problems.job_shop.cutting import ABSENT, FIXED, FREE, States
from optsched.problems.job_shop.problem import JobShop, JobShopSolution
from optsched.solvers.base import Compiled


class Part(Compiled):
    """The CP-SAT model of a shop in which some operations are held as a schedule has them.

    Parameters
    ----------
    problem : JobShop
    schedule : JobShopSolution
        Start and machine of every operation; those of `FREE` and `ABSENT` ones do not matter.
    state : ndarray of int8, shape (n_ops,)
        `FREE`, `ORDERED`, `FIXED` or `ABSENT`, an entry an operation.
    upper_bound : int, optional
        Leave out schedules of a greater objective.
    not_before : int
        Nothing that is not fixed begins earlier.
    tails : bool
        Whether due dates and the makespan of a job that is cut short count the least time that the
        rest of it will take.
    deadline : Deadline, optional
        Raises `DeadlineExpired` when it passes meanwhile.

    Attributes
    ----------
    ops : ndarray of int
        The operations that are in the model.
    shop : PartShop
        The shop of these operations.
    inner : Compiled
        Its formulation.

    Raises
    ------
    ProvenInfeasible
        When the formulation sees at once that nothing fits.
    """

    def __init__(
        self,
        problem: JobShop,
        schedule: JobShopSolution,
        state: States,
        *,
        upper_bound: int | None = None,
        not_before: int = 0,
        tails: bool = False,
        deadline: Deadline | None = None,
    ) -> None:
        self.problem = problem
        self.schedule = schedule
        completion = problem.completion(schedule)
        kept = (state != ABSENT) & ~cutting.past(problem, schedule, state, completion)
        self.ops = np.flatnonzero(kept)
        self.state = state[self.ops]
        self.shop = cutting.cut(problem, schedule, state, self.ops, completion, not_before, tails)
        self.inner = cpsat.build(self.shop, upper_bound=upper_bound, deadline=deadline)
        self.model = self.inner.model
        self._hold(completion[self.ops])
        if not_before > 0:
            for k in np.flatnonzero(self.state != FIXED).tolist():
                self.model.add(self.inner.start[k] >= not_before)

    def _hold(self, completion: IntArray) -> None:
        """Fix the starts of fixed operations, and keep held ones in the order of their machine."""
        start = self.schedule.start[self.ops]
        variables, ends = self.inner.start, self.inner.end
        fixed = self.state == FIXED
        for k in np.flatnonzero(fixed).tolist():
            self.model.add(variables[k] == int(start[k]))
        machine = self.schedule.machine[self.ops]
        held = np.flatnonzero(self.state != FREE)
        # A blocked machine is left in the order in which it was entered, so ends need no look here,
        # except that what takes no time goes before what begins at the same instant.
        order = held[np.lexsort((completion[held], start[held], machine[held]))]
        neighbours = machine[order][1:] == machine[order][:-1]
        neighbours &= ~(fixed[order][1:] & fixed[order][:-1])
        for k in np.flatnonzero(neighbours).tolist():
            before, after = int(order[k]), int(order[k + 1])
            self.model.add(variables[after] >= ends[before])

    def options(self, solver: str, workers: int) -> dict[str, Any]:
        """Return what the formulation asks for."""
        return self.inner.options(solver, workers)

    def hint(self, solution: JobShopSolution) -> npt.NDArray[np.float64]:
        """Return the value of every variable in a schedule of the whole shop."""
        return self.inner.hint(
            JobShopSolution(solution.start[self.ops], solution.machine[self.ops])
        )

    def decode(self, values: npt.NDArray[np.float64]) -> JobShopSolution:
        """Return the schedule of the whole shop: that of the part, and the rest as it was."""
        part = self.inner.decode(values)
        start, machine = self.schedule.start.copy(), self.schedule.machine.copy()
        start[self.ops], machine[self.ops] = part.start, part.machine
        return JobShopSolution(start, machine)
