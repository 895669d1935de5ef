"""Why an instance has no schedule: a minimal set of jobs that cannot all meet their deadlines.

Without deadlines there is nearly always a schedule, one job after the other. Where CP-SAT refutes
them soon, jobs, machines and breaks are left out one by one as long as what remains is still
infeasible (deletion filter, Chinneck and Dravnieks 1991). Leaving jobs out relaxes the problem:
the others' schedule stays feasible, with setups shortened to those of the best detour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from optsched.core import Deadline, ProvenInfeasible
from optsched.problems.job_shop.cpsat import JobShopCpsat
from optsched.problems.job_shop.problem import NO_DEADLINE, JobShop
from optsched.problems.job_shop.windows import windows

#: Effort for the first refutation, for each of the later ones, and for all: in CP-SAT's
#: deterministic seconds, some 15 of the processor's on the models here.
FIRST, EACH, ALL = 0.1, 0.03, 0.3
#: Larger instances are left to the solver, which refutes them without giving a reason.
MOST_OPERATIONS = 500
#: Names that a message lists at most.
MOST_LISTED = 10


@dataclass(frozen=True)
class Conflict:
    """Jobs that cannot all meet their deadlines, whatever the others do.

    Attributes
    ----------
    jobs : tuple of int
    machines : tuple of int
        Those whose taking one operation at a time matters.
    breaks : tuple of int
        Machines whose breaks matter.
    minimal : bool
        Whether nothing of it can be left out; otherwise the effort was at its end.
    message : str
        The same in words.
    """

    jobs: tuple[int, ...]
    machines: tuple[int, ...]
    breaks: tuple[int, ...]
    minimal: bool
    message: str


def refute(problem: JobShop, deadline: Deadline) -> None:
    """Raise `ProvenInfeasible` with the reason where deadlines are soon shown to conflict."""
    windows(problem, None)  # says more of a job that is too late by itself
    conflict = find_conflict(problem, deadline)
    if conflict is not None:
        raise ProvenInfeasible(conflict.message)


def find_conflict(problem: JobShop, deadline: Deadline | None = None) -> Conflict | None:
    """Return a minimal conflict, or None where none is found with bounded effort.

    Parameters
    ----------
    problem : JobShop
    deadline : Deadline, optional
        When it expires, what has been found until then is returned.
    """
    if problem.deadline is None or problem.n_ops > MOST_OPERATIONS:
        return None
    return _Filter(problem, deadline or Deadline()).run()


class _Filter:
    """What is left of the instance, and the effort spent."""

    def __init__(self, problem: JobShop, deadline: Deadline) -> None:
        self.problem = problem
        self.deadline = deadline
        self.data = problem.to_dict()
        self.data["objective"] = "makespan"
        if problem.setup is not None:
            self.data["setup"] = _shortest(problem.setup)
        assert problem.deadline is not None
        self.latest = problem.deadline
        self.spent = 0.0
        self.minimal = True

    def run(self) -> Conflict | None:
        jobs = np.argsort(self.latest, kind="stable").tolist()
        used = np.unique(self.problem.alt_machine).tolist()
        broken = [m for m in used if np.diff(self.problem.break_offset)[m]]
        if self._infeasible(jobs, used, broken, FIRST) is not True:
            return None
        low, high = 0, len(jobs)  # the first `high` jobs are in conflict, the first `low` are not
        while high - low > 1:
            middle = (low + high) // 2
            if self._infeasible(jobs[:middle], used, broken):
                high = middle
            else:
                low = middle
        self.minimal = True  # what was open on the way to here does no harm
        jobs = self._filter(jobs[:high], lambda left: self._infeasible(left, used, broken))
        used = self._filter(used, lambda left: self._infeasible(jobs, left, broken))
        broken = self._filter(broken, lambda left: self._infeasible(jobs, used, left))
        jobs.sort()
        message = self._message(jobs, used, broken)
        return Conflict(tuple(jobs), tuple(used), tuple(broken), self.minimal, message)

    def _filter(
        self, items: list[int], infeasible: Callable[[list[int]], bool | None]
    ) -> list[int]:
        """Leave out one item after the other as long as the rest is infeasible."""
        kept = list(items)
        for item in reversed(items):
            rest = [other for other in kept if other != item]
            answer = infeasible(rest)
            if answer:
                kept = rest
            elif answer is None:
                self.minimal = False
        return kept

    def _infeasible(
        self, jobs: Sequence[int], machines: Iterable[int], broken: Iterable[int],
        effort: float = EACH,
    ) -> bool | None:  # fmt: skip
        """Return whether what is left has no schedule; None where that stays open."""
        if not jobs:
            return False
        if self.spent >= ALL or self.deadline.expired():
            return None
        try:
            part = JobShop.from_dict(self._part(sorted(jobs), set(broken)))
            without = frozenset(range(self.problem.n_machines)) - set(machines)
            shop = JobShopCpsat(part, None, None, self.deadline, without=without)
        except ProvenInfeasible:
            return True
        shop.model.clear_objective()
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.catch_sigint_signal = False
        solver.parameters.max_deterministic_time = effort
        solver.parameters.cp_model_probing_level = 0  # costs more than these questions are worth
        remaining = self.deadline.remaining()
        if np.isfinite(remaining):
            solver.parameters.max_time_in_seconds = remaining
        for name, value in shop.options("cpsat", 1).items():
            setattr(solver.parameters, name, value)
        status = solver.solve(shop.model)
        self.spent += solver.response_proto.deterministic_time
        if status == cp_model.INFEASIBLE:
            return True
        return False if status in (cp_model.OPTIMAL, cp_model.FEASIBLE) else None

    def _part(self, jobs: list[int], broken: set[int]) -> dict[str, Any]:
        """Return the data of the instance with only these jobs and these machines' breaks."""
        data = dict(self.data)
        for key in ("jobs", "release", "due", "deadline", "weight"):
            if key in data:
                data[key] = [data[key][j] for j in jobs]
        for key in ("resumable", "buffers", "lags"):
            if key in data:
                data[key] = [data[key][j] for j in jobs]
        if "setup" in data:
            data["setup"] = data["setup"][:, jobs][:, :, jobs]
        if "calendars" in data:
            calendars = data["calendars"]
            data["calendars"] = {m: rows for m, rows in calendars.items() if int(m) in broken}
        return data

    def _message(self, jobs: list[int], machines: list[int], broken: list[int]) -> str:
        latest = [int(self.latest[j]) for j in jobs]
        dates = _shortened(["none" if d == NO_DEADLINE else str(d) for d in latest])
        if len(jobs) == 1:
            text = f"job {jobs[0]} cannot meet its deadline ({dates})"
        else:
            every = "both" if len(jobs) == 2 else "all"
            text = f"jobs {_listed(jobs)} cannot {every} meet their deadlines ({dates})"
        release = self.problem.release[jobs]
        if release.any():
            dates = _shortened([str(r) for r in release.tolist()])
            text += f" with release{'s' * (len(jobs) > 1)} {dates}"
        if machines:
            text += f" on machine{'s' * (len(machines) > 1)} {_listed(machines)}"
        if broken:
            text += f", given the breaks of machine{'s' * (len(broken) > 1)} {_listed(broken)}"
        return text if self.minimal else f"{text} (perhaps some of this is not needed)"


def _listed(items: list[int]) -> str:
    """Return ``1, 2 and 5``, or ``1, 2, ... and 14 others``."""
    texts = [str(item) for item in items]
    if len(texts) > MOST_LISTED:
        rest = len(texts) - MOST_LISTED
        return f"{', '.join(texts[:MOST_LISTED])} and {rest} other{'s' * (rest > 1)}"
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else texts[0]


def _shortened(texts: list[str]) -> str:
    return ", ".join(texts[:MOST_LISTED]) + ", ..." * (len(texts) > MOST_LISTED)


def _shortest(setup: np.ndarray) -> np.ndarray:
    """Return the setups of the best way over other jobs, whose durations count as nothing."""
    shortest = setup.copy()
    for k in range(setup.shape[1]):
        detour = shortest[:, :, k, None] + shortest[:, k, None, :]
        np.minimum(shortest, detour, out=shortest)
    return shortest
