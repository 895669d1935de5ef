"""An instance as plain lists and numbers, for JSON."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from optsched.core import IntArray
from optsched.problems.rcpsp import validation
from optsched.problems.rcpsp.validation import LAG_KINDS, NO_DEADLINE

if TYPE_CHECKING:
    from optsched.problems.rcpsp.problem import Rcpsp


def plain(problem: Rcpsp) -> dict[str, Any]:
    """Return the instance as plain data; fields at their default are left out."""
    data: dict[str, Any] = {
        "optsched": "problem",
        "family": problem.family,
        "name": problem.name,
        "objective": problem.objective_kind,
        "activities": _activities(problem),
        "capacity": _capacity(problem),
    }
    optional: dict[str, tuple[Any, bool]] = {
        "precedence": (_lags(problem), bool(len(problem.lag))),
        "renewable": (problem.renewable.tolist(), bool((~problem.renewable).any())),
        "release": (problem.release.tolist(), bool(problem.release.any())),
        "deadline": _times(problem.deadline),
        "due": _times(problem.due),
        "weight": (problem.weight.tolist(), bool((problem.weight != 1).any())),
        "disjunctive": (problem.groups(), len(problem.group_offset) > 1),
        "calendars": (_calendars(problem), len(problem.break_offset) > 1),
        "calendar": (
            validation.absent_as_none(problem.calendar, -1),
            bool((problem.calendar >= 0).any()),
        ),
        "breakable": (problem.breakable.tolist(), bool(problem.breakable.any())),
        "project": (problem.project.tolist(), bool(problem.project.any())),
        "project_release": (
            problem.project_release.tolist(),
            bool(problem.project_release.any()) or problem.n_projects > problem.project.max() + 1,
        ),
        "project_deadline": _times(problem.project_deadline),
        "project_due": _times(problem.project_due),
        "project_weight": (
            problem.project_weight.tolist(),
            bool((problem.project_weight != 1).any()),
        ),
        "cash_flow": (problem.cash_flow.tolist(), bool(problem.cash_flow.any())),
        "discount_rate": (problem.discount_rate, problem.discount_rate > 0),
        "levelling_weight": (
            problem.levelling_weight.tolist(),
            bool((problem.levelling_weight != 1).any()),
        ),
        "activity_names": (list(problem.activity_names), bool(problem.activity_names)),
        "resource_names": (list(problem.resource_names), bool(problem.resource_names)),
    }
    return data | {key: value for key, (value, present) in optional.items() if present}


def _activities(problem: Rcpsp) -> list[Any]:
    modes = [
        [duration, demand]
        for duration, demand in zip(
            problem.mode_duration.tolist(), problem.mode_demand.tolist(), strict=True
        )
    ]
    bounds = problem.mode_offset.tolist()
    return [modes[a] if b == a + 1 else modes[a:b] for a, b in itertools.pairwise(bounds)]


def _capacity(problem: Rcpsp) -> list[Any]:
    steps = [np.column_stack(problem.profile(k)).tolist() for k in range(problem.n_resources)]
    return [each[0][1] if len(each) == 1 else each for each in steps]


def _lags(problem: Rcpsp) -> list[list[Any]]:
    return [
        [i, j] if (kind, least) == (0, 0) else [i, j, LAG_KINDS[kind], least]
        for i, j, kind, least in problem.lag.tolist()
    ]


def _calendars(problem: Rcpsp) -> list[Any]:
    pairs = np.column_stack((problem.break_start, problem.break_end)).tolist()
    bounds = problem.break_offset.tolist()
    return [pairs[a:b] for a, b in itertools.pairwise(bounds)]


def _times(values: IntArray) -> tuple[list[int | None], bool]:
    """Return times for JSON, and whether there is any."""
    return validation.absent_as_none(values, NO_DEADLINE), bool((values != NO_DEADLINE).any())
