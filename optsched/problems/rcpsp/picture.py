"""A project schedule as bars, a row an activity."""

from __future__ import annotations

from typing import Any

import numpy as np

from optsched.plotting.common import Picture, Spans, no_spans, number
from optsched.problems.rcpsp.problem import Rcpsp, RcpspSolution
from optsched.problems.rcpsp.validation import NO_DEADLINE


def picture(problem: Rcpsp, solution: RcpspSolution) -> Picture:
    """Return the schedule for `optsched.plotting.gantt`: a row an activity, coloured by project.

    Raises
    ------
    InputError
        When the solution has the wrong length.
    """
    value = problem.objective(solution)  # refuses what does not fit the instance
    violations = problem.check(solution)
    noun = "violation" if len(violations) == 1 else "violations"
    end = problem.completion(solution)
    # From the top in the order of their starts: that is how a project is read.
    order = np.lexsort((end, solution.start))
    row = np.empty_like(order)
    row[order] = np.arange(problem.n_activities)
    names = problem.activity_names or [f"activity {i}" for i in range(problem.n_activities)]
    return Picture(
        name=problem.name,
        objective=f"{problem.objective_kind.replace('_', ' ')} {number(value)}",
        subtitle=f"{problem.n_activities:,} activities on {problem.n_resources:,} resources",
        warning=f"infeasible: {len(violations):,} {noun}" if violations else "",
        rows=[names[i] for i in order.tolist()],
        row_title="activity",
        groups=[f"project {p}" for p in range(problem.n_projects)],
        group_title="project",
        bars=Spans(row, solution.start, end, problem.project),
        labels=list(names),
        details=_details(problem, solution),
        breaks=_breaks(problem, row, int(end.max(initial=0))),
        break_title="break of the calendar",
        marks=_marks(problem, row, end),
    )


def _details(problem: Rcpsp, solution: RcpspSolution) -> dict[str, list[Any]]:
    at = problem.mode_offset[:-1] + solution.mode
    details: dict[str, list[Any]] = {"duration": problem.mode_duration[at].tolist()}
    if problem.n_modes > problem.n_activities:
        details["mode"] = solution.mode.tolist()
    for k in range(problem.n_resources):
        name = problem.resource_names[k] if problem.resource_names else f"resource {k}"
        details[name] = problem.mode_demand[at, k].tolist()
    return details


def _breaks(problem: Rcpsp, row: Any, last: int) -> Spans:
    """Return the breaks of each activity's calendar that begin before the end of the schedule."""
    rows, starts, ends = [], [], []
    for i in range(problem.n_activities):
        rests, backs = problem.breaks(i)
        for rest, back in zip(rests.tolist(), backs.tolist(), strict=True):
            if rest < last:
                rows.append(int(row[i]))
                starts.append(rest)
                ends.append(min(back, last))
    if not rows:
        return no_spans()
    table = np.array([rows, starts, ends], dtype=np.int64)
    return Spans(table[0], table[1], table[2], table[0])


def _marks(problem: Rcpsp, row: Any, end: Any) -> Spans:
    """Return the due dates of activities."""
    dated = np.flatnonzero(problem.due != NO_DEADLINE)
    if not len(dated):
        return no_spans()
    text = [
        f"<b>activity {i}</b><br>due {problem.due[i]:,}<br>ends {end[i]:,}" for i in dated.tolist()
    ]
    return Spans(row[dated], problem.due[dated], end[dated], dated, text)
