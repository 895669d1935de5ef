"""COSMA's integer program and the CP-SAT formulation against the family's own search."""

from __future__ import annotations

import numpy as np
import pytest

import optsched as op
from optsched.problems.scratchpad.problem import ScratchpadSchedule
from tests.scratchpad.instances import dense_rectangles, graph_of_rectangles, random_graph


def instance(rng: np.random.Generator) -> ScratchpadSchedule:
    if rng.random() < 0.5:
        graph = random_graph(rng, int(rng.integers(3, 7)), 5, 6)
    else:
        rectangles = dense_rectangles(rng, int(rng.integers(3, 6)), 6)
        graph = graph_of_rectangles(rectangles, max(last for _, last, _ in rectangles) + 1)
    least, most = graph.largest_working_set, graph.peak(graph.default_order())
    capacity = int(rng.integers(least, max(least + 1, most)))
    order = graph.default_order() if rng.random() < 0.3 else None
    return ScratchpadSchedule(graph, capacity, order=order)


@pytest.mark.parametrize("solver", ["cpsat", "highs"])
@pytest.mark.parametrize("seed", range(2))
def test_formulations_agree_with_the_search(solver: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    spilt = 0
    for _ in range(12):
        problem = instance(rng)
        own = op.solve(problem)
        result = op.solve(problem, solver, workers=1)
        assert result.status is op.Status.OPTIMAL
        assert own.objective == result.objective
        spilt += bool(result.objective)
    assert spilt


@pytest.mark.parametrize("solver", ["cpsat", "highs"])
def test_hints_are_complete_and_decoded_again(solver: str) -> None:
    rng = np.random.default_rng(5)
    for _ in range(10):
        problem = instance(rng)
        solution = op.solve(problem).solution
        compiled = op.compile(problem, solver)
        again = compiled.decode(compiled.hint(solution))
        assert problem.check(again) == []
        assert problem.objective(again) == problem.objective(solution)


def test_cpsat_takes_the_hint_whole() -> None:
    from ortools.sat.python import cp_model

    rng = np.random.default_rng(6)
    for _ in range(5):
        problem = instance(rng)
        compiled = op.compile(problem, "cpsat")
        values = compiled.hint(op.solve(problem).solution)
        for variable, value in zip(compiled.model.proto.variables, values, strict=True):
            variable.domain.clear()
            variable.domain.extend([int(value), int(value)])
        assert cp_model.CpSolver().solve(compiled.model) == cp_model.OPTIMAL


def test_pulp_exports_the_reference_model() -> None:
    problem = instance(np.random.default_rng(7))
    model = op.compile(problem, "pulp").model
    assert model.numVariables() > 10
