"""Why an instance has no schedule: a minimal set of constraints that contradict each other.

Where CP-SAT refutes an instance soon, its constraints are left out in blocks and then one by one
as long as what remains is still infeasible (deletion filter, Chinneck and Dravnieks 1991).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ortools.sat.python import cp_model

from optsched.core import Deadline, DeadlineExpired, InputError, ProvenInfeasible
from optsched.problems.rcpsp.cpsat import RcpspCpsat
from optsched.problems.rcpsp.problem import Rcpsp
from optsched.problems.rcpsp.validation import LAG_KINDS, NO_DEADLINE

#: Features without which there always is a schedule, capacities permitting.
RISKY = frozenset(
    {"non-renewable resources", "capacity profiles", "maximum lags", "deadlines", "calendars"}
)
#: Deterministic seconds for the first refutation, for each of the later ones, and for all.
FIRST, EACH, ALL = 0.3, 0.1, 3.0
#: Share of the time left, and seconds, at most.
SHARE, SECONDS = 0.2, 5.0
#: Larger instances are left to the solver, which refutes them without giving a reason.
MOST_ACTIVITIES = 500
#: Constraints named in the message.
MOST_NAMED = 20


@dataclass(frozen=True, order=True)
class Constraint:
    """One constraint of an instance that can be left out: its kind and number."""

    kind: str
    number: int


@dataclass(frozen=True)
class Conflict:
    """Constraints that no schedule can keep together.

    Attributes
    ----------
    constraints : tuple of Constraint
    minimal : bool
        Whether each of them is needed; otherwise the effort was at its end.
    message : str
        The same in words.
    """

    constraints: tuple[Constraint, ...]
    minimal: bool
    message: str


def refute(problem: Rcpsp, deadline: Deadline) -> None:
    """Raise `ProvenInfeasible` with the reason where the instance is soon shown infeasible."""
    conflict = find_conflict(problem, deadline)
    if conflict is not None:
        raise ProvenInfeasible(conflict.message)


def find_conflict(problem: Rcpsp, deadline: Deadline | None = None) -> Conflict | None:
    """Return a minimal conflict, or None where none is found with bounded effort.

    Parameters
    ----------
    problem : Rcpsp
    deadline : Deadline, optional
        A share of what is left of it is spent.
    """
    if problem.n_activities > MOST_ACTIVITIES:
        return None
    left = (deadline or Deadline()).remaining()
    return _Filter(problem, Deadline(min(SECONDS, SHARE * left))).run()


def constraints(problem: Rcpsp) -> list[Constraint]:
    """Return everything that can be left out."""
    found = [Constraint("lag", r) for r in range(len(problem.lag))]
    found += [Constraint("resource", k) for k in range(problem.n_resources)]
    found += [Constraint("disjunctive", g) for g in range(len(problem.group_offset) - 1)]
    for kind, present in (
        ("release", problem.release > 0),
        ("deadline", problem.deadline != NO_DEADLINE),
        ("project release", problem.project_release > 0),
        ("project deadline", problem.project_deadline != NO_DEADLINE),
        ("calendar", problem.calendar >= 0),
    ):
        found += [Constraint(kind, i) for i in np.flatnonzero(present).tolist()]
    return found


def relaxed(problem: Rcpsp, kept: Sequence[Constraint]) -> Rcpsp:
    """Return the instance with the constraints `kept` alone, for the makespan."""
    chosen: dict[str, set[int]] = {}
    for each in kept:
        chosen.setdefault(each.kind, set()).add(each.number)

    def some(kind: str, values: list[int | None], absent: int | None) -> list[int | None]:
        wanted = chosen.get(kind, set())
        return [v if i in wanted else absent for i, v in enumerate(values)]

    data = problem.to_dict()
    capacity = [
        each if k in chosen.get("resource", set()) else int(problem.mode_demand[:, k].sum())
        for k, each in enumerate(data["capacity"])
    ]
    lags = [
        (i, j, LAG_KINDS[kind], least)
        for r, (i, j, kind, least) in enumerate(problem.lag.tolist())
        if r in chosen.get("lag", set())
    ]
    groups = [g for k, g in enumerate(problem.groups()) if k in chosen.get("disjunctive", set())]
    return Rcpsp(
        data["activities"],
        capacity,
        lags,
        renewable=problem.renewable.tolist(),
        release=some("release", problem.release.tolist(), 0),
        deadline=some("deadline", problem.deadline.tolist(), None),
        disjunctive=groups,
        calendars=data.get("calendars"),
        calendar=some("calendar", problem.calendar.tolist(), None),
        breakable=problem.breakable.tolist(),
        project=problem.project.tolist(),
        project_release=some("project release", problem.project_release.tolist(), 0),
        project_deadline=some("project deadline", problem.project_deadline.tolist(), None),
    )


class _Filter:
    def __init__(self, problem: Rcpsp, deadline: Deadline) -> None:
        self.problem = problem
        self.deadline = deadline
        self.spent = 0.0

    def run(self) -> Conflict | None:
        kept = constraints(self.problem)
        if not self.infeasible(kept, FIRST):
            return None
        block = max(1, len(kept) // 2)
        minimal = True
        while True:
            at = 0
            while at < len(kept):
                if self.spent > ALL or self.deadline.expired():
                    minimal = False
                    break
                without = kept[:at] + kept[at + block :]
                if self.infeasible(without, EACH):
                    kept = without
                else:
                    at += block
            if block == 1 or not minimal:
                break
            block = max(1, block // 2)
        texts = [describe(self.problem, each) for each in kept]
        more = f"; and {len(texts) - MOST_NAMED} more" if len(texts) > MOST_NAMED else ""
        together = "; ".join(texts[:MOST_NAMED]) + more
        word = "these constraints contradict each other" if minimal else "among these is a conflict"
        return Conflict(tuple(kept), minimal, f"{word}: {together}")

    def infeasible(self, kept: Sequence[Constraint], effort: float) -> bool:
        """Return whether the constraints are refuted with this effort, in deterministic seconds."""
        try:
            model = RcpspCpsat(relaxed(self.problem, kept), None, None, self.deadline).model
        except ProvenInfeasible:
            self.spent += 0.01
            return True
        except (DeadlineExpired, InputError):
            return False
        model.clear_objective()
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.max_deterministic_time = effort
        solver.parameters.max_time_in_seconds = self.deadline.remaining()
        solver.parameters.catch_sigint_signal = False
        status = solver.solve(model)
        self.spent += solver.response_proto.deterministic_time + 0.01
        return bool(status == cp_model.INFEASIBLE)


def describe(problem: Rcpsp, constraint: Constraint) -> str:
    """Return a constraint in words."""
    k = constraint.number
    if constraint.kind == "lag":
        i, j, kind, least = problem.lag[k].tolist()
        first = "end" if kind in (0, 2) else "start"
        second = "start" if kind in (0, 1) else "end"
        if least < 0:
            return f"{first} of activity {i} at most {-least} after {second} of activity {j}"
        return f"{second} of activity {j} at least {least} after {first} of activity {i}"
    if constraint.kind == "resource":
        name = f" ({problem.resource_names[k]})" if problem.resource_names else ""
        return f"capacity of resource {k}{name}"
    if constraint.kind == "disjunctive":
        return f"disjunctive group {k}"
    if constraint.kind == "calendar":
        return f"calendar of activity {k}"
    table = {
        "release": ("activity", problem.release),
        "deadline": ("activity", problem.deadline),
        "project release": ("project", problem.project_release),
        "project deadline": ("project", problem.project_deadline),
    }
    owner, values = table[constraint.kind]
    return f"{constraint.kind.split()[-1]} {values[k]} of {owner} {k}"
