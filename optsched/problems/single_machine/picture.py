"""A single-machine schedule as bars on one row."""

from __future__ import annotations

from typing import Any

import numpy as np

from optsched.plotting.common import Picture, Spans, number
from optsched.problems.single_machine.problem import SingleMachine, SingleMachineSolution
from optsched.problems.single_machine.validation import NO_DEADLINE


def picture(problem: SingleMachine, solution: SingleMachineSolution) -> Picture:
    """Return the schedule for `optsched.plotting.gantt`.

    Raises
    ------
    InputError
        When the solution has the wrong length.
    """
    value = problem.objective(solution)  # refuses what does not fit the instance
    violations = problem.check(solution)
    end = problem.completion(solution)
    job = np.arange(problem.n_jobs)
    row = np.zeros_like(job)
    noun = "violation" if len(violations) == 1 else "violations"
    nothing = Spans(row[:0], row[:0], row[:0], row[:0])
    return Picture(
        name=problem.name,
        objective=f"{problem.objective_kind.replace('_', ' ')} {number(value)}",
        subtitle=f"single machine, {problem.n_jobs:,} jobs",
        warning=f"infeasible: {len(violations):,} {noun}" if violations else "",
        rows=["machine"],
        groups=[f"job {j}" for j in job.tolist()],
        group_title="jobs",
        bars=Spans(row, solution.start, end, job),
        labels=[f"J{j}" for j in job.tolist()],
        details=_details(problem, solution),
        breaks=nothing,
        holds=nothing,
        hold_title="",
        marks=_due_dates(problem, solution),
    )


def _details(problem: SingleMachine, solution: SingleMachineSolution) -> dict[str, list[Any]]:
    details: dict[str, list[Any]] = {"processing": problem.processing.tolist()}
    if (problem.weight != 1).any():
        details["weight"] = problem.weight.tolist()
    if problem.release.any():
        details["release"] = problem.release.tolist()
    if problem.due is not None:
        late = problem.completion(solution) - problem.due
        details["due date"] = problem.due.tolist()
        details["tardiness"] = np.maximum(0, late).tolist()
    if problem.deadline is not None:
        details["deadline"] = ["" if d == NO_DEADLINE else d for d in problem.deadline.tolist()]
    return details


def _due_dates(problem: SingleMachine, solution: SingleMachineSolution) -> Spans:
    """Return each job's due date."""
    end = problem.completion(solution)
    job = np.arange(0 if problem.due is None else problem.n_jobs)
    due = end[:0] if problem.due is None else problem.due
    text = []
    for j, date, done in zip(job.tolist(), due.tolist(), end[job].tolist(), strict=True):
        verdict = f"{done - date:,} late" if done > date else f"{date - done:,} early"
        text.append(f"<b>job {j}</b><br>due {date:,}<br>ends {done:,}: {verdict}")
    return Spans(np.zeros_like(job), due, end[job], job, text)
