"""Constructive rules: keep what fits, then fill, evicting only for a higher priority."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from optsched.core import IntArray
from optsched.problems.pod_packing import scheduler
from optsched.problems.pod_packing.levels import FEATURES
from optsched.problems.pod_packing.placing import State
from optsched.problems.pod_packing.problem import PodPacking, PodPackingSolution
from optsched.session import Session

SUPPORTS = FEATURES | frozenset(
    {
        "eligibility", "immovable pods", "never preempting", "exclusive tokens",
        "disruption budgets", "order placement first", "affinity", "anti-affinity", "spread",
    }
)  # fmt: skip
#: Pending pods for which nodes are searched for victims, at most.
MOST_PREEMPTIONS = 2000
#: Nodes looked at for a pod to shift, at most, for each pod and in all.
MOST_NEAR, MOST_LOOKS = 24, 6_000


def construct(problem: PodPacking, session: Session, seed: int) -> None:
    """Offer the state as it is (made valid), filled up, and with pre-emption."""
    state = keep(problem)
    _offer(problem, session, state, "heuristic:keep")
    if not problem.n_nodes:
        return
    fill(state)
    _offer(problem, session, state, "heuristic:fill")
    # Where a tier's disruption comes before lower tiers, those are to give way first.
    if shift(state, session, below=int(problem.order == "interleaved")):
        _offer(problem, session, state, "heuristic:shift")
    if not session.stopped and preempt(state, session):
        fill(state)
        _offer(problem, session, state, "heuristic:preempt")
    if problem.order == "interleaved" and shift(state, session, below=0):
        _offer(problem, session, state, "heuristic:shift")


def default(problem: PodPacking, session: Session, seed: int) -> None:
    """Offer what the default scheduler makes of the state, where that breaks no rule.

    Evictions that a disruption budget does not allow, which the scheduler may resort to, are such
    a breach; so is an incoming state that is over-committed, which it leaves as it is.
    """
    sets = owner_numbers(problem)
    node = scheduler.schedule(problem, sets, seed, stopped=lambda: session.stopped)
    _offer(problem, session, State(problem, node), "heuristic:default")


def owner_numbers(problem: PodPacking) -> IntArray:
    """Return a number for each pod that tells its owner, -1 where it has none; (n_pods,)."""
    if problem.owners is None:
        return np.full(problem.n_pods, -1, dtype=np.int64)
    numbers: dict[tuple[str, str], int] = {}
    found = []
    for pod, owner in enumerate(problem.owners):
        # Owners have names of their own in each namespace alone.
        namespace = problem.pod_name(pod).rpartition("/")[0]
        found.append(numbers.setdefault((namespace, owner), len(numbers)) if owner else -1)
    return np.array(found, dtype=np.int64)


#: What ``solver="heuristic:NAME"`` runs instead of `construct`, by name.
VARIANTS: Mapping[str, Callable[[PodPacking, Session, int], None]] = {"default": default}


def keep(problem: PodPacking) -> State:
    """Return the incoming state, without what over-commits it; the least important go first."""
    state = State(problem)
    over = (state.load > state.limit).any(axis=1)
    for n in np.flatnonzero(over).tolist():
        pods = state.on(n)
        pods = pods[problem.movable[pods]]
        order = pods[np.lexsort((pods, problem.request[pods].sum(axis=1), -problem.tier[pods]))]
        for pod in order.tolist():
            excess = state.load[n] > state.limit[n]
            if not excess.any():
                break
            if problem.request[pod][excess].any() and state.may_evict(pod):
                state.remove(pod)
    return state


def fill(state: State) -> None:
    """Place the pods left out, the most important and the largest first, by best fit."""
    problem = state.problem
    for pod in _queue(problem, state.node):
        at = best_fit(state, pod)
        if at >= 0:
            state.place(pod, at)


def best_fit(state: State, pod: int) -> int:
    """Return the node with the least room left on which the pod may be placed now, or -1."""
    problem = state.problem
    open_ = state.open_nodes(pod)
    if not open_.size:
        return -1
    current = int(problem.current[pod])
    if current >= 0 and current in open_ and state.allows(pod, current):
        return current
    room = ((state.limit[open_] - state.load[open_]) / np.maximum(1, state.limit[open_])).sum(
        axis=1
    )
    for k in np.argsort(room, kind="stable").tolist():
        if state.allows(pod, int(open_[k])):
            return int(open_[k])
    return -1


def _queue(problem: PodPacking, node: IntArray) -> list[int]:
    pods = np.flatnonzero((node < 0) & problem.movable)
    share = problem.request[pods] / np.maximum(1, problem.capacity.max(axis=0, initial=1))
    order = pods[np.lexsort((pods, -share.max(axis=1, initial=0.0), problem.tier[pods]))]
    return [int(pod) for pod in order]


def preempt(state: State, session: Session) -> bool:
    """Place pending pods at the expense of lower tiers; return whether any was."""
    problem = state.problem
    found = False
    gain: dict[int, IntArray] = {}
    for pod in _queue(problem, state.node)[:MOST_PREEMPTIONS]:
        if session.stopped:
            break
        if problem.never_preempts[pod] or problem.tier[pod] == len(problem.tiers) - 1:
            continue
        tier = int(problem.tier[pod])
        if tier not in gain:
            gain[tier] = _below(state, tier)
        room = (state.limit - state.load + gain[tier] >= problem.request[pod]).all(axis=1)
        for n in np.flatnonzero(room & state.eligible(pod)).tolist():
            victims = _victims(state, pod, n)
            if victims is None:
                continue
            for victim in victims:
                state.remove(victim)
            if state.fits(pod, n) and state.allows(pod, n):
                state.place(pod, n)
                found = True
                gain.clear()
                break
            for victim in victims:
                state.place(victim, n)
    return found


def _below(state: State, tier: int) -> IntArray:
    """Return what the movable pods of lower tiers use on every node."""
    problem = state.problem
    able = problem.movable & (state.node >= 0) & (problem.tier > tier)
    used = np.zeros_like(state.load)
    np.add.at(used, state.node[able], problem.request[able])
    return used


def shift(state: State, session: Session, *, below: int) -> bool:
    """Place pending pods where one other, `below` tiers lower or more, makes room by moving."""
    problem = state.problem
    found, looks = False, 0
    #: Needs for which no other node had room: what is alike need not be tried again.
    hopeless: set[tuple[bytes, int]] = set()
    for pod in _queue(problem, state.node):
        for n in _nearest(state, pod):
            need = problem.request[pod] - (state.limit[n] - state.load[n])
            pods = state.on(n)
            able = problem.movable[pods] & (problem.tier[pods] >= problem.tier[pod] + below)
            able &= (problem.request[pods] >= need).all(axis=1)
            looks += 1
            if looks > MOST_LOOKS or session.stopped:
                return found
            if any(_shifted(state, pod, n, other, hopeless) for other in pods[able].tolist()):
                found = True
                break
    return found


def _nearest(state: State, pod: int) -> list[int]:
    """Return the eligible nodes that lack the least for a pod, the nearest first."""
    nodes = np.flatnonzero(state.eligible(pod))
    short = np.maximum(0, state.load[nodes] + state.problem.request[pod] - state.limit[nodes])
    share = (short / np.maximum(1, state.limit[nodes])).sum(axis=1)
    return [int(n) for n in nodes[np.argsort(share, kind="stable")[:MOST_NEAR]]]


def _shifted(state: State, pod: int, n: int, other: int, hopeless: set[tuple[bytes, int]]) -> bool:
    """Move `other` off node `n` and place `pod` there, where both are possible."""
    alike = (state.problem.request[other].tobytes(), int(state.problem.pod_class[other]))
    if alike in hopeless or not state.may_evict(other):
        return False
    state.remove(other)
    if state.fits(pod, n) and state.allows(pod, n):
        state.place(pod, n)
        at = best_fit(state, other)
        if at >= 0:
            state.place(other, at)
            return True
        state.remove(pod)
        hopeless.add(alike)
    state.place(other, n)
    return False


def _victims(state: State, pod: int, n: int) -> list[int] | None:
    """Return the least important pods that make room for `pod` on node `n`; None: impossible."""
    problem = state.problem
    need = problem.request[pod] - (state.limit[n] - state.load[n])
    pods = state.on(n)
    pods = pods[problem.movable[pods] & (problem.tier[pods] > problem.tier[pod])]
    if (need > problem.request[pods].sum(axis=0)).any():
        return None
    order = pods[np.lexsort((-problem.request[pods].sum(axis=1), -problem.tier[pods]))]
    chosen: list[int] = []
    for victim in order.tolist():
        if (need <= 0).all():
            break
        if problem.request[victim][need > 0].any() and state.may_evict(victim, chosen):
            chosen.append(victim)
            need = need - problem.request[victim]
    return chosen if (need <= 0).all() else None


def _offer(problem: PodPacking, session: Session, state: State, source: str) -> None:
    solution = PodPackingSolution(state.node)
    # Where rules between pods or budgets stand in the way, a repair may not be valid.
    if not problem.check(solution):
        session.offer(solution, source)
