"""Tiny random GPU clusters, and the optimum by trying everything."""

from __future__ import annotations

import numpy as np

import optsched as op


def random_cluster(seed: int) -> op.GpuPacking:
    """Return a cluster of at most 3 nodes and 6 pods."""
    rng = np.random.default_rng(seed)
    n_nodes, n_pods = int(rng.integers(1, 4)), int(rng.integers(1, 7))
    models = np.array(["A", "B", ""])
    wanted = np.array(["", "", "A", "B", "A|B"])
    return op.GpuPacking(
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


def least_left(problem: op.GpuPacking) -> int:
    """Return the least weight that can be left out, by depth-first search over all placements."""
    free = [[1000] * g for g in problem.gpus.tolist()]
    room = problem.capacity.tolist()
    best = int(problem.weight.sum())

    def place(p: int, left: int) -> None:
        nonlocal best
        if left >= best:
            return
        if p == problem.n_pods:
            best = left
            return
        need, count = problem.request[p].tolist(), int(problem.count[p])
        share, wanted = int(problem.share[p]), problem.wanted[p]
        for n in range(problem.n_nodes):
            if wanted and problem.model[n] not in wanted.split("|"):
                continue
            if any(a > b for a, b in zip(need, room[n], strict=True)):
                continue
            for chosen in range(2 ** len(free[n])):
                devices = [d for d in range(len(free[n])) if chosen >> d & 1]
                if len(devices) != count or any(free[n][d] < share for d in devices):
                    continue
                for d in devices:
                    free[n][d] -= share
                room[n] = [b - a for a, b in zip(need, room[n], strict=True)]
                place(p + 1, left)
                room[n] = [b + a for a, b in zip(need, room[n], strict=True)]
                for d in devices:
                    free[n][d] += share
        place(p + 1, left + int(problem.weight[p]))

    place(0, 0)
    return best
