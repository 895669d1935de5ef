"""Replanning: what has started stays, the rest is planned anew around new breaks and breakdowns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from optsched.core import (
    BoolArray,
    Deadline,
    InputError,
    IntArray,
    Violation,
)
from optsched.numbers import integer
from optsched.problems.job_shop import cutting, validation
from optsched.problems.job_shop.problem import (
    UNLIMITED,
    JobShop,
    JobShopSolution,
)
from optsched.result import Result
from optsched.session import Session

#: What happens to an operation that runs into a new break though it may not span breaks.
INTERRUPTED = ("resume", "restart")


@dataclass(frozen=True)
class Weights:
    """What a change of the plan costs, for each operation that is not frozen.

    Attributes
    ----------
    start : int
        When it begins at another time.
    machine : int
        When it runs on another machine.
    shift : int
        For each unit of time by which it begins earlier or later.
    """

    start: int = 0
    machine: int = 0
    shift: int = 0


class Replan(cutting.PartShop):
    """A shop of which a plan has begun: the new calendars, and the old plan to stay near.

    A `JobShop` for everybody; `check` adds the rules of replanning, and `objective` the price of
    changes. `replan` makes it.

    Attributes
    ----------
    old : JobShopSolution
        The plan so far.
    now : int
        The time; operations that began before it are frozen, all others begin at it or later.
    frozen : ndarray of bool, shape (n_ops,)
        Which operations keep start and machine.
    weights : Weights
    """

    old: JobShopSolution
    now: int
    frozen: BoolArray
    weights: Weights

    def check(self, solution: JobShopSolution) -> list[Violation]:
        """Return every violation, those of the frozen past included."""
        found = super().check(solution)
        if len(solution.start) != self.n_ops or len(solution.machine) != self.n_ops:
            return found
        start, machine = solution.start, solution.machine
        moved = self.frozen & ((start != self.old.start) | (machine != self.old.machine))
        for op in np.flatnonzero(moved).tolist():
            text = (
                f"{operation(self, op)} began at {self.old.start[op]} on machine "
                f"{self.old.machine[op]}, before {self.now}, and cannot be moved to "
                f"{start[op]} on machine {machine[op]}"
            )
            found.append(Violation("frozen", text))
        for op in np.flatnonzero(~self.frozen & (start < self.now)).tolist():
            text = f"{operation(self, op)} begins at {start[op]}, which is over at {self.now}"
            found.append(Violation("past", text))
        return found

    def objective(self, solution: JobShopSolution) -> int:
        """Return the shop's own objective plus the price of the changes."""
        return super().objective(solution) + self.price(solution)

    def price(self, solution: JobShopSolution) -> int:
        """Return what the changes cost."""
        starts, machines, shift = self.changes(solution)
        weights = self.weights
        return weights.start * starts + weights.machine * machines + weights.shift * shift

    def changes(self, solution: JobShopSolution) -> tuple[int, int, int]:
        """Return how many starts and machines changed, and the sum of the shifts in time."""
        shift = np.abs(solution.start - self.old.start)
        machines = int((solution.machine != self.old.machine).sum())
        return int((shift > 0).sum()), machines, int(shift.sum())


