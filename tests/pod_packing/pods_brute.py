"""Random small clusters with every rule, and their optimum by trying every placement."""

from __future__ import annotations

import itertools

import numpy as np

from optsched.problems.pod_packing.problem import PodPacking, PodPackingSolution


def random_cluster(seed: int) -> PodPacking:
    """Return 2 to 3 nodes and 3 to 6 pods, with a random selection of rules."""
    rng = np.random.default_rng(seed)
    n_nodes, n_pods = int(rng.integers(2, 4)), int(rng.integers(3, 7))
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

    rules = {}
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


def brute_force(problem: PodPacking) -> int | None:
    """Return the least objective of all placements; None where none is feasible."""
    best = None
    for nodes in itertools.product(range(-1, problem.n_nodes), repeat=problem.n_pods):
        solution = PodPackingSolution(np.array(nodes))
        value = problem.objective(solution)
        if (best is None or value < best) and not problem.check(solution):
            best = value
    return best
