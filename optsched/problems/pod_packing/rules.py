"""Tokens, terms, budgets and pre-emption as constraints of the aggregated model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from optsched.core import IntArray
from optsched.problems.pod_packing.terms import Term

if TYPE_CHECKING:
    from optsched.problems.pod_packing.model import TypeModel


def add_rules(m: TypeModel) -> None:
    """Add every rule beyond capacity to the model."""
    _tokens(m)
    for k, term in enumerate(m.problem.terms):
        _Domains(m, term, k).add()
    _budgets(m)
    _preemption(m)


def types_in(m: TypeModel, pods: IntArray) -> list[int]:
    """Return the types of `pods`."""
    return [int(t) for t in np.unique(m.types.of_pod[pods])]


def number(m: TypeModel, t: int, n: int) -> Any:
    """Return how many of a type are on a node: a variable or a number."""
    if m.active[t]:
        return m.x.get((t, n), 0)
    return int(m.types.cur[t, n]) if m.fixed[t] else 0


def arrivals(m: TypeModel, t: int, nodes: list[int], name: str) -> Any:
    """Return a literal that holds where a pod of the type comes to one of `nodes`; None: never."""
    able = [
        n
        for n in nodes
        if (t, n) in m.x and m.x[t, n].proto.domain[1] > m.types.cur[t, n] and m.active[t]
    ]
    if not able:
        return None
    comes = m.model.new_bool_var(name)
    for n in able:
        m.model.add(m.x[t, n] <= int(m.types.cur[t, n])).only_enforce_if(~comes)
    return comes


def _tokens(m: TypeModel) -> None:
    pods, tokens = m.problem.token_pairs.T
    for token in range(len(m.problem.token_names)):
        holders = types_in(m, pods[tokens == token])
        for n in range(m.problem.n_nodes):
            terms = [number(m, t, n) for t in holders]
            if all(isinstance(term, int) for term in terms):
                continue
            if int(m.types.cur[holders, n].sum()) <= 1:
                m.model.add(sum(terms) <= 1)
                continue
            for t in holders:  # several share the node already: they may stay, or one may come
                comes = arrivals(m, t, [n], f"_k{token}_{t}_{n}")
                if comes is not None:
                    m.model.add(sum(terms) <= 1).only_enforce_if(comes)


class _Domains:
    """One term, domain by domain."""

    def __init__(self, m: TypeModel, term: Term, k: int) -> None:
        self.m, self.term, self.k = m, term, k
        row = m.problem.topology[m.problem.topology_keys.index(term.key)]
        self.domain = row
        self.nodes = {
            int(d): [int(n) for n in np.flatnonzero(row == d)] for d in np.unique(row[row >= 0])
        }
        self.owners, self.targets = types_in(m, term.owners), types_in(m, term.targets)

    def add(self) -> None:
        if self.term.kind == "anti_affinity":
            self._anti()
            return
        self._need_key()
        if self.term.kind == "affinity":
            self._affinity()
        else:
            self._spread()

    def _count(self, types: list[int], nodes: list[int]) -> Any:
        return sum(number(self.m, t, n) for t in types for n in nodes)

    def _comes(self, t: int, d: int, role: str) -> Any:
        return arrivals(self.m, t, self.nodes[d], f"_a{self.k}_{role}{t}_{d}")

    def _anti(self) -> None:
        """A comer of either side meets none of the other, itself apart."""
        for these, others, role in (
            (self.owners, self.targets, "o"),
            (self.targets, self.owners, "t"),
        ):
            for t in these:
                for d, nodes in self.nodes.items():
                    comes = self._comes(t, d, role)
                    if comes is not None:
                        most = 1 if t in others else 0
                        self.m.model.add(self._count(others, nodes) <= most).only_enforce_if(comes)

    def _need_key(self) -> None:
        for t in self.owners:
            for n in np.flatnonzero(self.domain < 0).tolist():
                if (t, n) in self.m.x:
                    self.m.model.add(self.m.x[t, n] <= int(self.m.types.cur[t, n]))

    def _affinity(self) -> None:
        model = self.m.model
        alone = model.new_bool_var(f"_alone{self.k}")
        every = range(self.m.problem.n_nodes)
        counted = set(every if self.term.nodes is None else self.term.nodes.tolist())
        model.add(self._count(self.targets, sorted(counted)) <= 1).only_enforce_if(alone)
        for t in self.owners:
            own = t in self.targets
            for d, nodes in self.nodes.items():
                there = self._count(self.targets, nodes)
                # An owner may be the first on the nodes that count, not on others.
                for first in (True, False):
                    part = [n for n in nodes if (n in counted) == first]
                    comes = arrivals(self.m, t, part, f"_a{self.k}_{first}{t}_{d}")
                    if comes is not None:
                        when = [comes, ~alone] if own and first else [comes]
                        model.add(there >= (2 if own else 1)).only_enforce_if(when)

    def _spread(self) -> None:
        m, term = self.m, self.term
        chosen = None if term.nodes is None else set(term.nodes.tolist())
        counted = {
            d: [n for n in nodes if chosen is None or n in chosen]
            for d, nodes in self.nodes.items()
        }
        counted = {d: nodes for d, nodes in counted.items() if nodes}
        there = {d: self._count(self.targets, nodes) for d, nodes in counted.items()}
        fewest: Any = 0
        if counted and len(counted) >= term.min_domains:
            fewest = m.model.new_int_var(0, m.problem.n_pods, f"_fewest{self.k}")
            for count in there.values():
                m.model.add(fewest <= count)
        for t in self.owners:
            for d in counted:
                comes = self._comes(t, d, "o")
                if comes is not None:
                    m.model.add(there[d] - fewest <= term.max_skew).only_enforce_if(comes)


def _budgets(m: TypeModel) -> None:
    for budget in m.problem.budgets:
        evicted = []
        for t in types_in(m, budget.pods):
            leave = [var for (s, _), var in m.out.items() if s == t]
            if not leave:
                continue
            if budget.allowed == 0:
                m.model.add(sum(leave) == 0)
            evicted.append(sum(leave) - m.moves[t])
        if evicted and budget.allowed:
            m.model.add(sum(evicted) <= budget.allowed)


def _preemption(m: TypeModel) -> None:
    if not m.problem.never_preempts.any():
        return
    for t in m.moves:
        here = [n for n in range(m.problem.n_nodes) if (t, n) in m.out]
        for n in here:
            var = m.model.new_int_var(0, int(m.types.cur[t, n]), f"evicted{t}_{n}")
            m.evicted[t, n] = var
            m.model.add(var <= m.out[t, n])
        leave = sum(m.out[t, n] for n in here)
        m.model.add(sum(m.evicted[t, n] for n in here) == leave - m.moves[t])
    for t in np.flatnonzero(m.problem.never_preempts[m.types.pod]).tolist():
        for n in range(m.problem.n_nodes):
            comes = arrivals(m, t, [n], f"_n{t}_{n}")
            if comes is None:
                continue
            lower = [
                var for (s, at), var in m.evicted.items()
                if at == n and m.types.tier[s] > m.types.tier[t]
            ]  # fmt: skip
            if lower:
                m.model.add(sum(lower) == 0).only_enforce_if(comes)
