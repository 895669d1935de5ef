"""Constructive rules and one descent from the best of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from optsched.core import IntArray
from optsched.problems.single_machine import blocks, bounds, general, local
from optsched.problems.single_machine.problem import (
    OBJECTIVES,
    SingleMachine,
    SingleMachineSolution,
)
from optsched.problems.single_machine.rules import RULES
from optsched.problems.single_machine.validation import NO_DEADLINE
from optsched.session import Session

#: Features that the rules honour; deadlines and they may miss, and then offer nothing.
SUPPORTS = frozenset(
    {"release dates", "deadlines", "setup", "precedence"}
    | {f"objective {kind}" for kind in OBJECTIVES}
)
SIDE_CONSTRAINTS = frozenset({"release dates", "deadlines", "setup", "precedence"})

#: Rules in O(n^2) and the descent are left out beyond this many jobs.
QUADRATIC = 5000
#: Rules from whose sequences the descent starts. With equal weights kicks do better than starts.
STARTS = ["AMDDC"]
WEIGHTED_STARTS = ["WMDD", "AWMDD", "AATC"]
#: Kicks after the descent where weights are equal: n^2 times their number, and most of them.
KICK_WORK, MOST_KICKS = 15 * 500**2, 60
#: Jobs of a block that is put in optimal order after that, and sub-problems of all blocks.
BLOCK, BLOCK_NODES = 60, 5000
#: Sequences that the descent under side constraints looks at, times jobs: about 0.2 s.
EFFORT = 60_000_000


def additive(problem: SingleMachine) -> tuple[IntArray, IntArray, IntArray] | None:
    """Return ``p, w, d`` such that the objective is total weighted tardiness; None for others."""
    # Copies: for frozen arrays Numba would compile every kernel once more.
    p = problem.processing.copy()
    if problem.objective_kind == "total_weighted_completion_time":
        return p, problem.weight.copy(), np.zeros_like(p)
    if problem.due is not None and problem.objective_kind == "total_tardiness":
        return p, np.ones_like(p), problem.due.copy()
    if problem.due is not None and problem.objective_kind == "total_weighted_tardiness":
        return p, problem.weight.copy(), problem.due.copy()
    return None


def reach(n_jobs: int) -> int:
    """Return how far apart two jobs may be that the descent exchanges."""
    return n_jobs if n_jobs <= 2000 else 40


def construct(problem: SingleMachine, session: Session, seed: int) -> None:
    """Offer the best rule's sequence and what a descent makes of it."""
    if problem.features() & SIDE_CONSTRAINTS:
        _constrained(problem, session)
        return
    terms = additive(problem)
    if terms is None:
        session.offer(problem.schedule(_polynomial(problem)), "heuristic:exact rule")
        return
    p, w, d = terms
    names = ["EDD", "WSPT"]
    equal = bool((w == w[0]).all())
    quadratic = problem.objective_kind != "total_weighted_completion_time"
    if quadratic and problem.n_jobs <= QUADRATIC:
        names += STARTS if equal else WEIGHTED_STARTS
    sequences = {name: RULES[name](p, d, w) for name in names}
    value = {name: int(local.cost(p, w, d, sequences[name])) for name in names}
    best = min(names, key=value.__getitem__)
    session.offer(problem.schedule(sequences[best]), f"heuristic:{best}")
    for name in sorted(names[2:], key=value.__getitem__):
        if session.stopped:
            return
        sequence = sequences[name]
        local.descend(p, w, d, sequence, reach(problem.n_jobs))
        session.offer(problem.schedule(sequence), f"heuristic:{name} and descent")
    if quadratic and equal and problem.n_jobs <= 2000:
        _kick(problem, session, p, w, d, seed)


