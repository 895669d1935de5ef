"""Random instances with a seed, for trials and tests."""

from __future__ import annotations

import dataclasses

import numpy as np

from optsched.core import InputError, IntArray
from optsched.numbers import require_least
from optsched.problems.job_shop.problem import JobShop
from optsched.problems.pod_packing import generate as pod_generate
from optsched.problems.pod_packing import vm_generate
from optsched.problems.pod_packing.problem import PodPacking
from optsched.problems.rcpsp.problem import Rcpsp
from optsched.problems.scratchpad.problem import ScratchpadSchedule
from optsched.problems.single_machine import generate
from optsched.problems.single_machine.problem import SingleMachine
from optsched.rcbench import generate as rc_generate
from optsched.rcbench import infeasible_twin


def job_shop(
    n_jobs: int,
    n_machines: int,
    seed: int = 0,
    *,
    flexible: int = 1,
    durations: tuple[int, int] = (1, 99),
    name: str = "",
) -> JobShop:
    """Return a random job shop in the manner of Taillard (1993).

    Every job visits every machine once, in a random order. The same arguments give the same
    instance, with the same version of NumPy's random generators.

    Parameters
    ----------
    n_jobs, n_machines : int
        Size; 1000 x 100 takes well under a second.
    seed : int
        At least 0.
    flexible : int
        The most eligible machines of an operation. With more than 1 each operation has between
        1 and this many, and its duration varies by up to a fifth from machine to machine.
    durations : (int, int)
        Durations are uniform between these, both included.
    name : str
        Default: ``"random-JOBSxMACHINES-SEED"``.

    Raises
    ------
    InputError
        When an argument is out of range.
    """
    low, high = durations
    require_least(
        (n_jobs, 1, "n_jobs"),
        (n_machines, 1, "n_machines"),
        (seed, 0, "seed"),
        (low, 0, "the shortest duration"),
        (high, low, "the longest duration"),
    )
    if not 1 <= flexible <= n_machines:
        raise InputError(f"flexible {flexible} is not between 1 and the {n_machines} machines")
    rng = np.random.default_rng(seed)
    n_ops = n_jobs * n_machines
    duration = rng.integers(low, high, size=n_ops, endpoint=True)
    machine = rng.permuted(np.tile(np.arange(n_machines), (n_jobs, 1)), axis=1).ravel()
    counts = rng.integers(1, flexible, size=n_ops, endpoint=True)
    if flexible > 1:
        machine = _alternatives(rng, machine, counts, n_machines)
        varied = np.repeat(duration, counts) * rng.uniform(0.8, 1.2, size=len(machine))
        duration = np.clip(np.rint(varied), low, high).astype(np.int64)
    return JobShop.from_arrays(
        np.arange(0, n_ops + 1, n_machines),
        np.concatenate(([0], np.cumsum(counts))),
        machine,
        duration,
        n_machines=n_machines,
        name=name or f"random-{n_jobs}x{n_machines}-{seed}",
    )


def _alternatives(
    rng: np.random.Generator, machine: IntArray, counts: IntArray, n_machines: int
) -> IntArray:
    """Return `counts` different machines an operation, its own among them, sorted."""
    chosen = []
    for at in range(0, len(machine), n_machines):  # a job at a time: the table below stays small
        own, count = machine[at : at + n_machines], counts[at : at + n_machines]
        key = rng.random((n_machines, n_machines))
        key[np.arange(n_machines), own] = -1.0
        rank = key.argsort(axis=1).argsort(axis=1)
        chosen.append(np.nonzero(rank < count[:, None])[1])
    return np.concatenate(chosen)


#: Breakdowns by severity: share of machines, least and greatest gap, duration.
BREAKDOWNS = {
    "low": (0.2, 400, 600, 100),
    "medium": (0.35, 175, 300, 100),
    "high": (0.5, 100, 200, 50),
}


