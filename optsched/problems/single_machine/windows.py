"""When each job may start, by release dates, precedence, deadlines and an upper bound."""

from __future__ import annotations

import numpy as np

from optsched.core import IntArray, ProvenInfeasible
from optsched.problems.single_machine.problem import SingleMachine


def windows(problem: SingleMachine, upper_bound: int | None) -> tuple[IntArray, IntArray]:
    """Return the earliest start and the latest completion of each job.

    Some optimal schedule keeps to them, if there is one of at most `upper_bound`.

    Raises
    ------
    ProvenInfeasible
        When a job fits nowhere.
    """
    p = problem.processing
    head = problem.release.copy()
    latest = np.full(problem.n_jobs, problem.horizon())
    if problem.deadline is not None:
        latest = np.minimum(latest, problem.deadline)
    if upper_bound is not None:
        latest = np.minimum(latest, _by_cost(problem, upper_bound, problem.horizon()))
    order = topological(problem)
    rank = np.empty(problem.n_jobs, dtype=np.int64)
    rank[order] = np.arange(problem.n_jobs)
    pairs = problem.precedence[np.argsort(rank[problem.precedence[:, 0]], kind="stable")]
    for i, j in pairs.tolist():
        head[j] = max(head[j], head[i] + p[i])
    pairs = problem.precedence[np.argsort(-rank[problem.precedence[:, 1]], kind="stable")]
    for i, j in pairs.tolist():
        latest[i] = min(latest[i], latest[j] - p[j])
    if (late := np.flatnonzero(head + p > latest)).size:
        j = int(late[0])
        raise ProvenInfeasible(
            f"job {j} cannot end by {latest[j]}: it starts at {head[j]} or later"
        )
    return head, latest


def _by_cost(problem: SingleMachine, upper_bound: int, horizon: int) -> IntArray:
    """Return the latest completions at which a job's own cost is within the upper bound."""
    kind = problem.objective_kind
    free = np.full(problem.n_jobs, horizon)
    weight = np.maximum(problem.weight, 1)
    if kind == "total_weighted_completion_time":
        return np.where(problem.weight > 0, upper_bound // weight, free)
    assert problem.due is not None
    if kind == "number_of_tardy_jobs":
        return problem.due if upper_bound == 0 else free
    if kind == "total_weighted_tardiness":
        return np.where(problem.weight > 0, problem.due + upper_bound // weight, free)
    return problem.due + upper_bound


def topological(problem: SingleMachine) -> IntArray:
    """Return the jobs in an order that keeps precedence."""
    n = problem.n_jobs
    followers: list[list[int]] = [[] for _ in range(n)]
    waiting = np.bincount(problem.precedence[:, 1], minlength=n).tolist()
    for i, j in problem.precedence.tolist():
        followers[i].append(j)
    order = [j for j in range(n) if not waiting[j]]
    for i in order:
        for j in followers[i]:
            waiting[j] -= 1
            if not waiting[j]:
                order.append(j)
    return np.array(order, dtype=np.int64)


def in_order(problem: SingleMachine, start: IntArray) -> IntArray:
    """Return the jobs by start; jobs of no duration go first at an instant, in precedence order."""
    rank = np.empty(problem.n_jobs, dtype=np.int64)
    rank[topological(problem)] = np.arange(problem.n_jobs)
    return np.lexsort((rank, problem.processing, start))
