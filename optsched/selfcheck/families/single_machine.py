"""Tiny single-machine problems: drawing, enumerating and shrinking them."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from optsched.problems.single_machine.problem import (
    OBJECTIVES,
    SingleMachine,
    SingleMachineSolution,
)
from optsched.selfcheck.references import single_machine as reference
from optsched.selfcheck.smaller import Axis, Data, anything_less, without

FEATURES = ("release dates", "setup", "precedence", "deadlines")
JOBS = Axis(
    rows=("processing", "due", "weight", "release", "deadline"),
    square=("setup",),
    pairs=("precedence",),
)


def draw(rng: random.Random) -> SingleMachine:
    """Return up to six jobs, with any of the side constraints in half of the cases."""
    draws = np.random.default_rng(rng.getrandbits(40))
    n = int(draws.integers(1, 7))
    features = [f for f in FEATURES if draws.random() < 0.35] if draws.random() < 0.6 else []
    return random_problem(draws, n, features=features)


def optimum(problem: SingleMachine, claim: int | None) -> int | None:
    """Return the least objective over all sequences, None where none is feasible."""
    return reference.optimum(problem)


def value(problem: SingleMachine, solution: SingleMachineSolution) -> int:
    """Return the objective of a schedule by its definition."""
    ends = (solution.start + problem.processing).tolist()
    return reference.cost(problem, ends)


def smaller(data: Data) -> Iterator[Data]:
    """Yield smaller problems: without a job, a side constraint; with lower numbers."""
    for job in range(len(data["processing"])):
        yield without(data, JOBS, job)
    yield from anything_less(data)


def random_problem(
    rng: np.random.Generator,
    n: int,
    objective: str | None = None,
    features: Collection[str] = (),
) -> SingleMachine:
    """Return a small instance with ties; `features` among the side constraints."""
    p = rng.integers(0 if rng.random() < 0.2 else 1, rng.choice([3, 6, 12]), n)
    total = max(1, int(p.sum()))
    given: dict[str, Any] = {}
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
