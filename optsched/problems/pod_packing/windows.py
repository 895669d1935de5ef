"""Clusters too large for one model: a few nodes at a time are solved exactly, the others stay.

A window is a small problem of its own: some nodes, the pods on them, and some that are left out.
What runs outside the window in the state as it is stands on one more node without capacity, so that
placing it costs a move and leaving it out an eviction, as in the whole.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from optsched.core import Deadline, IntArray
from optsched.problems.pod_packing.problem import PodPacking, PodPackingSolution
from optsched.session import Session

#: Nodes of a window, and pods left out that it may place.
NODES, PODS = 12, 40
#: Seconds for a window.
LIMIT = 1.0

Solve = Callable[[PodPacking, Session, int, int], object]


def improve(problem: PodPacking, session: Session, seed: int, solve: Solve) -> None:
    """Improve the incumbent until the session stops; nothing where pods have rules for others.

    Parameters
    ----------
    problem : PodPacking
    session : Session
        Holds an incumbent.
    seed : int
    solve : callable(problem, session, seed, workers)
        The exact search.
    """
    ruled = problem.terms or problem.budgets or len(problem.token_pairs) or problem.then
    if ruled or problem.never_preempts.any() or session.solution is None:
        return
    if problem.features() & {"hosts", "migration limit"}:
        return
    rng = np.random.default_rng(seed)
    while not session.stopped:
        node = session.solution.node
        nodes, pods = _choose(problem, node, rng)
        if not len(pods):
            return
        part = _part(problem, nodes, pods)
        number = np.full(problem.n_nodes + 1, -1)
        number[nodes] = np.arange(len(nodes))
        start = PodPackingSolution(number[node[pods]])
        inner = Session(part, Deadline(min(LIMIT, session.deadline.remaining())))
        inner.offer(start, "window")
        session.when_stopped(inner.interrupt)
        solve(part, inner, seed, 1)
        after = node.copy()
        placed = inner.solution.node
        after[pods] = np.where(placed >= 0, nodes[placed], -1)
        session.offer(PodPackingSolution(after), "window")


def _choose(
    problem: PodPacking, node: IntArray, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Return the nodes of a window, with much room among them, and its pods."""
    out = np.flatnonzero((node < 0) & problem.movable)
    if not out.size:
        # Nothing is left out: windows may still lessen the disruption.
        moved = np.flatnonzero((problem.current >= 0) & (node != problem.current))
        if not moved.size:
            return out, out
        pod = int(rng.choice(moved))
    else:
        first = out[problem.tier[out] == problem.tier[out].min()]
        pod = int(rng.choice(first if rng.random() < 0.5 else out))
    able = np.flatnonzero(problem.eligible[problem.pod_class[pod]][problem.node_class])
    if not able.size:
        able = np.arange(problem.n_nodes)
    load = np.zeros_like(problem.capacity)
    placed = node >= 0
    np.add.at(load, node[placed], problem.request[placed])
    room = ((problem.capacity - load)[able] / np.maximum(1, problem.request[pod])).min(axis=1)
    # Those with the most room, with some luck.
    key = room * rng.uniform(0.5, 1.5, len(able))
    chosen = able[np.argsort(-key)[:NODES]]
    for home in (problem.current[pod], node[pod]):
        if home >= 0 and home not in chosen:
            chosen = np.append(chosen, home)
    nodes = np.unique(chosen)
    inside = np.flatnonzero(np.isin(node, nodes))
    waiting = out if len(out) <= PODS else rng.choice(out, PODS, replace=False)
    return nodes, np.unique(np.concatenate((inside, waiting)))


def _part(problem: PodPacking, nodes: IntArray, pods: IntArray) -> PodPacking:
    """Return the problem of a window; its last node stands for all others, and takes nothing."""
    number = np.full(problem.n_nodes + 1, -1)
    number[: problem.n_nodes] = len(nodes)
    number[nodes] = np.arange(len(nodes))
    n_classes = problem.eligible.shape[1]
    eligible = np.column_stack((problem.eligible, np.zeros(len(problem.eligible), dtype=bool)))
    pod_class, row = np.unique(problem.pod_class[pods], return_inverse=True)
    column, node_class = np.unique(problem.node_class[nodes], return_inverse=True)
    table = eligible[pod_class][:, [*column.tolist(), n_classes]]
    capacity = np.vstack((problem.capacity[nodes], np.zeros_like(problem.capacity[:1])))
    return PodPacking(
        capacity,
        problem.request[pods],
        priority=problem.priority[pods],
        current=number[problem.current[pods]],
        movable=problem.movable[pods],
        pod_class=row.reshape(-1),
        node_class=np.append(node_class.reshape(-1), len(column)),
        eligible=table,
        order=problem.order,
        name="window",
    )
