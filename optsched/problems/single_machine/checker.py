"""The independent checker: the definition of a single-machine schedule, and nothing else.

It shares no code with any formulation or heuristic. Everything is vectorised over jobs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optsched.core import MAX_TIME, InputError, IntArray, Violation

if TYPE_CHECKING:
    from optsched.problems.single_machine.problem import SingleMachine, SingleMachineSolution


def check(problem: SingleMachine, solution: SingleMachineSolution) -> list[Violation]:
    """Return every violation of `solution`, in words; an empty list means feasible."""
    n = problem.n_jobs
    for name in ("sequence", "start"):
        size = len(getattr(solution, name))
        if size != n:
            text = f"{name} has {size} entries, the instance has {n} jobs"
            return [Violation("shape", text)]
    sequence, start = solution.sequence, solution.start
    if (strange := np.flatnonzero((sequence < 0) | (sequence >= n))).size:
        at = int(strange[0])
        text = f"position {at} of the sequence holds {sequence[at]}, which is no job"
        return [Violation("sequence", text)]
    count = np.bincount(sequence, minlength=n)
    found = [
        Violation("sequence", f"job {j} stands {count[j]} times in the sequence")
        for j in np.flatnonzero(count != 1).tolist()
    ]
    found += [
        Violation("start", f"job {j} starts at {start[j]}, which is no time")
        for j in np.flatnonzero((start < 0) | (start > MAX_TIME)).tolist()
    ]
    if found:
        return found  # nothing below is defined for such a schedule
    end = completions(problem, solution)
    found += _machine(problem, solution, end)
    for j in np.flatnonzero(start < problem.release).tolist():
        text = f"job {j} starts at {start[j]}, before its release at {problem.release[j]}"
        found.append(Violation("release", text))
    if problem.deadline is not None:
        for j in np.flatnonzero(end > problem.deadline).tolist():
            text = f"job {j} ends at {end[j]}, after its deadline at {problem.deadline[j]}"
            found.append(Violation("deadline", text))
    position = np.empty(n, dtype=np.int64)
    position[sequence] = np.arange(n)
    before, after = problem.precedence[:, 0], problem.precedence[:, 1]
    # Jobs of no duration share an instant with others: the sequence says who goes first.
    wrong = (end[before] > start[after]) | (position[before] > position[after])
    for k in np.flatnonzero(wrong).tolist():
        i, j = int(before[k]), int(after[k])
        text = f"job {j} starts at {start[j]}, before job {i}, which precedes it, ends at {end[i]}"
        if end[i] <= start[j]:
            text = f"job {j} stands before job {i}, which precedes it, in the sequence"
        found.append(Violation("precedence", text))
    return found


def _machine(
    problem: SingleMachine, solution: SingleMachineSolution, end: IntArray
) -> list[Violation]:
    """One job at a time, in the order of the sequence, with the setup in between."""
    found = []
    first, second = solution.sequence[:-1], solution.sequence[1:]
    gap = solution.start[second] - end[first]
    for k in np.flatnonzero(gap < 0).tolist():
        i, j = int(first[k]), int(second[k])
        text = (
            f"job {j} starts at {solution.start[j]}, before job {i}, "
            f"which stands before it in the sequence, ends at {end[i]}"
        )
        found.append(Violation("machine", text))
    if problem.setup is not None:
        needed = problem.setup[first, second]
        for k in np.flatnonzero((gap >= 0) & (gap < needed)).tolist():
            text = (
                f"job {second[k]} starts {gap[k]} after the end of job {first[k]}; "
                f"the setup needs {needed[k]}"
            )
            found.append(Violation("setup", text))
    return found


def completions(problem: SingleMachine, solution: SingleMachineSolution) -> IntArray:
    """Return the end of every job."""
    if len(solution.start) != problem.n_jobs:
        raise InputError(
            f"solution: start has {len(solution.start)} entries, "
            f"the instance has {problem.n_jobs} jobs"
        )
    return solution.start + problem.processing


def objective(problem: SingleMachine, solution: SingleMachineSolution) -> int:
    """Return the objective value, recomputed from the start times.

    Raises
    ------
    InputError
        When the solution has the wrong length.
    """
    end = completions(problem, solution)
    kind = problem.objective_kind
    if kind == "total_weighted_completion_time":
        return int((problem.weight * end).sum())
    assert problem.due is not None  # the constructor asks for due dates here
    lateness = end - problem.due
    if kind == "maximum_lateness":
        return int(lateness.max())
    if kind == "number_of_tardy_jobs":
        return int((lateness > 0).sum())
    weight = problem.weight if kind == "total_weighted_tardiness" else 1
    return int((weight * np.maximum(0, lateness)).sum())
