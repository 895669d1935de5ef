"""The CP-SAT formulation: an interval a job, ``NoOverlap``, and a circuit where setups matter."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
from ortools.sat.python import cp_model

from optsched.core import Deadline, InputError
from optsched.problems.single_machine.problem import (
    OBJECTIVES,
    SingleMachine,
    SingleMachineSolution,
)
from optsched.problems.single_machine.windows import in_order, windows
from optsched.solvers.base import Compiled

SUPPORTS = frozenset(
    {"release dates", "deadlines", "setup", "precedence"}
    | {f"objective {kind}" for kind in OBJECTIVES}
)


class SingleMachineCpsat(Compiled):
    """A single-machine problem as a CP-SAT model.

    Attributes
    ----------
    start : list of IntVar, one a job
    interval : list of IntervalVar, one a job
    follows : dict of (job, job) to BoolVar
        With setups: 1 when the second job directly follows the first; job ``n_jobs`` stands for
        begin and end of the sequence.
    job_cost : list of IntVar or None, one a job
        Tardiness, or whether the job is tardy; None where it cannot be.
    cost : IntVar or None
        Maximum lateness.
    """

    def __init__(
        self,
        problem: SingleMachine,
        upper_bound: int | None,
        lower_bound: int | None,
        deadline: Deadline,
    ) -> None:
        self.problem = problem
        self.model = cp_model.CpModel()
        self.model.name = problem.name
        head, self.latest = windows(problem, upper_bound)
        model, p = self.model, problem.processing.tolist()
        latest = self.latest.tolist()
        self.start = [
            model.new_int_var(low, high - length, f"s{j}")
            for j, (low, high, length) in enumerate(zip(head.tolist(), latest, p, strict=True))
        ]
        self.interval = [
            model.new_fixed_size_interval_var(start, length, f"i{j}")
            for j, (start, length) in enumerate(zip(self.start, p, strict=True))
        ]
        self.follows: dict[tuple[int, int], Any] = {}
        if problem.n_jobs > 1:
            model.add_no_overlap(self.interval)
        for i, j in problem.precedence.tolist():
            model.add(self.start[j] >= self.start[i] + p[i])
        if problem.setup is not None:
            self._setups(deadline)
        self._objective(lower_bound)

    def _setups(self, deadline: Deadline) -> None:
        problem, model = self.problem, self.model
        assert problem.setup is not None
        n = problem.n_jobs
        p, setup = problem.processing.tolist(), problem.setup.tolist()
        arcs = []
        for i in range(n + 1):
            deadline.check()
            for j in range(n + 1):
                if i == j:
                    continue
                follows = model.new_bool_var(f"f{i}_{j}")
                self.follows[i, j] = follows
                arcs.append((i, j, follows))
                if i < n and j < n:
                    ready = self.start[i] + p[i] + setup[i][j]
                    model.add(self.start[j] >= ready).only_enforce_if(follows)
        model.add_circuit(arcs)

    def _objective(self, lower_bound: int | None) -> None:
        problem, model = self.problem, self.model
        kind, p = problem.objective_kind, problem.processing.tolist()
        weight = problem.weight.tolist()
        self.cost: Any = None
        self.job_cost: list[Any] = []
        if kind == "total_weighted_completion_time":
            constant = sum(w * length for w, length in zip(weight, p, strict=True))
            model.minimize(
                sum(w * s for w, s in zip(weight, self.start, strict=True) if w) + constant
            )
            return
        assert problem.due is not None
        due = problem.due.tolist()
        if kind == "maximum_lateness":
            low = max(
                s.proto.domain[0] + length - d
                for s, length, d in zip(self.start, p, due, strict=True)
            )
            high = max(int((self.latest - problem.due).max()), low)
            self.cost = model.new_int_var(max(low, lower_bound or low), high, kind)
            for s, length, d in zip(self.start, p, due, strict=True):
                model.add(self.cost >= s + length - d)
            model.minimize(self.cost)
            return
        terms = []
        for j, (s, length, d) in enumerate(zip(self.start, p, due, strict=True)):
            most = int(self.latest[j]) - d
            w = weight[j] if kind == "total_weighted_tardiness" else 1
            if most <= 0 or not w:
                self.job_cost.append(None)
                continue
            if kind == "number_of_tardy_jobs":
                tardy = model.new_bool_var(f"tardy{j}")
                model.add(s + length <= d).only_enforce_if(~tardy)
                self.job_cost.append(tardy)
            else:
                tardiness = model.new_int_var(0, most, f"tardiness{j}")
                model.add(tardiness >= s + length - d)
                self.job_cost.append(tardiness)
            terms.append(w * self.job_cost[-1])
        total = sum(terms) if terms else model.new_constant(0)
        model.minimize(total)
        if terms and lower_bound is not None and lower_bound > 0:
            model.add(total >= lower_bound)

    def hint(self, solution: SingleMachineSolution) -> npt.NDArray[np.float64]:
        """Return the value of every variable in `solution`, in model order."""
        problem = self.problem
        n = problem.n_jobs
        values = np.zeros(len(self.model.proto.variables))
        values[[v.index for v in self.start]] = solution.start
        if self.follows:
            route = [n, *solution.sequence.tolist(), n]
            for i, j in itertools.pairwise(route):
                values[self.follows[i, j].index] = 1
        if self.cost is not None:
            low = self.model.proto.variables[self.cost.index].domain[0]
            values[self.cost.index] = max(problem.objective(solution), low)
        for j, cost in enumerate(self.job_cost):
            if cost is None:
                continue
            assert problem.due is not None
            late = int(solution.start[j] + problem.processing[j] - problem.due[j])
            tardy = problem.objective_kind == "number_of_tardy_jobs"
            values[cost.index] = (late > 0) if tardy else max(0, late)
        return values

    def decode(self, values: npt.NDArray[np.float64]) -> SingleMachineSolution:
        """Return the sequence of the variables' values, each job as early as it allows."""
        problem = self.problem
        n = problem.n_jobs
        if self.follows:
            after = {i: j for (i, j), f in self.follows.items() if values[f.index] > 0.5}
            sequence = [after[n]]
            while after[sequence[-1]] != n:
                sequence.append(after[sequence[-1]])
            return problem.schedule(sequence)
        start = np.rint(values[[v.index for v in self.start]]).astype(np.int64)
        return problem.schedule(in_order(problem, start))


def build(
    problem: SingleMachine,
    *,
    upper_bound: int | None = None,
    lower_bound: int | None = None,
    deadline: Deadline | None = None,
) -> SingleMachineCpsat:
    """Compile `problem` to CP-SAT.

    Parameters
    ----------
    problem : SingleMachine
    upper_bound, lower_bound : int, optional
        Proven bounds on the optimum; they tighten the domains and never cut off the optimum.
    deadline : Deadline, optional
        Raises `DeadlineExpired` when it passes meanwhile.

    Raises
    ------
    ProvenInfeasible
        When a deadline cannot be met whatever the sequence.
    InputError
        When times are too large for CP-SAT.
    """
    if problem.horizon() > 2**46:
        raise InputError("CP-SAT takes times up to 2^46")
    return SingleMachineCpsat(problem, upper_bound, lower_bound, deadline or Deadline())
