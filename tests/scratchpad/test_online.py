"""Replacement with addresses: always a valid schedule, never below the optimum."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from instances import random_graph

import optsched
from optsched.core import InputError
from optsched.problems.scratchpad import online
from optsched.problems.scratchpad.baselines import POLICIES, replay
from optsched.problems.scratchpad.generate import instance
from optsched.problems.scratchpad.graph import OperatorGraph
from optsched.problems.scratchpad.heuristics import VARIANTS
from optsched.problems.scratchpad.problem import ScratchpadSchedule


@pytest.mark.parametrize("seed", range(40))
def test_schedules_are_valid_and_no_better_than_the_optimum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, int(rng.integers(3, 9)))
    least = int(graph.working_sets().max())
    problem = ScratchpadSchedule(graph, least + int(rng.integers(0, 4)))
    order = graph.default_order()
    optimum = optsched.solve(problem.with_order(order), workers=1).objective
    for policy, fit in itertools.product(POLICIES, online.FITS):
        found = online.schedule(problem, order, policy, fit)
        assert problem.check(found) == []
        assert problem.objective(found) >= optimum


def test_without_fragmentation_it_is_the_replay_by_bytes() -> None:
    # All of one size: every gap fits.
    sizes = dict.fromkeys("xabcdey", 4)
    operators = [
        ("0", ["x"], ["a"]), ("1", ["x"], ["b"]), ("2", ["b"], ["c"]), ("3", ["c", "x"], ["d"]),
        ("4", ["d"], ["e"]), ("5", ["a", "e"], ["y"]),
    ]  # fmt: skip
    graph = OperatorGraph(list(sizes.items()), operators)
    problem = ScratchpadSchedule(graph, 12)
    order = graph.default_order()
    for policy in POLICIES:
        found = online.schedule(problem, order, policy)
        assert problem.objective(found) == replay(graph, order, 12, policy).traffic > 0


def test_operands_in_the_way_move_through_main_memory() -> None:
    # b lies in the middle when c, which needs all the room beside it in one piece, is written.
    sizes = [("x", 2), ("a", 3), ("b", 2), ("c", 6), ("y", 1)]
    operators = [("0", ["x"], ["a"]), ("1", ["a"], ["b"]), ("2", ["b"], ["c"]), ("3", ["c"], ["y"])]
    problem = ScratchpadSchedule(OperatorGraph(sizes, operators), 8)
    found = online.schedule(problem, problem.graph.default_order())
    assert problem.check(found) == []
    assert problem.objective(found) == 4  # b is stored and loaded


@pytest.mark.parametrize("name", VARIANTS)
def test_each_rule_is_a_solver(name: str) -> None:
    problem = instance("darts", "M_R")
    result = optsched.solve(problem, solver=f"heuristic:{name}", workers=1)
    assert result.solver == f"heuristic:{name}"
    assert result.solution is not None
    assert problem.check(result.solution) == []


def test_unknown_names_are_refused() -> None:
    problem = instance("darts", "M_R")
    order = problem.graph.default_order()
    with pytest.raises(InputError, match="policy 'fifo'"):
        online.schedule(problem, order, "fifo")
    with pytest.raises(InputError, match="fit 'worst-fit'"):
        online.schedule(problem, order, "lru", "worst-fit")
    with pytest.raises(InputError, match="no variant 'fifo': one of belady-first-fit"):
        optsched.solve(problem, solver="heuristic:fifo")
