"""Random snapshots of a fragmented cluster of dual-NUMA hosts.

Flavours, their frequencies, the commonest hosts and the sizes of the groups that keep apart are
those of the "Dataset for topology-aware VM placement" (2025), of a production cloud.
"""

from __future__ import annotations

import numpy as np

from optsched.core import BoolArray, InputError, IntArray
from optsched.numbers import require_least
from optsched.problems.pod_packing.problem import PodPacking
from optsched.problems.pod_packing.vm_data import from_vms

#: Cores, GB, NUMA nodes, and how often the flavour stands in the five request sequences.
FLAVOURS = (
    (32, 64, 2, 4816), (4, 8, 1, 3847), (2, 4, 1, 3468), (8, 32, 1, 3058), (2, 8, 1, 1860),
    (4, 16, 1, 1764), (16, 32, 1, 1759), (32, 128, 2, 1221), (16, 64, 1, 1219), (8, 16, 1, 1153),
    (64, 128, 2, 420), (12, 24, 1, 193), (12, 48, 1, 85), (48, 96, 2, 52), (48, 192, 2, 46),
    (24, 48, 1, 25), (64, 256, 2, 2), (24, 96, 1, 2),
)  # fmt: skip
#: The two commonest dual hosts, each NUMA node as (cores, GB), and how often they stand there.
HOSTS = ((((60, 202), (60, 202)), 234), (((40, 120), (38, 120)), 192))
#: Share of the machines in groups that share no host, and the usual sizes of these.
APART, GROUPS = 0.13, (2, 3, 4, 6, 8, 12, 16)
#: Machines that leave and are followed by others, for each machine there is.
TURNOVERS = 3
#: Draws of a flavour until one fits, at most, before the cluster counts as too full.
ATTEMPTS = 2_000


def vm_snapshot(
    n_hosts: int = 280,
    n_vms: int = 2089,
    migration_limit: int = 50,
    seed: int = 0,
    *,
    looked_at: int = 0,
    name: str = "",
) -> PodPacking:
    """Return a random snapshot of hosts of two NUMA nodes, fragmented by machines come and gone.

    Machines arrive one by one; each goes to the node (both nodes of a host, if it spans them) with
    the fewest cores left among those that hold it. Then machines leave at random, each followed
    by one of another flavour, three times as many as there are. The share of larger hosts is the
    least that holds the machines at nine tenths of the cores. The same arguments give the same
    instance, with the same version of NumPy's random generators.

    Parameters
    ----------
    n_hosts, n_vms : int
        At least 1; 280 and 2,089 are the size in Ding et al. (VMR2L, 2025).
    migration_limit : int
        Machines that may migrate, at least 0.
    seed : int
        At least 0.
    looked_at : int
        How many random places, of those with room, an arriving machine looks at, as schedulers
        that sample do (0: all). The fewer, the more fragmented is the cluster.
    name : str
        Default: ``"vms-HOSTSxVMS-LIMIT-LOOKED-SEED"``.

    Raises
    ------
    InputError
        When an argument is out of range, or so many machines do not fit.
    """
    require_least(
        (n_hosts, 1, "n_hosts"),
        (n_vms, 1, "n_vms"),
        (migration_limit, 0, "migration_limit"),
        (seed, 0, "seed"),
        (looked_at, 0, "looked_at"),
    )
    rng = np.random.default_rng(seed)
    cluster = _Cluster(rng, n_hosts, n_vms, looked_at)
    for vm in range(n_vms):
        cluster.arrive(vm)
    for _ in range(TURNOVERS * n_vms):
        vm = int(rng.integers(n_vms))
        cluster.leave(vm)
        cluster.arrive(vm)
    return from_vms(
        cluster.capacity,
        cluster.request,
        host=cluster.at[:, 0],
        numa=cluster.at[:, 1],
        spans=cluster.spans,
        exclusion=_apart(rng, cluster.at[:, 0]),
        migration_limit=migration_limit,
        name=name or f"vms-{n_hosts}x{n_vms}-{migration_limit}-{looked_at}-{seed}",
    )


class _Cluster:
    """Hosts, and what runs on them."""

    def __init__(self, rng: np.random.Generator, n_hosts: int, n_vms: int, looked_at: int) -> None:
        self.rng, self.looked_at = rng, looked_at
        counts = np.array([count for *_, count in FLAVOURS], dtype=float)
        self.share = counts / counts.sum()
        mean = float(self.share @ [cores for cores, *_ in FLAVOURS])
        sizes = [sum(cores for cores, _ in rows) for rows, _ in HOSTS]
        # As many large hosts as the machines need at nine tenths, else the usual mix.
        wanted = (mean * n_vms / 0.9 - sizes[1] * n_hosts) / (sizes[0] - sizes[1])
        usual = n_hosts * HOSTS[0][1] / (HOSTS[0][1] + HOSTS[1][1])
        large = int(np.clip(round(max(wanted, usual)), 0, n_hosts))
        kind = rng.permutation(np.arange(n_hosts) >= large).astype(np.int64)
        self.capacity = np.array([rows for rows, _ in HOSTS], dtype=np.int64)[kind]
        self.free: IntArray = self.capacity.copy()
        self.request: IntArray = np.zeros((n_vms, 2), dtype=np.int64)
        self.spans: BoolArray = np.zeros(n_vms, dtype=bool)
        self.at: IntArray = np.zeros((n_vms, 2), dtype=np.int64)

    def arrive(self, vm: int) -> None:
        """Place a machine of a random flavour that fits somewhere."""
        for _ in range(ATTEMPTS):
            cores, memory, nodes, _ = FLAVOURS[int(self.rng.choice(len(FLAVOURS), p=self.share))]
            need = np.array([cores, memory]) // nodes
            place = self._place(need, nodes > 1)
            if place is not None:
                self.request[vm], self.spans[vm], self.at[vm] = need, nodes > 1, place
                self._change(vm, -1)
                return
        raise InputError(f"{len(self.request)} machines do not fit on {len(self.free)} hosts")

    def leave(self, vm: int) -> None:
        """Take a machine away."""
        self._change(vm, 1)

    def _change(self, vm: int, sign: int) -> None:
        host, node = self.at[vm].tolist()
        where = (host, slice(None)) if self.spans[vm] else (host, node)
        self.free[where] += sign * self.request[vm]

    def _place(self, need: IntArray, wide: bool) -> tuple[int, int] | None:
        fits = np.all(self.free >= need, axis=2)
        left = self.free[:, :, 0]
        if wide:
            fits, left = np.all(fits, axis=1, keepdims=True), left.sum(axis=1, keepdims=True)
        hosts, nodes = np.nonzero(fits)
        if not hosts.size:
            return None
        if self.looked_at:
            chosen = self.rng.permutation(len(hosts))[: self.looked_at]
            hosts, nodes = hosts[chosen], nodes[chosen]
        k = int(left[hosts, nodes].argmin())
        return int(hosts[k]), int(nodes[k])


def _apart(rng: np.random.Generator, host: IntArray) -> list[list[int]]:
    """Return groups of machines on different hosts."""
    waiting = rng.permutation(len(host))[: round(APART * len(host))].tolist()
    groups = []
    while waiting:
        size = int(rng.choice(GROUPS))
        group: list[int] = []
        for vm in list(waiting):
            if len(group) < size and all(host[vm] != host[other] for other in group):
                group.append(vm)
                waiting.remove(vm)
        groups.append(sorted(group))
    return [group for group in groups if len(group) > 1]
