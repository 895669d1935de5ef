"""Three MILP formulations to choose from: positional, time-indexed, linear ordering.

See Keha, Khowala and Fowler, Mixed integer programming formulations for single machine scheduling
problems, Computers & Industrial Engineering 56 (2009). All are written in PuLP. Each says where the
jobs go; completions, tardiness and the objective on top are common to all.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pulp

from optsched.core import Deadline, InputError, IntArray
from optsched.problems.single_machine.problem import (
    OBJECTIVES,
    SingleMachine,
    SingleMachineSolution,
)
from optsched.problems.single_machine.windows import in_order, windows
from optsched.solvers.base import Compiled, nearest

SUPPORTS = frozenset(
    {"release dates", "deadlines", "precedence"} | {f"objective {kind}" for kind in OBJECTIVES}
)
#: Most (job, time) pairs for which the time-indexed formulation is the default.
MOST_STARTS = 100_000
#: Most jobs for which linear ordering, with its O(n^3) rows, is the default.
MOST_ORDERED = 60

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
        self._rows = 0
        self._place()
        self._objective(lower_bound)

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


class Positional(SingleMachineMilp):
    """Binaries assign jobs to places (Wagner 1959); ``begin[k]`` is the start of place ``k``."""

    def _place(self) -> None:
        problem, model = self.problem, self.model
        n, p = problem.n_jobs, problem.processing.tolist()
        horizon = int(self.latest.max())
        self.assigned = [[self._binary(f"x{j}_{k}") for k in range(n)] for j in range(n)]
        self.begin = [model.add_variable(f"b{k}", 0, horizon) for k in range(n)]
        self.end = [
            model.add_variable(f"c{j}", int(self.head[j]) + p[j], int(self.latest[j]))
            for j in range(n)
        ]
        for j in range(n):
            self._add([(x, 1) for x in self.assigned[j]], 0, 1)
            self._add([(row[j], 1) for row in self.assigned], 0, 1)
        for k in range(n):
            at = [row[k] for row in self.assigned]
            if k:
                before = [(row[k - 1], -p[j]) for j, row in enumerate(self.assigned)]
                self._add([(self.begin[k], 1), (self.begin[k - 1], -1), *before], 1, 0)
            released = [(x, -int(self.head[j])) for j, x in enumerate(at) if self.head[j]]
            if released:
                self._add([(self.begin[k], 1), *released], 1, 0)
            for j, x in enumerate(at):
                # Where x is 0 the row asks for nothing: the end is at least p, begin at most this.
                slack = horizon - int(self.head[j])
                self._add([(self.end[j], 1), (self.begin[k], -1), (x, -slack)], 1, p[j] - slack)
        # Valid inequality over all jobs: the load that completions imply.
        load = (sum(p) ** 2 + sum(length * length for length in p)) / 2
        self._add([(c, p[j]) for j, c in enumerate(self.end)], 1, load)
        for i, j in problem.precedence.tolist():
            terms = [(x, k) for k, x in enumerate(self.assigned[j])]
            self._add([*terms, *((x, -k) for k, x in enumerate(self.assigned[i]))], 1, 1)

    def completion(self, job: int) -> tuple[Terms, float]:
        """Return the variable of the job's end."""
        return [(self.end[job], 1.0)], 0.0

    def _placed(self, solution: SingleMachineSolution) -> dict[Any, float]:
        value: dict[Any, float] = {}
        for k, j in enumerate(solution.sequence.tolist()):
            value[self.assigned[j][k]] = 1.0
            value[self.begin[k]] = float(solution.start[j])
            value[self.end[j]] = float(solution.start[j] + self.problem.processing[j])
        return value

    def _sequence(self, value: dict[Any, float]) -> IntArray:
        places = np.array([[value.get(x, 0.0) for x in row] for row in self.assigned])
        return np.argsort(places @ np.arange(self.problem.n_jobs), kind="stable")


