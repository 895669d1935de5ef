"""Tiny memory tiers: drawing, enumerating and shrinking them."""

from __future__ import annotations

import copy
import itertools
import random
from collections.abc import Iterator

import numpy as np

from optsched.problems.memory_tiers.problem import MemoryTiers
from optsched.problems.scratchpad.graph import OperatorGraph
from optsched.selfcheck.families.graphs import smaller_graphs
from optsched.selfcheck.references import memory_tiers as reference
from optsched.selfcheck.references.scratchpad import topological_orders
from optsched.selfcheck.smaller import Data, anything_less


def draw(rng: random.Random) -> MemoryTiers:
    """Return a tiny instance of two memories, one of seven of three; some in another order."""
    draws = np.random.default_rng(rng.getrandbits(40))
    tiers = 3 if draws.random() < 1 / 7 else 2
    problem = random_instance(
        draws,
        int(draws.integers(1, 5)),
        most=3 if tiers == 3 else int(draws.integers(3, 6)),
        largest=2 if tiers == 3 else 3,
        tiers=tiers,
    )
    data = problem.to_dict() | {"name": ""}
    if draws.random() < 0.3:
        orders = list(itertools.islice(topological_orders(problem.graph), 24))
        data["order"] = orders[int(draws.integers(len(orders)))]
    return MemoryTiers.from_dict(data)


def optimum(problem: MemoryTiers, claim: int | None) -> int:
    """Return the least time over all states of memory."""
    return reference.optimum(problem)


def smaller(data: Data) -> Iterator[Data]:
    """Yield smaller instances: without an operator, a tensor, a memory; with lower numbers."""
    yield from smaller_graphs(data)
    for tier in range(1, len(data["tiers"])):
        less = copy.deepcopy(data)
        del less["tiers"][tier]
        yield less
    yield from anything_less(data)


def random_instance(
    rng: np.random.Generator, n_operators: int, *, most: int = 6, largest: int = 3, tiers: int = 2
) -> MemoryTiers:
    """Return an instance of at most `most` tensors and sizes up to `largest`."""
    tensors: list[tuple[str, int, str | None]] = []
    operators: list[tuple[str, list[int], list[int]]] = []

    def new(kind: str | None) -> int:
        size = 0 if rng.random() < 0.05 else int(rng.integers(1, largest + 1))
        tensors.append((f"t{len(tensors)}", size, kind))
        return len(tensors) - 1

    for i in range(n_operators):
        known = len(tensors)
        reads = rng.choice(known, size=min(known, int(rng.integers(1, 3))), replace=False).tolist()
        if (not reads or rng.random() < 0.4) and len(tensors) < most:
            reads.append(new("weight" if rng.random() < 0.5 else "input"))
        writes = [new(None)] if len(tensors) < most else []
        operators.append((f"o{i}", reads, writes))
    read = {t for _, reads, _ in operators for t in reads}
    written = {t for _, _, writes in operators for t in writes}
    rows = [
        (name, size, "output" if t in written and (t not in read or rng.random() < 0.2) else kind)
        for t, (name, size, kind) in enumerate(tensors)
    ]
    memories: list[tuple[str, int, int | None]] = [("main", int(rng.integers(1, 3)), None)]
    memories += [
        (f"fast{m}", int(rng.integers(1, 6)), int(rng.integers(1, 3 * largest)))
        for m in range(1, tiers)
    ]
    compute = rng.integers(0, 5, size=n_operators) if rng.random() < 0.7 else None
    return MemoryTiers(
        OperatorGraph(rows, operators), memories, int(rng.integers(1, 3)), compute, name="random"
    )