def replan(
    problem: JobShop,
    schedule: JobShopSolution | Mapping[str, Any],
    now: int,
    *,
    new_calendars: Mapping[int, Sequence[tuple[int, int]]] | None = None,
    weight: int | Mapping[str, int] = 0,
    interrupted: str = "resume",
    time_limit: float | None = None,
    workers: int | None = None,
    seed: int = 0,
) -> Result:
    """Plan a shop anew from `now` on: what has started stays, the rest makes way for new breaks.

    Operations that began before `now` keep start and machine; all others begin at `now` or later.

    Parameters
    ----------
    problem : JobShop
        The shop as it was planned.
    schedule : JobShopSolution or dict
        Its plan so far: a feasible schedule of `problem`, or the data of one.
    now : int
        The time; an operation that was to begin at exactly `now` has not begun.
    new_calendars : mapping of int to sequence of (start, end), optional
        For each machine the breaks and breakdowns, half-open, that come in addition to the shop's
        own. Of those that began before `now`, what is over is left out.
    weight : int or mapping
        Price of a change, added to the objective: an integer for each operation whose start
        changes, and again for each whose machine changes; or by name ``{"start": ..., "machine":
        ..., "shift": ...}``, where the shift is counted in units of time. 0: none.
    interrupted : str
        What happens to an operation that is under way and would run into a new break that it may
        not span: ``"resume"``, it pauses and goes on behind the break, on its machine; or
        ``"restart"``, its work is lost, and it begins again at `now` or later on any of its
        machines. Resumable operations pause in any case. A restarted job waits beside the machines,
        whatever the buffer before the operation.
    time_limit : float, optional
        Seconds for everything; default: no limit.
    workers : int, optional
        Cores; default: those of this process.
    seed : int

    Returns
    -------
    Result
        `objective` and `bound` include the price; ``result.problem`` is the new shop, a `Replan`,
        against which the solution is checked, and ``result.message`` tells how much has changed.
        INFEASIBLE where there is no such plan; the message names deadlines, breaks and no-waits
        that cannot hold together, of which none could be left out.

    Raises
    ------
    InputError
        When `schedule` is no schedule of `problem`, or `now`, a calendar, a weight or an option is
        wrong.
    CannotExpressError
        When the CP-SAT formulation lacks a feature.

    Examples
    --------
    Machine 0 breaks down at 3 for four hours; the second job's operation there has to wait.

    >>> import optsched as op
    >>> shop = op.JobShop(jobs=[[(0, 3), (1, 2)], [(1, 2), (0, 4)]])
    >>> plan = op.solve(shop).solution
    >>> result = op.replan(shop, plan, 2, new_calendars={0: [(3, 7)]}, weight=1)
    >>> print(result.status, plan.start, result.solution.start)
    OPTIMAL [0 3 0 3] [0 3 0 7]
    """
    # Solvers are not imported before they are needed.
    from optsched.families import expressing
    from optsched.problems.job_shop import replan_model
    from optsched.running import available_cores, beside, check_limits, conclude

    check_limits(time_limit, workers, seed)
    shop = replan_problem(
        problem, schedule, now, new_calendars=new_calendars, weight=weight, interrupted=interrupted
    )
    expressing(shop, "cpsat")
    cores = workers or available_cores()
    session = Session(shop, Deadline(time_limit))
    work = partial(replan_model.work, session, workers=cores, seed=seed)
    finished = beside(session, work)
    result = conclude(session, finished, solver="replan", seed=seed, workers=cores)
    return dataclasses.replace(result, message=_message(shop, session))


def _message(shop: Replan, session: Session) -> str:
    if session.solution is None:
        return session.message
    starts, machines, _ = shop.changes(session.solution)
    own = shop.objective(session.solution) - shop.price(session.solution)
    kind = shop.objective_kind.replace("_", " ")
    left = int((~shop.frozen).sum())
    return (
        f"{kind} {own}; of {left} operations that had not begun, {starts} begin at another "
        f"time and {machines} run on another machine"
    )


# ---- the new shop -------------------------------------------------------------------------


