"""The MILP formulation: disjunctive (Manne 1960), big-M from tight windows, written in PuLP.

A binary an unordered pair of operations that may meet on a machine says which goes first; a binary
an alternative says where a flexible operation runs. Pairs whose order the windows decide have no
binary. Starts are continuous: with the binaries fixed they are longest paths, hence integral.
Blocking, breaks and setups are in `milp_variants`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pulp

from optsched.core import Deadline, IntArray, ProvenInfeasible
from optsched.problems.job_shop.formulation import SUPPORTS, Formulation
from optsched.problems.job_shop.milp_variants import (
    Positions,
    Setups,
    Successors,
    Terms,
    add_breaks,
    add_departures,
)
from optsched.problems.job_shop.problem import NO_WAIT, JobShop, JobShopSolution
from optsched.problems.job_shop.timing import Plan, earliest, gaps
from optsched.problems.job_shop.windows import latest_completions

__all__ = ["SUPPORTS", "JobShopMilp", "build"]


class JobShopMilp(Formulation):
    """A job shop as a PuLP model; its parts as attributes.

    Attributes
    ----------
    start : list of LpVariable, one an operation
    presence : list of LpVariable or None, one an alternative
    order : dict of (op, op) to LpVariable
        1 when the first operation of the pair, the one of lower index, goes first wherever the
        two share a machine.
    job_cost : list of LpVariable or None, one a job
    cost : LpVariable or None
    """

    def __init__(
        self, problem: JobShop, upper_bound: int | None, lower_bound: int | None, deadline: Deadline
    ) -> None:
        super().__init__(problem, upper_bound)
        self.deadline = deadline
        self.model = pulp.LpProblem("job_shop", pulp.LpMinimize)
        self.duration = problem.alt_duration.tolist()
        #: Variables beyond starts, choices and orders, with their values in a plan.
        self.aux: list[tuple[Any, Callable[[Plan], float]]] = []
        #: Breaks that an operation may span: ``(binary, length)``.
        self.losses: list[Terms] = [[] for _ in range(problem.n_ops)]
        self.departure: dict[int, Any] = {}
        self.least_gap: dict[int, int] = {}
        self.later: list[Callable[[], None]] = []
        self.positions: Positions | None = None
        self._rows = 0
        self._objective_parts(upper_bound, lower_bound)
        self._operations()
        if len(problem.break_start):
            add_breaks(self)
            for rows in self.later:
                rows()
        add_departures(self)
        self._chains()
        irregular = Setups(self).irregular
        exchanges = not problem.swap and bool(self.holds.any())
        ties = problem.setup is not None and not problem.alt_duration.all()
        if exchanges or irregular or ties:
            self.positions = Positions(self, exchanges)
        self._pairs(irregular)
        for machine in sorted(irregular):
            Successors(self, machine)
        self._job_costs(upper_bound)
        if not self._rows:  # HiGHS solves nothing that has no rows
            self.add([(self.start[0], 1)], int(self.head[0]))

    # ---- what the parts of the model ask for --------------------------------------------------

    def add(self, terms: Sequence[tuple[Any, float]], low: float) -> None:
        """Add the row ``sum of terms >= low``; a variable may occur in several terms."""
        self._rows += 1
        merged: dict[Any, float] = {}
        for variable, coefficient in terms:
            merged[variable] = merged.get(variable, 0) + coefficient
        merged = {variable: value for variable, value in merged.items() if value}
        if not merged and low <= 0:
            return
        row = pulp.LpConstraint(
            pulp.LpAffineExpression(merged), pulp.LpConstraintGE, f"r{self._rows}", low
        )
        self.model.addConstraint(row)
        if self._rows % 1024 == 0:
            self.deadline.check()

    def add_if(
        self, terms: Sequence[tuple[Any, float]], low: float, conditions: list[Any], slack: float
    ) -> None:
        """Add ``sum of terms >= low`` where all conditions hold; elsewhere it misses by `slack`.

        A condition is a binary that must be 1, or ``(binary, value)``, or None for nothing.
        """
        row = list(terms)
        for condition in conditions:
            if condition is None:
                continue
            variable, value = condition if isinstance(condition, tuple) else (condition, 1)
            row.append((variable, -slack if value else slack))
            low -= slack if value else 0
        self.add(row, low)

    def add_equal(self, terms: Terms, right: Any) -> None:
        """Add ``sum of terms == right``, which is a variable, or None for 1."""
        row = list(terms) if right is None else [*terms, (right, -1)]
        constant = 1 if right is None else 0
        self.add(row, constant)
        self.add([(x, -c) for x, c in row], -constant)

    def binary(self, name: str) -> Any:
        """Return a new variable of 0 or 1."""
        return self.model.add_variable(name, 0, 1, pulp.LpInteger)

    def latest_start(self, op: int) -> int:
        """Return the latest start that the windows leave."""
        return int(self.latest[op] - self.least[op])

    def latest_departure(self, op: int) -> int:
        """Return the latest time at which an operation lets its machine go."""
        if self.holds[op]:
            return self.latest_start(op + 1) - self.least_gap[op]
        return int(self.latest[op])

    def end_terms(self, op: int, sign: int) -> tuple[Terms, int]:
        """Return ``sign * end`` as terms and constant."""
        terms = [(self.start[op], float(sign)), *self._length(op, sign)]
        return terms, sign * self._fixed_length(op)

    def departure_terms(self, op: int, sign: int) -> tuple[Terms, int]:
        """Return ``sign * departure`` as terms and constant."""
        if not self.holds[op]:
            return self.end_terms(op, sign)
        if op in self.departure:
            return [(self.departure[op], sign)], 0
        return [(self.start[op + 1], sign)], -sign * self.least_gap[op]

    # ---- the parts ------------------------------------------------------------------------------

    def _objective_parts(self, upper_bound: int | None, lower_bound: int | None) -> None:
        problem = self.problem
        self.cost: Any = None
        if problem.objective_kind in ("makespan", "maximum_lateness"):
            self.cost = self.model.add_variable("cost", lower_bound, upper_bound)
            self.model.setObjective(pulp.LpAffineExpression([(self.cost, 1)]))

    def _operations(self) -> None:
        problem = self.problem
        bounds = problem.alt_offset.tolist()
        least = self.least.tolist()
        self.start: list[Any] = []
        self.presence: list[Any] = [None] * len(self.duration)
        for op, (low, high) in enumerate(
            zip(self.head.tolist(), self.latest.tolist(), strict=True)
        ):
            start = self.model.add_variable(f"s{op}", low, high - least[op])
            self.start.append(start)
            first, last = bounds[op], bounds[op + 1]
            if last == first + 1:
                continue
            for alt in range(first, last):
                self.presence[alt] = self.binary(f"x{alt}")
            ones = [(x, 1) for x in self.presence[first:last]]
            self.add(ones, 1)
            self.add([(x, -1) for x, _ in ones], -1)
            if max(self.duration[first:last]) > least[op]:
                self.add([(start, -1), *self._length(op, -1)], -high + self._fixed_length(op))

    def _length(self, op: int, sign: int) -> list[tuple[Any, float]]:
        """Return the terms of ``sign * duration`` that hang on choices: machine, breaks spanned."""
        first, last = self.problem.alt_offset[op : op + 2].tolist()
        lost = [(across, sign * length) for across, length in self.losses[op]]
        if last == first + 1:
            return lost
        return [*((self.presence[a], sign * self.duration[a]) for a in range(first, last)), *lost]

    def _fixed_length(self, op: int) -> int:
        """Return the duration of an operation with one machine, 0 for others."""
        first, last = self.problem.alt_offset[op : op + 2].tolist()
        return int(self.duration[first]) if last == first + 1 else 0

    def _chains(self) -> None:
        problem = self.problem
        lag = problem.lag.tolist()
        for op in np.flatnonzero(self.follows).tolist():
            terms, constant = self.end_terms(op, -1)
            step = lag[op] - constant
            move = [(self.start[op + 1], 1.0), *terms]
            self.add(move, step)
            no_wait = problem.buffer[op] == NO_WAIT
            if problem.transport is not None:
                self._transport(op, no_wait)
            elif no_wait:
                self.add([(x, -c) for x, c in move], -step)

    def _transport(self, op: int, no_wait: bool) -> None:
        first, middle, last = self.problem.alt_offset[op : op + 3].tolist()
        for a in range(first, middle):
            for b in range(middle, last):
                gap = self.gap_between(op, a, b)
                chosen = [self.presence[a], self.presence[b]]
                terms, constant = self.end_terms(op, -1)
                if not self.losses[op]:
                    terms, constant = [(self.start[op], -1.0)], -self.duration[a]
                if gap > self.problem.lag[op]:
                    # The end may be later than that of the shortest alternative.
                    most = self.latest_start(op) - constant
                    most = max(most, int(self.latest[op]))
                    slack = max(0, most + gap - int(self.head[op + 1]))
                    self.add_if([(self.start[op + 1], 1), *terms], gap - constant, chosen, slack)
                if no_wait:
                    row = [(self.start[op + 1], -1.0), *((x, -c) for x, c in terms)]
                    slack = max(0, self.latest_start(op + 1) - gap - int(self.head[op]))
                    self.add_if(row, constant - gap, chosen, slack)

    def _meetings(
        self, irregular: frozenset[int]
    ) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
        """Yield ``(i, j, [(alternative of i, of j), ...])`` for pairs that share a machine.

        Operations of one job are in order anyhow, and matter only for setups.
        """
        problem = self.problem
        op_of_alt = self.op_of_alt
        job = problem.op_job
        shared: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for machine in set(range(problem.n_machines)) - irregular:
            alternatives = np.flatnonzero(problem.alt_machine == machine).tolist()
            for k, a in enumerate(alternatives):
                self.deadline.check()
                i = int(op_of_alt[a])
                for b in alternatives[k + 1 :]:
                    j = int(op_of_alt[b])
                    if job[i] != job[j] or self.setup_between(machine, i, j):
                        shared.setdefault((i, j), []).append((a, b))
        for (i, j), meeting in shared.items():
            yield i, j, meeting

    def _pairs(self, irregular: frozenset[int]) -> None:
        head, latest = self.head.tolist(), self.latest.tolist()
        job = self.problem.op_job.tolist()
        self.order: dict[tuple[int, int], Any] = {}
        for i, j, meetings in self._meetings(irregular):
            plain = self.positions is None and not (self.holds[i] or self.holds[j])
            for a, b in meetings:
                p, q = self.duration[a], self.duration[b]
                machine = int(self.problem.alt_machine[a])
                there, back = self.setup_between(machine, i, j), self.setup_between(machine, j, i)
                # i may go first if it can end before j must start; and the other way round.
                i_first = head[i] + p + there <= latest[j] - q
                if self.holds[i] and j == i + 1:  # it stays there, without time for a setup
                    i_first &= there <= self.gap_between(i, a, b)
                j_first = head[j] + q + back <= latest[i] - p and job[i] != job[j]
                if plain and (head[j] >= latest[i] + there or head[i] >= latest[j] + back):
                    continue  # the windows do not meet
                choices = [self.presence[a], self.presence[b]]
                if i_first and j_first and (i, j) not in self.order:
                    self.order[i, j] = self.binary(f"y{i}_{j}")
                order = self.order.get((i, j)) if i_first and j_first else None
                if not i_first and not j_first:
                    taken = [(x, -1) for x in choices if x is not None]
                    if not taken:
                        who = f"jobs {job[i]} and {job[j]}" if job[i] != job[j] else f"job {job[i]}"
                        raise ProvenInfeasible(
                            f"{who}: no order on machine {machine} leaves enough time"
                        )
                    self.add(taken, 1 - len(taken))
                    continue
                if i_first:
                    self._before(i, j, a, there, [*choices, order])
                if j_first:
                    other_way = None if order is None else (order, 0)
                    self._before(j, i, b, back, [*choices, other_way])

    def _before(self, i: int, j: int, a: int, setup: int, conditions: list[Any]) -> None:
        """Let `j` start when `i`, as alternative `a`, has left, where the conditions hold.

        Big-M is the most by which the row can be violated within the windows.
        """
        if self.holds[i] or self.losses[i]:
            terms, constant = self.departure_terms(i, -1)
            most = self.latest_departure(i)
        else:
            terms, constant = [(self.start[i], -1.0)], -self.duration[a]
            most = self.latest_start(i) + self.duration[a]
        slack = max(0, most + setup - int(self.head[j]))
        self.add_if([(self.start[j], 1), *terms], setup - constant, conditions, slack)
        if self.positions is not None:
            self.positions.before(i, j, a, conditions)

    def _job_costs(self, upper_bound: int | None) -> None:
        problem = self.problem
        last = (problem.job_offset[1:] - 1).tolist()
        kind = problem.objective_kind
        self.job_cost: list[Any] = []
        if self.cost is not None:
            due = problem.due if kind == "maximum_lateness" else np.zeros_like(problem.weight)
            assert due is not None
            for j, op in enumerate(last):
                terms = [(self.cost, 1), (self.start[op], -1), *self._length(op, -1)]
                self.add(terms, self._fixed_length(op) - int(due[j]))
            return
        objective: list[tuple[Any, float]] = []
        constant = 0
        latest = latest_completions(problem, upper_bound)
        for j, op in enumerate(last):
            weight = int(problem.weight[j])
            if kind == "total_completion_time":
                objective += [(self.start[op], weight)]
                objective += [(x, weight * c) for x, c in self._length(op, 1)]
                constant += weight * self._fixed_length(op)
                continue
            assert problem.due is not None
            due_date = int(problem.due[j])
            if weight == 0 or latest[j] <= due_date:
                self.job_cost.append(None)
                continue
            tardiness = self.model.add_variable(f"t{j}", 0)
            self.job_cost.append(tardiness)
            terms = [(tardiness, 1), (self.start[op], -1), *self._length(op, -1)]
            self.add(terms, self._fixed_length(op) - due_date)
            objective.append((tardiness, weight))
        self.model.setObjective(pulp.LpAffineExpression(objective, constant=constant))

    def _ranks(self, plan: Plan) -> IntArray:
        """Return what tells operations apart that pass a machine at the same instant."""
        if self.positions is not None or self.problem.setup is not None:
            return plan.rank
        return np.zeros(self.problem.n_ops, dtype=np.int64)

    def hint(self, solution: JobShopSolution) -> npt.NDArray[np.float64]:
        """Return the value of every variable in `solution`, in ``model.variables()`` order."""
        problem = self.problem
        op_of_alt = np.repeat(np.arange(problem.n_ops), np.diff(problem.alt_offset))
        chosen = problem.alt_machine == solution.machine[op_of_alt]
        value = {v: float(t) for v, t in zip(self.start, solution.start, strict=True)}
        value |= {x: float(c) for x, c in zip(self.presence, chosen, strict=True) if x is not None}
        plan = Plan(problem, solution)
        # Operations of no duration share an instant with others; they go first.
        parts = (plan.start, plan.departure, self._ranks(plan))
        key = list(zip(*(part.tolist() for part in parts), strict=True))
        for (i, j), y in self.order.items():
            value[y] = float((*key[i], i) < (*key[j], j))
        value |= {x: told(plan) for x, told in self.aux}
        if self.cost is not None:
            value[self.cost] = float(problem.objective(solution))
        job_end = plan.end[problem.job_offset[1:] - 1]
        for j, tardiness in enumerate(self.job_cost):
            if tardiness is not None:
                assert problem.due is not None
                value[tardiness] = float(max(0, job_end[j] - problem.due[j]))
        return np.array([value.get(v, 0.0) for v in self.model.variables()])

    def decode(self, values: npt.NDArray[np.float64]) -> JobShopSolution:
        """Return the schedule of the variables' values, started as early as its order allows.

        The machines and the order of operations are taken from `values`; starts are the longest
        paths, so that the solver's tolerances do not reach the schedule.
        """
        problem = self.problem
        value = dict(zip(self.model.variables(), values.tolist(), strict=True))
        alternative = np.zeros(problem.n_ops, dtype=np.int64)
        bounds = problem.alt_offset.tolist()
        for op in range(problem.n_ops):
            first, last = bounds[op], bounds[op + 1]
            alt = max(
                range(first, last),
                key=lambda a: 1.0 if self.presence[a] is None else value.get(self.presence[a], 0.0),
            )
            alternative[op] = alt
        machine, duration = problem.alt_machine[alternative], problem.alt_duration[alternative]
        # PuLP lists only variables that occur in a row; the others stay at their lower bound.
        wish = np.array([value.get(v, v.lowBound) for v in self.start])
        for op in range(1, problem.n_ops):
            if problem.op_job[op] == problem.op_job[op - 1]:
                wish[op] = max(wish[op], wish[op - 1] + duration[op - 1])
        leaves = wish + duration
        held = np.flatnonzero(self.holds)
        gap = gaps(problem, machine)[held]
        leaves[held] = np.maximum(leaves[held], wish[held + 1] - gap)
        position = np.zeros(problem.n_ops)
        if self.positions is not None:
            position = np.array([value.get(v, 0.0) for v in self.positions.entry])
        # A job's operations keep their order among equal wishes: the index breaks ties.
        index = np.arange(problem.n_ops)
        order = np.lexsort((index, np.round(leaves, 3), position, np.round(wish, 3)))
        sequence: list[list[int]] = [[] for _ in range(problem.n_machines)]
        for op in order.tolist():
            sequence[machine[op]].append(op)
        found = earliest(problem, alternative, sequence, problem.horizon())
        if found is None:  # the solver's tolerances hide its order
            return JobShopSolution(np.rint(wish).astype(np.int64), machine)
        return found


def build(
    problem: JobShop,
    *,
    upper_bound: int | None = None,
    lower_bound: int | None = None,
    deadline: Deadline | None = None,
) -> JobShopMilp:
    """Compile `problem` to a PuLP model; see `optsched.problems.job_shop.cpsat.build`."""
    deadline = deadline or Deadline()
    if upper_bound is None and problem.deadline is not None:
        from optsched.problems.job_shop.conflicts import refute  # which builds models, too

        refute(problem, deadline)
    return JobShopMilp(problem, upper_bound, lower_bound, deadline)
