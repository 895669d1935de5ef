"""A job-shop schedule as bars on rows: a row a machine, a group a job."""

from __future__ import annotations

from typing import Any

import numpy as np

from optsched.core import IntArray
from optsched.plotting.common import Picture, Spans, number
from optsched.problems.job_shop.problem import (
    BLOCKING,
    NO_DEADLINE,
    JobShop,
    JobShopSolution,
)


def picture(problem: JobShop, solution: JobShopSolution) -> Picture:
    """Return the schedule for `optsched.plotting.gantt`.

    Raises
    ------
    InputError
        When the solution has the wrong length or uses a machine that is not eligible.
    """
    value = problem.objective(solution)  # refuses what does not fit the instance
    violations = problem.check(solution)
    end = problem.completion(solution)
    bars = Spans(solution.machine, solution.start, end, problem.op_job)
    noun = "violation" if len(violations) == 1 else "violations"
    kind = "flexible job shop" if problem.flexible else "job shop"
    return Picture(
        name=problem.name,
        objective=f"{problem.objective_kind.replace('_', ' ')} {number(value)}",
        subtitle=f"{kind}, {problem.n_jobs:,} jobs, {problem.n_machines:,} machines, "
        f"{problem.n_ops:,} operations",
        warning=f"infeasible: {len(violations):,} {noun}" if violations else "",
        rows=[f"M{m}" for m in range(problem.n_machines)],
        groups=[f"job {j}" for j in range(problem.n_jobs)],
        group_title="jobs",
        bars=bars,
        labels=[f"J{j}" for j in problem.op_job.tolist()],
        details=_details(problem, solution, end),
        breaks=_breaks(problem),
        holds=_holds(problem, solution, end),
        hold_title="held (blocking)",
        marks=_due_dates(problem, solution, end),
    )


def _details(problem: JobShop, solution: JobShopSolution, end: IntArray) -> dict[str, list[Any]]:
    """Return what the pointer shows of each operation beyond machine, start and end."""
    job = problem.op_job
    duration = problem.duration(solution)
    pause = end - solution.start - duration
    done = end[problem.job_offset[1:] - 1]
    details = {
        "operation": (np.arange(problem.n_ops) - problem.job_offset[job]).tolist(),
        "duration": duration.tolist(),
    }
    if pause.any():
        details["paused by breaks"] = [p or "" for p in pause.tolist()]
    if problem.release.any():
        details["job's release"] = problem.release[job].tolist()
    if problem.due is not None:
        late = done - problem.due
        details["job's due date"] = problem.due[job].tolist()
        details["job's tardiness"] = np.maximum(0, late)[job].tolist()
        if problem.objective_kind == "maximum_lateness":
            details["job's lateness"] = late[job].tolist()
    if problem.deadline is not None:
        limits = ["" if d == NO_DEADLINE else d for d in problem.deadline.tolist()]
        details["job's deadline"] = [limits[j] for j in job.tolist()]
    return details


def _breaks(problem: JobShop) -> Spans:
    machine = np.repeat(np.arange(problem.n_machines), np.diff(problem.break_offset))
    columns = (machine.tolist(), problem.break_start.tolist(), problem.break_end.tolist())
    text = [f"M{m} is unavailable<br>{a:,} to {b:,}" for m, a, b in zip(*columns, strict=True)]
    return Spans(machine, problem.break_start, problem.break_end, np.zeros_like(machine), text)


def _holds(problem: JobShop, solution: JobShopSolution, end: IntArray) -> Spans:
    """Return how long jobs stay on machines because there is no room behind them."""
    last = np.zeros(problem.n_ops, dtype=bool)
    last[problem.job_offset[1:] - 1] = True
    op = np.flatnonzero(~last & (problem.buffer == BLOCKING))
    leaves = solution.start[op + 1] - problem.lag[op]
    if problem.transport is not None:
        leaves -= problem.transport[solution.machine[op], solution.machine[op + 1]]
    held = leaves > end[op]
    op, leaves = op[held], leaves[held]
    job = problem.op_job[op]
    columns = (job.tolist(), solution.machine[op].tolist(), leaves.tolist())
    text = [f"job {j} holds M{m}<br>until {t:,}" for j, m, t in zip(*columns, strict=True)]
    return Spans(solution.machine[op], end[op], leaves, job, text)


def _due_dates(problem: JobShop, solution: JobShopSolution, end: IntArray) -> Spans:
    """Return each job's due date, on the row where the job ends."""
    job = np.arange(problem.n_jobs)
    last = problem.job_offset[1:] - 1
    if problem.due is None:
        job, last = job[:0], last[:0]
    due = end[:0] if problem.due is None else problem.due
    text = []
    for j, date, done in zip(job.tolist(), due.tolist(), end[last].tolist(), strict=True):
        verdict = f"{done - date:,} late" if done > date else f"{date - done:,} early"
        text.append(f"<b>job {j}</b><br>due {date:,}<br>ends {done:,}: {verdict}")
    return Spans(solution.machine[last], due, end[last], job, text)
