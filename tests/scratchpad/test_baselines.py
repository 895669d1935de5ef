"""Replacement policies against a replay by sets, orders against brute force."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import pytest
from instances import random_graph

from optsched.core import InputError
from optsched.problems.scratchpad.baselines import (
    POLICIES,
    greedy_order,
    least_peak_order,
    replay,
)
from optsched.problems.scratchpad.graph import INPUT, INTERMEDIATE, WEIGHT, OperatorGraph
from optsched.problems.scratchpad.networks import ARCHITECTURES, network


def simulate(graph: OperatorGraph, order: list[int], capacity: int, policy: str) -> tuple[int, int]:
    """Return the bytes reloaded and stored, step by step with sets and dictionaries."""
    uses: dict[int, list[int]] = {t: [] for t in range(graph.n_tensors)}
    for step, i in enumerate(order):
        for t in (*graph.inputs(i).tolist(), *graph.outputs(i).tolist()):
            uses[t].append(step)
    size = graph.size.tolist()
    held: set[int] = set()
    loaded: set[int] = set()
    stored: set[int] = set()
    reloaded = 0
    for step, i in enumerate(order):
        reads, writes = graph.inputs(i).tolist(), graph.outputs(i).tolist()
        needed = {*reads, *writes}
        entering = needed - held
        while sum(size[t] for t in held | needed) > capacity:
            if policy == "belady":
                rank = {t: min(u for u in uses[t] if u >= step) for t in held - needed}
            else:
                rank = {t: -max(u for u in uses[t] if u < step) for t in held - needed}
            worst = max(held - needed, key=lambda t: (rank[t], size[t]))
            ties = [t for t in held - needed if (rank[t], size[t]) == (rank[worst], size[worst])]
            assert len(ties) == 1 or all(size[t] == size[worst] for t in ties)
            held.remove(worst)
            if graph.kind[worst] == INTERMEDIATE:
                stored.add(worst)
        for t in entering:
            outside = graph.kind[t] in (INPUT, WEIGHT)
            if t in reads and (not outside or t in loaded):
                reloaded += size[t]
            loaded.add(t)
        held |= needed
        held = {t for t in held if uses[t][-1] > step}
    return reloaded, sum(size[t] for t in stored)


def instances(count: int, n_operators: int) -> Any:
    for seed in range(count):
        rng = np.random.default_rng(seed)
        # Distinct sizes: ties between equals are anybody's choice.
        graph = random_graph(rng, n_operators, largest=10**6, reach=8)
        yield rng, graph


@pytest.mark.parametrize("policy", POLICIES)
def test_replay_equals_simulation(policy: str) -> None:
    for rng, graph in instances(60, 25):
        order = graph.default_order()
        low, high = graph.largest_working_set, graph.peak(order)
        for capacity in (low, (low + high) // 2, int(rng.integers(low, high + 1)), high):
            found = replay(graph, order, capacity, policy)
            assert (found.reloaded, found.stored) == simulate(
                graph, order.tolist(), capacity, policy
            )
            assert found.traffic == found.reloaded + found.stored
            if capacity == high:
                assert found.traffic == 0
            check_stays(graph, order, capacity, found.stays)


def check_stays(graph: OperatorGraph, order: Any, capacity: int, stays: Any) -> None:
    """Check that every operator finds its tensors, within the capacity."""
    load = np.zeros(graph.n_operators, dtype=np.int64)
    inside = np.zeros((graph.n_operators, graph.n_tensors), dtype=bool)
    for t, first, last in stays.tolist():
        assert not inside[first : last + 1, t].any()
        inside[first : last + 1, t] = True
        load[first : last + 1] += graph.size[t]
    for step, i in enumerate(order.tolist()):
        assert inside[step, graph.inputs(i)].all()
        assert inside[step, graph.outputs(i)].all()
    assert load.max() <= capacity


def test_hand_made_replay() -> None:
    # x is needed at both ends; a and b do not fit beside it.
    graph = OperatorGraph(
        tensors=[("x", 4), ("a", 4), ("b", 4), ("y", 1)],
        operators=[("f", ["x"], ["a"]), ("g", ["a"], ["b"]), ("h", ["x", "b"], ["y"])],
    )
    order = graph.default_order()
    assert graph.peak(order) == 12
    found = replay(graph, order, 10)
    assert (found.reloaded, found.stored) == (4, 0)  # an input need not be stored
    assert found.stays.tolist() == [[0, 0, 0], [0, 2, 2], [1, 0, 1], [2, 1, 2], [3, 2, 2]]
    graph = OperatorGraph(
        tensors=[("i", 1), ("x", 4), ("a", 4), ("b", 4), ("y", 1)],
        operators=[("e", [0], [1]), ("f", [1], [2]), ("g", [2], [3]), ("h", [1, 3], [4])],
    )
    found = replay(graph, graph.default_order(), 10, "lru")
    assert (found.reloaded, found.stored, found.traffic) == (4, 4, 8)


def test_belady_is_optimal_for_equal_inputs() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        sequence = rng.integers(0, 6, size=14).tolist()
        graph = OperatorGraph(
            [(f"x{t}", 1, "input") for t in range(6)],
            [(f"o{k}", [t], []) for k, t in enumerate(sequence)],
        )
        order = graph.default_order()
        for capacity in (1, 2, 3):
            least = fewest_reloads(sequence, capacity)
            assert replay(graph, order, capacity).traffic == least
            assert replay(graph, order, capacity, "lru").traffic >= least


def fewest_reloads(sequence: list[int], capacity: int) -> int:
    """Return the least number of reloads, over all contents of a memory of equal places."""
    states: dict[frozenset[int], int] = {frozenset(): 0}
    for t in sequence:
        new: dict[frozenset[int], int] = {}
        for state, cost in states.items():
            paid = cost + (t not in state)
            for kept in range(capacity):
                for rest in itertools.combinations(sorted(state - {t}), kept):
                    key = frozenset((*rest, t))
                    new[key] = min(new.get(key, paid), paid)
        states = new
    return min(states.values()) - len(set(sequence))


def topological_orders(graph: OperatorGraph) -> Any:
    before = [set(graph.predecessors(i).tolist()) for i in range(graph.n_operators)]

    def extend(order: list[int]) -> Any:
        if len(order) == graph.n_operators:
            yield np.array(order)
        for i in range(graph.n_operators):
            if i not in order and before[i] <= set(order):
                yield from extend([*order, i])

    return extend([])


def test_least_peak_equals_brute_force() -> None:
    proven = 0
    for _, graph in instances(60, 7):
        least = min(graph.peak(order) for order in topological_orders(graph))
        found = least_peak_order(graph)
        assert found.proven
        assert found.peak == least == graph.peak(graph.check_order(found.order))
        narrow = least_peak_order(graph, width=1)
        assert narrow.peak >= least
        assert not narrow.proven or narrow.peak == least
        proven += narrow.proven
        assert graph.peak(graph.check_order(greedy_order(graph))) >= least
    assert proven


def test_orders_of_networks() -> None:
    for name in ARCHITECTURES:
        graph = network(name, weights=False)
        default = graph.default_order()
        began = time.process_time()
        found = least_peak_order(graph, width=64)
        assert time.process_time() - began < 10
        assert graph.peak(graph.check_order(found.order)) == found.peak <= graph.peak(default)
        assert least_peak_order(graph, stopped=lambda: True).peak <= graph.peak(default)
        replay(graph, default, graph.largest_working_set)
        began = time.process_time()
        for policy in POLICIES:
            assert replay(graph, default, graph.peak(default), policy).traffic == 0
        assert time.process_time() - began < 1


def test_wrong_arguments() -> None:
    graph = network("darts", weights=False)
    order = graph.default_order()
    with pytest.raises(InputError, match="unknown policy 'fifo': one of belady, lru"):
        replay(graph, order, 10**9, "fifo")
    with pytest.raises(InputError, match=r"operator '.*' needs 602112 bytes"):
        replay(graph, order, 1000)
    with pytest.raises(InputError, match="runs before"):
        replay(graph, order[::-1].copy(), 10**9)
    with pytest.raises(InputError, match="width: 0"):
        least_peak_order(graph, width=0)
