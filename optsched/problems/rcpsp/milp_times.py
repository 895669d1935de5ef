"""The time-indexed MILP: a binary for each instant at which a variant may start."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pulp

from optsched.core import Deadline, InputError, ProvenInfeasible
from optsched.problems.rcpsp import bounds
from optsched.problems.rcpsp.network import network
from optsched.problems.rcpsp.problem import OBJECTIVES, Rcpsp, RcpspSolution
from optsched.problems.rcpsp.validation import NO_DUE
from optsched.problems.rcpsp.variants import Variant, variants
from optsched.solvers.base import Compiled

Terms = list[tuple[Any, float]]


class TimeIndexed(Compiled):
    """A project scheduling problem as a PuLP model over starts.

    Attributes
    ----------
    starts : list of list of (Variant, int, LpVariable), one list an activity
        Every variant at every start.
    cost : LpVariable or None
        Makespan.
    """

    SUPPORTS: ClassVar[frozenset[str]] = frozenset(
        {
            "modes", "non-renewable resources", "capacity profiles", "lags", "maximum lags",
            "release dates", "deadlines", "disjunctive", "calendars", "breakable activities",
        }
        | {f"objective {kind}" for kind in OBJECTIVES}
    )  # fmt: skip
    #: Most binaries.
    MOST: ClassVar[int] = 300_000

    @staticmethod
    def size(problem: Rcpsp, upper_bound: int | None) -> int:
        """Return about how many binaries the model has."""
        horizon = problem.horizon()
        if problem.objective_kind == "makespan" and upper_bound is not None:
            horizon = min(horizon, upper_bound)
        return problem.n_modes * horizon

    def __init__(
        self, problem: Rcpsp, upper_bound: int | None, lower_bound: int | None, deadline: Deadline
    ) -> None:
        self.problem = problem
        self.deadline = deadline
        self.model = pulp.LpProblem("rcpsp", pulp.LpMinimize)
        self._rows = 0
        self._windows(upper_bound)
        self._places()
        self._lags()
        self._capacities()
        self._objective(lower_bound)

    def _add(self, terms: Iterable[tuple[Any, float]], sense: int, right: float) -> None:
        self._rows += 1
        expression = pulp.LpAffineExpression(list(terms))
        self.model.addConstraint(pulp.LpConstraint(expression, sense, f"r{self._rows}", right))
        if self._rows % 512 == 0:
            self.deadline.check()

    # ---- variables -----------------------------------------------------------------------------

    def _windows(self, upper_bound: int | None) -> None:
        problem = self.problem
        net = network(problem)
        self.horizon = problem.horizon()
        self.head, latest = net.head, net.latest
        if problem.objective_kind == "makespan" and upper_bound is not None:
            self.horizon = min(self.horizon, upper_bound)
            latest = np.minimum(latest, self.horizon - net.tail)
            if net.distance is not None and problem.n_activities <= bounds.MOST:
                narrowed = bounds.trial_of(problem, net).windows(self.horizon)
                if narrowed is None:
                    raise ProvenInfeasible(f"no schedule ends by {self.horizon}")
                self.head, latest = narrowed
        self.net = net
        self.latest = np.minimum(latest, self.horizon - net.shortest)
        if int((self.latest - self.head + 1).sum()) > self.MOST:
            raise InputError(
                "the horizon is too long for the time-indexed formulation; "
                "cpsat, or formulation event-based, may take it"
            )

    def _places(self) -> None:
        problem = self.problem
        last = problem.latest_end()
        self.starts: list[list[tuple[Variant, int, Any]]] = []
        for i in range(problem.n_activities):
            low, high = int(self.head[i]), int(self.latest[i])
            own = []
            for v, way in enumerate(variants(problem, i, self.net.usable, low, high)):
                for a, b in way.stretches:
                    for t in range(a, b + 1):
                        if t + way.span <= min(int(last[i]), self.horizon):
                            name = f"x{i}_{v}_{t}"
                            own.append((way, t, self.model.add_variable(name, 0, 1, "Integer")))
            if not own:
                raise ProvenInfeasible(f"activity {i} has no place within {low} and {high}")
            self._add([(x, 1.0) for _, _, x in own], 0, 1)
            self.starts.append(own)

    def _point(self, i: int, *, end: bool) -> Terms:
        """Return start or end of an activity as terms."""
        return [(x, float(t + way.span if end else t)) for way, t, x in self.starts[i]]

    # ---- constraints ---------------------------------------------------------------------------

    def _lags(self) -> None:
        """State each lag at each instant: it is stronger than once for all instants together.

        When the point of ``i`` is at ``t`` or later, that of ``j`` is at ``t + least`` or later
        (Christofides, Alvarez-Valdes and Tamarit 1987).
        """
        for i, j, kind, least in self.problem.lag.tolist():
            before = [(t + (w.span if kind in (0, 2) else 0), x) for w, t, x in self.starts[i]]
            after = [(t + (w.span if kind >= 2 else 0), x) for w, t, x in self.starts[j]]
            for t in sorted({point for point, _ in before}):
                early = [(x, 1.0) for point, x in after if point < t + least]
                late = [(x, 1.0) for point, x in before if point >= t]
                if early:
                    self._add([*early, *late], -1, 1)

    def _capacities(self) -> None:
        problem = self.problem
        running: dict[tuple[int, int], Terms] = defaultdict(list)
        grouped: dict[tuple[int, int], Terms] = defaultdict(list)
        consumed: dict[int, Terms] = defaultdict(list)
        member = [[g for g, group in enumerate(problem.groups()) if i in group]
                  for i in range(problem.n_activities)]  # fmt: skip
        for i, own in enumerate(self.starts):
            self.deadline.check()
            for way, t, x in own:
                for k, need in enumerate(way.demand):
                    if need and not problem.renewable[k]:
                        consumed[k].append((x, float(need)))
                    elif need:
                        for u in range(t, t + way.span):
                            running[k, u].append((x, float(need)))
                for g in member[i]:
                    for u in range(t, t + way.span):
                        grouped[g, u].append((x, 1.0))
        for (k, u), terms in running.items():
            times, levels = problem.profile(k)
            level = int(levels[np.searchsorted(times, u, side="right") - 1])
            self._add(terms, -1, level)
        for terms in grouped.values():
            self._add(terms, -1, 1)
        for k, terms in consumed.items():
            self._add(terms, -1, int(problem.profile(k)[1][0]))
        self.running = running

    # ---- objectives ----------------------------------------------------------------------------

    def _objective(self, lower_bound: int | None) -> None:
        problem = self.problem
        kind = problem.objective_kind
        self.cost: Any = None
        self.tardiness: list[tuple[Any, int, list[int]]] = []
        self.squares: list[tuple[Any, Terms]] = []
        objective: dict[Any, float] = defaultdict(float)
        if kind == "makespan":
            self.cost = self.model.add_variable("makespan", lower_bound, None)
            for i in range(problem.n_activities):
                self._add([(self.cost, 1.0), *_minus(self._point(i, end=True))], 1, 0)
            objective[self.cost] = 1.0
        elif kind == "total_weighted_tardiness":
            self._tardiness(objective)
        elif kind == "negative_net_present_value":
            factor = problem.discount(self.horizon)
            for i in np.flatnonzero(problem.cash_flow).tolist():
                for way, t, x in self.starts[i]:
                    worth = np.floor(problem.cash_flow[i] * factor[t + way.span] + 0.5)
                    objective[x] -= float(worth)
        else:
            self._levelling(objective)
        self.model.setObjective(pulp.LpAffineExpression(list(objective.items())))

    def _tardiness(self, objective: dict[Any, float]) -> None:
        problem = self.problem
        due = [(problem.due[i], problem.weight[i], [i]) for i in range(problem.n_activities)]
        for p in range(problem.n_projects):
            members = np.flatnonzero(problem.project == p).tolist()
            due.append((problem.project_due[p], problem.project_weight[p], members))
        for number, (date, weight, members) in enumerate(due):
            if date == NO_DUE or not weight or not members:
                continue
            late = self.model.add_variable(f"late{number}", 0, None)
            for i in members:
                terms = self._point(i, end=True)
                self._add([(late, 1.0), *_minus(terms)], 1, -int(date))
            self.tardiness.append((late, int(date), members))
            objective[late] = float(weight)

    def _levelling(self, objective: dict[Any, float]) -> None:
        """Bound the square of usage from below by its tangents between whole numbers."""
        problem = self.problem
        for (k, u), terms in self.running.items():
            weight = int(problem.levelling_weight[k])
            if not weight:
                continue
            square = self.model.add_variable(f"q{k}_{u}", 0, None)
            most = int(problem.profile(k)[1].max())
            for level in range(min(most, int(sum(need for _, need in terms))) + 1):
                slope = 2 * level + 1
                tangent = [(x, -slope * need) for x, need in terms]
                self._add([(square, 1.0), *tangent], 1, -level * (level + 1))
            self.squares.append((square, terms))
            objective[square] = float(weight)

    # ---- there and back ------------------------------------------------------------------------

    def hint(self, solution: RcpspSolution) -> npt.NDArray[np.float64]:
        """Return the value of every variable in `solution`, in model order."""
        problem = self.problem
        end = problem.completion(solution)
        values: dict[Any, float] = defaultdict(float)
        for i, own in enumerate(self.starts):
            for way, t, x in own:
                chosen = way.mode == solution.mode[i] and t == solution.start[i]
                values[x] = float(chosen and t + way.span == end[i])
        if self.cost is not None:
            values[self.cost] = max(float(end.max()), self.cost.lowBound or 0.0)
        for late, date, members in self.tardiness:
            values[late] = float(max(0, int(end[members].max()) - date))
        for square, terms in self.squares:
            values[square] = sum(values[x] * need for x, need in terms) ** 2
        return np.array([values[v] for v in self.model.variables()])

    def decode(self, values: npt.NDArray[np.float64]) -> RcpspSolution:
        """Return the schedule that the variables' values stand for."""
        value = dict(zip(self.model.variables(), values.tolist(), strict=True))
        start, mode = [], []
        for own in self.starts:
            way, t, _ = max(own, key=lambda place: value[place[2]])
            start.append(t)
            mode.append(way.mode)
        return RcpspSolution(start, mode)


def _minus(terms: Terms) -> Terms:
    return [(x, -c) for x, c in terms]
