"""A placement in the making: load, and what each rule still allows, kept up to date."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optsched.core import BoolArray, IntArray
from optsched.problems.pod_packing.grouping import limits, loads
from optsched.problems.pod_packing.problem import PodPacking
from optsched.problems.pod_packing.terms import Term


class State:
    """A placement that grows and shrinks pod by pod.

    Attributes
    ----------
    node : ndarray of int64, shape (n_pods,)
    load, limit : ndarray of int64, shape (n_nodes, n_resources)
    """

    def __init__(self, problem: PodPacking, node: IntArray | None = None) -> None:
        self.problem = problem
        self.node = (problem.current if node is None else node).copy()
        self.limit, _ = limits(problem)
        self.load = loads(problem, self.node)
        self._on: list[set[int]] = [set() for _ in range(problem.n_nodes)]
        for pod in np.flatnonzero(self.node >= 0).tolist():
            for n in self.sites(pod, int(self.node[pod])):
                self._on[n].add(pod)
        self._tokens: dict[int, list[int]] = {}
        for pod, token in problem.token_pairs.tolist():
            self._tokens.setdefault(pod, []).append(token)
        self._terms: dict[int, list[int]] = {}
        self._budgets: dict[int, list[int]] = {}
        for k, term in enumerate(problem.terms):
            for pod in {*term.owners.tolist(), *term.targets.tolist()}:
                self._terms.setdefault(pod, []).append(k)
        for k, budget in enumerate(problem.budgets):
            for pod in budget.pods.tolist():
                self._budgets.setdefault(pod, []).append(k)
        keys = {key: problem.topology[k] for k, key in enumerate(problem.topology_keys)}
        self._domain = [keys[term.key] for term in problem.terms]

    def sites(self, pod: int, n: int) -> list[int]:
        """Return the nodes of which the pod takes its request when it is on node `n`."""
        if not self.problem.spans[pod]:
            return [n]
        return [int(site) for site in self.problem.host_nodes(n)]

    def on(self, n: int) -> IntArray:
        """Return the pods on node `n`, ascending."""
        return np.array(sorted(self._on[n]), dtype=np.int64)

    def place(self, pod: int, n: int) -> None:
        """Put a pod that is nowhere on node `n`."""
        self.node[pod] = n
        for site in self.sites(pod, n):
            self.load[site] += self.problem.request[pod]
            self._on[site].add(pod)

    def remove(self, pod: int) -> None:
        """Take a pod off its node."""
        n = int(self.node[pod])
        self.node[pod] = -1
        for site in self.sites(pod, n):
            self.load[site] -= self.problem.request[pod]
            self._on[site].discard(pod)

    def eligible(self, pod: int) -> BoolArray:
        """Return the nodes on which the pod may be placed, room apart."""
        problem = self.problem
        open_ = problem.eligible[problem.pod_class[pod]][problem.node_class]
        if problem.current[pod] >= 0:
            open_ = open_.copy()
            open_[problem.current[pod]] = True
        if problem.spans[pod]:
            open_ = open_ & (problem.first == np.arange(problem.n_nodes))
        return np.asarray(open_)

    def fits(self, pod: int, n: int) -> bool:
        """Return whether there is room for the pod on node `n`."""
        at = self.sites(pod, n) if self.problem.spans[pod] else n
        return bool((self.load[at] + self.problem.request[pod] <= self.limit[at]).all())

    def open_nodes(self, pod: int) -> IntArray:
        """Return the eligible nodes with room, ascending; rules between pods are not looked at."""
        room = (self.load + self.problem.request[pod] <= self.limit).all(axis=1)
        if self.problem.spans[pod]:
            everywhere = np.ones(len(room), dtype=bool)
            np.logical_and.at(everywhere, self.problem.first, room)
            room = everywhere
        return np.flatnonzero(room & self.eligible(pod))

    def may_evict(self, pod: int, also: Sequence[int] = ()) -> bool:
        """Return whether the budgets let this running pod be evicted, together with `also`."""
        if not self.problem.movable[pod]:
            return False
        if self.problem.current[pod] < 0:
            return True
        for k in self._budgets.get(pod, ()):
            budget = self.problem.budgets[k]
            away = (self.problem.current[budget.pods] >= 0) & (self.node[budget.pods] < 0)
            more = sum(1 for other in also if k in self._budgets.get(other, ()))
            if int(away.sum()) + more >= budget.allowed:
                return False
        return True

    def allows(self, pod: int, n: int) -> bool:
        """Return whether tokens, terms and pre-emption let the pod be placed on node `n` now.

        A pod may always return to the node on which it runs, as far as others do not object.
        """
        problem = self.problem
        new = problem.current[pod] != n
        for token in self._tokens.get(pod, ()):
            holders = [q for q in self._on[n] if q != pod and token in self._tokens.get(q, ())]
            if any(new or problem.current[q] != n for q in holders):
                return False
        for k in self._terms.get(pod, ()):
            term, domain = problem.terms[k], self._domain[k]
            if not self._term_allows(term, domain, pod, n, new):
                return False
        if new and problem.never_preempts[pod]:
            evicted = (problem.current == n) & (self.node < 0)
            return not bool((problem.priority[evicted] < problem.priority[pod]).any())
        return True

    def _term_allows(self, term: Term, domain: IntArray, pod: int, n: int, new: bool) -> bool:
        owns, aimed = _in(term.owners, pod), _in(term.targets, pod)
        d = int(domain[n])
        if term.kind == "anti_affinity":
            if d < 0:
                return True
            if owns and self._clash(term.targets, domain, d, pod, new):
                return False
            return not (aimed and self._clash(term.owners, domain, d, pod, new))
        if not (owns and new):
            return True
        if d < 0:
            return False
        at = self.node[term.targets]
        placed = (at >= 0) & (term.targets != pod)
        if term.kind == "affinity":
            there = placed & (domain[at] == d)
            if term.nodes is not None:
                placed &= np.isin(at, term.nodes)
                aimed = aimed and n in term.nodes
            return bool(there.any()) or (aimed and not placed.any())
        counts = domain >= 0
        if term.nodes is not None:
            mask = np.zeros(len(domain), dtype=bool)
            mask[term.nodes] = True
            counts &= mask
        number = dict.fromkeys(np.unique(domain[counts]).tolist(), 0)
        for m in at[placed].tolist():
            if counts[m]:
                number[int(domain[m])] += 1
        if aimed and counts[n]:
            number[d] += 1
        # The fewest are those after placing, which is what the final state is judged by.
        fewest = min(number.values(), default=0) if len(number) >= term.min_domains else 0
        return number.get(d, 0) - fewest <= term.max_skew

    def _clash(self, others: IntArray, domain: IntArray, d: int, pod: int, new: bool) -> bool:
        at = self.node[others]
        there = (at >= 0) & (others != pod) & (domain[at] == d)
        if not new:  # two pods that both stay may go on
            there &= at != self.problem.current[others]
        return bool(there.any())


def _in(array: IntArray, value: int) -> bool:
    k = int(np.searchsorted(array, value))
    return k < len(array) and int(array[k]) == value