def _kick(
    problem: SingleMachine, session: Session, p: IntArray, w: IntArray, d: IntArray, seed: int
) -> None:
    """Offer what kicks, descents and blocks in optimal order make of the incumbent."""
    n = problem.n_jobs
    assert session.solution is not None
    current = session.solution.sequence.copy()
    best = current.copy()
    values = np.full(2, local.cost(p, w, d, current))
    rng = local.generator(seed)
    for _ in range(min(MOST_KICKS, max(1, KICK_WORK // n**2))):
        if session.stopped or not values[1]:
            break
        local.iterate(p, w, d, current, best, values, rng, n, 1, 1, n)
    if not session.stopped and values[1]:
        blocks.improve(p, d, best, BLOCK, BLOCK_NODES)
    session.offer(problem.schedule(best), "heuristic:kicks and blocks")


def _polynomial(problem: SingleMachine) -> IntArray:
    """Return the optimal sequence of an objective that is easy without side constraints."""
    assert problem.due is not None
    if problem.objective_kind == "maximum_lateness":
        return np.lexsort((problem.processing, problem.due))
    early, tardy = bounds.moore(problem.processing, problem.due)
    return np.array(early + tardy, dtype=np.int64)


def _constrained(problem: SingleMachine, session: Session) -> None:
    n = problem.n_jobs
    zeros = np.zeros(n, dtype=np.int64)
    due = zeros if problem.due is None else problem.due.copy()
    kind = {
        "total_weighted_completion_time": general.COMPLETION,
        "maximum_lateness": general.LATENESS,
        "number_of_tardy_jobs": general.TARDY,
    }.get(problem.objective_kind, general.TARDINESS)
    one = np.ones_like(zeros)
    weight = one if problem.objective_kind == "total_tardiness" else problem.weight.copy()
    deadline = np.full(n, NO_DEADLINE) if problem.deadline is None else problem.deadline.copy()
    nothing = np.zeros((0, 0), dtype=np.int64)
    setup = nothing if problem.setup is None else problem.setup.copy()
    p, released = problem.processing.copy(), problem.release.copy()
    data = (p, weight, due, released, deadline, setup, kind)
    first, after, waiting = _followers(problem)
    orders = [RULES["EDD"](p, np.minimum(due, deadline), weight), RULES["WSPT"](p, due, weight)]
    if n <= QUADRATIC:
        orders.append(RULES["WMDD"](p, due, weight))
    candidates = []
    for order in orders:
        rank = np.empty(n, dtype=np.int64)
        rank[order] = np.arange(n)
        # Without idling; and in the order of the rule, as if nothing took time.
        for times in ((p, released, setup), (zeros, zeros, nothing)):
            length, release, change = times
            graph = (first, after, waiting.copy())
            candidates.append(general.construct(length, rank, release, change, *graph))
    best = min(candidates, key=lambda sequence: general.worth(*data, sequence))
    _offer(problem, session, problem.schedule(best), "heuristic:rules")
    if session.stopped and session.solution is not None:
        return
    if n <= 2000:
        before = closure(problem) if len(problem.precedence) else np.zeros((0, 0), dtype=np.bool_)
        general.improve(*data, before, best, max(n, EFFORT // n))
        _offer(problem, session, problem.schedule(best), "heuristic:descent")


def _offer(
    problem: SingleMachine, session: Session, solution: SingleMachineSolution, source: str
) -> None:
    if problem.deadline is None or not problem.check(solution):
        session.offer(solution, source)


def _followers(problem: SingleMachine) -> tuple[IntArray, IntArray, IntArray]:
    """Return the direct followers of each job in one list, and how many each job waits for."""
    n = problem.n_jobs
    i, j = problem.precedence[:, 0], problem.precedence[:, 1]
    first = np.concatenate(([0], np.cumsum(np.bincount(i, minlength=n))))
    return first, j[np.argsort(i, kind="stable")], np.bincount(j, minlength=n)


def closure(problem: SingleMachine) -> Any:
    """Return ``before[i, j]``: whether job ``i`` must precede job ``j``, directly or not."""
    n = problem.n_jobs
    before = np.zeros((n, n), dtype=np.bool_)
    followers: list[list[int]] = [[] for _ in range(n)]
    waiting = np.zeros(n, dtype=np.int64)
    for i, j in problem.precedence.tolist():
        followers[i].append(j)
        waiting[j] += 1
    ready = np.flatnonzero(waiting == 0).tolist()
    while ready:
        i = ready.pop()
        for j in followers[i]:
            before[:, j] |= before[:, i]
            before[i, j] = True
            waiting[j] -= 1
            if not waiting[j]:
                ready.append(j)
    return before
