"""The instance as data of the reference model ``models/rcpsp.mzn``."""

from __future__ import annotations

from typing import Any

import numpy as np

from optsched.core import IntArray
from optsched.problems.rcpsp.problem import OBJECTIVES, Rcpsp, RcpspSolution
from optsched.problems.rcpsp.validation import NO_DUE
from optsched.solvers.minizinc import Reference, Specification, model_path

SUPPORTS: frozenset[str] = frozenset(
    {
        "modes", "non-renewable resources", "capacity profiles", "lags", "maximum lags",
        "release dates", "deadlines", "disjunctive", "calendars", "breakable activities",
    }
    | {f"objective {kind}" for kind in OBJECTIVES}
)  # fmt: skip


class _Reference(Reference):
    def __init__(self, problem: Rcpsp) -> None:
        self.mode_offset = problem.mode_offset
        horizon = problem.horizon()
        data = {
            "n_activities": problem.n_activities,
            "n_modes": problem.n_modes,
            "n_resources": problem.n_resources,
            "n_steps": len(problem.profile_time),
            "n_lags": len(problem.lag),
            "n_groups": len(problem.groups()),
            "n_breaks": len(problem.break_start),
            "n_projects": problem.n_projects,
            "horizon": horizon,
            "activity": _owners(problem.mode_offset),
            "duration": problem.mode_duration.tolist(),
            "demand": problem.mode_demand.tolist(),
            "renewable": problem.renewable.tolist(),
            "group": [{i + 1 for i in group} for group in problem.groups()],
            "break_calendar": _owners(problem.break_offset),
            "break_start": problem.break_start.tolist(),
            "break_end": problem.break_end.tolist(),
            "calendar": (problem.calendar + 1).tolist(),
            "breakable": problem.breakable.tolist(),
            "project": (problem.project + 1).tolist(),
            "cash_flow": problem.cash_flow.tolist(),
            "discount_rate": problem.discount_rate,
            "levelling_weight": problem.levelling_weight.tolist(),
            "objective": OBJECTIVES.index(problem.objective_kind),
        }
        data |= _capacities(problem, horizon) | _lags(problem) | _dates(problem, horizon)
        self.model = Specification(model_path("rcpsp"), data)

    def decode(self, values: Any) -> RcpspSolution:
        """Return the schedule in the model's variables."""
        mode = np.array(values["mode"], dtype=np.int64) - 1
        return RcpspSolution(np.array(values["start"]), mode - self.mode_offset[:-1])


def _owners(offset: IntArray) -> list[int]:
    """Return, for each entry behind `offset`, whose it is, from 1."""
    return np.repeat(np.arange(1, len(offset)), np.diff(offset)).tolist()


def _capacities(problem: Rcpsp, horizon: int) -> dict[str, Any]:
    until: list[int] = []
    for k in range(problem.n_resources):
        times, _ = problem.profile(k)
        until += [*times[1:].tolist(), max(horizon, int(times[-1])) + 1]
    return {
        "resource": _owners(problem.profile_offset),
        "from": problem.profile_time.tolist(),
        "until": until,
        "capacity": problem.profile_capacity.tolist(),
    }


def _lags(problem: Rcpsp) -> dict[str, Any]:
    first, second, kind, least = problem.lag.T.tolist() if len(problem.lag) else ([],) * 4
    return {
        "first": [i + 1 for i in first],
        "second": [i + 1 for i in second],
        "kind": kind,
        "least": least,
    }


def _dates(problem: Rcpsp, horizon: int) -> dict[str, Any]:
    """Return dates and weights; the weight is 0 where there is no due date to miss."""
    no_members = np.bincount(problem.project, minlength=problem.n_projects) == 0
    dates: dict[str, Any] = {}
    for prefix, absent in (("", problem.due == NO_DUE), ("project_", no_members)):
        due: IntArray = getattr(problem, f"{prefix}due")
        absent = absent | (due == NO_DUE)
        deadline = np.minimum(getattr(problem, f"{prefix}deadline"), horizon)
        dates |= {
            f"{prefix}release": getattr(problem, f"{prefix}release").tolist(),
            f"{prefix}deadline": deadline.tolist(),
            f"{prefix}due": np.where(absent, 0, due).tolist(),
            f"{prefix}weight": np.where(absent, 0, getattr(problem, f"{prefix}weight")).tolist(),
        }
    return dates


def build(problem: Rcpsp, **_: Any) -> Reference:
    """State the instance to the reference model; what is known already is not used."""
    return _Reference(problem)
