"""The CP-SAT formulation: an interval an operation, ``NoOverlap`` a machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from ortools.sat.python import cp_model

from optsched.core import Deadline
from optsched.problems.job_shop.calendars import calendars_of
from optsched.problems.job_shop.cpsat_blocking import EntryOrder, needs_entry_order
from optsched.problems.job_shop.cpsat_calendars import Aux, stay
from optsched.problems.job_shop.cpsat_setups import add_setups
from optsched.problems.job_shop.formulation import SUPPORTS, Formulation
from optsched.problems.job_shop.problem import NO_WAIT, JobShop, JobShopSolution
from optsched.problems.job_shop.timing import Plan
from optsched.problems.job_shop.windows import latest_completions

__all__ = ["SUPPORTS", "JobShopCpsat", "build"]


class JobShopCpsat(Formulation):
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
        self,
        problem: JobShop,
        upper_bound: int | None,
        lower_bound: int | None,
        deadline: Deadline,
        *,
        without: frozenset[int] = frozenset(),
    ) -> None:
        super().__init__(problem, upper_bound)
        self.model = cp_model.CpModel()
        self.model.name = problem.name
        self.without = without  # machines that take any number of operations at a time
        self.horizon = int(self.latest.max())
        self.aux: list[Aux] = []
        self.order: EntryOrder | None = None
        self._sizes: dict[str, Any] = {}
        self._span_end: dict[int, Any] = {}
        self._operations(deadline)
        self._departures(deadline)
        self._intervals(deadline)
        self._chains(deadline)
        self._machines(deadline)
        if needs_entry_order(self):
            self.order = EntryOrder(self, deadline)
        if problem.setup is not None:
            add_setups(self, deadline)
        self._objective(upper_bound, lower_bound)

    def options(self, solver: str, workers: int) -> dict[str, Any]:
        """Return the parameters that prove most on few cores (measured on ft10, la40, ta01, ta02).

        Strong propagation of the disjunctive is off in CP-SAT by default; it makes refutations
        three to five times faster. The default portfolio of two workers leaves one to the LP and
        one to all the rest, and does not prove ft10 in 40 s; these do in 2 s. With intervals of
        no length, strong propagation has refuted feasible models, and dynamic precedence has not
        come to an end; with optional intervals it has cut off the optimum of behnke23, 85, and
        called 86 optimal (OR-Tools 9.15).
        """
        chosen: dict[str, Any] = {}
        if self.problem.alt_duration.all() and not self.problem.flexible:
            chosen["use_strong_propagation_in_disjunctive"] = True
            chosen["use_dynamic_precedence_in_disjunctive"] = True
        if self.problem.flexible or self.holds.any():
            # Clauses over bounds of integers, without inprocessing, find and prove sooner where
            # there are alternatives (behnke23 in 1 s instead of 22) or machines are blocked (orb01
            # in 71 s on one core); in classic shops they do not.
            chosen["use_new_integer_conflict_resolution"] = True
            chosen["use_sat_inprocessing"] = False
        if workers == 1:
            chosen["linearization_level"] = 0
        elif workers == 2:
            chosen["subsolvers"] = ["no_lp", "default_lp"]
        return chosen

    # ---- what the parts of the model ask for --------------------------------------------------

    def bounds(self, variable: Any) -> tuple[int, int]:
        """Return the least and greatest value of a variable's domain."""
        domain = self.model.proto.variables[variable.index].domain
        return int(domain[0]), int(domain[len(domain) - 1])

    def machine_groups(self) -> Iterator[list[int]]:
        """Yield the alternatives of each machine that takes one operation at a time."""
        machine = self.problem.alt_machine
        order = np.argsort(machine, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(machine[order])) + 1):
            if int(machine[group[0]]) not in self.without:
                yield group.tolist()

    def may_follow(self, op: int, other: int, needed: int) -> bool:
        """Return whether `other` may enter a machine `needed` after `op` has left it."""
        earliest = self.bounds(self.start[op])[0] + int(self.least[op]) + needed
        same_job = self.problem.op_job[op] == self.problem.op_job[other]
        return earliest <= self.bounds(self.start[other])[1] and not (same_job and other < op)

    def size_variable(self, name: str, least: int, most: int, value: Callable[[Plan], int]) -> Any:
        """Return the variable of an interval's size; one of each name."""
        if name not in self._sizes:
            size = self.model.new_int_var(least, max(least, most), name)
            self.aux.append((size.index, value))
            self._sizes[name] = size
        return self._sizes[name]

    # ---- the parts ------------------------------------------------------------------------------

    def _operations(self, deadline: Deadline) -> None:
        """Make starts and choices, and say when operations end."""
        problem, model = self.problem, self.model
        bounds = problem.alt_offset.tolist()
        duration = problem.alt_duration.tolist()
        machine = problem.alt_machine.tolist()
        head, latest = self.head.tolist(), self.latest.tolist()
        calendars = calendars_of(problem) if len(problem.break_start) else None
        least = self.least.tolist()
        self.start: list[Any] = []
        self.end: list[Any] = []  # expressions
        self.presence: list[Any] = [None] * len(duration)
        #: Time from start to end of each alternative, None where it depends on the start.
        self.stays: list[int | None] = list(duration)
        #: The same of each operation, None where it depends on start or machine.
        self.elapsed: list[int | None] = []
        for op in range(problem.n_ops):
            if op % 4096 == 4095:
                deadline.check()
            first, last = bounds[op], bounds[op + 1]
            start = model.new_int_var(head[op], latest[op] - least[op], f"s{op}")
            self.start.append(start)
            single = last == first + 1
            length: Any = 0
            for alt in range(first, last):
                chosen = None if single else model.new_bool_var(f"x{alt}")
                self.presence[alt] = chosen
                if calendars is not None and calendars[machine[alt]]:
                    calendar = calendars[machine[alt]]
                    took = stay(model, problem, calendar, op, alt, start, chosen, latest[op])
                    self.stays[alt] = took.fixed
                    self.aux += took.aux
                    length = length + took.terms
                else:
                    length = length + (duration[alt] if chosen is None else duration[alt] * chosen)
            self.end.append(start + length)
            self.elapsed.append(self.stays[first] if single else None)
            if not single:
                model.add_exactly_one(self.presence[first:last])
            if any(stays != least[op] for stays in self.stays[first:last]):
                model.add(start + length <= latest[op])

    def _departures(self, deadline: Deadline) -> None:
        """Say when operations let their machines go."""
        model = self.model
        self.departure: list[Any] = list(self.end)
        for op in np.flatnonzero(self.holds).tolist():
            deadline.check()
            gap = self.fixed_gap(op)
            if gap is not None:
                self.departure[op] = self.start[op + 1] - gap
                continue
            low, high = self.bounds(self.start[op])[0], self.bounds(self.start[op + 1])[1]
            self.departure[op] = model.new_int_var(low, max(low, high), f"d{op}")
            self.aux.append((self.departure[op].index, partial(_departs, op=op)))

    def _intervals(self, deadline: Deadline) -> None:
        """Make an interval an alternative: how long it holds its machine."""
        model = self.model
        bounds = self.problem.alt_offset.tolist()
        self.interval: list[Any] = []
        for op in range(self.problem.n_ops):
            if op % 4096 == 4095:
                deadline.check()
            start = self.start[op]
            for alt in range(bounds[op], bounds[op + 1]):
                presence, fixed = self.presence[alt], self.stays[alt]
                if fixed is None or self.holds[op]:
                    size, end = self._span(op)
                    if presence is None:
                        interval = model.new_interval_var(start, size, end, f"i{alt}")
                    else:
                        interval = model.new_optional_interval_var(
                            start, size, end, presence, f"i{alt}"
                        )
                elif presence is None:
                    interval = model.new_fixed_size_interval_var(start, fixed, f"i{alt}")
                else:
                    interval = model.new_optional_fixed_size_interval_var(
                        start, fixed, presence, f"i{alt}"
                    )
                self.interval.append(interval)

    def _span(self, op: int) -> tuple[Any, Any]:
        """Return size and end of an operation's stay on its machine, where it is no constant."""
        model, name = self.model, f"z{op}"
        if name in self._sizes:
            return self._sizes[name], self._span_end[op]
        size = self.size_variable(
            name,
            int(self.least[op]),
            self.horizon,
            lambda plan: int(plan.departure[op] - plan.start[op]),
        )
        end = self.departure[op]
        if not self.holds[op]:  # intervals end at expressions of one variable
            low = self.bounds(self.start[op])[0]
            end = model.new_int_var(low, int(self.latest[op]), f"e{op}")
            model.add(end == self.end[op])
            self.aux.append((end.index, lambda plan: int(plan.end[op])))
        model.add(self.start[op] + size == end)
        self._span_end[op] = end
        return size, end

    def _chains(self, deadline: Deadline) -> None:
        """Put the operations of each job in order, with lag and transport in between."""
        problem, model = self.problem, self.model
        lag = problem.lag.tolist()
        buffer = problem.buffer.tolist()
        for count, op in enumerate(np.flatnonzero(self.follows).tolist()):
            if count % 4096 == 4095:
                deadline.check()
            model.add(self.start[op + 1] >= self.end[op] + lag[op])
            if problem.transport is None:
                if buffer[op] == NO_WAIT:
                    model.add(self.start[op + 1] == self.end[op] + lag[op])
                continue
            first, middle, last = problem.alt_offset[op : op + 3].tolist()
            varying = self.holds[op] and self.fixed_gap(op) is None
            for a, b in product(range(first, middle), range(middle, last)):
                gap = self.gap_between(op, a, b)
                chosen = [p for p in (self.presence[a], self.presence[b]) if p is not None]
                stays = self.stays[a]
                ready = gap + (self.end[op] if stays is None else self.start[op] + stays)
                if buffer[op] == NO_WAIT:
                    model.add(self.start[op + 1] == ready).only_enforce_if(chosen)
                elif gap > lag[op]:
                    model.add(self.start[op + 1] >= ready).only_enforce_if(chosen)
                if varying:
                    leaves = self.departure[op] == self.start[op + 1] - gap
                    model.add(leaves).only_enforce_if(chosen)

    def _machines(self, deadline: Deadline) -> None:
        problem, model = self.problem, self.model
        breaks = problem.break_offset.tolist()
        for group in self.machine_groups():
            deadline.check()
            intervals = [self.interval[alt] for alt in group]
            ops = self.op_of_alt[group]
            first, last = breaks[problem.alt_machine[group[0]] :][:2]
            if not (self.holds[ops].any() or problem.resumable[ops].any()):
                # The starts are outside breaks anyhow; as intervals, breaks help the propagation.
                intervals += [
                    model.new_fixed_size_interval_var(
                        int(problem.break_start[k]),
                        int(problem.break_end[k] - problem.break_start[k]),
                        f"break{k}",
                    )
                    for k in range(first, last)
                ]
            if len(intervals) > 1:
                model.add_no_overlap(intervals)

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
            earliest = self.head[last] + self.least[last]
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
        if self.aux:
            plan = Plan(problem, solution)
            for index, value in self.aux:
                values[index] = value(plan)
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


def _departs(plan: Plan, op: int) -> int:
    return int(plan.departure[op])


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
        When a deadline cannot be met whatever the machines do, or deadlines are soon shown to
        be in conflict; the message names jobs, machines and breaks.
    """
    deadline = deadline or Deadline()
    if upper_bound is None and problem.deadline is not None:
        from optsched.problems.job_shop.conflicts import refute  # which builds models, too

        refute(problem, deadline)
    return JobShopCpsat(problem, upper_bound, lower_bound, deadline)
