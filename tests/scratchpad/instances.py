"""Random operator graphs, and brute force over residency and addresses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from optsched.problems.scratchpad.graph import INTERMEDIATE, OperatorGraph


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
    size = graph.size.tolist()
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
