"""The plain CP-SAT formulation: a literal for each pod on each node, and one weighted objective.

Made for small instances, to look at and to extend; `search.py` solves tier by tier.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from ortools.sat.python import cp_model

from optsched.core import Deadline, InputError
from optsched.problems.pod_packing.grouping import limits, loads
from optsched.problems.pod_packing.levels import FEATURES
from optsched.problems.pod_packing.problem import PodPacking, PodPackingSolution
from optsched.problems.pod_packing.terms import Term
from optsched.solvers.base import Compiled

SUPPORTS = FEATURES | frozenset(
    {
        "eligibility", "immovable pods", "never preempting", "exclusive tokens",
        "disruption budgets", "order placement first", "affinity", "anti-affinity", "spread",
    }
)  # fmt: skip
#: Pods times nodes beyond which no model is built.
MOST_CELLS = 1_000_000


class PodPackingCpsat(Compiled):
    """A pod packing problem as a CP-SAT model.

    Attributes
    ----------
    on : dict of (pod, node) to BoolVar
        Whether the pod is on the node; where absent it cannot be.
    """

    def __init__(self, problem: PodPacking, deadline: Deadline) -> None:
        self.problem = problem
        self.model = cp_model.CpModel()
        self.model.name = problem.name
        self.on: dict[tuple[int, int], Any] = {}
        self.fewest: dict[int, Any] = {}
        self.alone: dict[int, Any] = {}
        self.used: dict[int, Any] = {}
        self.slots: dict[int, Any] = {}
        self.limit, _ = limits(problem)
        for pod in range(problem.n_pods):
            deadline.check()
            self._pod(pod)
        self._capacity()
        self._tokens()
        for k, term in enumerate(problem.terms):
            deadline.check()
            self._term(k, term)
        self._budgets()
        if problem.migration_limit is not None:
            running = np.flatnonzero(problem.current >= 0).tolist()
            left = sum(1 - self._stays(pod) for pod in running)
            self.model.add(left <= problem.migration_limit)
        self._preemption()
        self._objective()

    def _pod(self, pod: int) -> None:
        problem, current = self.problem, int(self.problem.current[pod])
        open_ = problem.eligible[problem.pod_class[pod]][problem.node_class]
        if problem.spans[pod]:
            open_ = open_ & (problem.first == np.arange(problem.n_nodes))
        for n in np.flatnonzero(open_ | (np.arange(problem.n_nodes) == current)).tolist():
            if problem.movable[pod] or n == current:
                self.on[pod, n] = self.model.new_bool_var(f"on{pod}_{n}")
        here = [self.on[pod, n] for n in range(problem.n_nodes) if (pod, n) in self.on]
        if problem.movable[pod]:
            self.model.add_at_most_one(here)
        else:
            self.model.add_exactly_one(here)

    def _load(self, n: int, r: int) -> list[tuple[int, Any]]:
        """Return amounts of a resource and literals of the pods that may need it of a node."""
        problem, first = self.problem, int(self.problem.first[n])
        found = []
        for pod in np.flatnonzero(problem.request[:, r]).tolist():
            key = (pod, first if problem.spans[pod] else n)
            if key in self.on:
                found.append((int(problem.request[pod, r]), self.on[key]))
        return found

    def _capacity(self) -> None:
        for n in range(self.problem.n_nodes):
            for r in range(self.problem.request.shape[1]):
                load, room = self._load(n, r), int(self.limit[n, r])
                if sum(need for need, _ in load) > room:
                    self.model.add(sum(need * var for need, var in load) <= room)

    def _in_use(self, *, priced: bool) -> Any:
        problem = self.problem
        if not self.used:
            for (pod, n), literal in self.on.items():
                if problem.movable[pod]:
                    h = int(problem.first[n])
                    if h not in self.used:
                        self.used[h] = self.model.new_bool_var(f"used{h}")
                    self.model.add_implication(literal, self.used[h])
        price = np.bincount(problem.first, weights=problem.price, minlength=problem.n_nodes)
        return sum((int(price[h]) if priced else 1) * var for h, var in self.used.items())

    def _fragmentation(self) -> Any:
        slot = self.problem.slot
        wanted = np.flatnonzero(slot).tolist()
        parts: list[Any] = []
        for n in range(self.problem.n_nodes):
            free = [
                int(self.limit[n, r]) - sum(need * var for need, var in self._load(n, r))
                for r in wanted
            ]
            most = min(int(self.limit[n, r]) // int(slot[r]) for r in wanted)
            slots = self.slots[n] = self.model.new_int_var(0, most, f"slots{n}")
            for r, left in zip(wanted, free, strict=True):
                self.model.add(int(slot[r]) * slots <= left)
            parts += [free[0], -int(slot[wanted[0]]) * slots]
        return sum(parts)

    def _pairs(self, these: list[int], others: list[int], nodes: list[int]) -> None:
        """Forbid two pods on `nodes`, one of them new there."""
        for p in these:
            for q in others:
                if p == q:
                    continue
                for n in nodes:
                    for m in nodes:
                        stays = self.problem.current[p] == n and self.problem.current[q] == m
                        if not stays and (p, n) in self.on and (q, m) in self.on:
                            self.model.add_at_most_one(self.on[p, n], self.on[q, m])

    def _tokens(self) -> None:
        pods, tokens = self.problem.token_pairs.T
        for token in range(len(self.problem.token_names)):
            holders = pods[tokens == token].tolist()
            for n in range(self.problem.n_nodes):
                self._pairs(holders, holders, [n])

    def _comes(self, pod: int, nodes: list[int]) -> list[Any]:
        """Return the literals of the pod being new on one of `nodes`."""
        current = self.problem.current[pod]
        return [self.on[pod, n] for n in nodes if n != current and (pod, n) in self.on]

    def _term(self, k: int, term: Term) -> None:
        problem, model = self.problem, self.model
        row = problem.topology[problem.topology_keys.index(term.key)]
        owners, targets = term.owners.tolist(), term.targets.tolist()
        domains = {int(d): np.flatnonzero(row == d).tolist() for d in np.unique(row[row >= 0])}
        if term.kind == "anti_affinity":
            for nodes in domains.values():
                self._pairs(owners, targets, nodes)
            return
        for p in owners:
            for literal in self._comes(p, np.flatnonzero(row < 0).tolist()):
                model.add(literal == 0)

        def placed(pods: list[int], nodes: Any) -> Any:
            return sum(self.on[q, n] for q in pods for n in nodes if (q, n) in self.on)

        if term.kind == "affinity":
            alone = self.alone[k] = model.new_bool_var(f"alone{k}")
            every = range(problem.n_nodes) if term.nodes is None else term.nodes.tolist()
            model.add(placed(targets, every) <= 1).only_enforce_if(alone)
            for nodes in domains.values():
                for p in owners:
                    others = placed([q for q in targets if q != p], nodes)
                    for n in nodes:
                        first = [~alone] if p in targets and n in every else []
                        for literal in self._comes(p, [n]):
                            model.add(others >= 1).only_enforce_if([literal, *first])
            return
        chosen = range(problem.n_nodes) if term.nodes is None else term.nodes.tolist()
        counted = {d: [n for n in nodes if n in chosen] for d, nodes in domains.items()}
        counts = {d: placed(targets, nodes) for d, nodes in counted.items() if nodes}
        fewest: Any = 0
        if counts and len(counts) >= term.min_domains:
            fewest = self.fewest[k] = model.new_int_var(0, len(targets), f"fewest{k}")
            for count in counts.values():
                model.add(fewest <= count)
        for d, count in counts.items():
            for p in owners:
                for literal in self._comes(p, domains[d]):
                    model.add(count - fewest <= term.max_skew).only_enforce_if(literal)

    def _stays(self, pod: int) -> Any:
        return self.on[pod, int(self.problem.current[pod])]

    def _placed(self, pod: int) -> Any:
        return sum(self.on[pod, n] for n in range(self.problem.n_nodes) if (pod, n) in self.on)

    def _budgets(self) -> None:
        for budget in self.problem.budgets:
            pods = [int(pod) for pod in budget.pods if self.problem.current[pod] >= 0]
            evicted = sum(1 - self._placed(pod) for pod in pods)
            if pods:
                self.model.add(evicted <= budget.allowed)
            if budget.allowed == 0:
                for pod in pods:
                    self.model.add(self._stays(pod) == 1)

    def _preemption(self) -> None:
        problem = self.problem
        for p in np.flatnonzero(problem.never_preempts).tolist():
            for n in range(problem.n_nodes):
                lower = (problem.current == n) & (problem.priority < problem.priority[p])
                for literal in self._comes(p, [n]):
                    for q in np.flatnonzero(lower).tolist():
                        self.model.add(self._placed(q) == 1).only_enforce_if(literal)

    def _objective(self) -> None:
        problem = self.problem
        weight: dict[tuple[str, int], int] = {}
        unit = 1
        for key, most in zip(problem.level_keys()[::-1], problem.level_most()[::-1], strict=True):
            weight[key] = unit
            unit *= most + 1
        if unit >= 2**53:
            raise InputError(
                "the levels do not fit in one number of CP-SAT; solver='native' solves them in turn"
            )
        terms = []
        for pod in range(problem.n_pods):
            tier = int(problem.tier[pod])
            placed = self._placed(pod)
            terms.append(weight["unplaced", tier] * (1 - placed))
            if ("disruption", tier) in weight and problem.current[pod] >= 0:
                # 0 where it stays, 2 where it moves, 1 where it goes
                cost = placed + 1 - 2 * self._stays(pod)
                terms.append(weight["disruption", tier] * cost)
        for goal in problem.then:
            if goal == "fragmentation":
                terms.append(weight[goal, -1] * self._fragmentation())
            else:
                terms.append(weight[goal, -1] * self._in_use(priced=goal == "cost"))
        self.model.minimize(sum(terms) if terms else self.model.new_constant(0))

    def hint(self, solution: PodPackingSolution) -> npt.NDArray[np.float64]:
        """Return the value of every variable in `solution`, in model order."""
        problem, node = self.problem, solution.node
        values = np.zeros(len(self.model.proto.variables))
        for (pod, n), var in self.on.items():
            values[var.index] = node[pod] == n
        for k, var in self.alone.items():
            term = problem.terms[k]
            chosen = np.arange(problem.n_nodes) if term.nodes is None else term.nodes
            values[var.index] = np.isin(node[term.targets], chosen).sum() <= 1
        for k, var in self.fewest.items():
            term = problem.terms[k]
            row = problem.topology[problem.topology_keys.index(term.key)]
            chosen = np.arange(problem.n_nodes) if term.nodes is None else term.nodes
            number = {int(d): 0 for d in row[chosen] if d >= 0}
            for pod in term.targets.tolist():
                if node[pod] >= 0 and node[pod] in chosen and row[node[pod]] >= 0:
                    number[int(row[node[pod]])] += 1
            values[var.index] = min(number.values())
        held = problem.first[node[problem.movable & (node >= 0)]]
        for h, var in self.used.items():
            values[var.index] = h in held
        free = self.limit - loads(problem, node)
        wanted = np.flatnonzero(problem.slot)
        for n, var in self.slots.items():
            values[var.index] = (free[n, wanted] // problem.slot[wanted]).min()
        return values

    def decode(self, values: npt.NDArray[np.float64]) -> PodPackingSolution:
        """Return the placement of the variables' values."""
        node = np.full(self.problem.n_pods, -1, dtype=np.int64)
        for (pod, n), var in self.on.items():
            if values[var.index] > 0.5:
                node[pod] = n
        return PodPackingSolution(node)


def build(
    problem: PodPacking,
    *,
    upper_bound: int | None = None,
    lower_bound: int | None = None,
    deadline: Deadline | None = None,
) -> PodPackingCpsat:
    """Compile `problem` to CP-SAT.

    Parameters
    ----------
    problem : PodPacking
    upper_bound, lower_bound : int, optional
        Not used: the placement has no windows to tighten.
    deadline : Deadline, optional
        Raises `DeadlineExpired` when it passes meanwhile.

    Raises
    ------
    InputError
        When the instance is too large for one model with one objective.
    """
    if problem.n_pods * problem.n_nodes > MOST_CELLS:
        raise InputError(f"more than {MOST_CELLS:,} pods times nodes: use solver='native'")
    return PodPackingCpsat(problem, deadline or Deadline())
