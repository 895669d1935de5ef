"""A given order: gaps, residency, packing and cuts, against brute force and CP-SAT."""

from __future__ import annotations

import numpy as np
import pytest

import optsched as op
from optsched.core import Deadline
from optsched.problems.scratchpad.fixed_order import repaired, solve_order
from optsched.problems.scratchpad.gaps import gaps_of
from optsched.problems.scratchpad.packing import Fit, pack, separate
from optsched.problems.scratchpad.problem import ScratchpadSchedule
from optsched.problems.scratchpad.residency import least_traffic
from tests.scratchpad.instances import (
    best_in_order,
    dense_rectangles,
    fits,
    graph_of_rectangles,
    random_graph,
)

#: Tensors (first, last, size) whose load is 11 at the most, but which cannot be packed in 11.
CROWDED = [
    (0, 0, 5), (0, 3, 5), (1, 3, 1), (1, 4, 2), (4, 4, 2), (1, 5, 2), (5, 5, 3), (0, 6, 1),
    (5, 7, 1), (7, 7, 1), (4, 8, 2), (6, 9, 1), (9, 9, 1), (4, 11, 2), (9, 11, 1), (6, 12, 4),
    (8, 12, 2), (10, 12, 2), (12, 12, 1), (12, 12, 2),
]  # fmt: skip


def test_gaps_of_a_chain_with_a_skip() -> None:
    graph = graph_of_rectangles([(0, 3, 5), (0, 1, 2), (1, 2, 2), (2, 3, 2)], 4)
    gaps = gaps_of(graph, np.arange(4))
    assert gaps.tensor.tolist() == [0, 1, 2, 3]
    assert (gaps.first.tolist(), gaps.last.tolist()) == ([0, 0, 1, 2], [3, 1, 2, 3])
    everybody = np.ones(4, dtype=bool)
    assert gaps.load(everybody).tolist() == [7, 9, 9, 7]
    assert gaps.cost(everybody) == 0
    leave = np.array([False, True, True, True])
    assert gaps.load(leave).tolist() == [7, 4, 4, 7]
    assert gaps.cost(leave) == 10  # stored and loaded
    assert gaps.stays(leave).tolist()[:2] == [[0, 0, 0], [0, 3, 3]]
    assert gaps.stay_of(leave).tolist() == [0, 2, 3, 4]


def test_residency_weighs_spills_against_reloads() -> None:
    # Two tensors of 3 bytes over a step that is 3 bytes too full; one of them is an input.
    graph = op.problems.scratchpad.graph.OperatorGraph(
        [("x", 3), ("a", 3), ("b", 4), ("c", 4), ("y", 1)],
        [
            ("make a", ["x"], ["a"]),
            ("make b", [], ["b"]),
            ("make c", ["b"], ["c"]),
            ("end", ["x", "a", "c"], ["y"]),
        ],
    )
    gaps = gaps_of(graph, np.arange(4))
    known = least_traffic(gaps, 11)
    assert (known.cost, known.bound) == (3, 3)  # the input leaves: no store
    assert least_traffic(gaps, 14).cost == 0
    assert least_traffic(gaps, 14, [np.array([0, 1])]).cost == 3  # as cuts demand


@pytest.mark.parametrize("seed", range(4))
def test_packing_agrees_with_enumeration(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(15):
        rectangles = dense_rectangles(rng, 5, 6)
        first, last, size = np.array(rectangles).T
        for capacity in (5, 6):
            answer = pack(first, last, size, capacity, Deadline())
            assert (answer.fit is Fit.YES) == fits(rectangles, capacity)
            if answer.offset is None:
                assert len(answer.crowd)
                continue
            assert (answer.offset + size).max() <= capacity


def test_separate_parts_share_no_step() -> None:
    first, last = np.array([0, 3, 1, 5]), np.array([1, 4, 2, 6])
    parts = separate(first, last, np.arange(4))
    assert [part.tolist() for part in parts] == [[0, 2], [1], [3]]


def test_cuts_make_a_crowd_fit() -> None:
    first, last, size = np.array(CROWDED).T
    assert pack(first, last, size, 11, Deadline()).fit is Fit.NO
    graph = graph_of_rectangles(CROWDED, 13)
    order = np.arange(13)
    assert least_traffic(gaps_of(graph, order), 11).cost == 0
    known = solve_order(graph, 11, order, Deadline())
    assert known.cost == known.bound == 2
    problem = ScratchpadSchedule(graph, 11, order=order)
    assert problem.check(known.solution) == []
    assert problem.objective(known.solution) == 2


def test_repair_always_finds_addresses() -> None:
    graph = graph_of_rectangles(CROWDED, 13)
    gaps = gaps_of(graph, np.arange(13))
    known = repaired(gaps, 11, np.ones(len(gaps.tensor), dtype=bool))
    problem = ScratchpadSchedule(graph, 11)
    assert problem.check(known.solution) == []
    assert problem.objective(known.solution) == known.cost


@pytest.mark.parametrize("seed", range(3))
def test_given_orders_are_solved_to_optimality(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spilt = 0
    for _ in range(25):
        graph = random_graph(rng, int(rng.integers(3, 8)), 4, 8)
        if len(graph.input_tensor) > 14:
            continue
        order = graph.default_order()
        least, most = graph.largest_working_set, graph.peak(order)
        capacity = int(rng.integers(least, max(least + 1, most)))
        result = op.solve(ScratchpadSchedule(graph, capacity, order=order))
        assert result.status is op.Status.OPTIMAL
        assert result.objective == best_in_order(graph, capacity, order.tolist())
        spilt += result.objective > 0
    assert spilt


def test_time_runs_out_with_a_schedule() -> None:
    graph = random_graph(np.random.default_rng(0), 60)
    problem = ScratchpadSchedule(graph, graph.largest_working_set, order=graph.default_order())
    result = op.solve(problem, time_limit=0)
    assert problem.check(result.solution) == []


@pytest.mark.parametrize("weights", [False, True])
def test_networks_are_proven_in_their_own_order(weights: bool) -> None:
    from optsched.problems.scratchpad.networks import network

    graph = network("amoebanet_a", weights=weights)
    order = graph.default_order()
    result = op.solve(ScratchpadSchedule(graph, graph.largest_working_set, order=order))
    assert result.status is op.Status.OPTIMAL
    assert result.objective == 2_080_632


@pytest.mark.parametrize(
    ("kibibytes", "traffic"), [(1596.25, 2_609_152), (1827.13, 1_404_928), (2058, 0)]
)
def test_densenet_in_its_own_order(kibibytes: float, traffic: int) -> None:
    pytest.importorskip("onnx")
    from optsched.problems.scratchpad.generate import instance

    graph = instance("onnx/densenet121", weights=True).graph
    problem = ScratchpadSchedule(graph, int(kibibytes * 1024), order=graph.default_order())
    result = op.solve(problem)
    assert result.status is op.Status.OPTIMAL
    assert result.objective == traffic


def test_random_orders_of_a_network_are_proven() -> None:
    from optsched.problems.scratchpad.generate import instance

    for seed in range(2):
        problem = instance("pnasnet_5", "M_R", seed, order="random")
        result = op.solve(problem)
        assert result.status is op.Status.OPTIMAL
        assert result.objective > 3_000_000
