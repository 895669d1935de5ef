"""The event-based MILP: a binary tells whether an activity runs between two events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pulp

from optsched.core import Deadline, IntArray
from optsched.problems.rcpsp import kernels
from optsched.problems.rcpsp.network import network
from optsched.problems.rcpsp.problem import Rcpsp, RcpspSolution
from optsched.problems.rcpsp.project_arrays import Arrays
from optsched.problems.rcpsp.validation import NO_DEADLINE
from optsched.solvers.base import Compiled


class OnOffEvents(Compiled):
    """A single-mode instance as a PuLP model over events; there is one event an activity.

    Attributes
    ----------
    time : list of LpVariable
        When each event is.
    on : list of list of LpVariable
        For each activity and event, whether it runs from that event to the next.
    cost : LpVariable
        Makespan.
    """

    SUPPORTS: ClassVar[frozenset[str]] = frozenset(
        {"release dates", "deadlines", "disjunctive", "objective makespan"}
    )

    def __init__(
        self, problem: Rcpsp, upper_bound: int | None, lower_bound: int | None, deadline: Deadline
    ) -> None:
        self.problem = problem
        self.deadline = deadline
        self.model = pulp.LpProblem("rcpsp", pulp.LpMinimize)
        self.net = network(problem)
        self.horizon = problem.horizon()
        if upper_bound is not None:
            self.horizon = min(self.horizon, upper_bound)
        self._rows = 0
        n = problem.n_activities
        add = self.model.add_variable
        self.cost = add("makespan", lower_bound, self.horizon)
        self.time = [add(f"t{e}", 0, self.horizon) for e in range(n)]
        self.on = [[add(f"z{i}_{e}", 0, 1, "Integer") for e in range(n)] for i in range(n)]
        self.model.setObjective(pulp.LpAffineExpression([(self.cost, 1.0)]))
        for e in range(n - 1):
            self._add([(self.time[e + 1], 1.0), (self.time[e], -1.0)], 1, 0)
        for i in range(n):
            self._activity(i)
        self._precedence()
        self._resources()

    def _add(self, terms: Iterable[tuple[Any, float]], sense: int, right: float) -> None:
        self._rows += 1
        total: dict[Any, float] = {}
        for variable, factor in terms:
            total[variable] = total.get(variable, 0.0) + factor
        expression = pulp.LpAffineExpression(list(total.items()))
        self.model.addConstraint(pulp.LpConstraint(expression, sense, f"r{self._rows}", right))
        if self._rows % 512 == 0:
            self.deadline.check()

    def _step(self, i: int, e: int) -> list[tuple[Any, float]]:
        """Return 1 where the activity begins at the event, -1 where it has just ended."""
        own = [(self.on[i][e], 1.0)]
        return own if e == 0 else [*own, (self.on[i][e - 1], -1.0)]

    def _activity(self, i: int) -> None:
        n = self.problem.n_activities
        length = float(self.problem.mode_duration[i])
        on = self.on[i]
        self._add([(z, 1.0) for z in on], 1, 1)
        for e in range(n):
            step = self._step(i, e)
            self._add([(self.cost, 1.0), (self.time[e], -1.0), *_times(step, -length)], 1, 0)
            for f in range(e + 1, n):
                # Begun at e and ended at f: a duration lies between them.
                span = [(self.time[f], 1.0), (self.time[e], -1.0)]
                begun, ended = _times(step, -length), _times(self._step(i, f), length)
                self._add([*span, *begun, *ended], 1, -length)
            if e:
                # It runs without interruption.
                self._add([*((z, 1.0) for z in on[:e]), *_times(step, float(e))], -1, e)
                later = float(n - e)
                self._add([*((z, 1.0) for z in on[e:]), *_times(step, -later)], -1, later)
            self._window(i, e, step)

    def _window(self, i: int, e: int, step: list[tuple[Any, float]]) -> None:
        head, latest = int(self.net.head[i]), int(self.net.latest[i])
        if head:
            # While it runs the event is not before its earliest start.
            self._add([(self.time[e], 1.0), (self.on[i][e], -float(head))], 1, 0)
        if latest != NO_DEADLINE and latest < self.horizon:
            slack = float(self.horizon - latest)
            self._add([(self.time[e], 1.0), *_times(step, slack)], -1, latest + slack)

    def _precedence(self) -> None:
        n = self.problem.n_activities
        for i, j, _, _ in self.problem.lag.tolist():
            for e in range(n):
                early = [(z, 1.0) for z in self.on[j][: e + 1]]
                self._add([*early, (self.on[i][e], float(e + 1))], -1, e + 1)

    def _resources(self) -> None:
        problem = self.problem
        n = problem.n_activities
        held = problem.mode_duration > 0
        rows = [
            (np.where(held, problem.mode_demand[:, k], 0), int(problem.profile(k)[1][0]))
            for k in range(problem.n_resources)
        ]
        rows += [(np.isin(np.arange(n), group) & held, 1) for group in problem.groups()]
        for need, capacity in rows:
            for e in range(n):
                terms = [(self.on[i][e], float(need[i])) for i in np.flatnonzero(need).tolist()]
                if terms:
                    self._add(terms, -1, capacity)

    # ---- there and back ------------------------------------------------------------------------

    def hint(self, solution: RcpspSolution) -> npt.NDArray[np.float64]:
        """Return the value of every variable in `solution`, in model order."""
        start = solution.start
        end = self.problem.completion(solution)
        order = np.lexsort((self._depth(), start))  # one event an activity
        values: dict[Any, float] = {self.cost: max(float(end.max()), self.cost.lowBound or 0.0)}
        position = np.argsort(order)
        for e, first in enumerate(order.tolist()):
            values[self.time[e]] = float(start[first])
            for i, own in enumerate(self.on):
                begun = position[i] <= e
                runs = begun and (position[i] == e or start[first] < end[i])
                values[own[e]] = float(runs)
        return np.array([values[v] for v in self.model.variables()])

    def _depth(self) -> IntArray:
        """Return a number for each activity that grows along the precedence."""
        depth = np.zeros(self.problem.n_activities, dtype=np.int64)
        i, j = self.problem.lag[:, 0], self.problem.lag[:, 1]
        for _ in range(len(depth)):
            before = depth.copy()
            np.maximum.at(depth, j, depth[i] + 1)
            if np.array_equal(before, depth):
                break
        return depth

    def decode(self, values: npt.NDArray[np.float64]) -> RcpspSolution:
        """Return the schedule that starts the activities in the order of their events, early."""
        value = dict(zip(self.model.variables(), values.tolist(), strict=True))
        key = np.array(
            [next((e for e, z in enumerate(own) if value[z] > 0.5), 0) for own in self.on],
            dtype=np.int64,
        )
        arrays = Arrays(self.problem)
        start = np.empty(len(key), dtype=np.int64)
        kernels.serial(
            key, arrays.duration, arrays.demand, *arrays.forward.parts, *arrays.room, start
        )
        return RcpspSolution(start)


def _times(terms: list[tuple[Any, float]], factor: float) -> list[tuple[Any, float]]:
    return [(x, c * factor) for x, c in terms]
