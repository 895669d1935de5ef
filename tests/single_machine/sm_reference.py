"""What the single-machine tests compare with: enumeration, and dynamic programming over subsets."""

from __future__ import annotations

import numpy as np
from numba import njit

from optsched.selfcheck.families.single_machine import random_problem
from optsched.selfcheck.references.single_machine import optimum as brute_force

__all__ = ["brute_force", "least_tardiness", "random_problem"]


@njit(cache=True)
def least_tardiness(p, w, d):
    """Least total weighted tardiness by dynamic programming over subsets (Held and Karp 1962)."""
    n = len(p)
    value = np.full(1 << n, 2**60, dtype=np.int64)
    value[0] = 0
    for members in range((1 << n) - 1):
        t = 0
        for k in range(n):
            if members >> k & 1:
                t += p[k]
        for k in range(n):
            if not members >> k & 1:
                cost = value[members] + w[k] * max(0, t + p[k] - d[k])
                if cost < value[members | 1 << k]:
                    value[members | 1 << k] = cost
    return value[-1]
