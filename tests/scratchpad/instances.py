"""Random operator graphs and rectangles, and brute force over residency and addresses."""

from __future__ import annotations

import numpy as np

from optsched.problems.scratchpad.graph import OperatorGraph
from optsched.selfcheck.families.scratchpad import random_graph
from optsched.selfcheck.references.scratchpad import best_in_order, fits, topological_orders

__all__ = [
    "best_in_order", "dense_rectangles", "fits", "graph_of_rectangles", "random_graph",
    "topological_orders",
]  # fmt: skip


def dense_rectangles(
    rng: np.random.Generator, n_steps: int, capacity: int
) -> list[tuple[int, int, int]]:
    """Return (first, last, size) of tensors that fill the capacity in every step."""
    alive: list[list[int]] = []
    rectangles = []
    for step in range(n_steps):
        stay = []
        for entry in alive:
            if rng.random() < 0.35:
                rectangles.append((entry[0], step - 1, entry[1]))
            else:
                stay.append(entry)
        alive = stay
        while (room := capacity - sum(size for _, size in alive)) > 0:
            alive.append([step, int(rng.integers(1, min(room, capacity // 2) + 1))])
    rectangles += [(first, n_steps - 1, size) for first, size in alive]
    return rectangles


def graph_of_rectangles(rectangles: list[tuple[int, int, int]], n_steps: int) -> OperatorGraph:
    """Return a chain of operators in which each (first, last, size) is the life of a tensor."""
    operators: list[tuple[str, list[int], list[int]]] = [(f"o{s}", [], []) for s in range(n_steps)]
    for t, (first, last, _) in enumerate(rectangles):
        operators[first][2].append(t)
        if last > first:
            operators[last][1].append(t)
    tensors = [(f"t{t}", size, "intermediate") for t, (_, _, size) in enumerate(rectangles)]
    return OperatorGraph(tensors, operators, "rectangles")
