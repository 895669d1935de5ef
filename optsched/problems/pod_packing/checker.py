"""The independent checker: the definition of a feasible placement, and nothing else.

It shares no code with any formulation or heuristic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optsched.core import BoolArray, InputError, IntArray, Violation

if TYPE_CHECKING:
    from optsched.problems.pod_packing.problem import PodPacking, PodPackingSolution
    from optsched.problems.pod_packing.terms import Term


def check(problem: PodPacking, solution: PodPackingSolution) -> list[Violation]:
    """Return every violation of `solution`, in words; an empty list means feasible."""
    node = solution.node
    if len(node) != problem.n_pods:
        text = f"node has {len(node)} entries, the instance has {problem.n_pods} pods"
        return [Violation("shape", text)]
    if (strange := np.flatnonzero((node < -1) | (node >= problem.n_nodes))).size:
        p = int(strange[0])
        return [Violation("node", f"{problem.pod_name(p)} is on {node[p]}, which is no node")]
    found = []
    for p in np.flatnonzero(~problem.movable & (node != problem.current)).tolist():
        text = f"{problem.pod_name(p)} is immovable, but leaves {_at(problem, problem.current[p])}"
        found.append(Violation("immovable", text))
    found += _capacity(problem, node)
    found += _migrations(problem, node)
    found += _budgets(problem, node)
    return found + arrivals(problem, node)


def arrivals(problem: PodPacking, node: IntArray) -> list[Violation]:
    """Return what the pods that come to a node break there, room and budgets apart."""
    new = (node >= 0) & (node != problem.current)
    found = _spans(problem, node)
    found += _eligibility(problem, node, new)
    found += _tokens(problem, node, new)
    for term in problem.terms:
        found += _term(problem, term, node, new)
    return found + _preemption(problem, node, new)


def load(problem: PodPacking, node: IntArray) -> IntArray:
    """Return what the pods at `node` need; shape (n_nodes, n_resources)."""
    return _load(problem, node, np.arange(len(node)))


def limit(problem: PodPacking) -> IntArray:
    """Return what each node may hold; where immovable pods need more than it has, their need."""
    fixed = _load(problem, problem.current, np.flatnonzero(~problem.movable))
    return np.maximum(problem.capacity, fixed)


def levels(problem: PodPacking, solution: PodPackingSolution) -> list[int]:
    """Return the value of every level of the objective, in their order.

    Raises
    ------
    InputError
        When the solution has the wrong length.
    """
    node = _vetted(problem, solution)
    runs, left = problem.current >= 0, node != problem.current
    cost = np.where(runs & left, np.where(node >= 0, 2, 1), 0)
    n_tiers = len(problem.tiers)
    unplaced = np.bincount(problem.tier[node < 0], minlength=n_tiers)
    disruption = np.bincount(problem.tier, weights=cost, minlength=n_tiers)
    by_tier = {"unplaced": unplaced, "disruption": disruption}
    found = []
    for goal, tier in problem.level_keys():
        if goal in by_tier:
            found.append(int(by_tier[goal][tier]))
        elif goal == "fragmentation":
            found.append(fragments(problem, solution)[0])
        else:
            found.append(_in_use(problem, node, priced=goal == "cost"))
    return found


def fragments(problem: PodPacking, solution: PodPackingSolution) -> tuple[int, int]:
    """Return what holds no slot of what is free, and what is free, of the slot's first resource.

    Raises
    ------
    InputError
        When the solution has the wrong length.
    """
    node = _vetted(problem, solution)
    free = np.maximum(0, limit(problem) - load(problem, node))
    wanted = [r for r, amount in enumerate(problem.slot.tolist()) if amount > 0]
    lost = total = 0
    for row in free.tolist():
        slots = min(row[r] // int(problem.slot[r]) for r in wanted)
        total += row[wanted[0]]
        lost += row[wanted[0]] - slots * int(problem.slot[wanted[0]])
    return lost, total


def _in_use(problem: PodPacking, node: IntArray, *, priced: bool) -> int:
    """Return how many hosts hold a movable pod, or what these cost."""
    held = {int(problem.host[n]) for n in node[problem.movable & (node >= 0)].tolist()}
    if not priced:
        return len(held)
    return sum(int(problem.price[n]) for n in range(problem.n_nodes) if problem.host[n] in held)


def _vetted(problem: PodPacking, solution: PodPackingSolution) -> IntArray:
    node = solution.node
    if len(node) != problem.n_pods:
        raise InputError(
            f"solution: node has {len(node)} entries, the instance has {problem.n_pods} pods"
        )
    return node


def _at(problem: PodPacking, node: int | np.int64) -> str:
    return "no node" if node < 0 else problem.node_name(int(node))


def _load(problem: PodPacking, node: IntArray, pods: IntArray) -> IntArray:
    """Return what `pods` need of every node; one that spans a host needs it of each node there."""
    need = np.zeros_like(problem.capacity)
    placed = pods[node[pods] >= 0]
    single = placed[~problem.spans[placed]]
    np.add.at(need, node[single], problem.request[single])
    for p in placed[problem.spans[placed]].tolist():
        need[problem.host == problem.host[node[p]]] += problem.request[p]
    return need


def _capacity(problem: PodPacking, node: IntArray) -> list[Violation]:
    need, most = load(problem, node), limit(problem)
    return [
        Violation(
            "capacity",
            f"{problem.node_name(n)}: the pods on it need {need[n, r]} of "
            f"{problem.resource_name(r)}, it has {most[n, r]}",
        )
        for n, r in np.argwhere(need > most).tolist()
    ]


def _spans(problem: PodPacking, node: IntArray) -> list[Violation]:
    """A pod that spans a host is written as being on the host's first node."""
    found = []
    for p in np.flatnonzero(problem.spans & (node >= 0)).tolist():
        first = int(np.flatnonzero(problem.host == problem.host[node[p]])[0])
        if node[p] != first:
            text = (
                f"{problem.pod_name(p)} spans a host, so it belongs on {problem.node_name(first)}, "
                f"not on {_at(problem, node[p])}"
            )
            found.append(Violation("span", text))
    return found


