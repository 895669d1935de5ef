"""Identical pods as one type: the integers ``how many of a type run on a node``.

Two pods are of one type when nothing but the node on which they run tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optsched.core import BoolArray, IntArray
from optsched.problems.pod_packing.problem import PodPacking, PodPackingSolution


@dataclass(frozen=True, eq=False)
class Types:
    """The types of an instance's pods.

    Attributes
    ----------
    of_pod : ndarray of int64, shape (n_pods,)
    pod : ndarray of int64, shape (n_types,)
        One pod of each type, to look things up.
    size, running : ndarray of int64, shape (n_types,)
        How many pods there are, and how many run.
    tier : ndarray of int64, shape (n_types,)
    request : ndarray of int64, shape (n_types, n_resources)
    movable, spans : ndarray of bool, shape (n_types,)
    cur : ndarray of int64, shape (n_types, n_nodes)
        How many run on each node.
    fits : ndarray of bool, shape (n_types, n_nodes)
        Where a pod of the type may be placed anew, were it alone with the immovable ones.
    limit : ndarray of int64, shape (n_nodes, n_resources)
        Capacity of each node, at least what its immovable pods need.
    first : ndarray of int64, shape (n_nodes,)
        The first node of each node's host.
    """

    of_pod: IntArray
    pod: IntArray
    size: IntArray
    running: IntArray
    tier: IntArray
    request: IntArray
    movable: BoolArray
    spans: BoolArray
    cur: IntArray
    fits: BoolArray
    limit: IntArray
    first: IntArray

    @property
    def count(self) -> int:
        """Number of types."""
        return len(self.pod)


def types_of(problem: PodPacking) -> Types:
    """Return the types of `problem`; two tables of types by nodes are made."""
    of_pod, pod = signatures(problem)
    n_types, n_nodes = len(pod), problem.n_nodes
    running = problem.current >= 0
    cur = np.zeros((n_types, n_nodes), dtype=np.int64)
    np.add.at(cur, (of_pod[running], problem.current[running]), 1)
    limit, free = limits(problem)
    request = problem.request[pod]
    fits = problem.eligible[problem.pod_class[pod]][:, problem.node_class]
    spans = problem.spans[pod]
    least = least_of_host(problem, free)
    for r in range(request.shape[1]):
        room = np.where(spans[:, None], least[None, :, r], free[None, :, r])
        fits = fits & (request[:, r, None] <= room)
    fits &= ~spans[:, None] | (problem.first == np.arange(n_nodes))[None, :]
    movable = problem.movable[pod]
    return Types(
        of_pod=of_pod,
        pod=pod,
        size=np.bincount(of_pod, minlength=n_types),
        running=np.bincount(of_pod[running], minlength=n_types),
        tier=problem.tier[pod],
        request=request,
        movable=movable,
        spans=spans,
        cur=cur,
        fits=fits & movable[:, None],
        limit=limit,
        first=problem.first,
    )


def limits(problem: PodPacking) -> tuple[IntArray, IntArray]:
    """Return the effective capacity of the nodes, and what their immovable pods leave of it."""
    used = loads(problem, problem.current, ~problem.movable)
    limit = np.maximum(problem.capacity, used)
    return limit, limit - used


def loads(problem: PodPacking, node: IntArray, chosen: BoolArray | None = None) -> IntArray:
    """Return what the pods (those `chosen`) need of every node when they are on `node`."""
    load = np.zeros_like(problem.capacity)
    placed = node >= 0 if chosen is None else (node >= 0) & chosen
    single = placed & ~problem.spans
    np.add.at(load, node[single], problem.request[single])
    if (wide := placed & problem.spans).any():
        whole = np.zeros_like(load)
        np.add.at(whole, node[wide], problem.request[wide])
        load += whole[problem.first]
    return load


def least_of_host(problem: PodPacking, room: IntArray) -> IntArray:
    """Return, for every node, the least room of the nodes of its host, in each resource."""
    if not problem.spans.any():
        return room
    least = room.copy()
    np.minimum.at(least, problem.first, room)
    return np.asarray(least[problem.first])


def signatures(problem: PodPacking) -> tuple[IntArray, IntArray]:
    """Return the type of every pod, and one pod of each type."""
    columns = [
        problem.request,
        problem.tier[:, None],
        problem.pod_class[:, None],
        problem.movable[:, None],
        problem.never_preempts[:, None],
        problem.spans[:, None],
    ]
    groups = [problem.token_pairs[problem.token_pairs[:, 1] == k, 0]
              for k in range(len(problem.token_names))]  # fmt: skip
    for term in problem.terms:
        groups += [term.owners, term.targets]
    groups += [budget.pods for budget in problem.budgets]
    if groups:
        columns.append(_membership(groups, problem.n_pods)[:, None])
    table = np.hstack([np.asarray(column, dtype=np.int64) for column in columns])
    if not len(table):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    _, first, inverse = np.unique(table, axis=0, return_index=True, return_inverse=True)
    # In order of appearance: the numbering does not depend on how requests sort.
    order = np.argsort(first)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[inverse.reshape(-1)], first[order].astype(np.int64)


def _membership(groups: list[IntArray], n_pods: int) -> IntArray:
    """Return a number for each pod that tells sets of groups apart."""
    member: dict[int, list[int]] = {}
    for k, group in enumerate(groups):
        for pod in group.tolist():
            member.setdefault(pod, []).append(k)
    number: dict[tuple[int, ...], int] = {(): 0}
    found = np.zeros(n_pods, dtype=np.int64)
    for pod, sets in member.items():
        found[pod] = number.setdefault(tuple(sets), len(number))
    return found


def counts(types: Types, solution: PodPackingSolution) -> IntArray:
    """Return how many pods of each type are on each node in `solution`."""
    node = solution.node
    table = np.zeros_like(types.cur)
    placed = node >= 0
    np.add.at(table, (types.of_pod[placed], node[placed]), 1)
    return table


def assign(
    problem: PodPacking, types: Types, table: IntArray, evicted: IntArray | None = None
) -> PodPackingSolution:
    """Return a solution with these numbers of each type on each node.

    Parameters
    ----------
    problem : PodPacking
    types : Types
    table : ndarray of int64, shape (n_types, n_nodes)
    evicted : ndarray of int64, shape (n_types, n_nodes), optional
        How many of those that leave each node end nowhere. By default as many as possible:
        pending pods are placed first, as a pod that moves costs more than one that is evicted
        while another like it takes the place. Pods stay where the numbers allow it.
    """
    node = np.full(problem.n_pods, -1, dtype=np.int64)
    order = np.lexsort((problem.current, types.of_pod))
    start = np.searchsorted(types.of_pod[order], np.arange(types.count + 1))
    for t in range(types.count):
        pods = order[start[t] : start[t + 1]]
        room = table[t].copy()
        waiting: list[int] = []
        leaving: list[int] = []
        for pod in pods.tolist():
            at = int(problem.current[pod])
            if at < 0:
                waiting.append(pod)
            elif room[at] > 0:
                room[at] -= 1
                node[pod] = at
            else:
                leaving.append(pod)
        moving: list[int] = []
        if evicted is not None:
            gone = evicted[t].copy()
            staying_away: list[int] = []
            for pod in leaving:
                at = int(problem.current[pod])
                gone[at] -= 1
                (moving if gone[at] < 0 else staying_away).append(pod)
            leaving = staying_away
        arriving = moving + waiting + leaving
        targets = np.repeat(np.arange(problem.n_nodes), room)
        for pod, at in zip(arriving, targets.tolist(), strict=False):
            node[pod] = at
    return PodPackingSolution(node)
