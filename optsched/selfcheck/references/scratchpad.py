"""The least traffic of tiny operator graphs by enumerating orders, residency and addresses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from optsched.problems.scratchpad.graph import INTERMEDIATE, OperatorGraph


def topological_orders(graph: OperatorGraph) -> Iterator[list[int]]:
    """Iterate over every topological order."""
    waiting = np.diff(graph.predecessor_offset).tolist()
    order: list[int] = []
    done = [False] * graph.n_operators

    def extend() -> Iterator[list[int]]:
        if len(order) == graph.n_operators:
            yield list(order)
            return
        for i in range(graph.n_operators):
            if done[i] or waiting[i]:
                continue
            done[i] = True
            order.append(i)
            for j in graph.successors(i).tolist():
                waiting[j] -= 1
            yield from extend()
            for j in graph.successors(i).tolist():
                waiting[j] += 1
            order.pop()
            done[i] = False

    return extend()


def fits(rectangles: list[tuple[int, int, int]], capacity: int) -> bool:
    """Return whether (first, last, size) can all be placed below the capacity, by enumeration."""
    rectangles = sorted((r for r in rectangles if r[2]), key=lambda r: -r[2])
    placed: list[tuple[int, int, int, int]] = []

    def place(k: int) -> bool:
        if k == len(rectangles):
            return True
        first, last, size = rectangles[k]
        for low in range(capacity - size + 1):
            clash = any(
                a <= last and first <= b and low < y + s and y < low + size for a, b, y, s in placed
            )
            if not clash:
                placed.append((first, last, low, size))
                if place(k + 1):
                    return True
                placed.pop()
        return False

    return place(0)


def best_in_order(
    graph: OperatorGraph, capacity: int, order: list[int], *, addresses: bool = True
) -> int:
    """Return the least traffic of an order, by enumerating who is loaded again when."""
    touches: list[list[int]] = [[] for _ in range(graph.n_tensors)]
    for step, i in enumerate(order):
        for t in [*graph.inputs(i).tolist(), *graph.outputs(i).tolist()]:
            touches[t].append(step)
    size: list[int] = graph.size.tolist()
    pairs = [(t, k) for t, steps in enumerate(touches) for k in range(len(steps) - 1)]
    choices = []
    for leave in itertools.product((False, True), repeat=len(pairs)):
        cost = sum(size[t] for (t, _), out in zip(pairs, leave, strict=True) if out)
        stored = {t for (t, _), out in zip(pairs, leave, strict=True) if out}
        cost += sum(size[t] for t in stored if graph.kind[t] == INTERMEDIATE)
        choices.append((cost, leave))
    choices.sort()
    for cost, leave in choices:
        out = {pair for pair, gone in zip(pairs, leave, strict=True) if gone}
        rectangles = []
        for t, steps in enumerate(touches):
            if not steps:
                continue
            first = steps[0]
            for k, step in enumerate(steps):
                if k + 1 == len(steps) or (t, k) in out:
                    rectangles.append((first, step, size[t]))
                    first = steps[k + 1] if k + 1 < len(steps) else 0
        load = [0] * len(order)
        for a, b, s in rectangles:
            for step in range(a, b + 1):
                load[step] += s
        if max(load) <= capacity and (not addresses or fits(rectangles, capacity)):
            return cost
    raise AssertionError("no residency fits")
