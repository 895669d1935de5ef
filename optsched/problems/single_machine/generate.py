"""Random instances after Potts and Van Wassenhove."""

from __future__ import annotations

import numpy as np

from optsched.core import InputError
from optsched.problems.single_machine.problem import SingleMachine


def potts_van_wassenhove(
    n_jobs: int,
    due_range: float,
    tardiness_factor: float,
    seed: int,
    *,
    longest: int = 100,
    heaviest: int = 10,
    weighted: bool = False,
) -> SingleMachine:
    """Return a random instance (Potts and Van Wassenhove 1982, 1985).

    Processing times are uniform in ``1..longest``, weights in ``1..heaviest``, due dates in
    ``P (1 - T - R/2) .. P (1 - T + R/2)`` with ``P`` the sum of processing times.

    Parameters
    ----------
    n_jobs : int
    due_range : float
        R; the classes of the literature are 0.2, 0.4, ..., 1.0.
    tardiness_factor : float
        T, likewise. R = 0.2 with T = 0.6 is the hardest class of the unweighted problem.
    seed : int
    longest, heaviest : int
        Largest processing time and weight.
    weighted : bool
        Whether to draw weights, and minimise total weighted tardiness.
    """
    if n_jobs < 1 or longest < 1 or heaviest < 1:
        raise InputError("n_jobs, longest and heaviest must be at least 1")
    if not (0 <= due_range <= 2 and 0 <= tardiness_factor <= 1):
        raise InputError("due_range must be within 0..2 and tardiness_factor within 0..1")
    rng = np.random.default_rng(seed)
    processing = rng.integers(1, longest + 1, n_jobs)
    weight = rng.integers(1, heaviest + 1, n_jobs) if weighted else None
    total = int(processing.sum())
    low = round(total * (1 - tardiness_factor - due_range / 2))
    high = round(total * (1 - tardiness_factor + due_range / 2))
    due = rng.integers(low, high + 1, n_jobs)
    kind = "weighted_tardiness" if weighted else "tardiness"
    prefix = "wt" if weighted else "tt"
    return SingleMachine(
        processing,
        due,
        weight,
        objective=f"total_{kind}",
        name=f"{prefix}{n_jobs}-R{due_range:g}-T{tardiness_factor:g}-s{seed}",
    )
