"""Tiny scratchpad schedules, in a given order and in a free one."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import numpy as np

from optsched.problems.scratchpad.graph import OperatorGraph
from optsched.problems.scratchpad.problem import ScratchpadSchedule
from optsched.selfcheck.families.graphs import smaller_graphs
from optsched.selfcheck.references import TooLong
from optsched.selfcheck.references import scratchpad as reference
from optsched.selfcheck.smaller import Data, anything_less

#: Orders enumerated, at most.
MOST_ORDERS = 60


def draw(rng: random.Random) -> ScratchpadSchedule:
    """Return a graph of up to five operators, and a capacity at which some tensors must leave."""
    draws = np.random.default_rng(rng.getrandbits(40))
    graph = random_graph(draws, int(draws.integers(1, 6)), int(draws.integers(2, 6)))
    least, most = graph.largest_working_set, graph.peak(graph.default_order())
    capacity = int(draws.integers(least, max(least, most - 1) + 1))
    order = None
    if draws.random() < 0.5:
        orders = list(itertools.islice(reference.topological_orders(graph), MOST_ORDERS))
        order = orders[int(draws.integers(len(orders)))]
    return ScratchpadSchedule(graph, max(1, capacity), order=order, name="")


def optimum(problem: ScratchpadSchedule, claim: int | None) -> int | None:
    """Return the least traffic over orders, residency and addresses.

    Raises
    ------
    TooLong
    """
    graph = problem.graph
    if problem.order is not None:
        return reference.best_in_order(graph, problem.capacity, problem.order.tolist())
    orders = list(itertools.islice(reference.topological_orders(graph), MOST_ORDERS + 1))
    if len(orders) > MOST_ORDERS:
        raise TooLong
    return min(reference.best_in_order(graph, problem.capacity, order) for order in orders)


def smaller(data: Data) -> Iterator[Data]:
    """Yield smaller instances: without an operator, a tensor, the order; with lower numbers."""
    yield from smaller_graphs(data)
    yield from anything_less(data)


def random_graph(
    rng: np.random.Generator, n_operators: int, largest: int = 5, reach: int = 4
) -> OperatorGraph:
    """Return a graph of chains and joins, now and then with two outputs or several readers."""
    tensors: list[tuple[str, int, str | None]] = []
    operators: list[tuple[str, list[int], list[int]]] = []

    def new(kind: str | None) -> int:
        tensors.append(
            (
                f"t{len(tensors)}",
                int(rng.integers(0 if rng.random() < 0.1 else 1, largest + 1)),
                kind,
            )
        )
        return len(tensors) - 1

    written: list[int] = []
    outside: list[int] = []
    for i in range(n_operators):
        inputs = []
        if written:
            recent = written[-reach:]
            inputs += rng.choice(
                recent, size=min(len(recent), int(rng.integers(1, 3))), replace=False
            ).tolist()
        if not inputs or rng.random() < 0.3:
            if outside and rng.random() < 0.4:
                inputs.append(int(rng.choice(outside)))
            else:
                outside.append(new("input" if rng.random() < 0.5 else "weight"))
                inputs.append(outside[-1])
        outputs = [new(None)]
        if rng.random() < 0.15:
            outputs.append(new(None))
        written += outputs
        operators.append((f"o{i}", inputs, outputs))
    # Some tensors that are read are outputs of the model all the same.
    kinds = [
        (name, size, "output" if t in written and rng.random() < 0.1 else kind)
        for t, (name, size, kind) in enumerate(tensors)
    ]
    return OperatorGraph(kinds, operators, "random")
