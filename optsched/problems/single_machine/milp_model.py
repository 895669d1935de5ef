"""A single-machine problem as a PuLP model: what the three MILP formulations share.

Each formulation says where the jobs go; completions, tardiness and the objective on top are common.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pulp

from optsched.core import Deadline, IntArray
from optsched.problems.single_machine.problem import SingleMachine, SingleMachineSolution
from optsched.problems.single_machine.windows import windows
from optsched.solvers.base import Compiled

Terms = list[tuple[Any, float]]


class SingleMachineMilp(Compiled):
    """A single-machine problem as a PuLP model: what the three formulations share.

    Attributes
    ----------
    job_cost : list of LpVariable or None, one a job
        Tardiness, or whether the job is tardy; None where it cannot be, or costs nothing.
    cost : LpVariable or None
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
        self.deadline = deadline
        self.model = pulp.LpProblem("single_machine", pulp.LpMinimize)
        self.head, self.latest = windows(problem, upper_bound)
        self._rows = self._entries = 0
        self._place()
        self._objective(lower_bound)
        if not self._entries:  # HiGHS solves nothing that has no rows, or empty ones alone
            self._add([(self.model.add_variable("nothing", 0, 1), 1)], 1, 0)

    # ---- what a formulation says -------------------------------------------------------------

    @abstractmethod
    def _place(self) -> None:
        """Make the variables that place the jobs, and their constraints."""

    @abstractmethod
    def completion(self, job: int) -> tuple[Terms, float]:
        """Return the completion of a job as terms and a constant."""

    @abstractmethod
    def _placed(self, solution: SingleMachineSolution) -> dict[Any, float]:
        """Return the values of the placing variables."""

    @abstractmethod
    def _sequence(self, value: dict[Any, float]) -> IntArray:
        """Return the sequence that the placing variables stand for."""

    # ---- common parts ------------------------------------------------------------------------

    def _add(self, terms: Iterable[tuple[Any, float]], sense: int, right: float) -> None:
        self._rows += 1
        expression = pulp.LpAffineExpression(list(terms))
        self._entries += len(expression)
        self.model.addConstraint(pulp.LpConstraint(expression, sense, f"r{self._rows}", right))
        if self._rows % 512 == 0:
            self.deadline.check()

    def _binary(self, name: str) -> Any:
        return self.model.add_variable(name, 0, 1, pulp.LpInteger)

    def _at_least(self, variable: Any, job: int, due: int) -> None:
        """Add ``variable >= completion - due``."""
        terms, constant = self.completion(job)
        self._add([(variable, 1.0), *((v, -c) for v, c in terms)], 1, constant - due)

    def _objective(self, lower_bound: int | None) -> None:
        problem = self.problem
        kind = problem.objective_kind
        self.cost: Any = None
        self.job_cost: list[Any] = []
        objective: dict[Any, float] = {}
        offset = 0.0
        if kind == "total_weighted_completion_time":
            for j, w in enumerate(problem.weight.tolist()):
                terms, constant = self.completion(j)
                offset += w * constant
                for v, c in terms:
                    objective[v] = objective.get(v, 0.0) + w * c
        elif kind == "maximum_lateness":
            assert problem.due is not None
            self.cost = self.model.add_variable("cost", lower_bound, None)
            for j, d in enumerate(problem.due.tolist()):
                self._at_least(self.cost, j, d)
            objective[self.cost] = 1.0
        else:
            objective = self._due_costs(kind)
        self.model.setObjective(pulp.LpAffineExpression(list(objective.items()), constant=offset))

    def _due_costs(self, kind: str) -> dict[Any, float]:
        problem = self.problem
        assert problem.due is not None
        objective: dict[Any, float] = {}
        for j, d in enumerate(problem.due.tolist()):
            weight = int(problem.weight[j]) if kind == "total_weighted_tardiness" else 1
            most = int(self.latest[j]) - d
            if most <= 0 or not weight:
                self.job_cost.append(None)
                continue
            if kind == "number_of_tardy_jobs":
                tardy = self._binary(f"u{j}")
                terms, constant = self.completion(j)
                self._add([*terms, (tardy, -most)], -1, d - constant)
                variable = tardy
            else:
                variable = self.model.add_variable(f"t{j}", 0, most)
                self._at_least(variable, j, d)
            self.job_cost.append(variable)
            objective[variable] = float(weight)
        return objective

    def hint(self, solution: SingleMachineSolution) -> npt.NDArray[np.float64]:
        """Return the value of every variable in `solution`, in ``model.variables()`` order."""
        problem = self.problem
        value = self._placed(solution)
        if self.cost is not None:
            value[self.cost] = float(problem.objective(solution))
        for j, variable in enumerate(self.job_cost):
            if variable is not None:
                assert problem.due is not None
                late = int(solution.start[j] + problem.processing[j] - problem.due[j])
                tardy = problem.objective_kind == "number_of_tardy_jobs"
                value[variable] = float(late > 0) if tardy else float(max(0, late))
        return np.array([value.get(v, 0.0) for v in self.model.variables()])

    def decode(self, values: npt.NDArray[np.float64]) -> SingleMachineSolution:
        """Return the sequence of the variables' values, each job as early as it allows.

        Starts are computed from the sequence: the solver's tolerances do not reach them.
        """
        value = dict(zip(self.model.variables(), values.tolist(), strict=True))
        return self.problem.schedule(self._sequence(value))
