"""Time windows of operations: what release dates, deadlines and an upper bound leave of the time.

Every formulation takes its variable bounds and its big-M constants from here.
"""

from __future__ import annotations

import numpy as np

from optsched.core import IntArray, ProvenInfeasible
from optsched.problems.job_shop.problem import NO_DEADLINE, JobShop


def least_durations(problem: JobShop) -> IntArray:
    """Return each operation's least duration over its eligible machines, shape (n_ops,)."""
    return np.minimum.reduceat(problem.alt_duration, problem.alt_offset[:-1])


def least_gaps(problem: JobShop) -> IntArray:
    """Return the least time between an operation and the job's next one, shape (n_ops,).

    It is the lag, plus the least transport time between eligible machines; 0 behind a last one.
    """
    gap = problem.lag.copy()
    if problem.transport is None:
        return gap
    last = set((problem.job_offset[1:] - 1).tolist())
    bounds = problem.alt_offset
    for op in range(problem.n_ops):
        if op not in last:
            here = problem.alt_machine[bounds[op] : bounds[op + 1]]
            there = problem.alt_machine[bounds[op + 1] : bounds[op + 2]]
            gap[op] += problem.transport[np.ix_(here, there)].min()
    return gap


def chains(problem: JobShop) -> tuple[IntArray, IntArray]:
    """Return ``(head, tail)`` of every operation along its job, shape (n_ops,) each.

    The head is the least start; the tail is the least time from the operation's end to the
    job's end.
    """
    step = least_durations(problem) + least_gaps(problem)
    before = np.concatenate(([0], np.cumsum(step)))
    first, last = problem.job_offset[:-1], problem.job_offset[1:]
    head = before[:-1] - before[first][problem.op_job] + problem.release[problem.op_job]
    # A last operation has no gap behind it, so the sum of steps ends with the job.
    tail = before[last][problem.op_job] - before[1:] + (step - least_durations(problem))
    return head, tail


def latest_completions(problem: JobShop, upper_bound: int | None) -> IntArray:
    """Return when each job must have ended in a schedule of at most `upper_bound`, shape (n_jobs,).

    Without an upper bound, or where it says nothing of a job, the horizon stands in.
    """
    latest = np.full(problem.n_jobs, problem.horizon(), dtype=np.int64)
    if upper_bound is not None:
        kind, weight = problem.objective_kind, problem.weight
        if kind == "makespan":
            latest = np.minimum(latest, upper_bound)
        elif kind == "maximum_lateness":
            assert problem.due is not None
            latest = np.minimum(latest, problem.due + upper_bound)
        else:
            head, _ = chains(problem)
            last = problem.job_offset[1:] - 1
            earliest = head[last] + least_durations(problem)[last]
            target = np.zeros_like(earliest) if problem.due is None else problem.due
            if kind == "total_completion_time":
                target = np.zeros_like(earliest)
            least = weight * np.maximum(0, earliest - target)
            weighty = weight > 0
            spare = upper_bound - (least.sum() - least[weighty])
            latest[weighty] = np.minimum(
                latest[weighty], target[weighty] + spare // weight[weighty]
            )
    if problem.deadline is not None:
        bounded = problem.deadline != NO_DEADLINE
        latest[bounded] = np.minimum(latest[bounded], problem.deadline[bounded])
    return latest


def windows(problem: JobShop, upper_bound: int | None) -> tuple[IntArray, IntArray]:
    """Return ``(earliest start, latest end)`` of every operation, shape (n_ops,) each.

    Parameters
    ----------
    problem : JobShop
    upper_bound : int or None
        Objective of a known schedule; schedules of exactly that value stay within the windows.

    Raises
    ------
    ProvenInfeasible
        When some operation has no window, naming job and dates.
    """
    head, tail = chains(problem)
    latest = latest_completions(problem, upper_bound)[problem.op_job] - tail
    tight = np.flatnonzero(head + least_durations(problem) > latest)
    if tight.size:
        job = int(problem.op_job[tight[0]])
        last = int(problem.job_offset[job + 1]) - 1
        end = int(head[last] + least_durations(problem)[last])
        raise ProvenInfeasible(
            f"job {job} cannot end before {end} (release {problem.release[job]}), "
            f"but must by {latest[last]}"
        )
    return head, latest
