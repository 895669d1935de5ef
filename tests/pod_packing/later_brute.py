"""Random small clusters with hosts of several nodes, migration limits and later goals."""

from __future__ import annotations

from typing import Any

import numpy as np
from pods_brute import random_cluster

from optsched.problems.pod_packing.problem import PodPacking

ORDERS = ("interleaved", "placement_first", "placement_only")


def with_later_goals(seed: int, goal: str = "") -> PodPacking:
    """Return a random cluster of every rule, with later goals: `goal` first if it is given."""
    rng = np.random.default_rng([seed, 1])
    problem = random_cluster(seed)
    goals = [str(each) for each in rng.permutation(["used_nodes", "fragmentation", "cost"])]
    then = [goal, *goals[: rng.integers(0, 2)]] if goal else goals[: rng.integers(1, 4)]
    slot = rng.integers(0, 4, 2)
    slot[rng.integers(2)] += 1
    return problem.with_goals(
        order=str(rng.choice(ORDERS)),
        then=list(dict.fromkeys(then)),
        slot=slot,
        price=rng.integers(0, 5, problem.n_nodes),
        migration_limit=int(rng.integers(0, 4)) if rng.random() < 0.4 else None,
    )


def with_hosts(seed: int) -> PodPacking:
    """Return hosts of two nodes, pods of which some span them, and a migration limit."""
    rng = np.random.default_rng([seed, 2])
    n_hosts, n_pods = int(rng.integers(1, 3)), int(rng.integers(3, 6))
    capacity = np.repeat(rng.integers(4, 9, size=(n_hosts, 2)), 2, axis=0)
    host = np.repeat(np.arange(n_hosts), 2)
    if n_hosts == 2 and rng.random() < 0.3:  # the nodes of a host need not be neighbours
        host, capacity = host[[0, 2, 1, 3]], capacity[[0, 2, 1, 3]]
    first = np.array([int(np.flatnonzero(host == h)[0]) for h in host])
    request = rng.integers(1, 4, size=(3, 2))[rng.integers(0, 3, n_pods)]
    spans = rng.random(n_pods) < 0.4
    load, current = np.zeros_like(capacity), np.full(n_pods, -1)
    for pod in range(n_pods):
        n = int(rng.integers(len(host)))
        sites = np.flatnonzero(host == host[n]) if spans[pod] else np.array([n])
        if rng.random() < 0.85 and (load[sites] + request[pod] <= capacity[sites]).all():
            load[sites] += request[pod]
            current[pod] = first[n] if spans[pod] else n
    rules: dict[str, Any] = {}
    if rng.random() < 0.3:
        rules["movable"] = ((rng.random(n_pods) < 0.7) | (current < 0)).tolist()
    if rng.random() < 0.5:
        group = np.flatnonzero(rng.random(n_pods) < 0.5)
        rules["topology"] = {"host": host}
        rules["terms"] = [
            {"kind": "anti_affinity", "key": "host", "owners": group, "targets": group}
        ]
    goals = [str(each) for each in rng.permutation(["used_nodes", "fragmentation", "cost"])]
    return PodPacking(
        capacity,
        request,
        current=current,
        host=host,
        spans=spans.tolist(),
        order=str(rng.choice(ORDERS)),
        then=goals[: rng.integers(0, 3)],
        slot=[int(rng.integers(1, 4)), int(rng.integers(0, 2))],
        price=rng.integers(0, 5, len(host)),
        migration_limit=int(rng.integers(0, 4)) if rng.random() < 0.7 else None,
        name=f"hosts-{seed}",
        **rules,
    )
