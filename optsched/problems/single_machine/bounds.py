"""Lower bounds in O(n log n), and the polynomial algorithms behind some of them.

Release dates, setups, precedence and deadlines only take solutions away, so that each bound of the
problem without them holds with them.
"""

from __future__ import annotations

import heapq

import numpy as np

from optsched.core import Deadline, IntArray
from optsched.problems.single_machine.problem import SingleMachine


def lower_bound(problem: SingleMachine, deadline: Deadline) -> int | None:
    """Return a lower bound on the optimum; exact for what is polynomial without side constraints.

    Parameters
    ----------
    problem : SingleMachine
    deadline : Deadline
        Not looked at: the bounds take O(n log n).
    """
    kind = problem.objective_kind
    p, release = problem.processing, problem.release
    earliest = release + p
    if kind == "total_weighted_completion_time":
        return max(smith(p, problem.weight), int((problem.weight * earliest).sum()))
    assert problem.due is not None  # the constructor asks for due dates here
    if kind == "maximum_lateness":
        return preemptive_lateness(problem)
    if kind == "number_of_tardy_jobs":
        return len(moore(p, problem.due)[1])
    weight = problem.weight if kind == "total_weighted_tardiness" else np.ones_like(p)
    single = int((weight * np.maximum(0, earliest - problem.due)).sum())
    # Every unit of a job's weight above the least is left out.
    return max(single, int(weight.min()) * chu(p, problem.due), 0)


def smith(processing: IntArray, weight: IntArray) -> int:
    """Return the least total weighted completion time without side constraints (Smith 1956)."""
    order = np.argsort(processing / np.maximum(weight, 1e-9), kind="stable")
    return int((weight[order] * np.cumsum(processing[order])).sum())


def chu(processing: IntArray, due: IntArray) -> int:
    """Return a bound on total tardiness: k-th end in SPT order against k-th due date (Chu 1992)."""
    late = np.cumsum(np.sort(processing)) - np.sort(due)
    return int(np.maximum(0, late).sum())


def preemptive_lateness(problem: SingleMachine) -> int:
    """Return the least maximum lateness where jobs may be interrupted (Horn 1974).

    Of the jobs released, the one due first runs.
    """
    assert problem.due is not None
    release, left = problem.release, problem.processing.tolist()
    due = problem.due.tolist()
    order = np.argsort(release, kind="stable").tolist()
    waiting: list[tuple[int, int]] = []
    worst: int | None = None
    now = at = 0
    while at < len(order) or waiting:
        if not waiting:
            now = max(now, int(release[order[at]]))
        while at < len(order) and release[order[at]] <= now:
            heapq.heappush(waiting, (due[order[at]], order[at]))
            at += 1
        d, job = waiting[0]
        until = int(release[order[at]]) if at < len(order) else now + left[job]
        step = min(left[job], until - now)
        now += step
        left[job] -= step
        if not left[job]:
            heapq.heappop(waiting)
            worst = now - d if worst is None else max(worst, now - d)
    assert worst is not None
    return worst


def moore(processing: IntArray, due: IntArray) -> tuple[list[int], list[int]]:
    """Return the jobs on time, by due date, and the tardy ones (Moore and Hodgson 1968)."""
    chosen: list[tuple[int, int]] = []  # longest first
    end = 0
    for job in np.argsort(due, kind="stable").tolist():
        heapq.heappush(chosen, (-int(processing[job]), job))
        end += int(processing[job])
        if end > due[job]:
            end += heapq.heappop(chosen)[0]
    early = {job for _, job in chosen}
    by_due = np.argsort(due, kind="stable").tolist()
    return [j for j in by_due if j in early], [j for j in by_due if j not in early]
