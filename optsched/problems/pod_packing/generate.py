"""Random clusters in which the default scheduler leaves pods pending."""

from __future__ import annotations

import math

import numpy as np

from optsched.core import InputError
from optsched.numbers import require_least
from optsched.problems.pod_packing import scheduler
from optsched.problems.pod_packing.problem import PodPacking

#: Attempts at a cluster with a pending pod, at most.
ATTEMPTS = 10_000


def pod_cluster(
    n_nodes: int,
    pods_per_node: int,
    priorities: int = 4,
    utilisation: float = 0.95,
    seed: int = 0,
    *,
    name: str = "",
) -> PodPacking:
    """Return a random cluster of identical nodes, as the default scheduler leaves it.

    ReplicaSets of 1 to 4 pods of 100 to 1000 millicores and 100 to 1000 MB, with a uniform
    priority each, until there are `n_nodes` times `pods_per_node` pods; the capacity follows from
    `utilisation`. Clusters in which the default scheduler leaves no pod pending are drawn again
    (Christensen, Giallorenzo and Mauro, "Priority Matters", 2025). The same arguments give the
    same instance, with the same version of NumPy's random generators.

    Parameters
    ----------
    n_nodes, pods_per_node, priorities : int
        At least 1. The study has 4 to 32 nodes, 4 or 8 pods a node, and 1, 2 or 4 priorities.
    utilisation : float
        Total request over total capacity, more than 0; the study has 0.90 to 1.05.
    seed : int
        At least 0.
    name : str
        Default: ``"pods-NODESxPODS-pPRIORITIES-uUTILISATION-SEED"``.

    Raises
    ------
    InputError
        When an argument is out of range, or no cluster with a pending pod was found.
    """
    require_least(
        (n_nodes, 1, "n_nodes"),
        (pods_per_node, 1, "pods_per_node"),
        (priorities, 1, "priorities"),
        (seed, 0, "seed"),
    )
    if not 0 < utilisation < math.inf:
        raise InputError(f"utilisation {utilisation} is not a positive number")
    name = name or f"pods-{n_nodes}x{pods_per_node}-p{priorities}-u{utilisation:.2f}-{seed}"
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, attempt])
        problem, owner = _draw(rng, n_nodes, pods_per_node, priorities, utilisation)
        current = scheduler.schedule(problem, owner, seed)
        if (current < 0).any():
            return PodPacking(
                problem.capacity,
                problem.request,
                priority=problem.priority,
                current=current,
                resources=("cpu", "memory"),
                name=name,
            )
    raise InputError(f"{name}: in {ATTEMPTS} attempts no pod was left pending")


def _draw(
    rng: np.random.Generator, n_nodes: int, pods_per_node: int, priorities: int, utilisation: float
) -> tuple[PodPacking, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    total = n_nodes * pods_per_node
    sizes: list[int] = []
    while sum(sizes) < total:
        sizes.append(min(int(rng.integers(1, 4, endpoint=True)), total - sum(sizes)))
    owner = np.repeat(np.arange(len(sizes)), sizes)
    request = rng.integers(100, 1000, size=(len(sizes), 2), endpoint=True)[owner]
    priority = rng.integers(0, priorities, size=len(sizes))[owner]
    wanted = np.ceil(request.sum(axis=0) / utilisation / n_nodes).astype(np.int64)
    capacity = np.tile(np.maximum(request.max(axis=0), wanted), (n_nodes, 1))
    return PodPacking(capacity, request, priority=priority), owner
