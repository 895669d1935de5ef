"""The instance as data of the reference model ``models/pod_packing.mzn``."""

from __future__ import annotations

from typing import Any

import numpy as np

from optsched.core import InputError, IntArray
from optsched.problems.pod_packing.levels import FEATURES
from optsched.problems.pod_packing.problem import PodPacking, PodPackingSolution
from optsched.problems.pod_packing.terms import KINDS
from optsched.solvers.minizinc import Reference, Specification, model_path

SUPPORTS: frozenset[str] = FEATURES | frozenset(
    {
        "eligibility", "immovable pods", "never preempting", "exclusive tokens",
        "disruption budgets", "order placement first", "affinity", "anti-affinity", "spread",
    }
)  # fmt: skip
#: Weighted sums of levels stay below this, as Gecode counts in 32 bits.
MOST_WEIGHT = 2**30
#: Goals of levels in the order of the model's numbers.
_GOALS = ("unplaced", "disruption", "used_nodes", "fragmentation", "cost")


class _Reference(Reference):
    def __init__(self, problem: PodPacking) -> None:
        self._problem = problem
        most = problem.level_most()
        if problem.weigh(most) >= 2**53:
            raise InputError(
                "the levels do not fit in one number of MiniZinc; solver='native' solves them"
            )
        unit = _units(problem)
        keys = problem.level_keys()
        wanted = np.flatnonzero(problem.slot)
        #: What the model's value of each level has to be multiplied with.
        self._scale = [int(unit[wanted[0]]) if goal == "fragmentation" else 1 for goal, _ in keys]
        self._most = [value // scale for value, scale in zip(most, self._scale, strict=True)]
        limit = problem.migration_limit
        data = _pods_and_nodes(problem, unit) | {
            "migration_limit": problem.n_pods if limit is None else min(limit, problem.n_pods),
            "price": problem.price.tolist(),
            "n_levels": len(keys),
            "goal": [_GOALS.index(goal) + 1 for goal, _ in keys],
            "of_tier": [tier + 1 for _, tier in keys],
            "most": self._most,
            "from": 1,
            "to": len(keys),
            "proven": [],
        }
        self.model = Specification(model_path("pod_packing"), data | _rules(problem))

    def stage(self, done: list[Any]) -> Specification | None:
        """Return the model of as many further levels as fit in one sum; None at the end."""
        bounds = [*self._first_levels(), len(self._most)]
        if len(done) + 1 >= len(bounds):
            return None
        begin, end = bounds[len(done) : len(done) + 2]
        proven = list(done[-1]["level"][:begin]) if done else []
        return Specification(
            self.model.path, self.model.data | {"from": begin + 1, "to": end, "proven": proven}
        )

    def _first_levels(self) -> list[int]:
        """Return the first level, from 0, of each stage."""
        first, weight = [0], 1
        for k, most in enumerate(self._most):
            weight *= most + 1
            if weight >= MOST_WEIGHT and first[-1] < k:
                first.append(k)
                weight = most + 1
        return first

    def value(self, values: Any, cost: float) -> float:
        """Return all levels as one number, whichever of them were minimised."""
        pairs = zip(values["level"], self._scale, strict=True)
        return self._problem.weigh([level * scale for level, scale in pairs])

    def decode(self, values: Any) -> PodPackingSolution:
        """Return the placement in the model's variables."""
        return PodPackingSolution(np.array(values["node"], dtype=np.int64) - 1)


def _units(problem: PodPacking) -> IntArray:
    """Return the greatest unit of each resource that is exact, as bytes would be too many.

    Pods that request whole units have no use for what is left of a capacity beyond them; where
    what is free is looked at, it counts.
    """
    amounts = [problem.request]
    if "fragmentation" in problem.then:
        amounts += [problem.capacity, problem.slot[None, :]]
    width = (problem.capacity if problem.n_nodes else problem.request).shape[1]
    unit = np.zeros(width, dtype=np.int64)
    for rows in amounts:
        if len(rows):
            unit = np.gcd(unit, np.gcd.reduce(rows, axis=0))
    return np.asarray(np.maximum(unit, 1))


def _pods_and_nodes(problem: PodPacking, unit: IntArray) -> dict[str, Any]:
    request = problem.request.reshape(problem.n_pods, len(unit)) // unit
    capacity = problem.capacity.reshape(problem.n_nodes, len(unit)) // unit
    if "fragmentation" not in problem.then:
        # No node needs to have room for more than everything.
        capacity = np.minimum(capacity, request.sum(axis=0))
    return {
        "n_nodes": problem.n_nodes,
        "n_pods": problem.n_pods,
        "n_resources": len(unit),
        "n_pod_classes": problem.eligible.shape[0],
        "n_node_classes": problem.eligible.shape[1],
        "capacity": capacity.tolist(),
        "request": request.tolist(),
        "slot": (problem.slot // unit if "fragmentation" in problem.then else 0 * unit).tolist(),
        "host": (problem.first + 1).tolist(),
        "spans": problem.spans.tolist(),
        "tier": (problem.tier + 1).tolist(),
        "current": (problem.current + 1).tolist(),
        "movable": problem.movable.tolist(),
        "never_preempts": problem.never_preempts.tolist(),
        "pod_class": (problem.pod_class + 1).tolist(),
        "node_class": (problem.node_class + 1).tolist(),
        "eligible": problem.eligible.tolist(),
    }


def _rules(problem: PodPacking) -> dict[str, Any]:
    pods, tokens = problem.token_pairs.T
    names = range(len(problem.token_names))
    terms, budgets = problem.terms, problem.budgets
    every = range(problem.n_nodes)
    return {
        "n_tokens": len(names),
        "n_keys": len(problem.topology),
        "n_terms": len(terms),
        "n_budgets": len(budgets),
        "holders": [{p + 1 for p in pods[tokens == k].tolist()} for k in names],
        "topology": (problem.topology + 1).tolist(),
        "kind": [KINDS.index(term.kind) + 1 for term in terms],
        "key": [problem.topology_keys.index(term.key) + 1 for term in terms],
        "owners": [{p + 1 for p in term.owners.tolist()} for term in terms],
        "targets": [{p + 1 for p in term.targets.tolist()} for term in terms],
        "max_skew": [min(term.max_skew, problem.n_pods) for term in terms],
        "min_domains": [min(term.min_domains, problem.n_nodes + 1) for term in terms],
        "counted": [
            {n + 1 for n in (every if term.nodes is None else term.nodes.tolist())}
            for term in terms
        ],
        "covered": [{p + 1 for p in budget.pods.tolist()} for budget in budgets],
        "allowed": [min(budget.allowed, problem.n_pods) for budget in budgets],
    }


def build(problem: PodPacking, **_: Any) -> Reference:
    """State the instance to the reference model; what is known already is not used."""
    return _Reference(problem)