class TimeIndexed(SingleMachineMilp):
    """A binary a job and start time (Sousa and Wolsey 1992); a strong bound, and a large model."""

    def _place(self) -> None:
        problem = self.problem
        p = problem.processing.tolist()
        first, last = self.head.tolist(), (self.latest - problem.processing).tolist()
        if sum(b - a + 1 for a, b in zip(first, last, strict=True)) > 5_000_000:
            raise InputError("time-indexed: more than 5,000,000 starts; use another formulation")
        self.first = first
        self.starts: list[list[Any]] = []
        for j, (a, b) in enumerate(zip(first, last, strict=True)):
            self.deadline.check()
            self.starts.append([self._binary(f"x{j}_{t}") for t in range(a, b + 1)])
            self._add([(x, 1) for x in self.starts[j]], 0, 1)
        for t in range(int(self.latest.max())):
            running = self._running(t, t)
            if len(running) > 1:
                self._add([(x, 1) for x in running], -1, 1)
            # A job of no duration takes no time, but it cannot stand within another one.
            for j, row in enumerate(self.starts):
                if p[j] == 0 and 0 <= t - first[j] < len(row):
                    within = [(x, 1) for x in self._running(t - 1, t)]
                    if within:
                        self._add([(row[t - first[j]], 1), *within], -1, 1)
        for i, j in problem.precedence.tolist():
            later = [(x, first[j] + k) for k, x in enumerate(self.starts[j])]
            self._add(later + [(x, -first[i] - k) for k, x in enumerate(self.starts[i])], 1, p[i])

    def _running(self, a: int, b: int) -> list[Any]:
        """Return the binaries of starts by `a` of jobs that end after `b`."""
        found: list[Any] = []
        for j, row in enumerate(self.starts):
            low = max(0, b - int(self.problem.processing[j]) + 1 - self.first[j])
            found += row[low : max(0, a + 1 - self.first[j])]
        return found

    def completion(self, job: int) -> tuple[Terms, float]:
        """Return the weighted sum of the job's binaries."""
        end = float(self.first[job] + self.problem.processing[job])
        return [(x, end + k) for k, x in enumerate(self.starts[job])], 0.0

    def _due_costs(self, kind: str) -> dict[Any, float]:
        # The cost of each start is known: no further variables.
        problem = self.problem
        assert problem.due is not None
        weights = problem.weight if kind == "total_weighted_tardiness" else np.ones(problem.n_jobs)
        objective: dict[Any, float] = {}
        for j, d in enumerate(problem.due.tolist()):
            for x, end in self.completion(j)[0]:
                late = end - d
                if late > 0 and weights[j]:
                    unit = 1.0 if kind == "number_of_tardy_jobs" else late
                    objective[x] = float(weights[j]) * unit
        return objective

    def _placed(self, solution: SingleMachineSolution) -> dict[Any, float]:
        at = solution.start.tolist()
        return {self.starts[j][t - self.first[j]]: 1.0 for j, t in enumerate(at)}

    def _sequence(self, value: dict[Any, float]) -> IntArray:
        rows = [[value.get(x, 0.0) for x in row] for row in self.starts]
        start = np.array([a + int(np.argmax(r)) for a, r in zip(self.first, rows, strict=True)])
        return in_order(self.problem, start)


