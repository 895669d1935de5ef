"""The optimum of a tiny single-machine problem by trying every sequence."""

from __future__ import annotations

import itertools

from optsched.problems.single_machine.problem import SingleMachine
from optsched.problems.single_machine.validation import NO_DEADLINE


def optimum(problem: SingleMachine) -> int | None:
    """Return the least objective over all sequences, None when none is feasible.

    Every objective is regular: in a given sequence each job may as well start as early as it can.
    """
    best: int | None = None
    for sequence in itertools.permutations(range(problem.n_jobs)):
        ends = _ends(problem, sequence)
        if ends is not None:
            value = cost(problem, ends)
            best = value if best is None else min(best, value)
    return best


def _ends(problem: SingleMachine, sequence: tuple[int, ...]) -> list[int] | None:
    """Return the end of every job, or None when the sequence breaks a rule."""
    place = {job: k for k, job in enumerate(sequence)}
    if any(place[a] >= place[b] for a, b in problem.precedence.tolist()):
        return None
    ends = [0] * problem.n_jobs
    for k, job in enumerate(sequence):
        start = int(problem.release[job])
        if k:
            before = sequence[k - 1]
            setup = 0 if problem.setup is None else int(problem.setup[before, job])
            start = max(start, ends[before] + setup)
        ends[job] = start + int(problem.processing[job])
        if problem.deadline is not None:
            latest = int(problem.deadline[job])
            if latest != NO_DEADLINE and ends[job] > latest:
                return None
    return ends


def cost(problem: SingleMachine, ends: list[int]) -> int:
    """Return the objective of a schedule by the ends of its jobs."""
    weight: list[int] = problem.weight.tolist()
    if problem.objective_kind == "total_weighted_completion_time":
        return sum(w * e for w, e in zip(weight, ends, strict=True))
    assert problem.due is not None
    late: list[int] = [e - d for e, d in zip(ends, problem.due.tolist(), strict=True)]
    if problem.objective_kind == "maximum_lateness":
        return max(late)
    if problem.objective_kind == "number_of_tardy_jobs":
        return sum(lateness > 0 for lateness in late)
    if problem.objective_kind == "total_tardiness":
        return sum(max(0, lateness) for lateness in late)
    return sum(w * max(0, lateness) for w, lateness in zip(weight, late, strict=True))
