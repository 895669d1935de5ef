"""Random instances with a seed, for trials and tests."""

from __future__ import annotations

import numpy as np

from optsched.core import InputError, IntArray
from optsched.problems.job_shop.problem import JobShop
from optsched.problems.single_machine import generate
from optsched.problems.single_machine.problem import SingleMachine


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
    for value, least, what in (
        (n_jobs, 1, "n_jobs"),
        (n_machines, 1, "n_machines"),
        (seed, 0, "seed"),
        (low, 0, "the shortest duration"),
        (high, low, "the longest duration"),
    ):
        if value < least:
            raise InputError(f"{what} {value} is less than {least}")
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
