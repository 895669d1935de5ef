"""Random small clusters of virtual machines."""

from __future__ import annotations

import numpy as np

from optsched.problems.pod_packing.problem import PodPacking


def small_vms(seed: int) -> PodPacking:
    """Return one or two hosts of two NUMA nodes, or three of one, with up to five machines."""
    rng = np.random.default_rng([seed, 3])
    n_hosts = int(rng.integers(1, 4))
    n_numa = 1 if n_hosts == 3 else 2
    capacity = rng.integers(4, 12, size=(n_hosts, n_numa, 2))
    kinds = rng.integers(1, 5, size=(3, 2))
    free = capacity.copy()
    rows = []
    for _ in range(int(rng.integers(2, 6))):
        request = kinds[rng.integers(3)]
        host, numa, wide = int(rng.integers(n_hosts)), int(rng.integers(n_numa)), rng.random() < 0.3
        where = (host, slice(None)) if wide else (host, numa)
        if (free[where] >= request).all():
            free[where] -= request
            rows.append((request, host, numa, bool(wide)))
    groups = []
    if rng.random() < 0.6 and len(rows) > 1:
        seen: dict[int, int] = {}
        for vm in rng.permutation(len(rows)).tolist():
            seen.setdefault(rows[vm][1], vm)
        groups.append(list(seen.values()))
    return PodPacking.from_vms(
        capacity,
        [row[0] for row in rows] or np.zeros((0, 2), dtype=int),
        host=[row[1] for row in rows],
        numa=[row[2] for row in rows],
        spans=[row[3] for row in rows],
        exclusion=groups,
        movable=(rng.random(len(rows)) < 0.9).tolist(),
        migration_limit=None if rng.random() < 0.2 else int(rng.integers(0, 4)),
        slot=[int(rng.integers(2, 6)), 0],
        name=f"vms-{seed}",
    )
