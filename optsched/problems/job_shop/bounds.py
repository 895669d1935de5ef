"""Lower bounds of the job shop: jobs, machines, preemptive machines, and destructive search.

All of them relax the problem: what a bound does not know (calendars, setups, buffers, ...) only
raises the optimum. So they hold for any features.
"""

from __future__ import annotations

import numpy as np

from optsched.core import Deadline, DeadlineExpired, IntArray
from optsched.problems.job_shop.problem import JobShop
from optsched.problems.job_shop.windows import heads_and_tails, least_gaps

#: Most distinct sets of eligible machines for which the load of a set is looked at.
MAX_SETS = 300

#: Above so many operations, bounds get so many seconds, and so much of the time, at most.
LARGE, LARGE_LIMIT, LARGE_SHARE = 3000, 10.0, 0.05


def job_bound(problem: JobShop) -> int:
    """Return the bound on the objective that follows from each job on its own."""
    head, duration, _ = heads_and_tails(problem)
    last = problem.job_offset[1:] - 1
    end = head[last] + duration[last]
    kind = problem.objective_kind
    if kind == "makespan":
        return int(end.max())
    if kind == "total_completion_time":
        return int((problem.weight * end).sum())
    assert problem.due is not None
    if kind == "maximum_lateness":
        return int((end - problem.due).max())
    return int((problem.weight * np.maximum(0, end - problem.due)).sum())


def machine_bound(problem: JobShop) -> int:
    """Return the greatest least head + work + least tail over machines and sets of machines.

    For makespan and maximum lateness; a set of machines has to share the work of the operations
    that are eligible nowhere else.
    """
    head, duration, tail, offset = _delivery(problem)
    best = int((head + duration + tail).max())
    for ops, size in machine_sets(problem):
        work = -(-int(duration[ops].sum()) // size)
        best = max(best, int(head[ops].min()) + work + int(tail[ops].min()))
    return best - offset


def machine_sets(problem: JobShop) -> list[tuple[IntArray, int]]:
    """Return the operations that must share a set of machines, and the size of that set."""
    if not problem.flexible:
        order = np.argsort(problem.alt_machine, kind="stable")
        borders = np.flatnonzero(np.diff(problem.alt_machine[order])) + 1
        return [(ops, 1) for ops in np.split(order, borders)]
    groups: dict[tuple[int, ...], list[int]] = {}
    at, alternatives = problem.alt_offset.tolist(), problem.alt_machine.tolist()
    for op in range(problem.n_ops):
        groups.setdefault(tuple(sorted(alternatives[at[op] : at[op + 1]])), []).append(op)
    everything = (np.arange(problem.n_ops), len(set(alternatives)))
    keys = sorted(groups, key=len)
    if len(keys) > MAX_SETS:
        single = [(np.array(groups[key]), 1) for key in keys if len(key) == 1]
        return [*single, everything]
    result = []
    sets = [frozenset(key) for key in keys]
    for k, key in enumerate(sets):
        inside = [op for other, name in zip(sets, keys, strict=True) if other <= key
                  for op in groups[name]]  # fmt: skip
        result.append((np.array(sorted(inside)), len(keys[k])))
    return [*result, everything]


def lower_bound(problem: JobShop, deadline: Deadline | None = None) -> int:
    """Return a lower bound on the objective, as strong as the deadline allows.

    For makespan and maximum lateness: in flexible shops the relaxed assignment of operations to
    machines (`optsched.problems.job_shop.assignment`); the preemptive bound of each machine
    (Jackson's schedule with heads and tails; Carlier 1982); then a destructive search: a value is
    refuted when edge-finding (Carlier and Pinson 1989, in the form of Nuijten 1994) with the heads
    and tails that it implies ends in a contradiction. For the sum objectives: each job on its own.

    Parameters
    ----------
    problem : JobShop
        Any; features that the bound does not know are relaxed.
    deadline : Deadline, optional
        When it expires, the best bound until then is returned.
    """
    best = job_bound(problem)
    if problem.objective_kind not in ("makespan", "maximum_lateness"):
        return best
    best = max(best, machine_bound(problem))
    if deadline is not None and deadline.expired():
        return best
    if problem.n_ops > LARGE:
        left = float("inf") if deadline is None else deadline.remaining()
        deadline = Deadline(min(LARGE_LIMIT, LARGE_SHARE * left))
    head, duration, tail, offset = _delivery(problem)
    from optsched.problems.job_shop import edge_finding  # compiles on import

    value = best + offset
    if problem.flexible:
        from optsched.problems.job_shop import assignment  # brings in a solver

        relaxed = assignment.relax(problem, (head, duration, tail), least=value, deadline=deadline)
        if relaxed is not None:
            value = max(value, relaxed.bound)
    sets = machine_sets(problem)
    for ops, size in sets:
        if deadline is not None and deadline.expired():
            return value - offset
        order = ops[np.argsort(-head[ops], kind="stable")]
        value = max(value, edge_finding.preemptive(head[order], duration[order], tail[order], size))
    machines = [ops for ops, size in sets if size == 1 and len(ops) > 1]
    if not machines:
        return value - offset
    shop = edge_finding.Windows(
        head, duration, tail, least_gaps(problem), problem.job_offset, machines
    )
    try:
        return shop.destructive_bound(value, deadline) - offset
    except DeadlineExpired:
        return shop.proven - offset


def _delivery(problem: JobShop) -> tuple[IntArray, IntArray, IntArray, int]:
    """Return heads, durations, tails, and what the longest path exceeds the objective by.

    A due date is a tail behind the job (its delivery time) in disguise.
    """
    head, duration, tail = heads_and_tails(problem)
    if problem.objective_kind != "maximum_lateness":
        return head, duration, tail, 0
    assert problem.due is not None
    offset = int(problem.due.max())
    return head, duration, tail + (offset - problem.due)[problem.op_job], offset
