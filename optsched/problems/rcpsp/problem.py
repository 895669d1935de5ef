"""Project scheduling: the data, its validation, and the entry points of checker and objective."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from optsched.core import (
    MAX_TIME,
    BoolArray,
    Frozen,
    InputError,
    IntArray,
    Problem,
    Solution,
    Violation,
)
from optsched.numbers import integers
from optsched.problems.rcpsp import checker, plain, validation
from optsched.problems.rcpsp.validation import NO_DEADLINE, NO_DUE

OBJECTIVES = (
    "makespan",
    "total_weighted_tardiness",
    "negative_net_present_value",
    "resource_levelling",
)


class RcpspSolution(Solution):
    """A schedule: a start time and a mode for every activity.

    Attributes
    ----------
    start : ndarray of int64, shape (n_activities,)
        Start time of each activity, in the instance's own unit.
    mode : ndarray of int64, shape (n_activities,)
        Mode of each activity, counted from 0 within the activity.
    """

    __slots__ = ("mode", "start")

    def __init__(self, start: Any, mode: Any = None) -> None:
        self.start = integers(start, "solution: start")
        if mode is None:
            mode = np.zeros(self.start.shape, dtype=np.int64)
        self.mode = integers(mode, "solution: mode")
        for name, values in (("start", self.start), ("mode", self.mode)):
            if values.ndim != 1:
                raise InputError(f"solution: {name} must be a flat list, one entry an activity")
            values.flags.writeable = False

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"start": [...], "mode": [...]}``."""
        return {"start": self.start.tolist(), "mode": self.mode.tolist()}

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`; ``mode`` may be absent where every activity has one."""
        if not isinstance(data, Mapping) or "start" not in data:
            raise InputError("solution: expected an object with 'start' and 'mode'")
        return cls(data["start"], data.get("mode"))

    def __repr__(self) -> str:
        return f"RcpspSolution({len(self.start)} activities)"


class Rcpsp(Frozen, Problem):
    """Activities in modes, on limited resources, under generalized precedence.

    Times are integers in the instance's own unit, from 0; everything counts from 0. An activity
    holds its resources from its start to its end, breaks of its calendar included.

    Parameters
    ----------
    activities : sequence
        One entry an activity: ``(duration, demands)``, with one demand a resource, or a list of
        such modes of which one is to be chosen.
    capacity : sequence
        One entry a resource: a number, or steps ``[(0, capacity), (time, capacity), ...]`` each
        of which holds until the next (capacity 0: the resource is down).
    precedence : sequence of tuples, optional
        ``(before, after)``: the end of the one comes before the start of the other. With more
        entries ``(a, b, kind, least, largest)`` a lag: ``kind`` is ``"FS"``, ``"SS"``, ``"FF"``
        or ``"SF"`` for from finish or start of ``a`` to start or finish of ``b``; the time from
        the one to the other is at least ``least`` (default 0, may be negative, None for no
        such limit) and at most ``largest`` (default None).
    renewable : bool or sequence of bool, shape (n_resources,)
        Whether the capacity is there at every instant; of a non-renewable resource it is what
        all activities together may consume.
    release, deadline : sequence of int, shape (n_activities,), optional
        Earliest starts (default 0) and latest ends (`None` for an activity without one).
    due, weight : sequence of int, shape (n_activities,), optional
        Due dates (`None` for an activity without one) and weights (default 1) of tardiness.
    disjunctive : sequence of sequences of int, optional
        Groups of activities of which no two may run at a time.
    calendars : sequence of sequences of (start, end), optional
        Calendars: each the half-open breaks in which nobody works.
    calendar : sequence of int or None, shape (n_activities,), optional
        Which calendar an activity follows. One of duration 0 follows none.
    breakable : bool or sequence of bool, shape (n_activities,)
        Whether an activity may pause over breaks of its calendar; it starts outside them. Others
        run between two breaks.
    project : sequence of int, shape (n_activities,), optional
        The project of each activity (default: all belong to project 0).
    project_release, project_deadline, project_due, project_weight : sequence, optional
        The same for whole projects, which end with their last activity.
    objective : str
        ``"makespan"``, ``"total_weighted_tardiness"`` (of activities and projects with due
        dates), ``"negative_net_present_value"`` or ``"resource_levelling"`` (the sum over
        resources and time of weight times squared usage); always minimised. The present value
        of a cash flow is rounded to a whole unit of money each, so that values are integers.
    cash_flow : sequence of int, shape (n_activities,), optional
        What each activity pays (or costs, negative) when it ends.
    discount_rate : float
        Interest a unit of time: at time ``t`` a unit of money is worth ``(1 + rate) ** -t``.
    levelling_weight : sequence of int, shape (n_resources,), optional
        Weights of the renewable resources in the levelling objective (default 1).
    activity_names, resource_names : sequence of str, optional
        For people.
    name : str
        For people.

    Attributes
    ----------
    mode_offset : ndarray, shape (n_activities + 1,)
        Modes of activity ``i`` are ``mode_offset[i]`` to ``mode_offset[i + 1]``.
    mode_duration : ndarray, shape (n_modes,)
    mode_demand : ndarray, shape (n_modes, n_resources)
    profile_offset : ndarray, shape (n_resources + 1,)
        Steps of resource ``k``, in `profile_time` and `profile_capacity`.
    lag : ndarray, shape (n_lags, 4)
        Rows ``from, to, kind, least``; the kind indexes `LAG_KINDS`. A largest lag is a row
        backwards.
    group_offset, group_member : ndarray
        The disjunctive groups.
    break_offset, break_start, break_end : ndarray
        The calendars' breaks, sorted and merged.

    Raises
    ------
    InputError
        Naming the activity, resource or row, when the data are no instance.
    """

    family = "rcpsp"
    solution_type = RcpspSolution

    mode_offset: IntArray
    mode_duration: IntArray
    mode_demand: IntArray
    profile_offset: IntArray
    profile_time: IntArray
    profile_capacity: IntArray
    renewable: BoolArray
    lag: IntArray
    release: IntArray
    deadline: IntArray
    due: IntArray
    weight: IntArray
    group_offset: IntArray
    group_member: IntArray
    break_offset: IntArray
    break_start: IntArray
    break_end: IntArray
    calendar: IntArray
    breakable: BoolArray
    project: IntArray
    project_release: IntArray
    project_deadline: IntArray
    project_due: IntArray
    project_weight: IntArray
    objective_kind: str
    cash_flow: IntArray
    discount_rate: float
    levelling_weight: IntArray
    activity_names: tuple[str, ...]
    resource_names: tuple[str, ...]

    def __init__(
        self,
        activities: Sequence[Any],
        capacity: Sequence[Any],
        precedence: Sequence[Any] | None = None,
        *,
        renewable: Any = None,
        release: Any = None,
        deadline: Any = None,
        due: Any = None,
        weight: Any = None,
        disjunctive: Any = None,
        calendars: Any = None,
        calendar: Any = None,
        breakable: Any = False,
        project: Any = None,
        project_release: Any = None,
        project_deadline: Any = None,
        project_due: Any = None,
        project_weight: Any = None,
        objective: str = "makespan",
        cash_flow: Any = None,
        discount_rate: float = 0.0,
        levelling_weight: Any = None,
        activity_names: Any = None,
        resource_names: Any = None,
        name: str = "",
    ) -> None:
        if not isinstance(objective, str) or objective not in OBJECTIVES:
            raise InputError(f"unknown objective {objective!r}: one of {', '.join(OBJECTIVES)}")
        v = self.__dict__
        v["name"] = str(name)
        v["objective_kind"] = objective
        offset, time, level = validation.profiles(capacity)
        v["profile_offset"], v["profile_time"], v["profile_capacity"] = offset, time, level
        v["renewable"] = validation.renewable(renewable, offset)
        n_resources = len(offset) - 1
        v["mode_offset"], v["mode_duration"], v["mode_demand"] = validation.modes(
            activities, n_resources
        )
        n = len(v["mode_offset"]) - 1
        v["lag"] = validation.lags(precedence, n)
        self._fill_times(n, release, deadline, due, weight)
        v["group_offset"], v["group_member"] = validation.groups(disjunctive, n)
        breaks = validation.calendars(calendars)
        v["break_offset"], v["break_start"], v["break_end"] = breaks
        v["calendar"] = validation.choices(calendar, n, len(breaks[0]) - 1, "calendar")
        v["breakable"] = validation.flags(breakable, n, "breakable", "activity")
        self._fill_projects(
            n, project, project_release, project_deadline, project_due, project_weight
        )
        v["cash_flow"] = validation.per_item(cash_flow, n, "cash flow", "activity", 0, least=None)
        v["discount_rate"] = validation.rate(discount_rate)
        v["levelling_weight"] = validation.per_item(
            levelling_weight, n_resources, "levelling weight", "resource", 1
        )
        v["activity_names"] = validation.names(activity_names, n, "activity")
        v["resource_names"] = validation.names(resource_names, n_resources, "resource")
        self._freeze()
        self._check_objective()
        self._check_size()

    def _fill_times(self, n: int, release: Any, deadline: Any, due: Any, weight: Any) -> None:
        v = self.__dict__
        v["release"] = validation.per_item(release, n, "release date", "activity", 0)
        v["deadline"] = validation.optional_times(deadline, n, "deadline", "activity")
        v["due"] = validation.optional_times(due, n, "due date", "activity")
        v["weight"] = validation.per_item(weight, n, "weight", "activity", 1)

    def _fill_projects(
        self, n: int, project: Any, release: Any, deadline: Any, due: Any, weight: Any
    ) -> None:
        v = self.__dict__
        v["project"] = validation.per_item(project, n, "project", "activity", 0)
        given = [len(x) for x in (release, deadline, due, weight) if hasattr(x, "__len__")]
        count = max([int(v["project"].max()) + 1, *given])
        if count > max(n, *given, 0):
            raise InputError(f"project {count - 1} is more than {n} activities can have")
        v["project_release"] = validation.per_item(release, count, "release date", "project", 0)
        v["project_deadline"] = validation.optional_times(deadline, count, "deadline", "project")
        v["project_due"] = validation.optional_times(due, count, "due date", "project")
        v["project_weight"] = validation.per_item(weight, count, "weight", "project", 1)

    def _check_objective(self) -> None:
        kind = self.objective_kind
        if kind == "total_weighted_tardiness":
            if (self.due == NO_DUE).all() and (self.project_due == NO_DUE).all():
                raise InputError(f"objective {kind} needs due dates: pass due or project_due")
            return
        endless = self.latest_end() == NO_DEADLINE
        if kind == "resource_levelling" and endless.any():
            i = int(np.flatnonzero(endless)[0])
            raise InputError(
                f"objective {kind} needs a deadline for every activity: activity {i} has none"
            )
        if kind == "negative_net_present_value":
            for i in np.flatnonzero(endless & (self.cash_flow < 0)).tolist():
                raise InputError(
                    f"activity {i}: a negative cash flow needs a deadline, or it is put off forever"
                )

    def _check_size(self) -> None:
        # Float sums cannot wrap round; they are exact below 2^53, and above that only refused.
        horizon = self._float_horizon()
        if horizon >= MAX_TIME:
            raise InputError("the sum of durations, dates and lags exceeds 2^53")
        demand = self.mode_demand.astype(float).sum(axis=0)
        if demand.size and demand.max() >= MAX_TIME:
            raise InputError("the sum of the demands for a resource exceeds 2^53")
        most = horizon
        if self.objective_kind == "total_weighted_tardiness":
            early = min(0, int(self.due.min()), int(self.project_due.min()))
            total = self.weight.astype(float).sum() + self.project_weight.astype(float).sum()
            most = (horizon - early) * float(total)
        elif self.objective_kind == "negative_net_present_value":
            most = float(np.abs(self.cash_flow).astype(float).sum())
        elif self.objective_kind == "resource_levelling":
            most = horizon * float((self.levelling_weight * demand**2).sum())
        if most >= MAX_TIME:
            raise InputError("the objective, weights included, may exceed 2^53")

    # ---- sizes and derived data ----------------------------------------------------------------

    @property
    def n_activities(self) -> int:
        """Number of activities."""
        return len(self.mode_offset) - 1

    @property
    def n_modes(self) -> int:
        """Number of modes of all activities together."""
        return len(self.mode_duration)

    @property
    def n_resources(self) -> int:
        """Number of resources, renewable and not."""
        return len(self.profile_offset) - 1

    @property
    def n_projects(self) -> int:
        """Number of projects."""
        return len(self.project_due)

    def earliest_start(self) -> IntArray:
        """Return each activity's release date, its project's included."""
        return np.asarray(np.maximum(self.release, self.project_release[self.project]))

    def latest_end(self) -> IntArray:
        """Return each activity's deadline, its project's included; `NO_DEADLINE` for none."""
        return np.asarray(np.minimum(self.deadline, self.project_deadline[self.project]))

    def profile(self, resource: int) -> tuple[IntArray, IntArray]:
        """Return the times and capacities of a resource's steps."""
        part = slice(*self.profile_offset[resource : resource + 2].tolist())
        return self.profile_time[part], self.profile_capacity[part]

    def breaks(self, activity: int) -> tuple[IntArray, IntArray]:
        """Return starts and ends of the breaks that bind an activity."""
        c = int(self.calendar[activity])
        part = slice(0, 0) if c < 0 else slice(*self.break_offset[c : c + 2].tolist())
        return self.break_start[part], self.break_end[part]

    def groups(self) -> list[list[int]]:
        """Return the disjunctive groups."""
        bounds = self.group_offset.tolist()
        members = self.group_member.tolist()
        return [members[a:b] for a, b in itertools.pairwise(bounds)]

    def horizon(self) -> int:
        """Return a time by which some optimal schedule has ended, if there is any schedule.

        In a schedule that is as early as its own decisions allow, every start hangs by a chain
        of activities on a date: no chain takes longer than all activities with their lags.
        """
        return int(self._float_horizon())

    def _float_horizon(self) -> float:
        dates = [0, int(self.earliest_start().max()), int(self.profile_time.max(initial=0))]
        dates.append(int(self.break_end.max(initial=0)))
        if self.objective_kind in ("negative_net_present_value", "resource_levelling"):
            latest = self.latest_end()
            dates.append(int(latest[latest != NO_DEADLINE].max(initial=0)))
        span = np.maximum.reduceat(self.mode_duration, self.mode_offset[:-1]).astype(float)
        longest = np.zeros(self.n_activities)
        np.maximum.at(longest, self.lag[:, 0], self.lag[:, 3].astype(float))
        return float(max(dates)) + float((span + longest).sum())

    def discount(self, horizon: int) -> npt.NDArray[np.float64]:
        """Return what a unit of money is worth at times 0, 1, ..., `horizon`."""
        factors: npt.NDArray[np.float64] = (1.0 + self.discount_rate) ** -np.arange(horizon + 1.0)
        return factors

    def features(self) -> frozenset[str]:
        """Return the features in use, by the names that solvers declare."""
        bound = self.calendar >= 0
        used = {
            "modes": self.n_modes > self.n_activities,
            "non-renewable resources": bool((~self.renewable).any()),
            "capacity profiles": len(self.profile_time) > self.n_resources,
            "lags": bool((self.lag[:, 2:] != 0).any()),
            "maximum lags": self._cyclic(),
            "release dates": bool(self.earliest_start().any()),
            "deadlines": bool((self.latest_end() != NO_DEADLINE).any()),
            "disjunctive": len(self.group_offset) > 1,
            "calendars": bool(bound.any()),
            "breakable activities": bool((self.breakable & bound).any()),
            f"objective {self.objective_kind}": True,
        }
        return frozenset(name for name, present in used.items() if present)

    def _cyclic(self) -> bool:
        """Return whether some activities wait for each other, as those with largest lags do."""
        waiting = np.bincount(self.lag[:, 1], minlength=self.n_activities)
        order = np.argsort(self.lag[:, 0], kind="stable")
        after = self.lag[order, 1]
        first = np.searchsorted(self.lag[order, 0], np.arange(self.n_activities + 1))
        ready = np.flatnonzero(waiting == 0).tolist()
        seen = 0
        while ready:
            i = ready.pop()
            seen += 1
            for j in after[first[i] : first[i + 1]].tolist():
                waiting[j] -= 1
                if not waiting[j]:
                    ready.append(j)
        return seen < self.n_activities

    def describe(self) -> str:
        """Return one line: name, size, objective and side constraints."""
        name = f"{self.name}: " if self.name else ""
        extra = sorted(f for f in self.features() if not f.startswith("objective "))
        with_extra = f", with {', '.join(extra)}" if extra else ""
        objective = self.objective_kind.replace("_", " ")
        projects = f"{self.n_projects} projects, " if self.n_projects > 1 else ""
        return (
            f"{name}project scheduling, {projects}{self.n_activities} activities, "
            f"{self.n_resources} resources, {objective}{with_extra}"
        )

    # ---- judging -------------------------------------------------------------------------------

    def completion(self, solution: RcpspSolution) -> IntArray:
        """Return the end of every activity, shape (n_activities,)."""
        return checker.completions(self, solution)

    def check(self, solution: RcpspSolution) -> list[Violation]:
        """Return every violation of `solution`; an empty list means feasible."""
        return checker.check(self, solution)

    def objective(self, solution: RcpspSolution) -> int:
        """Return the objective value, computed from starts and modes."""
        return checker.objective(self, solution)

    # ---- plain data ----------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the instance as plain data; fields at their default are left out."""
        return plain.plain(self)

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Inverse of `to_dict`."""
        return cls(**validation.constructor_arguments(data))
