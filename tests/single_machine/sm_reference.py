"""What the single-machine tests compare with: subset dynamic programming and naive rules."""

from __future__ import annotations

import itertools

import numpy as np
from numba import njit

from optsched.problems.single_machine.problem import OBJECTIVES, SingleMachine


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


def brute_force(problem):
    """Least objective over all sequences by enumeration, or None when none is feasible."""
    best = None
    for order in itertools.permutations(range(problem.n_jobs)):
        solution = problem.schedule(order)
        if not problem.check(solution):
            value = problem.objective(solution)
            best = value if best is None else min(best, value)
    return best


def random_problem(rng, n, objective=None, features=()):
    """A small random instance with ties; `features` among the side constraints."""
    p = rng.integers(0 if rng.random() < 0.2 else 1, rng.choice([3, 6, 12]), n)
    total = max(1, int(p.sum()))
    given = {}
    if "release dates" in features:
        given["release"] = rng.integers(0, total, n)
    if "setup" in features:
        given["setup"] = rng.integers(0, 5, (n, n))
    if "precedence" in features:
        order = rng.permutation(n)
        pairs = rng.integers(0, n, (n // 2, 2))
        given["precedence"] = [(order[min(a)], order[max(a)]) for a in pairs if a[0] != a[1]]
    if "deadlines" in features:
        late = rng.integers(total // 2, 3 * total, n).tolist()
        given["deadline"] = [None if rng.random() < 0.5 else d for d in late]
    kind = objective or str(rng.choice(OBJECTIVES))
    due = rng.integers(-2, int(1.2 * total) + 2, n)
    return SingleMachine(p, due, rng.integers(0, 6, n), objective=kind, **given)
