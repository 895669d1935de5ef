"""The default scheduler of Kubernetes, emulated: the baseline that makes the incoming state.

Pods are taken one by one in the order of PrioritySort. Filter: room, eligibility, tokens and the
rules between pods. Score, each from 0 to 100: LeastAllocated and BalancedAllocation (weight 1) on
the first two resources, and the default spread over hosts of pods with one owner (weight 2). What
does not fit pre-empts lower priorities, choosing victims as DefaultPreemption does: on the node
with the fewest that a disruption budget does not allow, then by their priorities.

Not emulated are the scores of preferences, which the problem does not hold: TaintToleration (taints
PreferNoSchedule), preferred affinities, topology spread ScheduleAnyway, ImageLocality.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from optsched.core import IntArray
from optsched.problems.pod_packing.placing import State
from optsched.problems.pod_packing.problem import PodPacking

FloatArray = npt.NDArray[np.float64]
#: The default constraint over hosts lets them differ by this much before it counts.
HOST_SKEW = 3


def schedule(
    problem: PodPacking,
    owner: IntArray | None = None,
    seed: int = 0,
    *,
    preemption: bool = True,
    stopped: Callable[[], bool] = lambda: False,
) -> IntArray:
    """Return the node of each pod, -1 where it stays pending, after the default scheduler's run.

    Parameters
    ----------
    problem : PodPacking
        Its pending pods are scheduled, in the order of their numbers within a priority; running
        pods keep their nodes unless they are pre-empted.
    owner : ndarray of int64, shape (n_pods,), optional
        Number of the set that each pod belongs to, -1 for none; for the default spread.
    seed : int
        Ties between the best nodes are broken at random.
    preemption : bool
        Whether pods may evict those of lower priority.
    stopped : callable() -> bool
        Asked before each search for victims, which takes long in large clusters: no more of them.
    """
    rng = np.random.default_rng(seed)
    state = State(problem)
    owner = np.full(problem.n_pods, -1, dtype=np.int64) if owner is None else owner
    waiting = np.flatnonzero(state.node < 0)
    covering: dict[int, list[int]] = {}
    for k, budget in enumerate(problem.budgets):
        for pod in budget.pods.tolist():
            covering.setdefault(pod, []).append(k)
    queue = waiting[np.argsort(problem.tier[waiting], kind="stable")].tolist()
    while queue:
        pod = queue.pop(0)
        n = _bind(state, pod, owner, rng)
        if n < 0 and preemption and not problem.never_preempts[pod] and not stopped():
            n, victims = _preempt(state, pod, covering)
            for victim in victims:
                state.remove(victim)
            # Their owners make new pods, which queue up behind the others of their priority.
            at = len(queue)
            for victim in victims:
                while at and problem.tier[queue[at - 1]] > problem.tier[victim]:
                    at -= 1
                queue.insert(at, victim)
                at = len(queue)
        if n >= 0:
            state.place(pod, n)
    return state.node


def _bind(state: State, pod: int, owner: IntArray, rng: np.random.Generator) -> int:
    nodes = np.array([n for n in state.open_nodes(pod).tolist() if state.allows(pod, n)], dtype=int)
    if not nodes.size:
        return -1
    total = resource_scores(state, pod, nodes) + 2 * _spread(state, pod, nodes, owner)
    best = nodes[total == total.max()]
    return int(best[0] if len(best) == 1 else rng.choice(best))


def resource_scores(state: State, pod: int, nodes: IntArray) -> FloatArray:
    """Return LeastAllocated plus BalancedAllocation of `pod` on `nodes`, each from 0 to 100."""
    problem = state.problem
    if not problem.capacity.shape[1]:
        return np.zeros(len(nodes))
    capacity = np.maximum(1, problem.capacity[nodes, :2])
    used = np.minimum(state.load[nodes, :2] + problem.request[pod, :2], capacity)
    least = (((capacity - used) * 100) // capacity).sum(axis=1) // capacity.shape[1]
    balanced = np.floor((1 - (used / capacity).std(axis=1)) * 100 + 1e-9)
    return np.asarray(least + balanced, dtype=np.float64)


def _spread(state: State, pod: int, nodes: IntArray, owner: IntArray) -> FloatArray:
    if owner[pod] < 0:
        return np.zeros(len(nodes))
    mates = (owner == owner[pod]) & (state.node >= 0)
    count = np.bincount(state.node[mates], minlength=state.problem.n_nodes)[nodes]
    cost = np.floor(count * math.log(len(nodes) + 2) + HOST_SKEW - 1)
    most, least = cost.max(), cost.min()
    return np.asarray(np.floor(100 * (most + least - cost) / most), dtype=np.float64)


def _preempt(state: State, pod: int, covering: dict[int, list[int]]) -> tuple[int, list[int]]:
    """Return the node where `pod` can go at the least harm, and the victims; -1 for none.

    `covering` holds the disruption budgets of each pod that has any.
    """
    problem = state.problem
    allowed = [
        budget.allowed
        - int(((problem.current[budget.pods] >= 0) & (state.node[budget.pods] < 0)).sum())
        for budget in problem.budgets
    ]
    best: tuple[tuple[float, ...], int, list[int]] | None = None
    for n in np.flatnonzero(state.eligible(pod)).tolist():
        pods = state.on(n)
        lower = pods[(problem.tier[pods] > problem.tier[pod]) & problem.movable[pods]]
        if not lower.size:
            continue
        for victim in lower.tolist():
            state.remove(victim)
        victims: list[int] = []
        possible = state.fits(pod, n) and state.allows(pod, n)
        if possible:
            state.place(pod, n)
        # Those whose budgets are used up are reprieved first, then the most important.
        ranked = lower[np.lexsort((lower, problem.tier[lower]))].tolist()
        protected = _protected(ranked, allowed, covering)
        for victim in sorted(ranked, key=lambda p: p not in protected):
            if not possible or (state.fits(victim, n) and state.allows(victim, n)):
                state.place(victim, n)
            else:
                victims.append(victim)
        if possible:
            state.remove(pod)
        for victim in victims:
            state.place(victim, n)
        if possible:
            priorities = problem.priority[victims]
            rank = (
                float(sum(1 for victim in victims if victim in protected)),
                float(priorities.max(initial=-(2**31))),
                float((priorities + 2**31).sum()),
                float(len(victims)),
                float(n),
            )
            if best is None or rank < best[0]:
                best = (rank, n, victims)
    return (-1, []) if best is None else (best[1], best[2])


def _protected(
    ranked: Sequence[int], allowed: Sequence[int], covering: dict[int, list[int]]
) -> set[int]:
    """Return the pods that their budgets do not allow to be evicted after those before them."""
    left = list(allowed)
    found = set()
    for pod in ranked:
        for k in covering.get(pod, ()):
            left[k] -= 1
            if left[k] < 0:
                found.add(pod)
    return found
