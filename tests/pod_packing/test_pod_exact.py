"""Search and formulation against brute force, and the levels that a result reports."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pods_brute import brute_force, random_cluster

import optsched as op
from optsched.datasets import generators


@pytest.mark.parametrize("solver", ["native", "cpsat"])
@pytest.mark.parametrize("seed", range(0, 120, 5))
def test_against_brute_force(solver: str, seed: int) -> None:
    problem = random_cluster(seed)
    best = brute_force(problem)
    result = op.solve(problem, solver, time_limit=120, workers=1)
    assert result.status == ("INFEASIBLE" if best is None else "OPTIMAL")
    assert result.objective == best


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1400))
def test_many_against_brute_force(seed: int) -> None:
    problem = random_cluster(seed)
    best = brute_force(problem)
    for solver in ("native", "cpsat"):
        result = op.solve(problem, solver, time_limit=120, workers=1)
        assert result.objective == best, solver
        assert result.status == ("INFEASIBLE" if best is None else "OPTIMAL")


@pytest.mark.parametrize("seed", range(3))
def test_generated_clusters_are_proven_and_improved(seed: int) -> None:
    problem = generators.pod_cluster(4, 4, utilisation=0.9, seed=seed)
    before = problem.objective(problem.incoming())
    result = op.solve(problem, time_limit=120, workers=1)
    assert result.status == "OPTIMAL"
    assert result.objective <= before
    assert all(level.proven for level in problem.report(result))
    assert [level.value for level in problem.report(result)] == problem.levels(result.solution)


def test_levels_are_reported_as_far_as_proven() -> None:
    problem = op.PodPacking([[4]], [[2], [3], [1]], priority=[1, 1, 0])
    half = type("Half", (), {})()
    half.solution = op.PodPackingSolution([0, -1, 0])
    half.bound = problem.weigh([1, 0, 0, 0])
    rows = problem.report(half)
    assert [(row.goal, row.priority, row.value, row.bound) for row in rows] == [
        ("unplaced", 1, 1, 1), ("disruption", 1, 0, 0), ("unplaced", 0, 0, 0),
        ("disruption", 0, 0, 0),
    ]  # fmt: skip
    half.bound = 0
    assert [row.bound for row in problem.report(half)] == [0, None, None, None]
    assert not problem.report(half)[0].proven


def test_objective_beyond_a_float_stays_exact() -> None:
    n = 400
    problem = op.PodPacking(
        [[10]] * 4, np.ones((n, 1), dtype=int), priority=np.arange(n) % 8, current=[0] * n
    )
    worst = problem.level_most()
    assert problem.weigh(worst) > 2**53
    assert problem.digits(problem.weigh(worst)) == worst


def test_time_limit_zero_returns_the_checked_heuristic() -> None:
    problem = generators.pod_cluster(8, 4, seed=1)
    result = op.solve(problem, time_limit=0, workers=1)
    assert result.status == "FEASIBLE"
    assert result.objective <= problem.objective(problem.incoming())


@pytest.mark.parametrize("resources", [None, ["cpu"]])
@pytest.mark.parametrize(
    ("capacity", "request_", "optimum"), [([[3]], [], 0), ([], [], 0), ([], [[1]], 1)]
)
def test_clusters_without_pods_or_nodes(
    capacity: Any, request_: Any, optimum: int, resources: Any
) -> None:
    problem = op.PodPacking(capacity, request_, resources=resources)
    for solver in ("auto", "cpsat"):
        result = op.solve(problem, solver=solver, workers=1)
        assert result.status is op.Status.OPTIMAL
        assert result.objective == optimum
    assert op.solve(problem, solver="heuristic").objective == optimum


def test_only_an_owner_on_the_nodes_that_count_may_be_the_first() -> None:
    term = {"kind": "affinity", "key": "zone", "owners": [0], "targets": [0]}
    for counted, optimum in (([0], 0), ([1], 1)):
        problem = op.PodPacking(
            [[9], [0]], [[1]], topology={"zone": [0, 0]}, terms=[term | {"nodes": counted}]
        )
        for solver in ("auto", "cpsat"):
            result = op.solve(problem, solver=solver, workers=1)
            assert result.status is op.Status.OPTIMAL
            assert result.objective == optimum
