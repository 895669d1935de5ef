"""Why a pod is left out: node by node in the scheduler's wording, who blocks it, what would help.

Everything here is a statement on one solution: which pods would have to leave a node, and what
would have to be added to it, for this pod to be placed with all others where they are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from optsched.core import InputError, IntArray
from optsched.problems.pod_packing.placing import State
from optsched.problems.pod_packing.problem import PodPacking, PodPackingSolution

#: Pods of a node for which every set is tried; of more, a set is found greedily and then reduced.
EVERY_SET = 14


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one pod is left out.

    Attributes
    ----------
    pod : int
    reasons : dict of int to tuple of str
        For each node, what keeps the pod away, as the scheduler would put it.
    summary : str
        The same as one line, in the form of the scheduler's event.
    blocking_node : int
        The node on which the fewest pods stand in the way; -1 where pods alone are not the reason.
    blocking : tuple of int
        Those pods: a minimal set without which this pod could be placed there.
    remedy : str
        The smallest change that would let the pod be placed.
    """

    pod: int
    reasons: dict[int, tuple[str, ...]]
    summary: str
    blocking_node: int
    blocking: tuple[int, ...]
    remedy: str


def explain(problem: PodPacking, solution: PodPackingSolution) -> list[Explanation]:
    """Return an explanation of every pod that `solution` leaves out.

    Raises
    ------
    InputError
        When `solution` is not feasible.
    """
    if violations := problem.check(solution):
        raise InputError(f"explain: not a solution of this instance: {violations[0]}")
    state = State(problem, solution.node)
    pods = np.flatnonzero(solution.node < 0).tolist()
    return [_explain(state, pod) for pod in pods]


def _explain(state: State, pod: int) -> Explanation:
    problem = state.problem
    reasons = {n: tuple(_reasons(state, pod, n)) for n in range(problem.n_nodes)}
    node, blocking = _blocking(state, pod)
    return Explanation(
        pod, reasons, _summary(problem, reasons), node, blocking,
        _remedy(state, pod, reasons, node, blocking),
    )  # fmt: skip


def _reasons(state: State, pod: int, n: int) -> list[str]:
    problem = state.problem
    found = []
    if not state.eligible(pod)[n]:
        found.append("node(s) didn't match Pod's node affinity/selector, taints or readiness")
    sites = state.sites(pod, n)
    short = (state.load[sites] + problem.request[pod] > state.limit[sites]).any(axis=0)
    for r in np.flatnonzero(short).tolist():
        name = problem.resource_name(r)
        found.append("Too many pods" if name == "pods" else f"Insufficient {name}")
    if not found and not state.allows(pod, n):
        found.append(_rule(state, pod, n))
    return found


def _rule(state: State, pod: int, n: int) -> str:
    """Return which rule between pods keeps the pod away; alone on the nodes it might be allowed."""
    problem = state.problem
    after = state.node.copy()
    after[pod] = n
    now = object.__new__(PodPacking)
    now.__dict__.update(problem.__dict__)
    # Judged as the scheduler would: all others are where they are, this pod comes.
    now.__dict__["current"] = np.where(np.arange(len(after)) == pod, -1, state.node)
    wording = {
        "token": "node(s) didn't have free ports for the requested pod ports",
        "affinity": "node(s) didn't match pod affinity rules",
        "anti-affinity": "node(s) didn't match pod anti-affinity rules",
        "spread": "node(s) didn't match pod topology spread constraints",
    }
    for violation in now.check(PodPackingSolution(after)):
        if violation.kind in wording:
            return wording[violation.kind]
    return "a pod that never preempts would profit from an eviction"


def _summary(problem: PodPacking, reasons: dict[int, tuple[str, ...]]) -> str:
    open_ = sum(1 for texts in reasons.values() if not texts)
    count = Counter(text for texts in reasons.values() for text in texts)
    parts = [f"{number} {text}" for text, number in sorted(count.items())]
    return f"{open_}/{problem.n_nodes} nodes are available: {', '.join(parts)}."


def _blocking(state: State, pod: int) -> tuple[int, tuple[int, ...]]:
    """Return the node and the fewest pods on it without which `pod` could be placed there."""
    best: tuple[int, tuple[int, ...]] = (-1, ())
    for n in np.flatnonzero(state.eligible(pod)).tolist():
        others = np.unique(np.concatenate([state.on(site) for site in state.sites(pod, n)]))
        others = others[state.problem.movable[others]]
        chosen = _fewest(state, pod, n, others)
        if chosen is not None and (best[0] < 0 or len(chosen) < len(best[1])):
            best = (n, chosen)
    return best


def _fewest(state: State, pod: int, n: int, others: IntArray) -> tuple[int, ...] | None:
    """Return a smallest set of `others` that has to leave node `n`; None where none suffices."""
    problem = state.problem

    def enough(leaving: tuple[int, ...]) -> bool:
        at = [int(state.node[other]) for other in leaving]
        for other in leaving:
            state.remove(other)
        possible = state.fits(pod, n) and state.allows(pod, n)
        for other, home in zip(leaving, at, strict=True):
            state.place(other, home)
        return possible

    everyone = tuple(others.tolist())
    if not enough(everyone):
        return None
    if len(everyone) > EVERY_SET:
        # The least important leave first; then each that need not is put back.
        order = others[np.lexsort((-problem.request[others].sum(axis=1), -problem.tier[others]))]
        kept = list(order.tolist())
        for other in order[::-1].tolist():
            rest = tuple(p for p in kept if p != other)
            if enough(rest):
                kept.remove(other)
        return tuple(kept)
    for size in range(len(everyone) + 1):
        # Among sets of one size, the least important.
        for leaving in combinations(sorted(everyone, key=lambda p: -int(problem.tier[p])), size):
            if enough(leaving):
                return leaving
    return everyone


def _remedy(
    state: State,
    pod: int,
    reasons: dict[int, tuple[str, ...]],
    node: int,
    blocking: tuple[int, ...],
) -> str:
    problem = state.problem
    eligible = np.flatnonzero(state.eligible(pod))
    if not eligible.size:
        if problem.request[pod].any() and (problem.capacity >= problem.request[pod]).all(1).any():
            return "no node admits it: change its selector, affinity or tolerations, or the nodes"
        return "no node admits it, and none is large enough"
    roomy = [
        n for n in eligible.tolist()
        if all(text.startswith(("Insufficient", "Too many")) for text in reasons[n])
    ]  # fmt: skip
    if roomy:
        room = state.limit - state.load
        free = np.array([room[state.sites(pod, n)].min(axis=0) for n in roomy])
        short = np.maximum(0, problem.request[pod] - free)
        share = (short / np.maximum(1, problem.request[pod])).sum(axis=1)
        k = int(share.argmin())
        lacks = ", ".join(
            f"{short[k, r]} more {problem.resource_name(r)}"
            for r in np.flatnonzero(short[k]).tolist()
        )
        if lacks:
            return f"{lacks} on {problem.node_name(roomy[k])}, or as much less in its requests"
    if node >= 0 and blocking:
        who = ", ".join(problem.pod_name(other) for other in blocking)
        return f"{problem.node_name(node)} without {who}"
    return (
        "a node more that it may use, as its rules towards other pods hold it off those there are"
    )
