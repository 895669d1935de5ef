"""The MILP formulation: disjunctive (Manne 1960), big-M from tight windows, written in PuLP.

A binary an unordered pair of operations that may meet on a machine says which goes first; a binary
an alternative says where a flexible operation runs. Pairs whose order the windows decide have no
binary. Starts are continuous: with the binaries fixed they are longest paths, hence integral.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pulp

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


class JobShopMilp(Compiled):
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
        self.problem = problem
        self.deadline = deadline
        self.model = pulp.LpProblem("job_shop", pulp.LpMinimize)
        self.head, self.latest = windows(problem, upper_bound)
        self.duration = problem.alt_duration.tolist()
        self._least = least_durations(problem)
        self._rows = 0
        self._objective_parts(upper_bound, lower_bound)
        self._operations()
        self._chains()
        self._pairs()
        self._job_costs(upper_bound)

    def _add(self, terms: Sequence[tuple[Any, float]], low: float) -> None:
        """Add the row ``sum of terms >= low``."""
        self._rows += 1
        row = pulp.LpConstraint(
            pulp.LpAffineExpression(terms), pulp.LpConstraintGE, f"r{self._rows}", low
        )
        self.model.addConstraint(row)
        if self._rows % 1024 == 0:
            self.deadline.check()

    def _binary(self, name: str) -> Any:
        return self.model.add_variable(name, 0, 1, pulp.LpInteger)

    def _objective_parts(self, upper_bound: int | None, lower_bound: int | None) -> None:
        problem = self.problem
        self.cost: Any = None
        if problem.objective_kind in ("makespan", "maximum_lateness"):
            self.cost = self.model.add_variable("cost", lower_bound, upper_bound)
            self.model.setObjective(pulp.LpAffineExpression([(self.cost, 1)]))

    def _operations(self) -> None:
        problem = self.problem
        bounds = problem.alt_offset.tolist()
        least = self._least.tolist()
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
                self.presence[alt] = self._binary(f"x{alt}")
            ones = [(x, 1) for x in self.presence[first:last]]
            self._add(ones, 1)
            self._add([(x, -1) for x, _ in ones], -1)
            if max(self.duration[first:last]) > least[op]:
                self._add([(start, -1), *self._length(op, -1)], -high + self._fixed_length(op))

    def _length(self, op: int, sign: int) -> list[tuple[Any, float]]:
        """Return the terms of ``sign * duration`` that hang on the choice of the machine."""
        first, last = self.problem.alt_offset[op : op + 2].tolist()
        if last == first + 1:
            return []
        return [(self.presence[a], sign * self.duration[a]) for a in range(first, last)]

    def _fixed_length(self, op: int) -> int:
        """Return the duration of an operation with one machine, 0 for others."""
        first, last = self.problem.alt_offset[op : op + 2].tolist()
        return int(self.duration[first]) if last == first + 1 else 0

    def _chains(self) -> None:
        problem = self.problem
        lag = problem.lag.tolist()
        follows = np.ones(problem.n_ops, dtype=bool)
        follows[problem.job_offset[1:] - 1] = False
        for op in np.flatnonzero(follows).tolist():
            step = self._fixed_length(op) + lag[op]
            move = [(self.start[op + 1], 1), (self.start[op], -1), *self._length(op, -1)]
            self._add(move, step)
            if problem.transport is not None:
                self._transport(op, lag[op])

    def _transport(self, op: int, lag: int) -> None:
        problem = self.problem
        assert problem.transport is not None
        first, middle, last = problem.alt_offset[op : op + 3].tolist()
        for a in range(first, middle):
            for b in range(middle, last):
                move = int(problem.transport[problem.alt_machine[a], problem.alt_machine[b]])
                if not move:
                    continue
                needed = self.duration[a] + lag + move
                # The start may be as late as the shortest alternative allows.
                latest_start = int(self.latest[op] - self._least[op])
                slack = max(0, latest_start + needed - int(self.head[op + 1]))
                terms = [(self.start[op + 1], 1), (self.start[op], -1)]
                right: float = needed
                for x in (self.presence[a], self.presence[b]):
                    if x is not None:
                        terms.append((x, -slack))
                        right -= slack
                self._add(terms, right)

    def _meetings(self) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
        """Yield ``(i, j, [(alternative of i, of j), ...])`` for pairs that share a machine.

        Operations of one job are in order anyhow.
        """
        problem = self.problem
        op_of_alt = np.repeat(np.arange(problem.n_ops), np.diff(problem.alt_offset))
        job = problem.op_job
        shared: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for machine in range(problem.n_machines):
            alternatives = np.flatnonzero(problem.alt_machine == machine).tolist()
            for k, a in enumerate(alternatives):
                self.deadline.check()
                i = int(op_of_alt[a])
                for b in alternatives[k + 1 :]:
                    j = int(op_of_alt[b])
                    if job[i] != job[j]:
                        shared.setdefault((i, j), []).append((a, b))
        for (i, j), meeting in shared.items():
            yield i, j, meeting

    def _pairs(self) -> None:
        head, latest = self.head.tolist(), self.latest.tolist()
        self.order: dict[tuple[int, int], Any] = {}
        for i, j, meetings in self._meetings():
            for a, b in meetings:
                p, q = self.duration[a], self.duration[b]
                # i may go first if it can end before j must start; and the other way round.
                i_first = head[i] + p <= latest[j] - q
                j_first = head[j] + q <= latest[i] - p
                if head[j] >= latest[i] or head[i] >= latest[j]:
                    continue  # the windows do not meet
                choices = [x for x in (self.presence[a], self.presence[b]) if x is not None]
                if i_first and j_first and (i, j) not in self.order:
                    self.order[i, j] = self._binary(f"y{i}_{j}")
                order = self.order.get((i, j)) if i_first and j_first else None
                if not i_first and not j_first:
                    self._add([(x, -1) for x in choices], 1 - len(choices))
                    continue
                if i_first:
                    self._before(i, j, p, choices, order, 1)
                if j_first:
                    self._before(j, i, q, choices, order, 0)

    def _before(
        self, i: int, j: int, duration: int, choices: list[Any], order: Any, value: int
    ) -> None:
        """Add ``start j >= start i + duration`` where all `choices` are 1 and ``order == value``.

        Big-M is the most by which the row can be violated within the windows.
        """
        latest_start = int(self.latest[i] - self._least[i])
        slack = max(0, latest_start + duration - int(self.head[j]))
        terms = [(self.start[j], 1), (self.start[i], -1)]
        right: float = duration
        for x in choices:
            terms.append((x, -slack))
            right -= slack
        if order is not None:
            terms.append((order, -slack if value else slack))
            right -= slack if value else 0
        self._add(terms, right)

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
                self._add(terms, self._fixed_length(op) - int(due[j]))
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
            self._add(terms, self._fixed_length(op) - due_date)
            objective.append((tardiness, weight))
        self.model.setObjective(pulp.LpAffineExpression(objective, constant=constant))

    def hint(self, solution: JobShopSolution) -> npt.NDArray[np.float64]:
        """Return the value of every variable in `solution`, in ``model.variables()`` order."""
        problem = self.problem
        op_of_alt = np.repeat(np.arange(problem.n_ops), np.diff(problem.alt_offset))
        chosen = problem.alt_machine == solution.machine[op_of_alt]
        value = {v: float(t) for v, t in zip(self.start, solution.start, strict=True)}
        value |= {x: float(c) for x, c in zip(self.presence, chosen, strict=True) if x is not None}
        # Operations of no duration share an instant with others; they go first.
        end = problem.completion(solution)
        key = list(zip(solution.start.tolist(), end.tolist(), strict=True))
        for (i, j), y in self.order.items():
            value[y] = float((key[i], i) < (key[j], j))
        if self.cost is not None:
            value[self.cost] = float(problem.objective(solution))
        job_end = end[problem.job_offset[1:] - 1]
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
        machine = np.zeros(problem.n_ops, dtype=np.int64)
        duration = np.zeros(problem.n_ops, dtype=np.int64)
        bounds = problem.alt_offset.tolist()
        for op in range(problem.n_ops):
            first, last = bounds[op], bounds[op + 1]
            alt = max(
                range(first, last),
                key=lambda a: 1.0 if self.presence[a] is None else value.get(self.presence[a], 0.0),
            )
            machine[op], duration[op] = problem.alt_machine[alt], problem.alt_duration[alt]
        # PuLP lists only variables that occur in a row; the others stay at their lower bound.
        wish = np.array([value.get(v, v.lowBound) for v in self.start])
        for op in range(1, problem.n_ops):
            if problem.op_job[op] == problem.op_job[op - 1]:
                wish[op] = max(wish[op], wish[op - 1] + duration[op - 1])
        # A job's operations keep their order among equal wishes: the index breaks ties.
        order = np.lexsort((np.arange(problem.n_ops), wish + duration, np.round(wish, 3)))
        free = np.zeros(problem.n_machines, dtype=np.int64)
        ready = problem.release.copy()
        place = np.full(problem.n_jobs, -1, dtype=np.int64)
        start = np.zeros(problem.n_ops, dtype=np.int64)
        for op in order.tolist():
            job, m = int(problem.op_job[op]), int(machine[op])
            arrival = int(ready[job])
            if problem.transport is not None and place[job] >= 0:
                arrival += int(problem.transport[place[job], m])
            start[op] = max(arrival, int(free[m]))
            free[m] = start[op] + duration[op]
            ready[job] = start[op] + duration[op] + problem.lag[op]
            place[job] = m
        return JobShopSolution(start, machine)


def build(
    problem: JobShop,
    *,
    upper_bound: int | None = None,
    lower_bound: int | None = None,
    deadline: Deadline | None = None,
) -> JobShopMilp:
    """Compile `problem` to a PuLP model; see `optsched.problems.job_shop.cpsat.build`."""
    return JobShopMilp(problem, upper_bound, lower_bound, deadline or Deadline())
