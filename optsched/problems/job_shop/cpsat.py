"""The CP-SAT formulation: an interval an operation, ``NoOverlap`` a machine."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from ortools.sat.python import cp_model

from optsched.core import Deadline
from optsched.problems.job_shop.problem import JobShop, JobShopSolution
from optsched.problems.job_shop.windows import latest_completions, least_durations, windows
from optsched.solvers.base import Compiled

SUPPORTS = frozenset(
    {
        "flexible", "release dates", "deadlines", "lags", "transport",
        "objective makespan", "objective total_weighted_tardiness",
        "objective total_completion_time", "objective maximum_lateness",
    }
)  # fmt: skip


class JobShopCpsat(Compiled):
    """A job shop as a CP-SAT model.

    Attributes
    ----------
    start : list of IntVar, one an operation
    presence : list of BoolVar or None, one an alternative
        None where the operation has one eligible machine.
    interval : list of IntervalVar, one an alternative
    job_cost : list of IntVar or None, one a job
        Tardiness of the job, where the objective is tardiness.
    cost : IntVar or None
        Makespan or maximum lateness.
    """

    def __init__(
        self, problem: JobShop, upper_bound: int | None, lower_bound: int | None, deadline: Deadline
    ) -> None:
        self.problem = problem
        self.model = cp_model.CpModel()
        self.model.name = problem.name
        self.head, self.latest = windows(problem, upper_bound)
        self._operations(deadline)
        self._chains(deadline)
        self._machines(deadline)
        self._objective(upper_bound, lower_bound)

    def options(self, solver: str, workers: int) -> dict[str, Any]:
        """Return the parameters that prove most on few cores (measured on ft10, la40, ta01, ta02).

        Strong propagation of the disjunctive is off in CP-SAT by default; it makes refutations
        three to five times faster. The default portfolio of two workers leaves one to the LP and
        one to all the rest, and does not prove ft10 in 40 s; these do in 2 s.
        """
        chosen: dict[str, Any] = {
            "use_strong_propagation_in_disjunctive": True,
            "use_dynamic_precedence_in_disjunctive": True,
        }
        if workers == 1:
            chosen["linearization_level"] = 0
        elif workers == 2:
            chosen["subsolvers"] = ["no_lp", "default_lp"]
        return chosen

    def _operations(self, deadline: Deadline) -> None:
        problem, model = self.problem, self.model
        bounds = problem.alt_offset.tolist()
        duration = problem.alt_duration.tolist()
        head, latest = self.head.tolist(), self.latest.tolist()
        self.start: list[Any] = []
        self.end: list[Any] = []  # expressions
        self.presence: list[Any] = [None] * len(duration)
        self.interval: list[Any] = []
        for op in range(problem.n_ops):
            if op % 4096 == 4095:
                deadline.check()
            first, last = bounds[op], bounds[op + 1]
            least = min(duration[first:last])
            start = model.new_int_var(head[op], latest[op] - least, f"s{op}")
            self.start.append(start)
            if last == first + 1:
                self.interval.append(
                    model.new_fixed_size_interval_var(start, duration[first], f"i{op}")
                )
                self.end.append(start + duration[first])
                continue
            length = 0
            for alt in range(first, last):
                chosen = model.new_bool_var(f"x{alt}")
                self.presence[alt] = chosen
                self.interval.append(
                    model.new_optional_fixed_size_interval_var(
                        start, duration[alt], chosen, f"i{alt}"
                    )
                )
                length = length + duration[alt] * chosen
            model.add_exactly_one(self.presence[first:last])
            self.end.append(start + length)
            if max(duration[first:last]) > least:
                model.add(start + length <= latest[op])

    def _chains(self, deadline: Deadline) -> None:
        problem, model = self.problem, self.model
        lag = problem.lag.tolist()
        follows = np.ones(problem.n_ops, dtype=bool)
        follows[problem.job_offset[1:] - 1] = False
        for count, op in enumerate(np.flatnonzero(follows).tolist()):
            if count % 4096 == 4095:
                deadline.check()
            model.add(self.start[op + 1] >= self.end[op] + lag[op])
            if problem.transport is not None:
                self._transport(op, lag[op])

    def _transport(self, op: int, lag: int) -> None:
        problem, model = self.problem, self.model
        assert problem.transport is not None
        first, middle, last = problem.alt_offset[op : op + 3].tolist()
        for a, b in product(range(first, middle), range(middle, last)):
            move = int(problem.transport[problem.alt_machine[a], problem.alt_machine[b]])
            if move:
                needed = self.start[op] + int(problem.alt_duration[a]) + lag + move
                literals = [p for p in (self.presence[a], self.presence[b]) if p is not None]
                model.add(self.start[op + 1] >= needed).only_enforce_if(literals)

    def _machines(self, deadline: Deadline) -> None:
        order = np.argsort(self.problem.alt_machine, kind="stable")
        borders = np.flatnonzero(np.diff(self.problem.alt_machine[order])) + 1
        for group in np.split(order, borders):
            deadline.check()
            if len(group) > 1:
                self.model.add_no_overlap([self.interval[alt] for alt in group.tolist()])

    def _objective(self, upper_bound: int | None, lower_bound: int | None) -> None:
        problem, model = self.problem, self.model
        last = (problem.job_offset[1:] - 1).tolist()
        job_latest = latest_completions(problem, upper_bound)
        kind = problem.objective_kind
        self.cost: Any = None
        self.job_cost: list[Any] = []
        if kind in ("makespan", "maximum_lateness"):
            due = problem.due if kind == "maximum_lateness" else np.zeros_like(problem.weight)
            assert due is not None
            earliest = self.head[last] + least_durations(problem)[last]
            low = int((earliest - due).max())
            if lower_bound is not None:
                low = max(low, lower_bound)
            high = max(low, int((job_latest - due).max()))
            self.cost = model.new_int_var(low, high, kind)
            for j, op in enumerate(last):
                model.add(self.cost >= self.end[op] - int(due[j]))
            model.minimize(self.cost)
            return
        if kind == "total_completion_time":
            total = sum(int(problem.weight[j]) * self.end[o] for j, o in enumerate(last))
            self._minimize(total, upper_bound, lower_bound)
            return
        assert problem.due is not None
        for j, op in enumerate(last):
            most = int(job_latest[j] - problem.due[j])
            if problem.weight[j] == 0 or most <= 0:
                self.job_cost.append(None)
                continue
            tardiness = model.new_int_var(0, most, f"tardiness{j}")
            model.add(tardiness >= self.end[op] - int(problem.due[j]))
            self.job_cost.append(tardiness)
        terms = [
            int(problem.weight[j]) * cost
            for j, cost in enumerate(self.job_cost)
            if cost is not None
        ]
        self._minimize(sum(terms) if terms else 0, upper_bound, lower_bound)

    def _minimize(self, total: Any, upper_bound: int | None, lower_bound: int | None) -> None:
        if isinstance(total, int):  # nothing can cost anything
            total = self.model.new_constant(total)
        if upper_bound is not None:
            self.model.add(total <= upper_bound)
        if lower_bound is not None:
            self.model.add(total >= lower_bound)
        self.model.minimize(total)

    def hint(self, solution: JobShopSolution) -> npt.NDArray[np.float64]:
        """Return the value of every variable in `solution`, in model order."""
        problem = self.problem
        values = np.zeros(len(self.model.proto.variables))
        values[[v.index for v in self.start]] = solution.start
        op_of_alt = np.repeat(np.arange(problem.n_ops), np.diff(problem.alt_offset))
        chosen = problem.alt_machine == solution.machine[op_of_alt]
        for alt, presence in enumerate(self.presence):
            if presence is not None:
                values[presence.index] = chosen[alt]
        if self.cost is not None:
            # A value below the variable's domain (a lower bound that is not met) is lifted.
            low = self.model.proto.variables[self.cost.index].domain[0]
            values[self.cost.index] = max(problem.objective(solution), low)
        end = problem.completion(solution)[problem.job_offset[1:] - 1]
        for j, tardiness in enumerate(self.job_cost):
            if tardiness is not None:
                assert problem.due is not None
                values[tardiness.index] = max(0, end[j] - problem.due[j])
        return values

    def decode(self, values: npt.NDArray[np.float64]) -> JobShopSolution:
        """Return the schedule that the variables' values stand for."""
        problem = self.problem
        start = np.rint(values[[v.index for v in self.start]]).astype(np.int64)
        machine = problem.alt_machine[problem.alt_offset[:-1]].copy()
        op_of_alt = np.repeat(np.arange(problem.n_ops), np.diff(problem.alt_offset))
        for alt, presence in enumerate(self.presence):
            if presence is not None and values[presence.index] > 0.5:
                machine[op_of_alt[alt]] = problem.alt_machine[alt]
        return JobShopSolution(start, machine)


def build(
    problem: JobShop,
    *,
    upper_bound: int | None = None,
    lower_bound: int | None = None,
    deadline: Deadline | None = None,
) -> JobShopCpsat:
    """Compile `problem` to CP-SAT.

    Parameters
    ----------
    problem : JobShop
        With features among `SUPPORTS`.
    upper_bound, lower_bound : int, optional
        Proven bounds on the optimum; they tighten the domains and never cut off the optimum.
    deadline : Deadline, optional
        Raises `DeadlineExpired` when it passes meanwhile.

    Raises
    ------
    ProvenInfeasible
        When a deadline cannot be met whatever the machines do.
    """
    return JobShopCpsat(problem, upper_bound, lower_bound, deadline or Deadline())
