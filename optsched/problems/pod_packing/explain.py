"""Why a pod is left out: node by node in the scheduler's wording, who blocks it, what would help.

Everything here is a statement on one solution: which pods would have to leave, and what would have
to be changed or added, for this pod to be placed with all others where they are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from optsched.core import BoolArray, InputError, IntArray
from optsched.numbers import integers, is_row, shown
from optsched.problems.pod_packing import checker
from optsched.problems.pod_packing.grouping import least_of_host, signatures
from optsched.problems.pod_packing.placing import State
from optsched.problems.pod_packing.plan_checker import Rules, at, rules_of
from optsched.problems.pod_packing.problem import PodPacking, PodPackingSolution
from optsched.problems.pod_packing.refusals import GENERAL, Refusal
from optsched.problems.pod_packing.terms import Term

#: Pods of which every set is tried; of more, a set is found greedily and then reduced.
EVERY_SET = 14
_PORTS = "node(s) didn't have free ports for the requested pod ports"
_SPREAD = "node(s) didn't match pod topology spread constraints"
_AFFINITY = "node(s) didn't match pod affinity rules"
_OWN_ANTI = "node(s) didn't match pod anti-affinity rules"
_THEIR_ANTI = "node(s) didn't satisfy existing pods anti-affinity rules"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one pod is left out.

    Attributes
    ----------
    pod : int
    reasons : dict of int to tuple of str
        For each node, what keeps the pod away: the first that the scheduler would find, which is
        more than one text only where several resources are short; empty where nothing does.
    summary : str
        The same as one line, in the form of the scheduler's event.
    blocking_node : int
        The node on which the pod could be placed without the fewest others; -1 where pods alone
        are not the reason.
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


def explain(
    problem: PodPacking, solution: PodPackingSolution, pods: Any = None
) -> list[Explanation]:
    """Return an explanation of every pod, or of those of `pods`, that `solution` leaves out.

    Raises
    ------
    InputError
        When `solution` is not feasible, or places one of `pods`.
    """
    if violations := problem.check(solution):
        raise InputError(f"explain: not a solution of this instance: {violations[0]}")
    left = np.flatnonzero(solution.node < 0)
    if pods is not None:
        if not is_row(pods):
            raise InputError(f"explain: expected a list of pods, not {shown(pods)}")
        wanted = integers(pods, "explain: pods")
        if (strange := wanted[~np.isin(wanted, left)]).size:
            raise InputError(f"explain: pod {strange[0]} is not left out")
        left = np.unique(wanted)
    groups = alike(problem, left)
    state = State(problem, solution.node)
    rules = rules_of(problem, {group[0] for group in groups})
    told = {}
    for group in groups:
        found = _explain(state, group[0], rules[group[0]])
        told.update({pod: replace(found, pod=pod) for pod in group})
    return [told[pod] for pod in left.tolist()]


def alike(problem: PodPacking, pods: IntArray) -> list[list[int]]:
    """Return pods that are left out, ascending, in groups for which one explanation holds."""
    types, _ = signatures(problem)
    groups: dict[tuple[int, int], list[int]] = {}
    for pod in pods.tolist():
        # A pod that was evicted may return to its node.
        groups.setdefault((int(types[pod]), int(problem.current[pod])), []).append(pod)
    return list(groups.values())


def _explain(state: State, pod: int, rules: Rules) -> Explanation:
    problem = state.problem
    room = state.limit - state.load
    if problem.spans[pod]:
        room = least_of_host(problem, room)
    lack = np.maximum(0, problem.request[pod] - room)
    reasons = _reasons(state, pod, rules, lack > 0)
    node, blocking = _blocking(state, pod, rules)
    refusals = [_refusal(state, pod, n) for n in _homes(problem, pod)]
    whole = next((each.reason for each in refusals if each and each.stage == "pod"), "")
    return Explanation(
        pod, reasons, _summary(problem, reasons, whole), node, blocking,
        _remedy(state, pod, lack, refusals, node, blocking),
    )  # fmt: skip


def _homes(problem: PodPacking, pod: int) -> list[int]:
    """Return the nodes that a pod can be written as being on."""
    if not problem.spans[pod]:
        return list(range(problem.n_nodes))
    return [int(n) for n in np.unique(problem.first)]


def _refusal(state: State, pod: int, n: int) -> Refusal | None:
    """Return what keeps the pod off a node, room and other pods apart."""
    problem = state.problem
    kinds = problem.pod_class[pod], problem.node_class[n]
    if problem.eligible[kinds] or problem.current[pod] == n:
        return None
    k = int(problem.refused[kinds])
    return problem.refusals[k] if k >= 0 else GENERAL


# ---- reasons -----------------------------------------------------------------------------------


def _reasons(state: State, pod: int, rules: Rules, short: BoolArray) -> dict[int, tuple[str, ...]]:
    """Return what keeps the pod off each node, plugin by plugin as the scheduler asks them."""
    problem = state.problem
    ports = {int(state.node[other]) for other in _rivals(state, pod, rules)}
    found: dict[int, tuple[str, ...]] = {}
    roomy = []
    for n in _homes(problem, pod):
        refusal = _refusal(state, pod, n)
        if refusal is not None and refusal.stage != "volume":
            found[n] = (refusal.reason,)
        elif n in ports:
            found[n] = (_PORTS,)
        elif short[n].any():
            found[n] = _shortage(problem, short[n])
        elif refusal is not None:
            found[n] = (refusal.reason,)
        elif state.allows(pod, n):
            found[n] = ()
        else:
            roomy.append(n)
    texts = _ruled(state, pod, rules[0], roomy)
    own = "a pod that never preempts would profit from an eviction"
    found |= {n: (texts.get(n, own),) for n in roomy}
    return {n: found[int(problem.first[n]) if problem.spans[pod] else n]
            for n in range(problem.n_nodes)}  # fmt: skip


def _rivals(state: State, pod: int, rules: Rules) -> list[int]:
    """Return the placed pods that hold a token of this one, and do not share a node with it."""
    problem = state.problem
    current = problem.current
    return [
        other for other in np.unique(rules[1][:, 0]).tolist()
        if other != pod and state.node[other] >= 0
        and not current[pod] == current[other] == state.node[other]
    ]  # fmt: skip


def _shortage(problem: PodPacking, short: BoolArray) -> tuple[str, ...]:
    names = [problem.resource_name(r) for r in np.flatnonzero(short).tolist()]
    texts = ["Too many pods"] if "pods" in names else []
    return (*texts, *(f"Insufficient {name}" for name in names if name != "pods"))


def _ruled(state: State, pod: int, terms: tuple[Term, ...], nodes: list[int]) -> dict[int, str]:
    """Return which rule between pods keeps the pod off `nodes`, by the independent checker."""
    problem = state.problem
    found: dict[int, str] = {}
    none = problem.token_pairs[:0]
    for term, text in _stages(pod, terms):
        domain = problem.topology[problem.topology_keys.index(term.key)]
        now = at(problem, ((term,), none), state.node)
        broken: dict[tuple[int, bool], bool] = {}
        for n in nodes:
            if n in found:
                continue
            # Nodes of a domain are alike for a term, as far as it counts them.
            alike_ = int(domain[n]), term.nodes is None or n in term.nodes
            if alike_ not in broken:
                after = state.node.copy()
                after[pod] = n
                kind = term.kind.replace("_", "-")
                broken[alike_] = any(v.kind == kind for v in checker.arrivals(now, after))
            if broken[alike_]:
                unlabelled = term.kind == "spread" and domain[n] < 0
                found[n] = f"{text} (missing required label)" if unlabelled else text
    return found


def _stages(pod: int, terms: tuple[Term, ...]) -> Iterator[tuple[Term, str]]:
    """Yield the terms as they concern the pod alone, in the order in which they are asked."""
    alone = np.array([pod])
    for kind, text in (("spread", _SPREAD), ("affinity", _AFFINITY), ("anti_affinity", _OWN_ANTI)):
        for term in terms:
            if term.kind == kind and pod in term.owners:
                yield replace(term, owners=alone), text
    for term in terms:
        if term.kind == "anti_affinity" and pod in term.targets:
            yield replace(term, targets=alone), _THEIR_ANTI


def _summary(problem: PodPacking, reasons: dict[int, tuple[str, ...]], whole: str) -> str:
    if whole:
        return f"{whole}."
    open_ = sum(1 for texts in reasons.values() if not texts)
    count = Counter(text for texts in reasons.values() for text in texts)
    head = f"{open_}/{problem.n_nodes} nodes are available"
    # Sorted as text, as the scheduler does.
    parts = ", ".join(sorted(f"{number} {text}" for text, number in count.items()))
    return f"{head}: {parts}." if parts else f"{head}."


# ---- who is in the way -------------------------------------------------------------------------


def _blocking(state: State, pod: int, rules: Rules) -> tuple[int, tuple[int, ...]]:
    """Return the node and the fewest pods without which `pod` could be placed there."""
    tries = []
    for n in np.flatnonzero(state.eligible(pod)).tolist():
        others = _others(state, pod, n, rules[0])
        least = _at_least(state, pod, n, others)
        if least <= len(others):
            tries.append((least, n, others))
    best: tuple[int, tuple[int, ...]] = (-1, ())
    for least, n, others in sorted(tries, key=lambda each: each[:2]):
        if best[0] >= 0 and least >= len(best[1]):
            break
        chosen = _fewest(state, pod, n, others)
        if chosen is not None and (best[0] < 0 or len(chosen) < len(best[1])):
            best = (n, chosen)
    return best


def _others(state: State, pod: int, n: int, terms: tuple[Term, ...]) -> IntArray:
    """Return the movable pods that may be in the way: on the node, or by a rule in its domain."""
    problem = state.problem
    groups = [state.on(site) for site in state.sites(pod, n)]
    for term in terms:
        domain = problem.topology[problem.topology_keys.index(term.key)]
        if domain[n] < 0 or term.kind == "affinity":
            continue
        seen = [term.targets] if pod in term.owners else []
        if term.kind == "anti_affinity" and pod in term.targets:
            seen.append(term.owners)
        for members in seen:
            placed = members[state.node[members] >= 0]
            groups.append(placed[domain[state.node[placed]] == domain[n]])
    others = np.unique(np.concatenate(groups))
    return others[problem.movable[others]]


def _at_least(state: State, pod: int, n: int, others: IntArray) -> int:
    """Return how many of `others` have to leave for the room alone; more than all: none suffice."""
    least = 0
    for site in state.sites(pod, n):
        lack = state.load[site] + state.problem.request[pod] - state.limit[site]
        for r in np.flatnonzero(lack > 0).tolist():
            largest = np.sort(state.problem.request[others, r])[::-1].cumsum()
            least = max(least, int(np.searchsorted(largest, lack[r])) + 1)
    return least


def _fewest(state: State, pod: int, n: int, others: IntArray) -> tuple[int, ...] | None:
    """Return a smallest set of `others` that has to leave; None where all do not suffice."""
    problem = state.problem

    def enough(leaving: tuple[int, ...]) -> bool:
        homes = [int(state.node[other]) for other in leaving]
        for other in leaving:
            state.remove(other)
        possible = state.fits(pod, n) and state.allows(pod, n)
        for other, home in zip(leaving, homes, strict=True):
            state.place(other, home)
        return possible

    everyone = tuple(others.tolist())
    if not enough(everyone):
        return None
    if len(everyone) > EVERY_SET:
        # The least important leave first; then each that need not is put back.
        order = others[np.lexsort((-problem.request[others].sum(axis=1), -problem.tier[others]))]
        first = tuple(order.tolist())
        count = bisect_left(range(len(first)), True, key=lambda k: enough(first[:k]))
        kept = list(first[:count])
        for other in kept[::-1]:
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


# ---- what would help ---------------------------------------------------------------------------


def _remedy(
    state: State,
    pod: int,
    lack: IntArray,
    refusals: list[Refusal | None],
    node: int,
    blocking: tuple[int, ...],
) -> str:
    """Return the fewest changes of settings and room on one node, or else the pods to leave."""
    problem = state.problem
    homes = _homes(problem, pod)
    share = (lack / np.maximum(1, problem.request[pod])).sum(axis=1)
    tries = []
    for n, refusal in zip(homes, refusals, strict=True):
        settings = () if refusal is None else refusal.remedies
        if refusal is None or settings:
            tries.append((len(settings) + bool(lack[n].any()), float(share[n]), n, settings))
    for changes, _, n, settings in sorted(tries):
        if state.allows(pod, n):
            if not changes:
                return f"none is needed: {problem.node_name(n)} takes it"
            name = problem.node_name(n)
            parts = [text.replace("{node}", name) for text in settings]
            return ", and ".join(parts + _more(problem, lack[n], name))
    if node >= 0 and blocking:
        who = ", ".join(problem.pod_name(other) for other in blocking)
        return f"{problem.node_name(node)} without {who}"
    if tries:
        return (
            "a node more that it may use, as its rules towards other pods hold it off those there "
            "are"
        )
    if any(each is not None and each.stage == "volume" for each in refusals):
        return "a node more that its volumes can reach"
    if problem.request[pod].any() and (problem.capacity >= problem.request[pod]).all(1).any():
        return "no node admits it: change its selector, affinity or tolerations, or the nodes"
    return "no node admits it, and none is large enough"


def _more(problem: PodPacking, lack: IntArray, name: str) -> list[str]:
    amounts = ", ".join(
        f"{lack[r]} more {problem.resource_name(r)}" for r in np.flatnonzero(lack).tolist()
    )
    return [f"{amounts} on {name}, or as much less in its requests"] if amounts else []
