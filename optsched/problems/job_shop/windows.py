"""Time windows of operations: what release dates, deadlines and an upper bound leave of the time.

Every formulation takes its variable bounds and its big-M constants from here.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from optsched.core import IntArray, ProvenInfeasible
from optsched.problems.job_shop.calendars import calendars_of
from optsched.problems.job_shop.problem import NO_DEADLINE, JobShop


def least_durations(problem: JobShop) -> IntArray:
    """Return the duration of each operation on its fastest machine, shape (n_ops,)."""
    return np.asarray(np.minimum.reduceat(problem.alt_duration, problem.alt_offset[:-1]))


def least_gaps(problem: JobShop) -> IntArray:
    """Return the least lag plus transport behind each operation, 0 behind the last of a job."""
    gap = problem.lag.copy()
    if problem.transport is None:
        return gap
    followed = np.ones(problem.n_ops, dtype=bool)
    followed[problem.job_offset[1:] - 1] = False
    before = np.flatnonzero(followed)
    if not problem.flexible:
        machine = problem.alt_machine
        gap[before] += problem.transport[machine[before], machine[before + 1]]
        return gap
    at, alternatives = problem.alt_offset, problem.alt_machine
    for op in before.tolist():
        here, there = alternatives[at[op] : at[op + 1]], alternatives[at[op + 1] : at[op + 2]]
        gap[op] += int(problem.transport[np.ix_(here, there)].min())
    return gap


def heads_and_tails(problem: JobShop) -> tuple[IntArray, IntArray, IntArray]:
    """Return earliest starts, least durations, and least times from end to the job's end.

    Each has shape (n_ops,); they follow from the jobs alone.
    """
    duration = least_durations(problem)
    step = duration + least_gaps(problem)
    before = np.concatenate(([0], np.cumsum(step)))[:-1]
    first, last = problem.job_offset[:-1], problem.job_offset[1:] - 1
    size = np.diff(problem.job_offset)
    head = before - np.repeat(before[first] - problem.release, size)
    tail = np.repeat((before + duration)[last], size) - before - duration
    return head, duration, tail


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
            head, duration, _ = heads_and_tails(problem)
            last = problem.job_offset[1:] - 1
            earliest = head[last] + duration[last]
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
    head, duration, tail = heads_and_tails(problem)
    latest = latest_completions(problem, upper_bound)[problem.op_job] - tail
    tight = np.flatnonzero(head + duration > latest)
    if tight.size:
        last = int(problem.job_offset[problem.op_job[tight[0]] + 1]) - 1
        end = int(head[last] + duration[last])
        raise ProvenInfeasible(_too_late(problem, last, end, int(latest[last])))
    if len(problem.break_start):
        head, latest = _between_breaks(problem, head, latest)
    return head, latest


def _too_late(problem: JobShop, op: int, end: int, latest: int) -> str:
    """Return in words that an operation cannot end in time; its job's last gives the job."""
    job = int(problem.op_job[op])
    position = op - int(problem.job_offset[job])
    is_last = op == problem.job_offset[job + 1] - 1
    what = f"job {job}" if is_last else f"job {job}, operation {position}"
    first, last = problem.job_offset[job], op + 1
    used = problem.alt_machine[problem.alt_offset[first] : problem.alt_offset[last]]
    broken = [m for m in np.unique(used).tolist() if np.diff(problem.break_offset)[m]]
    breaks = f", breaks of machine {', '.join(map(str, broken))}" if broken else ""
    return (
        f"{what} cannot end before {end} (release {problem.release[job]}{breaks}), "
        f"but must by {latest}"
    )


def _between_breaks(
    problem: JobShop, head: IntArray, latest: IntArray
) -> tuple[IntArray, IntArray]:
    """Tighten earliest starts and latest ends by what the breaks of the machines leave.

    Raises
    ------
    ProvenInfeasible
        When some operation cannot end in time.
    """
    calendars = calendars_of(problem)
    gap = least_gaps(problem).tolist()
    at = problem.alt_offset.tolist()
    machine, duration = problem.alt_machine.tolist(), problem.alt_duration.tolist()
    resumable = problem.resumable.tolist()
    early, late = head.tolist(), latest.tolist()
    for first, last in pairwise(problem.job_offset.tolist()):
        ready = early[first]
        for op in range(first, last):
            ready = max(ready, early[op])
            begins, ends = [], []
            for alt in range(at[op], at[op + 1]):
                calendar = calendars[machine[alt]]
                begin = calendar.earliest_start(ready, duration[alt], resumable[op])
                begins.append(begin)
                ends.append(calendar.end(begin, duration[alt], resumable[op]))
            if min(ends) > late[op]:
                raise ProvenInfeasible(_too_late(problem, op, min(ends), late[op]))
            early[op] = min(begins)
            ready = min(ends) + gap[op]
        for op in range(last - 1, first, -1):
            starts = [
                calendars[machine[alt]].latest_start(late[op], duration[alt], resumable[op])
                for alt in range(at[op], at[op + 1])
            ]
            late[op - 1] = min(late[op - 1], max(starts) - gap[op - 1])
    return np.array(early, dtype=np.int64), np.array(late, dtype=np.int64)