def _migrations(problem: PodPacking, node: IntArray) -> list[Violation]:
    left = int(((problem.current >= 0) & (node != problem.current)).sum())
    if problem.migration_limit is None or left <= problem.migration_limit:
        return []
    text = f"{left} pods leave their node, {problem.migration_limit} may"
    return [Violation("migrations", text)]


def _eligibility(problem: PodPacking, node: IntArray, new: BoolArray) -> list[Violation]:
    pods = np.flatnonzero(new)
    wrong = ~problem.eligible[problem.pod_class[pods], problem.node_class[node[pods]]]
    return [
        Violation("eligibility", f"{problem.pod_name(p)} may not be placed on {_at(problem, n)}")
        for p, n in zip(pods[wrong].tolist(), node[pods[wrong]].tolist(), strict=True)
    ]


def _tokens(problem: PodPacking, node: IntArray, new: BoolArray) -> list[Violation]:
    """One holder of a token a node; holders that have shared a node all along may go on."""
    holders: dict[tuple[int, int], list[int]] = {}
    for pod, token in problem.token_pairs.tolist():
        if node[pod] >= 0:
            holders.setdefault((int(node[pod]), token), []).append(pod)
    found = []
    for (n, token), pods in holders.items():
        if len(pods) > 1 and any(new[p] for p in pods):
            who = " and ".join(problem.pod_name(p) for p in pods)
            text = f"{problem.node_name(n)}: {who} both hold {problem.token_names[token]}"
            found.append(Violation("token", text))
    return found