def replan_problem(
    problem: JobShop,
    schedule: JobShopSolution | Mapping[str, Any],
    now: int,
    *,
    new_calendars: Mapping[int, Sequence[tuple[int, int]]] | None = None,
    weight: int | Mapping[str, int] = 0,
    interrupted: str = "resume",
) -> Replan:
    """Return the problem that `replan` solves; see there for the parameters."""
    if not isinstance(problem, JobShop):
        raise InputError(f"replan: expected a JobShop, not {type(problem).__name__}")
    now = integer(now, "now")
    if now < 0:
        raise InputError(f"now {now} is negative")
    if interrupted not in INTERRUPTED:
        raise InputError(f"interrupted {interrupted!r}: one of {', '.join(INTERRUPTED)}")
    weights = _weights(weight)
    old = _old_plan(problem, schedule)
    breaks = _breaks_from(new_calendars, problem.n_machines, now)
    frozen = old.start < now
    under_way = frozen & (problem.completion(old) > now)
    hit = under_way & ~problem.resumable & _runs_into(problem, old, breaks)
    resumable, buffer = problem.resumable.copy(), problem.buffer.copy()
    if interrupted == "resume":
        resumable |= hit
    else:
        frozen &= ~hit
        # The job has left the operation before already, however long it has to wait now.
        behind = hit.copy()
        behind[problem.job_offset[:-1]] = False
        buffer[np.flatnonzero(behind) - 1] = UNLIMITED
    shop = Replan.from_arrays(
        problem.job_offset,
        problem.alt_offset,
        problem.alt_machine,
        problem.alt_duration,
        **cutting.arguments(problem, calendars=breaks, resumable=resumable, buffer=buffer),
    )
    if (
        shop.horizon() * (weights.shift * shop.n_ops + 1)
        + shop.n_ops * (weights.start + weights.machine)
        >= 2**53
    ):
        raise InputError("weight: the price of the changes may exceed 2^53")
    frozen.flags.writeable = False
    shop.__dict__.update(
        old=old,
        now=now,
        frozen=frozen,
        weights=weights,
        reach=max(now, int(problem.completion(old).max())),
    )
    return shop


def _weights(weight: int | Mapping[str, int]) -> Weights:
    known = ("start", "machine", "shift")
    if isinstance(weight, Mapping):
        for name in weight:
            if name not in known:
                raise InputError(f"weight: unknown change {name!r}: one of {', '.join(known)}")
        given = {name: integer(value, f"weight of {name}") for name, value in weight.items()}
    else:
        value = integer(weight, "weight")
        given = {"start": value, "machine": value}
    for name, value in given.items():
        if value < 0:
            raise InputError(f"weight of {name}: {value} is negative")
    return Weights(**given)


def _old_plan(problem: JobShop, schedule: Any) -> JobShopSolution:
    if isinstance(schedule, Mapping):
        schedule = JobShopSolution.from_dict(schedule.get("solution", schedule))
    if not isinstance(schedule, JobShopSolution):
        raise InputError(f"schedule: expected a JobShopSolution, not {type(schedule).__name__}")
    violations = problem.check(schedule)
    if violations:
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        raise InputError(f"schedule: not a plan of this shop: {violations[0]}{more}")
    return schedule


Breaks = tuple[IntArray, IntArray, IntArray]


def _breaks_from(calendars: Any, n_machines: int, now: int) -> Breaks:
    """Return what lies at `now` or later of the new breaks, as ``offset, start, end``."""
    offset, start, end = validation.calendars(calendars, n_machines)
    machine = np.repeat(np.arange(n_machines), np.diff(offset))
    ahead = end > now
    size = np.bincount(machine[ahead], minlength=n_machines)
    return np.concatenate(([0], np.cumsum(size))), np.maximum(start[ahead], now), end[ahead]


def _runs_into(problem: JobShop, plan: JobShopSolution, breaks: Breaks) -> BoolArray:
    """Return which operations of a plan overlap a break of their machine."""
    offset, start, end = breaks
    completion = problem.completion(plan)
    hit = np.zeros(problem.n_ops, dtype=bool)
    for m in np.flatnonzero(np.diff(offset)).tolist():
        for k in range(int(offset[m]), int(offset[m + 1])):
            hit |= (plan.machine == m) & (plan.start < end[k]) & (completion > start[k])
    return hit


def operation(problem: JobShop, op: int) -> str:
    """Return the name of an operation, for people."""
    job = int(problem.op_job[op])
    return f"job {job}, operation {op - int(problem.job_offset[job])}"