class LinearOrdering(SingleMachineMilp):
    """A binary a pair of jobs says which goes first, and triples are transitive (Potts 1980)."""

    def _place(self) -> None:
        problem, n = self.problem, self.problem.n_jobs
        p = problem.processing.tolist()
        self.order = {
            (i, j): self._binary(f"y{i}_{j}") for i, j in itertools.combinations(range(n), 2)
        }
        for i, j, k in itertools.combinations(range(n), 3):
            cycle = [(self.order[i, j], 1), (self.order[j, k], 1), (self.order[i, k], -1)]
            self._add(cycle, -1, 1)
            self._add(cycle, 1, 0)
        for i, j in problem.precedence.tolist():
            if i < j:
                self._add([(self.order[i, j], 1)], 1, 1)
            else:
                self._add([(self.order[j, i], 1)], -1, 0)
        self.end: list[Any] | None = None
        self._idling = bool(problem.release.any())
        if self._idling:
            self._ends(p)
        for j in range(n):
            if self._idling or problem.deadline is None:
                break
            terms, constant = self.completion(j)
            self._add(terms, -1, float(self.latest[j]) - constant)

    def _ends(self, p: list[int]) -> None:
        """With release dates completions do not follow from the order alone."""
        n, head = self.problem.n_jobs, self.head.tolist()
        latest = self.latest.tolist()
        self.end = [self.model.add_variable(f"c{j}", head[j] + p[j], latest[j]) for j in range(n)]
        for i, j in itertools.permutations(range(n), 2):
            # end j >= end i + p j, unless j goes first
            slack = max(0, latest[i] - head[j])
            terms: Terms = [(self.end[j], 1), (self.end[i], -1)]
            if i < j:
                self._add([*terms, (self.order[i, j], -slack)], 1, p[j] - slack)
            else:
                self._add([*terms, (self.order[j, i], slack)], 1, p[j])
        for j in range(n):
            work, constant = self._work(j)
            least = min(head)
            self._add([(self.end[j], 1), *((v, -c) for v, c in work)], 1, constant + least)

    def _work(self, job: int) -> tuple[Terms, float]:
        """Return the work up to and with a job."""
        terms: Terms = []
        constant = float(self.problem.processing[job])
        for i, length in enumerate(self.problem.processing.tolist()):
            if i < job:
                terms.append((self.order[i, job], length))
            elif i > job:
                terms.append((self.order[job, i], -length))
                constant += length
        return terms, constant

    def completion(self, job: int) -> tuple[Terms, float]:
        """Return the work of what goes before, or the variable of the job's end."""
        if self.end is not None:
            return [(self.end[job], 1.0)], 0.0
        return self._work(job)

    def _placed(self, solution: SingleMachineSolution) -> dict[Any, float]:
        position = np.argsort(solution.sequence)
        value = {y: float(position[i] < position[j]) for (i, j), y in self.order.items()}
        if self.end is not None:
            ends = (solution.start + self.problem.processing).tolist()
            value |= {c: float(t) for c, t in zip(self.end, ends, strict=True)}
        return value

    def _sequence(self, value: dict[Any, float]) -> IntArray:
        before = np.zeros(self.problem.n_jobs)
        for (i, j), y in self.order.items():
            first = round(value.get(y, 0.0))
            before[j] += first
            before[i] += 1 - first
        return np.argsort(before, kind="stable")


FORMULATIONS: dict[str, type[SingleMachineMilp]] = {
    "positional": Positional,
    "time-indexed": TimeIndexed,
    "linear-ordering": LinearOrdering,
}
#: Options of `build` that a user may set, with the values that they take.
OPTIONS = {"formulation": tuple(FORMULATIONS)}


def build(
    problem: SingleMachine,
    *,
    upper_bound: int | None = None,
    lower_bound: int | None = None,
    deadline: Deadline | None = None,
    formulation: str | None = None,
) -> SingleMachineMilp:
    """Compile `problem` to a PuLP model; see `optsched.problems.single_machine.cpsat.build`.

    Parameters
    ----------
    formulation : str, optional
        ``"positional"``, ``"time-indexed"`` or ``"linear-ordering"``. Default: time-indexed where
        that is small, linear ordering up to `MOST_ORDERED` jobs, else positional.
    """
    if formulation is None:
        head, latest = windows(problem, upper_bound)
        small = int((latest - head - problem.processing + 1).sum()) <= MOST_STARTS
        ordered = problem.n_jobs <= MOST_ORDERED
        formulation = "time-indexed" if small else "linear-ordering" if ordered else "positional"
    if formulation not in FORMULATIONS:
        raise InputError(
            f"unknown formulation {formulation!r}{nearest(formulation, FORMULATIONS)}: "
            f"one of {', '.join(FORMULATIONS)}"
        )
    return FORMULATIONS[formulation](problem, upper_bound, lower_bound, deadline or Deadline())
