"""Tiny clusters with every rule: drawing, enumerating and shrinking them."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from optsched.core import Number
from optsched.problems.pod_packing.levels import LATER, ORDERS
from optsched.problems.pod_packing.problem import PodPacking
from optsched.selfcheck.references import pod_packing as reference
from optsched.selfcheck.smaller import Axis, Data, anything_less, renumbered, without

PODS = Axis(
    rows=("request", "priority", "current", "pod_class", "pods", "versions", "owners"),
    indices=("movable", "never_preempts", "spans", "tokens"),
)


def draw(rng: random.Random) -> PodPacking:
    """Return a tiny cluster with a random choice of rules, one of three with later goals too.

    One of six has hosts of several nodes instead.
    """
    draws = np.random.default_rng(rng.getrandbits(40))
    if draws.random() < 1 / 6:
        return random_hosts(draws)
    problem = random_cluster(rng.getrandbits(40), 6 if draws.random() < 0.2 else 5)
    data = problem.to_dict() | {"name": ""}
    return PodPacking.from_dict(data | (_goals(draws, problem) if draws.random() < 0.4 else {}))


def optimum(problem: PodPacking, claim: Number | None) -> Number | None:
    """Return the least objective over all placements, None where there is none."""
    return reference.optimum(problem)


def smaller(data: Data) -> Iterator[Data]:
    """Yield smaller clusters: without a pod, a node, a rule; with lower numbers."""
    for pod in range(len(data["request"])):
        less = without(data, PODS, pod)
        for rule, fields in (("terms", ("owners", "targets")), ("budgets", ("pods",))):
            for entry in less.get(rule, []):
                for field in fields:
                    if field in entry:
                        entry[field] = renumbered(entry[field], pod)
        yield less
    for node in range(len(data["capacity"])):
        yield _without_node(data, node)
    for resource in range(len(data["capacity"][0])):
        less = copy.deepcopy(data)
        slot = [less["slot"]] if "slot" in less else []
        for row in (*less["capacity"], *less["request"], *slot):
            del row[resource]
        yield less
    yield from anything_less(data)


def _without_node(data: Data, node: int) -> Data:
    less = copy.deepcopy(data)
    for field in ("capacity", "node_class", "nodes", "host", "price"):
        if field in less:
            del less[field][node]
    if "current" in less:
        less["current"] = [-1 if n == node else n - (n > node) for n in less["current"]]
    for domains in less.get("topology", {}).values():
        del domains[node]
    for term in less.get("terms", []):
        if isinstance(term.get("nodes"), list):
            term["nodes"] = renumbered(term["nodes"], node)
    return less


def random_cluster(seed: int, most: int = 6) -> PodPacking:
    """Return 2 to 3 nodes and 3 to `most` pods, with a random selection of rules."""
    rng = np.random.default_rng(seed)
    n_nodes, n_pods = int(rng.integers(2, 4)), int(rng.integers(3, most + 1))
    kinds = rng.integers(1, 6, size=(3, 2))
    request = kinds[rng.integers(0, 3, n_pods)]
    capacity = rng.integers(4, 10, size=(n_nodes, 2))
    current = np.full(n_pods, -1)
    load = np.zeros_like(capacity)
    over = rng.random() < 0.1
    for pod in range(n_pods):
        n = int(rng.integers(n_nodes))
        if rng.random() < 0.7 and (over or (load[n] + request[pod] <= capacity[n]).all()):
            current[pod] = n
            load[n] += request[pod]

    def some(share: float) -> bool:
        return bool(rng.random() < share)

    def subset() -> list[int]:
        return np.flatnonzero(rng.random(n_pods) < 0.5).tolist()

    rules: dict[str, Any] = {}
    if some(0.3):
        rules["movable"] = ((rng.random(n_pods) < 0.7) | (current < 0)).tolist()
    if some(0.3):
        rules["never_preempts"] = (rng.random(n_pods) < 0.5).tolist()
    if some(0.3):
        rules["pod_class"] = rng.integers(0, 2, n_pods)
        rules["node_class"] = rng.integers(0, 2, n_nodes)
        rules["eligible"] = (rng.random((2, 2)) < 0.7).tolist()
    if some(0.3):
        rules["tokens"] = {"port 80": subset()}
    if some(0.5):
        rules["topology"] = {"zone": rng.integers(-1 if some(0.3) else 0, 2, n_nodes).tolist(),
                             "host": list(range(n_nodes))}  # fmt: skip
        rules["terms"] = [
            {"kind": str(rng.choice(["affinity", "anti_affinity", "spread"])),
             "key": str(rng.choice(["zone", "host"])),
             "owners": subset(), "targets": subset(), "max_skew": int(rng.integers(1, 3)),
             "min_domains": int(rng.integers(1, 4)),
             **({"nodes": [0]} if some(0.2) else {})}
            for _ in range(int(rng.integers(1, 3)))
        ]  # fmt: skip
        for term in rules["terms"]:
            if some(0.5):
                term["targets"] = term["owners"]
    if some(0.3):
        rules["budgets"] = [{"pods": subset(), "allowed": int(rng.integers(0, 2))}]
    return PodPacking(
        capacity,
        request,
        priority=rng.integers(0, int(rng.integers(1, 4)), n_pods),
        current=current,
        order="placement_first" if some(0.3) else "interleaved",
        name=f"brute-{seed}",
        **rules,
    )


def _goals(rng: np.random.Generator, problem: PodPacking) -> Data:
    """Return an order of the levels, later goals with what they need, and a migration limit."""
    slot = [int(rng.integers(k == 0, 4)) for k in range(problem.request.shape[1])]
    later = [str(goal) for goal in rng.permutation(LATER)]
    return {
        "order": str(rng.choice(ORDERS)),
        "then": later[: rng.integers(0, len(LATER) + 1)],
        "slot": slot,
        "price": rng.integers(0, 5, problem.n_nodes).tolist(),
        "migration_limit": int(rng.integers(0, 4)) if rng.random() < 0.4 else None,
    }


def random_hosts(rng: np.random.Generator) -> PodPacking:
    """Return one or two hosts of two nodes each, pods of which some span a host, and goals."""
    host = [0, 0] if rng.random() < 0.4 else [int(h) for h in rng.permutation([0, 0, 1, 1])]
    capacity = rng.integers(4, 9, size=(2, 2))[host]
    n_pods = int(rng.integers(2, 5))
    request = rng.integers(1, 4, size=(n_pods, 2))
    spans = rng.random(n_pods) < 0.4
    free, current = capacity.copy(), [-1] * n_pods
    for pod in range(n_pods):
        node = int(rng.integers(len(host)))
        sites = [n for n, h in enumerate(host) if h == host[node]] if spans[pod] else [node]
        if rng.random() < 0.8 and (free[sites] >= request[pod]).all():
            free[sites] -= request[pod]
            current[pod] = sites[0]
    given: dict[str, Any] = {"host": host, "spans": spans.tolist(), "current": current}
    if rng.random() < 0.4:
        group = np.flatnonzero(rng.random(n_pods) < 0.6).tolist()
        given["topology"] = {"host": host}
        given["terms"] = [
            {"kind": "anti_affinity", "key": "host", "owners": group, "targets": group}
        ]
    problem = PodPacking(capacity, request, priority=rng.integers(0, 2, n_pods), **given)
    return PodPacking.from_dict(problem.to_dict() | _goals(rng, problem))