def _term(problem: PodPacking, term: Term, node: IntArray, new: BoolArray) -> list[Violation]:
    domain_of = problem.topology[problem.topology_keys.index(term.key)]
    domain = np.where(node >= 0, domain_of[node], -1)
    if term.kind == "spread":
        return _spread(problem, term, node, new, domain_of)
    is_target = np.zeros(problem.n_pods, dtype=bool)
    is_target[term.targets] = True
    found = []
    if term.kind == "affinity":
        at = node[term.targets]
        at = at[at >= 0]
        counted = np.arange(problem.n_nodes) if term.nodes is None else term.nodes
        placed = int(np.isin(at, counted).sum())
        for p in term.owners[new[term.owners]].tolist():
            others = term.targets[(domain[term.targets] == domain[p]) & (term.targets != p)]
            alone = bool(is_target[p]) and placed == 1 and node[p] in counted
            if domain[p] < 0:
                why = f"the node has no {term.key}"
            elif others.size or alone:
                continue
            else:
                why = f"no other pod that it wants is in its {term.key}"
            found.append(_broken(problem, "affinity", p, node, why))
        return found
    is_owner = np.zeros(problem.n_pods, dtype=bool)
    is_owner[term.owners] = True
    for these, others in ((term.owners, term.targets), (term.targets, term.owners)):
        for p in these[new[these]].tolist():
            if domain[p] < 0:
                continue
            clash = others[(domain[others] == domain[p]) & (others != p)]
            if clash.size:
                why = f"{problem.pod_name(int(clash[0]))} is in the same {term.key}"
                found.append(_broken(problem, "anti-affinity", p, node, why))
    return found


def _spread(
    problem: PodPacking, term: Term, node: IntArray, new: BoolArray, domain_of: IntArray
) -> list[Violation]:
    counts_here = domain_of >= 0
    if term.nodes is not None:
        chosen = np.zeros(problem.n_nodes, dtype=bool)
        chosen[term.nodes] = True
        counts_here &= chosen
    domains = np.unique(domain_of[counts_here])
    number = {int(d): 0 for d in domains}
    for p in term.targets.tolist():
        if node[p] >= 0 and counts_here[node[p]]:
            number[int(domain_of[node[p]])] += 1
    fewest = min(number.values(), default=0) if len(number) >= term.min_domains else 0
    found = []
    for p in term.owners[new[term.owners]].tolist():
        d = int(domain_of[node[p]])
        if d < 0:
            found.append(_broken(problem, "spread", p, node, f"the node has no {term.key}"))
        elif number.get(d, 0) - fewest > term.max_skew:
            why = f"{number[d]} pods in its {term.key}, {fewest} in another"
            found.append(_broken(problem, "spread", p, node, f"{why}, more than {term.max_skew}"))
    return found


def _broken(problem: PodPacking, kind: str, pod: int, node: IntArray, why: str) -> Violation:
    text = f"{problem.pod_name(pod)} on {_at(problem, node[pod])} breaks its {kind}: {why}"
    return Violation(kind, text)


def _budgets(problem: PodPacking, node: IntArray) -> list[Violation]:
    found = []
    left = (problem.current >= 0) & (node != problem.current)
    for k, budget in enumerate(problem.budgets):
        name = budget.name or f"budget {k}"
        evicted = int((left & (node < 0))[budget.pods].sum())
        if evicted > budget.allowed:
            text = f"{name}: {evicted} pods are evicted, {budget.allowed} allowed"
            found.append(Violation("budget", text))
        elif budget.allowed == 0 and left[budget.pods].any():
            p = int(budget.pods[left[budget.pods]][0])
            text = f"{name}: {problem.pod_name(p)} moves, but no disruption is allowed"
            found.append(Violation("budget", text))
    return found


def _preemption(problem: PodPacking, node: IntArray, new: BoolArray) -> list[Violation]:
    """No pod that never preempts comes to a node from which a lower one is evicted."""
    lowest: dict[int, int] = {}
    for p in np.flatnonzero((problem.current >= 0) & (node < 0)).tolist():
        n, priority = int(problem.current[p]), int(problem.priority[p])
        if priority < problem.priority[lowest.get(n, p)] or n not in lowest:
            lowest[n] = p
    found = []
    for p in np.flatnonzero(new & problem.never_preempts).tolist():
        victim = lowest.get(int(node[p]))
        if victim is not None and problem.priority[victim] < problem.priority[p]:
            text = (
                f"{problem.pod_name(p)} never preempts, but {problem.pod_name(victim)} of lower "
                f"priority is evicted from {_at(problem, node[p])}"
            )
            found.append(Violation("preemption", text))
    return found