def flexible_job_shop(
    n_jobs: int,
    n_machines: int,
    n_operations: int,
    seed: int = 0,
    *,
    durations: tuple[int, int] = (1, 99),
    breakdowns: str = "none",
    name: str = "",
) -> JobShop:
    """Return a random long flexible job shop, as studies of rolling horizons use them.

    Each operation can run on a random set of machines, of a size uniform from 1 to all of them,
    and on each of these it takes a time of its own: unrelated machines (the distribution in Li et
    al., L-RHO, 2025). The same arguments give the same instance, with the same version of NumPy's
    random generators.

    Parameters
    ----------
    n_jobs, n_machines, n_operations : int
        Size; `n_operations` is that of one job. Usual are 20 x 10 with 30, 40 or 100 operations.
    seed : int
        At least 0.
    durations : (int, int)
        Durations are uniform between these, both included.
    breakdowns : str
        ``"none"``, or a key of `BREAKDOWNS`: some machines have breaks of one length at random
        intervals, through twice the time that the work takes when shared evenly.
    name : str
        Default: ``"flexible-JOBSxMACHINESxOPERATIONS-SEED"``.

    Raises
    ------
    InputError
        When an argument is out of range.
    """
    low, high = durations
    require_least(
        (n_jobs, 1, "n_jobs"),
        (n_machines, 1, "n_machines"),
        (n_operations, 1, "n_operations"),
        (seed, 0, "seed"),
        (low, 0, "the shortest duration"),
        (high, low, "the longest duration"),
    )
    if breakdowns != "none" and breakdowns not in BREAKDOWNS:
        known = ", ".join(("none", *BREAKDOWNS))
        raise InputError(f"unknown breakdowns {breakdowns!r}: one of {known}")
    rng = np.random.default_rng(seed)
    n_ops = n_jobs * n_operations
    counts = rng.integers(1, n_machines, size=n_ops, endpoint=True)
    machine = [np.sort(rng.choice(n_machines, count, replace=False)) for count in counts.tolist()]
    alt_offset = np.concatenate(([0], np.cumsum(counts)))
    duration = rng.integers(low, high, size=int(alt_offset[-1]), endpoint=True)
    horizon = 2 * int(np.minimum.reduceat(duration, alt_offset[:-1]).sum()) // n_machines
    return JobShop.from_arrays(
        np.arange(0, n_ops + 1, n_operations),
        alt_offset,
        np.concatenate(machine),
        duration,
        n_machines=n_machines,
        calendars=_breakdowns(rng, breakdowns, n_machines, horizon),
        name=name or f"flexible-{n_jobs}x{n_machines}x{n_operations}-{seed}",
    )


def _breakdowns(
    rng: np.random.Generator, severity: str, n_machines: int, horizon: int
) -> dict[int, list[tuple[int, int]]] | None:
    if severity == "none":
        return None
    share, least, most, length = BREAKDOWNS[severity]
    calendars: dict[int, list[tuple[int, int]]] = {}
    broken = rng.choice(n_machines, max(1, round(share * n_machines)), replace=False)
    for machine in np.sort(broken).tolist():
        breaks = calendars[machine] = []
        now = int(rng.integers(least, most, endpoint=True))
        while now < horizon:
            breaks.append((now, now + length))
            now += length + int(rng.integers(least, most, endpoint=True))
    return calendars


def potts_van_wassenhove(
    n_jobs: int,
    due_range: float,
    tardiness_factor: float,
    seed: int = 0,
    *,
    weighted: bool = False,
) -> SingleMachine:
    """Return a random tardiness instance of the class R = `due_range`, T = `tardiness_factor`.

    See `optsched.problems.single_machine.generate.potts_van_wassenhove`.
    """
    return generate.potts_van_wassenhove(
        n_jobs, due_range, tardiness_factor, seed, weighted=weighted
    )


def rcbench(
    level: int,
    seed: int = 0,
    *,
    axes: str = "downtime+windows+disjunctive",
    twin: bool = False,
    domain: str = "synthetic",
) -> Rcpsp:
    """Return a case of R-ConstraintBench as a project; see `optsched.rcbench.generate`.

    Parameters
    ----------
    level, seed : int
        Number of precedence relations, and which case.
    axes : str
        Kinds of constraint on top, joined by ``+``; empty for none.
    twin : bool
        The infeasible counterpart instead.
    domain : str
        ``"synthetic"`` or ``"migration"``.
    """
    on = tuple(axis for axis in axes.split("+") if axis)
    case, witness = rc_generate(level, on, seed, domain=domain)
    if twin:
        case = infeasible_twin(case, witness)
    return dataclasses.replace(case, id=f"rcbench-{seed}").problem()


def scratchpad(
    network: str,
    level: str = "M_R",
    seed: int = 0,
    *,
    weights: bool = False,
    order: str = "free",
) -> ScratchpadSchedule:
    """Return the schedule of a network at one of its characteristic capacities.

    See `optsched.problems.scratchpad.generate.instance`.
    """
    from optsched.problems.scratchpad import generate as networks

    return networks.instance(network, level, seed, weights=weights, order=order)


def pod_cluster(
    n_nodes: int,
    pods_per_node: int,
    priorities: int = 4,
    utilisation: float = 0.95,
    seed: int = 0,
    *,
    name: str = "",
) -> PodPacking:
    """Return a random cluster in which the default scheduler leaves pods pending.

    See `optsched.problems.pod_packing.generate.pod_cluster`.
    """
    return pod_generate.pod_cluster(
        n_nodes, pods_per_node, priorities, utilisation, seed, name=name
    )


def vm_snapshot(
    n_hosts: int = 280,
    n_vms: int = 2089,
    migration_limit: int = 50,
    seed: int = 0,
    *,
    looked_at: int = 0,
    name: str = "",
) -> PodPacking:
    """Return a random snapshot of virtual machines on dual-NUMA hosts, to be rescheduled.

    See `optsched.problems.pod_packing.vm_generate.vm_snapshot`.
    """
    return vm_generate.vm_snapshot(
        n_hosts, n_vms, migration_limit, seed, looked_at=looked_at, name=name
    )
