"""Tiny GPU clusters with every feature: drawing, enumerating and shrinking them."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator

import numpy as np

from optsched.problems.gpu_packing.problem import GpuPacking
from optsched.selfcheck.references import gpu_packing as reference
from optsched.selfcheck.smaller import Axis, Data, anything_less, without

NODES = Axis(rows=("capacity", "gpus", "model", "nodes"))
PODS = Axis(rows=("request", "count", "share", "wanted", "weight", "pods"))


def draw(rng: random.Random) -> GpuPacking:
    """Return a tiny cluster, with weights in one of three."""
    problem = random_cluster(rng.getrandbits(40))
    return GpuPacking.from_dict(problem.to_dict() | {"name": ""})


def optimum(problem: GpuPacking, claim: int | None) -> int:
    """Return the least weight left out over all placements."""
    return reference.optimum(problem)


def smaller(data: Data) -> Iterator[Data]:
    """Yield smaller instances: without a node, a pod, a resource; with lower numbers."""
    for axis, field in ((NODES, "capacity"), (PODS, "request")):
        for item in range(len(data[field])):
            yield without(data, axis, item)
    for resource in range(max(map(len, data["capacity"] + data["request"]), default=0)):
        less = copy.deepcopy(data)
        for row in less["capacity"] + less["request"]:
            del row[resource]
        yield less
    yield from anything_less(data)


def random_cluster(seed: int) -> GpuPacking:
    """Return a cluster of at most 3 nodes and 6 pods."""
    rng = np.random.default_rng(seed)
    n_nodes, n_pods = int(rng.integers(1, 4)), int(rng.integers(1, 7))
    models = np.array(["A", "B", ""])
    wanted = np.array(["", "", "A", "B", "A|B"])
    return GpuPacking(
        rng.integers(2, 9, (n_nodes, 2)),
        rng.integers(0, 3, n_nodes),
        rng.integers(0, 5, (n_pods, 2)),
        rng.choice([0, 1, 1, 1, 2], n_pods),
        rng.choice([1000, 600, 500, 400, 300], n_pods),
        model=rng.choice(models, n_nodes).tolist(),
        wanted=rng.choice(wanted, n_pods).tolist(),
        weight=rng.integers(0, 9, n_pods) if seed % 3 == 0 else None,
        name=f"tiny-{seed}",
    )
