"""The three MILP formulations: positional, time-indexed, linear ordering."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from optsched.core import InputError, IntArray
from optsched.problems.single_machine.milp_model import SingleMachineMilp, Terms
from optsched.problems.single_machine.problem import SingleMachineSolution
from optsched.problems.single_machine.windows import in_order


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
        self._least_work(p)
        # Over all jobs: the load that completions imply (Queyranne 1993).
        load = (sum(p) ** 2 + sum(length * length for length in p)) / 2
        self._add([(c, p[j]) for j, c in enumerate(self.end)], 1, load)
        for i, j in problem.precedence.tolist():
            terms = [(x, k) for k, x in enumerate(self.assigned[j])]
            self._add([*terms, *((x, -k) for k, x in enumerate(self.assigned[i]))], 1, 1)

    def _least_work(self, p: list[int]) -> None:
        """Add the valid inequality of Keha, Khowala and Fowler (2009), one a job.

        A job at place k ends after its own time and that of the k - 1 shortest others at least.
        """
        shortest = np.sort(self.problem.processing)
        rank = np.argsort(np.argsort(self.problem.processing, kind="stable"))
        total = np.concatenate(([0], np.cumsum(shortest)))
        places = np.arange(len(p))
        for j, row in enumerate(self.assigned):
            # Of the k + 1 shortest of all the job itself is left out, where it is among them.
            least = np.where(places <= rank[j], total[:-1], total[1:] - p[j])
            terms = [(x, -int(work)) for x, work in zip(row[1:], least[1:], strict=True)]
            self._add([(self.end[j], 1), *terms], 1, p[j])

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
