"""The CP-SAT formulation: an optional interval a variant, ``Cumulative`` a resource."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from ortools.sat.python import cp_model

from optsched.core import Deadline, InputError, ProvenInfeasible
from optsched.problems.rcpsp import bounds
from optsched.problems.rcpsp import cpsat_values as values
from optsched.problems.rcpsp.cpsat_values import Runs, Value
from optsched.problems.rcpsp.network import network
from optsched.problems.rcpsp.problem import OBJECTIVES, Rcpsp, RcpspSolution
from optsched.problems.rcpsp.validation import NO_DEADLINE, NO_DUE
from optsched.problems.rcpsp.variants import Variant, variants
from optsched.solvers.base import Compiled

SUPPORTS = frozenset(
    {
        "modes", "non-renewable resources", "capacity profiles", "lags", "maximum lags",
        "release dates", "deadlines", "disjunctive", "calendars", "breakable activities",
    }
    | {f"objective {kind}" for kind in OBJECTIVES}
)  # fmt: skip
#: Most times of all ends together in the tables of present values.
MOST_ENTRIES = 2_000_000
#: Most variables of the levelling objective.
MOST_INSTANTS = 2_000_000


class RcpspCpsat(Compiled):
    """A project scheduling problem as a CP-SAT model.

    Attributes
    ----------
    start, end : list of IntVar or linear expression, one an activity
    presence : list of list of BoolVar or None
        For each activity, one a variant; None where there is only one variant.
    variants : list of list of Variant
    interval : dict of (activity, variant) to IntervalVar
        Those that some resource needs.
    cost : IntVar or None
        Makespan.
    """

    def __init__(
        self, problem: Rcpsp, upper_bound: int | None, lower_bound: int | None, deadline: Deadline
    ) -> None:
        self.problem = problem
        self.model = cp_model.CpModel()
        self.model.name = problem.name
        self._values: list[tuple[int, Value]] = []
        self._deadline = deadline
        self._windows(upper_bound, lower_bound)
        self._activities()
        self._lags()
        self._resources()
        self._exclusions()
        self._objective(upper_bound, lower_bound)
        self._pivot = self._best_pivot()
        self.halves = self._pivot is not None

    def options(self, solver: str, workers: int) -> dict[str, Any]:
        """Return the parameters that prove most on few cores (measured on j30, j60, MMLIB50).

        Clauses over bounds of integers halve the conflicts and the time of refutations; without
        inprocessing, and without orders of pairs that cannot run together, they come sooner still.
        """
        chosen: dict[str, Any] = {
            "use_new_integer_conflict_resolution": True,
            "use_sat_inprocessing": False,
            "use_disjunctive_constraint_in_cumulative": False,
        }
        certain = all(len(ways) == 1 for ways in self.variants)
        if certain and len(self.net.conflict) and self.net.conflict.any():
            # With optional intervals it has cut off optima (OR-Tools 9.15, see the job shop).
            chosen["use_strong_propagation_in_disjunctive"] = True
        if workers == 1:
            # Choices of modes within scarce resources are refuted by the LP (MMLIB50: in a second
            # where propagation alone needs more than ten), orders on resources are not.
            several = self.problem.n_modes > self.problem.n_activities
            chosen["linearization_level"] = 1 if several else 0
        elif workers == 2:
            chosen["subsolvers"] = ["no_lp", "default_lp"]
        return chosen

    # ---- halves --------------------------------------------------------------------------------

    def _best_pivot(self) -> int | None:
        """Return the activity to part the schedules by; None where there is none.

        Early and late starts of a large activity in the middle of the project leave two halves
        that together take about as many conflicts as the whole (measured on j30 and j60); those
        of an activity at either end leave one that takes all of them.
        """
        if self.problem.objective_kind != "makespan":
            return None
        renewable = np.flatnonzero(self.problem.renewable)
        most = [max(1, int(self.problem.profile(k)[1].max())) for k in renewable.tolist()]
        area = self.net.shortest * (self.net.demand[:, renewable] / np.array(most)).sum(axis=1)
        middle = (self.head + self.latest + self.net.shortest) / 2
        worth = area * np.minimum(middle, self.horizon - middle)
        worth[self.latest <= self.head] = 0.0
        pivot = int(np.argmax(worth))
        return pivot if worth[pivot] > 0 else None

    def keep_half(self, side: int) -> None:
        """Keep the schedules in which the pivot starts early (0) or late (1)."""
        assert self._pivot is not None
        start = self.start[self._pivot]
        middle = (int(self.head[self._pivot]) + int(self.latest[self._pivot])) // 2
        self.model.add(start <= middle if side == 0 else start > middle)

    # ---- variables -----------------------------------------------------------------------------

    def _variable(self, low: int, high: int, name: str, value: Value) -> Any:
        variable = self.model.new_int_var(low, high, name)
        self._values.append((variable.index, value))
        return variable

    def _windows(self, upper_bound: int | None, lower_bound: int | None) -> None:
        problem = self.problem
        self.net = network(problem)
        horizon = problem.horizon()
        self.head, latest = self.net.head, self.net.latest
        self.rows = None
        if problem.objective_kind == "makespan" and upper_bound is not None:
            horizon = min(horizon, upper_bound)
            if self.net.distance is not None and problem.n_activities <= bounds.MOST:
                trial = bounds.trial_of(problem, self.net)
                # Where the bound itself is asked for, shaving often refutes more than a model.
                shaved = horizon == lower_bound and trial.refutes_by_shaving(
                    horizon, self._half_time()
                )
                narrowed = None if shaved else trial.windows(horizon)
                if narrowed is None:
                    raise ProvenInfeasible(f"no schedule ends by {horizon}")
                self.head, latest = narrowed
                self.rows = trial.rows
            else:
                latest = np.minimum(latest, horizon - self.net.tail)
        self.horizon = horizon
        self.latest = np.where(latest == NO_DEADLINE, horizon - self.net.shortest, latest)
        self.latest = np.minimum(self.latest, horizon - self.net.shortest)

    def _half_time(self) -> Deadline:
        left = self._deadline.remaining()
        return Deadline(None if left == math.inf else left / 2)

    def _activities(self) -> None:
        problem, model = self.problem, self.model
        last = problem.latest_end()
        self.start: list[Any] = []
        self.end: list[Any] = []
        self.variants: list[list[Variant]] = []
        self.presence: list[list[Any]] = []
        self.interval: dict[tuple[int, int], Any] = {}
        for i in range(problem.n_activities):
            if i % 256 == 255:
                self._deadline.check()
            low, high = int(self.head[i]), int(self.latest[i])
            ways = variants(problem, i, self.net.usable, low, high)
            if not ways:
                raise ProvenInfeasible(
                    f"activity {i} cannot start between {low} and {high} in any mode"
                )
            stretches = [stretch for way in ways for stretch in way.stretches]
            domain = cp_model.Domain.from_intervals([list(stretch) for stretch in stretches])
            start = model.new_int_var_from_domain(domain, f"s{i}")
            self._values.append((start.index, values.start_of(i)))
            self.start.append(start)
            self.variants.append(ways)
            if len(ways) == 1:
                span = ways[0].span
                self.end.append(start + span)
                self.presence.append([None])
            else:
                self._alternatives(i, ways, start, domain)
            if last[i] != NO_DEADLINE:
                model.add(self.end[i] <= int(last[i]))

    def _alternatives(self, i: int, ways: list[Variant], start: Any, domain: Any) -> None:
        model = self.model
        literals = []
        low = min(way.stretches[0][0] + way.span for way in ways)
        high = max(way.stretches[-1][1] + way.span for way in ways)
        end = self._variable(low, min(high, self.horizon), f"e{i}", values.end_of(i))
        for v, way in enumerate(ways):
            chosen = model.new_bool_var(f"x{i}_{v}")
            self._values.append((chosen.index, values.chosen(i, way)))
            own = cp_model.Domain.from_intervals([list(stretch) for stretch in way.stretches])
            if own.flattened_intervals() != domain.flattened_intervals():
                model.add_linear_expression_in_domain(start, own).only_enforce_if(chosen)
            literals.append(chosen)
        model.add_exactly_one(literals)
        # One row for all variants: the LP gains by it. CP-SAT 9.15 aborts in presolve when each
        # variant has a row of its own besides.
        model.add(end == start + sum(w.span * x for w, x in zip(ways, literals, strict=True)))
        self.end.append(end)
        self.presence.append(literals)

    def _interval(self, i: int, v: int) -> Any:
        """Return the interval of a variant, made when first asked for."""
        if (i, v) not in self.interval:
            start, span, chosen = self.start[i], self.variants[i][v].span, self.presence[i][v]
            self.interval[i, v] = (
                self.model.new_fixed_size_interval_var(start, span, f"i{i}")
                if chosen is None
                else self.model.new_optional_fixed_size_interval_var(
                    start, span, chosen, f"i{i}_{v}"
                )
            )
        return self.interval[i, v]

    # ---- constraints ---------------------------------------------------------------------------

    def _lags(self) -> None:
        for i, j, kind, least in self.problem.lag.tolist():
            begin = self.start[i] if kind in (1, 3) else self.end[i]
            until = self.start[j] if kind in (0, 1) else self.end[j]
            self.model.add(until >= begin + least)

    def _running(self, k: int) -> tuple[list[tuple[int, int]], list[int]]:
        """Return the variants that hold a resource, and how much of it."""
        intervals, demands = [], []
        for i, ways in enumerate(self.variants):
            for v, way in enumerate(ways):
                if way.demand[k] and way.span:
                    intervals.append((i, v))
                    demands.append(way.demand[k])
        return intervals, demands

    def _resources(self) -> None:
        problem, model = self.problem, self.model
        for k in range(problem.n_resources):
            self._deadline.check()
            times, levels = (side.tolist() for side in problem.profile(k))
            if not problem.renewable[k]:
                self._consumption(k, levels[0])
                continue
            running, demands = self._running(k)
            most = max(levels)
            missing = []
            for begin, end, level in zip(times, [*times[1:], self.horizon], levels, strict=True):
                if level < most and min(end, self.horizon) > begin:
                    missing.append((begin, min(end, self.horizon) - begin, most - level))
            together = sum(demands) + max((amount for _, _, amount in missing), default=0)
            if not running or together <= most:
                continue
            intervals = [self._interval(i, v) for i, v in running]
            for begin, size, amount in missing:
                intervals.append(model.new_fixed_size_interval_var(begin, size, f"c{k}"))
                demands.append(amount)
            model.add_cumulative(intervals, demands, most)

    def _consumption(self, k: int, capacity: int) -> None:
        fixed, terms = 0, []
        for ways, literals in zip(self.variants, self.presence, strict=True):
            least = min(way.demand[k] for way in ways)
            fixed += least
            terms += [
                (way.demand[k] - least) * literal
                for way, literal in zip(ways, literals, strict=True)
                if way.demand[k] > least
            ]
        if fixed > capacity:
            raise ProvenInfeasible(f"resource {k}: at least {fixed} are consumed, of {capacity}")
        if terms:
            self.model.add(sum(terms) <= capacity - fixed)

    def _exclusions(self) -> None:
        """Disjunctive groups, and cliques of activities that resources keep apart."""
        for group in self.problem.groups():
            self._no_overlap(group)
        if self.rows is None:
            return
        n = self.problem.n_activities
        for row, capacity in zip(self.rows.demand[:, :n], self.rows.capacity, strict=True):
            if capacity == 1:
                self._no_overlap(np.flatnonzero(row).tolist())

    def _no_overlap(self, members: list[int]) -> None:
        intervals = [
            self._interval(i, v)
            for i in members
            for v, way in enumerate(self.variants[i])
            if way.span
        ]
        if len(intervals) > 1:
            self.model.add_no_overlap(intervals)

    # ---- objectives ----------------------------------------------------------------------------

    def _objective(self, upper_bound: int | None, lower_bound: int | None) -> None:
        kind = self.problem.objective_kind
        self.cost: Any = None
        if kind == "makespan":
            self._makespan(lower_bound)
            return
        terms = {
            "total_weighted_tardiness": self._tardiness,
            "negative_net_present_value": self._value,
            "resource_levelling": self._levelling,
        }[kind]()
        total = sum(terms) if terms else self.model.new_constant(0)
        if upper_bound is not None:
            self.model.add(total <= upper_bound)
        if lower_bound is not None:
            self.model.add(total >= lower_bound)
        self.model.minimize(total)

    def _makespan(self, lower_bound: int | None) -> None:
        low = max(int((self.head + self.net.tail).max()), lower_bound or 0)
        if low > self.horizon:
            raise ProvenInfeasible(f"no schedule ends by {self.horizon}")
        self.cost = self._variable(low, self.horizon, "makespan", values.makespan(low))
        plain = (self.problem.lag[:, 2] == 0) & (self.problem.lag[:, 3] >= 0)
        inner = set(self.problem.lag[plain, 0].tolist())
        for i in range(self.problem.n_activities):
            if i not in inner or len(inner) == self.problem.n_activities:
                self.model.add(self.cost >= self.end[i])
        self.model.minimize(self.cost)

    def _tardiness(self) -> list[Any]:
        problem = self.problem
        due = [(problem.due[i], problem.weight[i], [i]) for i in range(problem.n_activities)]
        for p in range(problem.n_projects):
            members = np.flatnonzero(problem.project == p).tolist()
            due.append((problem.project_due[p], problem.project_weight[p], members))
        terms = []
        for number, (date, weight, members) in enumerate(due):
            if date == NO_DUE or not weight or not members:
                continue
            latest = max(self._latest_end(i) for i in members)
            if latest <= date:
                continue
            tardiness = self._variable(
                0,
                latest - int(date),
                f"tardiness{number}",
                values.lateness(members, int(date)),
            )
            for i in members:
                self.model.add(tardiness >= self.end[i] - int(date))
            terms.append(int(weight) * tardiness)
        return terms

    def _latest_end(self, i: int) -> int:
        return min(self.horizon, max(way.stretches[-1][1] + way.span for way in self.variants[i]))

    def _value(self) -> list[Any]:
        problem = self.problem
        entries = 0
        terms = []
        factor = problem.discount(self.horizon)
        for i in np.flatnonzero(problem.cash_flow).tolist():
            low = min(way.stretches[0][0] + way.span for way in self.variants[i])
            high = self._latest_end(i)
            worth = np.floor(problem.cash_flow[i] * factor[low : high + 1] + 0.5).astype(np.int64)
            entries += len(worth)
            if entries > MOST_ENTRIES:
                raise InputError("the horizon is too long for net present value in CP-SAT")
            value = self._variable(
                int(worth.min()),
                int(worth.max()),
                f"worth{i}",
                values.entry(i, low, worth),
            )
            self.model.add_element(self.end[i] - low, worth.tolist(), value)
            terms.append(-value)
        return terms

    def _levelling(self) -> list[Any]:
        problem, model = self.problem, self.model
        if problem.n_modes * (self.horizon + 1) > MOST_INSTANTS:
            raise InputError("the horizon is too long for resource levelling in CP-SAT")
        usage: dict[tuple[int, int], Runs] = {}
        levelled = np.flatnonzero(problem.renewable & (problem.levelling_weight > 0)).tolist()
        for i, ways in enumerate(self.variants):
            self._deadline.check()
            for way, literal in zip(ways, self.presence[i], strict=True):
                self._run(i, way, literal, levelled, usage)
        terms = []
        for (k, t), runs in usage.items():
            most = min(int(problem.profile(k)[1].max()), sum(w.demand[k] for _, _, w, _ in runs))
            level = self._variable(0, most, f"u{k}_{t}", values.usage(k, t, runs))
            square = self._variable(
                0, most * most, f"q{k}_{t}", values.usage(k, t, runs, squared=True)
            )
            model.add(level == sum(way.demand[k] * on for _, _, way, on in runs))
            model.add_multiplication_equality(square, [level, level])
            terms.append(int(problem.levelling_weight[k]) * square)
        return terms

    def _run(
        self,
        i: int,
        way: Variant,
        literal: Any,
        levelled: list[int],
        usage: dict[tuple[int, int], Runs],
    ) -> None:
        """Make the literals that tell at which instants a variant runs."""
        model = self.model
        if not way.span or not any(way.demand[k] for k in levelled):
            return
        low, high = way.stretches[0][0], way.stretches[-1][1]
        begun: dict[int, Any] = {}
        for t in range(low, high):
            literal_t = model.new_bool_var("")
            self._values.append((literal_t.index, values.begun(i, t)))
            model.add(self.start[i] <= t).only_enforce_if(literal_t)
            model.add(self.start[i] > t).only_enforce_if(~literal_t)
            begun[t] = literal_t
        for t in range(low, high + way.span):
            on = model.new_bool_var("")
            self._values.append((on.index, values.running(i, way, t)))
            runs = [] if literal is None else [literal]
            runs += [begun[t]] if t in begun else []
            runs += [~begun[t - way.span]] if t - way.span in begun else []
            # Running is all of these; none of them failing makes it run.
            model.add_bool_or([on, *(~x for x in runs)])
            for x in runs:
                model.add_implication(on, x)
            for k in levelled:
                if way.demand[k]:
                    usage.setdefault((k, t), []).append((i, way.mode, way, on))

    # ---- there and back ------------------------------------------------------------------------

    def hint(self, solution: RcpspSolution) -> npt.NDArray[np.float64]:
        """Return the value of every variable in `solution`, in model order."""
        filled = np.zeros(len(self.model.proto.variables))
        end = self.problem.completion(solution)
        for index, value in self._values:
            filled[index] = value(solution.start, end, solution.mode)
        for index, variable in enumerate(self.model.proto.variables):
            # Constants are no variables of ours.
            if len(variable.domain) == 2 and variable.domain[0] == variable.domain[1]:
                filled[index] = variable.domain[0]
        return filled

    def decode(self, values: npt.NDArray[np.float64]) -> RcpspSolution:
        """Return the schedule that the variables' values stand for."""
        start = np.rint(values[[v.index for v in self.start]]).astype(np.int64)
        mode = np.zeros(self.problem.n_activities, dtype=np.int64)
        for i, (ways, literals) in enumerate(zip(self.variants, self.presence, strict=True)):
            mode[i] = ways[0].mode
            for way, literal in zip(ways, literals, strict=True):
                if literal is not None and values[literal.index] > 0.5:
                    mode[i] = way.mode
        return RcpspSolution(start, mode)


def build(
    problem: Rcpsp,
    *,
    upper_bound: int | None = None,
    lower_bound: int | None = None,
    deadline: Deadline | None = None,
) -> RcpspCpsat:
    """Compile `problem` to CP-SAT.

    Parameters
    ----------
    problem : Rcpsp
    upper_bound, lower_bound : int, optional
        Proven bounds on the optimum; they tighten the domains and never cut off the optimum.
    deadline : Deadline, optional
        Raises `DeadlineExpired` when it passes meanwhile.

    Raises
    ------
    ProvenInfeasible
        When windows, lags and capacities contradict each other.
    InputError
        When times are too large for CP-SAT, or too fine for a time-indexed objective.
    """
    if problem.horizon() > 2**46:
        raise InputError("CP-SAT takes times up to 2^46")
    return RcpspCpsat(problem, upper_bound, lower_bound, deadline or Deadline())
