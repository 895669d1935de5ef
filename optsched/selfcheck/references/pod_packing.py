"""The optimum of a tiny cluster by trying every placement."""

from __future__ import annotations

import itertools

import numpy as np

from optsched.core import Number
from optsched.problems.pod_packing.problem import PodPacking, PodPackingSolution
from optsched.selfcheck.references import TooLong

#: Placements looked at, at most.
MOST = 200_000


def optimum(problem: PodPacking) -> Number | None:
    """Return the least objective of all placements; None where none is feasible.

    Raises
    ------
    TooLong
    """
    if (problem.n_nodes + 1) ** problem.n_pods > MOST:
        raise TooLong
    best: Number | None = None
    for nodes in itertools.product(range(-1, problem.n_nodes), repeat=problem.n_pods):
        solution = PodPackingSolution(np.array(nodes, dtype=np.int64))
        value = problem.objective(solution)
        if (best is None or value < best) and not problem.check(solution):
            best = value
    return best
